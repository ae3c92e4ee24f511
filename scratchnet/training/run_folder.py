"""The folder of a training run: the best and the last checkpoint, and the log."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scratchnet.layers.base import Layer
from scratchnet.training.checkpoints import load_checkpoint, save_checkpoint
from scratchnet.training.contents import Checkpoint
from scratchnet.training.logs import write_log

BEST, LAST, LOG = "checkpoint.npz", "last.npz", "log.csv"
CHECKPOINT = "checkpoint"
"""Kind of the files, see :mod:`scratchnet.utils.signatures`."""


class RunFolder:
    """Reads and writes the files of a run.

    Parameters
    ----------
    path : Path
    layers : sequence of type
        Layer classes of the network that are not scratchnet's.
    writes : bool
        False in all processes of a group except the first: they write nothing.
    """

    def __init__(self, path: Path, layers: Sequence[type[Layer]] = (), writes: bool = True) -> None:
        self.path, self.layers, self.writes = path, layers, writes

    @property
    def has_best(self) -> bool:
        """Whether the best checkpoint exists."""
        return (self.path / BEST).exists()

    @property
    def has_last(self) -> bool:
        """Whether the checkpoint to resume from exists."""
        return (self.path / LAST).exists()

    @property
    def has_log(self) -> bool:
        """Whether the log exists."""
        return (self.path / LOG).exists()

    def load_best(self) -> Checkpoint:
        """Read the best checkpoint."""
        return load_checkpoint(self.path / BEST, self.layers)

    def load_last(self) -> Checkpoint:
        """Read the checkpoint to resume from."""
        return load_checkpoint(self.path / LAST, self.layers)

    def save_best(self, checkpoint: Checkpoint) -> None:
        """Write the best checkpoint."""
        if self.writes:
            save_checkpoint(self.path / BEST, checkpoint, CHECKPOINT)

    def save_last(self, checkpoint: Checkpoint) -> None:
        """Write the checkpoint to resume from."""
        if self.writes:
            save_checkpoint(self.path / LAST, checkpoint, CHECKPOINT)

    def save_log(self, rows: list[dict[str, Any]]) -> None:
        """Write the log, one row an epoch."""
        if self.writes:
            write_log(self.path / LOG, rows)
