"""Rounding errors of every fast form of a convolution in float32, beside those of PyTorch on the same values.

    python benchmarks/float32_errors.py [--draws 3] [--channels 64]

Prints a Markdown table: the largest error of the output and of both gradients, relative to the largest value of each,
compared with the direct sum in float64. Inputs, kernels and gradients of the outputs are standard normal; a figure is
the median of the draws. Without PyTorch, its columns are left out.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from scratchnet.arrays import Array, generator
from scratchnet.ops.convolution import conv2d, conv2d_backward
from scratchnet.ops.transposed import conv_transpose2d, conv_transpose2d_backward

Results = tuple[Array, Array, Array]


@dataclass(frozen=True)
class Case:
    """A layer: name, map (n, h, w), kernel side, settings; ``c`` channels on both sides unless stated."""

    name: str
    maps: tuple[int, int, int]
    kernel: int
    settings: dict[str, Any] = field(default_factory=dict)
    transposed: bool = False
    c_out: int | None = None

    def draw(self, c: int, seed: int) -> tuple[Array, Array]:
        """Draw a map and a kernel in float32."""
        rng, c_out = generator(seed, self.name), self.c_out or c
        groups = self.settings.get("groups", 1)
        axes = (c_out, c) if self.transposed else (c // groups, c_out)
        x = rng.standard_normal((*self.maps, c), dtype="f4")
        return x, rng.standard_normal((self.kernel, self.kernel, *axes), dtype="f4")


def cases(c: int) -> list[Case]:
    """Return a layer for each form; its name says which."""
    return [
        Case("3×3, F(4×4, 3×3)", (1, 56, 56), 3, {"padding": 1}),
        Case("3×3 on maps of 6², F(2×2, 3×3)", (16, 6, 6), 3, {"padding": 1}),
        Case("3×3, dilation 2, F(4×4, 3×3)", (1, 56, 56), 3, {"padding": 2, "dilation": 2}),
        Case("4×4, F(4×4, 4×4)", (1, 56, 56), 4, {"padding": 1}),
        Case("5×5, F(4×4, 5×5)", (1, 56, 56), 5, {"padding": 2}),
        Case("7×7, four pieces of F(4×4, 4×4)", (1, 56, 56), 7, {"padding": 3}),
        Case("4×4 at stride 2, F(3×3, 2×2)", (2, 56, 56), 4, {"padding": 1, "stride": 2}),
        Case("4×4 at stride 2, transposed, F(3×3, 2×2)", (2, 28, 28), 4, {"padding": 1, "stride": 2}, True),
        Case("3×3 at stride 2, direct", (1, 56, 56), 3, {"padding": 1, "stride": 2}),
        Case("1×1, direct", (1, 56, 56), 1),
        Case("3×3 depthwise, direct", (1, 56, 56), 3, {"padding": 1, "groups": c}),
        Case("3×3 to 2 channels, direct", (1, 56, 56), 3, {"padding": 1}, c_out=2),
        Case("7×7 on maps of 7², direct", (4, 7, 7), 7),
    ]


def by_scratchnet(case: Case, x: Array, weight: Array) -> Results:
    """Return the output, dx and dweight for a drawn gradient; in float64 they are direct sums."""
    forward, backward = (conv_transpose2d, conv_transpose2d_backward) if case.transposed else (conv2d, conv2d_backward)
    y = forward(x, weight, **case.settings)
    dx, dweight, _ = backward(draw_gradient(y), x, weight, **case.settings)
    assert dx is not None
    return y, dx, dweight


def by_torch(case: Case, x: Array, weight: Array, layout: str) -> Results:
    """The same in PyTorch, in one of its memory layouts."""
    import torch

    def tensor(array: Array, axes: tuple[int, ...]) -> Any:
        moved = torch.from_numpy(array.transpose(axes))
        return moved.clone(memory_format=getattr(torch, layout)).requires_grad_()

    functional = torch.nn.functional
    apply: Any = functional.conv_transpose2d if case.transposed else functional.conv2d
    tensors = tensor(x, (0, 3, 1, 2)), tensor(weight, (3, 2, 0, 1))
    y = apply(*tensors, **case.settings)
    image = y.detach().numpy().transpose(0, 2, 3, 1)
    gradient = tensor(draw_gradient(image), (0, 3, 1, 2)).detach()
    dx, dweight = torch.autograd.grad(y, tensors, gradient)
    return image, dx.numpy().transpose(0, 2, 3, 1), dweight.numpy().transpose(2, 3, 1, 0)


def draw_gradient(y: Array) -> Array:
    """Draw the gradient of an output, float32 values in the dtype of ``y``."""
    return generator(1, "gradient").standard_normal(y.shape, dtype="f4").astype(y.dtype)


def errors(case: Case, c: int, draws: int, run: Callable[..., Results]) -> list[float]:
    """Return the errors of output, dx and dweight: the median of the draws."""
    found = []
    for seed in range(draws):
        x, weight = case.draw(c, seed)
        exact = by_scratchnet(case, x.astype("f8"), weight.astype("f8"))
        results = run(case, x, weight)
        found.append([float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(results, exact, strict=True)])
    return [float(value) for value in np.median(found, axis=0)]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--channels", type=int, default=64)
    a = parser.parse_args()
    libraries: dict[str, Callable[..., Results]] = {"scratchnet": by_scratchnet}
    if find_spec("torch"):
        libraries["PyTorch"] = partial(by_torch, layout="contiguous_format")
        libraries["PyTorch, channels last"] = partial(by_torch, layout="channels_last")
    print("| layer, form | " + " | ".join(f"{name}: y, dx, dw" for name in libraries) + " |")
    print("|---" * (len(libraries) + 1) + "|")
    for case in cases(a.channels):
        cells = (", ".join(f"{e:.1e}" for e in errors(case, a.channels, a.draws, run)) for run in libraries.values())
        print(f"| {case.name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
