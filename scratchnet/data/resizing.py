"""Resizing images and masks."""

import numpy as np
from PIL import Image

from scratchnet.arrays import Array
from scratchnet.data.sample_source import SampleSource, SourceWrapper
from scratchnet.utils.shape_checks import check_image, check_mask


def resize_image(image: Array, size: tuple[int, int]) -> Array:
    """Resize an (h, w, 3) uint8 image to (height, width): bilinear, with averaging when shrinking."""
    check_image("resize_image", image)
    if image.shape[:2] == size:
        return image
    return np.array(Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR))


def resize_mask(mask: Array, size: tuple[int, int]) -> Array:
    """Resize an (h, w) uint8 mask to (height, width) by nearest neighbour, which never mixes class indices."""
    check_mask("resize_mask", mask)
    if mask.shape == size:
        return mask
    return np.array(Image.fromarray(mask).resize(size[::-1], Image.Resampling.NEAREST))


class ResizedDataset(SourceWrapper):
    """A data set whose samples are resized to one size."""

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
    """Return the data set with every image and mask resized to (height, width)."""
    return ResizedDataset(dataset, *size)
