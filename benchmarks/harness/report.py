"""Measurements, their ratios, the table on the terminal and the JSON file."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.harness.implementation_names import CHANNELS_LAST, COMPILED, LAYOUTS, SCRATCHNET, TORCH
from benchmarks.harness.memory import MemoryUse
from benchmarks.harness.timing import Timing, interquartile_range
from scratchnet.utils.files import atomic_write
from scratchnet.utils.signatures import signature

MEASUREMENTS = "measurements"
"""Type of the file, stored in its signature."""

SCHEMA = 1
"""Version of the JSON file's format."""


@dataclass(frozen=True)
class Measurement:
    """Result of one case, a row of the table.

    Attributes
    ----------
    case : str
        Name of the case.
    flops : int
        Operations of the direct method, a multiply-add counted as two; 0 if there are no products.
    timings : dict
        Times by implementation.
    memory_use : dict
        Memory by implementation; empty if it was not measured.
    details : dict
        Further entries of the JSON file.
    """

    case: str
    flops: int
    timings: Mapping[str, Timing]
    memory_use: Mapping[str, MemoryUse] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)

    def better_layout(self) -> str | None:
        """Return the faster of PyTorch's two layouts, or None without PyTorch."""
        here = [name for name in LAYOUTS if name in self.timings]
        return min(here, key=lambda name: self.timings[name].median) if here else None

    def ratio(self, other: str | None) -> float | None:
        """Return scratchnet's median time divided by another implementation's."""
        if other is None or other not in self.timings:
            return None
        return self.timings[SCRATCHNET].median / self.timings[other].median

    def ratio_quartiles(self, other: str) -> tuple[float, float]:
        """Return the quartiles of the ratio per round, in which slow phases of the machine cancel."""
        pairs = zip(self.timings[SCRATCHNET].blocks, self.timings[other].blocks, strict=True)
        return interquartile_range(tuple(ours / theirs for ours, theirs in pairs))

    def to_dict(self, gemm_rate: float) -> dict[str, Any]:
        """Return the measurement as a dict for JSON."""
        contestants: dict[str, Any] = {}
        for name, t in self.timings.items():
            contestants[name] = {
                "seconds": t.median,
                "quartiles": list(t.quartiles),
                "best": t.best,
                "blocks": list(t.blocks),
                "disturbed_blocks": t.disturbed,
            }
            if self.flops:
                rate = self.flops / t.median
                contestants[name] |= {"gflops": rate / 1e9, "share_of_ceiling": rate / gemm_rate}
            if name in self.memory_use:
                contestants[name] |= {
                    "peak_bytes": self.memory_use[name].peak,
                    "kept_bytes": self.memory_use[name].retained,
                }
        ratios: dict[str, Any] = {
            name: {"ratio": self.ratio(name), "quartiles": list(self.ratio_quartiles(name))}
            for name in self.timings
            if name != SCRATCHNET
        }
        return {
            "case": self.case,
            "flops": self.flops,
            "contestants": contestants,
            "ratio": self.ratio(self.better_layout()),
            "better_layout": self.better_layout(),
            "ratios": ratios,
            **self.details,
        }


@dataclass(frozen=True)
class Column:
    """A column of the table: two lines of heading, a width, and a function that formats a measurement."""

    over: str
    head: str
    width: int
    show: Any


class Table:
    """A table that can be printed line by line during the measurements.

    Parameters
    ----------
    cases : sequence of str
        Names of all rows; the longest sets the width of the first column.
    implementations : sequence of str
    gemm_rate : float
        Peak GEMM rate, in operations per second.
    memory : bool
        Whether peak memory is measured.
    """

    def __init__(self, cases: Sequence[str], implementations: Sequence[str], gemm_rate: float, memory: bool) -> None:
        self.case_width = max(len(case) for case in cases)
        self.columns = [
            Column("", "scratchnet", 11, lambda row: _ms(row.timings[SCRATCHNET].median)),
            Column("ms", "(quartiles)", 12, lambda row: "({}–{})".format(*map(_ms, row.timings[SCRATCHNET].quartiles))),
        ]
        heads = {TORCH: ("", "PyTorch"), CHANNELS_LAST: ("channels", "last"), COMPILED: ("", "compiled")}
        heads |= {name: ("", name) for name in implementations if name not in (SCRATCHNET, *heads)}
        for name in implementations:
            if name != SCRATCHNET:
                self.columns.append(Column(*heads[name], 9, lambda row, name=name: _time(row, name)))
        if TORCH in implementations:
            self.columns.append(Column("ratio", "better", 8, lambda row: _ratio(row.ratio(row.better_layout()))))
            self.columns.append(Column("", "default", 8, lambda row: _ratio(row.ratio(TORCH))))
        else:
            self.columns += [
                Column("ratio to", name, 9, lambda row, name=name: _ratio(row.ratio(name)))
                for name in implementations
                if name != SCRATCHNET
            ]
        self.columns.append(Column("", "GFLOP/s", 8, lambda row: _rate(row, 1e9, ".0f")))
        self.columns.append(Column("of", "GEMM", 6, lambda row: _rate(row, gemm_rate, ".0%")))
        if memory:
            self.columns.append(Column("peak", "MB", 6, lambda row: _peak(row, (SCRATCHNET,))))
            if TORCH in implementations:
                self.columns.append(Column("", "PyTorch", 8, lambda row: _peak(row, LAYOUTS)))

    def heading(self) -> str:
        """Return the two lines of column headings."""
        over = " " * self.case_width + "".join(f"{c.over:>{c.width}}" for c in self.columns)
        head = f"{'case':<{self.case_width}}" + "".join(f"{c.head:>{c.width}}" for c in self.columns)
        return f"{over.rstrip()}\n{head}"

    def line(self, row: Measurement) -> str:
        """Return one row, with an asterisk at its end if other programs disturbed the measurement."""
        cells = "".join(f"{c.show(row):>{c.width}}" for c in self.columns)
        return f"{row.case:<{self.case_width}}{cells}" + " *" * any(t.unreliable for t in row.timings.values())


def _ms(seconds: float) -> str:
    """Return milliseconds with at least three digits."""
    ms = 1e3 * seconds
    return f"{ms:.0f}" if ms >= 100 else f"{ms:.1f}" if ms >= 10 else f"{ms:.2f}"


def _time(row: Measurement, name: str) -> str:
    return _ms(row.timings[name].median) if name in row.timings else "–"


def _ratio(ratio: float | None) -> str:
    return "–" if ratio is None else f"{ratio:.2f}"


def _rate(row: Measurement, unit: float, form: str) -> str:
    return format(row.flops / row.timings[SCRATCHNET].median / unit, form) if row.flops else "–"


def _peak(row: Measurement, names: Sequence[str]) -> str:
    memory_use = [row.memory_use[name].peak for name in names if name in row.memory_use]
    return f"{min(memory_use) / 1e6:.0f}" if memory_use else "–"


def write_json(path: Path | str, about: Mapping[str, Any], rows: Sequence[Measurement], gemm_rate: float) -> None:
    """Write a run: ``about`` (machine, versions, timing settings) and all measurements."""
    content = {
        "file": signature(MEASUREMENTS),
        "schema": SCHEMA,
        **about,
        "rows": [row.to_dict(gemm_rate) for row in rows],
    }
    with atomic_write(path, MEASUREMENTS) as file:
        file.write(json.dumps(content, indent=1, ensure_ascii=False).encode() + b"\n")
