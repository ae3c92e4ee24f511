"""What comes of measuring on a GPU: the table, the ratios of those that compute the same, the file."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.harness.machine import machine, occasion, versions
from benchmarks.harness.network_cases import NetworkCase
from benchmarks.harness.report import MEASUREMENTS
from benchmarks.harness.step import step_flops
from benchmarks.harness.step_results import Evidence, differences, objection
from benchmarks.harness.timing import spread
from scratchnet.engine.device import array_module
from scratchnet.engine.modes import MatrixPrecision
from scratchnet.utils.files import atomic_write
from scratchnet.utils.signatures import signature

PRECISIONS: tuple[MatrixPrecision, ...] = ("float32", "tf32", "bf16")


@dataclass(frozen=True)
class Contestant:
    """A library in one of its ways.

    Attributes
    ----------
    library : "scratchnet" or "torch"
    precision : "float32", "tf32" or "bf16"
    channels_last : bool
        PyTorch's layout; ours is always that.
    """

    library: str
    precision: MatrixPrecision
    channels_last: bool = True

    @property
    def name(self) -> str:
        """As in the table."""
        layout = " channels_last" if self.library == "torch" and self.channels_last else ""
        return f"{self.library} {self.precision}{layout}"


@dataclass(frozen=True)
class Result:
    """What a contestant took.

    Attributes
    ----------
    seconds : tuple of float
        Of each step.
    peak : int
        Bytes that the allocator took from the GPU.
    losses : tuple of float
        Of the first two steps.
    evidence : dict of str to Evidence
        What it computed, by precision; those of float32 show it in float64 too.
    """

    seconds: tuple[float, ...]
    peak: int
    losses: tuple[float, ...]
    evidence: Mapping[str, Evidence]


def row(case: NetworkCase, results: dict[str, Result]) -> dict[str, Any]:
    """Return a row of the JSON file."""
    flops, doubts = step_flops(case), objections(results)
    found = {}
    for name, result in results.items():
        seconds = median(result.seconds)
        found[name] = {
            "seconds": seconds,
            "quartiles": list(spread(result.seconds)),
            "steps": list(result.seconds),
            "teraflops": flops / seconds / 1e12,
            "peak_bytes": result.peak,
            "losses": list(result.losses),
            "differences": off_reference(name, results),
        }
    about = {"case": case.name, "network": case.plain(), "flops": flops}
    return about | {"contestants": found, "objections": doubts, "ratios": ratios(results)}


REFERENCE = "scratchnet float32"
"""With whom all others are compared."""


def off_reference(name: str, results: dict[str, Result]) -> dict[str, dict[str, float]]:
    """Return how far a contestant is off the reference, by precision; empty where that did not take part."""
    if name == REFERENCE or REFERENCE not in results:
        return {}
    right = results[REFERENCE].evidence
    return {
        precision: differences(evidence, right["float64" if precision == "float64" else "float32"])
        for precision, evidence in results[name].evidence.items()
    }


def objections(results: dict[str, Result]) -> dict[str, str]:
    """Return the contestants that compute something else than the reference, and how one sees it."""
    found: dict[str, str] = {}
    for name in results:
        said = [objection(off, precision) for precision, off in off_reference(name, results).items()]
        if name != REFERENCE and not said:
            said = [f"{REFERENCE} did not take part, and there is nothing to compare with"]
        if any(said):
            found[name] = "; ".join(filter(None, said))
    return found


def ratios(results: dict[str, Result]) -> dict[str, float]:
    """Return for each precision our median time divided by that of PyTorch's faster layout.

    Who computes something else is left out.
    """
    found: dict[str, float] = {}
    doubts = objections(results)
    results = {name: result for name, result in results.items() if name not in doubts}
    for precision in PRECISIONS:
        ours = results.get(Contestant("scratchnet", precision).name)
        theirs = [results.get(Contestant("torch", precision, last).name) for last in (False, True)]
        times = [median(result.seconds) for result in theirs if result]
        if ours and times:
            found[precision] = median(ours.seconds) / min(times)
    return found


def write(path: str, rows: Sequence[dict[str, Any]]) -> None:
    """Write the JSON file: the GPU, versions, and every row."""
    xp: Any = array_module("gpu")
    name = xp.cuda.runtime.getDeviceProperties(0)["name"].decode()
    card = {"gpu": name, "cuda": xp.cuda.runtime.runtimeGetVersion(), "cupy": xp.__version__}
    content = {
        "file": signature(MEASUREMENTS),
        **occasion(),
        "machine": machine() | card,
        "versions": versions(),
        "rows": rows,
    }
    with atomic_write(path, MEASUREMENTS) as file:
        file.write(json.dumps(content, indent=1, ensure_ascii=False).encode() + b"\n")


HEADING = f"{'':<30}{'ms':>9}{'(quartiles)':>18}{'TFLOP/s':>9}{'peak GB':>9}   loss, after a step"


def line(name: str, result: Result, flops: int) -> str:
    """Return a contestant's line of the table."""
    seconds = median(result.seconds)
    between = "({:.1f}–{:.1f})".format(*(1e3 * q for q in spread(result.seconds)))
    losses = ", ".join(f"{loss:.4f}" for loss in result.losses)
    rate = f"{flops / seconds / 1e12:.1f}"
    return f"{name:<30}{1e3 * seconds:>9.1f}{between:>18}{rate:>9}{result.peak / 1e9:>9.2f}   {losses}"
