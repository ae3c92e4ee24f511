"""Setting a training up: network, starting values, preprocessing, loss."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from scratchnet.cli.checks import check_images, memory_note
from scratchnet.cli.parsing import say
from scratchnet.config import ClassWeights, TrainSettings
from scratchnet.data import CAMVID_WEIGHTS, BorderWeights, Dataset, SampleSource, measure, median_frequency_weights
from scratchnet.interop.vgg16 import read_vgg16
from scratchnet.losses import PixelLoss
from scratchnet.models import build
from scratchnet.training.batches import TrainingData
from scratchnet.training.contents import ModelSpec
from scratchnet.training.distributed.process_group import ProcessGroup
from scratchnet.training.run import TrainingRun
from scratchnet.training.run_folder import LAST
from scratchnet.training.setup import freeze
from scratchnet.training.warm_start import load_matching_parameters
from scratchnet.utils.errors import UserError


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
    views : (SampleSource, SampleSource)
        Training and validation images as the network gets them.
    files : (Dataset, Dataset)
        The same images as they are.
    resume : bool
        Go on where the folder's run stands, if there is one.
    ranks : Ranks or None
        The processes that train together, if there are several.

    Raises
    ------
    UserError
        When something does not fit; nothing is written then.
    """
    t, model, options, classes = settings.training, settings.model.model, settings.model.options(), files[1].classes
    network = build(model, len(classes), **options)
    freeze(network, t)
    fresh = not (resume and (Path(settings.out) / LAST).exists())
    start = read_vgg16(t.init_weights, network) if t.init_weights and fresh else None
    check_images(settings, network, views, files)
    if (ranks is None or ranks.size == 1) and (note := memory_note(settings, network, views[0])):
        say(note)
    # Boxes have black borders, which are no part of an image.
    measured = views[0] if settings.curriculum.stage is None else files[0]
    preprocessing = replace(measure(measured, settings.normalization, settings.data.resize), range=settings.data.range)
    about: dict[str, Any] = {"held_out": list(files[1].names)}
    if files[0].colours is not None:
        about["colours"] = [list(colour) for colour in files[0].colours]
    spec = ModelSpec(model, options, classes, preprocessing, about, asdict(settings))
    loss, border = _loss(settings, views[0])
    data = TrainingData(*views, settings.augmentation, border)
    run = TrainingRun(Path(settings.out), spec, t, data, loss, resume=resume, ranks=ranks)
    if start is not None:
        start.apply(run.network)
        say(
            f"{len(start.steps)} layers, {start.steps[0]} to {start.steps[-1]}, start from {t.init_weights}; "
            f"pixels are prepared as for {settings.normalization}"
        )
        for remark in start.left_out:
            say(remark)
    if t.start_from and fresh:
        say(load_matching_parameters(run.network, t.start_from))
    return run


def _loss(settings: TrainSettings, source: SampleSource) -> tuple[PixelLoss, BorderWeights | None]:
    """Return the loss, and what weighs the pixels between objects if that is wanted."""
    t, ignored, border = settings.training, settings.data.ignore_index, None
    weights = _class_weights(t.class_weights, source)
    if t.border_weight:  # its map holds the classes' weights
        border, weights = BorderWeights(t.border_weight, t.border_sigma, weights, ignored), None
    more = t.label_smoothing, t.focal_gamma, t.tversky_alpha, t.tversky_beta
    return PixelLoss(len(source.classes), t.loss, weights, ignored, t.loss_normalization, *more), border


def _class_weights(wanted: ClassWeights | tuple[float, ...] | None, source: SampleSource) -> tuple[float, ...] | None:
    """Return one weight a class, or None where none are wanted."""
    if wanted is None:
        return None
    if wanted == "median-frequency":
        return tuple(float(w) for w in median_frequency_weights(source))
    weights = CAMVID_WEIGHTS if isinstance(wanted, str) else wanted
    if len(weights) != len(source.classes):
        raise UserError(
            f"--class-weights: {len(weights)} were given for {len(source.classes)} classes "
            f"({', '.join(source.classes)}); give one a class"
        )
    return weights
