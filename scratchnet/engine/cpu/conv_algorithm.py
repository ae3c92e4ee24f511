"""Choose the fastest algorithm for a convolution of a given shape.

The thresholds are rules of thumb; ``scratchnet bench ops`` measures both sides of them on a machine.
"""

from enum import Enum
from math import ceil, prod

from scratchnet.arrays import Array
from scratchnet.engine.cpu.folded import folded_kernel, folded_tile
from scratchnet.engine.cpu.winograd_kernels import pieces_of, taps_of
from scratchnet.engine.modes import is_precise
from scratchnet.ops.geometry import ConvSpec, Pair

MIN_TILES = 48
"""Below this number of tiles, transforming the kernels costs more than the multiplications it saves."""

MIN_CHANNELS = 8
"""Below this number of channels, the transformed matrices are too thin for a fast product."""

MIN_SAVING = 2.7
"""Factor by which a form for kernels that are not 3×3 must need fewer multiplications, because its transforms are
larger."""

MIN_TILE_VALUES = 2048
"""Below this product of tiles and channels, such a form takes no less time."""

MIN_FOLDED_SAVING = 1.9
"""The same for kernels at stride 2, whose pixels are folded first."""

MIN_FOLDED_CHANNELS = 32
"""Below this number of channels, folding and transforming take as long as the direct sum."""

MIN_FOLDED_TILE_VALUES = 8192
"""Below this product of tiles and channels, the kernels of four times the channels take longer to transform."""


MIN_LARGE_KERNELS = 8 << 20
"""Bytes of kernels that no core's cache holds. For few pixels, all columns are then built at once, and each core
multiplies them by its own kernels, instead of all cores loading all kernels."""


class Algorithm(Enum):
    """Algorithm of a convolution."""

    IM2COL = "tiled im2col"
    WHOLE_IM2COL = "im2col as a whole"
    PRODUCT = "one matrix product"
    FEW_FILTERS = "product first, shifts afterwards"
    DEPTHWISE = "shifted multiplications"
    FOLDED = "Winograd on folded pixels"
    WINOGRAD2 = "Winograd, tiles of 2×2"
    WINOGRAD4 = "Winograd, tiles of 4×4"

    @property
    def uses_winograd(self) -> bool:
        """Whether it is one of Winograd's forms."""
        return self in (Algorithm.WINOGRAD2, Algorithm.WINOGRAD4)

    @property
    def tile(self) -> int:
        """Winograd's m."""
        return {Algorithm.WINOGRAD2: 2, Algorithm.WINOGRAD4: 4}[self]


def choose(x: Array, weight: Array, conv: ConvSpec, size: Pair) -> Algorithm:
    """Choose the algorithm for an input of ``size`` (h, w).

    Winograd's forms are excluded in ``precise()`` mode and for float64.

    Parameters
    ----------
    x : (n, …)
        Only the number of images and the dtype are used.
    weight : (kh, kw, c_in / groups, c_out)
        Only the shape is used.
    """
    c, c_out = weight.shape[2:]
    if conv.groups > 1:
        return Algorithm.DEPTHWISE if (conv.groups, 1) == (c_out, c) else Algorithm.IM2COL
    covers = conv.kernel == size and conv.dilation == (1, 1)  # one window that sees the whole map
    if conv.padding == (0, 0) and (covers or conv.kernel == conv.stride == (1, 1)):
        return Algorithm.PRODUCT
    if conv.stride == (1, 1) and conv.kernel != (1, 1) and c_out < MIN_CHANNELS and 4 * c_out <= c:
        return Algorithm.FEW_FILTERS
    output = conv.output_size(*size)
    algorithm = Algorithm.IM2COL
    if not is_precise() and x.dtype.itemsize == 4:
        algorithm = _with_fewer_products(len(x), output, conv, min(c, c_out))
    few = len(x) * prod(output) <= c_out and weight.nbytes >= MIN_LARGE_KERNELS
    return Algorithm.WHOLE_IM2COL if few and algorithm is Algorithm.IM2COL else algorithm


def winograd_tile(x: Array, weight: Array, conv: ConvSpec) -> int | None:
    """Return the tile if a convolution of ``x`` without dilation uses Winograd's form, else None."""
    if conv.dilation != (1, 1):
        return None
    algorithm = choose(x, weight, conv, x.shape[1:3])
    return algorithm.tile if algorithm.uses_winograd else None


def has_few_pixels(dy: Array, groups: int) -> bool:
    """Return whether rotating the kernels would cost more than col2im: small maps with many channels."""
    n, oh, ow, c_out = dy.shape
    return groups == 1 and 0 < n * oh * ow < c_out


def _with_fewer_products(n: int, output: Pair, conv: ConvSpec, channels: int) -> Algorithm:
    """Choose one of Winograd's forms, or the direct sum if that takes less time."""
    if conv.stride != (1, 1):
        return Algorithm.FOLDED if _suits_folding(n, output, conv, channels) else Algorithm.IM2COL
    if channels < MIN_CHANNELS or (conv.dilation != (1, 1) and conv.kernel != (3, 3)):
        return Algorithm.IM2COL
    d_h, d_w = conv.dilation  # the map splits into d_h·d_w maps, each of every d-th pixel
    return _winograd(n * d_h * d_w, (ceil(output[0] / d_h), ceil(output[1] / d_w)), conv, channels)


def _winograd(n: int, output: Pair, conv: ConvSpec, channels: int) -> Algorithm:
    """Choose the tile that needs fewer products, or none if there are few tiles or the direct sum needs no more."""
    r = taps_of(conv.kernel)
    count = {m: n * _tiles(output, m) for m in ((2, 4) if r == 3 else (4,))}
    products = {m: (m + r - 1) ** 2 * prod(pieces_of(conv.kernel, r)) * count[m] for m in count}
    m = min(products, key=lambda m: products[m])
    ordinary = conv.kernel == (3, 3)
    enough = count[m] >= MIN_TILES and (ordinary or count[m] * channels >= MIN_TILE_VALUES)
    if not enough or (1 if ordinary else MIN_SAVING) * products[m] >= n * prod(conv.kernel) * prod(output):
        return Algorithm.IM2COL
    return Algorithm.WINOGRAD2 if m == 2 else Algorithm.WINOGRAD4


def _suits_folding(n: int, output: Pair, conv: ConvSpec, channels: int) -> bool:
    """Return whether a strided kernel needs enough fewer products when it is folded."""
    if max(conv.stride) > 2 or conv.dilation != (1, 1) or channels < MIN_FOLDED_CHANNELS:
        return False
    kernel, m = folded_kernel(conv), folded_tile(conv)
    if min(kernel) < 2:
        return False
    r = taps_of(kernel)
    tiles = n * _tiles(output, m)
    products = tiles * (m + r - 1) ** 2 * prod(pieces_of(kernel, r)) * prod(conv.stride)
    enough = tiles * channels >= MIN_FOLDED_TILE_VALUES
    return enough and MIN_FOLDED_SAVING * products <= n * prod(conv.kernel) * prod(output)


def _tiles(output: Pair, m: int) -> int:
    return ceil(output[0] / m) * ceil(output[1] / m)
