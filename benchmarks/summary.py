"""The medians and the spread of several runs of ``scratchnet bench``, as a table.

    python benchmarks/summary.py RUN.json [RUN.json ...]

Prints a row for every case: the times of scratchnet and of PyTorch's faster layout, the ratio of both, its range over
the runs, and the peak memory (of PyTorch, the smaller of both layouts'). A single run varies by several per cent, so
published ratios are medians over runs.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, TypeAlias

from benchmarks.harness.implementation_names import LAYOUTS, SCRATCHNET

Row: TypeAlias = dict[str, Any]


def rows_by_case(runs: Sequence[Sequence[Row]]) -> dict[str, list[Row]]:
    """Return the rows of every case that all runs have, in the order of the first run."""
    by_run = [{row["case"]: row for row in rows if row["ratio"] is not None} for rows in runs]
    return {case: [rows[case] for rows in by_run] for case in by_run[0] if all(case in rows for rows in by_run)}


def table(runs: Sequence[Sequence[Row]]) -> list[str]:
    """Return the lines of a Markdown table."""
    lines = [
        "| case | scratchnet | PyTorch | ratio | range | peak memory, then PyTorch's |",
        "|---|---|---|---|---|---|",
    ]
    for case, rows in rows_by_case(runs).items():
        ratios = [row["ratio"] for row in rows]
        ours = median(row["contestants"][SCRATCHNET]["seconds"] for row in rows)
        theirs = median(row["contestants"][row["better_layout"]]["seconds"] for row in rows)
        low, high = min(ratios), max(ratios)
        cells = [case, _ms(ours), _ms(theirs), f"{median(ratios):.2f}", f"{low:.2f}–{high:.2f}", _memory(rows)]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.3g} ms" if seconds < 1 else f"{1e3 * seconds:.0f} ms"


def _memory(rows: Sequence[Row]) -> str:
    """Return the peaks of both libraries in the first run that measured them, or nothing."""
    for row in rows:
        peaks = {name: found.get("peak_bytes") for name, found in row["contestants"].items()}
        theirs = [peaks[name] for name in LAYOUTS if peaks.get(name)]
        if peaks[SCRATCHNET] and theirs:
            return f"{peaks[SCRATCHNET] / 1e6:.0f} MB, {min(theirs) / 1e6:.0f} MB"
    return ""


def main(arguments: list[str]) -> None:
    """Print the table of the files."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN.json")
    files = parser.parse_args(arguments).runs
    print("\n".join(table([json.loads(file.read_text(encoding="utf-8"))["rows"] for file in files])))


if __name__ == "__main__":
    main(sys.argv[1:])
