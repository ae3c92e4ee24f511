"""Memory of pooling switches, computed from shapes or measured on real switches.

A decoder that reuses the encoder's maps (U-Net, FCN) stores them before the pool, in float32. A decoder that
unpools stores one switch per window: eight bytes as the flat index of PyTorch and ONNX, one byte as the position in the
window, or two bits packed (Badrinarayanan, Kendall, Cipolla 2015, section 3).
"""

from dataclasses import dataclass
from math import prod

import numpy as np

from scratchnet.arrays import generator
from scratchnet.layers.base import Shape
from scratchnet.layers.pooling import MaxPool2d
from scratchnet.network import Network
from scratchnet.ops.geometry import Pair
from scratchnet.ops.switch_packing import PER_BYTE, pack_switches, packed_bytes, unpack_switches


@dataclass(frozen=True)
class SwitchMemory:
    """Memory of one or several pools, in bytes.

    Attributes
    ----------
    floats : int
        The input map of the pool, float32.
    int64, uint8 : int
        One switch per window.
    packed : int
        Two bits per window; windows of more than four positions count as uint8.
    """

    floats: int = 0
    int64: int = 0
    uint8: int = 0
    packed: int = 0

    def __add__(self, other: "SwitchMemory") -> "SwitchMemory":
        return SwitchMemory(
            self.floats + other.floats,
            self.int64 + other.int64,
            self.uint8 + other.uint8,
            self.packed + other.packed,
        )

    def megabytes(self) -> tuple[str, str, str, str]:
        """Return the four as text, in MB of 10⁶ bytes."""
        return (
            f"{self.floats / 1e6:.2f}",
            f"{self.int64 / 1e6:.2f}",
            f"{self.uint8 / 1e6:.2f}",
            f"{self.packed / 1e6:.2f}",
        )


def count_switches(layer: MaxPool2d, x: Shape) -> SwitchMemory:
    """Return the memory of the switches of ``layer`` for an input of shape ``x``."""
    count = prod(layer.output_shape(x))
    return SwitchMemory(4 * prod(x), 8 * count, count, packed_bytes(count) if _packable(layer) else count)


def measure_switches(layer: MaxPool2d, x: Shape) -> SwitchMemory:
    """Pool a noise map of shape ``x``, and return the measured memory of the map and its switches.

    Raises
    ------
    RuntimeError
        If the packed switches do not unpack to the original ones.
    """
    noise = generator(0, "noise").standard_normal(x, np.float32)
    layer.forward(noise)
    switches = layer.switches
    layer.release()
    assert switches is not None  # it has just run
    index = switches.index
    small = index.nbytes
    if _packable(layer):
        stored = pack_switches(switches)
        if not np.array_equal(unpack_switches(stored).index, index):
            raise RuntimeError("the packed switches are not those that were packed")
        small = stored.packed.nbytes
    return SwitchMemory(noise.nbytes, index.astype(np.int64).nbytes, index.nbytes, small)


def _packable(layer: MaxPool2d) -> bool:
    return prod(layer.kernel) <= PER_BYTE


def switch_table(network: Network, size: Pair, n: int = 1, measured: bool = False) -> str:
    """Return a table with one line per pool of ``network`` on ``n`` images of ``size``, in MB of 10⁶ bytes.

    Parameters
    ----------
    network : Network
        Need not be allocated.
    size : (h, w)
    n : int
    measured : bool
        Whether to create and measure the switches, one pool at a time, instead of computing their size.
    """
    shapes = network.shapes(size, n)
    cost = measure_switches if measured else count_switches
    found = {
        name: (str(shapes[f"{name}.switches"]), cost(pool, shapes[f"{name}.switches"]))
        for name, pool in network.pools().items()
    }
    found["all"] = ("", sum((memory for _, memory in found.values()), SwitchMemory()))
    head = ("switches, MB", "map before pooling", "float32 map", "int64", "uint8", "2 bits")
    rows = [head, *((name, shape, *memory.megabytes()) for name, (shape, memory) in found.items())]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    layout = "{:<%d}  {:<%d}  {:>%d}  {:>%d}  {:>%d}  {:>%d}" % tuple(widths)  # noqa: UP031
    how = "measured: made from noise, packed and unpacked again" if measured else "counted from the shapes"
    return "\n".join([layout.format(*row) for row in rows] + [f"({how})"])
