"""The plan of a training: the settings that its user has not given, each with a reason."""

from collections.abc import Iterable
from dataclasses import dataclass

from scratchnet.config import TrainSettings
from scratchnet.planning.augmenting import choose_augmentation
from scratchnet.planning.balancing import choose_balance
from scratchnet.planning.draft import UNLIMITED, Budget, Decision, Draft
from scratchnet.planning.length import choose_length
from scratchnet.planning.look import DataSummary
from scratchnet.planning.model import choose_model
from scratchnet.planning.sizes import choose_sizes


@dataclass(frozen=True)
class Plan:
    """Settings, and the decisions that led to them.

    Attributes
    ----------
    settings : TrainSettings
    decisions : tuple of Decision
    """

    settings: TrainSettings
    decisions: tuple[Decision, ...]


def make_plan(settings: TrainSettings, given: Iterable[str], data: DataSummary, budget: Budget = UNLIMITED) -> Plan:
    """Choose the settings of a training.

    Parameters
    ----------
    settings : TrainSettings
        The defaults, with the values that the user has given.
    given : iterable of str
        Names of the settings that the user has given; they are kept, and the others adapt to them.
    data : DataSummary
    budget : Budget
        Limits that follow from the available time.

    Returns
    -------
    Plan
        The same for the same arguments: no clock is read and no file.
    """
    draft = Draft(settings, frozenset(given), data, budget)
    for step in (choose_model, choose_sizes, choose_augmentation, choose_balance, choose_length):
        step(draft)
    return Plan(draft.settings, tuple(draft.decisions))
