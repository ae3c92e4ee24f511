"""Winograd's 3×3 convolution: fewer multiplications by way of a transform.

Cut the output into tiles of m × m pixels. A tile sees m + 2 pixels in each direction. Transform that patch d and the
kernel g by small constant matrices, multiply *number by number* instead of sliding, and transform back:

    Y = Aᵀ [ (G g Gᵀ) ⊙ (Bᵀ d B) ] A

For m = 4 that is 36 multiplications where the sliding sum needs 144. Over all tiles and channels the products in the
middle are (m + 2)² matrix products of (tiles × c_in) · (c_in × c_out), and that is where the time goes.

Gradients are the same three steps in another order: that by the input is the convolution of dY with the turned kernel;
that by the kernel transforms X as above and dY by A, and brings the products back with G:

    dg = Gᵀ [ (Bᵀ d B) ⊙ (A dY Aᵀ) ] G           summed over all tiles

The two parts may be exchanged: patches of dY against tiles of X give the turned dg. So both gradients can use the same
transformed patches of dY, and :func:`conv3x3_backward` makes them once.

What makes it quick in NumPy is told in ``tiles``, where the transforms are; here, that a block of tiles is small enough
for all its steps to stay in a core's cache; and that where the kernels are larger than the cache, the cores share the
36 products and not the tiles, so that each kernel number is read once.

F(4×4) adds rounding errors of about 1e-5 of the largest output in float32, F(2×2) as little as the direct sum.

References
----------
Winograd, "Arithmetic complexity of computations" (1980). Lavin and Gray, "Fast algorithms for convolutional neural
networks" (2016), sections 4.1 to 4.3.
"""

from collections.abc import Callable, Sequence
from math import ceil, prod
from typing import TypeVar

from scratchnet.arrays import Array, namespace
from scratchnet.ops import tiles
from scratchnet.ops.geometry import Block, Pair, blocks
from scratchnet.ops.tiles import ALL, Matrices
from scratchnet.recycling import empty
from scratchnet.threads import over_rows, share_out, thread_count

R = TypeVar("R")

SCRATCH_BYTES = 2 << 20
"""Size of the transformed tiles that are held at one time; about what a core's cache holds."""

WIDE = 128 * 256
"""Products of input and output channels from which on the kernels do not fit the cache."""


def conv3x3(x: Array, weight: Array, bias: Array | None, padding: Pair, tile: int, turned: bool = False) -> Array:
    """Convolve ``x`` (n, h, w, c_in) with ``weight`` (3, 3, c_in, c_out) at stride 1.

    Parameters
    ----------
    padding : (vertical, horizontal)
    tile : 2 or 4
        m; the sizes need not be multiples of it.
    turned : bool
        Use the kernel turned by 180° with its channel axes exchanged: the weight is (3, 3, c_out, c_in) then.

    Returns
    -------
    (n, h + 2·padding − 2, w + 2·padding − 2, c_out)
    """
    return _convolve(x, weight, bias, padding, tile, turned, None)[0]


def conv3x3_backward(dy: Array, x: Array, weight: Array, padding: Pair, tile: int, turned: bool) -> tuple[Array, Array]:
    """Return both gradients of a layer whose gradient by the input is a convolution of ``dy``.

    Parameters
    ----------
    dy : (n, oh, ow, c_out)
    x : (n, h, w, c_in)
        The layer's input.
    weight, padding, tile, turned
        So that ``dx = conv3x3(dy, weight, None, padding, tile, turned)``: turned for a convolution, as it is for a
        transposed one.

    Returns
    -------
    dx : as ``x``
    dweight : as ``weight``
    """
    dx, dweights = _convolve(dy, weight, None, padding, tile, turned, x)
    return dx, _sum(dweights).reshape(weight.shape)


def conv3x3_weight_gradient(dy: Array, x: Array, padding: Pair, tile: int) -> Array:
    """Return the gradient by the weight (3, 3, c_in, c_out) for :func:`conv3x3`."""
    c, c_out = x.shape[3], dy.shape[3]
    constants = tiles.matrices(tile, x)

    def correlate(cut: Sequence[Block], part: slice) -> Array:
        total = None
        for block in cut:
            patches = tiles.transform_patches(x, block, padding, constants, part)
            total = _add_products(total, patches, tiles.transform_tiles(dy, block, constants, part))
        assert total is not None
        return tiles.kernel_gradient(total, constants, part, turned=False)

    dweights = _share_out(correlate, dy.shape, c, constants)
    return _sum(dweights).reshape(3, 3, c, c_out)


