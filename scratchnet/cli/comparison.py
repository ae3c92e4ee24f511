"""Comparison of checkpoints: a table to print and a file to write."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from scratchnet.evaluation import SIZE_BINS, Metrics
from scratchnet.evaluation.metrics import number
from scratchnet.inference import Evaluation
from scratchnet.utils.signatures import signature

COMPARISON = "comparison"
"""Kind of the file."""


def comparison_text(rows: Sequence[tuple[str, str, Evaluation]], rivals: Mapping[str, Metrics]) -> str:
    """Return a table with one line per checkpoint (path, model, evaluation) and per baseline.

    With two classes, Dice is that of the foreground; with more, the mean over the classes that occur. "small", "medium"
    and "large" are the mean IoU of objects by size.
    """
    head = ["", "model", "accuracy", "mean acc.", "mean IoU", "f.w. IoU", "Dice", "BF", "band IoU", *SIZE_BINS]
    lines = [[path, model, *_measures(found)] for path, model, found in rows]
    lines += [[name, "", *_shared(m), *["–"] * (2 + len(SIZE_BINS))] for name, m in rivals.items()]
    if rows[0][2].details is not None:
        counts = [str(rows[0][2].details.sizes[name].objects) for name in SIZE_BINS]
        lines.append(["number of objects", *[""] * (len(head) - 1 - len(SIZE_BINS)), *counts])
    widths = [max(len(line[i]) for line in (head, *lines)) for i in range(len(head))]
    return "\n".join(
        "  ".join(
            f"{cell:<{width}}" if i < 2 else f"{cell:>{width}}"
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in (head, *lines)
    )


def comparison_document(
    rows: Sequence[Mapping[str, Any]], rivals: Mapping[str, Metrics], about: Mapping[str, Any]
) -> dict[str, Any]:
    """Return all metrics of all checkpoints, the baselines, and a description of the measurement, JSON-ready."""
    return {
        "file": signature(COMPARISON),
        **about,
        "checkpoints": list(rows),
        "baselines": {name: m.to_dict() for name, m in rivals.items()},
    }


def _measures(found: Evaluation) -> list[str]:
    """Return the cells of a checkpoint's line."""
    details = found.details
    assert details is not None
    own = [details.bf, details.band.mean_iou, *(details.sizes[name].iou for name in SIZE_BINS)]
    return [*_shared(found.metrics), *map(number, own)]


def _shared(m: Metrics) -> list[str]:
    """Return the cells that come from the confusion matrix."""
    occurring = [d for d, pixels in zip(m.dice, m.pixels, strict=True) if pixels]
    dice = m.dice[1] if len(m.dice) == 2 else float(np.mean(occurring)) if occurring else np.nan
    return [number(value) for value in (m.accuracy, m.mean_accuracy, m.mean_iou, m.fw_iou, dice)]
