"""Make the optimiser and the schedule that settings describe, and freeze the parameters that they name."""

from scratchnet.config import TrainingSettings
from scratchnet.network import Network
from scratchnet.training.optimizers import SGD, Adam, AdamW, Optimizer
from scratchnet.training.schedules import Schedule
from scratchnet.utils.errors import UserError
from scratchnet.utils.options import option


def make_optimizer(settings: TrainingSettings) -> Optimizer:
    """Return the optimiser that the settings describe; its arrays are made by its first step."""
    if settings.optimizer == "sgd":
        return SGD(settings.momentum, settings.weight_decay, settings.bias_lr_multiplier, settings.nesterov)
    kind = AdamW if settings.optimizer == "adamw" else Adam
    return kind(settings.weight_decay, settings.bias_lr_multiplier)


def make_schedule(settings: TrainingSettings) -> Schedule:
    """Return the schedule that the settings describe."""
    return Schedule(
        settings.schedule,
        settings.learning_rate,
        settings.lr_decay,
        settings.lr_step_epochs,
        settings.lr_step_updates,
        warmup_updates=settings.warmup_updates,
    )


def freeze(network: Network, settings: TrainingSettings) -> None:
    """Freeze the parameters that the settings name, and unfreeze all others.

    Raises
    ------
    UserError
        When a pattern matches no parameter, or nothing is left to train.
    """
    network.unfreeze()
    try:
        if settings.freeze:
            network.freeze(*settings.freeze, statistics=settings.freeze_statistics)
    except ValueError as error:
        raise UserError(f"{option('freeze')}: {error}") from error
    if len(network.frozen()) == len(network.parameters()):
        raise UserError(f"{option('freeze', settings.freeze)}: freezes all parameters; nothing is left to train")
