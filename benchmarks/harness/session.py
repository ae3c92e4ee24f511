"""A run of the benchmarks: threads, timing settings, peak GEMM rates, and their description in the JSON file."""

import importlib.util
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from benchmarks.harness.gemm import MATRIX_SIZES, peak_gemm_rates
from benchmarks.harness.implementation_names import SCRATCHNET, TORCH
from benchmarks.harness.machine import machine, run_info, versions
from benchmarks.harness.timing import TimingSettings
from scratchnet.engine.cpu.threads import thread_count

QUICK = TimingSettings(repeats=3, block=0.03, retries=1)


@dataclass(frozen=True)
class Session:
    """Settings shared by all measurements of a run.

    Attributes
    ----------
    method : TimingSettings
    gemm_rates : dict
        Peak GEMM rate in operations per second, by library.
    torch : bool
        Whether PyTorch is measured.
    """

    method: TimingSettings
    gemm_rates: Mapping[str, float]
    torch: bool

    @property
    def gemm_rate(self) -> float:
        """NumPy's peak GEMM rate, which all shares refer to."""
        return self.gemm_rates[SCRATCHNET]

    def about(self) -> dict[str, Any]:
        """Return the entries of the JSON file apart from its rows."""
        rates = {name: rate / 1e9 for name, rate in self.gemm_rates.items()}
        about = {"machine": machine(), "versions": versions(), "method": asdict(self.method)}
        return {**run_info(), **about, "gemm_ceiling_gflops": rates}

    def heading(self) -> str:
        """Return the line above the table."""
        m, v = machine(), versions()
        parts = [
            m["processor"],
            f"{thread_count()} of {m['cores']} cores",
            f"NumPy {v['numpy']} ({v.get('blas', '?')})",
        ]
        parts.append(f"PyTorch {v['torch']}" if self.torch else "PyTorch is not installed: scratchnet alone")
        theirs = f" ({self.gemm_rates[TORCH] / 1e9:.0f} in PyTorch)" if TORCH in self.gemm_rates else ""
        return f"{', '.join(parts)}\npeak GEMM rate {self.gemm_rate / 1e9:.0f} GFLOP/s{theirs}, float32"


def set_threads(count: int) -> None:
    """Set the number of threads of this process and its children; call it before anything is computed."""
    os.environ["SCRATCHNET_THREADS"] = str(count)


def start_session(repeats: int | None, quick: bool) -> Session:
    """Measure the peak GEMM rates, and give PyTorch, if it is installed, as many threads as scratchnet.

    Parameters
    ----------
    repeats : int or None
        Blocks per implementation; None: 9, or 3 if ``quick``.
    quick : bool
        Few and short blocks, to check that everything runs; the figures are not for publication.
    """
    method = QUICK if quick else TimingSettings()
    if repeats is not None:
        method = replace(method, repeats=repeats)
    torch = importlib.util.find_spec("torch") is not None
    if torch:
        import torch as library

        library.set_num_threads(thread_count())
    return Session(
        method, peak_gemm_rates(thread_count(), method, MATRIX_SIZES[:1] if quick else MATRIX_SIZES, torch), torch
    )
