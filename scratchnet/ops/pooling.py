"""Max-pooling that records the position of each maximum, and unpooling that writes values back to these positions.

Pooling keeps the largest value of every ``kh × kw`` window. The *switch* of a window is the position of its maximum
inside the window, ``row · kw + column``. It is smaller than ``kh·kw``, so one byte is enough (two bits for 2×2). Papers
call it a switch (Zeiler and Fergus 2014; Noh, Hong, Han 2015), a max-pooling index (SegNet) or a pooling mask (Caffe).

    9 | 3 9    switch of this window: 1 (row 0, column 1)
      | 5 2

The rules, each of which is tested:

- The first maximum in reading order wins a tie.
- Padding is −∞: it never wins, and a window of negative values keeps its (negative) maximum.
- Unpooling to a given size writes each value at its switch and 0 elsewhere. If several overlapping windows chose the
  same pixel, their values are **summed**. So unpooling, the gradient of pooling and the adjoint of "read the pixel at
  the switch" are the same function.
- A switch always points to a pixel inside the map, even if every value of its window is −∞.
- NaN in a window makes its maximum NaN, and the switch is the position of the last NaN in reading order, as in PyTorch.
- Unpooling an infinite value, or NaN, leaves zeros elsewhere in its window.
"""

from dataclasses import dataclass
from functools import partial

from scratchnet.arrays import Array, get_array_module, on_gpu
from scratchnet.engine.capture import record_call
from scratchnet.engine.cpu.blocks import Block, blocks
from scratchnet.engine.cpu.threads import OPERATIONS_PER_ELEMENT, parallel_for, thread_count
from scratchnet.engine.dispatch import Argument, operation
from scratchnet.engine.memory.pool import pooled_empty, pooled_zeros
from scratchnet.engine.memory_layout import copy_pixels
from scratchnet.engine.modes import is_textbook, is_whole
from scratchnet.ops.activation import relu_backward
from scratchnet.ops.geometry import Pair, Tap, pair, tap, windows
from scratchnet.ops.selection import keep_where_equal, keep_where_positive

