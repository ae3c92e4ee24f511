"""Arrays inside a web page: compressed bytes in base64.

A map of float32 becomes one byte per pixel, ``value = (byte − zero)·scale``, with zero = 0 if no value is negative and
128 otherwise. So 0 is exact, and other values are off by at most half a step. Maps are smooth, so differences of
neighbouring bytes are stored, which deflate compresses better than the bytes themselves.
"""

import base64
import zlib
from dataclasses import dataclass, field

import numpy as np

from scratchnet.arrays import Array


@dataclass
class Packer:
    """Collect arrays in one byte string; each ``add_…`` returns the array's [offset, length]."""

    parts: list[bytes] = field(default_factory=list)
    length: int = 0

    def add_bytes(self, array: Array) -> list[int]:
        """Append uint8 values, as differences modulo 256."""
        flat = array.reshape(-1)
        return self._add(np.diff(flat, prepend=flat.dtype.type(0)).tobytes())

    def add_floats(self, array: Array) -> list[int]:
        """Append values as little-endian float32."""
        return self._add(array.astype("<f4").tobytes())

    def text(self) -> str:
        """Return everything, deflated, in base64."""
        return base64.b64encode(zlib.compress(b"".join(self.parts), 9)).decode("ascii")

    def _add(self, data: bytes) -> list[int]:
        self.parts.append(data)
        self.length += len(data)
        return [self.length - len(data), len(data)]


def quantize(maps: Array) -> tuple[Array, list[float], int]:
    """Return maps (h, w, c) as bytes (c, h, w), the step size of each map, and the byte that represents 0."""
    zero = 128 if (maps < 0).any() else 0
    scale = np.abs(maps).max(axis=(0, 1)).astype(np.float64) / (255 - zero)
    steps = np.rint(maps / np.where(scale > 0, scale, 1)) + zero
    return steps.astype(np.uint8).transpose(2, 0, 1), [float(f"{step:.6g}") for step in scale], zero
