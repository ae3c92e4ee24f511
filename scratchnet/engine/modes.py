"""Library-wide modes: ``precise()``, ``textbook()`` and ``matrix_precision()``.

    with scratchnet.textbook():
        y = net.forward(x)      # the same result, computed by the docstrings' formulas, but slower

The fast forms of a convolution agree with the direct sum up to rounding (for Winograd's in float32 about 1e-5 of the
largest value). Blank regions stay blank: where all inputs up to 4 pixels away are 0, a 3×3 convolution gives exactly
its bias. Closer to other values, and where weights cancel on a constant region, a sum of 0 may become a rounding error
of either sign, which a following ReLU may pass. ``precise()`` selects the direct sum everywhere. ``textbook()`` also
disables all optimisations: blocks, fused layers, sub-pixel forms, threads.

``matrix_precision("tf32")`` lets a GPU multiply float32 matrices on its tensor cores, with shortened mantissas.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, TypeAlias

MatrixPrecision: TypeAlias = Literal["float32", "tf32", "bf16"]
"""Formats in which a GPU multiplies float32 matrices: 23, 10 or 7 mantissa bits. Sums are float32."""

_PRECISE = ContextVar("precise", default=False)
_TEXTBOOK = ContextVar("textbook", default=False)
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
    """Compute everything without optimisations inside this block."""
    token = _TEXTBOOK.set(on)
    try:
        yield
    finally:
        _TEXTBOOK.reset(token)


@contextmanager
def matrix_precision(name: MatrixPrecision) -> Iterator[None]:
    """Let a GPU multiply float32 matrices with precision ``name`` inside this block; no effect on CPUs and float64."""
    token = _MATRIX_PRECISION.set(name)
    try:
        yield
    finally:
        _MATRIX_PRECISION.reset(token)


def matrix_precision_in_use() -> MatrixPrecision:
    """Return the precision of float32 matrix products; full precision in ``precise()`` and ``textbook()`` mode."""
    return "float32" if is_precise() else _MATRIX_PRECISION.get()


def is_precise() -> bool:
    """Return whether convolutions must use the direct sum."""
    return _PRECISE.get() or _TEXTBOOK.get()


def is_textbook() -> bool:
    """Return whether textbook mode is on."""
    return _TEXTBOOK.get()
