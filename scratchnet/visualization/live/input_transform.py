"""Preprocessing as one affine function of a pixel's colour, which the page applies to every painted pixel."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from scratchnet.arrays import Array
from scratchnet.data import Preprocessing
from scratchnet.data.preprocessing import MIN_STD
from scratchnet.data.resizing import resize_image


@dataclass(frozen=True)
class InputTransform:
    """Input channels of a pixel: ``matrix @ (red, green, blue) / 255 + bias``.

    Attributes
    ----------
    matrix : (3, 3) float64
    bias : (3,) float64
    """

    matrix: Array
    bias: Array

    def apply(self, image: Array) -> Array:
        """Return the input (h, w, 3) of an image (h, w, 3) uint8."""
        x: Array = image / 255 @ self.matrix.T + self.bias
        return x

    def settings(self) -> dict[str, Any]:
        """Return the values for JSON."""
        return {"matrix": self.matrix.tolist(), "bias": self.bias.tolist()}


def input_transform(preprocessing: Preprocessing, image: Array) -> InputTransform:
    """Return the preprocessing of an image (h, w, 3) uint8.

    Normalisation per image keeps the statistics of this image, whatever is painted on it.
    """
    mean, std = np.array(preprocessing.mean, np.float64), np.array(preprocessing.std, np.float64)
    if preprocessing.normalization == "none":
        return InputTransform(np.eye(3), np.zeros(3))
    if preprocessing.normalization == "image":
        return _of_image(image if preprocessing.resize is None else resize_image(image, preprocessing.resize))
    matrix, bias = np.diag(1 / std), -mean / std
    if preprocessing.normalization == "caffe":  # blue before green before red
        matrix, bias = matrix[::-1], bias[::-1]
    return InputTransform(matrix, bias)


def _of_image(image: Array) -> InputTransform:
    """Return the normalisation by an image's own mean and standard deviation; flat channels repeat the others' mean.

    The statistics are those that `Preprocessing.apply` computes, in float32 with sums in float64.
    """
    x = image.astype(np.float32) * np.float32(1 / 255)
    mean = x.mean(axis=(0, 1), dtype=np.float64).astype(np.float32)
    std = np.sqrt(np.square(x - mean).mean(axis=(0, 1), dtype=np.float64)).astype(np.float32)
    mean, std, flat = mean.astype(np.float64), std.astype(np.float64), std < MIN_STD
    scale = 1 / np.maximum(std, MIN_STD)
    matrix, bias = np.diag(scale), -mean * scale
    if flat.any():
        share = ~flat / max(1, int((~flat).sum()))
        matrix[flat], bias[flat] = share @ matrix, share @ bias
    return InputTransform(matrix, bias)
