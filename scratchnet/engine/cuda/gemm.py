"""Matrix products on a GPU, by cuBLAS.

cuBLAS counts down the columns where NumPy goes along the rows. A matrix stored row by row is, to its eyes, the
transposed one; so instead of C = A·B it is asked for Cᵀ = Bᵀ·Aᵀ, and nothing has to be copied.

One call multiplies a *batch* of matrices that lie at equal distances in memory, and can add to what is there. Distances
are free: matrices may overlap, or lie between each other's rows, which is what ``shifted`` lives on.

``modes.matrix_precision`` chooses how float32 numbers are multiplied: as they are, or with their mantissas cut from 23
bits to 10 (TF32) or 7 (bfloat16), by the tensor cores, which are many times quicker. Sums are float32 always, and
float64 stays float64.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.memory.pool import pooled_empty
from scratchnet.engine.modes import matrix_precision_in_use

REAL = {"float32": 0, "float64": 1}
"""cuBLAS's numbers for the types of matrices: CUDA_R_32F, CUDA_R_64F."""

COMPUTE = {"float32": 68, "float64": 70, "tf32": 77, "bf16": 75}
"""… and for the ways to multiply: CUBLAS_COMPUTE_32F, _64F, _32F_FAST_TF32, _32F_FAST_16BF."""

DEFAULT_ALGORITHM = -1

BLOCKS = 528
"""Tiles of a result, 128 × 128 numbers each, that keep a large GPU busy."""

FEWEST_ROWS = 2048
"""Rows that a part of a sum over rows should have."""


@dataclass(frozen=True)
class Matrices:
    """A batch of matrices in the memory of an array, each stored row by row.

    Attributes
    ----------
    array : Array
        Contiguous.
    rows, columns : int
        Of each matrix.
    step : int or None
        Numbers from the start of a row to that of the next; ``columns`` when None.
    offset : int
        Numbers from the start of the array to the first matrix.
    apart : int
        Numbers from one matrix to the next; 0 uses the same one again.
    """

    array: Array
    rows: int
    columns: int
    step: int | None = None
    offset: int = 0
    apart: int = 0

    @property
    def leading(self) -> int:
        """The step, where it is not given."""
        return self.columns if self.step is None else self.step

    @property
    def address(self) -> int:
        """Where the first matrix begins."""
        return _address(self.array) + self.offset * self.array.itemsize


def multiply(
    a: Matrices,
    b: Matrices,
    out: Matrices,
    count: int = 1,
    turn_a: bool = False,
    turn_b: bool = False,
    add: bool = False,
) -> None:
    """Write ``count`` products ``a · b`` to ``out``.

    Parameters
    ----------
    a : (rows, k), or (k, rows) with ``turn_a``
    b : (k, columns), or (columns, k) with ``turn_b``
    out : (rows, columns)
    add : bool
        Add to what is in ``out``.
    """
    if out.rows * out.columns * count == 0:
        return
    dtype = out.array.dtype
    cublas, handle = _cublas()
    compute = COMPUTE["float64" if dtype.itemsize == 8 else matrix_precision_in_use()]
    one, beta = np.ones((), dtype), np.full((), add, dtype)
    real = REAL[dtype.name]
    cublas.gemmStridedBatchedEx(
        handle, int(turn_b), int(turn_a), out.columns, out.rows, a.rows if turn_a else a.columns, one.ctypes.data,
        b.address, real, b.leading, b.apart,
        a.address, real, a.leading, a.apart,
        beta.ctypes.data, out.address, real, out.leading, out.apart,
        count, compute, DEFAULT_ALGORITHM,
    )  # fmt: skip


def product(a: Array, b: Array, out: Array, turn_a: bool = False, turn_b: bool = False) -> None:
    """Write the product of two contiguous arrays of two axes to a third; ``turn_a`` and ``turn_b`` transpose."""
    left, right, result = (Matrices(array, array.shape[0], array.shape[1]) for array in (a, b, out))
    multiply(left, right, result, turn_a=turn_a, turn_b=turn_b)


def product_over_rows(a: Array, b: Array) -> Array:
    """Return aᵀ·b for tall matrices (rows, k) and (rows, columns): a few sums over parts of the rows, then their sum.

    The result is small and the sum long: as one product it would leave most of a GPU idle.
    """
    (rows, k), columns = a.shape, b.shape[1]
    parts, size = cut_rows(rows, k, columns)
    sums = pooled_empty(a, (parts, k, columns))
    whole = rows // size
    left, right = Matrices(a, size, k, apart=size * k), Matrices(b, size, columns, apart=size * columns)
    multiply(left, right, Matrices(sums, k, columns, apart=k * columns), whole, turn_a=True)
    if whole < parts:
        done, rest = whole * size, rows - whole * size
        left, right = Matrices(a, rest, k, offset=done * k), Matrices(b, rest, columns, offset=done * columns)
        multiply(left, right, Matrices(sums, k, columns, offset=whole * k * columns), turn_a=True)
    return add_parts(sums, 0)


def add_parts(sums: Array, axis: int) -> Array:
    """Return the sum of the parts along an axis."""
    if sums.shape[axis] == 1:
        only: Array = sums.reshape(*sums.shape[:axis], *sums.shape[axis + 1 :])
        return only
    total: Array = sums.sum(axis=axis)
    return total


def cut_rows(rows: int, k: int, columns: int, count: int = 1) -> tuple[int, int]:
    """Return in how many parts to cut ``count`` sums over ``rows`` into (k, columns) numbers, and a part's rows."""
    tiles = count * -(-k // 128) * -(-columns // 128)
    parts = max(1, min(-(-BLOCKS // tiles), rows // FEWEST_ROWS))
    size = max(1, -(-rows // parts))
    return max(1, -(-rows // size)), size


def _address(array: Array) -> int:
    address: int = array.data.ptr  # type: ignore[attr-defined]
    return address


def _cublas() -> tuple[Any, int]:
    """Return cuBLAS's functions and the handle of the current device."""
    import cupy

    return cupy.cuda.cublas, cupy.cuda.get_cublas_handle()
