"""Set up a training: network, initial weights, preprocessing and loss."""

import hashlib
from dataclasses import asdict, replace
from math import prod
from pathlib import Path
from typing import Any

from scratchnet.cli.checkpoints import say_origin
from scratchnet.cli.parsing import say
from scratchnet.cli.training_checks import check_images, memory_note
from scratchnet.config import ClassWeights, TrainSettings
from scratchnet.data import (
    CAMVID_WEIGHTS,
    BorderWeights,
    Dataset,
    SampleSource,
    fit_preprocessing,
    median_frequency_weights,
)
from scratchnet.data.frequencies import softened_weights
from scratchnet.interop.vgg16 import InitialWeights, read_vgg16
from scratchnet.losses import PixelLoss
from scratchnet.models import build
from scratchnet.network import Network
from scratchnet.training.batches import TrainingData
from scratchnet.training.contents import CLASS_WEIGHTS, LARGEST_IMAGE, ModelSpec
from scratchnet.training.distributed.process_group import ProcessGroup
from scratchnet.training.run import TrainingRun
from scratchnet.training.run_folder import LAST
from scratchnet.training.setup import freeze
from scratchnet.training.warm_start import load_matching_parameters
from scratchnet.utils.errors import UserError
from scratchnet.utils.verbosity import warn


def prepare_run(
    settings: TrainSettings,
    views: tuple[SampleSource, SampleSource],
    files: tuple[Dataset, Dataset],
    resume: bool,
    ranks: ProcessGroup | None = None,
) -> TrainingRun:
    """Check that data and network fit together, and set up the run.

    Parameters
    ----------
    settings : TrainSettings
    views, files : (SampleSource, SampleSource) and (Dataset, Dataset)
        Training and validation images, as the network receives them and as the files contain them.
    resume : bool
        Whether to continue the run in the folder, if there is one.
    ranks : ProcessGroup or None

    Raises
    ------
    UserError
        If something does not fit; nothing has been written then.
    """
    t, folder = settings.training, Path(settings.out)
    network = build(settings.model.model, len(files[1].classes), **settings.model.options())
    freeze(network, t)
    fresh = not (resume and (folder / LAST).exists())
    vgg16 = read_vgg16(t.init_weights, network) if t.init_weights and fresh else None
    check_images(settings, network, views, files)
    if (ranks is None or ranks.size == 1) and (note := memory_note(settings, network, views[0])):
        warn(note)
    weights = _balance(settings, views[0])
    loss, border = _loss(settings, views[0], weights)
    data = TrainingData(*views, settings.augmentation, border)
    run = TrainingRun(folder, _spec(settings, views[0], files, weights), t, data, loss, resume=resume, ranks=ranks)
    if vgg16 is not None:
        _apply_vgg16(vgg16, run.network, settings)
    if t.start_from and fresh:
        _start_from(run.network, t.start_from)
    return run


def _start_from(network: Network, word: str) -> None:
    """Copy the parameters of a checkpoint or a network in the box, and say so."""
    say(load_matching_parameters(network, word))
    say_origin(word)


def _apply_vgg16(weights: InitialWeights, network: Network, settings: TrainSettings) -> None:
    """Initialise the encoder with VGG16's weights, and say so."""
    weights.apply(network)
    say(
        f"{len(weights.steps)} layers, {weights.steps[0]} to {weights.steps[-1]}, start from "
        f"{settings.training.init_weights}; pixels are prepared as for {settings.normalization}"
    )
    for remark in weights.left_out:
        say(remark)


def _spec(
    settings: TrainSettings,
    train: SampleSource,
    files: tuple[Dataset, Dataset],
    weights: tuple[float, ...] | None,
) -> ModelSpec:
    """Return the spec for the run's checkpoints."""
    # Boxes have black borders that are no part of an image.
    measured = train if settings.curriculum.stage is None else files[0]
    preprocessing = replace(
        fit_preprocessing(measured, settings.normalization, settings.data.resize), range=settings.data.range
    )
    names = "\n".join(files[0].names)
    trained = {"count": len(files[0]), "sha256": hashlib.sha256(names.encode()).hexdigest()}
    about: dict[str, Any] = {
        "held_out": list(files[1].names),
        "training_images": trained,
        CLASS_WEIGHTS: weights and list(weights),
    }
    about[LARGEST_IMAGE] = max((files[0].size(index) for index in range(len(files[0]))), key=prod)
    if files[0].colours is not None:
        about["colours"] = [list(colour) for colour in files[0].colours]
    options, classes = settings.model.options(), files[1].classes
    return ModelSpec(settings.model.model, options, classes, preprocessing, about, asdict(settings))


def _balance(settings: TrainSettings, source: SampleSource) -> tuple[float, ...] | None:
    """Return one weight per class as the loss uses it, or None."""
    t = settings.training
    weights = _class_weights(t.class_weights, source)
    return None if weights is None else softened_weights(weights, t.class_weights_power, t.class_weights_cap)


def _loss(
    settings: TrainSettings, source: SampleSource, weights: tuple[float, ...] | None
) -> tuple[PixelLoss, BorderWeights | None]:
    """Return the loss, and the weights of pixels between objects if the settings ask for them."""
    t, ignored, border = settings.training, settings.data.ignore_index, None
    if t.border_weight:  # its map includes the weights of the classes
        border, weights = BorderWeights(t.border_weight, t.border_sigma, weights, ignored), None
    more = t.label_smoothing, t.focal_gamma, t.tversky_alpha, t.tversky_beta
    return PixelLoss(len(source.classes), t.loss, weights, ignored, t.loss_normalization, *more), border


def _class_weights(chosen: ClassWeights | tuple[float, ...] | None, source: SampleSource) -> tuple[float, ...] | None:
    """Return one weight per class as chosen, or None."""
    if chosen is None:
        return None
    if chosen == "median-frequency":
        return tuple(float(w) for w in median_frequency_weights(source))
    weights = CAMVID_WEIGHTS if isinstance(chosen, str) else chosen
    if len(weights) != len(source.classes):
        raise UserError(
            f"--class-weights: {len(weights)} were given for {len(source.classes)} classes "
            f"({', '.join(source.classes)}); give one per class"
        )
    return weights
