"""Convolution as a matrix product: tiled im2col, forward and both gradients.

A convolution (in truth a cross-correlation, as everywhere in deep learning) slides a kernel over a map:

    y[n, o, q, b] = bias[b] + Σ_{i, j, a} x[n, o·s + i·d − p, q·s + j·d − p, a] · w[i, j, a, b]

Write the ``kh·kw·c_in`` inputs that one output pixel sees as a row of a matrix, *columns*, and the sum becomes a plain
product of two matrices, which is what computers do best:

    Y = columns(x) · W                      forward
    dW = columns(x)ᵀ · dY                   every row of columns met every row of dY once
    columns(dx) = dY · Wᵀ                   … and dx sums what lands on the same input pixel

The matrix of columns is ``kh·kw`` times the size of the input, so it is never made whole: the functions below build it
for one block of output pixels at a time and multiply, each core its own blocks. ``groups`` splits the channels into
that many independent convolutions; a dilation ``d`` spreads the kernel's taps (Yu and Koltun 2016).

Reference: Chellapilla, Puri, Simard, "High performance convolutional neural networks for document processing" (2006).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from scratchnet.arrays import Array, namespace
from scratchnet.ops.geometry import Block, Pair, blocks, pair, tap, windows
from scratchnet.ops.sums import column_sums
from scratchnet.threads import share_out, thread_count

SCRATCH_BYTES = 4 << 20
"""Size of the block of columns that is held at one time; it fits a core's share of the cache."""


@dataclass(frozen=True)
class Convolution:
    """The settings of a convolution, checked once."""

    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int

    @classmethod
    def of(
        cls, weight: Array, stride: int | Pair, padding: int | Pair, dilation: int | Pair, groups: int
    ) -> "Convolution":
        """Read the kernel size off the weight and check the rest."""
        kh, kw, _, c_out = weight.shape
        if groups < 1 or c_out % groups:
            raise ValueError(f"groups is {groups}, which does not divide the {c_out} filters of weight {weight.shape}")
        return cls(
            (kh, kw), pair(stride, "stride", 1), pair(padding, "padding", 0), pair(dilation, "dilation", 1), groups
        )

    def output_size(self, h: int, w: int) -> Pair:
        """Return (oh, ow) for an ``h × w`` input."""
        (kh, kw), (sh, sw), (ph, pw), (dh, dw) = self.kernel, self.stride, self.padding, self.dilation
        return windows(h, kh, sh, ph, dh), windows(w, kw, sw, pw, dw)

    @property
    def pointwise(self) -> bool:
        """Whether the columns are the input itself: 1×1, stride 1, no padding."""
        return self.kernel == (1, 1) and self.stride == (1, 1) and self.padding == (0, 0)


def conv2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> Array:
    """Convolve ``x`` with ``weight``.

    Parameters
    ----------
    x : (n, h, w, c_in)
    weight : (kh, kw, c_in / groups, c_out)
    bias : (c_out,) or None
    stride, padding, dilation : int or (vertical, horizontal)
    groups : int
        Channels ``c_in`` and ``c_out`` are cut into so many groups; group g of the output sees group g of the input.

    Returns
    -------
    (n, oh, ow, c_out) with ``oh = ⌊(h + 2p − d(kh−1) − 1) / s⌋ + 1``

    Raises
    ------
    ValueError
        When the channels do not fit the weight, or the kernel is larger than the padded input.

    Examples
    --------
    >>> import numpy as np
    >>> conv2d(np.ones((1, 4, 4, 1)), np.ones((3, 3, 1, 1)), padding=1)[0, :, :, 0]
    array([[4., 6., 6., 4.],
           [6., 9., 9., 6.],
           [6., 9., 9., 6.],
           [4., 6., 6., 4.]])
    """
    check_channels("conv2d", x, weight, groups)
    conv = Convolution.of(weight, stride, padding, dilation, groups)
    xp = namespace(x)
    n, h, w, c = x.shape
    oh, ow = conv.output_size(h, w)
    y: Array = xp.empty((n, oh, ow, weight.shape[3]), x.dtype)
    matrices = _weight_matrices(weight, groups)  # (groups, kh·kw·c/groups, c_out/groups)
    if conv.pointwise and groups == 1:
        xp.matmul(x.reshape(-1, c), matrices[0], out=y.reshape(-1, y.shape[3]))
    else:

        def multiply(share: Sequence[Block]) -> None:
            for block in share:
                columns, target = _columns(x, conv, block), _view(y, block)
                if groups == 1 and block.c1 - block.c0 == ow:  # whole rows lie together: multiply straight into them
                    xp.matmul(columns[0], matrices[0], out=target.reshape(-1, y.shape[3]))
                else:
                    target[...] = _ungroup(columns @ matrices, block)

        share_out(multiply, blocks(n, oh, ow, _positions(x, weight), thread_count()), n * oh * ow * weight.size)
    if bias is not None:
        y += bias
    return y


