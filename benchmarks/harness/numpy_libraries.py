"""Single operations beside other libraries that are written in NumPy alone, to learn from.

- DeZero: the framework that the book "Deep Learning from Scratch 3" builds, step by step;
- MyGrad: automatic differentiation for arrays that behave like NumPy's.

Both keep their maps as (n, c, h, w) and differentiate along a graph that the forward pass leaves behind, so a backward
pass is timed together with its forward. Who is not installed, or does not offer an operation, is left out.
"""

import importlib.util
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.harness import scratchnet_ops as our_ops
from benchmarks.harness.op_cases import Kind, Problem, Solution, labels
from benchmarks.harness.ops import measure_solutions
from benchmarks.harness.report import Row
from benchmarks.harness.session import Session
from scratchnet.arrays import Array
from scratchnet.engine.cpu.threads import thread_count

MODULES = {"DeZero": "dezero", "MyGrad": "mygrad"}
"""The peers, and what they are called on the package index."""

BOTH = "forward+backward"


def installed() -> list[str]:
    """Return the peers that are here."""
    return [name for name, module in MODULES.items() if importlib.util.find_spec(module) is not None]


def measure_beside_peers(problem: Problem, session: Session) -> Iterator[Row]:
    """Compare and time; yield a row for each part, none where no peer offers the operation.

    Raises
    ------
    UserError
        When a peer computes something else.
    """
    solutions = {name: solve(name, problem) for name in installed()}
    found = {name: solution for name, solution in solutions.items() if solution is not None}
    if found:
        with threadpool_limits(thread_count(), user_api="blas"):
            yield from measure_solutions(problem, session, _joined(our_ops.solve(problem)), found)


def _joined(ours: Solution) -> Solution:
    """Put our two passes together, as the peers' are."""
    if "backward" not in ours.parts:
        return ours
    forward, backward = ours.parts["forward"], ours.parts["backward"]
    return Solution({"forward": forward, BOTH: lambda: (forward(), backward())}, ours.results)


def solve(peer: str, problem: Problem) -> Solution | None:
    """Set up a peer's functions; None for what it does not offer."""
    make = {"DeZero": _dezero, "MyGrad": _mygrad}[peer](problem)
    if make is None:
        return None
    planes = [_planes(a) if a.ndim == 4 and i == 0 else _kernel(a) for i, a in enumerate(problem.inputs())]
    forward, backward = make(planes, _planes(problem.gradient()))
    if problem.kind == "loss":
        return Solution({"with gradient": backward}, lambda: _results(backward()))
    return Solution({"forward": forward, BOTH: backward}, lambda: _results(backward()))


def _planes(x: Array) -> Array:
    """(n, h, w, c) → (n, c, h, w)."""
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2))


def _kernel(weight: Array) -> Array:
    """(kh, kw, c_in, c_out) → (c_out, c_in, kh, kw), transposed convolutions alike; vectors as they are."""
    return np.ascontiguousarray(weight.transpose(3, 2, 0, 1)) if weight.ndim == 4 else weight


def _results(found: list[Array]) -> list[Array]:
    """Return the output, its input's gradient (maps both), and the gradients of parameters in this package's layout."""
    return [
        a if np.ndim(a) != 4 else a.transpose(0, 2, 3, 1) if i < 2 else a.transpose(2, 3, 1, 0)
        for i, a in enumerate(found)
    ]


Make = Callable[[list[Array], Array], tuple[Callable[[], Any], Callable[[], list[Array]]]]
"""(inputs, gradient from above) → forward, and forward with backward, which returns output and gradients."""


def _pixels(t: Any) -> Any:
    """(n, c, h, w) → (n·h·w, c): both peers' losses take rows."""
    return t.transpose(0, 2, 3, 1).reshape(-1, t.shape[1])


def _dezero(problem: Problem) -> Make | None:
    """Return how DeZero does it; it has neither dilation nor groups."""
    dezero = _import_dezero()
    functions = dezero.functions
    s = problem.settings
    if s.get("dilation", 1) > 1 or s.get("groups", 1) > 1:
        return None
    target = labels(problem).ravel().astype("i8") if problem.kind == "loss" else None

    def batch_norm(x: Any, gamma: Any, beta: Any) -> Any:
        mean, variance = np.zeros(x.shape[1], x.dtype), np.ones(x.shape[1], x.dtype)
        return functions.batch_nrom(x, gamma, beta, mean, variance, eps=1e-5)

    table: Mapping[Kind, Callable[..., Any]] = {
        "conv": lambda x, w, b: functions.conv2d(x, w, b, s["stride"], s["padding"]),
        "deconv": lambda x, w, b: functions.deconv2d(x, w, b, s["stride"], s["padding"]),
        "max-pool": lambda x: functions.pooling(x, 2, 2),
        "batch norm": batch_norm,
        "relu": functions.relu,
        "loss": lambda x: functions.softmax_cross_entropy(_pixels(x), target),
    }
    if problem.kind not in table or problem.output[-1] == 1:
        return None

    def make(arrays: list[Array], dy: Array) -> tuple[Callable[[], Any], Callable[[], list[Array]]]:
        inputs = [dezero.Variable(a) for a in arrays]
        forward = partial(table[problem.kind], *inputs)

        def both() -> list[Array]:
            for variable in inputs:
                variable.cleargrad()
            y = forward()
            if problem.kind != "loss":
                y.grad = dezero.Variable(dy)
            y.backward()
            return [y.data, *(variable.grad.data for variable in inputs)]

        return forward, both

    return make


def _import_dezero() -> Any:
    """Return the module. DeZero 0.0.13 asks for ``np.int`` while it is imported, which NumPy 1.24 took away."""
    vars(np)["int"] = int
    try:
        import dezero
    finally:
        del vars(np)["int"]
    return dezero


def _mygrad(problem: Problem) -> Make | None:
    """Return how MyGrad does it; it has no transposed convolution, no groups, and windows must fill the map exactly."""
    import mygrad
    from mygrad.nnet import activations, layers, losses

    s = problem.settings
    if problem.kind == "conv":
        span = problem.shapes[0][1] + 2 * s["padding"] - s["dilation"] * (problem.shapes[1][0] - 1) - 1
        if s["groups"] > 1 or span % s["stride"]:
            return None
    target = labels(problem).ravel().astype("i8") if problem.kind == "loss" else None

    def conv(x: Any, w: Any, b: Any) -> Any:
        y = layers.conv_nd(x, w, stride=s["stride"], padding=s["padding"], dilation=s["dilation"])
        return y + b.reshape(1, -1, 1, 1)

    table: Mapping[Kind, Callable[..., Any]] = {
        "conv": conv,
        "max-pool": lambda x: layers.max_pool(x, (2, 2), 2),
        "batch norm": lambda x, gamma, beta: layers.batchnorm(x, gamma=gamma, beta=beta, eps=1e-5),
        "relu": activations.relu,
        "loss": lambda x: losses.softmax_crossentropy(_pixels(x), target),
    }
    if problem.kind not in table or problem.output[-1] == 1:
        return None

    def make(arrays: list[Array], dy: Array) -> tuple[Callable[[], Any], Callable[[], list[Array]]]:
        inputs = [mygrad.tensor(a) for a in arrays]
        forward = partial(table[problem.kind], *inputs)

        def both() -> list[Array]:
            y = forward()
            y.backward(None if problem.kind == "loss" else dy)
            return [y.data, *(tensor.grad for tensor in inputs)]

        return forward, both

    return make
