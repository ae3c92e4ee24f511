"""Which form of a convolution is the quickest on a GPU, for which layer.

===========  ==============================================================================  ==================
form         how                                                                             when (see `choose`)
===========  ==============================================================================  ==================
product      one matrix product; nothing slides                                              1×1, or one window
winograd     F(4×4, 3×3): a quarter of the multiplications, more memory traffic              3×3, full float32
implicit     windows straight from the map, in one kernel                                    few channels
shifted      runs of the map itself times all kernel rows, and a sum of shifted products     stride 1
columns      im2col and one product; its gradient by the input is a product and col2im       everything else
===========  ==============================================================================  ==================

Where one form ends and the next begins depends on the card and on the precision. So these thresholds are data: the
table ``forms.json``, which ``python benchmarks/gpu_forms.py FILE --use`` writes after it has timed every form on the
card. **As long as it names no GPU it is an estimate**, made by counting bytes and multiplications (see ``implicit``).
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

TABLE = "forms.json"


class Algorithm(Enum):
    """How to compute a convolution."""

    PRODUCT = "one matrix product"
    WINOGRAD = "Winograd F(4×4, 3×3)"
    IMPLICIT = "implicit columns"
    SHIFTED = "shifted products"
    COLUMNS = "im2col"


@dataclass(frozen=True)
class Thresholds:
    """Where the forms begin and end, in one precision.

    Attributes
    ----------
    winograd_channels : int
        Under so many channels, in or out, Winograd's memory traffic costs more than the multiplications that it saves.
    winograd_tiles : int
        Under so many tiles of 4×4 pixels its products are too small to keep a GPU busy.
    implicit_channels : int
        Up to so many channels, in or out, memory traffic costs more than cuBLAS's quicker products save.
    implicit_tiles : int
        Under so many tiles of 16×16 pixels its blocks leave many multiprocessors idle.
    shifted_numbers : int
        Under so many numbers in a run (channels times the kernel's width) the shifted products are too thin.
    """

    winograd_channels: int
    winograd_tiles: int
    implicit_channels: int
    implicit_tiles: int
    shifted_numbers: int


@dataclass(frozen=True)
class Table:
    """The thresholds for each precision.

    Attributes
    ----------
    gpu : str or None
        Which one measured them; None for an estimate.
    thresholds : dict of str to Thresholds
    """

    gpu: str | None
    thresholds: Mapping[str, Thresholds]

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "Table":
        """Return what a JSON file holds."""
        return cls(content["gpu"], {name: Thresholds(**given) for name, given in content["thresholds"].items()})


@cache
def table() -> Table:
    """Return the table of this package."""
    return Table.of(json.loads((files("scratchnet.engine.cuda") / TABLE).read_text(encoding="utf-8")))


def thresholds(x: Array) -> Thresholds:
    """Return those for arrays like ``x`` in the precision in use."""
    return table().thresholds["float32" if x.dtype.itemsize == 8 else matrix_precision_in_use()]


def choose(
    x: Array,
    weight: Array,
    conv: ConvSpec,
    size: Pair,
    output: Pair,
    precise: bool,
    given: Thresholds | None = None,
) -> Algorithm:
    """Choose the form for an input of ``size`` and an output of ``output`` pixels; of ``x`` count images and dtype.

    The thresholds are the table's, if none are ``given``.
    """
    c, c_out = weight.shape[2:]
    covers = conv.kernel == size and conv.dilation == (1, 1)
    if conv.padding == (0, 0) and (covers or conv.kernel == conv.stride == (1, 1)):
        return Algorithm.PRODUCT
    limits = given or thresholds(x)
    tiles = len(x) * -(-output[0] // 4) * -(-output[1] // 4)
    wide = min(c, c_out) >= limits.winograd_channels and tiles >= limits.winograd_tiles
    exact = precise or is_precise() or x.dtype.itemsize == 8
    if winograd.fits(conv) and wide and not exact and matrix_precision_in_use() == "float32":
        return Algorithm.WINOGRAD
    many = implicit.tiles(len(x), output) >= limits.implicit_tiles
    thin = min(c, c_out) <= limits.implicit_channels
    if many and thin and implicit.fits(conv, size, output, c, c_out, x.dtype.itemsize):
        return Algorithm.IMPLICIT
    return choose_products(conv, c, limits)


def choose_products(conv: ConvSpec, c: int, limits: Thresholds) -> Algorithm:
    """Choose between the forms that live on cuBLAS's products, for every convolution."""
    return (
        Algorithm.SHIFTED if shifted.fits(conv) and conv.kernel[1] * c >= limits.shifted_numbers else Algorithm.COLUMNS
    )
