"""Joining, cropping and padding maps, as layers."""

from scratchnet.arrays import Array
from scratchnet.layers.base import Layer, Shape
from scratchnet.layers.description import InputInfo
from scratchnet.layers.window import Window
from scratchnet.ops.geometry import Pair
from scratchnet.ops.shape import add, concatenate, concatenate_backward, crop2d, crop2d_backward, pad2d, pad2d_backward
from scratchnet.utils.validation import pair


class Concatenate(Layer):
    """Concatenate maps along the channels (U-Net)."""

    capturable = True
    kind = "concat"
    mixes_channels = True

    def forward(self, *maps: Array) -> Array:
        """(n, h, w, c1), (n, h, w, c2), … → (n, h, w, c1 + c2 + …)."""
        self.save_for_backward([m.shape[3] for m in maps])
        return concatenate(*maps)

    def backward(self, dy: Array) -> tuple[Array, ...]:
        """Return each map's piece of the gradient."""
        (channels,) = self.take_saved()
        return tuple(concatenate_backward(dy, channels))

    def output_shape(self, *shapes: Shape) -> Shape:
        """Return the common size with all channels."""
        n, h, w, _ = shapes[0]
        if any(s[:3] != (n, h, w) for s in shapes):
            raise ValueError(f"concatenate: maps must agree in (n, h, w), got {', '.join(map(str, shapes))}")
        return n, h, w, sum(s[3] for s in shapes)

    def describe(self) -> str:
        """Return the name."""
        return "concatenation"


class Add(Layer):
    """Sum maps of one shape (FCN)."""

    capturable = True
    kind = "add"

    def forward(self, *maps: Array) -> Array:
        """Any number of (n, h, w, c) → (n, h, w, c)."""
        self.save_for_backward(len(maps))
        return add(*maps)

    def backward(self, dy: Array) -> tuple[Array, ...]:
        """Return the gradient once for each map."""
        (count,) = self.take_saved()
        return tuple(dy for _ in range(count))

    def output_shape(self, *shapes: Shape) -> Shape:
        """Return the common shape."""
        if len(set(shapes)) != 1:
            raise ValueError(f"add: maps must have one shape, got {', '.join(map(str, shapes))}")
        return shapes[0]

    def describe(self) -> str:
        """Return the name."""
        return "sum"


class Crop(Layer):
    """Crop the first map to the size of the second.

    Parameters
    ----------
    offset : int or (vertical, horizontal) or None
        Upper left corner of the crop; None crops the centre.
    margin : int
        Pixels on each side by which the crop is smaller than the second map (removed by unpadded convolutions).
    """

    capturable = True
    kind = "frame"

    def __init__(self, offset: int | Pair | None = None, margin: int = 0) -> None:
        super().__init__()
        self.offset = None if offset is None else pair(offset, "Crop: offset", 0)
        self.margin = pair(margin, "Crop: margin", 0)

    def forward(self, x: Array, like: Array) -> Array:
        """(n, h, w, c), (n, ch, cw, …) → (n, ch, cw, c)."""
        _, h, w, _ = self.output_shape(x.shape, like.shape)  # raises an error for shapes that do not match
        offset = self.begin(x.shape, like.shape)
        self.save_for_backward(offset, x.shape[1:3])
        return crop2d(x, offset, (h, w))

    def backward(self, dy: Array) -> tuple[Array, None]:
        """Return dx, zero outside the crop; the second map gets no gradient, only its size is used."""
        offset, size = self.take_saved()
        return crop2d_backward(dy, offset, size), None

    def output_shape(self, x: Shape, like: Shape) -> Shape:
        """Return (n, ch, cw, c)."""
        h, w = self._size(like)
        offset = self.begin(x, like)
        if offset[0] + h > x[1] or offset[1] + w > x[2] or min(*offset, h - 1, w - 1) < 0:
            raise ValueError(f"crop: {h}×{w} at {offset} does not fit into {x[1]}×{x[2]}")
        return x[0], h, w, x[3]

    def windows(self, x: InputInfo, like: InputInfo) -> list[Window | None]:  # type: ignore[override]
        """Return the shift of the first map; of the second only the size is used."""
        top, left = self.begin(x.shape, like.shape)
        return [Window(padding=(-top, -left)), None]

    def describe(self) -> str:
        """Return the name and the position of the crop."""
        if self.offset is None:
            return "crop the middle"
        return f"crop at {self.offset[0]}" + (f", {self.offset[1]}" if self.offset[0] != self.offset[1] else "")

    def begin(self, x: Shape, like: Shape) -> Pair:
        """Return the row and column of the first map at which the crop starts."""
        h, w = self._size(like)
        return self.offset or ((x[1] - h) // 2, (x[2] - w) // 2)

    def _size(self, like: Shape) -> Pair:
        return like[1] - 2 * self.margin[0], like[2] - 2 * self.margin[1]


class Pad(Layer):
    """Pad all four sides with ``padding`` zeros."""

    capturable = True
    kind = "frame"
    example = (1,)

    def __init__(self, padding: int | Pair) -> None:
        super().__init__()
        self.padding = pair(padding, "Pad: padding", 0)

    def forward(self, x: Array) -> Array:
        """(n, h, w, c) → (n, h + 2ph, w + 2pw, c)."""
        return pad2d(x, self.padding)

    def backward(self, dy: Array) -> Array:
        """Return dx, the gradient without its border."""
        return pad2d_backward(dy, self.padding)

    def output_shape(self, x: Shape) -> Shape:
        """Return (n, h + 2ph, w + 2pw, c)."""
        return x[0], x[1] + 2 * self.padding[0], x[2] + 2 * self.padding[1], x[3]

    def windows(self, *inputs: InputInfo) -> list[Window]:
        """Return the shift by the padding."""
        return [Window(padding=self.padding)]

    def describe(self) -> str:
        """Return the name."""
        return "zero padding"
