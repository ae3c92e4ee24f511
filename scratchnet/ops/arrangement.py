"""Cutting, bordering and joining maps; no arithmetic beyond a sum."""

import numpy as np

from scratchnet.arrays import Array, namespace
from scratchnet.ops.dispatch import on_any_device
from scratchnet.ops.geometry import Pair, pair
from scratchnet.recycling import empty, zeros


def copy_pixels(source: Array, target: Array) -> None:
    """Copy pixels (…, c) to others, strided or not.

    Where the channels of a pixel lie together, they are moved as one element of c numbers: NumPy would begin a new run
    at every pixel, which takes longer than copying so few numbers.
    """
    if namespace(source) is np and source.strides[-1] == target.strides[-1] == source.itemsize:
        pixel = np.dtype((np.void, source.shape[-1] * source.itemsize))
        source, target = source.view(pixel), target.view(pixel)
    target[...] = source


def row_of(pixel: Array, count: int) -> Array:
    """Repeat a pixel's numbers (c,) for a row of ``count`` pixels: (count·c,).

    Along a whole row NumPy multiplies in one run, where with a pixel's c numbers it would begin anew at every pixel.
    """
    row = empty(pixel, (count, len(pixel)))
    row[...] = pixel
    return row.reshape(-1)


def crop2d(x: Array, offset: int | Pair, size: Pair) -> Array:
    """Cut ``size`` (h, w) out of ``x`` with its upper left corner at ``offset``.

    Raises
    ------
    ValueError
        When the cut reaches over the edge of ``x``.
    """
    top, left = pair(offset, "offset", 0)
    h, w = size
    if top + h > x.shape[1] or left + w > x.shape[2]:
        raise ValueError(f"crop2d: {h}×{w} at ({top}, {left}) does not fit into a map of {x.shape[1]}×{x.shape[2]}")
    return x[:, top : top + h, left : left + w]


@on_any_device
def crop2d_backward(dy: Array, offset: int | Pair, size: Pair) -> Array:
    """Return dx of ``size`` (h, w): the gradient inside the cut, zero outside."""
    top, left = pair(offset, "offset", 0)
    n, h, w, c = dy.shape
    dx = zeros(dy, (n, *size, c))
    dx[:, top : top + h, left : left + w] = dy
    return dx


@on_any_device
def pad2d(x: Array, padding: int | Pair) -> Array:
    """Put ``padding`` (vertical, horizontal) zeros on all four sides."""
    ph, pw = pair(padding, "padding", 0)
    n, h, w, c = x.shape
    y = zeros(x, (n, h + 2 * ph, w + 2 * pw, c))
    y[:, ph : ph + h, pw : pw + w] = x
    return y


def pad2d_backward(dy: Array, padding: int | Pair) -> Array:
    """Return the gradient without its border."""
    ph, pw = pair(padding, "padding", 0)
    return dy[:, ph : dy.shape[1] - ph, pw : dy.shape[2] - pw]


@on_any_device
def concatenate(*maps: Array) -> Array:
    """Put maps of one size behind one another along the channels: U-Net's way to bring back where things are.

    Raises
    ------
    ValueError
        When the maps differ in anything but their channels.
    """
    sizes = {m.shape[:3] for m in maps}
    if len(sizes) != 1:
        raise ValueError(f"concatenate: maps must agree in (n, h, w), got {', '.join(str(m.shape) for m in maps)}")
    y = empty(maps[0], (*maps[0].shape[:3], sum(m.shape[3] for m in maps)))
    end = 0
    for m in maps:
        y[..., end : end + m.shape[3]] = m
        end += m.shape[3]
    return y


def concatenate_backward(dy: Array, channels: list[int]) -> list[Array]:
    """Cut the gradient into the pieces with ``channels`` channels each."""
    ends = [sum(channels[: i + 1]) for i in range(len(channels))]
    return [dy[..., end - c : end] for end, c in zip(ends, channels, strict=True)]


@on_any_device
def add(*maps: Array) -> Array:
    """Sum maps of one shape, FCN's way to join a deep and a shallow map. Each input's gradient is that of the sum."""
    if len({m.shape for m in maps}) != 1:
        raise ValueError(f"add: maps must have one shape, got {', '.join(str(m.shape) for m in maps)}")
    y = empty(maps[0], maps[0].shape)
    namespace(y).add(maps[0], maps[1], out=y)
    for m in maps[2:]:
        y += m
    return y
