"""Crop, pad, concatenate and add feature maps."""

from scratchnet.arrays import Array, get_array_module
from scratchnet.engine.dispatch import Argument, operation
from scratchnet.engine.memory.pool import pooled_empty, pooled_zeros
from scratchnet.ops.geometry import Pair, integer, pair


def row_of(pixel: Array, count: int) -> Array:
    """Repeat a pixel's values (c,) for a row of ``count`` pixels: (count·c,).

    NumPy then multiplies a whole row in one run instead of restarting its inner loop at every pixel.
    """
    row = pooled_empty(pixel, (count, len(pixel)))
    row[...] = pixel
    return row.reshape(-1)


@operation(x=Argument("n h w c", role="view"))
def crop2d(x: Array, offset: int | Pair, size: Pair) -> Array:
    """Crop ``x`` to ``size`` (h, w), with the upper left corner at ``offset``.

    Raises
    ------
    ValueError
        If the crop extends past the edge of ``x``.
    """
    top, left = pair(offset, "offset", 0)
    h, w = pair(size, "size", 1)
    if top + h > x.shape[1] or left + w > x.shape[2]:
        raise ValueError(f"crop2d: {h}×{w} at ({top}, {left}) does not fit into a map of {x.shape[1]}×{x.shape[2]}")
    return x[:, top : top + h, left : left + w]


@operation(dy="n h w c")
def crop2d_backward(dy: Array, offset: int | Pair, size: Pair) -> Array:
    """Return dx of ``size`` (h, w): the gradient inside the crop, zero outside."""
    top, left = pair(offset, "offset", 0)
    size = pair(size, "size", 1)
    n, h, w, c = dy.shape
    if top + h > size[0] or left + w > size[1]:
        raise ValueError(f"crop2d_backward: dy {dy.shape} at ({top}, {left}) does not fit into {size[0]}×{size[1]}")
    dx = pooled_zeros(dy, (n, *size, c))
    dx[:, top : top + h, left : left + w] = dy
    return dx


@operation(x="n h w c")
def pad2d(x: Array, padding: int | Pair) -> Array:
    """Pad all four sides with ``padding`` (vertical, horizontal) zeros."""
    ph, pw = pair(padding, "padding", 0)
    n, h, w, c = x.shape
    y = pooled_zeros(x, (n, h + 2 * ph, w + 2 * pw, c))
    y[:, ph : ph + h, pw : pw + w] = x
    return y


@operation(dy=Argument("n h w c", role="view"))
def pad2d_backward(dy: Array, padding: int | Pair) -> Array:
    """Return the gradient without its border."""
    ph, pw = pair(padding, "padding", 0)
    if dy.shape[1] <= 2 * ph or dy.shape[2] <= 2 * pw:
        raise ValueError(f"pad2d_backward: dy {dy.shape} has nothing inside a border of ({ph}, {pw})")
    return dy[:, ph : dy.shape[1] - ph, pw : dy.shape[2] - pw]


@operation(maps="_n _h _w _c")
def concatenate(*maps: Array) -> Array:
    """Concatenate maps of the same size along the channels, as the skip connections of U-Net do.

    Raises
    ------
    ValueError
        If the maps differ in anything but their number of channels.
    """
    if not maps:
        raise ValueError("concatenate: expected at least one map, got none")
    sizes = {m.shape[:3] for m in maps}
    if len(sizes) != 1:
        raise ValueError(f"concatenate: maps must agree in (n, h, w), got {', '.join(str(m.shape) for m in maps)}")
    y = pooled_empty(maps[0], (*maps[0].shape[:3], sum(m.shape[3] for m in maps)))
    end = 0
    for m in maps:
        y[..., end : end + m.shape[3]] = m
        end += m.shape[3]
    return y


@operation(dy=Argument("n h w c", role="view"))
def concatenate_backward(dy: Array, channels: list[int]) -> list[Array]:
    """Split the gradient into pieces with the given numbers of ``channels``."""
    channels = [integer(c, "channels", 1) for c in channels]
    if sum(channels) != dy.shape[3]:
        raise ValueError(f"concatenate_backward: pieces of {channels} channels do not add up to those of dy {dy.shape}")
    ends = [sum(channels[: i + 1]) for i in range(len(channels))]
    return [dy[..., end - c : end] for end, c in zip(ends, channels, strict=True)]


@operation(maps="_n _h _w _c")
def add(*maps: Array) -> Array:
    """Sum maps of the same shape, as FCN's skip connections do. Each input gets the gradient of the sum unchanged."""
    if not maps:
        raise ValueError("add: expected at least one map, got none")
    if len({m.shape for m in maps}) != 1:
        raise ValueError(f"add: maps must have one shape, got {', '.join(str(m.shape) for m in maps)}")
    y = pooled_empty(maps[0], maps[0].shape)
    if len(maps) == 1:
        y[...] = maps[0]
        return y
    get_array_module(y).add(maps[0], maps[1], out=y)
    for m in maps[2:]:
        y += m
    return y
