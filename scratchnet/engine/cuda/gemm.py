"""Matrix products on a GPU, by cuBLAS.

cuBLAS stores matrices in column-major order, NumPy in row-major order. To cuBLAS, a matrix stored by rows is its
transpose; so it computes Cᵀ = Bᵀ·Aᵀ instead of C = A·B, and nothing has to be copied.

One call multiplies a *batch* of matrices at equal distances in memory, and can add to the existing result. Any distance
is allowed: matrices may overlap, or be interleaved by rows, which ``shifted`` relies on.

``modes.matrix_precision`` selects how float32 values are multiplied: in full precision, or with their mantissas
shortened from 23 bits to 10 (TF32) or 7 (bfloat16) by the tensor cores, which are many times faster. Sums are always
float32, and float64 stays float64.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.memory.pool import pooled_empty
from scratchnet.engine.modes import matrix_precision_in_use

REAL = {"float32": 0, "float64": 1}
"""cuBLAS's codes for the types of matrices: CUDA_R_32F, CUDA_R_64F."""

COMPUTE = {"float32": 68, "float64": 70, "tf32": 77, "bf16": 75}
"""… and for the compute types: CUBLAS_COMPUTE_32F, _64F, _32F_FAST_TF32, _32F_FAST_16BF."""

DEFAULT_ALGORITHM = -1

BLOCKS = 528
"""Number of tiles of a result, of 128 × 128 elements each, that keeps a large GPU busy."""

MIN_ROWS = 2048
"""Minimum rows per part when a sum over rows is split."""


@dataclass(frozen=True)
class Matrices:
    """A batch of matrices in the memory of an array, each stored row by row.

    Attributes
    ----------
    array : Array
        Contiguous.
    rows, columns : int
        Size of each matrix.
    row_stride : int or None
        Elements between the starts of consecutive rows; None means ``columns``.
    offset : int
        Elements from the start of the array to the first matrix.
    batch_stride : int
        Elements between consecutive matrices; 0 uses one matrix for the whole batch.
    """

    array: Array
    rows: int
    columns: int
    row_stride: int | None = None
    offset: int = 0
    batch_stride: int = 0

    @property
    def leading_dimension(self) -> int:
        """The row stride, or its default."""
        return self.columns if self.row_stride is None else self.row_stride

    @property
    def address(self) -> int:
        """Address of the first matrix."""
        return _address(self.array) + self.offset * self.array.itemsize


def multiply(
    a: Matrices,
    b: Matrices,
    out: Matrices,
    count: int = 1,
    transpose_a: bool = False,
    transpose_b: bool = False,
    add: bool = False,
) -> None:
    """Write ``count`` products ``a · b`` to ``out``.

    Parameters
    ----------
    a : (rows, k), or (k, rows) with ``transpose_a``
    b : (k, columns), or (columns, k) with ``transpose_b``
    out : (rows, columns)
    add : bool
        Add to the contents of ``out``.
    """
    if out.rows * out.columns * count == 0:
        return
    dtype = out.array.dtype
    cublas, handle = _cublas()
    compute = COMPUTE["float64" if dtype.itemsize == 8 else matrix_precision_in_use()]
    one, beta = np.ones((), dtype), np.full((), add, dtype)
    real, inner = REAL[dtype.name], a.rows if transpose_a else a.columns
    cublas.gemmStridedBatchedEx(
        handle, int(transpose_b), int(transpose_a), out.columns, out.rows, inner, one.ctypes.data,
        b.address, real, b.leading_dimension, b.batch_stride,
        a.address, real, a.leading_dimension, a.batch_stride,
        beta.ctypes.data, out.address, real, out.leading_dimension, out.batch_stride,
        count, compute, DEFAULT_ALGORITHM,
    )  # fmt: skip


def product(a: Array, b: Array, out: Array, transpose_a: bool = False, transpose_b: bool = False) -> None:
    """Write the product of two contiguous matrices, transposed as requested, to ``out``."""
    left, right, result = (Matrices(array, array.shape[0], array.shape[1]) for array in (a, b, out))
    multiply(left, right, result, transpose_a=transpose_a, transpose_b=transpose_b)


def product_over_rows(a: Array, b: Array) -> Array:
    """Return aᵀ·b for tall matrices (rows, k) and (rows, columns), computed in parts of the rows.

    The result is small and the sum long: a single product would leave most of a GPU idle.
    """
    (rows, k), columns = a.shape, b.shape[1]
    parts, size = split_rows(rows, k, columns)
    sums = pooled_empty(a, (parts, k, columns))
    whole = rows // size
    left, right = Matrices(a, size, k, batch_stride=size * k), Matrices(b, size, columns, batch_stride=size * columns)
    multiply(left, right, Matrices(sums, k, columns, batch_stride=k * columns), whole, transpose_a=True)
    if whole < parts:
        done, rest = whole * size, rows - whole * size
        left, right = Matrices(a, rest, k, offset=done * k), Matrices(b, rest, columns, offset=done * columns)
        multiply(left, right, Matrices(sums, k, columns, offset=whole * k * columns), transpose_a=True)
    return sum_parts(sums, 0)


def sum_parts(sums: Array, axis: int) -> Array:
    """Return the sum of the parts along an axis."""
    if sums.shape[axis] == 1:
        only: Array = sums.reshape(*sums.shape[:axis], *sums.shape[axis + 1 :])
        return only
    total: Array = sums.sum(axis=axis)
    return total


def split_rows(rows: int, k: int, columns: int, count: int = 1) -> tuple[int, int]:
    """Return the number of parts for ``count`` sums over ``rows`` with (k, columns) results, and the rows of a part."""
    tiles = count * -(-k // 128) * -(-columns // 128)
    parts = max(1, min(-(-BLOCKS // tiles), rows // MIN_ROWS))
    size = max(1, -(-rows // parts))
    return max(1, -(-rows // size)), size


def _address(array: Array) -> int:
    address: int = array.data.ptr  # type: ignore[attr-defined]
    return address


def _cublas() -> tuple[Any, int]:
    """Return cuBLAS's functions and the handle of the current device."""
    import cupy

    return cupy.cuda.cublas, cupy.cuda.get_cublas_handle()
