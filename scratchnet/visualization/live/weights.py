"""Parameters inside the page: kernels as float32 or float16, vectors (biases, normalisation) as float32.

The bytes of all values are sorted by significance: first the most significant byte of every value, then the next one.
Exponents are alike, so deflate compresses their bytes to a third.
"""

import base64
import zlib
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from scratchnet.arrays import Array, to_host
from scratchnet.utils.errors import UserError

Precision = Literal["float32", "float16"]


@dataclass
class Parameters:
    """Collect a network's parameters; each ``add_…`` returns the [offset, length] of an array in elements."""

    kernels: list[Array] = field(default_factory=list)
    vectors: list[Array] = field(default_factory=list)

    def add_kernel(self, array: Array) -> list[int]:
        """Add the weight of a convolution."""
        return _add(self.kernels, array)

    def add_vector(self, array: Array) -> list[int]:
        """Add one value per channel."""
        return _add(self.vectors, array)

    def pack(self, precision: Precision = "float32") -> dict[str, str]:
        """Return everything as base64 of deflated bytes, for JSON.

        Raises
        ------
        UserError
            If a kernel has values that float16 cannot represent.
        """
        kernels = _joined(self.kernels)
        if precision == "float16" and np.abs(kernels).max(initial=0) > np.finfo(np.float16).max:
            raise UserError("--live: weights above 65504 do not fit into float16; leave out --live")
        return {
            "precision": precision,
            "kernels": pack_floats(kernels.astype(precision)),
            "vectors": pack_floats(_joined(self.vectors)),
        }


def pack_floats(values: Array) -> str:
    """Return float16 or float32 values as base64 of their deflated bytes, most significant bytes first."""
    width = values.dtype.itemsize
    planes = values.astype(f">f{width}").view(np.uint8).reshape(-1, width).T
    return base64.b64encode(zlib.compress(planes.tobytes(), 9)).decode("ascii")


def _add(arrays: list[Array], array: Array) -> list[int]:
    start = sum(earlier.size for earlier in arrays)
    arrays.append(to_host(array).astype(np.float32).ravel())
    return [start, array.size]


def _joined(arrays: list[Array]) -> Array:
    return np.concatenate(arrays) if arrays else np.zeros(0, np.float32)
