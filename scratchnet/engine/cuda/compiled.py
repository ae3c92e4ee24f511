"""From a ``.cu`` file to a call."""

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
"""Threads of a block: enough for a multiprocessor to do something else while some of them wait for memory."""

NUMBERS = 4
"""Of a row that one thread works on, so that it asks for the next before the first has come."""

MOST_ROWS = 2**31 - THREADS
"""Rows of a map are counted in 32 bits, and so are those that the last block has none of."""

MOST_NUMBERS = 2**30
"""Numbers of a row are counted in 32 bits too, to the end of the last step."""


@cache
def source(file: str) -> str:
    """Return the text of a ``.cu`` file of this package."""
    return (files("scratchnet.engine.cuda") / f"{file}.cu").read_text(encoding="utf-8")


def options(dtype: np.dtype[Any], macros: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the compiler's options: ``REAL`` is what the source calls the dtype that it computes in."""
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
            f"{gpu}: CUDA's compiler does not take scratchnet's kernels {file}.cu ({reason}); "
            f"another version of CuPy may, or leave out {gpu}"
        ) from error


def launch(
    file: str, name: str, dtype: np.dtype[Any], grid: Sizes, block: Sizes, *arguments: Any, macros: Iterable[str] = ()
) -> None:
    """Run a kernel of ``file``, compiled for ``dtype``.

    Parameters
    ----------
    grid, block : tuple of int
        Blocks, and threads in each, along up to three axes. Nothing happens when either is empty.
    arguments
        Arrays are passed as they are and must be contiguous, integers as 32 bits, floats as ``dtype``, and NumPy's
        scalars as what they are.
    macros : iterable of str
        To define besides ``REAL``, such as ``"SWITCH_BYTES=1"``.
    """
    if prod(grid) * prod(block) == 0:
        return
    values = tuple(
        np.int32(a) if isinstance(a, bool | int) else dtype.type(a) if type(a) is float else a for a in arguments
    )
    _kernel(file, name, options(dtype, macros))(grid, block, values)


def rows_and_numbers(rows: int, width: int) -> tuple[Sizes, Sizes]:
    """Return the grid and block for ``rows`` rows of ``width`` numbers: blocks of a row's pieces, or of short rows.

    A kernel reads off its row as ``blockIdx.x · blockDim.y + threadIdx.y``, and walks along it from number
    ``blockIdx.y · blockDim.x + threadIdx.x`` in steps of ``gridDim.y · blockDim.x``.

    Raises
    ------
    ValueError
        When there are more rows, or numbers in one, than 32 bits can count.
    """
    if rows > MOST_ROWS or width > MOST_NUMBERS:
        raise ValueError(
            f"a map of {rows} rows of {width} numbers is more than a GPU kernel counts ({MOST_ROWS} rows of "
            f"{MOST_NUMBERS}); use smaller batches or images"
        )
    across = 1
    while across < min(width, THREADS):
        across *= 2
    down = THREADS // across
    pieces = min(-(-width // (across * NUMBERS)), 65535)
    return (-(-rows // down), pieces), (across, down)


def in_turns(n: int, image_bytes: int, workspace: int) -> list[slice]:
    """Cut a batch of ``n`` images, each of which needs so much memory, into equal turns that fit into the workspace."""
    most = max(1, workspace // image_bytes)
    size = max(1, -(-n // max(1, -(-n // most))))
    return [slice(i, min(n, i + size)) for i in range(0, n, size)]


def bias_or(bias: Array | None, other: Array) -> Array:
    """Return a bias as kernels read it, or an array in its place, which they do not read where there is none."""
    return other if bias is None else contiguous(bias)[0]


def contiguous(*arrays: Array) -> tuple[Array, ...]:
    """Return the arrays as kernels read them: rows one after the other, without gaps. Copies only what is not so."""
    return tuple(a if a.flags.c_contiguous else a.copy() for a in arrays)
