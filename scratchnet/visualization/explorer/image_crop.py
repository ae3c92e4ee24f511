"""Crop of an image to show on a page, preprocessed as in `scratchnet segment`."""

from dataclasses import dataclass

import numpy as np

from scratchnet.arrays import Array
from scratchnet.data.resizing import resize_image
from scratchnet.inference.segmentation import MAX_UNTILED_SIDE, Segmenter
from scratchnet.ops.geometry import Pair
from scratchnet.utils.errors import UserError
from scratchnet.visualization.graph.connectivity import pixel_grids
from scratchnet.visualization.graph.receptive_field import Rectangle

SIDE = 256
"""Maximum side of a crop in pixels, so that the page loads quickly."""


@dataclass(frozen=True)
class ImageCrop:
    """The part of an image that the network receives.

    Attributes
    ----------
    x : (1, h, w, channels)
        Network input: normalised and padded by reflection, as the network requires.
    photo : (h, w, 3) uint8
        The same pixels for display.
    part : Rectangle
        Position in the image (after resizing, if training resized images).
    whole : (h, w)
        Size of the image (after resizing).
    colours : tuple of str
        Names of the network's input channels.
    """

    x: Array
    photo: Array
    part: Rectangle
    whole: Pair
    colours: tuple[str, ...]

    @property
    def size(self) -> Pair:
        """Height and width of the crop."""
        return self.part.bottom - self.part.top, self.part.right - self.part.left

    def notes(self, own_rows: bool = True) -> list[str]:
        """Return sentences about the parts of the image that the crop omits.

        Parameters
        ----------
        own_rows : bool
            Whether the rows and columns on the page are those of the crop, and not those of the image.
        """
        (h, w), (top, left, bottom, right) = self.whole, self.part
        sentences = []
        if self.size != self.whole:
            counting = "Rows and columns count from the top left corner of this part." if own_rows else ""
            sentences.append(
                f"Of the image's {h}×{w} pixels, the network received only rows {top}–{bottom - 1} and columns "
                f"{left}–{right - 1}; near the cut edges its output may differ from that for the whole image. "
                f"{counting}".rstrip()
            )
        if self.x.shape[1:3] != self.size:
            sentences.append(f"The image is padded by reflection to {self.x.shape[1]}×{self.x.shape[2]} pixels.")
        return sentences


def crop_image(segmenter: Segmenter, image: Array, size: Pair | None = None, at: Pair | None = None) -> ImageCrop:
    """Crop an image and preprocess it for the network.

    The image is normalised as a whole, as in `segment`. A network with a fixed input size gets a crop of that size.

    Parameters
    ----------
    segmenter : Segmenter
    image : (h, w, 3) uint8
    size : (h, w) or None
        Size of the crop; None: the whole image, up to 256 pixels per side.
    at : (row, column) or None
        Centre of the crop; None: the centre of the image.

    Raises
    ------
    UserError
        If the network requires a different size, or the crop does not fit.
    """
    preprocessing = segmenter.preprocessing
    segmenter.check_size(*image.shape[:2])
    x = preprocessing.apply(image[None])
    h, w = x.shape[1:3]
    photo = image if preprocessing.resize is None else resize_image(image, preprocessing.resize)
    part = _part((h, w), _size(size, segmenter), at, _step(segmenter))
    rows, columns = slice(part.top, part.bottom), slice(part.left, part.right)
    seen, shown = (segmenter.padded(segmenter.framed(a[:, rows, columns])) for a in (x, photo[None]))
    colours = ("blue", "green", "red") if preprocessing.normalization == "caffe" else ("red", "green", "blue")
    return ImageCrop(np.ascontiguousarray(seen), shown[0], part, (h, w), colours)


def _size(size: Pair | None, segmenter: Segmenter) -> Pair:
    """Return the maximum size of the crop."""
    fixed, stride = segmenter.network.fixed_size, segmenter.network.stride
    if size is None:
        return fixed or (SIDE, SIDE)
    text = f"--size {size[0]}x{size[1]}"
    if fixed is not None and size != fixed:
        raise UserError(f"{text}: this network takes {fixed[0]}x{fixed[1]} pixels only; leave out --size")
    if not stride <= min(size) <= max(size) <= MAX_UNTILED_SIDE:
        raise UserError(f"{text}: expected {stride} to {MAX_UNTILED_SIDE} pixels a side")
    return size


def _step(segmenter: Segmenter) -> int:
    """Return the step of valid crop offsets, for which pooling windows are aligned with those of the whole image."""
    network = segmenter.network
    side = 8 * network.stride + 2 * network.valid_margin
    size = network.fixed_size or (side, side)
    return round(max(rows.jump for rows, _ in pixel_grids(network, size).values()))


def _part(whole: Pair, most: Pair, at: Pair | None, step: int) -> Rectangle:
    """Return the crop of at most ``most`` pixels that contains ``at``, near its centre if possible."""
    at = at or (whole[0] // 2, whole[1] // 2)
    if not all(0 <= a < length for a, length in zip(at, whole, strict=True)):
        raise UserError(f"--at {at[0]} {at[1]}: the image has rows 0 to {whole[0] - 1}, columns 0 to {whole[1] - 1}")
    ends = []
    for middle, length, side in zip(at, whole, most, strict=True):
        first = min(max(0, middle - side // 2), max(0, length - side))
        first -= first % step
        while middle >= first + side:  # at the end of an image that is no multiple of the step
            first += step
        ends.append((first, min(length, first + side)))
    (top, bottom), (left, right) = ends
    return Rectangle(top, left, bottom, right)
