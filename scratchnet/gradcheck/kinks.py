"""Record the branch that each function with kinks takes, up to rounding.

Max pooling over a constant region chooses among equal values. Equal rows of one matrix product may differ in the last
bit, depending on the processor's BLAS kernel, and so may the choice. Such a choice is no kink: the output and its
derivative are the same for each of the values. So a pooling's decision is the *set* of positions with
the maximum up to rounding, and a ReLU's is whether its output is above rounding. Layers state these quantities in
:meth:`Layer.decisions <scratchnet.layers.description.Description.decisions>`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from scratchnet.arrays import Array, to_host
from scratchnet.gradcheck.report import Decisions
from scratchnet.layers import Layer
from scratchnet.layers.description import ROUNDING
from scratchnet.network import Step
from scratchnet.network.watching import watched_by


def decisions(layer: Layer, inputs: Sequence[Any], output: Array) -> Decisions:
    """Return the branches that a layer took in the forward pass from ``inputs`` to ``output``."""
    return [_branches(quantity) for quantity in layer.decisions(inputs, output)]


@contextmanager
def watching_steps(steps: Sequence[Step], x: Array) -> Iterator[Decisions]:
    """Return a context manager that collects the branches of a network's steps in the forward pass on ``x``."""
    found: Decisions = []
    values: dict[str, Any] = {"input": x}
    waiting = list(steps)

    def note(step: Step, output: Array) -> None:
        inputs = [values[name] for name in step.inputs]
        found.extend(decisions(step.layer, inputs, output))
        values[step.name] = output
        for name, attribute in zip(step.extra_values, step.layer.extra_outputs, strict=True):
            values[name] = getattr(step.layer, attribute)

    def watch(step: Step, output: Any) -> None:
        while waiting[0] is not step:  # fused into the preceding step, as a ReLU into batch norm
            note(waiting[0], values[waiting.pop(0).inputs[0]])
        note(waiting.pop(0), output)

    with watched_by(watch):
        yield found
    while waiting:
        note(waiting[0], values[waiting.pop(0).inputs[0]])


def _branches(quantity: Array) -> Array:
    host = to_host(quantity)
    if host.dtype.kind != "f":
        return host
    mask: Array = host > ROUNDING * float(abs(host).max(initial=0))
    return mask
