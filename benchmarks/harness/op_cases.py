"""Which single operations are measured: the layers of the VGG-like networks, and one of every other kind.

A problem is a description; how scratchnet, PyTorch and other libraries solve it is in :mod:`benchmarks.harness.ops`,
:mod:`benchmarks.harness.torch_ops` and :mod:`benchmarks.harness.numpy_libraries`, each with a table by kind.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from scratchnet.arrays import Array, generator
from scratchnet.utils.errors import UserError

Kind: TypeAlias = Literal["conv", "deconv", "max-pool", "unpool", "batch norm", "relu", "loss", "sgd", "adam"]


@dataclass(frozen=True)
class Problem:
    """One operation on arrays of given shapes.

    Attributes
    ----------
    kind : str
    name : str
        As the table shows it.
    shapes : tuple of shapes
        Of what it takes: the map (n, h, w, c) first, then a kernel in this package's order of axes, then vectors.
    output : (n, oh, ow, c)
    products : int
        Multiply-adds of the forward pass.
    settings : dict
        Stride, padding, dilation, groups.
    """

    kind: Kind
    name: str
    shapes: tuple[tuple[int, ...], ...]
    output: tuple[int, ...]
    products: int = 0
    settings: dict[str, Any] = field(default_factory=dict)

    def inputs(self) -> list[Array]:
        """Draw what it takes, float32."""
        rng = generator(0, self.name)
        return [rng.standard_normal(shape, dtype="f4") for shape in self.shapes]

    def gradient(self) -> Array:
        """Draw the gradient that comes from above."""
        return generator(1, self.name).standard_normal(self.output, dtype="f4")

    def flops(self, part: str) -> int:
        """Return the operations of a part: the backward pass has two products of the forward's size."""
        return (2 * ("forward" in part) + 4 * ("backward" in part)) * self.products


def conv(
    n: int, c_in: int, c_out: int, side: int, kernel: int = 3, stride: int = 1, dilation: int = 1, groups: int = 1
) -> Problem:
    """A convolution that keeps the size but for its stride; with a kernel as large as the map: fully connected."""
    padding = 0 if kernel == side else dilation * (kernel // 2)
    out = (side + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    weight = (kernel, kernel, c_in // groups, c_out)
    extra = f" s{stride}" * (stride > 1) + f" d{dilation}" * (dilation > 1) + " depthwise" * (groups > 1)
    return Problem(
        "conv",
        f"conv {kernel}×{kernel}{extra} {c_in}→{c_out}, {side}²",
        ((n, side, side, c_in), weight, (c_out,)),
        (n, out, out, c_out),
        n * out * out * kernel * kernel * c_in // groups * c_out,
        {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups},
    )


def deconv(n: int, c_in: int, c_out: int, side: int, kernel: int, stride: int, padding: int) -> Problem:
    """A transposed convolution."""
    out = (side - 1) * stride - 2 * padding + kernel
    return Problem(
        "deconv",
        f"deconv {kernel}×{kernel}" + f" s{stride}" * (stride > 1) + f" {c_in}→{c_out}, {side}²",
        ((n, side, side, c_in), (kernel, kernel, c_out, c_in), (c_out,)),
        (n, out, out, c_out),
        n * side * side * kernel * kernel * c_in * c_out,
        {"stride": stride, "padding": padding},
    )


def pool(n: int, c: int, side: int, unpool: bool) -> Problem:
    """Pooling 2×2, or the unpooling that goes back to ``side``."""
    large, small = (n, side, side, c), (n, side // 2, side // 2, c)
    if unpool:
        return Problem("unpool", f"unpool 2×2 {c}, to {side}²", (small, large), large)
    return Problem("max-pool", f"max-pool 2×2 {c}, {side}²", (large,), small)


def elementwise(kind: Kind, n: int, c: int, side: int) -> Problem:
    """Batch norm or ReLU."""
    shapes: tuple[tuple[int, ...], ...] = ((n, side, side, c), *([(c,), (c,)] if kind == "batch norm" else []))
    return Problem(kind, f"{kind} {c}, {side}²", shapes, (n, side, side, c))


def loss(n: int, c: int, side: int) -> Problem:
    """The cross-entropy and its gradient: sigmoid for one channel, softmax for several."""
    name = "sigmoid loss" if c == 1 else f"softmax loss {c} classes"
    return Problem("loss", f"{name}, {side}²", ((n, side, side, c),), (n, side, side, c))


def update(kind: Kind, count: int) -> Problem:
    """An optimiser's step on ``count`` parameters."""
    return Problem(kind, f"{kind}, {count // 1_000_000}M numbers", ((count,), (count,)), (count,))


def problems(n: int) -> list[Problem]:
    """Return all problems, with ``n`` images a batch."""
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


_ELEMENTWISE: tuple[Kind, ...] = ("batch norm", "relu")


def choose(found: Sequence[Problem], words: Sequence[str]) -> list[Problem]:
    """Return the problems whose name contains one of the words; all of them without words.

    Raises
    ------
    UserError
        When a word fits none.
    """
    for word in words:
        if not any(word.lower() in problem.name for problem in found):
            kinds = ", ".join(dict.fromkeys(problem.name.split()[0].rstrip(",") for problem in found))
            raise UserError(f"no operation is named like '{word}'; names begin with {kinds}")
    return [p for p in found if not words or any(word.lower() in p.name for word in words)]


@dataclass(frozen=True)
class Solution:
    """How one library solves a problem.

    Attributes
    ----------
    parts : dict
        The functions to time: "forward" and "backward", or "with gradient" where they are one, or "update".
    results : function
        Returns what was computed, in this package's layout: the output and all gradients.
    """

    parts: dict[str, Any]
    results: Any


def labels(problem: Problem) -> Array:
    """Draw the labels (n, h, w) of a loss."""
    *pixels, c = problem.output
    return generator(2, problem.name).integers(0, max(2, c), tuple(pixels)).astype("u1")
