"""TensorBoard's event files: the log of a run and a few pictures, for ``tensorboard --logdir RUN``.

The files are written with the package `tensorboard`, record by record and without a thread of its own, and need neither
TensorFlow nor PyTorch. It is imported when the first epoch is complete, so it does not delay the start.
"""

import io
import math
import os
import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from scratchnet.arrays import Array

_SUFFIX = "scratchnet"
"""End of the names of the files, by which a later run recognises those that it may remove."""


def is_installed() -> bool:
    """Return whether the package `tensorboard` is installed, without importing it."""
    return find_spec("tensorboard") is not None


class EventFile:
    """The event file of one process; the step is the epoch.

    Parameters
    ----------
    folder : Path
        Folder of the run.
    epoch : int
        Epochs of the run that are complete. Event files of a run that has not come so far belong to another one and are
        removed; epochs that the existing files contain are not written again.
    """

    def __init__(self, folder: Path, epoch: int) -> None:
        self.path = folder / f"events.out.tfevents.{int(time.time()):010d}.{os.getpid()}.{_SUFFIX}"
        earlier = sorted(folder.glob(f"events.out.tfevents.*.{_SUFFIX}"))
        self.written = max(map(_last_step, earlier), default=0)
        if self.written > epoch:
            for path in earlier:
                path.unlink()
            self.written = 0

    def add(self, rows: Sequence[Mapping[str, Any]], pictures: Mapping[str, Array]) -> None:
        """Write the rows of the log that are not in a file yet, and pictures (h, w, 3) uint8 for the last of them."""
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.record_writer import RecordWriter

        new = [row for row in rows if row["epoch"] > self.written]
        if not new:
            return
        now, begun = time.time(), self.path.exists()
        events = [] if begun else [Event(wall_time=now, file_version="brain.Event:2")]
        for row in new:
            values = [Summary.Value(tag=tag, simple_value=value) for tag, value in _scalars(row).items()]
            if row is new[-1]:
                images = {f"example/{name}": Summary.Image(**_png(pixels)) for name, pixels in pictures.items()}
                values += [Summary.Value(tag=tag, image=image) for tag, image in images.items()]
            events.append(Event(wall_time=now, step=row["epoch"], summary=Summary(value=values)))
        with self.path.open("ab") as file:
            writer = RecordWriter(file)
            for event in events:
                writer.write(event.SerializeToString())
        self.written = new[-1]["epoch"]


def _last_step(path: Path) -> int:
    """Return the last step in an event file; a record that was cut off at the end is skipped."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    return max((int(event.step) for event in EventFileLoader(str(path)).Load()), default=0)


def _scalars(row: Mapping[str, Any]) -> dict[str, float]:
    """Return the columns of the log that are finite numbers, without the epoch itself."""
    given = {tag: value for tag, value in row.items() if tag != "epoch" and isinstance(value, int | float)}
    return {tag: float(value) for tag, value in given.items() if math.isfinite(value)}


def _png(pixels: Array) -> dict[str, Any]:
    """Return a picture as the fields of TensorBoard's message."""
    data = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(data, "PNG")
    height, width, _ = pixels.shape
    return {"height": height, "width": width, "colorspace": 3, "encoded_image_string": data.getvalue()}
