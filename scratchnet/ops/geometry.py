"""Size arithmetic: how kernels, strides and paddings map one grid onto another.

Every windowed operation (convolution, pooling, their transposes) visits the same pairs of grid points: output row ``o``
and kernel row ``i`` read input row ``o·s + i·d − p``. The functions here compute the number of output rows, and the
output rows that read inside the input for a given ``i``.
"""

from dataclasses import dataclass
from operator import index
from typing import Any, TypeAlias

from scratchnet.arrays import Array

Pair: TypeAlias = tuple[int, int]


def pair(value: int | Pair, name: str, minimum: int) -> Pair:
    """Return ``value`` as (vertical, horizontal), Python integers.

    NumPy integers are accepted; booleans and floats are not.

    Raises
    ------
    ValueError
        If either value is below ``minimum`` or not an integer.
    """
    both = value if isinstance(value, (tuple, list)) else (value, value)
    if len(both) == 2 and type(both[0]) is int is type(both[1]) and both[0] >= minimum <= both[1]:
        return both[0], both[1]
    numbers = [_integer(v) for v in both]
    if len(numbers) != 2 or not all(v is not None and v >= minimum for v in numbers):
        raise ValueError(f"{name} is {value!r}; expected an integer or a pair of integers, each at least {minimum}")
    return numbers[0], numbers[1]  # type: ignore[return-value]


def integer(value: Any, name: str, minimum: int) -> int:
    """Return a setting as a Python integer; raise a ValueError if it is not an integer or below ``minimum``."""
    number = value if type(value) is int else _integer(value)
    if number is None or number < minimum:
        raise ValueError(f"{name} is {value!r}; expected an integer, at least {minimum}")
    return number


def _integer(value: Any) -> int | None:
    """Convert any value that works as an index to an integer; return None for other values and for booleans."""
    try:
        return None if isinstance(value, bool) else index(value)
    except TypeError:
        return None


def windows(size: int, kernel: int, stride: int, padding: int, dilation: int = 1, ceil_mode: bool = False) -> int:
    """Return the number of windows along one axis: ``⌊(size + 2p − d(k−1) − 1) / s⌋ + 1``.

    With ``ceil_mode`` the last window may extend past the edge, as long as it starts inside the input or its left
    padding; so a window of 2 with stride 2 even fits a map of size 1.

    >>> windows(4, kernel=3, stride=2, padding=1), windows(7, kernel=3, stride=2, padding=1)
    (2, 4)
    >>> windows(45, kernel=2, stride=2, padding=0, ceil_mode=True)
    23
    """
    span = size + 2 * padding - dilation * (kernel - 1) - 1
    count = (-(-span // stride) if ceil_mode else span // stride) + 1
    if count < 1:
        raise ValueError(
            f"a window of {dilation * (kernel - 1) + 1} does not fit into a map of {size} padded by {padding} on each "
            "side; use a larger image, more padding or a smaller kernel"
        )
    hangs_over = ceil_mode and (count - 1) * stride >= size + padding
    return count - 1 if hangs_over else count


def transposed_size(
    size: int, kernel: int, stride: int, padding: int, dilation: int = 1, output_padding: int = 0
) -> int:
    """Return the output size of a transposed convolution: ``(size − 1)s − 2p + d(k−1) + 1 + output_padding``.

    >>> transposed_size(2, kernel=3, stride=2, padding=1), transposed_size(2, 3, 2, 1, output_padding=1)
    (3, 4)
    """
    result = (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + 1 + output_padding
    if result < 1:
        raise ValueError(f"a transposed convolution of a map of {size} would have size {result}; lower the padding")
    return result


def transposed_sizes(
    size: Pair,
    kernel: Pair,
    stride: int | Pair,
    padding: int | Pair,
    dilation: int | Pair,
    output_padding: int | Pair,
) -> Pair:
    """Return the output size (oh, ow) of a transposed convolution of an ``h × w`` input."""
    s, p = pair(stride, "stride", 1), pair(padding, "padding", 0)
    d, extra = pair(dilation, "dilation", 1), pair(output_padding, "output_padding", 0)
    return (
        transposed_size(size[0], kernel[0], s[0], p[0], d[0], extra[0]),
        transposed_size(size[1], kernel[1], s[1], p[1], d[1], extra[1]),
    )


@dataclass(frozen=True)
class Tap:
    """The pixels that one kernel offset connects: output indices ``out`` read input indices ``source``."""

    out: slice
    source: slice


def tap(offset: int, size: int, count: int, stride: int, padding: int, start: int = 0) -> Tap:
    """Pair up the outputs and inputs of one kernel offset along one axis, excluding the padding.

    Output ``o`` (``start <= o < start + count``) reads input ``o·stride + offset − padding``. The returned slices hold
    exactly the pairs with an input index in ``0 … size−1``; ``out`` counts from ``start``.
    """
    shift = start * stride + offset - padding
    first = max(0, -(shift // stride)) if shift < 0 else 0
    last = min(count, (size - 1 - shift) // stride + 1) if size > shift else 0
    last = max(first, last)
    begin = shift + first * stride
    return Tap(
        slice(first, last), slice(begin, begin + (last - first - 1) * stride + 1 if last > first else begin, stride)
    )


@dataclass(frozen=True)
class ConvSpec:
    """The settings of a convolution, checked once."""

    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int

    @classmethod
    def of(
        cls, weight: Array, stride: int | Pair, padding: int | Pair, dilation: int | Pair, groups: int
    ) -> "ConvSpec":
        """Take the kernel size from the weight's shape and check the other settings."""
        kh, kw, _, c_out = weight.shape
        groups = integer(groups, "groups", 1)
        if c_out % groups:
            raise ValueError(f"groups is {groups}, which does not divide the {c_out} filters of weight {weight.shape}")
        return cls(
            (kh, kw), pair(stride, "stride", 1), pair(padding, "padding", 0), pair(dilation, "dilation", 1), groups
        )

    def output_size(self, h: int, w: int) -> Pair:
        """Return (oh, ow) for an ``h × w`` input."""
        (kh, kw), (sh, sw), (ph, pw), (dh, dw) = self.kernel, self.stride, self.padding, self.dilation
        return windows(h, kh, sh, ph, dh), windows(w, kw, sw, pw, dw)

    def adjoint(self) -> "ConvSpec":
        """Return the convolution, with rotated kernels, that maps dy to dx at stride 1: padded by d(k−1) − p.

        That padding is negative, and crops dy, if ``p`` is larger than the window's reach.
        """
        (kh, kw), (ph, pw), (dh, dw) = self.kernel, self.padding, self.dilation
        return ConvSpec(self.kernel, (1, 1), (dh * (kh - 1) - ph, dw * (kw - 1) - pw), self.dilation, self.groups)
