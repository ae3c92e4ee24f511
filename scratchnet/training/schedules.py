"""How the learning rate changes while a network learns."""

from dataclasses import dataclass

from scratchnet.config import ScheduleName


@dataclass
class Schedule:
    """The learning rate at any time.

    Attributes
    ----------
    name : "constant", "step", "poly" or "plateau"
        - step: times ``factor`` after every ``every`` epochs, or after every ``every_updates`` updates if that is set;
        - poly: ``rate · (1 − progress)^power``, falling to 0 at the end of the training;
        - plateau: times ``factor`` when the validation score has not risen for ``every`` epochs.
    rate : float
        At the start.
    factor, power : float
    every : int
        Epochs.
    every_updates : int or None
    drops : int
        How often plateau has lowered the rate; a checkpoint holds it.
    waited : int
        Epochs since the score rose or the rate fell, for plateau; a checkpoint holds it.
    """

    name: ScheduleName = "constant"
    rate: float = 0.01
    factor: float = 0.1
    every: int = 10
    every_updates: int | None = None
    power: float = 0.9
    drops: int = 0
    waited: int = 0

    def at(self, epoch: int, updates: int, total: int) -> float:
        """Return the learning rate.

        Parameters
        ----------
        epoch : int
            Counted from 0.
        updates, total : int
            How many updates are done, and how many there will be.
        """
        if self.name == "step":
            steps = updates // self.every_updates if self.every_updates else epoch // self.every
            return self.rate * self.factor**steps
        if self.name == "poly":
            return float(self.rate * max(0.0, 1 - updates / total) ** self.power)
        return self.rate * self.factor**self.drops

    def note(self, improved: bool) -> None:
        """Take note of an epoch's validation score."""
        self.waited = 0 if improved else self.waited + 1
        if self.name == "plateau" and self.waited >= self.every:
            self.drops, self.waited = self.drops + 1, 0
