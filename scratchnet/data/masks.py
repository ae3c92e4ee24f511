"""Mask files in and out: whatever the file's convention, a mask becomes (h, w) uint8 class indices."""

import colorsys
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from PIL import Image

from scratchnet.arrays import Array
from scratchnet.data.image_files import ImageHeader, UnsupportedTiffError, open_image, stored_samples
from scratchnet.data.images import describe_mode, png_text
from scratchnet.data.tiff_files import read_tiff_samples, tifffile_is_installed
from scratchnet.utils.errors import UserError
from scratchnet.utils.files import atomic_write
from scratchnet.utils.options import option
from scratchnet.utils.shape_checks import check_mask

MaskFormat: TypeAlias = Literal["index", "binary", "threshold", "rgb-index"]
"""How the pixels of a mask file stand for classes; see `read_mask`."""

_CHROMA_NOISE = 48
"""Largest difference of the channels at which a grey mask saved as colour JPEG still counts as grey."""


def read_mask(
    path: Path | str,
    *,
    format: MaskFormat = "index",
    threshold: int = 127,
    classes: int = 2,
    ignore_index: int | None = 255,
) -> Array:
    """Read a mask file as class indices.

    Parameters
    ----------
    path : Path or str
        The file.
    format : {"index", "binary", "threshold", "rgb-index"}
        ``index``: the stored grey value or palette index is the class (a 1-bit file gives 0 and 1), also with 2, 4, 16
        or 32 bits; where a palette is grey, as of GIFs, the grey that it shows is the class; ``binary``: black is class
        0 and white (255) class 1, nothing between; ``threshold``: grey values above ``threshold`` are class 1, which
        is how to read masks that went through JPEG; ``rgb-index``: three equal channels which each hold the class.
    threshold : int
        The grey value of ``format="threshold"``.
    classes : int
        Number of classes; a value that is none of them is an error.
    ignore_index : int or None
        The value of pixels that do not count. It passes through in the formats ``index`` and ``rgb-index``.

    Returns
    -------
    (h, w) uint8

    Raises
    ------
    UserError
        When the file does not keep to the format. No mask is guessed at: wrong labels train a wrong network.

    Notes
    -----
    An orientation that the file notes is followed, as for images. Files with lossy compression (JPEG, JPEG 2000, AVIF,
    lossy WebP, also within TIFF) are read by ``format="threshold"`` only.
    """
    try:
        with open_image(path) as (image, kind):
            return _read(path, image, kind, format, threshold, classes, ignore_index)
    except UnsupportedTiffError as error:
        if format != "index":
            raise
        samples = _wide_integers(path, error)
        _check_values(path, samples, classes, ignore_index, palette=False)
        return samples.astype(np.uint8)


def read_objects(path: Path | str) -> Array:
    """Read a file whose values number the objects of an image, in 8, 16 or 32 bits.

    Returns
    -------
    (h, w) uint8, or int32 where there are numbers above 255
        0 belongs to no object, nor does 255 in a file of 8 bits. Object 255 of a file with more bits gets a new number.

    Raises
    ------
    UserError
        As `read_mask` with the format ``index``.
    """
    try:
        with open_image(path) as (image, kind):
            _refuse_lossy(path, kind)
            numbers = _index(path, image, kind)
    except UnsupportedTiffError as error:
        numbers = _wide_integers(path, error)
    if numbers.min() < 0 or numbers.max() >= 2**31 - 1:
        raise UserError(f"{path}: numbers objects from {numbers.min()} to {numbers.max()}; expected 0 to {2**31 - 2}")
    if numbers.max() <= 255:
        return numbers.astype(np.uint8)
    numbers = numbers.astype(np.int32)
    numbers[numbers == 255] = numbers.max() + 1
    return numbers


def _wide_integers(path: Path | str, error: UnsupportedTiffError) -> Array:
    """Return the whole numbers of a TIFF that Pillow cannot read, or raise its error."""
    samples = read_tiff_samples(path)[0] if tifffile_is_installed() else None
    if samples is None or samples.ndim != 2 or samples.dtype.kind not in "ui":
        raise error
    return samples


def _refuse_lossy(path: Path | str, kind: ImageHeader) -> None:
    if kind.lossy:
        raise UserError(
            f"{path}: {kind.lossy}, whose compression changes class numbers; use {option('mask_threshold', 127)} for a "
            "two-class mask, or save it as PNG from the program that drew it"
        )


