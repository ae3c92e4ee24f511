"""Evaluation of masks in a folder, without a network: those of another program, or of a second annotator."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from scratchnet.arrays import Array
from scratchnet.cli.datasets import open_split, recognized_masks
from scratchnet.cli.flags import flag_name
from scratchnet.cli.parsing import say
from scratchnet.cli.prediction_arguments import PredictionArguments
from scratchnet.config import DataSettings, check_data_settings
from scratchnet.data import Dataset, Layout, MaskFormat, available_splits, read_mask
from scratchnet.data.file_names import match_names
from scratchnet.data.image_folders import files_by_stem
from scratchnet.evaluation import DetailCounter, confusion_matrix, metrics
from scratchnet.inference import Evaluation
from scratchnet.inference.evaluating import image_score
from scratchnet.utils.errors import UserError
from scratchnet.utils.progress import progress
from scratchnet.utils.signatures import has_signature
from scratchnet.utils.wording import pixels

MASK = "mask"
"""Kind of the masks that scratchnet segment writes, whose format is known."""


def check_masks_alone(folder: str, arguments: PredictionArguments, paths: Sequence[str]) -> None:
    """Raise a UserError for a missing folder, and for checkpoints or flags of inference next to --masks."""
    if not Path(folder).is_dir():
        raise UserError(f"--masks {folder}: no such folder; expected a folder with a mask for each image")
    if paths:
        raise UserError(f"--masks: cannot be combined with the checkpoint {paths[0]}; leave one out")
    chosen = [*arguments.chosen(), *(["bn_statistics"] if arguments.bn_statistics != "running" else [])]
    if chosen:
        raise UserError(f"{flag_name(chosen[0])}: has no effect on --masks; it is for networks")


def open_masks(
    data: str,
    layout: Layout | None,
    mask_format: MaskFormat | None,
    mask_threshold: int | None,
    mask_values: tuple[str, ...] | None,
    split: str,
) -> Dataset:
    """Open the data set whose masks are the truth, and recognise their format; a folder without splits as a whole."""
    settings = DataSettings(
        data=data,
        layout=layout or "folder",
        mask_format=mask_format or "index",
        mask_threshold=mask_threshold,
        mask_values=mask_values,
    )
    check_data_settings(settings)
    readings = {"mask_format": mask_format, "mask_threshold": mask_threshold, "mask_values": mask_values}
    given = frozenset(name for name, value in readings.items() if value is not None)
    reading = recognized_masks(settings, given, None)
    settings = reading.data
    for remark in reading.remarks:
        say(remark)
    whole = split == "all" or (split == "val" and not available_splits(data, settings.layout))
    return open_split(settings, None if whole else split)


def find_masks(folder: Path, truth: Dataset) -> list[Path]:
    """Return the mask in a folder for each image of a data set.

    Raises
    ------
    UserError
        If the folder lacks masks; the message names the first three.
    """
    files = files_by_stem(folder)
    pairs = match_names(truth.names, files, str(folder))
    missing = [name for name in truth.names if name not in pairs]
    if missing:
        shown = ", ".join(missing[:3]) + (", …" if len(missing) > 3 else "")
        raise UserError(
            f"--masks {folder}: no mask for {len(missing)} of the {len(truth)} images: {shown}; add them, or "
            "choose the images with --split"
        )
    return [files[pairs[name]] for name in truth.names]


def evaluate_masks(
    masks: list[Path],
    truth: Dataset,
    form: MaskFormat | None,
    counter: DetailCounter,
    observe: Callable[[str, Array, Array], None],
) -> Evaluation:
    """Compare masks with those of a data set.

    Parameters
    ----------
    masks : list of Path
        One for each image.
    truth : Dataset
    form : MaskFormat or None
        Format of ``masks``; None: index for those that scratchnet wrote, else that of the data set.
    counter : DetailCounter
    observe : callable
        Function (name, true mask, mask) that is called for each image.
    """
    classes = len(truth.classes)
    total, scores = np.zeros((classes, classes), np.int64), list[float]()
    for index in progress(range(len(truth)), "comparing masks"):
        mask, prediction = truth.load_mask(index), _read(masks[index], truth, form)
        if mask.shape != prediction.shape:
            raise UserError(
                f"{masks[index]}: {pixels(*prediction.shape)}, but the mask {truth.samples[index].mask} has "
                f"{pixels(*mask.shape)}; they must be equal"
            )
        confusion = confusion_matrix(mask, prediction, classes, truth.ignore_index)
        total += confusion
        scores.append(image_score(confusion))
        counter.add(truth.names[index], mask, prediction)
        observe(truth.names[index], mask, prediction)
    return Evaluation(total, metrics(total), float("nan"), tuple(scores), counter.result())


def _read(path: Path, truth: Dataset, form: MaskFormat | None) -> Array:
    """Read a mask to compare; every pixel needs a class."""
    classes = len(truth.classes)
    if form is not None or has_signature(path, MASK):
        return read_mask(
            path, format=form or "index", threshold=truth.mask_threshold, classes=classes, ignore_index=None
        )
    reading = truth.mask_format, truth.mask_threshold
    return read_mask(
        path, format=reading[0], threshold=reading[1], classes=classes, ignore_index=None, values=truth.mask_values
    )
