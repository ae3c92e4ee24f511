"""Reading and writing mask files as (h, w) uint8 class indices."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from PIL import Image

from scratchnet.arrays import Array
from scratchnet.data.image_files import open_image
from scratchnet.data.image_headers import ImageHeader, stored_samples
from scratchnet.data.images import describe_mode, png_text
from scratchnet.data.mask_classes import CLASSES, classes_text
from scratchnet.data.mask_values import MaskValues, apply_mask_values, proposed_values
from scratchnet.data.palette import PALETTE
from scratchnet.data.tiff_files import read_tiff_samples, tifffile_is_installed
from scratchnet.data.unreadable_images import UnsupportedTiffError
from scratchnet.utils.errors import UserError
from scratchnet.utils.files import atomic_write
from scratchnet.utils.options import option
from scratchnet.utils.shape_checks import check_mask

MaskFormat: TypeAlias = Literal["index", "binary", "threshold", "rgb-index"]
"""Encoding of classes in the pixels of a mask file.

``index``: the stored grey value or palette index is the class (0 and 1 in a 1-bit file), also with 2, 4, 16 or 32 bits;
if the palette is grey, as in GIFs, the displayed grey value is the class. ``binary``: black is class 0 and white (255)
class 1; other values are errors. ``threshold``: grey values above a threshold are class 1, for masks with lossy
compression such as JPEG. ``rgb-index``: three equal channels, each of which holds the class."""

_CHROMA_NOISE = 48
"""Maximum difference between the channels at which a grey mask saved as a colour JPEG still counts as grey."""


def read_mask(
    path: Path | str,
    *,
    format: MaskFormat = "index",
    threshold: int = 127,
    classes: int = 2,
    ignore_index: int | None = 255,
    values: MaskValues | None = None,
) -> Array:
    """Read a mask file as class indices.

    Parameters
    ----------
    format, threshold
        See `MaskFormat`. Files with lossy compression (JPEG, AVIF, …) are read with ``"threshold"`` only.
    classes, ignore_index, values
        Number of classes, value of ignored pixels (others are errors), and, for ``index`` and ``rgb-index``, the class
        of each value; None: the value is the class.

    Returns
    -------
    (h, w) uint8
        Upright. A UserError when the file does not have this format: a wrong guess would train a wrong network.
    """
    try:
        with open_image(path) as (image, header):
            if format == "threshold":
                return (_grey(path, image, _CHROMA_NOISE) > threshold).astype(np.uint8)
            _refuse_lossy(path, header)
            if format == "binary":
                return _binary(path, image)
            mask = (_rgb_index if format == "rgb-index" else _index)(path, image, header)
            coloured = image.mode == "P" and not _is_grey(_palette_of(image))
    except UnsupportedTiffError as error:
        if format != "index":
            raise
        mask, coloured = _wide_integers(path, error), False
    if values is not None:
        return apply_mask_values(path, mask, values, classes, ignore_index)
    return _checked(path, mask, classes, ignore_index, coloured=coloured)


def read_instances(path: Path | str) -> Array:
    """Read an instance mask of 8, 16 or 32 bits, whose values are the numbers of objects.

    Returns
    -------
    (h, w) uint8, or int32 if there are numbers above 255
        0 is no object, nor is 255 in a file of 8 bits. Object 255 of a file with more bits gets a new number.

    Raises
    ------
    UserError
        As `read_mask` with the format ``index``.
    """
    try:
        with open_image(path) as (image, header):
            _refuse_lossy(path, header)
            instances = _index(path, image, header)
    except UnsupportedTiffError as error:
        instances = _wide_integers(path, error)
    if instances.min() < 0 or instances.max() >= 2**31 - 1:
        raise UserError(
            f"{path}: numbers objects from {instances.min()} to {instances.max()}; expected 0 to {2**31 - 2}"
        )
    if instances.max() <= 255:
        return instances.astype(np.uint8)
    instances = instances.astype(np.int32)
    instances[instances == 255] = instances.max() + 1
    return instances


def _wide_integers(path: Path | str, error: UnsupportedTiffError) -> Array:
    """Return the integer samples of a TIFF that Pillow does not support, or raise ``error``."""
    samples = read_tiff_samples(path)[0] if tifffile_is_installed() else None
    if samples is None or samples.ndim != 2 or samples.dtype.kind not in "ui":
        raise error
    return samples


def _refuse_lossy(path: Path | str, header: ImageHeader) -> None:
    if header.lossy:
        raise UserError(
            f"{path}: {header.lossy}, whose compression changes class indices; use {option('mask_threshold', 127)} for "
            "a two-class mask, or export it again as PNG"
        )


def write_mask(
    path: Path | str,
    mask: Array,
    kind: str | None = None,
    palette: Array | None = None,
    classes: Sequence[str] | None = None,
) -> None:
    """Write (h, w) uint8 class indices as a palette PNG: pixels are classes, and the palette gives them colours.

    ``palette`` (256, 3) uint8 defaults to `PALETTE`. With ``kind``, see :func:`scratchnet.utils.files.atomic_write`, an
    existing file of another kind is not replaced. With ``classes``, the file also states the names of the classes, see
    `scratchnet.data.mask_classes`.
    """
    if mask.dtype != np.uint8 or mask.ndim != 2:
        raise ValueError(f"write_mask: expected (h, w) uint8, got {mask.shape} {mask.dtype}")
    check_mask("write_mask", mask)
    image = Image.fromarray(mask)
    image.putpalette((PALETTE if palette is None else palette).tobytes())
    with atomic_write(path, kind) as file:
        image.save(file, format="PNG", pnginfo=png_text(kind, {CLASSES: classes_text(classes)} if classes else {}))


def _index(path: Path | str, image: Image.Image, header: ImageHeader) -> Array:
    """Return the stored values of a single-channel image."""
    if image.mode == "P":
        return _palette_index(path, image)
    if image.mode in {"1", "L", "I"} or image.mode.startswith("I;16"):
        return stored_samples(np.array(image), header)
    found = f"{path}: {describe_mode(image)}, but the mask format `index` needs one channel of whole numbers"
    if image.mode in {"RGB", "RGBA"}:
        if _channel_difference(image) == 0:
            raise UserError(f"{found}; its three channels are equal: use {_grey_format(np.array(image)[:, :, 0])}")
        raise UserError(f"{found}; convert its colours to class indices and save them as a grey or palette PNG")
    raise UserError(f"{found}; convert it to an 8-bit grey PNG whose values are the classes")


def _grey_format(grey: Array) -> str:
    """Return the setting that reads a mask of three equal channels with these values (h, w)."""
    values = np.unique(grey)
    if np.isin(values, (0, 255)).all():
        return option("mask_format", "binary")
    proposed = proposed_values(values.tolist()) if values[-1] > 4 * len(values) else None
    return option("mask_format", "rgb-index") + (f" with {proposed}" if proposed else "")


def _palette_of(image: Image.Image) -> Array:
    """Return the palette of an image, (entries, 3) uint8."""
    return np.array(image.getpalette() or [], np.uint8).reshape(-1, 3)


def _is_grey(palette: Array) -> bool:
    """Return whether a palette contains greys only."""
    return len(palette) > 0 and bool((palette == palette[:, :1]).all())


def _palette_index(path: Path | str, image: Image.Image) -> Array:
    """Return the indices of a palette image, or the displayed grey values if the palette is grey.

    A GIF cannot store grey values, and programs omit unused ones: 0, 2, 4, 2 is stored as 0, 1, 2, 1 with a palette of
    0, 2 and 4.
    """
    # A palette image is never converted, because conversion replaces the indices by colours.
    indices, palette = np.array(image), _palette_of(image)
    if not _is_grey(palette):
        return indices
    used = np.unique(indices)
    greys = np.zeros(256, np.uint8)
    greys[: len(palette)] = palette[:, 0]
    if used[-1] >= len(palette) or len(np.unique(greys[used])) < len(used):
        raise UserError(
            f"{path}: a palette image that shows several indices ({_shortened(used)}) as the same grey, so the "
            "class of a pixel is ambiguous; save the indices as a grey PNG, or give every class a colour of its own"
        )
    displayed: Array = greys[indices]
    return displayed


def _rgb_index(path: Path | str, image: Image.Image, header: ImageHeader) -> Array:
    """Return the first channel; a UserError unless all three are equal."""
    index = option("mask_format", "index")
    if image.mode not in {"RGB", "RGBA"}:
        raise UserError(f"{path}: {describe_mode(image)}, but `rgb-index` needs RGB; use {index}")
    difference = _channel_difference(image)
    if difference:
        raise UserError(
            f"{path}: its colour channels differ by up to {difference}, but `rgb-index` needs the class in all three; "
            "convert its colours to class indices"
        )
    return stored_samples(np.array(image)[:, :, 0], header)


def _binary(path: Path | str, image: Image.Image) -> Array:
    """Return 0 for black and 1 for white."""
    grey = _grey(path, image, 0)
    values = np.unique(grey)
    if np.isin(values, (0, 255)).all():
        return grey // 255
    shown, index = _shortened(values[~np.isin(values, (0, 255))]), option("mask_format", "index")
    if values.max() <= 1:
        raise UserError(f"{path}: mask values 0 and 1, but `binary` needs 0 and 255; use {index}")
    raise UserError(
        f"{path}: mask value {shown} besides 0 and 255; use {option('mask_threshold', 127)} if they come from "
        f"compression or smoothing, or {index} if they are classes"
    )


def _grey(path: Path | str, image: Image.Image, tolerance: int) -> Array:
    """Return the grey values (h, w) uint8 of an image whose channels differ by at most ``tolerance``."""
    if image.mode == "1":
        return np.array(image.convert("L"))
    if image.mode == "L":
        return np.array(image)
    if image.mode not in {"LA", "P", "PA", "RGB", "RGBA"}:
        raise UserError(f"{path}: {describe_mode(image)}, expected a black-and-white mask; convert it to 8-bit grey")
    colours = image.convert("RGBA")
    if colours.getchannel("A").getextrema() != (255, 255):
        raise UserError(f"{path}: a mask with transparent pixels; save it without transparency")
    difference = _channel_difference(colours)
    if difference > tolerance:
        raise UserError(
            f"{path}: a coloured mask (channels differ by up to {difference}), expected black and white; use "
            f"{option('mask_format', 'index')} for a palette PNG, else convert it"
        )
    return np.array(colours.convert("RGB"))[:, :, 1]


def _channel_difference(image: Image.Image) -> int:
    """Return the maximum difference between two colour channels of a pixel."""
    pixels = np.array(image.convert("RGB"))
    return int((pixels.max(axis=2) - pixels.min(axis=2)).max())


def _checked(path: Path | str, mask: Array, classes: int, ignore_index: int | None, *, coloured: bool) -> Array:
    """Return a mask as uint8; a UserError if it has values that are neither a class nor ``ignore_index``."""
    values = np.unique(mask)
    # With 255 as the ignored value, such a mask would be accepted as background only.
    if values[-1] == 255 and np.isin(values, (0, 255)).all() and not coloured:
        raise UserError(
            f"{path}: mask values are only 0 and 255; use {option('mask_format', 'binary')} if 255 is the foreground "
            "(a mask of background and ignored pixels only needs a palette PNG)"
        )
    invalid = values[((values < 0) | (values >= classes)) & (values != (-1 if ignore_index is None else ignore_index))]
    if invalid.size:
        proposed = proposed_values(values.tolist()) if values[-1] > 4 * max(classes, len(values)) else None
        if proposed:
            raise UserError(
                f"{path}: mask value {_shortened(invalid)}, but the {classes} classes are 0 to {classes - 1}; give "
                f"every value of the masks a class or `ignore`, those of this one for example by {proposed}"
            )
        ignored = "" if ignore_index is None else f", {ignore_index} is ignored"
        ignore = option("ignore_index", int(invalid[0]))
        remedy = f", or pass {ignore} if it does not count" if len(invalid) == 1 else ""
        raise UserError(
            f"{path}: mask value {_shortened(invalid)}, but the {classes} classes are 0 to {classes - 1}{ignored}; "
            f"correct the mask, name every class in classes.txt{remedy}"
        )
    return mask.astype(np.uint8)


def _shortened(values: Array) -> str:
    """Return the first values as text: ``3, 7, 9, … (12 values)``."""
    shown = ", ".join(str(value) for value in values[:3])
    return shown if len(values) <= 3 else f"{shown}, … ({len(values)} values)"
