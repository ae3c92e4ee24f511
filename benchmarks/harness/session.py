"""A run of the bench: threads, method, ceiling, and what the file says about them."""

import importlib.util
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.harness.gemm import SIDES, gemm_ceiling
from benchmarks.harness.implementation_names import OURS, TORCH
from benchmarks.harness.machine import machine, occasion, versions
from benchmarks.harness.timing import Method
from scratchnet.engine.cpu.threads import thread_count

QUICK = Method(repeats=3, block=0.03, retries=1)


@dataclass(frozen=True)
class Session:
    """What all rows of a run share.

    Attributes
    ----------
    method : Method
    ceilings : dict
        Operations a second of the best matrix product, by library.
    torch : bool
        Whether PyTorch takes part.
    """

    method: Method
    ceilings: Mapping[str, float]
    torch: bool

    @property
    def ceiling(self) -> float:
        """NumPy's rate, which shares refer to."""
        return self.ceilings[OURS]

    def about(self) -> dict[str, Any]:
        """Return what the JSON file says besides its rows."""
        rates = {name: rate / 1e9 for name, rate in self.ceilings.items()}
        about = {"machine": machine(), "versions": versions(), "method": asdict(self.method)}
        return {**occasion(), **about, "gemm_ceiling_gflops": rates}

    def heading(self) -> str:
        """Return the line above the table."""
        m, v = machine(), versions()
        parts = [
            m["processor"],
            f"{thread_count()} of {m['cores']} cores",
            f"NumPy {v['numpy']} ({v.get('blas', '?')})",
        ]
        parts.append(f"PyTorch {v['torch']}" if self.torch else "PyTorch is not installed: scratchnet alone")
        theirs = f" ({self.ceilings[TORCH] / 1e9:.0f} in PyTorch)" if TORCH in self.ceilings else ""
        return f"{', '.join(parts)}\nGEMM ceiling {self.ceiling / 1e9:.0f} GFLOP/s{theirs}, float32"


def set_threads(count: int) -> None:
    """Let scratchnet, and processes that this one starts, use so many threads; call it before anything computes."""
    os.environ["SCRATCHNET_THREADS"] = str(count)


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
    return Session(method, gemm_ceiling(thread_count(), method, SIDES[:1] if quick else SIDES, torch), torch)
