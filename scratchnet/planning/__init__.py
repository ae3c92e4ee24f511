"""The settings that a training gets when its user chooses none: a plan, computed from a look at the data."""

from scratchnet.planning.draft import Decision
from scratchnet.planning.look import DataSummary, look
from scratchnet.planning.plan import Plan, make_plan

__all__ = ["DataSummary", "Decision", "Plan", "look", "make_plan"]
