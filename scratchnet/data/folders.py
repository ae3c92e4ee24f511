"""Data sets of images and masks in folders."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from scratchnet.arrays import Array, generator
from scratchnet.data.class_names import Colour, find_class_file, read_class_list
from scratchnet.data.image_files import inspect_image
from scratchnet.data.images import ValueRange, image_size, read_image
from scratchnet.data.layouts import Layout, Sample, find_samples
from scratchnet.data.mask_values import MaskValues, class_count
from scratchnet.data.masks import MaskFormat, read_instances, read_mask
from scratchnet.data.published_datasets import VOC_CLASSES
from scratchnet.utils.errors import UserError
from scratchnet.utils.options import option


@dataclass(frozen=True)
class Dataset:
    """Labelled images in files, which are read on demand."""

    samples: tuple[Sample, ...]
    classes: tuple[str, ...]
    mask_format: MaskFormat = "index"
    mask_threshold: int = 127
    ignore_index: int | None = 255
    value_range: ValueRange | None = None
    colours: tuple[Colour, ...] | None = None
    mask_values: MaskValues | None = None

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the samples: the files' names without suffix."""
        return tuple(sample.name for sample in self.samples)

    def size(self, index: int) -> tuple[int, int]:
        """Return (height, width) of an image from its file's header."""
        return image_size(self.samples[index].image)

    def load_mask(self, index: int) -> Array:
        """Return a mask, (h, w) uint8 class indices."""
        return read_mask(
            self.samples[index].mask,
            format=self.mask_format,
            threshold=self.mask_threshold,
            classes=len(self.classes),
            ignore_index=self.ignore_index,
            values=self.mask_values,
        )

    def load_instances(self, index: int) -> Array | None:
        """Return an instance mask (h, w), the number of the object at every pixel, or None if there is no file."""
        path = self.samples[index].objects
        return None if path is None else read_instances(path)

    def load(self, index: int) -> tuple[Array, Array]:
        """Return an image (h, w, 3) uint8 and its mask (h, w) uint8.

        Raises
        ------
        UserError
            When a file cannot be read, or image and mask differ in size.
        """
        sample = self.samples[index]
        image, mask = read_image(sample.image, self.value_range), self.load_mask(index)
        if image.shape[:2] != mask.shape:
            remedy = (
                self._orientation_advice(index, image.shape[:2], mask.shape) or "export the mask in the image's size"
            )
            raise UserError(
                f"{sample.image} is {image.shape[0]}×{image.shape[1]} but its mask {sample.mask} is "
                f"{mask.shape[0]}×{mask.shape[1]} pixels (height × width); {remedy}"
            )
        return image, mask

    def _orientation_advice(self, index: int, image: tuple[int, ...], mask: tuple[int, ...]) -> str | None:
        """Return advice if only one of image and mask has an orientation tag of a quarter turn, else None."""
        sample = self.samples[index]
        of_image, of_mask = inspect_image(sample.image).orientation, inspect_image(sample.mask).orientation
        if mask != image[::-1] or (of_image >= 5) == (of_mask >= 5):
            return None
        if of_image >= 5:
            return (
                f"the photo has an orientation tag (EXIF orientation {of_image}) but the mask was drawn on the "
                "unrotated photo: rotate the mask, too, or save the photo without the tag"
            )
        return (
            f"the mask has an orientation tag of a quarter turn ({of_mask}), unlike the image: save it without the tag"
        )


def open_dataset(
    root: Path | str,
    *,
    layout: Layout = "folder",
    split: str | None = None,
    mask_format: MaskFormat = "index",
    mask_threshold: int = 127,
    ignore_index: int | None = 255,
    classes: int | Sequence[str] | None = None,
    value_range: ValueRange | None = None,
    mask_values: MaskValues | None = None,
) -> Dataset:
    """Open a folder of images and masks; samples are in the order of the split's list, else sorted by name.

    Parameters
    ----------
    root : Path or str
    layout : {"folder", "camvid", "voc"}
        Locations of the images, masks and lists, see `Layout`.
    split : str or None
        Split to open, for example ``"train"``; None opens all samples.
    mask_format, mask_threshold, ignore_index, mask_values
        How to read the masks, see `read_mask`.
    classes : int, sequence of str or None
        Number or names of the classes; None: see `read_classes`.
    value_range : (float, float) or None
        Values of images with more than 8 bits that become black and white, see `read_image`.

    Raises
    ------
    UserError
        When a folder is missing or empty, an image has no mask or a mask no image, or the classes are unknown.
    """
    root = Path(root)
    samples, problems = find_samples(root, layout, split)
    if problems:
        raise UserError(_first_of(problems))
    names = read_classes(root, mask_format, classes, layout, mask_values)
    reading = mask_format, mask_threshold, ignore_index, value_range, _colours(root, names), mask_values
    return Dataset(tuple(samples), names, *reading)


