"""cuBLAS's batched matrix product in NumPy, with its arguments, addresses and refusals.

Matrices are stored column by column: element (i, j) of a matrix lies ``i + j·ld`` numbers after the first. ``trans``
says that the stored matrix is to be transposed. The shortened mantissas of TF32 and bfloat16 are imitated.
"""

import ctypes

import numpy as np

TYPES = {0: np.dtype(np.float32), 1: np.dtype(np.float64)}
BITS = {68: 23, 70: 52, 77: 10, 75: 7}

calls = []
"""The type of computation of every call; tests read and clear it."""


class CUBLASError(RuntimeError):
    """What CuPy raises."""


def gemmStridedBatchedEx(
    handle, transa, transb, m, n, k, alpha, A, Atype, lda, strideA, B, Btype, ldb, strideB,
    beta, C, Ctype, ldc, strideC, batchCount, computeType, algo,
):  # fmt: skip
    """C ← alpha·op(A)·op(B) + beta·C for every matrix of the batch."""
    assert handle == get_cublas_handle()
    assert Atype == Btype == Ctype
    dtype = TYPES[Ctype]
    assert (computeType == 70) == (dtype.itemsize == 8)
    stored = (k, m) if transa else (m, k), (n, k) if transb else (k, n), (m, n)
    smallest = [max(1, rows) for rows, _ in stored]
    if min(m, n, k, batchCount) < 0 or any(ld < least for ld, least in zip((lda, ldb, ldc), smallest, strict=True)):
        raise CUBLASError("CUBLAS_STATUS_INVALID_VALUE")
    if strideC < ldc * (n - 1) + m and batchCount > 1 and not _interleaved(m, n, ldc, strideC, batchCount):
        raise CUBLASError("the results of a batch overlap")
    calls.append(computeType)
    scale, keep = (_read(address, dtype) for address in (alpha, beta))
    a, b, c = (
        _matrices(address, batchCount, batch_stride, shape, ld, dtype)
        for address, batch_stride, shape, ld in zip(
            (A, B, C), (strideA, strideB, strideC), stored, (lda, ldb, ldc), strict=True
        )
    )
    a, b = (shortened(x.swapaxes(1, 2) if turn else x, BITS[computeType]) for x, turn in ((a, transa), (b, transb)))
    c[...] = scale * (a @ b) + (keep * c if keep else 0)  # beta 0: what is in C is not looked at, even NaN


def get_cublas_handle():
    """Return what stands for cuBLAS's handle."""
    return 4711


def _matrices(address, count, batch_stride, shape, ld, dtype):
    """Return the matrices of a batch (count, rows, columns) that begins at an address."""
    rows, columns = shape
    numbers = (count - 1) * batch_stride + ld * (columns - 1) + rows if count * columns else 0
    memory = (ctypes.c_char * (numbers * dtype.itemsize)).from_address(address)
    strides = [dtype.itemsize * step for step in (batch_stride, 1, ld)]
    return np.ndarray((count, rows, columns), dtype, memory, strides=strides)


def _read(address, dtype):
    return np.frombuffer((ctypes.c_char * dtype.itemsize).from_address(address), dtype)[0]


def _interleaved(m, n, ldc, batch_stride, count):
    """Return whether the results of a batch lie between each other's columns."""
    return batch_stride >= m and (count - 1) * batch_stride + m <= ldc


def shortened(x, bits):
    """Round the mantissas of float32 numbers."""
    if bits >= 23:
        return x
    words = np.ascontiguousarray(x).view(np.uint32)
    drop = 23 - bits
    return ((words + np.uint32(1 << (drop - 1))) & ~np.uint32((1 << drop) - 1)).view(np.float32)
