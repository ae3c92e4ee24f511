"""Upsampling layers without learned parameters."""

from collections.abc import Sequence

import numpy as np

from scratchnet.arrays import Array
from scratchnet.layers.base import Layer, Shape
from scratchnet.layers.description import InputInfo
from scratchnet.layers.window import Window
from scratchnet.ops.geometry import Pair
from scratchnet.ops.resampling import (
    bed_of_nails,
    bed_of_nails_backward,
    bilinear_transpose,
    bilinear_transpose_backward,
    upsample_bilinear,
    upsample_bilinear_backward,
    upsample_nearest,
    upsample_nearest_backward,
)
from scratchnet.utils.validation import integer, pair


class UpsampleNearest(Layer):
    """Repeat every pixel ``scale`` times in both directions."""

    capturable = True
    kind = "copy"

    def __init__(self, scale: int | Pair = 2) -> None:
        super().__init__()
        self.scale = pair(scale, f"{type(self).__name__}: scale", 1)

    def forward(self, x: Array) -> Array:
        """(n, h, w, c) → (n, h·sh, w·sw, c)."""
        return upsample_nearest(x, self.scale)

    def backward(self, dy: Array) -> Array:
        """Return dx, the sum over the copies."""
        return upsample_nearest_backward(dy, self.scale)

    def output_shape(self, x: Shape) -> Shape:
        """Return (n, h·sh, w·sw, c)."""
        return x[0], x[1] * self.scale[0], x[2] * self.scale[1], x[3]

    def windows(self, *inputs: InputInfo) -> list[Window]:
        """Return the block of copies of an input pixel."""
        return [Window(self.scale, self.scale, transposed=True)]

    def describe(self) -> str:
        """Return the name and the scale."""
        return f"repeat {self.scale[0]}×{self.scale[1]}"


class BedOfNails(UpsampleNearest):
    """Place every pixel in the upper left corner of a block of zeros."""

    capturable = True
    kind = "copy"

    def forward(self, x: Array) -> Array:
        """(n, h, w, c) → (n, h·sh, w·sw, c)."""
        return bed_of_nails(x, self.scale)

    def backward(self, dy: Array) -> Array:
        """Return dx, read at the nails."""
        return bed_of_nails_backward(dy, self.scale)

    def windows(self, *inputs: InputInfo) -> list[Window]:
        """Return the upper left pixel of each block."""
        return [Window(stride=self.scale, transposed=True)]

    def describe(self) -> str:
        """Return the name and the scale."""
        return f"bed of nails {self.scale[0]}×{self.scale[1]}"


class UpsampleBilinear(Layer):
    """Interpolate linearly to ``scale`` times the size."""

    capturable = True
    kind = "blend"

    def __init__(self, scale: int | Pair = 2) -> None:
        super().__init__()
        self.scale = pair(scale, f"{type(self).__name__}: scale", 1)

    def forward(self, x: Array) -> Array:
        """(n, h, w, c) → (n, h·sh, w·sw, c)."""
        n, h, w, c = x.shape
        self.save_for_backward((h, w))
        return upsample_bilinear(x, self.output_shape((n, h, w, c))[1:3])

    def backward(self, dy: Array) -> Array:
        """Return dx through the transposed interpolation."""
        (size,) = self.take_saved()
        return upsample_bilinear_backward(dy, size)

    def output_shape(self, x: Shape) -> Shape:
        """Return (n, h·sh, w·sw, c)."""
        return x[0], x[1] * self.scale[0], x[2] * self.scale[1], x[3]

    def windows(self, *inputs: InputInfo) -> list[Window]:
        """Return the window of a tent two input pixels wide, round the middle of an input pixel."""
        sh, sw = self.scale
        return [Window((2 * sh - sh % 2, 2 * sw - sw % 2), (sh, sw), (sh // 2, sw // 2), transposed=True)]

    def weights_between(self, outputs: Sequence[int], inputs: Sequence[int]) -> Array:
        """Return the tent, (1, 1, kh, kw); near the border a pixel also takes the share of its missing neighbour."""
        return _tent(self.windows()[0].kernel, self.scale)

    def describe(self) -> str:
        """Return the name and the scale."""
        return f"bilinear {self.scale[0]}×{self.scale[1]}"


class BilinearTranspose2d(Layer):
    """Enlarge ``factor`` times by a transposed convolution whose bilinear kernel is fixed, as in the released FCN.

    The same as ``ConvTranspose2d(c, c, 2·factor, factor, bias=False, initializer=bilinear)`` that never learns, without
    the multiplications by its zeros.
    """

    capturable = True
    kind = "blend"
    example = (2,)

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = integer(factor, "BilinearTranspose2d: factor", 1)

    def forward(self, x: Array) -> Array:
        """(n, h, w, c) → (n, (h + 1)·factor, (w + 1)·factor, c)."""
        return bilinear_transpose(x, self.factor)

    def backward(self, dy: Array) -> Array:
        """Return dx, gathered under the kernel."""
        return bilinear_transpose_backward(dy, self.factor)

    def output_shape(self, x: Shape) -> Shape:
        """Return (n, (h + 1)·factor, (w + 1)·factor, c)."""
        return x[0], (x[1] + 1) * self.factor, (x[2] + 1) * self.factor, x[3]

    def windows(self, *inputs: InputInfo) -> list[Window]:
        """Return the window of the kernel."""
        f = self.factor
        return [Window((2 * f, 2 * f), (f, f), transposed=True)]

    def weights_between(self, outputs: Sequence[int], inputs: Sequence[int]) -> Array:
        """Return the kernel, (1, 1, 2·factor, 2·factor)."""
        return _tent(self.windows()[0].kernel, (self.factor, self.factor))

    def describe(self) -> str:
        """Return the kernel size and the stride."""
        return f"bilinear deconv {2 * self.factor}×{2 * self.factor}, stride {self.factor}"


def _tent(kernel: Pair, scale: Pair) -> Array:
    """Return the bilinear kernel (1, 1, kh, kw): 1 at its centre, falling to 0 at a distance of ``scale`` pixels."""
    rows, columns = (1 - np.abs(np.arange(k) - (k - 1) / 2) / s for k, s in zip(kernel, scale, strict=True))
    tent: Array = np.outer(rows, columns)[None, None]
    return tent
