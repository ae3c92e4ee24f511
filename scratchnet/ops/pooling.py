"""Max-pooling that records the position of each maximum, and unpooling that writes values back to these positions.

Pooling keeps the largest value of every ``kh × kw`` window. The *switch* of a window is the position of its maximum
inside the window, ``row · kw + column``. It is smaller than ``kh·kw``, so one byte is enough (two bits for 2×2). Papers
call it a switch (Zeiler and Fergus 2014; Noh, Hong, Han 2015), a max-pooling index (SegNet) or a pooling mask (Caffe).

    window   3 9    maximum 9, switch 1 (row 0, column 1)    unpooled   0 9
             5 2                                                        0 0

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

from scratchnet.arrays import Array, get_array_module
from scratchnet.engine.dispatch import operation
from scratchnet.ops.activation import relu_backward
from scratchnet.ops.geometry import Pair
from scratchnet.ops.switches import SWITCHES, Switches, check_switches, check_windows, switch_dtype


@operation(x="n h w c")
def max_pool2d(
    x: Array, kernel: int | Pair, stride: int | Pair | None = None, padding: int | Pair = 0, ceil_mode: bool = False
) -> tuple[Array, Switches]:
    """Return the maximum of every window, (n, oh, ow, c), and its position.

    Parameters
    ----------
    x : (n, h, w, c)
    kernel : int or (vertical, horizontal)
    stride : int or (vertical, horizontal) or None
        Defaults to the kernel.
    padding : int or (vertical, horizontal)
        At most half the kernel.
    ceil_mode : bool
        Whether to keep a last, incomplete window (Caffe: 45 → 23) or to drop it (45 → 22).

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[3, 9, 6, 2], [5, 2, 1, 8], [12, 3, 9, 7], [2, 5, 6, 2]], float).reshape(1, 4, 4, 1)
    >>> y, switches = max_pool2d(x, 2)
    >>> y.ravel(), switches.index.ravel()
    (array([ 9.,  8., 12.,  9.]), array([1, 3, 0, 0], dtype=uint8))
    """
    xp = get_array_module(x)
    size, k, s, p = check_windows(x.shape, kernel, stride, padding, ceil_mode)
    values = window_values(x, size, k, s, p, fill=-xp.inf)
    inside = window_values(xp.ones((1, *x.shape[1:3], 1), bool), size, k, s, p, fill=False)
    y: Array = values.max(axis=3)
    first = ((values == y[:, :, :, None]) & inside).argmax(axis=3)  # of booleans: the first True
    last_nan = k[0] * k[1] - 1 - xp.isnan(values)[:, :, :, ::-1].argmax(axis=3)
    index = xp.where(xp.isnan(y), last_nan, first).astype(switch_dtype(k))
    return y, Switches(index, x.shape[1:3], k, s, p)


def window_values(x: Array, size: Pair, kernel: Pair, stride: Pair, padding: Pair, fill: float) -> Array:
    """Return the pixels of every window in reading order, (n, oh, ow, kh·kw, c); ``fill`` outside the map."""
    xp = get_array_module(x)
    needed = [(o - 1) * s + k for o, s, k in zip(size, stride, kernel, strict=True)]
    border = [(p, max(0, total - p - old)) for total, p, old in zip(needed, padding, x.shape[1:3], strict=True)]
    padded = xp.pad(x, ((0, 0), *border, (0, 0)), constant_values=fill)
    image, row, column, channel = padded.strides
    strides = image, stride[0] * row, stride[1] * column, row, column, channel
    view = xp.lib.stride_tricks.as_strided(padded, (len(x), *size, *kernel, x.shape[3]), strides)
    values: Array = view.reshape(len(x), *size, kernel[0] * kernel[1], x.shape[3])
    return values


def _check_pooled(x: Array, switches: Switches) -> None:
    check_switches(switches)
    if x.shape != switches.index.shape:
        raise ValueError(
            f"max_unpool2d: x {x.shape} and its switches {switches.index.shape} must have the same shape; "
            "a layer between pooling and unpooling changed the size or the number of channels"
        )


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

    If ``y``, the maxima of a ReLU's output, is given, also apply the ReLU's backward pass: a maximum of 0 passes on no
    gradient.
    """
    return max_unpool2d(dy if y is None else relu_backward(dy, y), switches)


@operation(_check_pooled, x="n o q c", switches=SWITCHES)
def max_unpool2d(x: Array, switches: Switches) -> Array:
    """Return a map of ``switches.size`` with every value of ``x`` at its switch and zeros elsewhere.

    Raises a ValueError if ``x`` (n, oh, ow, c) does not have the shape of the switches.
    """
    xp = get_array_module(x)
    (kh, kw), (sh, sw), (ph, pw), (h, w) = switches.kernel, switches.stride, switches.padding, switches.size
    n, oh, ow, c = x.shape
    y: Array = xp.zeros((n, max(ph + h, (oh - 1) * sh + kh), max(pw + w, (ow - 1) * sw + kw), c), x.dtype)
    for position in range(kh * kw):
        i, j = divmod(position, kw)
        y[:, i : i + oh * sh : sh, j : j + ow * sw : sw] += xp.where(switches.index == position, x, 0)
    return y[:, ph : ph + h, pw : pw + w]


@operation(_check_restored, dy="n h w c", switches=SWITCHES)
def max_unpool2d_backward(dy: Array, switches: Switches) -> Array:
    """Return dx (n, oh, ow, c): read the gradient at each switch, the exact adjoint of :func:`max_unpool2d`."""
    xp, size = get_array_module(dy), switches.index.shape[1:3]
    values = window_values(dy, size, switches.kernel, switches.stride, switches.padding, fill=0)
    dx: Array = xp.take_along_axis(values, switches.index[:, :, :, None], axis=3)[:, :, :, 0]
    return dx
