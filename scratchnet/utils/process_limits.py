"""What to do where the system allows a process few threads (``ulimit -u``, a container's limit)."""

import os
import sys
import threading

_MAX_THREADS = 64
"""Threads that are tried; NumPy's builds of OpenBLAS start no more."""


def keep_blas_within_limits() -> None:
    """Make NumPy's BLAS do without threads where they cannot be started.

    While NumPy is imported, OpenBLAS starts a thread for each further core. Where the system refuses one, OpenBLAS
    sends the process an interrupt, as Ctrl-C would. So as many are tried before, which takes some 50 µs each.
    """
    if "numpy" in sys.modules or "OPENBLAS_NUM_THREADS" in os.environ:
        return
    end, started = threading.Event(), []
    try:
        for _ in range(min(_MAX_THREADS, os.cpu_count() or 1) - 1):
            thread = threading.Thread(target=end.wait, daemon=True)
            thread.start()
            started.append(thread)
    except RuntimeError:  # can't start new thread
        os.environ["OPENBLAS_NUM_THREADS"] = "1"
    finally:
        end.set()
        for thread in started:
            thread.join()
