"""Single operations to measure: the layers of VGG-like networks, and an example of each other kind.

A case is a description. It is implemented in :mod:`benchmarks.harness.scratchnet_ops`,
:mod:`benchmarks.harness.torch_ops` and :mod:`benchmarks.harness.numpy_libraries`, each with a table by kind.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from scratchnet.arrays import Array, generator
from scratchnet.utils.errors import UserError

OpKind: TypeAlias = Literal["conv", "deconv", "max-pool", "unpool", "batch norm", "relu", "loss", "sgd", "adam"]


@dataclass(frozen=True)
class OpCase:
    """One operation on arrays of given shapes.

    Attributes
    ----------
    kind : str
    name : str
        Name in the table.
    shapes : tuple of shapes
        Shapes of the inputs: first the map (n, h, w, c), then a kernel in scratchnet's order of axes, then vectors.
    output : (n, oh, ow, c)
        Shape of the output.
    multiply_adds : int
        Number of multiply-adds in the forward pass.
    settings : dict
        Stride, padding, dilation, groups.
    """

    kind: OpKind
    name: str
    shapes: tuple[tuple[int, ...], ...]
    output: tuple[int, ...]
    multiply_adds: int = 0
    settings: dict[str, Any] = field(default_factory=dict)

    def draw_inputs(self) -> list[Array]:
        """Draw the inputs, float32."""
        rng = generator(0, self.name)
        return [rng.standard_normal(shape, dtype="f4") for shape in self.shapes]

    def draw_gradient(self) -> Array:
        """Draw the gradient with respect to the output, float32."""
        return generator(1, self.name).standard_normal(self.output, dtype="f4")

    def flops(self, part: str) -> int:
        """Return the operations of a part; the backward pass has two products of the forward pass's size."""
        return (2 * ("forward" in part) + 4 * ("backward" in part)) * self.multiply_adds


def conv(
    n: int, c_in: int, c_out: int, side: int, kernel: int = 3, stride: int = 1, dilation: int = 1, groups: int = 1
) -> OpCase:
    """Return a convolution with "same" padding, or a fully connected layer if the kernel is as large as the map."""
    padding = 0 if kernel == side else dilation * (kernel // 2)
    out = (side + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    weight = (kernel, kernel, c_in // groups, c_out)
    extra = f" s{stride}" * (stride > 1) + f" d{dilation}" * (dilation > 1) + " depthwise" * (groups > 1)
    return OpCase(
        "conv",
        f"conv {kernel}×{kernel}{extra} {c_in}→{c_out}, {side}²",
        ((n, side, side, c_in), weight, (c_out,)),
        (n, out, out, c_out),
        n * out * out * kernel * kernel * c_in // groups * c_out,
        {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups},
    )


def deconv(n: int, c_in: int, c_out: int, side: int, kernel: int, stride: int, padding: int) -> OpCase:
    """Return a transposed convolution."""
    out = (side - 1) * stride - 2 * padding + kernel
    return OpCase(
        "deconv",
        f"deconv {kernel}×{kernel}" + f" s{stride}" * (stride > 1) + f" {c_in}→{c_out}, {side}²",
        ((n, side, side, c_in), (kernel, kernel, c_out, c_in), (c_out,)),
        (n, out, out, c_out),
        n * side * side * kernel * kernel * c_in * c_out,
        {"stride": stride, "padding": padding},
    )


def pool(n: int, c: int, side: int, unpool: bool) -> OpCase:
    """Return 2×2 max pooling of a map with the given side, or the unpooling to that map."""
    large, small = (n, side, side, c), (n, side // 2, side // 2, c)
    if unpool:
        return OpCase("unpool", f"unpool 2×2 {c}, to {side}²", (small, large), large)
    return OpCase("max-pool", f"max-pool 2×2 {c}, {side}²", (large,), small)


def elementwise(kind: OpKind, n: int, c: int, side: int) -> OpCase:
    """Return batch norm or ReLU."""
    shapes: tuple[tuple[int, ...], ...] = ((n, side, side, c), *([(c,), (c,)] if kind == "batch norm" else []))
    return OpCase(kind, f"{kind} {c}, {side}²", shapes, (n, side, side, c))


def loss(n: int, c: int, side: int) -> OpCase:
    """Return the cross-entropy with its gradient: sigmoid for one channel, softmax for several."""
    name = "sigmoid loss" if c == 1 else f"softmax loss {c} classes"
    return OpCase("loss", f"{name}, {side}²", ((n, side, side, c),), (n, side, side, c))


def update(kind: OpKind, count: int) -> OpCase:
    """Return an optimiser's step on ``count`` parameters."""
    return OpCase(kind, f"{kind}, {count // 1_000_000}M numbers", ((count,), (count,)), (count,))


def build_op_cases(n: int) -> list[OpCase]:
    """Return all cases, with ``n`` images per batch."""
    vgg = [(3, 64, 224), (64, 64, 224), (128, 128, 112), (256, 256, 56), (512, 512, 28), (512, 512, 14)]
    return [
        *(conv(n, c_in, c_out, side) for c_in, c_out, side in vgg),
        conv(n, 32, 32, 128),
        conv(n, 256, 256, 56, kernel=1),
        conv(n, 64, 21, 224, kernel=1),
        conv(n, 64, 64, 56, kernel=7),
        conv(n, 512, 1024, 7, kernel=7),
        conv(n, 64, 128, 112, stride=2),
        conv(n, 256, 256, 28, dilation=2),
        conv(n, 128, 128, 56, groups=128),
        deconv(n, 128, 64, 56, 4, 2, 1),
        deconv(n, 128, 128, 56, 3, 1, 1),
        deconv(n, 1024, 512, 1, 7, 1, 0),
        *(pool(n, c, side, unpool) for unpool in (False, True) for c, side in ((64, 224), (256, 56))),
        *(elementwise(kind, n, c, side) for kind in _ELEMENTWISE for c, side in ((64, 224), (256, 56))),
        loss(n, 21, 224),
        loss(n, 1, 224),
        update("sgd", 10_000_000),
        update("adam", 10_000_000),
    ]


_ELEMENTWISE: tuple[OpKind, ...] = ("batch norm", "relu")


def select_op_cases(found: Sequence[OpCase], words: Sequence[str]) -> list[OpCase]:
    """Return the cases whose name contains one of the words; without words, all cases.

    Raises
    ------
    UserError
        If a word is contained in no name.
    """
    for word in words:
        if not any(word.lower() in case.name for case in found):
            kinds = ", ".join(dict.fromkeys(case.name.split()[0].rstrip(",") for case in found))
            raise UserError(f"no operation is named like '{word}'; names begin with {kinds}")
    return [p for p in found if not words or any(word.lower() in p.name for word in words)]


@dataclass(frozen=True)
class OpImplementation:
    """A library's implementation of a case.

    Attributes
    ----------
    parts : dict
        Functions to time: "forward" and "backward", or "with gradient" if they are combined, or "update".
    results : function
        Returns the output and all gradients, in scratchnet's layout.
    """

    parts: dict[str, Any]
    results: Any


def draw_labels(case: OpCase) -> Array:
    """Draw the labels (n, h, w) for a loss."""
    *pixels, c = case.output
    return generator(2, case.name).integers(0, max(2, c), tuple(pixels)).astype("u1")
