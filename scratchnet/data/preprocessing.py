"""Conversion of images from bytes to the input of a network."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from scratchnet.arrays import Array
from scratchnet.data.images import ValueRange
from scratchnet.data.resizing import resize_image
from scratchnet.data.sample_source import SampleSource
from scratchnet.utils.shape_checks import check_images

Normalization: TypeAlias = Literal["dataset", "image", "none", "torchvision", "caffe"]
Channels: TypeAlias = tuple[float, float, float]

MIN_STD = 1e-3
"""Minimum standard deviation as a divisor, as a fraction of the brightness range, for images without contrast."""

FIXED_STATISTICS: dict[str, tuple[Channels, Channels]] = {
    "torchvision": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "caffe": ((122.675 / 255, 116.669 / 255, 104.008 / 255), (1 / 255, 1 / 255, 1 / 255)),
}
"""Mean and standard deviation (red, green, blue; range 0 to 1) of the normalisations that pretrained weights expect."""


@dataclass(frozen=True)
class Preprocessing:
    """Conversion of images to the input of a network, which checkpoints store so that inference repeats it.

    Attributes
    ----------
    normalization : {"dataset", "image", "none", "torchvision", "caffe"}
        ``dataset``: (x/255 − mean) / std with the statistics of the training set; ``image``: the same with the
        statistics of each image and channel, which evens out lighting and staining (a channel without contrast becomes
        the mean of the others, to avoid inputs unlike those in training); ``none``: x/255; ``torchvision``: like
        ``dataset`` with ImageNet's statistics, for torchvision's weights; ``caffe``: x − (122.675, 116.669, 104.008),
        in the order blue, green, red, for Caffe's weights and the training of FCN, SegNet and DeconvNet.
    mean, std : (float, float, float)
        Statistics of red, green and blue in the range 0 to 1, if the normalisation uses them.
    resize : (int, int) or None
        Height and width to which images are resized first.
    range : (float, float) or None
        Stored values of images with more than 8 bits that become black and white, see `read_image`.
    """

    normalization: Normalization = "dataset"
    mean: Channels = (0.0, 0.0, 0.0)
    std: Channels = (1.0, 1.0, 1.0)
    resize: tuple[int, int] | None = None
    range: ValueRange | None = None

    def apply(self, images: Array, dtype: npt.DTypeLike = np.float32) -> Array:
        """Return the input of the network.

        Parameters
        ----------
        images : (n, h, w, 3) uint8
        dtype : float32 or float64

        Returns
        -------
        (n, h, w, 3) array of ``dtype``; ``(n, *resize, 3)`` if ``resize`` is set
        """
        check_images("Preprocessing.apply", images)
        if self.resize is not None and images.shape[1:3] != self.resize:
            images = np.stack([resize_image(image, self.resize) for image in images])
        x: Array = images.astype(dtype)
        x *= np.asarray(1 / 255, dtype)
        if self.normalization == "image":
            # In float32, sums over many millions of pixels lose the small ones.
            x -= x.mean(axis=(1, 2), keepdims=True, dtype=np.float64).astype(dtype)
            std = np.sqrt(np.square(x).mean(axis=(1, 2), keepdims=True, dtype=np.float64)).astype(dtype)
            x /= np.maximum(std, MIN_STD)
            x = _fill_flat_channels(x, std < MIN_STD)
        elif self.normalization != "none":
            x -= np.asarray(self.mean, dtype)
            x /= np.asarray(self.std, dtype)
        return np.ascontiguousarray(x[..., ::-1]) if self.normalization == "caffe" else x

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes as a JSON-compatible dictionary."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Preprocessing":
        """Return the preprocessing of a dictionary from `to_dict`, also after JSON has converted tuples to lists.

        ValueError or TypeError for other dictionaries.
        """
        fields: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
        }
        result = cls(**fields)
        statistics = (*result.mean, *result.std)
        sides = (1, 1) if result.resize is None else result.resize
        if result.normalization not in get_args(Normalization) or len(result.mean) != 3 or len(result.std) != 3:
            raise ValueError(f"not a preprocessing: {dict(values)}")
        if not np.isfinite(statistics).all() or min(result.std) <= 0:
            raise ValueError(f"not a mean and a standard deviation: {result.mean}, {result.std}")
        if len(sides) != 2 or not all(isinstance(side, int) and side >= 1 for side in sides):
            raise ValueError(f"not a height and a width: {result.resize}")
        if result.range is not None and not (
            len(result.range) == 2 and -np.inf < result.range[0] < result.range[1] < np.inf
        ):
            raise ValueError(f"not a range of values: {result.range}")
        return result


def fit_preprocessing(
    dataset: SampleSource, normalization: Normalization = "dataset", resize: tuple[int, int] | None = None
) -> Preprocessing:
    """Return the preprocessing for a training set; ``"dataset"`` computes its mean and standard deviation in one pass.

    The sums are integers, so the result does not depend on the order of the images.
    """
    if normalization in FIXED_STATISTICS:
        return Preprocessing(normalization, *FIXED_STATISTICS[normalization], resize)
    if normalization != "dataset":
        return Preprocessing(normalization, resize=resize)
    levels = np.arange(256)
    count, total, squares = 0, np.zeros(3, np.int64), np.zeros(3, np.int64)
    for index in range(len(dataset)):
        image, _ = dataset.load(index)
        histogram = np.stack([np.bincount(image[:, :, channel].ravel(), minlength=256) for channel in range(3)])
        count += image.shape[0] * image.shape[1]
        total += histogram @ levels
        squares += histogram @ levels**2
    mean = total / count
    std = np.sqrt(np.maximum(squares / count - mean**2, (255 * MIN_STD) ** 2))
    return Preprocessing(normalization, _channels(mean / 255), _channels(std / 255), resize)


def _fill_flat_channels(x: Array, flat: Array) -> Array:
    """Replace flat channels, (n, 1, 1, 3) bool, by the mean of the other channels, or 0 if all are flat."""
    if not flat.any():
        return x
    others = np.where(flat, 0, x).sum(axis=-1, keepdims=True) / np.maximum((~flat).sum(axis=-1, keepdims=True), 1)
    filled: Array = np.where(flat, others, x).astype(x.dtype)
    return filled


def _channels(values: Array) -> Channels:
    red, green, blue = values.tolist()
    return red, green, blue
