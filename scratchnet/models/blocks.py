"""The lines that every paper's table repeats.

Convolutions keep their bias in front of batch norm, where it has no effect: the papers' counts of parameters include
it.
"""

from collections.abc import Iterable
from typing import Literal, TypeAlias

from scratchnet.initialization import gaussian
from scratchnet.layers import BatchNorm2d, Conv2d, ConvTranspose2d, Crop, MaxUnpool2d, ReLU, UpsampleNearest
from scratchnet.layers.base import Layer
from scratchnet.network import Network

Unpool: TypeAlias = Literal["switches", "nearest", "transposed"]
"""How a map is brought back to the size before a pool: what the papers do, and what to compare it with."""


def conv_relu(
    net: Network,
    name: str,
    c_in: int,
    c_out: int,
    kernel: int = 3,
    batch_norm: bool = True,
    padding: int | None = None,
) -> str:
    """Add a convolution, batch norm if wanted, and ReLU; return the last step's name.

    The convolution keeps the size unless another ``padding`` is given.
    """
    layer = Conv2d(c_in, c_out, kernel, padding=kernel // 2 if padding is None else padding)
    return _finish(net, name, layer, c_out, batch_norm)


def deconv_relu(net: Network, name: str, c_in: int, c_out: int, kernel: int = 3, batch_norm: bool = True) -> str:
    """Add a transposed convolution that keeps the size, batch norm if wanted, and ReLU; return the last step's name."""
    return _finish(net, name, ConvTranspose2d(c_in, c_out, kernel, padding=kernel // 2), c_out, batch_norm)


def batch_norm_relu(net: Network, name: str, channels: int) -> str:
    """Add batch norm and ReLU behind the step ``name``; return the last step's name."""
    net.add(f"{name}_bn", BatchNorm2d(channels))
    return net.add(f"{name}_relu", ReLU())


def up_convolution(c_in: int, c_out: int, bias: bool = True) -> ConvTranspose2d:
    """Return a transposed convolution, 2×2 with stride 2, that doubles a map; an output pixel sees one input pixel."""
    return ConvTranspose2d(c_in, c_out, 2, 2, bias=bias, start=gaussian((2 / c_in) ** 0.5))


def enlarge(net: Network, name: str, how: Unpool, channels: int, last: str, pool: str) -> str:
    """Bring the map ``last`` back to the size that the step ``pool`` saw; return the last step's name.

    Values go back to the switches, or are repeated, or are spread by a learned 2×2 transposed convolution; the latter
    two are cut where the pool's last window was incomplete.
    """
    if how == "switches":
        return net.add(name, MaxUnpool2d(), last, f"{pool}.switches")
    (pooled,) = next(step.inputs for step in net.steps if step.name == pool)
    net.add(name, UpsampleNearest(2) if how == "nearest" else up_convolution(channels, channels), last)
    return net.add(f"{name}_crop", Crop(0), name, pooled)


def scaled(filters: Iterable[int], width: float) -> list[int]:
    """Multiply numbers of filters by a factor; none falls under 1."""
    return [max(1, round(f * width)) for f in filters]


def _finish(net: Network, name: str, layer: Layer, channels: int, batch_norm: bool) -> str:
    net.add(name, layer)
    return batch_norm_relu(net, name, channels) if batch_norm else net.add(f"{name}_relu", ReLU())
