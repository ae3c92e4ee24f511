"""Single operations in other libraries that are written in NumPy, for teaching.

- DeZero: the framework that the book "Deep Learning from Scratch 3" develops step by step;
- MyGrad: automatic differentiation of arrays that behave like NumPy's.

Both store maps as (n, c, h, w) and differentiate a graph that the forward pass builds, so a backward pass is timed
together with its forward pass. A library that is not installed, or lacks an operation, is left out.
"""

import importlib.util
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.harness import scratchnet_ops
from benchmarks.harness.op_cases import OpCase, OpImplementation, OpKind, draw_labels
from benchmarks.harness.ops import measure_implementations
from benchmarks.harness.report import Measurement
from benchmarks.harness.session import Session
from scratchnet.arrays import Array
from scratchnet.engine.cpu.threads import thread_count

PACKAGES = {"DeZero": "dezero", "MyGrad": "mygrad"}
"""The libraries, and their names on the package index."""

FORWARD_BACKWARD = "forward+backward"


def installed_libraries() -> list[str]:
    """Return the libraries that are installed."""
    return [name for name, module in PACKAGES.items() if importlib.util.find_spec(module) is not None]


def measure_against_libraries(case: OpCase, session: Session) -> Iterator[Measurement]:
    """Compare and time; yield a result for each part, and none if no library offers the operation.

    Raises
    ------
    UserError
        If a library computes something else.
    """
    implementations = {name: implement(name, case) for name in installed_libraries()}
    others = {name: implementation for name, implementation in implementations.items() if implementation is not None}
    if others:
        with threadpool_limits(thread_count(), user_api="blas"):
            yield from measure_implementations(case, session, _combine_passes(scratchnet_ops.implement(case)), others)


def _combine_passes(ours: OpImplementation) -> OpImplementation:
    """Combine forward and backward pass, as in the other libraries."""
    if "backward" not in ours.parts:
        return ours
    forward, backward = ours.parts["forward"], ours.parts["backward"]
    return OpImplementation({"forward": forward, FORWARD_BACKWARD: lambda: (forward(), backward())}, ours.results)


def implement(library: str, case: OpCase) -> OpImplementation | None:
    """Return a library's implementation; None if it does not offer the operation."""
    make = {"DeZero": _dezero, "MyGrad": _mygrad}[library](case)
    if make is None:
        return None
    planes = [_planes(a) if a.ndim == 4 and i == 0 else _kernel(a) for i, a in enumerate(case.draw_inputs())]
    forward, backward = make(planes, _planes(case.draw_gradient()))
    if case.kind == "loss":
        return OpImplementation({"with gradient": backward}, lambda: _results(backward()))
    return OpImplementation({"forward": forward, FORWARD_BACKWARD: backward}, lambda: _results(backward()))


def _planes(x: Array) -> Array:
    """(n, h, w, c) → (n, c, h, w)."""
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2))


def _kernel(weight: Array) -> Array:
    """(kh, kw, c_in, c_out) → (c_out, c_in, kh, kw), also for transposed convolutions; vectors are unchanged."""
    return np.ascontiguousarray(weight.transpose(3, 2, 0, 1)) if weight.ndim == 4 else weight


def _results(found: list[Array]) -> list[Array]:
    """Return the output, the input's gradient and the gradients of the parameters, in scratchnet's layout."""
    return [
        a if np.ndim(a) != 4 else a.transpose(0, 2, 3, 1) if i < 2 else a.transpose(2, 3, 1, 0)
        for i, a in enumerate(found)
    ]


Builder = Callable[[list[Array], Array], tuple[Callable[[], Any], Callable[[], list[Array]]]]
"""(inputs, gradient with respect to the output) → forward pass, and both passes, which return output and gradients."""


def _pixels(t: Any) -> Any:
    """(n, c, h, w) → (n·h·w, c), the input of both libraries' losses."""
    return t.transpose(0, 2, 3, 1).reshape(-1, t.shape[1])


def _dezero(case: OpCase) -> Builder | None:
    """Return DeZero's implementation; DeZero has neither dilation nor groups."""
    dezero = _import_dezero()
    functions = dezero.functions
    s = case.settings
    if s.get("dilation", 1) > 1 or s.get("groups", 1) > 1:
        return None
    target = draw_labels(case).ravel().astype("i8") if case.kind == "loss" else None

    def batch_norm(x: Any, gamma: Any, beta: Any) -> Any:
        mean, variance = np.zeros(x.shape[1], x.dtype), np.ones(x.shape[1], x.dtype)
        return functions.batch_nrom(x, gamma, beta, mean, variance, eps=1e-5)

    table: Mapping[OpKind, Callable[..., Any]] = {
        "conv": lambda x, w, b: functions.conv2d(x, w, b, s["stride"], s["padding"]),
        "deconv": lambda x, w, b: functions.deconv2d(x, w, b, s["stride"], s["padding"]),
        "max-pool": lambda x: functions.pooling(x, 2, 2),
        "batch norm": batch_norm,
        "relu": functions.relu,
        "loss": lambda x: functions.softmax_cross_entropy(_pixels(x), target),
    }
    if case.kind not in table or case.output[-1] == 1:
        return None

    def make(arrays: list[Array], dy: Array) -> tuple[Callable[[], Any], Callable[[], list[Array]]]:
        inputs = [dezero.Variable(a) for a in arrays]
        forward = partial(table[case.kind], *inputs)

        def both() -> list[Array]:
            for variable in inputs:
                variable.cleargrad()
            y = forward()
            if case.kind != "loss":
                y.grad = dezero.Variable(dy)
            y.backward()
            return [y.data, *(variable.grad.data for variable in inputs)]

        return forward, both

    return make


def _import_dezero() -> Any:
    """Import DeZero. Version 0.0.13 uses ``np.int`` on import, which NumPy 1.24 removed."""
    vars(np)["int"] = int
    try:
        import dezero
    finally:
        del vars(np)["int"]
    return dezero


def _mygrad(case: OpCase) -> Builder | None:
    """Return MyGrad's implementation; it has no transposed convolution or groups, and windows must fit exactly."""
    import mygrad
    from mygrad.nnet import activations, layers, losses

    s = case.settings
    if case.kind == "conv":
        span = case.shapes[0][1] + 2 * s["padding"] - s["dilation"] * (case.shapes[1][0] - 1) - 1
        if s["groups"] > 1 or span % s["stride"]:
            return None
    target = draw_labels(case).ravel().astype("i8") if case.kind == "loss" else None

    def conv(x: Any, w: Any, b: Any) -> Any:
        y = layers.conv_nd(x, w, stride=s["stride"], padding=s["padding"], dilation=s["dilation"])
        return y + b.reshape(1, -1, 1, 1)

    table: Mapping[OpKind, Callable[..., Any]] = {
        "conv": conv,
        "max-pool": lambda x: layers.max_pool(x, (2, 2), 2),
        "batch norm": lambda x, gamma, beta: layers.batchnorm(x, gamma=gamma, beta=beta, eps=1e-5),
        "relu": activations.relu,
        "loss": lambda x: losses.softmax_crossentropy(_pixels(x), target),
    }
    if case.kind not in table or case.output[-1] == 1:
        return None

    def make(arrays: list[Array], dy: Array) -> tuple[Callable[[], Any], Callable[[], list[Array]]]:
        inputs = [mygrad.tensor(a) for a in arrays]
        forward = partial(table[case.kind], *inputs)

        def both() -> list[Array]:
            y = forward()
            y.backward(None if case.kind == "loss" else dy)
            return [y.data, *(tensor.grad for tensor in inputs)]

        return forward, both

    return make
