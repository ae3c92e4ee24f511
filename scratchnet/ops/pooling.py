"""Max-pooling that remembers where each maximum was, and unpooling that puts values back there.

Pooling keeps the largest value of every ``kh × kw`` window. The *switch* of a window is the position of that maximum
inside the window, ``row · kw + column``: a number under ``kh·kw``, so one byte is plenty (two bits for 2×2). Papers
call the same thing switches (Zeiler and Fergus 2014; Noh, Hong, Han 2015), max-pooling indices (SegNet) or a pooling
mask (Caffe).

    9 | 3 9    switch of this window: 1 (row 0, column 1)
      | 5 2

The rules, each of which a test holds on to:

- The first maximum in reading order wins a tie.
- Padding is −∞: it never wins, and a window of negative values keeps its (negative) maximum.
- Unpooling to a given size writes each value at its switch and 0 elsewhere. Where windows overlap and several of them
  chose the same pixel, their values are **summed**. That makes unpooling, the gradient of pooling and the adjoint of
  "read the pixel at the switch" one and the same function.
- NaN in a window makes its maximum NaN, and unpooling an infinite value fills its window with NaN (∞ · 0).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from scratchnet.arrays import Array, namespace
from scratchnet.ops.geometry import Pair, Tap, pair, tap, windows
from scratchnet.threads import PER_NUMBER, share_out


@dataclass(frozen=True)
class Switches:
    """Where the maxima of a pooling were, with all that is needed to go back.

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

    def taps(self) -> list[tuple[int, Tap, Tap]]:
        """Return, for every position in the window, its switch value and the rows and columns of the map it meets."""
        (kh, kw), (sh, sw), (ph, pw) = self.kernel, self.stride, self.padding
        oh, ow = self.index.shape[1:3]
        return [
            (i * kw + j, tap(i, self.size[0], oh, sh, ph), tap(j, self.size[1], ow, sw, pw))
            for i in range(kh)
            for j in range(kw)
        ]

    @property
    def overlapping(self) -> bool:
        """Whether a pixel may belong to several windows."""
        return self.stride[0] < self.kernel[0] or self.stride[1] < self.kernel[1]


def max_pool2d(
    x: Array,
    kernel: int | Pair,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
    ceil_mode: bool = False,
) -> tuple[Array, Switches]:
    """Keep the maximum of every window and remember where it was.

    Parameters
    ----------
    x : (n, h, w, c)
    kernel, stride, padding : int or (vertical, horizontal)
        ``stride`` is the kernel when it is None. ``padding`` is at most half the kernel.
    ceil_mode : bool
        Whether a last, incomplete window counts (Caffe: 45 → 23) or is left out (45 → 22).

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
    k = pair(kernel, "kernel", 1)
    s, p = pair(k if stride is None else stride, "stride", 1), pair(padding, "padding", 0)
    check_padding(k, p)
    xp = namespace(x)
    n, h, w, c = x.shape
    shape = (n, windows(h, k[0], s[0], p[0], 1, ceil_mode), windows(w, k[1], s[1], p[1], 1, ceil_mode), c)
    byte = xp.uint8 if k[0] * k[1] <= 256 else xp.uint16
    y, index = xp.full(shape, -xp.inf, x.dtype), xp.zeros(shape, byte)
    switches = Switches(index, (h, w), k, s, p)
    taps = switches.taps()

    def pool(images: Sequence[int]) -> None:
        for i in images:
            for j, v, u in taps:
                best, candidate, where = y[i, v.out, u.out], x[i, v.source, u.source], index[i, v.out, u.out]
                # j grows, so the largest j among those that were better than all before them is the first maximum's.
                better = xp.greater(candidate, best).astype(byte) * byte(j)
                xp.maximum(where, better, out=where)
                xp.maximum(best, candidate, out=best)

    share_out(pool, range(n), PER_NUMBER * x.size)
    return y, switches


def check_padding(kernel: Pair, padding: Pair) -> None:
    """Refuse windows that could lie in the padding alone: a ValueError."""
    if any(2 * p > k for p, k in zip(padding, kernel, strict=True)):
        raise ValueError(f"max_pool2d: padding {padding} is more than half the window {kernel}; lower it")


def max_pool2d_backward(dy: Array, switches: Switches) -> Array:
    """Return dx (n, h, w, c): each gradient goes to the pixel that was the maximum, sums where windows overlap."""
    return max_unpool2d(dy, switches)


def max_unpool2d(x: Array, switches: Switches) -> Array:
    """Put every value where its switch says, zeros elsewhere.

    Parameters
    ----------
    x : (n, oh, ow, c)
        As many rows, columns and channels as the switches.
    switches : Switches
        Of the pooling that this undoes; ``switches.size`` is the size restored.

    Returns
    -------
    (n, h, w, c)

    Raises
    ------
    ValueError
        When the shapes differ.
    """
    if x.shape != switches.index.shape:
        raise ValueError(
            f"max_unpool2d: x {x.shape} and its switches {switches.index.shape} must have the same shape; "
            "a layer between pooling and unpooling changed the size or the number of channels"
        )
    xp = namespace(x)
    y: Array = xp.zeros((x.shape[0], *switches.size, x.shape[3]), x.dtype)
    taps = switches.taps()

    def unpool(images: Sequence[int]) -> None:
        for i in images:
            for j, v, u in taps:
                values, chosen = x[i, v.out, u.out], switches.index[i, v.out, u.out] == j
                if switches.overlapping:
                    y[i, v.source, u.source] += values * chosen
                else:
                    xp.multiply(values, chosen, out=y[i, v.source, u.source])

    share_out(unpool, range(len(x)), PER_NUMBER * y.size)
    return y


def max_unpool2d_backward(dy: Array, switches: Switches) -> Array:
    """Return dx (n, oh, ow, c): read the gradient at each switch, the exact adjoint of :func:`max_unpool2d`."""
    xp = namespace(dy)
    dx: Array = xp.zeros(switches.index.shape, dy.dtype)
    taps = switches.taps()

    def gather(images: Sequence[int]) -> None:
        for i in images:
            for j, v, u in taps:
                dx[i, v.out, u.out] += dy[i, v.source, u.source] * (switches.index[i, v.out, u.out] == j)

    share_out(gather, range(len(dy)), PER_NUMBER * dy.size)
    return dx
