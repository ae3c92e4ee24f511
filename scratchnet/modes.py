"""Two switches for the whole library: ``precise()`` and ``textbook()``.

    with scratchnet.textbook():
        y = net.forward(x)      # the same numbers, by the formulas as they stand in the docstrings, and slower

The fast forms of a convolution give the direct sum's result up to rounding (about 1e-5 of the largest number for
Winograd's in float32). ``precise()`` chooses the direct sum everywhere. ``textbook()`` does that too, and switches off
all that is there for speed alone: blocks, fused layers, sub-pixel forms, threads.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_PRECISE = ContextVar("precise", default=False)
_TEXTBOOK = ContextVar("textbook", default=False)


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


def is_precise() -> bool:
    """Return whether only the direct sum may be used."""
    return _PRECISE.get() or _TEXTBOOK.get()


def is_textbook() -> bool:
    """Return whether the plain way is asked for."""
    return _TEXTBOOK.get()
