"""Choose the fastest algorithm for a convolution on a GPU.

=============  ============================================================================  =======================
algorithm      method                                                                        used for (see `choose`)
=============  ============================================================================  =======================
product        one matrix product without im2col                                             1×1, or one window
winograd       F(4×4, 3×3): a quarter of the multiplications, more memory traffic            3×3, full float32
implicit       read the windows directly from the map, in one kernel                         few channels
shifted        products of runs of the map with all kernel rows, and a sum of shifted ones   stride 1
columns        im2col and one product; input gradient: a product and col2im                  everything else
=============  ============================================================================  =======================

The best thresholds between the algorithms depend on the GPU and on the precision. They are therefore data: the table
``conv_algorithm.json``, which ``python benchmarks/gpu_forms.py FILE --use`` writes after timing every algorithm on the
GPU. **As long as it names no GPU it is an estimate**, made by counting bytes and multiplications (see ``implicit``).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from importlib.resources import files
from typing import Any

from scratchnet.arrays import Array
from scratchnet.engine.cuda import implicit, shifted, winograd
from scratchnet.engine.modes import is_precise, matrix_precision_in_use
from scratchnet.ops.geometry import ConvSpec, Pair

TABLE = "conv_algorithm.json"


class Algorithm(Enum):
    """Algorithm of a convolution."""

    PRODUCT = "one matrix product"
    WINOGRAD = "Winograd F(4×4, 3×3)"
    IMPLICIT = "implicit columns"
    SHIFTED = "shifted products"
    COLUMNS = "im2col"


@dataclass(frozen=True)
class Thresholds:
    """The limits of each algorithm, in one precision.

    Attributes
    ----------
    min_winograd_channels : int
        With fewer input or output channels, Winograd's memory traffic costs more than the multiplications it saves.
    min_winograd_tiles : int
        With fewer tiles of 4×4 pixels, its products are too small to keep a GPU busy.
    max_implicit_channels : int
        Up to this number of input or output channels, the memory traffic of im2col costs more than the faster products
        of cuBLAS save.
    min_implicit_tiles : int
        With fewer tiles of 16×16 pixels, its blocks leave many multiprocessors idle.
    min_shifted_elements : int
        With fewer elements in a run (channels times the kernel's width), the shifted products are too thin.
    """

    min_winograd_channels: int
    min_winograd_tiles: int
    max_implicit_channels: int
    min_implicit_tiles: int
    min_shifted_elements: int


@dataclass(frozen=True)
class Table:
    """The thresholds for each precision.

    Attributes
    ----------
    gpu : str or None
        Name of the GPU on which they were measured; None for an estimate.
    thresholds : dict of str to Thresholds
    """

    gpu: str | None
    thresholds: Mapping[str, Thresholds]

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "Table":
        """Return the table that a JSON file contains."""
        return cls(content["gpu"], {name: Thresholds(**given) for name, given in content["thresholds"].items()})


@cache
def table() -> Table:
    """Return the package's table."""
    return Table.of(json.loads((files("scratchnet.engine.cuda") / TABLE).read_text(encoding="utf-8")))


def thresholds(x: Array) -> Thresholds:
    """Return the thresholds for arrays like ``x`` in the precision in use."""
    return table().thresholds["float32" if x.dtype.itemsize == 8 else matrix_precision_in_use()]


def choose(x: Array, weight: Array, conv: ConvSpec, size: Pair, given: Thresholds | None = None) -> Algorithm:
    """Choose the algorithm for an input of ``size`` (h, w).

    Only the number of images and the dtype of ``x`` are used. ``given`` replaces the thresholds of the table.
    """
    c, c_out = weight.shape[2:]
    covers = conv.kernel == size and conv.dilation == (1, 1)
    if conv.padding == (0, 0) and (covers or conv.kernel == conv.stride == (1, 1)):
        return Algorithm.PRODUCT
    limits, output = given or thresholds(x), conv.output_size(*size)
    tiles = len(x) * -(-output[0] // 4) * -(-output[1] // 4)
    wide = min(c, c_out) >= limits.min_winograd_channels and tiles >= limits.min_winograd_tiles
    exact = is_precise() or x.dtype.itemsize == 8
    if winograd.fits(conv) and wide and not exact and matrix_precision_in_use() == "float32":
        return Algorithm.WINOGRAD
    many = implicit.tiles(len(x), output) >= limits.min_implicit_tiles
    thin = min(c, c_out) <= limits.max_implicit_channels
    if many and thin and implicit.fits(conv, size, output, c, c_out, x.dtype.itemsize):
        return Algorithm.IMPLICIT
    return choose_products(conv, c, limits)


def choose_products(conv: ConvSpec, c: int, limits: Thresholds) -> Algorithm:
    """Choose between the algorithms that use cuBLAS's products; they cover every convolution."""
    wide = conv.kernel[1] * c >= limits.min_shifted_elements
    return Algorithm.SHIFTED if wide and shifted.fits(conv) else Algorithm.COLUMNS
