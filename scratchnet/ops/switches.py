"""The switches of a max-pooling, and checks of its windows.

Pooling makes a :class:`Switches`; unpooling and both backward passes read it (see ``pooling``).
"""

from dataclasses import dataclass

from scratchnet.arrays import Array
from scratchnet.engine.dispatch import Argument
from scratchnet.ops.geometry import Pair, pair, windows


@dataclass(frozen=True)
class Switches:
    """The positions of a pooling's maxima, with everything that unpooling needs.

    Attributes
    ----------
    index : (n, oh, ow, c) uint8
        ``row · kw + column`` of each window's maximum (uint16 when the window has more than 256 positions).
    size : (h, w)
        Size of the map before pooling; unpooling restores it, so 45 comes back from 23 as 45.
    kernel, stride, padding : (vertical, horizontal)
    """

    index: Array
    size: Pair
    kernel: Pair
    stride: Pair
    padding: Pair


SWITCHES = Argument(fields={"index": Argument("_n _oh _ow _c", "integer")})
"""Expected arrays of a :class:`Switches`."""


def check_windows(
    shape: tuple[int, ...], kernel: int | Pair, stride: int | Pair | None, padding: int | Pair, ceil_mode: bool
) -> tuple[Pair, Pair, Pair, Pair]:
    """Return the pooled size (oh, ow), kernel, stride and padding; raise a ValueError if they are invalid."""
    k = pair(kernel, "kernel", 1)
    s, p = pair(k if stride is None else stride, "stride", 1), pair(padding, "padding", 0)
    check_padding(k, p)
    oh, ow = (windows(shape[1 + i], k[i], s[i], p[i], 1, ceil_mode) for i in range(2))
    return (oh, ow), k, s, p


def switch_dtype(kernel: Pair) -> str:
    """Return the smallest dtype for the positions in a window."""
    return "uint8" if kernel[0] * kernel[1] <= 256 else "uint16"


def check_padding(kernel: Pair, padding: Pair) -> None:
    """Raise a ValueError for a padding with which a window could contain nothing but padding."""
    if any(2 * p > k for p, k in zip(padding, kernel, strict=True)):
        raise ValueError(f"max_pool2d: padding {padding} is more than half the window {kernel}; lower it")


def check_switches(switches: Switches) -> None:
    """Raise an error for switches that pooling cannot produce."""
    shape, sizes = switches.index.shape, (switches.size, switches.kernel, switches.stride, switches.padding)
    if switches.index.dtype.itemsize > 2 or switches.index.dtype.kind != "u":
        raise TypeError(f"switches: index is {switches.index.dtype}; expected uint8 or uint16")
    for count, size, k, s, p in zip(shape[1:3], *sizes, strict=True):
        most = windows(size, k, s, p, ceil_mode=True)
        if not most - 1 <= count <= most:
            raise ValueError(f"switches: index {shape} is not that of pooling a map of {switches.size}")
