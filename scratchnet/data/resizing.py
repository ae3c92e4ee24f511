"""Images and masks in another size."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from scratchnet.arrays import Array
from scratchnet.data.source import SampleSource


def resize_image(image: Array, size: tuple[int, int]) -> Array:
    """Return an (h, w, 3) uint8 image in the size (height, width); bilinear, averaging where it shrinks."""
    if image.shape[:2] == size:
        return image
    return np.array(Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR))


def resize_mask(mask: Array, size: tuple[int, int]) -> Array:
    """Return an (h, w) uint8 mask in the size (height, width).

    Every pixel takes the class of the nearest one: between class 1 and class 3 there is no class 2.
    """
    if mask.shape == size:
        return mask
    return np.array(Image.fromarray(mask).resize(size[::-1], Image.Resampling.NEAREST))


@dataclass(frozen=True)
class ResizedDataset:
    """A set whose samples all have one size."""

    source: SampleSource
    height: int
    width: int

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.source.classes

    @property
    def ignore_index(self) -> int | None:
        """Mask value of pixels that do not count."""
        return self.source.ignore_index

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
