"""How the learning rate changes while a network learns."""

from dataclasses import dataclass

from scratchnet.config import ScheduleName


@dataclass
class Schedule:
    """The learning rate at any time.

    Attributes
    ----------
    name : "constant", "step", "poly" or "plateau"
        - step: times ``factor`` after every ``every`` epochs;
        - poly: ``rate · (1 − progress)^power``, falling to 0 at the end of the training;
        - plateau: times ``factor`` when the validation score has not risen for ``every`` epochs.
    rate : float
        At the start.
    factor, power : float
    every : int
        Epochs.
    drops : int
        How often plateau has lowered the rate; a checkpoint holds it.
    waited : int
        Epochs since the score rose or the rate fell, for plateau; a checkpoint holds it.
    """

    name: ScheduleName = "constant"
    rate: float = 0.01
    factor: float = 0.1
    every: int = 10
    power: float = 0.9
    drops: int = 0
    waited: int = 0

    def at(self, epoch: int, progress: float) -> float:
        """Return the learning rate.

        Parameters
        ----------
        epoch : int
            Counted from 0.
        progress : float
            Share of all updates that are done, 0 … 1.
        """
        if self.name == "step":
            return self.rate * self.factor ** (epoch // self.every)
        if self.name == "poly":
            return float(self.rate * max(0.0, 1 - progress) ** self.power)
        return self.rate * self.factor**self.drops

    def note(self, improved: bool) -> None:
        """Take note of an epoch's validation score."""
        self.waited = 0 if improved else self.waited + 1
        if self.name == "plateau" and self.waited >= self.every:
            self.drops, self.waited = self.drops + 1, 0