def _convolve(
    x: Array, weight: Array, bias: Array | None, padding: Pair, tile: int, turned: bool, met: Array | None
) -> tuple[Array, list[Array]]:
    """Return the convolution, and the parts of Σ (patches of x) · (tiles of ``met``), turned back into kernels."""
    n, h, w, c = x.shape
    c_out = weight.shape[2 if turned else 3]
    y = empty(x, (n, h + 2 * padding[0] - 2, w + 2 * padding[1] - 2, c_out))
    constants = tiles.matrices(tile, x)
    kernels = None if _is_wide(c, c_out) else tiles.transform_kernel(weight, constants, ALL, turned)

    def convolve(cut: Sequence[Block], part: slice) -> tuple[Array, Array | None]:
        target, row = (y, bias) if part in (ALL, _parts(constants)[0]) else (empty(y, y.shape), None)
        own = tiles.transform_kernel(weight, constants, part, turned) if kernels is None else kernels
        total = None
        for block in cut:
            patches = tiles.transform_patches(x, block, padding, constants, part)
            products = empty(x, (*patches.shape[:2], c_out))
            namespace(x).matmul(patches, own, out=products)
            tiles.transform_back(products, target, block, row, constants, part)
            if met is not None:
                others = tiles.transform_tiles(met, block, constants, part)
                total = _add_products(total, others, patches) if turned else _add_products(total, patches, others)
        return target, None if total is None else tiles.kernel_gradient(total, constants, part, turned)

    found = _share_out(convolve, y.shape, c, constants)
    for term in (target for target, _ in found if target is not y):
        over_rows(lambda y, term: namespace(y).add(y, term, out=y), y, term)
    return y, [dweight for _, dweight in found if dweight is not None]


def _add_products(total: Array | None, left: Array, right: Array) -> Array:
    """Add leftᵀ · right for every frequency: (frequencies, channels of left, channels of right)."""
    products = empty(left, (len(left), left.shape[2], right.shape[2]))
    namespace(left).matmul(left.swapaxes(1, 2), right, out=products)
    if total is None:
        return products
    total += products
    return total


def _share_out(
    work: Callable[[Sequence[Block], slice], R], shape: tuple[int, ...], c: int, constants: Matrices
) -> list[R]:
    """Call ``work(blocks, frequencies)`` on all cores: some of the blocks each, or in a wide layer of the frequencies.

    ``shape`` is that of the map which the tiles cover, ``c`` the channels on the other side.
    """
    cut = _blocks(shape, c, constants)
    operations = prod(shape) * 9 * c
    if not _is_wide(c, shape[3]):
        return share_out(lambda share: work(share, ALL), cut, operations)
    found = share_out(lambda share: [work(cut, part) for part in share], _parts(constants), operations)
    return [result for results in found for result in results]


def _sum(terms: Sequence[Array]) -> Array:
    """Add the terms, in place of the first."""
    for term in terms[1:]:
        terms[0][...] += term
    return terms[0]


def _is_wide(c: int, c_out: int) -> bool:
    """Return whether the cores share the products, and not the tiles."""
    return c * c_out >= WIDE


def _parts(constants: Matrices) -> list[slice]:
    """Cut the horizontal frequencies into a part a core."""
    a = constants.patch
    cores = min(thread_count(), a)
    return [slice(k * a // cores, (k + 1) * a // cores) for k in range(cores)]


def _blocks(shape: tuple[int, ...], c: int, constants: Matrices) -> list[Block]:
    """Cut the tiles of an output of ``shape`` into blocks: many small ones, or, in wide layers, few large ones."""
    n, oh, ow, c_out = shape
    grid = (n, ceil(oh / constants.tile), ceil(ow / constants.tile))
    tile_bytes = constants.patch**2 * (c + c_out) * 4
    if _is_wide(c, c_out):
        return blocks(*grid, max(256, 16 * SCRATCH_BYTES // tile_bytes))
    return blocks(*grid, max(min(c + c_out, 256), SCRATCH_BYTES // tile_bytes), 2 * thread_count())
