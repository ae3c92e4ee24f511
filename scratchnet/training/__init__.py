"""Training: optimisers, schedules, checkpoints, the training loop and runs in a folder."""

from scratchnet.config import TrainingSettings
from scratchnet.training.batch_norm_calibration import recalibrate
from scratchnet.training.checkpoints import load_checkpoint, load_network, save_checkpoint, save_network
from scratchnet.training.contents import Checkpoint, ModelSpec
from scratchnet.training.optimizers import SGD, Adam, AdamW, WeightAverage
from scratchnet.training.schedules import Schedule
from scratchnet.training.trainer import Trainer
from scratchnet.training.warm_start import load_matching_parameters

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "Checkpoint",
    "ModelSpec",
    "Schedule",
    "Trainer",
    "TrainingSettings",
    "WeightAverage",
    "load_checkpoint",
    "load_matching_parameters",
    "load_network",
    "recalibrate",
    "save_checkpoint",
    "save_network",
]