def _read(
    path: Path | str,
    image: Image.Image,
    kind: ImageHeader,
    format: MaskFormat,
    threshold: int,
    classes: int,
    ignore_index: int | None,
) -> Array:
    """Return the classes of a mask that Pillow has read."""
    if format == "threshold":
        return (_grey(path, image, _CHROMA_NOISE) > threshold).astype(np.uint8)
    _refuse_lossy(path, kind)
    if format == "binary":
        return _binary(path, image)
    mask = _rgb_index(path, image, kind) if format == "rgb-index" else _index(path, image, kind)
    coloured = image.mode == "P" and not _is_grey(_palette_of(image))
    _check_values(path, mask, classes, ignore_index, palette=coloured)
    return mask.astype(np.uint8)


def write_mask(path: Path | str, mask: Array, kind: str | None = None, palette: Array | None = None) -> None:
    """Write (h, w) uint8 class indices as a palette PNG: the pixel is the class, the palette shows it in colour.

    ``palette`` (256, 3) uint8 is `PALETTE` unless it is given. With ``kind``, see
    :func:`scratchnet.utils.files.atomic_write`, an existing file of another kind is not replaced.
    """
    if mask.dtype != np.uint8 or mask.ndim != 2:
        raise ValueError(f"write_mask: expected (h, w) uint8, got {mask.shape} {mask.dtype}")
    check_mask("write_mask", mask)
    image = Image.fromarray(mask)
    image.putpalette((PALETTE if palette is None else palette).tobytes())
    with atomic_write(path, kind) as file:
        image.save(file, format="PNG", pnginfo=png_text(kind))


def _index(path: Path | str, image: Image.Image, kind: ImageHeader) -> Array:
    """Return the stored numbers of a single-channel image."""
    if image.mode == "P":
        return _palette_index(path, image)
    if image.mode in {"1", "L", "I"} or image.mode.startswith("I;16"):
        return stored_samples(np.array(image), kind)
    found = f"{path}: {describe_mode(image)}, but the mask format `index` needs one channel of whole numbers"
    if image.mode in {"RGB", "RGBA"}:
        if _channel_difference(image) == 0:
            raise UserError(f"{found}; its three channels are equal: use {option('mask_format', 'rgb-index')}")
        raise UserError(f"{found}; convert its colours to class numbers and save them as a grey or palette PNG")
    raise UserError(f"{found}; convert it to an 8-bit grey PNG whose values are the classes")


def _palette_of(image: Image.Image) -> Array:
    """Return the colours of a palette, (entries, 3) uint8."""
    return np.array(image.getpalette() or [], np.uint8).reshape(-1, 3)


def _is_grey(palette: Array) -> bool:
    """Return whether a palette has no colours."""
    return len(palette) > 0 and bool((palette == palette[:, :1]).all())


def _palette_index(path: Path | str, image: Image.Image) -> Array:
    """Return the index of a palette image, or the grey value that is seen where the palette is grey.

    A GIF has no grey values of its own, and programs leave out those that no pixel has: 0, 2, 4, 2 is stored as
    0, 1, 2, 1 with a palette of 0, 2 and 4.
    """
    # A palette image is never converted: conversion looks up the colours and the indices are gone.
    indices, palette = np.array(image), _palette_of(image)
    if not _is_grey(palette):
        return indices
    used = np.unique(indices)
    greys = np.zeros(256, np.uint8)
    greys[: len(palette)] = palette[:, 0]
    if used[-1] >= len(palette) or len(np.unique(greys[used])) < len(used):
        raise UserError(
            f"{path}: a palette image that shows several indices ({_listing(used)}) as the same grey, so the class of "
            "a pixel is not clear; save the indices as a grey PNG, or give every class a colour of its own"
        )
    seen: Array = greys[indices]
    return seen


def _rgb_index(path: Path | str, image: Image.Image, kind: ImageHeader) -> Array:
    """Return the first of three equal channels."""
    index = option("mask_format", "index")
    if image.mode not in {"RGB", "RGBA"}:
        raise UserError(f"{path}: {describe_mode(image)}, but `rgb-index` needs RGB; use {index}")
    difference = _channel_difference(image)
    if difference:
        raise UserError(
            f"{path}: its colour channels differ by up to {difference}, but `rgb-index` needs the class in all three; "
            "convert its colours to class numbers"
        )
    return stored_samples(np.array(image)[:, :, 0], kind)


