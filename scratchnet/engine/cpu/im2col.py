"""Convolution as a matrix product: tiled im2col.

    Y = columns(x) · W                      forward
    dW = columns(x)ᵀ · dY                   gradient with respect to the weight
    columns(dx) = dY · Wᵀ                   dx sums the elements that belong to the same input pixel

The matrix *columns* has one row per output pixel: the ``kh·kw·c_in`` inputs in its receptive field. The sliding sum
then becomes a product of two matrices, which computers do very fast.

The matrix is ``kh·kw`` times the size of the input; the plain form in ``ops`` builds it as a whole. The functions below
build and multiply it for one block of output pixels at a time, in a core's cache, and distribute the blocks over the
cores.

Reference: Chellapilla, Puri, Simard, "High performance convolutional neural networks for document processing" (2006).
"""

from collections.abc import Sequence
from math import prod

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.cpu.blocks import Block, blocks, count_pieces, cut_evenly
from scratchnet.engine.cpu.epilogue import BlockEpilogue
from scratchnet.engine.cpu.threads import OPERATIONS_PER_ELEMENT, parallel_for, parallel_map, thread_count
from scratchnet.engine.memory.pool import pooled_empty, pooled_zeros
from scratchnet.engine.memory_layout import copy_pixels, row_of
from scratchnet.ops.epilogue import Epilogue
from scratchnet.ops.geometry import ConvSpec, Pair, tap

SCRATCH_BYTES = 1 << 20
"""Size of the block of columns that is held at one time; it fits a core's share of the cache."""

MIN_ROWS = 256
"""A block with fewer rows, of a wide layer, may be four times as large: every block fetches all weights once."""

MIN_CHANNELS = 64
"""Channels that are worth a matrix product of their own."""


def convolve(
    x: Array, weight: Array, conv: ConvSpec, size: Pair, bias: Array | None = None, after: Epilogue | None = None
) -> Array:
    """Return the convolution and what comes ``after`` it, ``(n, *size, c_out)``.

    ``conv.padding`` is the padding above and to the left; it may be negative. The output ``size`` determines how many
    zeros are added below and to the right.
    """
    y = pooled_empty(x, (len(x), *size, weight.shape[3]))
    matrices = _weight_matrices(weight, conv.groups)  # (groups, kh·kw·c/groups, c_out/groups)
    row = None if bias is None else row_of(bias, size[1])
    finish = None if after is None else BlockEpilogue(after, size[1])

    def multiply(block: Block) -> None:
        rows, target = columns(x, conv, block), _view(y, block)
        if conv.groups == 1 and block.c1 - block.c0 == size[1]:  # whole rows are contiguous: multiply into them
            np.matmul(rows[0], matrices[0], out=target.reshape(-1, y.shape[3]))
            whole = target.reshape(-1, size[1] * y.shape[3])
            if row is not None:
                np.add(whole, row, out=whole)
            if finish is not None:
                finish.apply(whole)
        else:
            target[...] = _ungroup(np.matmul(rows, matrices), block)
            if bias is not None:
                target += bias
            if finish is not None:
                finish.apply_to_pixels(target)

    parallel_for(multiply, _blocks(y.shape, x, weight), y.size * weight[..., 0].size)
    return y


def weight_gradient(dy: Array, x: Array, weight: Array, conv: ConvSpec) -> Array:
    """Return dW = columns(x)ᵀ · dY, summed over the blocks; shape as ``weight``, of which only the shape is used."""
    groups = conv.groups

    def multiply(share: Sequence[Block]) -> Array:
        shape = groups, weight[..., 0].size, dy.shape[3] // groups
        total = pooled_empty(x, shape) if share else pooled_zeros(x, shape)
        for i, block in enumerate(share):
            term = pooled_empty(x, total.shape) if i else total
            np.matmul(columns(x, conv, block).swapaxes(1, 2), _group(_view(dy, block), groups), out=term)
            if i:
                total += term
        return total

    total, *others = parallel_map(multiply, _blocks(dy.shape, x, weight), dy.size * weight[..., 0].size)
    for other in others:
        total += other
    kh, kw, cg, _ = weight.shape
    dweight: Array = total.reshape(groups, kh, kw, cg, -1).transpose(1, 2, 3, 0, 4).reshape(weight.shape)
    return dweight


