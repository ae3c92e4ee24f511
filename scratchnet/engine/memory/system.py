"""Reuse memory freed by NumPy, and query the available memory."""

import ctypes
import sys
from pathlib import Path

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h


def keep_freed_memory() -> None:
    """Configure the C library to reuse the memory of large freed arrays instead of returning it to the system.

    A training step allocates and frees the same arrays over and over. The system clears fresh memory page by page at
    its first use, which costs as much as a pass over it. Only commands call this function; importing scratchnet does
    not change the process. Does nothing if the C library does not support it.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, 32 << 20)  # the largest value that glibc accepts
        mallopt(_TRIM_THRESHOLD, 1 << 30)


def available_memory() -> int | None:
    """Return the bytes that can be allocated without swapping out other programs; None if unknown."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), None)
