"""Pack switches into two bits, the minimum memory for the positions of the maxima.

A 2×2 window has four positions, so a switch from 0 to 3 takes two bits, and four of them fill a byte. For 64 maps of
180×240 that is 0.17 MB; keeping the maps themselves in float32 for a decoder would take 11 MB (Badrinarayanan, Kendall,
Cipolla 2015, section 3).

    switches 1 3 0 2  →  1 + 4·3 + 16·0 + 64·2 = 141
"""

from dataclasses import dataclass
from math import prod

from scratchnet.arrays import Array, get_array_module
from scratchnet.engine.dispatch import Argument, operation
from scratchnet.ops.geometry import Pair
from scratchnet.ops.switches import SWITCHES, Switches, check_switches

PER_BYTE = 4
"""Switches in a byte."""


@dataclass(frozen=True)
class PackedSwitches:
    """Switches of 2×2 windows, four in a byte.

    Attributes
    ----------
    packed : (⌈n·oh·ow·c / 4⌉,) uint8
        In reading order, the first switch of a byte in its lowest bits; the last byte is padded with zeros.
    shape : (n, oh, ow, c)
        Shape of the switches.
    size, kernel, stride, padding
        As in :class:`~scratchnet.ops.switches.Switches`.
    """

    packed: Array
    shape: tuple[int, ...]
    size: Pair
    kernel: Pair
    stride: Pair
    padding: Pair


PACKED = Argument(fields={"packed": Argument("*", "integer")})
"""Expected arrays of a :class:`PackedSwitches`."""


@operation(check_switches, switches=SWITCHES)
def pack_switches(switches: Switches) -> PackedSwitches:
    """Store switches in two bits each.

    Raises
    ------
    ValueError
        If a window has more than four positions.

    Examples
    --------
    >>> import numpy as np
    >>> index = np.array([1, 3, 0, 2, 3], np.uint8).reshape(1, 1, 5, 1)
    >>> pack_switches(Switches(index, (2, 10), (2, 2), (2, 2), (0, 0))).packed
    array([141,   3], dtype=uint8)
    """
    if switches.kernel[0] * switches.kernel[1] > PER_BYTE:
        raise ValueError(
            f"pack_switches: a window of {switches.kernel[0]}×{switches.kernel[1]} has more than four positions, but "
            "two bits distinguish only four"
        )
    xp = get_array_module(switches.index)
    flat = switches.index.ravel()
    four = xp.zeros((packed_bytes(flat.size), PER_BYTE), xp.uint8)
    four.reshape(-1)[: flat.size] = flat
    packed = four[:, 0].copy()
    for place in range(1, PER_BYTE):
        packed |= four[:, place] << xp.uint8(2 * place)
    return PackedSwitches(
        packed, switches.index.shape, switches.size, switches.kernel, switches.stride, switches.padding
    )


@operation(stored=PACKED)
def unpack_switches(stored: PackedSwitches) -> Switches:
    """Unpack the switches to one byte each, ready for unpooling."""
    xp, size = get_array_module(stored.packed), packed_bytes(prod(stored.shape))
    if stored.packed.dtype != xp.uint8 or stored.packed.shape != (size,):
        raise ValueError(
            f"unpack_switches: packed is {stored.packed.dtype} {stored.packed.shape}; {stored.shape} switches are "
            f"packed into ({size},) uint8"
        )
    four = xp.empty((stored.packed.size, PER_BYTE), xp.uint8)
    for place in range(PER_BYTE):
        four[:, place] = (stored.packed >> xp.uint8(2 * place)) & xp.uint8(3)
    n, oh, ow, c = stored.shape
    index = four.reshape(-1)[: n * oh * ow * c].reshape(stored.shape)
    return Switches(index, stored.size, stored.kernel, stored.stride, stored.padding)


def packed_bytes(count: int) -> int:
    """Return the number of bytes that ``count`` packed switches take."""
    return -(-count // PER_BYTE)
