"""Sources of masks for ``scratchnet measure``: files with or without images, or images that a network segments."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from scratchnet.arrays import Array
from scratchnet.cli.image_arguments import check_each
from scratchnet.data import MaskFormat, ValueRange, image_size, read_image, read_mask
from scratchnet.data.class_names import find_class_file
from scratchnet.data.file_names import match_names
from scratchnet.data.folders import read_classes
from scratchnet.data.image_folders import files_by_stem
from scratchnet.data.image_rows import open_rows
from scratchnet.data.mask_classes import stated_classes
from scratchnet.data.mask_values import MaskValues
from scratchnet.data.palette import PALETTE, palette_with
from scratchnet.inference import Predictor
from scratchnet.inference.by_rows import check_rows, mask_rows
from scratchnet.training.contents import Checkpoint
from scratchnet.utils.errors import UserError
from scratchnet.utils.wording import pixels


class MaskSource(Protocol):
    """Masks, each with the name and, if there is one, the image that it belongs to."""

    @property
    def paths(self) -> Sequence[Path]:
        """Files that are read, one per mask."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""

    @property
    def ignore_index(self) -> int | None:
        """Mask value of ignored pixels."""

    @property
    def palette(self) -> Array:
        """(256, 3) uint8: colours of the classes."""

    @property
    def coloured(self) -> bool:
        """Whether there are images."""

    def load(self, index: int) -> tuple[Array, Array | None]:
        """Return a mask (h, w) uint8, and its image (h, w, 3) uint8 or None."""


class MaskReading(NamedTuple):
    """Format of mask files, see `read_mask`."""

    mask_format: MaskFormat
    mask_threshold: int
    ignore_index: int | None
    mask_values: MaskValues | None = None


class MaskFiles:
    """Mask files, with the images of a folder if one is given.

    Parameters
    ----------
    paths : sequence of Path
    reading : MaskReading
    classes : int, sequence of str or None
        As in `open_dataset`; None: those that the masks state, as masks of ``scratchnet segment`` do, else the class
        file beside the masks or in the folder above, else any value is a class.
    images : Path or None
        Folder of images with the names of the masks.
    value_range : (float, float) or None
        As in `read_image`.

    Raises
    ------
    UserError
        If a mask has no image, or another size than its image.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        reading: MaskReading,
        classes: int | Sequence[str] | None,
        images: Path | None,
        value_range: ValueRange | None,
    ) -> None:
        self.paths, self.reading, self.value_range = paths, reading, value_range
        self.ignore_index, self.palette, self.coloured = reading.ignore_index, PALETTE, images is not None
        stated = stated_classes(paths) if classes is None and reading.mask_format == "index" else None
        self.classes = stated or _class_names(paths[0].parent, reading, classes)
        self.images = None if images is None else _partners(paths, images)

    def load(self, index: int) -> tuple[Array, Array | None]:
        """Return a mask, and its image or None."""
        form, threshold, ignored, values = self.reading
        path, count = self.paths[index], len(self.classes)
        mask = read_mask(path, format=form, threshold=threshold, classes=count, ignore_index=ignored, values=values)
        return mask, None if self.images is None else read_image(self.images[index], self.value_range)


class SegmentedImages:
    """Images, segmented by a network; ``sizes`` has height and width of each.

    Raises
    ------
    UserError
        If an image cannot be read or segmented; all are checked before the first is segmented.
    """

    def __init__(self, paths: Sequence[Path], checkpoint: Checkpoint, predictor: Predictor) -> None:
        spec = checkpoint.spec
        self.paths, self.predictor, self.value_range = paths, predictor, spec.preprocessing.range
        self.classes, self.ignore_index, self.coloured = spec.classes, None, True
        try:
            self.palette = palette_with(spec.data.get("colours"))
        except ValueError as error:
            raise UserError(f"the checkpoint's {error}; train again") from error
        self.sizes = list[tuple[int, int]]()
        check_each(paths, self._check)

    def _check(self, path: Path) -> None:
        image = open_rows(path, self.value_range)
        try:
            check_rows(self.predictor, image, len(self.classes), path.stem)
        except ValueError as error:
            raise _about(path, error) from error
        self.sizes.append((image.height, image.width))

    def load(self, index: int) -> tuple[Array, Array | None]:
        """Return an image's mask, and the image."""
        path = self.paths[index]
        image = open_rows(path, self.value_range)
        try:
            mask = np.concatenate(list(mask_rows(self.predictor, image, path.stem)))
        except (UserError, ValueError) as error:
            raise _about(path, error) from error
        return mask, image.read()


def _about(path: Path, error: Exception) -> UserError:
    return UserError(str(error) if str(path) in str(error) else f"{path}: {error}")


def _class_names(folder: Path, reading: MaskReading, classes: int | Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of the classes; ``class 0`` to ``class 255`` if nothing states them."""
    form, values = reading.mask_format, reading.mask_values
    for root in (folder, folder.parent):
        if find_class_file(root) is not None:
            return read_classes(root, form, classes)
    if classes is None and values is None and form in ("index", "rgb-index"):
        classes = 256
    return read_classes(Path("--classes"), form, classes, mask_values=values)


def _partners(masks: Sequence[Path], folder: Path) -> list[Path]:
    """Return the image of each mask, in the same order."""
    if not folder.is_dir():
        raise UserError(f"--images {folder}: no such folder; expected the folder with the images of the masks")
    images = files_by_stem(folder)
    pairs = match_names([mask.stem for mask in masks], images, str(folder))
    alone = [mask for mask in masks if mask.stem not in pairs]
    if alone:
        more = f" (and {len(alone) - 1} more)" if len(alone) > 1 else ""
        raise UserError(f"{alone[0]}: has no image in {folder}{more}; give image and mask the same name")
    found = [images[pairs[mask.stem]] for mask in masks]
    for mask, image in zip(masks, found, strict=True):
        (h, w), own = image_size(image), image_size(mask)
        if (h, w) != own:
            raise UserError(f"{mask}: {pixels(*own)}, but its image {image} has {pixels(h, w)}; they must be equal")
    return found


def images_without_mask(source: MaskFiles, folder: Path) -> list[str]:
    """Return the names of the images in a folder that belong to none of the masks."""
    used = set(source.images or ())
    return [path.name for path in files_by_stem(folder).values() if path not in used]
