"""Settings in the making, each with a reason."""

from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from scratchnet.config import TrainSettings
from scratchnet.planning.look import DataSummary


@dataclass(frozen=True)
class Decision:
    """A setting that was chosen, and why.

    Attributes
    ----------
    name : str
        Name of the setting, such as ``"crop"``.
    value : object
    reason : str
    """

    name: str
    value: Any
    reason: str


@dataclass(frozen=True)
class Budget:
    """Limits that follow from the available time.

    Attributes
    ----------
    updates : int or None
        Number of updates; None derives it from the number of images.
    width : float or None
        Width of the network; None takes the usual one.
    """

    updates: int | None = None
    width: float | None = None


UNLIMITED = Budget()


class Draft:
    """Settings in the making: a setting that the user has given is never changed.

    Attributes
    ----------
    settings : TrainSettings
    given : frozenset of str
    data : DataSummary
    budget : Budget
    decisions : list of Decision
    """

    def __init__(
        self, settings: TrainSettings, given: frozenset[str], data: DataSummary, budget: Budget = UNLIMITED
    ) -> None:
        self.settings, self.given, self.data, self.budget = settings, given, data, budget
        self.decisions: list[Decision] = []

    def free(self, *names: str) -> bool:
        """Return whether none of these settings is given."""
        return not self.given & set(names)

    def choose(self, name: str, value: Any, reason: str) -> None:
        """Set one setting, unless it is given."""
        if self.free(name) and value is not None:
            self.settings = _with(self.settings, name, value)
            self.decisions.append(Decision(name, value, reason))


def _with(settings: TrainSettings, name: str, value: Any) -> TrainSettings:
    """Return settings with one value replaced, wherever it is."""
    for field in fields(settings):
        group = getattr(settings, field.name)
        if is_dataclass(group) and name in {inner.name for inner in fields(group)}:
            changed: Any = replace(group, **{name: value})  # type: ignore[type-var]
            return replace(settings, **{field.name: changed})
    raise ValueError(f"no setting '{name}'")
