"""The log of a training: one row an epoch."""

import csv
import io
from pathlib import Path
from typing import Any

from scratchnet.inference import Evaluation
from scratchnet.utils.files import atomic_write

KIND = "log"
"""Kind of the file, see :mod:`scratchnet.utils.signatures`."""


def summary(found: Evaluation) -> dict[str, float]:
    """Return the columns of the log that come from an evaluation."""
    m = found.metrics
    columns = {"val_loss": found.loss, "val_accuracy": m.accuracy, "val_mean_iou": m.mean_iou}
    return columns | ({"val_iou_foreground": m.iou[1]} if len(m.iou) == 2 else {})


def write_log(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows, at least one, as a CSV file."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    with atomic_write(path, KIND) as file:
        file.write(text.getvalue().encode())
