"""Rows, ratios, the table on the terminal and the JSON file."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.harness.implementation_names import CHANNELS_LAST, COMPILED, LAYOUTS, OURS, TORCH
from benchmarks.harness.memory import Peak
from benchmarks.harness.timing import Timing, spread
from scratchnet.utils.files import atomic_write
from scratchnet.utils.signatures import signature

MEASUREMENTS = "measurements"
"""Kind of the file."""

SCHEMA = 1
"""Version of the JSON file's form."""


@dataclass(frozen=True)
class Row:
    """One thing that was measured.

    Attributes
    ----------
    case : str
    flops : int
        Operations of the direct method, a multiply-add counted as two; 0 where there are no products.
    timings : dict
        By contestant.
    peaks : dict
        Memory by contestant; empty where it was not measured.
    details : dict
        Whatever else belongs into the file.
    """

    case: str
    flops: int
    timings: Mapping[str, Timing]
    peaks: Mapping[str, Peak] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)

    def better_layout(self) -> str | None:
        """Return the faster of PyTorch's two layouts, or None without PyTorch."""
        here = [name for name in LAYOUTS if name in self.timings]
        return min(here, key=lambda name: self.timings[name].median) if here else None

    def ratio(self, other: str | None) -> float | None:
        """Return our median time divided by another contestant's."""
        if other is None or other not in self.timings:
            return None
        return self.timings[OURS].median / self.timings[other].median

    def ratio_quartiles(self, other: str) -> tuple[float, float]:
        """Return the quartiles of the ratio round by round: a slow spell of the machine that lasts falls out."""
        pairs = zip(self.timings[OURS].blocks, self.timings[other].blocks, strict=True)
        return spread(tuple(mine / theirs for mine, theirs in pairs))

    def plain(self, ceiling: float) -> dict[str, Any]:
        """Return everything as JSON takes it."""
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
                contestants[name] |= {"gflops": rate / 1e9, "share_of_ceiling": rate / ceiling}
            if name in self.peaks:
                contestants[name] |= {"peak_bytes": self.peaks[name].peak, "kept_bytes": self.peaks[name].kept}
        ratios: dict[str, Any] = {
            name: {"ratio": self.ratio(name), "quartiles": list(self.ratio_quartiles(name))}
            for name in self.timings
            if name != OURS
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
    """A column of the table: its two lines of heading, its width, and what it shows of a row."""

    over: str
    head: str
    width: int
    show: Any


class Table:
    """The table, which can be printed line by line while the measuring goes on.

    Parameters
    ----------
    cases : sequence of str
        Names of the rows to come; their longest sets the first column's width.
    contestants : sequence of str
    ceiling : float
        Operations a second of the GEMM ceiling.
    memory : bool
        Whether peaks are measured.
    """

    def __init__(self, cases: Sequence[str], contestants: Sequence[str], ceiling: float, memory: bool) -> None:
        self.case_width = max(len(case) for case in cases)
        self.columns = [
            Column("", "scratchnet", 11, lambda row: _ms(row.timings[OURS].median)),
            Column("ms", "(quartiles)", 12, lambda row: "({}–{})".format(*map(_ms, row.timings[OURS].quartiles))),
        ]
        heads = {TORCH: ("", "PyTorch"), CHANNELS_LAST: ("channels", "last"), COMPILED: ("", "compiled")}
        heads |= {name: ("", name) for name in contestants if name not in (OURS, *heads)}
        for name in contestants:
            if name != OURS:
                self.columns.append(Column(*heads[name], 9, lambda row, name=name: _time(row, name)))
        if TORCH in contestants:
            self.columns.append(Column("ratio", "better", 8, lambda row: _ratio(row.ratio(row.better_layout()))))
            self.columns.append(Column("", "default", 8, lambda row: _ratio(row.ratio(TORCH))))
        else:
            self.columns += [
                Column("ratio to", name, 9, lambda row, name=name: _ratio(row.ratio(name)))
                for name in contestants
                if name != OURS
            ]
        self.columns.append(Column("", "GFLOP/s", 8, lambda row: _rate(row, 1e9, ".0f")))
        self.columns.append(Column("of", "GEMM", 6, lambda row: _rate(row, ceiling, ".0%")))
        if memory:
            self.columns.append(Column("peak", "MB", 6, lambda row: _peak(row, (OURS,))))
            if TORCH in contestants:
                self.columns.append(Column("", "PyTorch", 8, lambda row: _peak(row, LAYOUTS)))

    def heading(self) -> str:
        """Return the two lines above the rows."""
        over = " " * self.case_width + "".join(f"{c.over:>{c.width}}" for c in self.columns)
        head = f"{'case':<{self.case_width}}" + "".join(f"{c.head:>{c.width}}" for c in self.columns)
        return f"{over.rstrip()}\n{head}"

    def line(self, row: Row) -> str:
        """Return one row; an asterisk at its end says that other programs disturbed the measurement."""
        cells = "".join(f"{c.show(row):>{c.width}}" for c in self.columns)
        return f"{row.case:<{self.case_width}}{cells}" + " *" * any(t.doubtful for t in row.timings.values())


def _ms(seconds: float) -> str:
    """Return milliseconds in three digits or more."""
    ms = 1e3 * seconds
    return f"{ms:.0f}" if ms >= 100 else f"{ms:.1f}" if ms >= 10 else f"{ms:.2f}"


def _time(row: Row, name: str) -> str:
    return _ms(row.timings[name].median) if name in row.timings else "–"


def _ratio(ratio: float | None) -> str:
    return "–" if ratio is None else f"{ratio:.2f}"


def _rate(row: Row, unit: float, form: str) -> str:
    return format(row.flops / row.timings[OURS].median / unit, form) if row.flops else "–"


def _peak(row: Row, names: Sequence[str]) -> str:
    peaks = [row.peaks[name].peak for name in names if name in row.peaks]
    return f"{min(peaks) / 1e6:.0f}" if peaks else "–"


def write_json(path: Path | str, about: Mapping[str, Any], rows: Sequence[Row], ceiling: float) -> None:
    """Write a run: what ``about`` says of machine and method, and every row."""
    content = {
        "file": signature(MEASUREMENTS),
        "schema": SCHEMA,
        **about,
        "rows": [row.plain(ceiling) for row in rows],
    }
    with atomic_write(path, MEASUREMENTS) as file:
        file.write(json.dumps(content, indent=1, ensure_ascii=False).encode() + b"\n")
