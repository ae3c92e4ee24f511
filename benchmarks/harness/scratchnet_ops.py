"""Single operations as scratchnet computes them in training: recorded and replayed."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from benchmarks.harness.op_cases import Kind, Problem, Solution, labels
from scratchnet.arrays import Array
from scratchnet.engine.capture import Program, Recorder, traced
from scratchnet.engine.capture.worker_processes import WorkerProcesses, can_fork
from scratchnet.engine.cpu.blas import one_blas_thread
from scratchnet.engine.cpu.threads import replay_on_threads
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


def _two_ways(
    problem: Problem, forward: Callable[..., Array], backward: Callable[..., tuple[Any, ...]], *inputs: Array
) -> Solution:
    """Set up ``forward(*inputs)`` and ``backward(dy, *inputs)`` as they run in training: recorded and replayed."""
    there, back = _replayed(forward, *inputs), _replayed(backward, problem.gradient(), *inputs)
    return Solution({"forward": there, "backward": back}, lambda: [there(), *back()])


def _replayed(function: Callable[..., Any], *arrays: Array) -> Callable[[], Any]:
    """Record a function of arrays; return one that replays it on all cores and returns what it made."""
    program = Program()
    with Recorder().writing(program):
        made = function(*map(traced, arrays))
    several = can_fork() and any(len(stage) > 1 for stage in program.stages)
    run = WorkerProcesses(program).run if several else partial(replay_on_threads, program)

    def again() -> Any:
        with one_blas_thread():
            run()
        return made.view(np.ndarray) if isinstance(made, np.ndarray) else [m.view(np.ndarray) for m in made]

    return again


def _conv(problem: Problem, *inputs: Array) -> Solution:
    s = problem.settings
    return _two_ways(
        problem,
        lambda x, weight, bias: conv2d(x, weight, bias, **s),
        lambda dy, x, weight, _: conv2d_backward(dy, x, weight, **s),
        *inputs,
    )


def _deconv(problem: Problem, *inputs: Array) -> Solution:
    s = problem.settings
    return _two_ways(
        problem,
        lambda x, weight, bias: conv_transpose2d(x, weight, bias, **s),
        lambda dy, x, weight, _: conv_transpose2d_backward(dy, x, weight, **s),
        *inputs,
    )


def _max_pool(problem: Problem, x: Array) -> Solution:
    _, switches = max_pool2d(x, 2)
    return _two_ways(problem, lambda x: max_pool2d(x, 2)[0], lambda dy, _: (max_pool2d_backward(dy, switches),), x)


def _unpool(problem: Problem, x: Array, pooled: Array) -> Solution:
    _, switches = max_pool2d(pooled, 2)
    return _two_ways(
        problem, lambda x: max_unpool2d(x, switches), lambda dy, _: (max_unpool2d_backward(dy, switches),), x
    )


def _batch_norm(problem: Problem, x: Array, gamma: Array, beta: Array) -> Solution:
    _, normalized = batch_norm(x, gamma, beta)
    return _two_ways(
        problem,
        lambda x: batch_norm(x, gamma, beta)[0],
        lambda dy, x: batch_norm_backward(dy, replace(normalized, x=x), gamma),
        x,
    )


def _relu(problem: Problem, x: Array) -> Solution:
    return _two_ways(problem, relu, lambda dy, x: (relu_backward(dy, x),), x)


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