def input_gradient(dy: Array, weight: Array, size: Pair, conv: ConvSpec) -> Array:
    """Return dx ``(n, *size, c_in)``: add ``dY · Wᵀ`` to the receptive field of each output pixel (col2im)."""
    n, oh, ow, _ = dy.shape
    kh, kw, cg, _ = weight.shape
    dx = pooled_zeros(dy, (n, *size, cg * conv.groups))
    matrices = _weight_matrices(weight, conv.groups).swapaxes(1, 2)  # (groups, c_out/groups, kh·kw·c_in/groups)
    by_image: dict[int, list[Block]] = {}  # blocks of one image overlap in dx, so one thread adds all of them
    for block in _blocks((n, oh, ow, 0), dx, weight):
        by_image.setdefault(block.n0, []).append(block)

    def scatter(share: Sequence[list[Block]]) -> None:
        for block in (b for image in share for b in image):
            rows, cols = block.r1 - block.r0, block.c1 - block.c0
            products = np.matmul(_group(_view(dy, block), conv.groups), matrices)
            products = products.reshape(conv.groups, -1, rows, cols, kh, kw, cg).transpose(1, 2, 3, 4, 5, 0, 6)
            for i in range(kh):
                v = tap(i * conv.dilation[0], size[0], rows, conv.stride[0], conv.padding[0], block.r0)
                for j in range(kw):
                    u = tap(j * conv.dilation[1], size[1], cols, conv.stride[1], conv.padding[1], block.c0)
                    target = dx[block.n0 : block.n1, v.source, u.source]
                    target.reshape(*target.shape[:3], conv.groups, cg)[...] += products[:, v.out, u.out, i, j]

    parallel_map(scatter, list(by_image.values()), n * oh * ow * weight.size)
    return dx


