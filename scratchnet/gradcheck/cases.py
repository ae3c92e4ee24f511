"""The table of all gradient checks: one row per case, so a new operation takes one new row."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np

from scratchnet.arrays import Array, generator
from scratchnet.gradcheck.checker import check_gradients
from scratchnet.gradcheck.problems import (
    from_functions,
    from_layer,
    from_loss,
    from_network,
    on_problem_device,
    problems_on,
)
from scratchnet.gradcheck.report import Problem, Report
from scratchnet.layers import (
    Add,
    BatchNorm2d,
    BedOfNails,
    BilinearTranspose2d,
    Concatenate,
    Conv2d,
    ConvTranspose2d,
    Crop,
    Dropout,
    Layer,
    LocalResponseNorm,
    MaxPool2d,
    MaxUnpool2d,
    Pad,
    ReLU,
    Scale,
    UpsampleBilinear,
    UpsampleNearest,
)
from scratchnet.layers.builtin import BUILTIN
from scratchnet.losses import PixelLoss
from scratchnet.models import build
from scratchnet.ops.convolution import conv2d, conv2d_backward
from scratchnet.ops.pooling import max_pool2d, max_pool2d_backward, max_unpool2d, max_unpool2d_backward
from scratchnet.ops.transposed import conv_transpose2d, conv_transpose2d_backward
from scratchnet.ops.upsampled_kernel import upsampled_kernel, upsampled_kernel_backward

DEEP = 30
"""A network with more arrays than this is only checked along random directions."""


@dataclass(frozen=True)
class Case:
    """One row: its name, such as ``op/conv2d``, a function that makes the problem, and the largest allowed error."""

    name: str
    make: Callable[[], Problem]
    tolerance: float = 1e-6

    def run(self, xp: ModuleType = np) -> Report:
        """Run the check on the arrays of a module, NumPy or CuPy."""
        with problems_on(xp):
            problem = self.make()
        if not self.name.startswith("model/"):
            return check_gradients(self.name, problem, self.tolerance)
        # A network has many arrays, and kinks near every point, so the steps are short and only a few elements of each
        # array are checked separately (none in a deep network); a direction moves all elements at once.
        most, directions = (4, 2) if len(problem.inputs) <= DEEP else (0, 2)
        return check_gradients(self.name, problem, self.tolerance, eps=2e-6, most=most, directions=directions)


def random(*shape: int, key: str = "x") -> Array:
    """Return standard normal float64 values; equal arguments return equal values."""
    return generator(7, key, *shape).standard_normal(shape)


def distinct(*shape: int) -> Array:
    """Return a shuffled, evenly spaced range: no two values are close, so no maximum is near a tie."""
    count = int(np.prod(shape))
    return (generator(7, "distinct", *shape).permutation(count) / count * 4 - 2).reshape(shape) + 1e-3


def _conv(x: Array, weight: Array, **settings: Any) -> Problem:
    inputs = {"x": x, "weight": weight, "bias": random(weight.shape[3], key="bias")}
    return from_functions(
        inputs,
        lambda x, weight, bias: conv2d(x, weight, bias, **settings),
        lambda dy, x, weight, bias: _named(conv2d_backward(dy, x, weight, **settings)),
    )


def _deconv(x: Array, weight: Array, output_padding: int = 0, **settings: Any) -> Problem:
    inputs = {"x": x, "weight": weight, "bias": random(weight.shape[2] * settings.get("groups", 1), key="bias")}
    return from_functions(
        inputs,
        lambda x, weight, bias: conv_transpose2d(x, weight, bias, output_padding=output_padding, **settings),
        lambda dy, x, weight, bias: _named(conv_transpose2d_backward(dy, x, weight, **settings)),
    )


def _named(gradients: tuple[Array | None, ...]) -> dict[str, Array]:
    return {key: g for key, g in zip(("x", "weight", "bias"), gradients, strict=True) if g is not None}


def _pool(x: Array, *settings: Any) -> Problem:
    def back(dy: Array, x: Array) -> dict[str, Array]:
        return {"x": max_pool2d_backward(dy, max_pool2d(x, *settings)[1])}

    return from_functions({"x": x}, lambda x: max_pool2d(x, *settings), back)


def _unpool(pooled: Array, *settings: Any) -> Problem:
    y, switches = max_pool2d(on_problem_device(pooled), *settings)
    return from_functions(
        {"x": random(*y.shape)},
        lambda x: max_unpool2d(x, switches),
        lambda dy, x: {"x": max_unpool2d_backward(dy, switches)},
    )


def _frozen(layer: BatchNorm2d) -> BatchNorm2d:
    layer.freeze_statistics()
    return layer


def _per_image(layer: BatchNorm2d) -> BatchNorm2d:
    layer.use_statistics("batch")
    return layer


def _model(name: str, h: int, w: int, n: int = 2, **options: Any) -> Callable[[], Problem]:
    return lambda: from_network(build(name, 2, 3, **options), random(n, h, w, 3))


def _target(ignored: bool = True) -> Array:
    labels = generator(7, "labels").integers(0, 3, (2, 4, 5))
    if ignored:
        labels[0, 0, :3] = 255
    return labels


X = (2, 6, 7, 4)

OPS: dict[str, Callable[[], Problem]] = {
    "conv2d": lambda: _conv(random(*X), random(3, 3, 4, 5), padding=1),
    "conv2d 1×1": lambda: _conv(random(*X), random(1, 1, 4, 5)),
    "conv2d stride 2": lambda: _conv(random(*X), random(3, 3, 4, 5), stride=2, padding=1),
    "conv2d dilation 2": lambda: _conv(random(*X), random(3, 3, 4, 5), dilation=2, padding=2),
    "conv2d groups 2": lambda: _conv(random(*X), random(3, 3, 2, 6), groups=2, padding=1),
    "conv2d depthwise": lambda: _conv(random(*X), random(3, 3, 1, 4), groups=4, padding=1),
    "conv2d uneven": lambda: _conv(random(*X), random(2, 4, 4, 3), stride=(2, 3), padding=(0, 2), dilation=(2, 1)),
    "conv_transpose2d": lambda: _deconv(random(*X), random(3, 3, 5, 4), padding=1),
    "conv_transpose2d stride 2": lambda: _deconv(random(*X), random(3, 3, 5, 4), 1, stride=2, padding=1),
    "conv_transpose2d 4×4 stride 2": lambda: _deconv(random(*X), random(4, 4, 5, 4), stride=2, padding=1),
    "conv_transpose2d groups 2": lambda: _deconv(random(*X), random(3, 3, 3, 4), groups=2, stride=2),
    "conv_transpose2d from 1×1": lambda: _deconv(random(2, 1, 1, 6), random(5, 5, 4, 6)),
    "upsampled_kernel": lambda: from_functions(
        {"weight": random(3, 2, 4, 5)},
        upsampled_kernel,
        lambda dkernel, weight: {"weight": upsampled_kernel_backward(dkernel)},
    ),
    "max_pool2d": lambda: _pool(distinct(*X), 2),
    "max_pool2d overlapping": lambda: _pool(distinct(*X), 3, 2, 1),
    "max_pool2d ceil mode": lambda: _pool(distinct(*X), 2, 2, 0, True),
    "max_unpool2d": lambda: _unpool(distinct(*X), 2),
    "max_unpool2d overlapping": lambda: _unpool(distinct(*X), 3, 1, 1),
    "max_unpool2d ceil mode": lambda: _unpool(distinct(*X), (2, 3), None, 0, True),
}

# A layer without a row is checked on one map with its own example, Layer.example; rows add other cases.
LAYERS: dict[str, Callable[[], tuple[Layer, tuple[Any, ...], bool]]] = {
    "Conv2d": lambda: (Conv2d(4, 5, 3, padding=1), (random(*X),), True),
    "ConvTranspose2d": lambda: (ConvTranspose2d(4, 5, 4, 2, 1), (random(*X),), True),
    "MaxPool2d": lambda: (MaxPool2d(2), (distinct(*X),), True),
    "MaxUnpool2d": lambda: (MaxUnpool2d(), (random(2, 3, 3, 4), max_pool2d(distinct(*X), 2)[1]), True),
    "UpsampleNearest": lambda: (UpsampleNearest((2, 3)), (random(*X),), True),
    "BedOfNails": lambda: (BedOfNails(2), (random(*X),), True),
    "UpsampleBilinear": lambda: (UpsampleBilinear((2, 3)), (random(*X),), True),
    "BilinearTranspose2d": lambda: (BilinearTranspose2d(2), (random(*X),), True),
    "Scale": lambda: (Scale(0.01), (random(*X),), True),
    "ReLU": lambda: (ReLU(), (distinct(*X),), True),
    "Dropout": lambda: (Dropout(0.4), (random(*X),), True),
    "Dropout at test time": lambda: (Dropout(0.4), (random(*X),), False),
    "BatchNorm2d training": lambda: (BatchNorm2d(4), (random(*X),), True),
    "BatchNorm2d running": lambda: (BatchNorm2d(4), (random(*X),), False),
    "BatchNorm2d per batch at test time": lambda: (_per_image(BatchNorm2d(4)), (random(*X),), False),
    "BatchNorm2d frozen": lambda: (_frozen(BatchNorm2d(4)), (random(*X),), True),
    "LocalResponseNorm": lambda: (LocalResponseNorm(3, 0.5, 0.75), (random(2, 3, 4, 6),), True),
    "Concatenate": lambda: (Concatenate(), (random(*X), random(2, 6, 7, 3)), True),
    "Add": lambda: (Add(), (random(*X), random(*X, key="b")), True),
    "Crop": lambda: (Crop((1, 2)), (random(*X), np.zeros((2, 3, 4, 1))), True),
    "Crop with a margin": lambda: (Crop(0, margin=1), (random(*X), np.zeros((2, 6, 7, 1))), True),
    "Pad": lambda: (Pad((1, 2)), (random(*X),), True),
}

WEIGHTS = (0.5, 2.0, 1.0)
LOSSES: dict[str, Callable[[], Problem]] = {
    "softmax": lambda: from_loss(PixelLoss(3), random(2, 4, 5, 3), _target()),
    "softmax, class weights": lambda: from_loss(
        PixelLoss(3, class_weights=WEIGHTS, normalization="weights"), random(2, 4, 5, 3), _target()
    ),
    "softmax, pixel weights, sum": lambda: from_loss(
        PixelLoss(3, class_weights=WEIGHTS, normalization="sum"),
        random(2, 4, 5, 3),
        _target(),
        np.abs(random(2, 4, 5, key="map")),
    ),
    "softmax, large logits": lambda: from_loss(PixelLoss(3), 20 * random(2, 4, 5, 3), _target(False)),
    "sigmoid": lambda: from_loss(PixelLoss(2), 3 * random(2, 4, 5, 1), np.where(_target() == 2, 0, _target())),
    "label smoothing": lambda: from_loss(
        PixelLoss(3, class_weights=WEIGHTS, label_smoothing=0.1), random(2, 4, 5, 3), _target()
    ),
    "label smoothing, binary": lambda: from_loss(
        PixelLoss(2, label_smoothing=0.2), random(2, 4, 5, 1), np.where(_target() == 2, 0, _target())
    ),
    "focal": lambda: from_loss(PixelLoss(3, "focal", WEIGHTS), random(2, 4, 5, 3), _target()),
    "focal, γ = 0.5": lambda: from_loss(PixelLoss(3, "focal", focal_gamma=0.5), random(2, 4, 5, 3), _target()),
    "focal, binary": lambda: from_loss(
        PixelLoss(2, "focal"), 3 * random(2, 4, 5, 1), np.where(_target() == 2, 0, _target())
    ),
    "tversky": lambda: from_loss(PixelLoss(3, "tversky"), random(2, 4, 5, 3), _target()),
    "tversky, binary": lambda: from_loss(
        PixelLoss(2, "tversky", tversky_alpha=0.8, tversky_beta=0.1),
        random(2, 4, 5, 1),
        np.where(_target() == 2, 0, _target()),
    ),
    "dice, binary": lambda: from_loss(PixelLoss(2, "dice"), random(2, 4, 5, 1), np.where(_target() == 2, 0, _target())),
    "dice": lambda: from_loss(PixelLoss(3, "dice"), random(2, 4, 5, 3), _target()),
    "cross-entropy+dice": lambda: from_loss(PixelLoss(3, "cross-entropy+dice"), random(2, 4, 5, 3), _target()),
}

MODELS: dict[str, Callable[[], Problem]] = {
    "bloodcell": _model("bloodcell", 16, 16, width=0.1),
    "bloodcell, switches, batch norm": _model("bloodcell", 16, 16, width=0.1, unpool="switches", batch_norm=True),
    "deconvnet": _model("deconvnet", 32, 32, n=4, size=32, width=1 / 64),
    "deconvnet-small": _model("deconvnet-small", 32, 32, n=6, size=32, width=2),
    "segnet": _model("segnet", 23, 14, n=3, width=1 / 32),
    "segnet-basic": _model("segnet-basic", 23, 14, width=1 / 16),
    "segnet-basic, transposed": _model("segnet-basic", 23, 14, width=1 / 32, unpool="transposed"),
    "squares": _model("squares", 12, 12, width=4),
    "fcn32s": _model("fcn32s", 3, 6, n=1, width=1 / 64),
    "fcn16s, paper's upsampling, batch norm": _model(
        "fcn16s", 33, 22, n=3, width=1 / 64, padding="same", upsampling="paper", batch_norm=True
    ),
    "fcn8s": _model("fcn8s", 3, 6, n=1, width=1 / 64),
    "fcn8s, at once, learned upsampling": _model(
        "fcn8s", 35, 30, n=1, width=1 / 64, padding="same", upsampling="learned", at_once=True
    ),
    "unet": _model("unet", 45, 51, n=1, width=1 / 16, depth=2),
    "unet-same, batch norm": _model("unet-same", 21, 19, width=1 / 32, depth=3, batch_norm=True),
    "dilated-fcn": _model("dilated-fcn", 15, 11, n=1, width=1 / 64),
    "mobile-unet": _model("mobile-unet", 33, 30, n=3, width=1 / 16),
    "sliding-window": _model("sliding-window", 63, 64, n=1, width=1 / 16),
}


def all_cases() -> list[Case]:
    """Return every case in the order ops, layers, losses, models."""
    rows = LAYERS | _examples()
    layers = {name: (lambda make=make: _layer_problem(*make())) for name, make in rows.items()}
    return [
        *(Case(f"op/{name}", make) for name, make in OPS.items()),
        *(Case(f"layer/{name}", make) for name, make in layers.items()),
        *(Case(f"loss/{name}", make) for name, make in LOSSES.items()),
        *(Case(f"model/{name}", make, 1e-5) for name, make in MODELS.items()),
    ]


def _examples() -> dict[str, Callable[[], tuple[Layer, tuple[Any, ...], bool]]]:
    """Return a row for each layer that has none in the table."""
    known = {name.partition(" ")[0] for name in LAYERS}
    return {kind.__name__: partial(_example, kind) for kind in BUILTIN if kind.__name__ not in known}


def _example(kind: type[Layer]) -> tuple[Layer, tuple[Any, ...], bool]:
    return kind(*kind.example), (distinct(*X),), True


def _layer_problem(layer: Layer, inputs: tuple[Any, ...], training: bool) -> Problem:
    return from_layer(layer, *inputs, training=training)
