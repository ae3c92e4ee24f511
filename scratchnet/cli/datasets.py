"""Open the data sets that settings name."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from scratchnet.config import DataSettings, TrainSettings
from scratchnet.data import (
    BOXES_FILE,
    Dataset,
    ObjectBox,
    SampleSource,
    available_splits,
    group_by_image,
    open_dataset,
    read_boxes,
    resized,
    split_dataset,
    tiled,
    training_boxes,
    validation_boxes,
)
from scratchnet.data.caching import cached
from scratchnet.data.file_names import find_entry
from scratchnet.data.importing.recognition import import_advice
from scratchnet.data.layouts import Sample, find_samples
from scratchnet.planning.mask_values import MaskReading, recognize_readable
from scratchnet.utils.errors import UserError
from scratchnet.utils.progress import progress


def open_splits(settings: DataSettings, seed: int) -> tuple[Dataset, Dataset]:
    """Open the training and the validation images: the folder's splits, or a random split if it has none.

    Raises
    ------
    UserError
        When the folder is missing, or has splits but not the requested ones.
    """
    if not settings.data:
        raise UserError("no data set given; name its folder with --data")
    refuse_export(settings)
    splits = available_splits(settings.data, settings.layout)
    if not splits:
        return split_dataset(open_split(settings, None), settings.val_fraction, seed)
    train, val = open_split(settings, settings.train_split), open_split(settings, settings.val_split)
    both = sorted({sample.image for sample in train.samples} & {sample.image for sample in val.samples})
    if both:
        raise UserError(
            f"{both[0]}: is in the splits '{settings.train_split}' and '{settings.val_split}' ({len(both)} in both); a "
            "network must be measured on images that it has not seen: take them out of one list"
        )
    return train, val


def refuse_export(settings: DataSettings) -> None:
    """Raise a UserError with the command that imports the data, if they look like an export of a labelling tool."""
    if settings.layout == "folder" and (advice := import_advice(Path(settings.data))):
        raise UserError(f"{settings.data}: {advice}")


def recognized_masks(settings: DataSettings, given: frozenset[str], split: str | None) -> MaskReading:
    """Return the settings with the mask format and the classes that a planned training would choose.

    Parameters
    ----------
    settings : DataSettings
    given : frozenset of str
        Names of the settings that the user has given, which are kept.
    split : str or None
        Split whose masks decide; None: all of them.
    """
    samples = list[Sample]()
    with suppress(UserError):  # reported by the function that opens the data set
        splits = available_splits(settings.data, settings.layout)
        for name in (split,) if split is not None else (*splits, None):
            with suppress(UserError):
                samples += find_samples(Path(settings.data), settings.layout, name)[0]
    return recognize_readable(settings, given, list({sample.mask: sample for sample in samples}.values()))


def open_split(settings: DataSettings, split: str | None) -> Dataset:
    """Open one split, or all images if ``split`` is None."""
    return open_dataset(
        Path(settings.data),
        layout=settings.layout,
        split=split,
        classes=settings.classes,
        value_range=settings.range,
        **settings.masks,
    )


def training_views(settings: TrainSettings, train: Dataset, val: Dataset) -> tuple[SampleSource, SampleSource]:
    """Return the training and validation images as the network receives them.

    Training images are resized and then cut into tiles if the settings say so. With a stage of the curriculum both are
    boxes around objects.
    """
    d, c = settings.data, settings.curriculum
    if c.stage is not None:
        boxes = open_boxes(Path(d.data), train.classes, (*train.names, *val.names))
        crop = settings.augmentation.crop or (c.box_size, c.box_size)
        if crop[0] != crop[1]:
            raise UserError(f"--crop {crop[0]} {crop[1]}: expected a square: with --stage all images are square boxes")
        found = training_boxes(
            train, c, boxes, settings.training.seed, progress(range(len(train)), "looking for objects")
        )
        return found, validation_boxes(val, c, crop[0], boxes)
    source = cached(train if d.resize is None else resized(train, d.resize))
    if d.tile is not None:
        source = tiled(source, d.tile, d.tile_overlap)
    return source, val


def open_boxes(root: Path, classes: Sequence[str], names: Sequence[str]) -> dict[str, list[ObjectBox]]:
    """Return the boxes in a data set's ``boxes.csv`` by image name; an empty dict if there is no such file."""
    path = find_entry(root, BOXES_FILE)
    if not path.exists():
        return {}
    boxes, problems = read_boxes(path, classes)
    if problems:
        raise UserError(problems[0])
    return group_by_image(boxes, names, str(path))
