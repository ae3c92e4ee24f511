"""Keeping memory that NumPy gives back, and how much there is."""

import ctypes
import sys
from pathlib import Path

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h


def keep_freed_memory() -> None:
    """Tell the C library not to hand large freed arrays back to the system, but to use them again.

    A training step makes and frees the same arrays over and over. Each time fresh memory comes from the system it is
    cleared page by page at its first touch, which costs as much as a pass over it. For the process of a command only; a
    program that merely imports scratchnet is left alone. Does nothing where the C library has no such switch.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, 32 << 20)  # the largest value that glibc takes
        mallopt(_TRIM_THRESHOLD, 1 << 30)


def available_memory() -> int | None:
    """Return the bytes that a program can still take without pushing others out; None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), None)
