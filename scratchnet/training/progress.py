"""Progress of a training: epochs, updates, the best score, the learning rate, and when to stop."""

import math
from typing import Any

from scratchnet.config import DEFAULT_EPOCHS, TrainingSettings
from scratchnet.training.setup import make_schedule


class Progress:
    """Counts epochs and updates, keeps the log and the best score, and decides when a training ends.

    Parameters
    ----------
    settings : TrainingSettings
    batches_per_epoch : int

    Attributes
    ----------
    epoch, iteration : int
        Epochs and updates completed.
    best_score, best_epoch
        Highest validation mean IoU so far, and its epoch.
    rows : list of dict
        The log, one dict an epoch.
    schedule : Schedule
        The learning rate.
    """

    def __init__(self, settings: TrainingSettings, batches_per_epoch: int) -> None:
        self.settings = settings
        self.updates_per_epoch = math.ceil(batches_per_epoch / settings.gradient_accumulation)
        self.epoch, self.iteration = 0, 0
        self.best_score, self.best_epoch = -1.0, 0
        self.rows: list[dict[str, Any]] = []
        self.schedule = make_schedule(settings)

    @property
    def total_updates(self) -> int:
        """Updates of the whole training."""
        epochs, iterations = self.settings.epochs, self.settings.iterations
        if epochs is None:
            return iterations or DEFAULT_EPOCHS * self.updates_per_epoch
        return min(epochs * self.updates_per_epoch, iterations or 1 << 62)

    @property
    def total_epochs(self) -> int:
        """Epochs of the whole training; the last one may be cut short."""
        return math.ceil(self.total_updates / self.updates_per_epoch)

    @property
    def out_of_updates(self) -> bool:
        """Whether all updates have been made."""
        return self.iteration >= self.total_updates

    @property
    def done(self) -> bool:
        """Whether the training has ended: no updates left, or no better score within the patience."""
        patience = self.settings.patience
        validated = bool(self.rows) and self.rows[-1]["val_mean_iou"] is not None
        stale = patience is not None and validated and self.epoch - self.best_epoch >= patience
        return self.out_of_updates or stale

    @property
    def validates(self) -> bool:
        """Whether the epoch that has just been trained is followed by a validation."""
        return self.epoch % self.settings.val_every == 0 or self.out_of_updates

    @property
    def learning_rate(self) -> float:
        """Learning rate of the next update."""
        return self.schedule.at(self.epoch, self.iteration, self.total_updates)

    def finish_epoch(self, row: dict[str, Any], score: float | None) -> bool:
        """Add an epoch to the log; return whether its score, None without a validation, is the best so far."""
        self.rows.append(row)
        if score is None:
            self.schedule.waited += 1
            return False
        improved = not score <= self.best_score
        self.schedule.note(improved)
        if improved:
            self.best_score, self.best_epoch = score, self.epoch
        return improved

    def to_dict(self) -> dict[str, Any]:
        """Return everything that a checkpoint must hold, JSON-ready."""
        return {
            "epoch": self.epoch,
            "iteration": self.iteration,
            "best_score": self.best_score,
            "best_epoch": self.best_epoch,
            "drops": self.schedule.drops,
            "waited": self.schedule.waited,
            "rows": self.rows,
        }

    def restore(self, stored: dict[str, Any]) -> None:
        """Continue from what :meth:`to_dict` returned."""
        for name in ("epoch", "iteration", "best_score", "best_epoch", "rows"):
            setattr(self, name, stored[name])
        self.schedule.drops, self.schedule.waited = stored["drops"], stored["waited"]
