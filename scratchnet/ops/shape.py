"""Crop, pad, concatenate and add feature maps.

Padding is the gradient of cropping and the other way round; splitting is the gradient of concatenation, and every
summand of :func:`add` gets the gradient of the sum unchanged.
"""

from scratchnet.arrays import Array, get_array_module
from scratchnet.engine.dispatch import Argument, operation
from scratchnet.ops.geometry import Pair, integer, pair


def _check_crop(x: Array, offset: int | Pair, size: Pair) -> None:
    (top, left), (h, w) = pair(offset, "offset", 0), pair(size, "size", 1)
    if top + h > x.shape[1] or left + w > x.shape[2]:
        raise ValueError(f"crop2d: {h}×{w} at ({top}, {left}) does not fit into a map of {x.shape[1]}×{x.shape[2]}")


@operation(_check_crop, x=Argument("n h w c", role="view"))
def crop2d(x: Array, offset: int | Pair, size: Pair) -> Array:
    """Crop ``x`` to ``size`` (h, w), with the upper left corner at ``offset``.

    Raises
    ------
    ValueError
        If the crop extends past the edge of ``x``.
    """
    (top, left), (h, w) = pair(offset, "offset", 0), pair(size, "size", 1)
    return x[:, top : top + h, left : left + w]


def _check_cropped(dy: Array, offset: int | Pair, size: Pair) -> None:
    (top, left), size = pair(offset, "offset", 0), pair(size, "size", 1)
    if top + dy.shape[1] > size[0] or left + dy.shape[2] > size[1]:
        raise ValueError(f"crop2d_backward: dy {dy.shape} at ({top}, {left}) does not fit into {size[0]}×{size[1]}")


@operation(_check_cropped, dy=Argument("n h w c", role="view"))
def crop2d_backward(dy: Array, offset: int | Pair, size: Pair) -> Array:
    """Return dx of ``size`` (h, w): the gradient inside the crop, zero outside."""
    (top, left), (h, w) = pair(offset, "offset", 0), pair(size, "size", 1)
    rows, columns = (top, h - top - dy.shape[1]), (left, w - left - dy.shape[2])
    dx: Array = get_array_module(dy).pad(dy, ((0, 0), rows, columns, (0, 0)))
    return dx


@operation(x="n h w c")
def pad2d(x: Array, padding: int | Pair) -> Array:
    """Pad all four sides with ``padding`` (vertical, horizontal) zeros."""
    ph, pw = pair(padding, "padding", 0)
    y: Array = get_array_module(x).pad(x, ((0, 0), (ph, ph), (pw, pw), (0, 0)))
    return y


@operation(dy=Argument("n h w c", role="view"))
def pad2d_backward(dy: Array, padding: int | Pair) -> Array:
    """Return the gradient without its border."""
    ph, pw = pair(padding, "padding", 0)
    if dy.shape[1] <= 2 * ph or dy.shape[2] <= 2 * pw:
        raise ValueError(f"pad2d_backward: dy {dy.shape} has nothing inside a border of ({ph}, {pw})")
    return dy[:, ph : dy.shape[1] - ph, pw : dy.shape[2] - pw]


def _check_maps(*maps: Array) -> None:
    if not maps:
        raise ValueError("concatenate: expected at least one map, got none")
    if len({m.shape[:3] for m in maps}) != 1:
        raise ValueError(f"concatenate: maps must agree in (n, h, w), got {', '.join(str(m.shape) for m in maps)}")


@operation(_check_maps, maps=Argument("_n _h _w _c", role="view"))
def concatenate(*maps: Array) -> Array:
    """Concatenate maps of the same size along the channels, as the skip connections of U-Net do.

    Raises
    ------
    ValueError
        If the maps differ in anything but their number of channels.
    """
    y: Array = get_array_module(maps[0]).concatenate(maps, axis=3)
    return y


@operation(dy=Argument("n h w c", role="view"))
def concatenate_backward(dy: Array, channels: list[int]) -> list[Array]:
    """Split the gradient into pieces with the given numbers of ``channels``."""
    channels = [integer(c, "channels", 1) for c in channels]
    if sum(channels) != dy.shape[3]:
        raise ValueError(f"concatenate_backward: pieces of {channels} channels do not add up to those of dy {dy.shape}")
    ends = [sum(channels[: i + 1]) for i in range(len(channels))]
    return [dy[..., end - c : end] for end, c in zip(ends, channels, strict=True)]


def _check_summands(*maps: Array) -> None:
    if not maps:
        raise ValueError("add: expected at least one map, got none")
    if len({m.shape for m in maps}) != 1:
        raise ValueError(f"add: maps must have one shape, got {', '.join(str(m.shape) for m in maps)}")


@operation(_check_summands, maps=Argument("_n _h _w _c", role="view"))
def add(*maps: Array) -> Array:
    """Sum maps of the same shape, as FCN's skip connections do. Each input gets the gradient of the sum unchanged."""
    y = maps[0].copy()
    for m in maps[1:]:
        y += m
    return y
