"""Building blocks that the papers' tables share.

Convolutions keep their bias before batch norm, although it has no effect there, because the papers' parameter counts
include it.
"""

from collections.abc import Iterable
from typing import Literal, TypeAlias

from scratchnet.layers import BatchNorm2d, Conv2d, ConvTranspose2d, Crop, MaxUnpool2d, ReLU, UpsampleNearest
from scratchnet.layers.base import Layer
from scratchnet.layers.initialization import gaussian
from scratchnet.network import Network

Unpool: TypeAlias = Literal["switches", "nearest", "transposed"]
"""Method of upsampling a feature map to its size before a pool: the papers' and two alternatives for comparison."""


def conv_relu(
    net: Network,
    name: str,
    c_in: int,
    c_out: int,
    kernel: int = 3,
    batch_norm: bool = True,
    padding: int | None = None,
) -> str:
    """Add a convolution, optional batch norm and ReLU; return the last step's name.

    The convolution preserves the size unless ``padding`` is given.
    """
    layer = Conv2d(c_in, c_out, kernel, padding=kernel // 2 if padding is None else padding)
    return _finish(net, name, layer, c_out, batch_norm)


def deconv_relu(net: Network, name: str, c_in: int, c_out: int, kernel: int = 3, batch_norm: bool = True) -> str:
    """Add a size-preserving transposed convolution, optional batch norm and ReLU; return the last step's name."""
    return _finish(net, name, ConvTranspose2d(c_in, c_out, kernel, padding=kernel // 2), c_out, batch_norm)


def batch_norm_relu(net: Network, name: str, channels: int) -> str:
    """Add batch norm and ReLU after the step ``name``; return the last step's name."""
    net.add(f"{name}_bn", BatchNorm2d(channels))
    return net.add(f"{name}_relu", ReLU())


def up_convolution(c_in: int, c_out: int, bias: bool = True) -> ConvTranspose2d:
    """Return a 2×2 transposed convolution with stride 2, which doubles a map; an output pixel sees one input pixel."""
    return ConvTranspose2d(c_in, c_out, 2, 2, bias=bias, initializer=gaussian((2 / c_in) ** 0.5))


def enlarge(net: Network, name: str, how: Unpool, channels: int, last: str, pool: str) -> str:
    """Upsample the map ``last`` to the input size of the step ``pool``; return the last step's name.

    Values are placed at the switches, repeated, or upsampled by a learned 2×2 transposed convolution. The output of
    the latter two is cropped where the pool's last window was incomplete.
    """
    if how == "switches":
        return net.add(name, MaxUnpool2d(), last, f"{pool}.switches")
    (pooled,) = next(step.inputs for step in net.steps if step.name == pool)
    net.add(name, UpsampleNearest(2) if how == "nearest" else up_convolution(channels, channels), last)
    return net.add(f"{name}_crop", Crop(0), name, pooled)


def scaled(filters: Iterable[int], width: float) -> list[int]:
    """Multiply each number of filters by ``width`` and round, with a minimum of 1."""
    return [max(1, round(f * width)) for f in filters]


def _finish(net: Network, name: str, layer: Layer, channels: int, batch_norm: bool) -> str:
    net.add(name, layer)
    return batch_norm_relu(net, name, channels) if batch_norm else net.add(f"{name}_relu", ReLU())
