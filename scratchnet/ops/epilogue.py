"""The operations that follow a convolution pixel by pixel: a factor and a shift for every channel, and ReLU.

    y = max(a·z + b, 0)

Batch norm with fixed statistics has this form, with a = γ / √(σ² + ε) and b = β − μ·a. Outside training, a network lets
the convolution before it compute it, on one block of the output after the other.
"""

from dataclasses import dataclass

from scratchnet.arrays import Array, get_array_module
from scratchnet.engine.dispatch import Argument


@dataclass(frozen=True)
class Epilogue:
    """The operations after a convolution.

    Attributes
    ----------
    scale, shift : (c,) or None
        The factor a and the shift b of every channel; both or neither.
    relu : bool
        Whether to set negative results to 0.
    """

    scale: Array | None = None
    shift: Array | None = None
    relu: bool = False

    def __post_init__(self) -> None:
        """Raise a TypeError if only one of scale and shift is given."""
        if (self.scale is None) is not (self.shift is None):
            raise TypeError("epilogue: scale and shift belong together, but one of them is None; pass both or neither")

    @classmethod
    def of_batch_norm(cls, gamma: Array, beta: Array, mean: Array, variance: Array, eps: float = 1e-5) -> "Epilogue":
        """Return what :func:`~scratchnet.ops.normalization.batch_norm_fixed` computes; the arrays are (c,) each."""
        scale = gamma * (1 / get_array_module(gamma).sqrt(variance + gamma.dtype.type(eps)))
        return cls(scale, beta - mean * scale)

    def of(self, z: Array) -> Array:
        """Return the result for the output ``z`` (n, h, w, c) of a convolution."""
        y = z if self.scale is None else z * self.scale + self.shift
        return get_array_module(z).maximum(y, 0) if self.relu else y


def epilogue(channels: str) -> Argument:
    """Expect an :class:`Epilogue` for an output whose axis of channels has this name, or None."""
    return Argument(fields={"scale": Argument(channels), "shift": Argument(channels)})
