"""Opening the data sets that settings name."""

from pathlib import Path

from scratchnet.config import DataSettings
from scratchnet.data import Dataset, SampleSource, available_splits, open_dataset, resized, split_dataset, tiled
from scratchnet.errors import UserError


def open_splits(settings: DataSettings, seed: int) -> tuple[Dataset, Dataset]:
    """Open the training and the validation images: the folder's splits, or a random division where it has none.

    Raises
    ------
    UserError
        When the folder is missing or has splits, but not those asked for.
    """
    if not settings.data:
        raise UserError("no data set given; name its folder with --data")
    splits = available_splits(settings.data, settings.layout)
    if not splits:
        return split_dataset(open_split(settings, None), settings.validation, seed)
    train, val = open_split(settings, settings.train_split), open_split(settings, settings.val_split)
    both = sorted({sample.image for sample in train.samples} & {sample.image for sample in val.samples})
    if both:
        raise UserError(
            f"{both[0]}: is in the splits '{settings.train_split}' and '{settings.val_split}' ({len(both)} in both); a "
            "network must be measured on images that it has not seen: take them out of one list"
        )
    return train, val


def open_split(settings: DataSettings, split: str | None) -> Dataset:
    """Open one split, or everything."""
    return open_dataset(
        Path(settings.data), layout=settings.layout, split=split, classes=settings.classes, **settings.masks
    )


def training_view(dataset: Dataset, settings: DataSettings) -> SampleSource:
    """Return the images as training takes them: resized, then cut into tiles, where the settings say so."""
    source: SampleSource = dataset
    if settings.resize is not None:
        source = resized(source, settings.resize)
    if settings.tile is not None:
        source = tiled(source, settings.tile, settings.tile_overlap)
    return source
