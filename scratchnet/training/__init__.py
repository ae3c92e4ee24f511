"""Learning: optimisers, schedules, checkpoints, and the run that ties them together."""

from scratchnet.training.checkpoints import (
    Checkpoint,
    Recipe,
    load_checkpoint,
    load_network,
    save_checkpoint,
    save_network,
)
from scratchnet.training.optimizers import SGD, Adam, AdamW, WeightAverage
from scratchnet.training.recalibration import recalibrate
from scratchnet.training.schedules import Schedule

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "Checkpoint",
    "Recipe",
    "Schedule",
    "WeightAverage",
    "load_checkpoint",
    "load_network",
    "recalibrate",
    "save_checkpoint",
    "save_network",
]
