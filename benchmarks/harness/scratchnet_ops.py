"""Single operations as scratchnet runs them in training: captured once and replayed."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from benchmarks.harness.op_cases import OpCase, OpImplementation, OpKind, draw_labels
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


def implement(case: OpCase) -> OpImplementation:
    """Return scratchnet's implementation."""
    return IMPLEMENTATIONS[case.kind](case, *case.draw_inputs())


def _both_passes(
    case: OpCase, forward: Callable[..., Array], backward: Callable[..., tuple[Any, ...]], *inputs: Array
) -> OpImplementation:
    """Capture ``forward(*inputs)`` and ``backward(dy, *inputs)``."""
    run_forward, run_backward = _capture(forward, *inputs), _capture(backward, case.draw_gradient(), *inputs)
    return OpImplementation(
        {"forward": run_forward, "backward": run_backward}, lambda: [run_forward(), *run_backward()]
    )


def _capture(function: Callable[..., Any], *arrays: Array) -> Callable[[], Any]:
    """Capture a function of arrays; return a function that replays it on all cores and returns its results."""
    program = Program()
    with Recorder().capture(program):
        results = function(*map(traced, arrays))
    several = can_fork() and program.is_parallel()
    run = WorkerProcesses(program).run if several else partial(replay_on_threads, program)

    def replay() -> Any:
        with one_blas_thread():
            run()
        return results.view(np.ndarray) if isinstance(results, np.ndarray) else [r.view(np.ndarray) for r in results]

    return replay


def _conv(case: OpCase, *inputs: Array) -> OpImplementation:
    s = case.settings
    return _both_passes(
        case,
        lambda x, weight, bias: conv2d(x, weight, bias, **s),
        lambda dy, x, weight, _: conv2d_backward(dy, x, weight, **s),
        *inputs,
    )


def _deconv(case: OpCase, *inputs: Array) -> OpImplementation:
    s = case.settings
    return _both_passes(
        case,
        lambda x, weight, bias: conv_transpose2d(x, weight, bias, **s),
        lambda dy, x, weight, _: conv_transpose2d_backward(dy, x, weight, **s),
        *inputs,
    )


def _max_pool(case: OpCase, x: Array) -> OpImplementation:
    _, switches = max_pool2d(x, 2)
    return _both_passes(case, lambda x: max_pool2d(x, 2)[0], lambda dy, _: (max_pool2d_backward(dy, switches),), x)


def _unpool(case: OpCase, x: Array, pooled: Array) -> OpImplementation:
    _, switches = max_pool2d(pooled, 2)
    return _both_passes(
        case, lambda x: max_unpool2d(x, switches), lambda dy, _: (max_unpool2d_backward(dy, switches),), x
    )


def _batch_norm(case: OpCase, x: Array, gamma: Array, beta: Array) -> OpImplementation:
    _, normalized = batch_norm(x, gamma, beta)
    return _both_passes(
        case,
        lambda x: batch_norm(x, gamma, beta)[0],
        lambda dy, x: batch_norm_backward(dy, replace(normalized, x=x), gamma),
        x,
    )


def _relu(case: OpCase, x: Array) -> OpImplementation:
    return _both_passes(case, relu, lambda dy, x: (relu_backward(dy, x),), x)


def _loss(case: OpCase, logits: Array) -> OpImplementation:
    loss, target = PixelLoss(max(2, logits.shape[3])), draw_labels(case)

    def results() -> list[Array]:
        value, gradient = loss(logits, target)
        return [np.array(value, logits.dtype), gradient]

    return OpImplementation({"with gradient": lambda: loss(logits, target)}, results)


def _update(case: OpCase, values: Array, grads: Array) -> OpImplementation:
    optimizer = SGD() if case.kind == "sgd" else Adam()
    buffers = FlatBuffers(values, grads, {"weight": slice(0, len(values))})

    def update() -> None:
        optimizer.step(buffers, 1e-4)

    def results() -> list[Array]:
        update()
        return [values]

    return OpImplementation({"update": update}, results)


IMPLEMENTATIONS: dict[OpKind, Callable[..., OpImplementation]] = {
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
