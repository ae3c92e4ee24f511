"""The lines that every paper's table repeats.

Convolutions keep their bias in front of batch norm, where it has no effect: the papers' counts of parameters include
it.
"""

from collections.abc import Iterable

from scratchnet.layers import BatchNorm2d, Conv2d, ConvTranspose2d, ReLU
from scratchnet.layers.base import Layer
from scratchnet.network import Network


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


def scaled(filters: Iterable[int], width: float) -> list[int]:
    """Multiply numbers of filters by a factor; none falls under 1."""
    return [max(1, round(f * width)) for f in filters]


def _finish(net: Network, name: str, layer: Layer, channels: int, batch_norm: bool) -> str:
    net.add(name, layer)
    return batch_norm_relu(net, name, channels) if batch_norm else net.add(f"{name}_relu", ReLU())
