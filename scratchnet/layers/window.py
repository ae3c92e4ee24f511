"""The window of a layer: the input pixels that an output pixel sees.

Every layer follows the same rule along each axis. Index o of the small map and kernel position i correspond to index

    o·s + i·d − p        i = 0 … k − 1

of the large map (stride s, dilation d, padding p). In a convolution or a pooling the output is the small map, so output
o sees k inputs, d apart; in a transposed convolution or an unpooling the input is the small map, so it is the other way
round. ReLU, batch norm, crops and the like are the case k = s = 1, a crop with a negative padding.
"""

from dataclasses import dataclass, replace

import numpy as np

from scratchnet.arrays import Array
from scratchnet.ops.geometry import Pair, tap


@dataclass(frozen=True)
class Window:
    """Connection between the pixels of an output and an input; see the module docstring.

    Attributes
    ----------
    kernel, stride, padding, dilation : (vertical, horizontal)
    transposed : bool
        Whether the input is the small map.
    """

    kernel: Pair = (1, 1)
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    transposed: bool = False

    def back(self, marked: Array, axis: int, size: int) -> Array:
        """Return which of ``size`` input indices the marked output indices depend on, (size,) bool."""
        return self._carry(marked, axis, size, to_large=not self.transposed)

    def forth(self, marked: Array, axis: int, size: int) -> Array:
        """Return which of ``size`` output indices depend on any marked input index, (size,) bool."""
        return self._carry(marked, axis, size, to_large=self.transposed)

    def mirrored(self) -> "Window":
        """Return the window of the layer that maps the output back to the input, as an unpooling does."""
        return replace(self, transposed=not self.transposed)

    def _carry(self, marked: Array, axis: int, size: int, to_large: bool) -> Array:
        found = np.zeros(size, bool)
        small, large = (len(marked), size) if to_large else (size, len(marked))
        for i in range(self.kernel[axis]):
            place = tap(i * self.dilation[axis], large, small, self.stride[axis], self.padding[axis])
            if to_large:
                found[place.source] |= marked[place.out]
            else:
                found[place.out] |= marked[place.source]
        return found
