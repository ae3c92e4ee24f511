"""A data set of images and masks that are arrays in memory."""

from collections.abc import Sequence

import numpy as np

from scratchnet.arrays import Array


class ArraySource:
    """A data set of images and masks in memory.

    Parameters
    ----------
    images : (n, h, w, 3) or (n, h, w) uint8, or a sequence of (h, w, 3) or (h, w) uint8
        Grey images become three equal channels. The images of a sequence may differ in size.
    masks : (n, h, w) integers, or a sequence of (h, w)
        Values are class indices.
    classes : sequence of str or None
        Names of the classes. None: "class 0", "class 1", … up to the largest label, at least two.
    ignore_index : int or None
        Mask value of ignored pixels.

    Raises
    ------
    ValueError, TypeError
        When images and masks differ in number or size, or are not uint8 images and integer masks of 0 to 255.
    """

    def __init__(
        self,
        images: Sequence[Array] | Array,
        masks: Sequence[Array] | Array,
        classes: Sequence[str] | None = None,
        ignore_index: int | None = 255,
    ) -> None:
        if len(images) != len(masks) or len(images) == 0:
            raise ValueError(
                f"ArraySource: {len(images)} images and {len(masks)} masks; expected the same number, at least 1"
            )
        self._pairs = [
            (_image(np.asarray(image), index), _mask(np.asarray(mask), index))
            for index, (image, mask) in enumerate(zip(images, masks, strict=True))
        ]
        for index, (image, mask) in enumerate(self._pairs):
            if image.shape[:2] != mask.shape:
                raise ValueError(f"ArraySource: image {index} is {image.shape[:2]}, its mask {mask.shape}")
        self.ignore_index = ignore_index
        largest = max(int(mask[mask != ignore_index].max(initial=0)) for _, mask in self._pairs)
        self.classes = tuple(classes) if classes else tuple(f"class {k}" for k in range(max(2, largest + 1)))
        if largest >= len(self.classes):
            raise ValueError(
                f"ArraySource: a mask holds the label {largest}, but there are {len(self.classes)} classes "
                f"({', '.join(self.classes)})"
            )
        self.names = tuple(f"image {index}" for index in range(len(self._pairs)))

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._pairs)

    def size(self, index: int) -> tuple[int, int]:
        """Return (height, width) of an image."""
        h, w = self._pairs[index][1].shape
        return h, w

    def load(self, index: int) -> tuple[Array, Array]:
        """Return image (h, w, 3) uint8 and mask (h, w) uint8."""
        return self._pairs[index]

    def subset(self, indices: Sequence[int]) -> "ArraySource":
        """Return the data set of some of the images."""
        pairs = [self._pairs[index] for index in indices]
        return ArraySource([image for image, _ in pairs], [mask for _, mask in pairs], self.classes, self.ignore_index)


def _image(image: Array, index: int) -> Array:
    if image.dtype != np.uint8:
        raise TypeError(f"ArraySource: image {index} is {image.dtype}; expected uint8, 0 to 255")
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    if image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ValueError(f"ArraySource: image {index} has shape {image.shape}; expected (h, w, 3) or (h, w)")
    return np.ascontiguousarray(image)


def _mask(mask: Array, index: int) -> Array:
    if mask.dtype != np.bool_ and not np.issubdtype(mask.dtype, np.integer):
        raise TypeError(f"ArraySource: mask {index} is {mask.dtype}; expected integers, the class of every pixel")
    if mask.ndim != 2:
        raise ValueError(f"ArraySource: mask {index} has shape {mask.shape}; expected (h, w)")
    if mask.size and (int(mask.min()) < 0 or int(mask.max()) > 255):
        raise ValueError(f"ArraySource: mask {index} holds {mask.min()} to {mask.max()}; expected labels of 0 to 255")
    return np.ascontiguousarray(mask, np.uint8)
