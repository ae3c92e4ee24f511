"""Settings: a group of fields a subject, whose names are the flags of the command line and the keys of TOML files."""

from scratchnet.config.checks import check_data_settings, check_settings
from scratchnet.config.files import read_settings, recipe_names, write_settings
from scratchnet.config.settings import (
    DEFAULT_EPOCHS,
    ClassWeights,
    DataSettings,
    ModelSettings,
    OptimizerName,
    ScheduleName,
    TrainingSettings,
    TrainSettings,
)

__all__ = [
    "DEFAULT_EPOCHS",
    "ClassWeights",
    "DataSettings",
    "ModelSettings",
    "OptimizerName",
    "ScheduleName",
    "TrainSettings",
    "TrainingSettings",
    "check_data_settings",
    "check_settings",
    "read_settings",
    "recipe_names",
    "write_settings",
]
