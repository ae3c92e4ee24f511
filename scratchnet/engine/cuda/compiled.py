"""Compile the kernels of a ``.cu`` file and launch them."""

from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from math import prod
from typing import Any, TypeAlias

import numpy as np

from scratchnet.arrays import Array
from scratchnet.utils.errors import UserError
from scratchnet.utils.options import option

Sizes: TypeAlias = tuple[int, ...]

THREADS = 256
"""Threads per block: enough for a multiprocessor to run some of them while others wait for memory."""

ELEMENTS_PER_THREAD = 4
"""Elements of a row per thread, so that a thread requests the next element before the first has arrived."""

MAX_ROWS = 2**31 - THREADS
"""Maximum rows of a map: they are counted in 32 bits, including the unused rows of the last block."""

MAX_ROW_ELEMENTS = 2**30
"""Maximum elements of a row: they are counted in 32 bits too, to the end of the last step."""


@cache
def source(file: str) -> str:
    """Return the text of a ``.cu`` file of this package."""
    return (files("scratchnet.engine.cuda") / f"{file}.cu").read_text(encoding="utf-8")


def options(dtype: np.dtype[Any], macros: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the compiler's options; ``REAL`` is the source's name for the dtype."""
    real = {"float32": "float", "float64": "double"}[dtype.name]
    return (f"-DREAL={real}", *(f"-D{macro}" for macro in macros))


@cache
def _kernel(file: str, name: str, chosen: tuple[str, ...]) -> Any:
    import cupy

    try:
        return cupy.RawModule(code=source(file), options=chosen).get_function(name)
    except cupy.cuda.compiler.CompileException as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = next((line for line in lines if "error" in line), lines[0] if lines else "no reason given")
        gpu = option("device", "gpu")
        raise UserError(
            f"{gpu}: CUDA's compiler rejects scratchnet's kernels {file}.cu ({reason}); "
            f"try another version of CuPy, or leave out {gpu}"
        ) from error


def launch(
    file: str, name: str, dtype: np.dtype[Any], grid: Sizes, block: Sizes, *arguments: Any, macros: Iterable[str] = ()
) -> None:
    """Run a kernel of ``file``, compiled for ``dtype``.

    Parameters
    ----------
    grid, block : tuple of int
        Numbers of blocks, and of threads per block, along up to three axes. Nothing happens if either is empty.
    arguments
        Arrays must be contiguous and are passed unchanged, like NumPy's scalars; integers are passed as 32 bits and
        floats as ``dtype``.
    macros : iterable of str
        Macros to define besides ``REAL``, such as ``"SWITCH_BYTES=1"``.
    """
    if prod(grid) * prod(block) == 0:
        return
    values = tuple(
        np.int32(a) if isinstance(a, bool | int) else dtype.type(a) if type(a) is float else a for a in arguments
    )
    _kernel(file, name, options(dtype, macros))(grid, block, values)


def row_launch(rows: int, width: int) -> tuple[Sizes, Sizes]:
    """Return the grid and block for ``rows`` rows of ``width`` elements.

    A block computes part of a row, or several short rows. A kernel computes its row as ``blockIdx.x · blockDim.y +
    threadIdx.y``, and iterates over it from element ``blockIdx.y · blockDim.x + threadIdx.x`` in steps of ``gridDim.y ·
    blockDim.x``.

    Raises
    ------
    ValueError
        If there are more rows, or elements in a row, than 32 bits can count.
    """
    if rows > MAX_ROWS or width > MAX_ROW_ELEMENTS:
        raise ValueError(
            f"a map of {rows} rows of {width} elements is larger than a GPU kernel can count ({MAX_ROWS} rows of "
            f"{MAX_ROW_ELEMENTS}); use smaller batches or images"
        )
    across = 1
    while across < min(width, THREADS):
        across *= 2
    down = THREADS // across
    parts = min(-(-width // (across * ELEMENTS_PER_THREAD)), 65535)
    return (-(-rows // down), parts), (across, down)


def split_batch(n: int, image_bytes: int, workspace: int) -> list[slice]:
    """Split a batch of ``n`` images that need ``image_bytes`` each into equal parts that fit into the workspace."""
    limit = max(1, workspace // image_bytes)
    size = max(1, -(-n // max(1, -(-n // limit))))
    return [slice(i, min(n, i + size)) for i in range(0, n, size)]


def bias_or_placeholder(bias: Array | None, other: Array) -> Array:
    """Return a contiguous bias, or ``other`` as a placeholder, which kernels do not read if there is no bias."""
    return other if bias is None else contiguous(bias)[0]


def contiguous(*arrays: Array) -> tuple[Array, ...]:
    """Return the arrays in C order, as kernels read them; only arrays that are not contiguous are copied."""
    return tuple(a if a.flags.c_contiguous else a.copy() for a in arrays)