def _first_of(problems: Sequence[str]) -> str:
    """Return the first problem and the number of the others."""
    more = f" (and {len(problems) - 1} more; `scratchnet data check` lists them)" if len(problems) > 1 else ""
    return problems[0] + more


def split_dataset(dataset: Dataset, fraction: float, seed: int) -> tuple[Dataset, Dataset]:
    """Split a data set at random into a training and a validation set, for folders without lists.

    Parameters
    ----------
    dataset : Dataset
        At least two samples.
    fraction : float
        Fraction of the samples for validation; each set gets at least one sample.
    seed : int
        The same seed gives the same split.

    Returns
    -------
    (Dataset, Dataset)
        Training set and validation set, both in the order of ``dataset``.
    """
    if not 0 < fraction < 1:
        raise UserError(f"validation fraction {fraction}: expected a number between 0 and 1, for example 0.2")
    if len(dataset) < 2:
        raise UserError(f"{len(dataset)} image is too few for a training and a validation part; add images")
    held_out = min(max(round(len(dataset) * fraction), 1), len(dataset) - 1)
    order = generator(seed, "split").permutation(len(dataset))
    parts = (np.sort(order[held_out:]), np.sort(order[:held_out]))
    training, validation = (replace(dataset, samples=tuple(dataset.samples[i] for i in part)) for part in parts)
    return training, validation


def read_classes(
    root: Path,
    mask_format: MaskFormat = "index",
    classes: int | Sequence[str] | None = None,
    layout: Layout = "folder",
    mask_values: MaskValues | None = None,
) -> tuple[str, ...]:
    """Return the class names of a data set; parameters and errors as in `open_dataset`.

    The default are the names in ``classes.txt`` (or CVAT's ``labelmap.txt``), see `read_class_list`. Without that file,
    mask formats of two classes have "background" and "foreground", a map of values has as many classes as it names, and
    the layout ``voc`` has the 21 classes of Pascal VOC.
    """
    found = find_class_file(root)
    path = found or root / "classes.txt"
    listed = read_class_list(found).names if found else None
    if classes is None and listed is None and mask_values is not None:
        classes = class_count(mask_values)
    if classes is None:
        two = ("background", "foreground") if mask_format in {"binary", "threshold"} else ()
        names = listed or two or (VOC_CLASSES if layout == "voc" else ())
        if not names:
            raise UserError(
                f"{path}: no such file; write one class name per line, class 0 first, or pass {option('classes')}"
            )
    elif isinstance(classes, int):
        if listed and len(listed) != classes:
            raise UserError(
                f"{path}: has {len(listed)} class names but {classes} classes were requested; omit one of the two"
            )
        names = listed or tuple(f"class {index}" for index in range(classes))
    else:
        names = tuple(classes)
    return _checked_classes(path, names, mask_format)


def _colours(root: Path, names: tuple[str, ...]) -> tuple[Colour, ...] | None:
    """Return the colours in the class file if it names exactly these classes, else None."""
    found = find_class_file(root)
    listed = read_class_list(found) if found else None
    return listed.colours if listed and listed.names == names else None


def _checked_classes(path: Path, names: tuple[str, ...], mask_format: MaskFormat) -> tuple[str, ...]:
    """Return the names; a UserError unless they are 2 to 256 distinct names that fit the mask format."""
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UserError(f"{path}: the class name {twice!r} occurs twice; give every class a different name")
    if not 2 <= len(names) <= 256:
        raise UserError(f"{path}: {len(names)} classes, expected 2 to 256; name the background too")
    if mask_format in {"binary", "threshold"} and len(names) != 2:
        raise UserError(
            f"{path}: {len(names)} classes, but the mask format `{mask_format}` has two; use "
            f"{option('mask_format', 'index')}, or name two classes"
        )
    return names
