"""Single operations as scratchnet computes them."""

from collections.abc import Callable
from typing import Any

import numpy as np

from scratchnet.arrays import Array
from scratchnet.bench.problems import Kind, Problem, Solution, labels
from scratchnet.losses import PixelLoss
from scratchnet.network import FlatBuffers
from scratchnet.ops.activation import relu, relu_backward
from scratchnet.ops.convolution import conv2d, conv2d_backward
from scratchnet.ops.normalization import batch_norm, batch_norm_backward
from scratchnet.ops.pooling import max_pool2d, max_pool2d_backward, max_unpool2d, max_unpool2d_backward
from scratchnet.ops.transposed import conv_transpose2d, conv_transpose2d_backward
from scratchnet.training.optimizers import SGD, Adam


def solve(problem: Problem) -> Solution:
    """Set up scratchnet's functions."""
    return SOLVERS[problem.kind](problem, *problem.inputs())


def _two_ways(problem: Problem, forward: Callable[[], Array], backward: Callable[[Array], tuple[Any, ...]]) -> Solution:
    dy = problem.gradient()
    return Solution({"forward": forward, "backward": lambda: backward(dy)}, lambda: [forward(), *backward(dy)])


def _conv(problem: Problem, x: Array, weight: Array, bias: Array) -> Solution:
    s = problem.settings
    return _two_ways(problem, lambda: conv2d(x, weight, bias, **s), lambda dy: conv2d_backward(dy, x, weight, **s))


def _deconv(problem: Problem, x: Array, weight: Array, bias: Array) -> Solution:
    s = problem.settings
    return _two_ways(
        problem,
        lambda: conv_transpose2d(x, weight, bias, **s),
        lambda dy: conv_transpose2d_backward(dy, x, weight, **s),
    )


def _max_pool(problem: Problem, x: Array) -> Solution:
    _, switches = max_pool2d(x, 2)
    return _two_ways(problem, lambda: max_pool2d(x, 2)[0], lambda dy: (max_pool2d_backward(dy, switches),))


def _unpool(problem: Problem, x: Array, pooled: Array) -> Solution:
    _, switches = max_pool2d(pooled, 2)
    return _two_ways(problem, lambda: max_unpool2d(x, switches), lambda dy: (max_unpool2d_backward(dy, switches),))


def _batch_norm(problem: Problem, x: Array, gamma: Array, beta: Array) -> Solution:
    _, normalized = batch_norm(x, gamma, beta)
    return _two_ways(
        problem, lambda: batch_norm(x, gamma, beta)[0], lambda dy: batch_norm_backward(dy, normalized, gamma)
    )


def _relu(problem: Problem, x: Array) -> Solution:
    y = relu(x)
    return _two_ways(problem, lambda: relu(x), lambda dy: (relu_backward(dy, y),))


def _loss(problem: Problem, logits: Array) -> Solution:
    loss, target = PixelLoss(max(2, logits.shape[3])), labels(problem)

    def results() -> list[Array]:
        value, gradient = loss(logits, target)
        return [np.array(value, logits.dtype), gradient]

    return Solution({"with gradient": lambda: loss(logits, target)}, results)


def _update(problem: Problem, values: Array, grads: Array) -> Solution:
    optimizer = SGD() if problem.kind == "sgd" else Adam()
    buffers = FlatBuffers(values, grads, {"weight": slice(0, len(values))})

    def update() -> None:
        optimizer.step(buffers, 1e-4)

    def results() -> list[Array]:
        update()
        return [values]

    return Solution({"update": update}, results)


SOLVERS: dict[Kind, Callable[..., Solution]] = {
    "conv": _conv,
    "deconv": _deconv,
    "max-pool": _max_pool,
    "unpool": _unpool,
    "batch norm": _batch_norm,
    "relu": _relu,
    "loss": _loss,
    "sgd": _update,
    "adam": _update,
}
