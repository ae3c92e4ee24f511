"""``scratchnet evaluate``: metrics of a trained network on images with masks, or of several side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from scratchnet.cli.batch_statistics import warn_of_large_images
from scratchnet.cli.checkpoints import say_origin
from scratchnet.cli.comparison import COMPARISON, comparison_document, comparison_text
from scratchnet.cli.datasets import open_split
from scratchnet.cli.evaluate_masks import check_masks_alone, evaluate_masks, find_masks, open_masks
from scratchnet.cli.flags import Positional
from scratchnet.cli.object_annotations import objects_of
from scratchnet.cli.output import OutputArguments
from scratchnet.cli.parsing import parse, say
from scratchnet.cli.prediction_arguments import PredictionArguments
from scratchnet.cli.reports import baselines, counts_text, metrics_document, results_text, write_confusion, write_json
from scratchnet.config import DataSettings, check_data_settings
from scratchnet.data import Dataset, Layout, MaskFormat, available_splits
from scratchnet.data.class_names import find_class_file
from scratchnet.evaluation import BAND_WIDTH, SIZE_EDGES, TOLERANCE, DetailCounter, Metrics
from scratchnet.evaluation.calibration import ReliabilityCounter
from scratchnet.inference import Evaluation, evaluate
from scratchnet.measurement import Separation
from scratchnet.measurement.image_scores import IMAGE_SCORES, ImageScores
from scratchnet.measurement.requirements import check_scikit_image
from scratchnet.measurement.tables import csv_bytes
from scratchnet.networks import is_in_the_box
from scratchnet.training.checkpoints import load_checkpoint
from scratchnet.training.contents import Checkpoint
from scratchnet.training.run_folder import RunFolder
from scratchnet.utils.errors import UserError
from scratchnet.utils.files import atomic_write, check_writable
from scratchnet.utils.progress import progress
from scratchnet.utils.signatures import METRICS

NOT_WRITTEN = "no file written; --out FOLDER writes metrics.json"


@dataclass(frozen=True)
class EvaluateArguments(PredictionArguments, OutputArguments):
    """Evaluate a trained network on images with masks; for two classes, two trivial baselines are shown as well.

    With --masks, masks in a folder are compared with those of the data set instead: those of another program, or of a
    second annotator.
    """

    data: str
    """Folder of the data set."""
    checkpoint: Annotated[str | None, Positional("[CHECKPOINT]")] = None
    """Written by `scratchnet train` as RUN/checkpoint.npz."""
    compare: tuple[str, ...] = ()
    """Evaluate these checkpoints side by side, CHECKPOINT first if given; the other flags apply to all of them."""
    masks: str | None = None
    """Folder with a mask for each image, by the same names, to evaluate instead of a network."""
    masks_format: MaskFormat | None = None
    """Format of the masks in --masks. Default: index for those that scratchnet wrote, else that of the data set."""
    per_image: str | None = None
    """Write a .csv table with the scores of each image: IoU and Dice of each class, accuracy, errors of counting."""
    split_objects: bool = False
    """Split touching objects before they are counted, as `scratchnet measure` does; needs scikit-image."""
    split: str = "val"
    """Split to evaluate, if the folder has splits; "all" takes every image."""
    out: str | None = None
    """Folder for metrics.json and confusion.png, or a .json file. Default: the folder of the checkpoint's run; other
    checkpoints', --compare's and --masks' results are only printed."""
    layout: Layout | None = None
    """Layout of the data set. Default: as in training; with --masks, folder."""
    mask_format: MaskFormat | None = None
    """Format of the data set's masks. Default: as in training; with --masks, index."""
    mask_threshold: int | None = None
    """Values of grey masks above this are class 1."""
    mask_values: tuple[str, ...] | None = None
    """Class of each mask value, for example 0=0 128=1 255=ignore; default: as in training."""
    boundary_tolerance: float = TOLERANCE
    """Boundary F1: distance up to which boundaries match, as a fraction of the image's diagonal."""
    band_width: float = BAND_WIDTH
    """Width in pixels, on either side of the boundaries, of the band in which IoU is computed as well."""
    size_edges: tuple[float, float] = SIZE_EDGES
    """Lower limits of medium and large objects: square root of the area of the object's box over that of the image."""


class Measured(NamedTuple):
    """One checkpoint and its evaluation."""

    path: str
    checkpoint: Checkpoint
    train: Dataset | None
    images: Dataset
    found: Evaluation
    scores: ImageScores


def main(words: Sequence[str]) -> int:
    """Run the command."""
    arguments = parse(EvaluateArguments, words, "evaluate", "scratchnet evaluate run/checkpoint.npz --data cells")
    paths = [path for path in (arguments.checkpoint, *arguments.compare) if path is not None]
    _check(arguments, paths)
    if (out := _target(arguments)) is not None:
        check_writable(out)
    if arguments.per_image is not None:
        check_writable(arguments.per_image, IMAGE_SCORES)
    with arguments.output(), arguments.computing():
        if arguments.masks is not None:
            return _evaluate_masks(arguments, Path(arguments.masks))
        return _compare(arguments, paths) if arguments.compare else _evaluate(arguments, paths)


