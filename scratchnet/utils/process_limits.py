"""Adapt the BLAS to systems that allow a process few threads (``ulimit -u``, a container's limit)."""

import os
import sys
import threading

_MAX_THREADS = 64
"""Maximum number of threads to try; NumPy's builds of OpenBLAS start no more."""


def keep_blas_within_limits() -> None:
    """Configure NumPy's BLAS to use a single thread if the system cannot start more.

    When NumPy is imported, OpenBLAS starts a thread for each additional core. If the system refuses one, OpenBLAS sends
    the process an interrupt, like Ctrl-C. The same number of threads is therefore started as a test before the import,
    which takes about 50 µs per thread.
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