def input_gradient_by_channel(dy: Array, weight: Array, size: Pair, conv: ConvSpec) -> Array:
    """Return what :func:`input_gradient` returns, for one group and maps with fewer pixels than channels.

    The weights then take most of the memory, so they are multiplied without a copy, and every core computes its own
    channels of dx, tap by tap.
    """
    n, oh, ow, c_out = dy.shape
    kh, kw, c, _ = weight.shape
    dx = pooled_zeros(dy, (n, *size, c))
    rows, taps = dy.reshape(-1, c_out), weight.reshape(kh * kw, c, c_out)
    width = max(MIN_CHANNELS, SCRATCH_BYTES // (kh * kw * len(rows) * dy.itemsize))
    cores = min(c, thread_count())
    parts = [slice(*bounds) for bounds in cut_evenly(c, count_pieces(c, min(width, -(-c // cores)), cores))]

    def scatter(share: Sequence[slice]) -> None:
        for part in share:
            products = pooled_empty(dy, (kh, kw, n, oh, ow, part.stop - part.start))
            flat = products.reshape(kh * kw, len(rows), -1)
            np.matmul(rows, taps[:, part].swapaxes(1, 2), out=flat)
            for i in range(kh):
                v = tap(i * conv.dilation[0], size[0], oh, conv.stride[0], conv.padding[0])
                for j in range(kw):
                    u = tap(j * conv.dilation[1], size[1], ow, conv.stride[1], conv.padding[1])
                    dx[:, v.source, u.source, part] += products[i, j, :, v.out, u.out]

    parallel_map(scatter, parts, n * oh * ow * weight.size)
    return dx


def _blocks(shape: tuple[int, ...], x: Array, weight: Array) -> list[Block]:
    """Cut an output of ``shape`` into blocks whose columns and products fit into the scratch memory."""
    kh, kw, _, c_out = weight.shape
    row_bytes: int = max(kh * kw * x.shape[3], c_out) * x.dtype.itemsize
    rows = SCRATCH_BYTES // row_bytes
    limit = max(1, rows, min(MIN_ROWS, 4 * rows))
    return blocks(shape[0], shape[1], shape[2], limit, thread_count())


def _weight_matrices(weight: Array, groups: int) -> Array:
    """Reshape the weight to one matrix per group: (groups, kh·kw·c_in/groups, c_out/groups)."""
    if not weight.flags.c_contiguous:  # a rotated kernel
        laid_out = pooled_empty(weight, weight.shape)
        laid_out[...] = weight
        weight = laid_out
    matrices: Array = weight.reshape(-1, groups, weight.shape[3] // groups).swapaxes(0, 1)
    return matrices


def all_columns(x: Array, conv: ConvSpec, size: Pair) -> Array:
    """Gather the rows of a whole output of ``size``, for one group: (n·oh·ow, kh·kw·c_in)."""
    rows = pooled_empty(x, (len(x) * prod(size), prod(conv.kernel) * x.shape[3]))
    images = rows.reshape(len(x), -1)
    whole = [Block(i, i + 1, 0, size[0], 0, size[1]) for i in range(len(x))]

    def gather(block: Block) -> None:
        columns(x, conv, block, images[block.n0])

    parallel_for(gather, whole, OPERATIONS_PER_ELEMENT * rows.size)
    return rows


def columns(x: Array, conv: ConvSpec, block: Block, out: Array | None = None) -> Array:
    """Gather each output pixel's receptive field as a row: (groups, positions, kh·kw·c_in/groups)."""
    (kh, kw), (sh, sw), (dh, dw) = conv.kernel, conv.stride, conv.dilation
    images, rows, cols = block.n1 - block.n0, block.r1 - block.r0, block.c1 - block.c0
    source = _window(x, conv, block)
    sn, sy, sx, sc = source.strides
    cg = x.shape[3] // conv.groups
    shape, strides = (conv.groups, images, rows, cols, kh), (sc * cg, sn, sy * sh, sx * sw, sy * dh)
    if conv.groups == 1 and dw == 1 and (sx, sc) == (x.shape[3] * x.itemsize, x.itemsize):
        # the inputs of a kernel row are contiguous
        patches = np.lib.stride_tricks.as_strided(source, (*shape, kw * cg), (*strides, sc))
    else:
        patches = np.lib.stride_tricks.as_strided(source, (*shape, kw, cg), (*strides, sx * dw, sc))
    copied = pooled_empty(x, patches.shape) if out is None else out.reshape(patches.shape)
    copy_pixels(patches, copied)
    return copied.reshape(conv.groups, images * rows * cols, kh * kw * cg)


def _window(x: Array, conv: ConvSpec, block: Block) -> Array:
    """Return the part of ``x`` that ``block`` of the output reads, padded with zeros where it extends past the edge."""
    h, w = x.shape[1:3]
    spans = []
    for o0, o1, k, s, p, d in zip(
        (block.r0, block.c0), (block.r1, block.c1), conv.kernel, conv.stride, conv.padding, conv.dilation, strict=True
    ):
        spans.append((o0 * s - p, (o1 - 1) * s - p + d * (k - 1) + 1))
    (top, bottom), (left, right) = spans
    if top >= 0 and left >= 0 and bottom <= h and right <= w:
        return x[block.n0 : block.n1, top:bottom, left:right]
    padded = pooled_zeros(x, (block.n1 - block.n0, bottom - top, right - left, x.shape[3]))
    v, u = tap(0, h, bottom - top, 1, -top), tap(0, w, right - left, 1, -left)
    padded[:, v.out, u.out] = x[block.n0 : block.n1, v.source, u.source]
    return padded


def _view(y: Array, block: Block) -> Array:
    """Return a view of ``block`` in ``y``."""
    return y[block.n0 : block.n1, block.r0 : block.r1, block.c0 : block.c1]


def _group(part: Array, groups: int) -> Array:
    """Reshape (images, rows, cols, c) to one matrix per group: (groups, positions, c/groups)."""
    c = part.shape[3]
    grouped: Array = part.reshape(-1, groups, c // groups).swapaxes(0, 1)
    return grouped


def _ungroup(products: Array, block: Block) -> Array:
    """Reshape (groups, positions, c/groups) back to (images, rows, cols, c)."""
    shape = (block.n1 - block.n0, block.r1 - block.r0, block.c1 - block.c0, -1)
    maps: Array = products.swapaxes(0, 1).reshape(shape)
    return maps
