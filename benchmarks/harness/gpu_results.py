"""Results of the GPU measurements: table, ratios and JSON file."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.harness.machine import machine, run_info, versions
from benchmarks.harness.network_cases import NetworkCase
from benchmarks.harness.report import MEASUREMENTS
from benchmarks.harness.step import step_flops
from benchmarks.harness.step_results import StepResult, describe_mismatch, differences
from benchmarks.harness.timing import interquartile_range
from scratchnet.engine.device import array_module
from scratchnet.engine.modes import MatrixPrecision
from scratchnet.utils.files import atomic_write
from scratchnet.utils.signatures import signature

PRECISIONS: tuple[MatrixPrecision, ...] = ("float32", "tf32", "bf16")


@dataclass(frozen=True)
class Configuration:
    """A library with a precision and a memory layout.

    Attributes
    ----------
    library : "scratchnet" or "torch"
    precision : "float32", "tf32" or "bf16"
    channels_last : bool
        PyTorch's memory layout; scratchnet always uses channels last.
    """

    library: str
    precision: MatrixPrecision
    channels_last: bool = True

    @property
    def name(self) -> str:
        """Name in the table."""
        layout = " channels_last" if self.library == "torch" and self.channels_last else ""
        return f"{self.library} {self.precision}{layout}"


@dataclass(frozen=True)
class GpuMeasurement:
    """Time, memory and computed values of a configuration.

    Attributes
    ----------
    seconds : tuple of float
        Time of each step.
    peak : int
        Peak of the bytes that the allocator reserved on the GPU.
    losses : tuple of float
        Losses of the first two steps.
    outputs : dict of str to StepResult
        Computed values by precision; the float32 configurations have those of float64, too.
    """

    seconds: tuple[float, ...]
    peak: int
    losses: tuple[float, ...]
    outputs: Mapping[str, StepResult]


def row(case: NetworkCase, results: dict[str, GpuMeasurement]) -> dict[str, Any]:
    """Return the row of a case in the JSON file."""
    flops, mismatches = step_flops(case), find_mismatches(results)
    found = {}
    for name, result in results.items():
        seconds = median(result.seconds)
        found[name] = {
            "seconds": seconds,
            "quartiles": list(interquartile_range(result.seconds)),
            "steps": list(result.seconds),
            "teraflops": flops / seconds / 1e12,
            "peak_bytes": result.peak,
            "losses": list(result.losses),
            "differences": differences_from_reference(name, results),
        }
    about = {"case": case.name, "network": case.to_dict(), "flops": flops}
    return about | {"contestants": found, "objections": mismatches, "ratios": ratios(results)}


REFERENCE = "scratchnet float32"
"""Configuration that all others are compared with."""


def differences_from_reference(name: str, results: dict[str, GpuMeasurement]) -> dict[str, dict[str, float]]:
    """Return the differences of a configuration from the reference by precision; empty if there is no reference."""
    if name == REFERENCE or REFERENCE not in results:
        return {}
    expected = results[REFERENCE].outputs
    return {
        precision: differences(outputs, expected["float64" if precision == "float64" else "float32"])
        for precision, outputs in results[name].outputs.items()
    }


def find_mismatches(results: dict[str, GpuMeasurement]) -> dict[str, str]:
    """Return the configurations that compute something else than the reference, each with a reason."""
    found: dict[str, str] = {}
    for name in results:
        by_precision = differences_from_reference(name, results)
        reasons = [describe_mismatch(values, precision) for precision, values in by_precision.items()]
        if name != REFERENCE and not reasons:
            reasons = [f"{REFERENCE} was not measured, and there is nothing to compare with"]
        if any(reasons):
            found[name] = "; ".join(filter(None, reasons))
    return found


def ratios(results: dict[str, GpuMeasurement]) -> dict[str, float]:
    """Return our median time divided by that of PyTorch's faster layout, by precision.

    Configurations that compute something else are left out.
    """
    found: dict[str, float] = {}
    mismatches = find_mismatches(results)
    results = {name: result for name, result in results.items() if name not in mismatches}
    for precision in PRECISIONS:
        ours = results.get(Configuration("scratchnet", precision).name)
        theirs = [results.get(Configuration("torch", precision, last).name) for last in (False, True)]
        times = [median(result.seconds) for result in theirs if result]
        if ours and times:
            found[precision] = median(ours.seconds) / min(times)
    return found


def write(path: str, rows: Sequence[dict[str, Any]]) -> None:
    """Write the JSON file: GPU, versions, and all rows."""
    xp: Any = array_module("gpu")
    name = xp.cuda.runtime.getDeviceProperties(0)["name"].decode()
    card = {"gpu": name, "cuda": xp.cuda.runtime.runtimeGetVersion(), "cupy": xp.__version__}
    content = {
        "file": signature(MEASUREMENTS),
        **run_info(),
        "machine": machine() | card,
        "versions": versions(),
        "rows": rows,
    }
    with atomic_write(path, MEASUREMENTS) as file:
        file.write(json.dumps(content, indent=1, ensure_ascii=False).encode() + b"\n")


HEADING = f"{'':<30}{'ms':>9}{'(quartiles)':>18}{'TFLOP/s':>9}{'peak GB':>9}   loss, after a step"


def line(name: str, result: GpuMeasurement, flops: int) -> str:
    """Return the table's line of a configuration."""
    seconds = median(result.seconds)
    between = "({:.1f}–{:.1f})".format(*(1e3 * q for q in interquartile_range(result.seconds)))
    losses = ", ".join(f"{loss:.4f}" for loss in result.losses)
    rate = f"{flops / seconds / 1e12:.1f}"
    return f"{name:<30}{1e3 * seconds:>9.1f}{between:>18}{rate:>9}{result.peak / 1e9:>9.2f}   {losses}"
