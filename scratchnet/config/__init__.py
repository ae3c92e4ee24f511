"""Settings, in groups: their names are the flags of the command line and the keys of TOML files."""

from scratchnet.config.checks import check_data_settings, check_settings
from scratchnet.config.files import differences, read_settings, recipe_names, settings_from, write_settings
from scratchnet.config.settings import (
    DEFAULT_EPOCHS,
    ClassWeights,
    DataSettings,
    ModelOptions,
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
    "ModelOptions",
    "ModelSettings",
    "OptimizerName",
    "ScheduleName",
    "TrainSettings",
    "TrainingSettings",
    "check_data_settings",
    "check_settings",
    "differences",
    "read_settings",
    "recipe_names",
    "settings_from",
    "write_settings",
]