def conv2d_backward(
    dy: Array,
    x: Array,
    weight: Array,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
    need_dx: bool = True,
) -> tuple[Array | None, Array, Array]:
    """Return the gradients of a convolution by its input, weight and bias.

    Parameters
    ----------
    dy : (n, oh, ow, c_out)
        Gradient of the loss by the convolution's output.
    x, weight, stride, padding, dilation, groups
        As given to :func:`conv2d`.
    need_dx : bool
        The first layer of a network has no use for ``dx``, a third of the work; None is returned for it then.

    Returns
    -------
    dx : (n, h, w, c_in) or None
    dweight : (kh, kw, c_in / groups, c_out)
    dbias : (c_out,)
    """
    dweight = conv2d_weight_gradient(dy, x, weight, stride, padding, dilation, groups)
    dbias = column_sums(dy)
    dx = None
    if need_dx:
        dx = conv2d_input_gradient(dy, weight, x.shape[1:3], stride, padding, dilation, groups)
    return dx, dweight, dbias


def conv2d_weight_gradient(
    dy: Array,
    x: Array,
    weight: Array,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> Array:
    """Return dW = columns(x)ᵀ · dY, summed over the blocks; shape as ``weight``, of which only the shape is used."""
    conv = Convolution.of(weight, stride, padding, dilation, groups)
    xp = namespace(x)
    n, oh, ow, c_out = dy.shape
    if conv.pointwise and groups == 1:
        dpoint: Array = x.reshape(-1, x.shape[3]).T @ dy.reshape(-1, c_out)
        return dpoint.reshape(weight.shape)

    def multiply(share: Sequence[Block]) -> Array:
        total: Array = xp.zeros((groups, weight[..., 0].size, c_out // groups), x.dtype)
        for block in share:
            total += _columns(x, conv, block).swapaxes(1, 2) @ _group(_view(dy, block), groups)
        return total

    parts = blocks(n, oh, ow, _positions(x, weight), thread_count())
    total, *more = share_out(multiply, parts, n * oh * ow * weight.size)
    for part in more:
        total += part
    kh, kw, cg, _ = weight.shape
    dweight: Array = total.reshape(groups, kh, kw, cg, -1).transpose(1, 2, 3, 0, 4).reshape(weight.shape)
    return dweight


def conv2d_input_gradient(
    dy: Array,
    weight: Array,
    size: Pair,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> Array:
    """Return dx, the gradient by the input of ``size`` (h, w): the adjoint of the convolution.

    At stride 1 it is itself a convolution: of ``dy``, padded by d(k−1) − p, with the kernel turned by 180° and its two
    channel axes exchanged. At other strides the products ``dY · Wᵀ`` are added to the input pixels that each output
    pixel saw, one kernel tap at a time (col2im).
    """
    conv = Convolution.of(weight, stride, padding, dilation, groups)
    kh, kw, cg, c_out = weight.shape
    grown = tuple(d * (k - 1) - p for k, p, d in zip(conv.kernel, conv.padding, conv.dilation, strict=True))
    if conv.stride == (1, 1) and min(grown) >= 0 and dy.shape[1:3] == conv.output_size(*size):
        turned = weight[::-1, ::-1].reshape(kh, kw, cg, groups, c_out // groups)
        turned = turned.transpose(0, 1, 4, 3, 2).reshape(kh, kw, c_out // groups, groups * cg)
        return conv2d(dy, turned, None, 1, (grown[0], grown[1]), conv.dilation, groups)
    return _col2im(dy, weight, size, conv)


def check_channels(name: str, x: Array, weight: Array, groups: int) -> None:
    """Raise a ValueError that shows both shapes when the channels of ``x`` do not fit ``weight``."""
    if x.ndim != 4 or weight.ndim != 4:
        raise ValueError(f"{name}: expected x (n, h, w, c) and weight with 4 axes, got {x.shape} and {weight.shape}")
    if x.shape[3] != weight.shape[2] * groups:
        raise ValueError(
            f"{name}: x has {x.shape[3]} channels in its last axis {x.shape} but weight expects "
            f"{weight.shape[2] * groups} {weight.shape}" + (f" with {groups} groups" if groups > 1 else "")
        )


def _positions(x: Array, weight: Array) -> int:
    """Return how many output pixels fit into the scratch memory, as rows of columns and as rows of their product."""
    kh, kw, _, c_out = weight.shape
    row_bytes: int = max(kh * kw * x.shape[3], c_out) * x.dtype.itemsize
    return max(1, SCRATCH_BYTES // row_bytes)


def _weight_matrices(weight: Array, groups: int) -> Array:
    """Lay the weight out as one matrix a group: (groups, kh·kw·c_in/groups, c_out/groups)."""
    matrices: Array = weight.reshape(-1, groups, weight.shape[3] // groups).swapaxes(0, 1)
    return matrices


def _columns(x: Array, conv: Convolution, block: Block) -> Array:
    """Gather what each output pixel of ``block`` sees, a row each: (groups, positions, kh·kw·c_in/groups)."""
    xp = namespace(x)
    (kh, kw), (sh, sw), (dh, dw) = conv.kernel, conv.stride, conv.dilation
    images, rows, cols = block.n1 - block.n0, block.r1 - block.r0, block.c1 - block.c0
    source = _window(x, conv, block)
    sn, sy, sx, sc = source.strides
    cg = x.shape[3] // conv.groups
    patches = xp.lib.stride_tricks.as_strided(
        source,
        (conv.groups, images, rows, cols, kh, kw, cg),
        (sc * cg, sn, sy * sh, sx * sw, sy * dh, sx * dw, sc),
    )
    columns: Array = patches.reshape(conv.groups, images * rows * cols, kh * kw * cg)  # the copy
    return columns


def _window(x: Array, conv: Convolution, block: Block) -> Array:
    """Return the part of ``x``, zeros round it where it hangs over the edge, that ``block`` of the output sees."""
    h, w = x.shape[1:3]
    spans = []
    for o0, o1, k, s, p, d in zip(
        (block.r0, block.c0), (block.r1, block.c1), conv.kernel, conv.stride, conv.padding, conv.dilation, strict=True
    ):
        spans.append((o0 * s - p, (o1 - 1) * s - p + d * (k - 1) + 1))
    (top, bottom), (left, right) = spans
    inside = x[block.n0 : block.n1, max(0, top) : max(0, min(h, bottom)), max(0, left) : max(0, min(w, right))]
    if top >= 0 and left >= 0 and bottom <= h and right <= w:
        return inside
    padded: Array = namespace(x).zeros((inside.shape[0], bottom - top, right - left, x.shape[3]), x.dtype)
    y0, x0 = max(0, -top), max(0, -left)
    padded[:, y0 : y0 + inside.shape[1], x0 : x0 + inside.shape[2]] = inside
    return padded


def _col2im(dy: Array, weight: Array, size: Pair, conv: Convolution) -> Array:
    """Add ``dY · Wᵀ`` to the input pixels that each output pixel saw, block by block and kernel tap by kernel tap."""
    xp = namespace(dy)
    n, oh, ow, _ = dy.shape
    kh, kw, cg, _ = weight.shape
    dx: Array = xp.zeros((n, *size, cg * conv.groups), dy.dtype)
    matrices = _weight_matrices(weight, conv.groups).swapaxes(1, 2)  # (groups, c_out/groups, kh·kw·c_in/groups)
    by_image: dict[int, list[Block]] = {}  # blocks of one image overlap in dx, so one thread adds all of them
    for block in blocks(n, oh, ow, _positions(dx, weight), thread_count()):
        by_image.setdefault(block.n0, []).append(block)

    def scatter(share: Sequence[list[Block]]) -> None:
        for block in (b for image in share for b in image):
            rows, cols = block.r1 - block.r0, block.c1 - block.c0
            columns = _group(_view(dy, block), conv.groups) @ matrices  # (groups, positions, kh·kw·c_in/groups)
            columns = columns.reshape(conv.groups, -1, rows, cols, kh, kw, cg).transpose(1, 2, 3, 4, 5, 0, 6)
            for i in range(kh):
                v = tap(i * conv.dilation[0], size[0], rows, conv.stride[0], conv.padding[0], block.r0)
                for j in range(kw):
                    u = tap(j * conv.dilation[1], size[1], cols, conv.stride[1], conv.padding[1], block.c0)
                    target = dx[block.n0 : block.n1, v.source, u.source]
                    target.reshape(*target.shape[:3], conv.groups, cg)[...] += columns[:, v.out, u.out, i, j]

    share_out(scatter, list(by_image.values()), n * oh * ow * weight.size)
    return dx


def _view(y: Array, block: Block) -> Array:
    """Return the part of ``y`` that ``block`` names."""
    return y[block.n0 : block.n1, block.r0 : block.r1, block.c0 : block.c1]


def _group(part: Array, groups: int) -> Array:
    """Turn (images, rows, cols, c) into one matrix a group: (groups, positions, c/groups)."""
    c = part.shape[3]
    grouped: Array = part.reshape(-1, groups, c // groups).swapaxes(0, 1)
    return grouped


def _ungroup(product: Array, block: Block) -> Array:
    """Turn (groups, positions, c/groups) back into (images, rows, cols, c)."""
    shape = (block.n1 - block.n0, block.r1 - block.r0, block.c1 - block.c0, -1)
    maps: Array = product.swapaxes(0, 1).reshape(shape)
    return maps
