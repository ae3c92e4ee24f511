"""Learning rate schedules."""

from dataclasses import dataclass
from math import cos, pi
from typing import get_args

from scratchnet.config import ScheduleName
from scratchnet.utils.validation import choice, integer, number


@dataclass
class Schedule:
    """The learning rate as a function of epoch and update.

    Attributes
    ----------
    name : "constant", "step", "poly", "cosine" or "plateau"
        - step: multiplied by ``decay`` every ``step_epochs`` epochs, or every ``step_updates`` updates if that is set;
        - poly: ``rate · (1 − progress)^power``, falling to 0 at the end of the training;
        - cosine: ``rate · ½(1 + cos(π · progress))``, likewise (Loshchilov and Hutter 2017, "SGDR", without restarts);
        - plateau: multiplied by ``decay`` when the validation score has not risen for ``step_epochs`` epochs.
    rate : float
        Learning rate at the start.
    decay : float
        Factor of step and plateau.
    step_epochs : int
    step_updates : int or None
    power : float
        Exponent of poly.
    warmup_updates : int
        Number of updates at the start in which the rate rises linearly from rate / (warmup_updates + 1) to the
        schedule's; the progress of cosine is counted from their end.
    drops : int
        Number of times that plateau has lowered the rate; stored in checkpoints.
    waited : int
        Epochs since the score rose or the rate fell, for plateau; stored in checkpoints.
    """

    name: ScheduleName = "constant"
    rate: float = 0.01
    decay: float = 0.1
    step_epochs: int = 10
    step_updates: int | None = None
    power: float = 0.9
    warmup_updates: int = 0
    drops: int = 0
    waited: int = 0

    def __post_init__(self) -> None:
        choice(self.name, "Schedule: name", get_args(ScheduleName))
        for name in ("rate", "decay", "power"):
            setattr(self, name, number(getattr(self, name), f"Schedule: {name}", 0))
        for name, minimum in (("step_epochs", 1), ("warmup_updates", 0), ("drops", 0), ("waited", 0)):
            setattr(self, name, integer(getattr(self, name), f"Schedule: {name}", minimum))
        if self.step_updates is not None:
            self.step_updates = integer(self.step_updates, "Schedule: step_updates", 1)

    def at(self, epoch: int, updates: int, total: int) -> float:
        """Return the learning rate of the next update.

        Parameters
        ----------
        epoch : int
            Counted from 0.
        updates, total : int
            Number of updates made, and of updates in the whole training.
        """
        if updates < self.warmup_updates:
            rise = (updates + 1) / (self.warmup_updates + 1)
            return rise * self._without_warmup(epoch, self.warmup_updates if self.name == "cosine" else updates, total)
        return self._without_warmup(epoch, updates, total)

    def _without_warmup(self, epoch: int, updates: int, total: int) -> float:
        """Return the rate without warm-up."""
        if self.name == "cosine":
            progress = (updates - self.warmup_updates) / max(1, total - self.warmup_updates)
            return self.rate * 0.5 * (1 + cos(pi * min(1.0, progress)))
        if self.name == "step":
            steps = updates // self.step_updates if self.step_updates else epoch // self.step_epochs
            return self.rate * self.decay**steps
        if self.name == "poly":
            return float(self.rate * max(0.0, 1 - updates / total) ** self.power)
        return self.rate * self.decay**self.drops

    def note(self, improved: bool) -> None:
        """Record whether an epoch has improved the validation score."""
        self.waited = 0 if improved else self.waited + 1
        if self.name == "plateau" and self.waited >= self.step_epochs:
            self.drops, self.waited = self.drops + 1, 0
