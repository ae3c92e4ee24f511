"""Switches for the whole library: ``precise()`` and ``textbook()``, and one that the operations set themselves.

    with scratchnet.textbook():
        y = net.forward(x)      # the same numbers, by the formulas as they stand in the docstrings, and slower

The fast forms of a convolution give the direct sum's result up to rounding (about 1e-5 of the largest number for
Winograd's in float32). Blank regions stay blank: where all inputs up to 4 pixels away are 0, a 3×3 convolution gives
exactly its bias. Nearer to other values, and where weights cancel on a constant region, a sum of 0 may become a
rounding error, whose sign a ReLU reads. ``precise()`` chooses the direct sum everywhere. ``textbook()`` does that
too, and switches off all that is there for speed alone: blocks, fused layers, sub-pixel forms, threads.

``whole()`` is set by an operation while it works on arrays of a GPU: what serves a CPU's caches and cores, blocks,
threads and Winograd's transforms in NumPy, is left out.

``matrix_precision("tf32")`` lets a GPU multiply float32 matrices on its tensor cores, with shortened mantissas.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, TypeAlias

MatrixPrecision: TypeAlias = Literal["float32", "tf32", "bf16"]
"""Bits of the numbers that a GPU multiplies in float32's place: 23, 10 or 7 in the mantissa. Sums are float32."""

_PRECISE = ContextVar("precise", default=False)
_TEXTBOOK = ContextVar("textbook", default=False)
_WHOLE = ContextVar("whole", default=False)
_MATRIX_PRECISION = ContextVar[MatrixPrecision]("matrix_precision", default="float32")


@contextmanager
def precise(on: bool = True) -> Iterator[None]:
    """Compute every convolution as the direct sum inside this block."""
    token = _PRECISE.set(on)
    try:
        yield
    finally:
        _PRECISE.reset(token)


@contextmanager
def textbook(on: bool = True) -> Iterator[None]:
    """Compute everything the plain way inside this block."""
    token = _TEXTBOOK.set(on)
    try:
        yield
    finally:
        _TEXTBOOK.reset(token)


@contextmanager
def whole() -> Iterator[None]:
    """Compute on whole arrays inside this block."""
    token = _WHOLE.set(True)
    try:
        yield
    finally:
        _WHOLE.reset(token)


@contextmanager
def matrix_precision(name: MatrixPrecision) -> Iterator[None]:
    """Let a GPU multiply float32 matrices as ``name`` says inside this block; CPUs and float64 take no notice."""
    token = _MATRIX_PRECISION.set(name)
    try:
        yield
    finally:
        _MATRIX_PRECISION.reset(token)


def matrix_precision_in_use() -> MatrixPrecision:
    """Return how float32 matrices are multiplied; as they are in ``precise()`` and ``textbook()`` mode."""
    return "float32" if is_precise() else _MATRIX_PRECISION.get()


def is_precise() -> bool:
    """Return whether only the direct sum may be used."""
    return _PRECISE.get() or _TEXTBOOK.get()


def is_textbook() -> bool:
    """Return whether the plain way is asked for."""
    return _TEXTBOOK.get()


def is_whole() -> bool:
    """Return whether blocks and threads are out of place."""
    return _WHOLE.get()
