"""A run of the bench: threads, method, ceiling, and what the file says about them."""

import importlib.util
import os
from dataclasses import asdict, dataclass
from typing import Any

from scratchnet.bench.ceiling import SIDES, gemm_ceiling
from scratchnet.bench.machine import machine, occasion, versions
from scratchnet.bench.timing import Method
from scratchnet.threads import thread_count

QUICK = Method(repeats=3, block=0.03, retries=1)


@dataclass(frozen=True)
class Session:
    """What all rows of a run share.

    Attributes
    ----------
    method : Method
    ceiling : float
        Operations a second of the best matrix product.
    torch : bool
        Whether PyTorch takes part.
    """

    method: Method
    ceiling: float
    torch: bool

    def about(self) -> dict[str, Any]:
        """Return what the JSON file says besides its rows."""
        return {**occasion(), "machine": machine(), "versions": versions(), "method": asdict(self.method)}

    def heading(self) -> str:
        """Return the line above the table."""
        m, v = machine(), versions()
        parts = [
            m["processor"],
            f"{thread_count()} of {m['cores']} cores",
            f"NumPy {v['numpy']} ({v.get('blas', '?')})",
        ]
        parts.append(f"PyTorch {v['torch']}" if self.torch else "PyTorch is not installed: scratchnet alone")
        return f"{', '.join(parts)}\nGEMM ceiling {self.ceiling / 1e9:.0f} GFLOP/s, float32"


def set_threads(count: int) -> None:
    """Let scratchnet, and processes that this one starts, use so many threads."""
    os.environ["SCRATCHNET_THREADS"] = str(count)
    thread_count.cache_clear()


def open_session(repeats: int | None, quick: bool) -> Session:
    """Measure the ceiling and give PyTorch, where it is installed, as many threads as scratchnet has.

    Parameters
    ----------
    repeats : int or None
        Blocks a contestant; None: 9, or 3 if ``quick``.
    quick : bool
        Short blocks and few of them: to see that everything runs, not for figures to publish.
    """
    method = QUICK if quick else Method()
    if repeats is not None:
        method = Method(repeats, method.block, method.settle, method.retries)
    torch = importlib.util.find_spec("torch") is not None
    if torch:
        import torch as library

        library.set_num_threads(thread_count())
    return Session(method, gemm_ceiling(thread_count(), method, SIDES[:1] if quick else SIDES), torch)
