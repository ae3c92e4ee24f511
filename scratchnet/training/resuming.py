"""Check that a run may continue from a checkpoint: network, preprocessing, optimiser and images must agree."""

from pathlib import Path

from scratchnet.config import TrainingSettings
from scratchnet.data import Preprocessing
from scratchnet.network import Network
from scratchnet.network.description import describe
from scratchnet.training.commands import start_from_command
from scratchnet.training.contents import Checkpoint, ModelSpec
from scratchnet.training.optimizers import WeightAverage
from scratchnet.training.setup import make_optimizer
from scratchnet.utils.errors import UserError
from scratchnet.utils.options import for_caller, option


def check_same(
    path: Path, last: Checkpoint, wanted: ModelSpec, settings: TrainingSettings, network: Network | None
) -> None:
    """Refuse to continue from a checkpoint that belongs to another run.

    Parameters
    ----------
    path : Path
        Path of the checkpoint, for messages.
    last : Checkpoint
    wanted : ModelSpec
        Spec of the run that is to continue.
    settings : TrainingSettings
        Settings of the run.
    network : Network or None
        The network to train if the spec does not build it.

    Raises
    ------
    UserError
        Naming the difference.
    """
    elsewhere = f"choose another {option('out' if network is None else 'folder')}"
    stored = last.spec
    for name in ("model", "options", "classes"):
        if getattr(wanted, name) != getattr(stored, name):
            raise UserError(
                f"{path}: was trained with {name} {getattr(stored, name)!r}, not {getattr(wanted, name)!r}; "
                f"resume with the same settings or {elsewhere}"
            )
    if network is not None and describe(network)["steps"] != describe(last.network)["steps"]:
        raise UserError(f"{path}: was trained with another network; build the same one or {elsewhere}")
    _check_preprocessing(path, stored.preprocessing, wanted.preprocessing)
    _check_optimizer(path, last, settings)
    _check_validation(path, stored, settings)
    _check_images(path, stored, wanted, named=network is None)


def _check_images(path: Path, stored: ModelSpec, wanted: ModelSpec, *, named: bool) -> None:
    """Check that training and validation images are those of the run, which the command line started if ``named``."""
    elsewhere = f"choose another {option('out' if named else 'folder')}"
    python = "start from its weights with load_matching_parameters"
    command = f"start from its weights: `{start_from_command(path.parent)}`"
    choices = f"put them back, {elsewhere}, or {for_caller(command, python)}"
    if wanted.data.get("held_out") != stored.data.get("held_out"):
        raise UserError(
            f"{path}: other images were held back for validation then (files added, removed or renamed, or another "
            f"{option('seed')} or {option('val_fraction')}); {choices}"
        )
    old, new = (spec.data.get("training_images") for spec in (stored, wanted))
    if old and new and old != new:
        raise UserError(
            f"{path}: was trained on other images ({old['count']} then, {new['count']} now, by name); {choices}"
        )


def _check_preprocessing(path: Path, stored: Preprocessing, wanted: Preprocessing) -> None:
    """Check the settings of the preprocessing; its statistics may differ, those of the checkpoint are used."""
    for name in ("normalization", "resize", "range"):
        old, new = getattr(stored, name), getattr(wanted, name)
        if new != old:
            raise UserError(f"{path}: was trained with {name} {old}, not {new}; leave out {option(name)}")


def _check_validation(path: Path, stored: ModelSpec, settings: TrainingSettings) -> None:
    """Check that the scores of the epochs stay comparable."""
    known = stored.settings.get("training", {})  # {} for a run that was started from Python
    old = known.get("val_samples", settings.val_samples)
    if old != settings.val_samples:
        raise UserError(
            f"{path}: was validated on {old or 'all'} images, not {settings.val_samples or 'all'}, so that the scores "
            f"could not be compared; resume with the same {option('val_samples')}"
        )


def _check_optimizer(path: Path, last: Checkpoint, settings: TrainingSettings) -> None:
    """Check that a checkpoint holds the arrays of the optimiser and of the averaged weights."""
    stored, expected = dict(last.optimizer_state), make_optimizer(settings).names
    average, statistics = WeightAverage.names
    averaged = stored.pop(average, None) is not None
    stored.pop(statistics, None)
    if averaged != (settings.ema is not None):
        has = "an" if averaged else "no"
        raise UserError(f"{path}: holds {has} average of the weights; resume with the same {option('ema')}")
    if set(stored) != set(expected):
        raise UserError(
            f"{path}: holds the state of another optimiser ({', '.join(stored) or 'none'}), expected "
            f"{', '.join(expected)}; resume with the same {option('optimizer')}"
        )