CHUNK_BYTES = 1 << 19
"""Size of the part of the map that is processed at once."""


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

    def taps(self, block: Block) -> list[tuple[int, Tap, Tap]]:
        """Return, for every position in the window, its switch value and the rows and columns that it connects.

        ``out`` counts within the block, ``source`` within the map.
        """
        (kh, kw), (sh, sw), (ph, pw) = self.kernel, self.stride, self.padding
        rows, ow = block.r1 - block.r0, self.index.shape[2]
        return [
            (i * kw + j, tap(i, self.size[0], rows, sh, ph, block.r0), tap(j, self.size[1], ow, sw, pw))
            for i in range(kh)
            for j in range(kw)
        ]

    def blocks(self) -> list[Block]:
        """Cut the pooled map into whole rows that fit into a core's cache with the windows they come from."""
        n, oh, ow, c = self.index.shape
        row = ow * max(1, CHUNK_BYTES // (ow * c * self.kernel[0] * self.kernel[1] * 4))
        return blocks(n, oh, ow, max(ow, min(row, -(-n * oh // thread_count()) * ow)))

    def pixels(self, map_: Array, block: Block) -> Array:
        """View the pixels in a block's windows, sorted by position in the window: (kh, kw, n, rows, ow, c)."""
        (kh, kw), (_, _, ow, c) = self.kernel, self.index.shape
        images, rows = block.n1 - block.n0, block.r1 - block.r0
        part = map_[block.n0 : block.n1, block.r0 * kh : block.r1 * kh]
        return part.reshape(images, rows, kh, ow, kw, c).transpose(2, 4, 0, 1, 3, 5)

    @property
    def overlapping(self) -> bool:
        """Whether a pixel may belong to several windows."""
        return self.stride[0] < self.kernel[0] or self.stride[1] < self.kernel[1]

    @property
    def tiling(self) -> bool:
        """Whether every pixel belongs to exactly one window."""
        whole = tuple(k * o for k, o in zip(self.kernel, self.index.shape[1:3], strict=True)) == self.size
        return whole and self.stride == self.kernel and self.padding == (0, 0)


SWITCHES = Argument(fields={"index": Argument("_n _oh _ow _c", "integer")})
"""What the operations expect of :class:`Switches`."""


@operation(x="n h w c")
def max_pool2d(
    x: Array,
    kernel: int | Pair,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
    ceil_mode: bool = False,
) -> tuple[Array, Switches]:
    """Return the maximum of every window and its position.

    Parameters
    ----------
    x : (n, h, w, c)
    kernel, stride, padding : int or (vertical, horizontal)
        ``stride`` defaults to the kernel. ``padding`` is at most half the kernel.
    ceil_mode : bool
        Whether to keep a last, incomplete window (Caffe: 45 → 23) or to drop it (45 → 22).

    Returns
    -------
    y : (n, oh, ow, c)
    switches : Switches

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[3, 9, 6, 2], [5, 2, 1, 8], [12, 3, 9, 7], [2, 5, 6, 2]], float).reshape(1, 4, 4, 1)
    >>> y, switches = max_pool2d(x, 2)
    >>> y[0, :, :, 0]
    array([[ 9.,  8.],
           [12.,  9.]])
    >>> switches.index[0, :, :, 0]
    array([[1, 3],
           [0, 0]], dtype=uint8)
    >>> max_unpool2d(y, switches)[0, :, :, 0]
    array([[ 0.,  9.,  0.,  0.],
           [ 0.,  0.,  0.,  8.],
           [12.,  0.,  9.,  0.],
           [ 0.,  0.,  0.,  0.]])
    """
    y, switches = prepare(x, kernel, stride, padding, ceil_mode)
    k, s, p = switches.kernel, switches.stride, switches.padding
    pool = _pool_2x2 if k == s == (2, 2) and p == (0, 0) and not ceil_mode and not is_textbook() else _pool

    def work(block: Block) -> None:
        pool(x, y, switches, block)
        here = slice(block.n0, block.n1), slice(block.r0, block.r1)
        record_call(partial(_point_to_nan, switches, block), y[here], switches.index[here], x[block.n0 : block.n1])

    parallel_for(work, switches.blocks(), OPERATIONS_PER_ELEMENT * x.size)
    return y, switches


def prepare(
    x: Array, kernel: int | Pair, stride: int | Pair | None, padding: int | Pair, ceil_mode: bool
) -> tuple[Array, Switches]:
    """Allocate the maxima and the switches; raise a ValueError for invalid windows."""
    k = pair(kernel, "kernel", 1)
    s, p = pair(k if stride is None else stride, "stride", 1), pair(padding, "padding", 0)
    check_padding(k, p)
    xp = get_array_module(x)
    n, h, w, c = x.shape
    shape = (n, windows(h, k[0], s[0], p[0], 1, ceil_mode), windows(w, k[1], s[1], p[1], 1, ceil_mode), c)
    index = pooled_empty(x, shape, xp.uint8 if k[0] * k[1] <= 256 else xp.uint16)
    return pooled_empty(x, shape), Switches(index, (h, w), k, s, p)


def _pool(x: Array, y: Array, switches: Switches, block: Block) -> None:
    """Loop over the positions in the window, keeping the maximum so far and its position."""
    xp = get_array_module(x)
    best, where = (a[block.n0 : block.n1, block.r0 : block.r1] for a in (y, switches.index))
    best.fill(-xp.inf)
    _point_inside(where, switches, block)
    for j, v, u in switches.taps(block):
        candidate, chosen = x[block.n0 : block.n1, v.source, u.source], where[:, v.out, u.out]
        # j increases, so the largest j that improved on all earlier values is the position of the first maximum.
        better = xp.greater(candidate, best[:, v.out, u.out]).astype(where.dtype)
        xp.multiply(better, where.dtype.type(j), out=better)
        xp.maximum(chosen, better, out=chosen)
        xp.maximum(best[:, v.out, u.out], candidate, out=best[:, v.out, u.out])


def _point_inside(where: Array, switches: Switches, block: Block) -> None:
    """Point every switch to the first position of its window outside the padding, for windows where all are −∞."""
    (_, kw), (sh, sw), (ph, pw) = switches.kernel, switches.stride, switches.padding
    where.fill(0)
    for column in range(min(-(-pw // sw), where.shape[2])):  # windows that start left of the map
        where[:, :, column] = pw - column * sw
    for row in range(block.r0, min(-(-ph // sh), block.r1)):  # … or above it
        where[:, row - block.r0] += where.dtype.type((ph - row * sh) * kw)


def _point_to_nan(switches: Switches, block: Block, y: Array, where: Array, x: Array) -> None:
    """Point the switch of every maximum that is NaN to the last NaN of its window.

    Parameters
    ----------
    switches : Switches
        For its sizes.
    block : Block
    y, where : (n, rows, ow, c)
        Maxima and switches of the block.
    x : (n, h, w, c)
        The images of the block.
    """
    if not on_gpu(y) and (not y.size or y.max() == y.max()):  # no NaN; on a GPU the check would wait for the device
        return
    xp = get_array_module(x)
    for j, v, u in switches.taps(block):
        chosen = where[:, v.out, u.out]
        value = x[:, v.source, u.source]
        chosen[...] = xp.where(xp.equal(value, value), chosen, where.dtype.type(j))  # NaN alone differs from itself


def _pool_2x2(x: Array, y: Array, switches: Switches, block: Block) -> None:
    """Compare the two rows of every window first, in long runs of memory, then the two remaining columns.

    ``lower`` holds for each column whether its second row won, ``right`` whether the second column won. The second
    column also wins a tie if its maximum is in the first row and the other one is in the second, because it then comes
    first in reading order.
    """
    xp = get_array_module(x)
    images, rows = slice(block.n0, block.n1), slice(block.r0, block.r1)
    best, where = y[images, rows], switches.index[images, rows]
    width = 2 * best.shape[2]
    top = x[images, 2 * block.r0 : 2 * block.r1 : 2, :width]
    bottom = x[images, 2 * block.r0 + 1 : 2 * block.r1 : 2, :width]
    lower, tall = pooled_empty(x, top.shape, bool), pooled_empty(x, top.shape)
    xp.greater(bottom, top, out=lower)
    xp.maximum(top, bottom, out=tall)
    left_tall, right_tall = _by_column(tall)
    left_lower, right_lower = _by_column(lower)
    right, tie, row = (pooled_empty(x, best.shape, bool) for _ in range(3))
    xp.greater(right_tall, left_tall, out=right)
    xp.equal(right_tall, left_tall, out=tie)
    xp.maximum(left_tall, right_tall, out=best)
    xp.greater(left_lower, right_lower, out=row)
    xp.logical_and(tie, row, out=tie)
    xp.logical_or(right, tie, out=right)
    # row = lower of the winning column: (left ⊕ right) ∧ right column ⊕ left
    xp.logical_xor(left_lower, right_lower, out=row)
    xp.logical_and(row, right, out=row)
    xp.logical_xor(row, left_lower, out=row)
    xp.multiply(row.view(xp.uint8), xp.uint8(2), out=where)
    xp.add(where, right.view(xp.uint8), out=where)


def _by_column(x: Array) -> Array:
    """Separate the left and the right columns of all windows: (2, n, rows, ow, c)."""
    n, rows, width, c = x.shape
    halves = pooled_empty(x, (2, n, rows, width // 2, c))
    copy_pixels(x.reshape(n, rows, width // 2, 2, c).transpose(3, 0, 1, 2, 4), halves)
    return halves


def check_padding(kernel: Pair, padding: Pair) -> None:
    """Raise a ValueError for a padding with which a window could contain nothing but padding."""
    if any(2 * p > k for p, k in zip(padding, kernel, strict=True)):
        raise ValueError(f"max_pool2d: padding {padding} is more than half the window {kernel}; lower it")


def check_shape(x: Array, switches: Switches) -> None:
    """Raise a ValueError if the shape of ``x`` is not that of its switches."""
    if x.shape != switches.index.shape:
        raise ValueError(
            f"max_unpool2d: x {x.shape} and its switches {switches.index.shape} must have the same shape; "
            "a layer between pooling and unpooling changed the size or the number of channels"
        )


def check_switches(switches: Switches) -> None:
    """Raise an error for switches that pooling cannot produce."""
    shape, sizes = switches.index.shape, (switches.size, switches.kernel, switches.stride, switches.padding)
    if switches.index.dtype.itemsize > 2 or switches.index.dtype.kind != "u":
        raise TypeError(f"switches: index is {switches.index.dtype}; expected uint8 or uint16")
    for count, size, k, s, p in zip(shape[1:3], *sizes, strict=True):
        most = windows(size, k, s, p, ceil_mode=True)
        if not most - 1 <= count <= most:
            raise ValueError(f"switches: index {shape} is not that of pooling a map of {switches.size}")


def _check_pooled(x: Array, switches: Switches) -> None:
    check_switches(switches)
    check_shape(x, switches)


def _check_gradient(dy: Array, switches: Switches, y: Array | None = None) -> None:
    _check_pooled(dy, switches)


def _check_restored(dy: Array, switches: Switches) -> None:
    check_switches(switches)
    n, _, _, c = switches.index.shape
    if dy.shape != (n, *switches.size, c):
        raise ValueError(f"max_unpool2d_backward: dy is {dy.shape}; the switches restore {(n, *switches.size, c)}")


@operation(_check_gradient, dy="n o q c", switches=SWITCHES, y="n o q c")
def max_pool2d_backward(dy: Array, switches: Switches, y: Array | None = None) -> Array:
    """Return dx (n, h, w, c): route each gradient to the pixel that was the maximum, and sum where windows overlap.

    Parameters
    ----------
    dy : (n, oh, ow, c)
    switches : Switches
    y : (n, oh, ow, c) or None
        The maxima, to apply the backward pass of a preceding ReLU too: a maximum of 0 gets no gradient.
    """
    if y is None:
        return max_unpool2d(dy, switches)
    if switches.tiling and not is_whole():
        return _unpool_tiles(dy, switches, y)
    return max_unpool2d(relu_backward(dy, y), switches)


@operation(_check_pooled, x="n o q c", switches=SWITCHES)
def max_unpool2d(x: Array, switches: Switches) -> Array:
    """Write every value to the position given by its switch, and zeros elsewhere.

    Parameters
    ----------
    x : (n, oh, ow, c)
        The same shape as the switches.
    switches : Switches
        From the pooling to undo; the result has the size ``switches.size``.

    Returns
    -------
    (n, h, w, c)

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if switches.tiling:
        return _unpool_tiles(x, switches)
    y = pooled_zeros(x, (len(x), *switches.size, x.shape[3]))

    def unpool(part: list[Block]) -> None:
        for block in part:
            chosen = pooled_empty(x, x[block.n0 : block.n1, block.r0 : block.r1].shape)
            for j, v, u in switches.taps(block):
                here, target = chosen[:, v.out, u.out], y[block.n0 : block.n1, v.source, u.source]
                _values_where(x, switches, block, j, v, u, here, target if not switches.overlapping else here)
                if switches.overlapping:
                    target += here

    parallel_for(unpool, _apart(switches), OPERATIONS_PER_ELEMENT * y.size)
    return y


def _unpool_tiles(x: Array, switches: Switches, mask: Array | None = None) -> Array:
    """Unpool adjacent, non-overlapping windows: compute the pixels by position in the window, then interleave them.

    Values where ``mask`` is not positive count as 0.
    """
    y = pooled_empty(x, (len(x), *switches.size, x.shape[3]))

    def unpool(block: Block) -> None:
        here = slice(block.n0, block.n1), slice(block.r0, block.r1)
        index, values = switches.index[here], x[here]
        if mask is not None:
            values = pooled_empty(x, values.shape)
            keep_where_positive(x[here], mask[here], values, values)
        pixels = switches.pixels(y, block)
        found = pooled_empty(x, pixels.shape)
        for j, part in enumerate(found.reshape(-1, *values.shape)):
            keep_where_equal(values, index, index.dtype.type(j), part, part)
        copy_pixels(found, pixels)

    parallel_for(unpool, switches.blocks(), OPERATIONS_PER_ELEMENT * y.size)
    return y


def _gather_tiles(dy: Array, switches: Switches) -> Array:
    """Read the gradient at each switch, for adjacent, non-overlapping windows."""
    xp = get_array_module(dy)
    dx = pooled_empty(dy, switches.index.shape)

    def gather(block: Block) -> None:
        index, sums = (a[block.n0 : block.n1, block.r0 : block.r1] for a in (switches.index, dx))
        pixels = switches.pixels(dy, block)
        slopes = pooled_empty(dy, pixels.shape)
        copy_pixels(pixels, slopes)
        chosen = pooled_empty(dy, sums.shape)
        for j, part in enumerate(slopes.reshape(-1, *sums.shape)):
            keep_where_equal(part, index, index.dtype.type(j), chosen, part if j else sums)
            if j:
                xp.add(sums, part, out=sums)

    parallel_for(gather, switches.blocks(), OPERATIONS_PER_ELEMENT * dy.size)
    return dx


def _values_where(
    x: Array, switches: Switches, block: Block, j: int, v: Tap, u: Tap, scratch: Array, out: Array
) -> None:
    """Write the values of ``x`` whose switch is j to ``out``, and 0 elsewhere."""
    rows = slice(block.r0 + v.out.start, block.r0 + v.out.stop)
    index, values = (a[block.n0 : block.n1, rows, u.out] for a in (switches.index, x))
    keep_where_equal(values, index, index.dtype.type(j), scratch, out)


def _apart(switches: Switches) -> list[list[Block]]:
    """Group blocks so that no two groups write to the same pixels: one block each, or by image if windows overlap."""
    groups: dict[object, list[Block]] = {}
    for i, block in enumerate(switches.blocks()):
        groups.setdefault(block.n0 if switches.overlapping else i, []).append(block)
    return list(groups.values())


@operation(_check_restored, dy="n h w c", switches=SWITCHES)
def max_unpool2d_backward(dy: Array, switches: Switches) -> Array:
    """Return dx (n, oh, ow, c): read the gradient at each switch, the exact adjoint of :func:`max_unpool2d`."""
    if switches.tiling:
        return _gather_tiles(dy, switches)
    dx = pooled_empty(dy, switches.index.shape)

    def gather(block: Block) -> None:
        index, sums = (a[block.n0 : block.n1, block.r0 : block.r1] for a in (switches.index, dx))
        chosen = pooled_empty(dy, sums.shape)
        sums.fill(0)
        for j, v, u in switches.taps(block):
            here, total = chosen[:, v.out, u.out], sums[:, v.out, u.out]
            read = dy[block.n0 : block.n1, v.source, u.source]
            keep_where_equal(read, index[:, v.out, u.out], index.dtype.type(j), here, here)
            total += here

    parallel_for(gather, switches.blocks(), OPERATIONS_PER_ELEMENT * dy.size)
    return dx
