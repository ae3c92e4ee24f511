"""Pairs of images and masks whose names differ by a suffix."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from scratchnet.utils.errors import UserError

MASK_SUFFIXES = ("", "_mask", "_masks", "_L", "_label", "_labels", "_seg", "_gtFine_color", "_gtFine_labelIds")
"""Strings that follow the name of an image in the name of its mask."""


def mask_of(name: str, masks: Mapping[str, Path], file: str | None = None) -> Path:
    """Return the mask of an image.

    Parameters
    ----------
    name : str
        Name of the image, without suffix.
    masks : mapping of str to Path
        Mask files by their names without suffix.
    file : str or None
        The image's name for messages.

    Raises
    ------
    UserError
        When there is none, or there are several.
    """
    found = [masks[name + suffix] for suffix in MASK_SUFFIXES if name + suffix in masks]
    if len(found) != 1:
        problem = f"{found[0].name} and {found[1].name} may both be its mask" if found else "has no mask"
        raise UserError(f"{file or name}: {problem}; name it like the image")
    return found[0]


def masks_without_images(names: Iterable[str], masks: Mapping[str, Path]) -> list[str]:
    """Return a message for every mask that belongs to no image."""
    partners = {name + suffix for name in names for suffix in MASK_SUFFIXES}
    return [f"{path}: a mask without an image" for name, path in masks.items() if name not in partners]
