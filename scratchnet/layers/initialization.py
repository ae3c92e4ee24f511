"""Initializers of parameters."""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod, sqrt
from typing import TypeAlias

import numpy as np

from scratchnet.arrays import Array

Initializer: TypeAlias = Callable[[np.random.Generator, tuple[int, ...]], Array]
"""Function from a random generator and a shape to a float array of that shape."""


@dataclass(frozen=True)
class Constant:
    """Set every value of an array to ``value``."""

    value: float

    def __call__(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """Return the array."""
        return np.full(shape, self.value, np.float32)


@dataclass(frozen=True)
class Gaussian:
    """Draw every value of an array from N(0, std²)."""

    std: float

    def __call__(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """Draw the array."""
        return rng.standard_normal(shape, np.float32) * np.float32(self.std)


def constant(value: float) -> Initializer:
    """Return an initializer that sets every value to ``value``."""
    return Constant(value)


def gaussian(std: float) -> Initializer:
    """Return an initializer that draws from N(0, std²)."""
    return Gaussian(std)


def he_normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draw from N(0, 2 / fan-in), which preserves the variance across ReLU layers (He et al. 2015, section 2.2).

    ``shape`` is (kh, kw, c_in, c_out); the fan-in is ``kh·kw·c_in``.
    """
    return gaussian(sqrt(2 / prod(shape[:-1])))(rng, shape)


def he_normal_transposed(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draw as :func:`he_normal` for a transposed convolution at stride 1, whose shape is (kh, kw, c_out, c_in)."""
    kh, kw, _, c_in = shape
    return gaussian(sqrt(2 / (kh * kw * c_in)))(rng, shape)


def identity(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Initialise a convolution as the identity on every channel (Yu and Koltun 2016, section 3)."""
    kh, kw, c_in, c_out = shape
    kernel = np.zeros(shape, np.float32)
    kernel[kh // 2, kw // 2] = np.eye(c_in, c_out)
    return kernel


def bilinear(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Initialise a transposed convolution as bilinear interpolation (Long, Shelhamer, Darrell 2015, section 3.3).

    Each channel depends only on itself, through the outer product of ``1 − |i − centre| / factor`` with itself, where
    ``factor = ⌊(k+1)/2⌋`` and the centre is ``factor − 1`` for odd k, ``factor − ½`` for even. Grouped
    convolutions are not supported.

    >>> bilinear(np.random.default_rng(), (4, 4, 1, 1))[:, 1, 0, 0].tolist()
    [0.1875, 0.5625, 0.5625, 0.1875]
    """
    kh, kw, c_out, c_in = shape
    profiles = []
    for k in (kh, kw):
        factor = (k + 1) // 2
        centre = factor - 1 if k % 2 else factor - 0.5
        profiles.append(1 - np.abs(np.arange(k) - centre) / factor)
    kernel = np.outer(profiles[0], profiles[1])
    return (kernel[:, :, None, None] * np.eye(c_out, c_in)).astype(np.float32)