def _evaluate(arguments: EvaluateArguments, paths: Sequence[str]) -> int:
    """Evaluate one checkpoint."""
    _, checkpoint, train, images, found, scores = _measure(arguments, paths[0])
    say_origin(paths[0], arguments.ensemble)
    say(f"{checkpoint.spec.model} on {len(images)} images, {arguments.bn_statistics} statistics{arguments.words()}\n")
    about = {"checkpoint": paths[0], **_about(arguments)}
    _report(arguments, images, found, scores, baselines(train, images), about)
    return 0


def _evaluate_masks(arguments: EvaluateArguments, folder: Path) -> int:
    """Compare the masks in a folder with those of a data set."""
    a = arguments
    images = open_masks(a.data, a.layout, a.mask_format, a.mask_threshold, a.mask_values, a.split)
    paths = find_masks(folder, images)
    scores = _scores(arguments, images)
    found = evaluate_masks(paths, images, arguments.masks_format, _counter(arguments, images), scores.add)
    _check_counted(arguments, images, found)
    say(f"{folder}: {len(images)} masks compared with those of {arguments.data}\n")
    left_out = ("bn_statistics", "prediction")
    about = {name: value for name, value in _about(arguments).items() if name not in left_out}
    _report(arguments, images, found, scores, {}, {"masks": str(folder), **about})
    return 0


def _report(
    arguments: EvaluateArguments,
    images: Dataset,
    found: Evaluation,
    scores: ImageScores,
    rivals: Mapping[str, Metrics],
    about: Mapping[str, Any],
) -> None:
    """Print and write the results for one network or one folder of masks."""
    lowest = min((pair for pair in zip(found.scores, images.names, strict=True) if pair[0] >= 0), default=None)
    counts = {"split_objects": arguments.split_objects, "classes": scores.count_errors()}
    say(f"{results_text(found, rivals, images.classes)}\n\n{counts_text(scores.count_errors())}")
    if lowest:  # an image that is ignored as a whole has no score
        say(f"\nlowest image: {lowest[1]} with {lowest[0]:.4f}")
    if arguments.per_image is not None:
        with atomic_write(arguments.per_image, IMAGE_SCORES) as file:
            file.write(csv_bytes([scores.columns(), *scores.rows()]))
        say(f"wrote {arguments.per_image}")
    about = {**about, "lowest_image": lowest and lowest[0], "objects_per_image": counts}
    content = metrics_document(found, rivals, about)
    if (out := _target(arguments)) is None:
        say(NOT_WRITTEN)
    else:
        picture = out.with_name("confusion.png" if out.name == "metrics.json" else f"{out.stem}-confusion.png")
        write_json(out, content, METRICS)
        write_confusion(picture, found, images.classes)
        say(f"wrote {out} and {picture}")
    arguments.print_json(content)


def _compare(arguments: EvaluateArguments, paths: Sequence[str]) -> int:
    """Evaluate several checkpoints on the same images."""
    measured = [_measure(arguments, path) for path in paths]
    first = measured[0]
    for other in measured[1:]:
        if other.images.names != first.images.names:
            raise UserError(
                f"{other.path} and {first.path} held back different images of {arguments.data}, so their metrics "
                "cannot be compared; use --split all on images that neither has seen, or write splits/val.txt"
            )
    rivals = baselines(first.train, first.images)
    rows = [{"checkpoint": m.path, "model": m.checkpoint.spec.model, **m.found.to_dict()} for m in measured]
    content = comparison_document(rows, rivals, _about(arguments))
    say_origin(*paths, arguments.ensemble)
    say(f"{len(first.images)} images, {arguments.bn_statistics} statistics{arguments.words()}\n")
    say(comparison_text([(m.path, m.checkpoint.spec.model, m.found) for m in measured], rivals))
    if (out := _target(arguments)) is None:
        say(NOT_WRITTEN)
    else:
        write_json(out, content, COMPARISON)
        say(f"wrote {out}")
    arguments.print_json(content)
    return 0


def _measure(arguments: EvaluateArguments, path: str) -> Measured:
    """Load a checkpoint and evaluate it."""
    checkpoint = load_checkpoint(path)
    train, images = _open(arguments, checkpoint, path)
    if images.classes != checkpoint.spec.classes:
        raise UserError(
            f"{arguments.data}: has the classes {', '.join(images.classes)}, but {path} was trained on "
            f"{', '.join(checkpoint.spec.classes)}"
        )
    predictor = arguments.predictor(checkpoint)
    warn_of_large_images(checkpoint, arguments.bn_statistics, (images.size(index) for index in range(len(images))))
    counter, scores = _counter(arguments, images), _scores(arguments, images)
    what, calibration = f"evaluating {path}" if arguments.compare else "evaluating", ReliabilityCounter()
    try:
        found = evaluate(predictor, images, lambda numbers: progress(numbers, what), counter, scores.add, calibration)
    except ValueError as error:  # batch norm of a single pixel
        raise UserError(f"--bn-statistics {arguments.bn_statistics}: {error}") from error
    _check_counted(arguments, images, found)
    return Measured(path, checkpoint, train, images, found, scores)


