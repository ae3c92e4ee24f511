"""Group normalisation as a layer."""

from scratchnet.arrays import Array
from scratchnet.layers.base import Layer, Shape
from scratchnet.layers.initialization import constant
from scratchnet.layers.parameter import Parameter
from scratchnet.ops.group_norm import check_groups, group_norm, group_norm_backward
from scratchnet.utils.validation import integer, number


class GroupNorm(Layer):
    """Normalise each image over groups of channels, then scale and shift every channel.

    Unlike batch norm it treats every image separately, in training and in evaluation. It suits batches of one or two
    images, and it has no running averages.

    Parameters
    ----------
    channels : int
    groups : int
        Divides ``channels``. 1 is layer normalisation, ``channels`` is instance normalisation.
    eps : float
        Added to the variance.
    """

    capturable = True
    kind = "pixelwise"
    example = (4, 2)
    drawn_with = "learned"
    mixes_channels = True
    uses_image_statistics = True

    def __init__(self, channels: int, groups: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.channels = integer(channels, "GroupNorm: channels", 1)
        self.groups = integer(groups, "GroupNorm: groups", 1)
        check_groups(self.channels, self.groups, "GroupNorm")
        self.eps = number(eps, "GroupNorm: eps", 0)
        self.parameters["scale"] = Parameter((self.channels,), "scale", constant(1))
        self.parameters["shift"] = Parameter((self.channels,), "shift", constant(0))

    def forward(self, x: Array) -> Array:
        """(n, h, w, c) → the same shape."""
        scale, shift = self.parameters["scale"].value, self.parameters["shift"].value
        y, mean, inverse_std = group_norm(x, scale, shift, self.groups, self.eps)
        self.save_for_backward(x, mean, inverse_std)
        return y

    def backward(self, dy: Array) -> Array:
        """Add dscale and dshift, return dx."""
        x, mean, inverse_std = self.take_saved()
        scale, shift = self.parameters["scale"], self.parameters["shift"]
        dx, dscale, dshift = group_norm_backward(dy, x, mean, inverse_std, scale.value)
        scale.add_grad(dscale)
        shift.add_grad(dshift)
        return dx

    def output_shape(self, x: Shape) -> Shape:
        """Return the input's shape."""
        if x[3] != self.channels:
            raise ValueError(f"group norm: the input has {x[3]} channels, expected {self.channels}")
        return x

    def describe(self) -> str:
        """Return the name and the number of groups."""
        return f"group norm, {self.groups} groups"
