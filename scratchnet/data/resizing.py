"""Images and masks in another size."""

import numpy as np
from PIL import Image

from scratchnet.arrays import Array
from scratchnet.data.sample_source import SampleSource, SourceWrapper
from scratchnet.utils.shape_checks import check_image, check_mask


def resize_image(image: Array, size: tuple[int, int]) -> Array:
    """Return an (h, w, 3) uint8 image in the size (height, width); bilinear, averaging where it shrinks."""
    check_image("resize_image", image)
    if image.shape[:2] == size:
        return image
    return np.array(Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR))


def resize_mask(mask: Array, size: tuple[int, int]) -> Array:
    """Return an (h, w) uint8 mask in the size (height, width).

    Every pixel takes the class of the nearest one: between class 1 and class 3 there is no class 2.
    """
    check_mask("resize_mask", mask)
    if mask.shape == size:
        return mask
    return np.array(Image.fromarray(mask).resize(size[::-1], Image.Resampling.NEAREST))


class ResizedDataset(SourceWrapper):
    """A set whose samples all have one size."""

    def __init__(self, source: SampleSource, height: int, width: int) -> None:
        super().__init__(source)
        self.height, self.width = height, width

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the samples."""
        return self.source.names

    def __len__(self) -> int:
        return len(self.source)

    def size(self, index: int) -> tuple[int, int]:
        """Return (height, width)."""
        return self.height, self.width

    def load(self, index: int) -> tuple[Array, Array]:
        """Return image (height, width, 3) and mask (height, width)."""
        image, mask = self.source.load(index)
        size = (self.height, self.width)
        return resize_image(image, size), resize_mask(mask, size)


def resized(dataset: SampleSource, size: tuple[int, int]) -> ResizedDataset:
    """Return the set with every image and mask in the size (height, width)."""
    return ResizedDataset(dataset, *size)