def _binary(path: Path | str, image: Image.Image) -> Array:
    """Return 0 for black and 1 for white."""
    grey = _grey(path, image, 0)
    values = np.unique(grey)
    if np.isin(values, (0, 255)).all():
        return grey // 255
    shown, index = _listing(values[~np.isin(values, (0, 255))]), option("mask_format", "index")
    if values.max() <= 1:
        raise UserError(f"{path}: mask values 0 and 1, but `binary` needs 0 and 255; use {index}")
    raise UserError(
        f"{path}: mask value {shown} besides 0 and 255; use {option('mask_threshold', 127)} if they come from "
        f"compression or smoothing, or {index} if they are classes"
    )


def _grey(path: Path | str, image: Image.Image, tolerance: int) -> Array:
    """Return the brightness of an image without colour, (h, w) uint8."""
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
    """Return the largest difference between two colour channels of one pixel."""
    pixels = np.array(image.convert("RGB"))
    return int((pixels.max(axis=2) - pixels.min(axis=2)).max())


def _check_values(path: Path | str, mask: Array, classes: int, ignore_index: int | None, *, palette: bool) -> None:
    """Refuse a mask with values that are neither a class nor ``ignore_index``."""
    values = np.unique(mask)
    # With 255 as the ignored value such a mask would pass, and teach that there is nothing but background.
    if values[-1] == 255 and np.isin(values, (0, 255)).all() and not palette:
        raise UserError(
            f"{path}: mask values are only 0 and 255; use {option('mask_format', 'binary')} if 255 is the foreground "
            "(a mask with nothing but ignored pixels needs a palette PNG)"
        )
    strange = values[((values < 0) | (values >= classes)) & (values != (-1 if ignore_index is None else ignore_index))]
    if strange.size:
        ignored = "" if ignore_index is None else f", {ignore_index} is ignored"
        ignore = option("ignore_index", int(strange[0]))
        remedy = f", or pass {ignore} if it does not count" if len(strange) == 1 else ""
        raise UserError(
            f"{path}: mask value {_listing(strange)}, but the {classes} classes are 0 to {classes - 1}{ignored}; "
            f"correct the mask, name every class in classes.txt{remedy}"
        )


def _listing(values: Array) -> str:
    """Write the first values of a list: ``3, 7, 9, … (12 values)``."""
    shown = ", ".join(str(value) for value in values[:3])
    return shown if len(values) <= 3 else f"{shown}, … ({len(values)} values)"


def _make_palette() -> Array:
    """Build the colours of the 256 classes, (256, 3) uint8.

    The first eight are those of Okabe and Ito (2008, "Color Universal Design"), which people with any kind of colour
    vision tell apart. Then come 24, each as far as can be from all before it, for those who see three kinds of colour
    and for those who see two. The rest steps round the colour circle by the golden ratio, so that neighbours differ.
    """
    okabe_ito = "000000 e69f00 56b4e9 009e73 f0e442 0072b2 d55e00 cc79a7"
    further = (
        "492208 2f087d 972263 08e597 8a63ff 086315 7015be 8a6356 97b18a be3ccb be0808 d8beff "
        "560849 08498a ff7de5 a4ffb1 97d8cb a4d808 08493c ff5663 63568a cb70ff d8a4b1 8a8a49"
    )
    colours = [tuple(bytes.fromhex(colour)) for colour in f"{okabe_ito} {further}".split()]
    for index in range(len(colours), 256):
        lightness, saturation = (0.35, 0.5, 0.65)[index % 3], (0.75, 0.55)[index // 3 % 2]
        red, green, blue = colorsys.hls_to_rgb(index * 0.618034 % 1, lightness, saturation)
        colours.append((round(red * 255), round(green * 255), round(blue * 255)))
    colours[255] = (232, 232, 228)
    return np.array(colours, dtype=np.uint8)


PALETTE = _make_palette()
"""(256, 3) uint8: the colour of every class, everywhere. Class 0 is black, 255 (ignored) nearly white."""


def palette_with(colours: object) -> Array:
    """Return `PALETTE` with the first colours replaced by those of a set's class file; as it is where they are None.

    ValueError when they are not at most 256 times three numbers from 0 to 255.
    """
    palette = PALETTE.copy()
    if colours is not None:
        given = np.array(colours)
        if given.ndim != 2 or given.shape[1] != 3 or len(given) > 256 or given.dtype.kind not in "iu":
            raise ValueError("colours of classes: expected three whole numbers a class")
        if given.min() < 0 or given.max() > 255:
            raise ValueError("colours of classes: expected numbers from 0 to 255")
        palette[: len(given)] = given
    return palette