def _counter(arguments: EvaluateArguments, images: Dataset) -> DetailCounter:
    """Return the counter of outlines and of objects by size."""
    return DetailCounter(
        images.classes,
        images.ignore_index,
        objects_of(Path(arguments.data), images),
        arguments.boundary_tolerance,
        arguments.band_width,
        arguments.size_edges,
    )


def _scores(arguments: EvaluateArguments, images: Dataset) -> ImageScores:
    """Return the scores of single images, to be filled."""
    rules = Separation(split=arguments.split_objects)
    return ImageScores(images.classes, images.ignore_index, objects_of(Path(arguments.data), images), rules)


def _check_counted(arguments: EvaluateArguments, images: Dataset, found: Evaluation) -> None:
    if not found.confusion.sum():
        raise UserError(f"{arguments.data}: all pixels of its masks are {images.ignore_index} (ignored)")


def _check(arguments: EvaluateArguments, paths: Sequence[str]) -> None:
    """Check the arguments before any file is read."""
    if arguments.masks is not None:
        check_masks_alone(arguments.masks, arguments, paths)
    elif not paths:
        raise UserError("no checkpoint given; name one, several after --compare, or a folder of masks after --masks")
    if arguments.masks_format is not None and arguments.masks is None:
        raise UserError("--masks-format: has no effect without --masks")
    if arguments.per_image is not None and arguments.compare:
        raise UserError("--per-image: cannot be combined with --compare; evaluate each checkpoint alone")
    if arguments.split_objects:
        check_scikit_image()
    if len(set(paths)) < len(paths):
        twice = next(path for path in paths if paths.count(path) > 1)
        raise UserError(f"--compare: {twice} is named twice; leave one out")
    small, large = arguments.size_edges
    for flag, value, valid, expected in (
        ("boundary-tolerance", arguments.boundary_tolerance, 0 <= arguments.boundary_tolerance <= 1, "0 to 1"),
        ("band-width", arguments.band_width, 1 <= arguments.band_width <= 10_000, "1 to 10000 pixels"),
        (
            "size-edges",
            f"{small:g} {large:g}",
            0.01 <= small < large <= 1e9,
            "two numbers from 0.01 to 1e9, the smaller one first",
        ),
    ):
        if not valid:
            raise UserError(f"--{flag} {value}: expected {expected}")


def _target(arguments: EvaluateArguments) -> Path | None:
    """Return the .json file to write: as named, else in the folder of the run if one checkpoint of a run is named."""
    if arguments.out:
        out = Path(arguments.out)
        return out if out.suffix == ".json" else out / "metrics.json"
    if arguments.checkpoint is None or arguments.compare or is_in_the_box(arguments.checkpoint):
        return None
    run = RunFolder(Path(arguments.checkpoint).parent)
    return run.path / "metrics.json" if run.has_last or run.has_log else None


def _about(arguments: EvaluateArguments) -> dict[str, Any]:
    """Return the settings of the evaluation."""
    return {
        "data": arguments.data,
        "split": arguments.split,
        "bn_statistics": arguments.bn_statistics,
        "prediction": arguments.chosen(),
        "boundary_tolerance": arguments.boundary_tolerance,
        "band_width": arguments.band_width,
        "size_edges": list(arguments.size_edges),
    }


def _open(arguments: EvaluateArguments, checkpoint: Checkpoint, path: str) -> tuple[Dataset | None, Dataset]:
    """Return the training images for the threshold baseline, if there are any, and the images to evaluate."""
    spec = checkpoint.spec
    stored = spec.settings.get("data", {})  # {} in a checkpoint written from Python
    known: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in stored.items()}
    try:
        settings = replace(DataSettings(**known), data=arguments.data)
    except TypeError as error:
        raise UserError(f"{path}: was made by another version, whose data settings differ ({error})") from error
    readings = ("mask_format", "mask_threshold", "mask_values")
    if any(getattr(arguments, name) is not None for name in readings):  # another reading replaces that of the training
        form: MaskFormat = "rgb-index" if settings.mask_format == "rgb-index" else "index"
        settings = replace(settings, mask_format=form, mask_threshold=None, mask_values=None)
    for name in ("layout", *readings):
        if getattr(arguments, name) is not None:
            settings = replace(settings, **{name: getattr(arguments, name)})
    named = find_class_file(Path(arguments.data)) is not None
    settings = replace(settings, classes=None if named else len(spec.classes))
    check_data_settings(settings)
    splits, train = available_splits(arguments.data, settings.layout), None
    if splits:
        train = open_split(settings, settings.train_split) if settings.train_split in splits else None
        images = open_split(settings, None if arguments.split == "all" else arguments.split)
    else:
        images = open_split(settings, None if arguments.split in ("all", "val") else arguments.split)
        held_out = set(spec.data.get("held_out", ()))
        if arguments.split == "val" and held_out and held_out <= set(images.names):
            train = replace(images, samples=tuple(s for s in images.samples if s.name not in held_out))
            images = replace(images, samples=tuple(s for s in images.samples if s.name in held_out))
    return train, images if named else replace(images, classes=spec.classes)
