"""The forward pass through a network, and the matching backward pass."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from scratchnet.arrays import Array
from scratchnet.engine.cpu.blas import one_blas_thread
from scratchnet.layers.base import Shape
from scratchnet.layers.step_plan import ALONE
from scratchnet.network.checkpointing import SegmentInputs
from scratchnet.network.fingerprints import PassFingerprints
from scratchnet.network.fusion import UNFUSED, FusionPlan
from scratchnet.network.step import Step
from scratchnet.network.watching import watcher
from scratchnet.ops.shape import add


class Pass:
    """One forward pass and its backward pass.

    Parameters
    ----------
    steps : sequence of Step
    fusion : FusionPlan
        The work that steps leave to their neighbours.
    segments : sequence of range
        The backward pass recomputes the steps of all segments but the last, see
        :mod:`scratchnet.network.checkpointing`. None: all steps are one segment.
    """

    def __init__(
        self, steps: Sequence[Step], fusion: FusionPlan = UNFUSED, segments: Sequence[range] | None = None
    ) -> None:
        self.steps = steps
        self.stored: dict[int, SegmentInputs] = {}
        """The segments to recompute, by the number of their last step."""
        self._fusion = fusion
        self._segments = segments
        self._output: Shape | None = None
        self.seen: PassFingerprints | None = None
        """Samples of the arrays that :meth:`backward` relies on, to detect changes."""

    def run(self, x: Array, keep: bool) -> Array:
        """Run all steps and return the last value; arguments as for :meth:`forward`."""
        output = x
        with one_blas_thread():  # the operations divide their work among the cores themselves
            for _, value in self.forward(x, keep):
                output = value
        return output

    def forward(self, x: Array, keep: bool) -> Iterator[tuple[str, Array]]:
        """Run the steps and yield (name, value) after each; a value is freed after its last use.

        Parameters
        ----------
        x : (n, h, w, c)
        keep : bool
            Whether layers save the values that :meth:`backward` needs.
        """
        *segments, last = [range(len(self.steps))] if self._segments is None else self._segments
        values: dict[str, Any] = {"input": x}
        last_use = {name: i for i, step in enumerate(self.steps) for name in step.inputs}
        for segment in (*segments, last):
            if segment is not last:
                needed = {name for i in segment for name in self.steps[i].inputs}
                self.stored[segment[-1]] = SegmentInputs(segment, {n: v for n, v in values.items() if n in needed})
            for i in segment:
                self._compute(i, values)
                if not keep or segment is not last:
                    self.steps[i].layer.release()
                self._free(values, i, last_use)
                self._output = values[self.steps[i].name].shape
                yield self.steps[i].name, values[self.steps[i].name]

    def backward(self, dy: Array, needs_input_grad: bool) -> Array | None:
        """Run the steps in reverse, adding to the gradients of all parameters; return dx if it is needed."""
        if self._output is not None and dy.shape != self._output:
            raise ValueError(f"network: the gradient {dy.shape} must have the shape of the last output {self._output}")
        needs_grad = values_that_need_grad(self.steps, needs_input_grad)
        if self.seen is not None:
            self.seen.check(
                [step for step in self.steps if needs_grad[step.name]], [s.inputs for s in self.stored.values()]
            )
            self.seen = None
        with one_blas_thread():
            return self._propagate(dy, needs_grad)

    def _propagate(self, dy: Array, needs_grad: Mapping[str, bool]) -> Array | None:
        """Pass the gradient back through all steps; return the gradient of the input if there is one."""
        gradients: dict[str, Array] = {self.steps[-1].name: dy}
        del dy
        for i, step in reversed(list(enumerate(self.steps))):
            stored = self.stored.pop(i, None)
            if stored is not None and any(needs_grad[self.steps[k].name] for k in stored.steps):
                self._recompute(stored)
            del stored
            gradient = gradients.pop(step.name, None)
            if gradient is None or not needs_grad[step.name]:
                step.layer.release()
                continue
            parts = self._backward_of(i, gradient, any(needs_grad[name] for name in step.inputs))
            del gradient
            for name, part in zip(step.inputs, parts if isinstance(parts, tuple) else (parts,), strict=True):
                if part is not None and needs_grad[name]:
                    gradients[name] = add(gradients[name], part) if name in gradients else part
            del parts, part
        return gradients.get("input")

    def _compute(self, i: int, values: dict[str, Any], recompute: bool = False) -> None:
        """Compute the values of step ``i`` from its inputs."""
        step, plan = self.steps[i], self._fusion[i]
        inputs = [values[name] for name in step.inputs]
        if plan.skip:
            values[step.name] = inputs[0]
            return
        forward = step.layer.forward_again if recompute else step.layer.forward
        if plan.normalized_by is not None:
            norm: Any = self.steps[plan.normalized_by].layer
            values[step.name] = _run(step, forward, *inputs, plan, norm.as_epilogue(inputs[0].dtype))
        else:
            values[step.name] = _run(step, forward, *inputs, *(() if plan is ALONE else (plan,)))
        for value, attribute in zip(step.extra_values, step.layer.extra_outputs, strict=True):
            values[value] = getattr(step.layer, attribute)

    def _backward_of(self, i: int, gradient: Array, needs_input_grad: bool) -> Any:
        """Return the gradients with respect to the inputs of step ``i``."""
        plan, layer = self._fusion[i], self.steps[i].layer
        if plan.skip:
            return gradient
        layer.set_needs_input_grad(needs_input_grad)
        if plan.input_from is not None:
            source: Any = self.steps[plan.input_from].layer
            receiver: Any = layer
            receiver.restore_input(source.recompute_output())
        return _run(self.steps[i], layer.backward, gradient)

    def _free(self, values: dict[str, Any], i: int, last_use: dict[str, int]) -> None:
        """Drop the values that no step after step ``i`` uses, except its own."""
        for name in [name for name in values if last_use.get(name, -1) <= i]:
            if name.partition(".")[0] != self.steps[i].name:
                del values[name]

    def _recompute(self, stored: SegmentInputs) -> None:
        """Repeat the forward pass of a segment, saving the values for its backward pass."""
        values = stored.inputs
        last_use = {name: i for i in stored.steps for name in self.steps[i].inputs}
        for i in stored.steps:
            self._compute(i, values, recompute=True)
            self._free(values, i, last_use)


def _run(step: Step, function: Callable[..., Any], *inputs: Any) -> Any:
    """Call a layer's forward or backward method, and the function of ``watched_by`` with its result if there is one."""
    watch = watcher()
    if watch is None:
        return function(*inputs)
    try:
        result = function(*inputs)
        watch(step, result)
    except Exception as error:
        vars(error).setdefault("step", step.name)
        raise
    return result


def values_that_need_grad(steps: Sequence[Step], needs_input_grad: bool = False) -> dict[str, bool]:
    """Return for each value whether its gradient is needed: whether a layer up to it learns."""
    needed = {"input": needs_input_grad}
    for step in steps:
        needed[step.name] = step.layer.learns() or any(needed[name] for name in step.inputs)
        needed |= dict.fromkeys(step.extra_values, False)
    return needed
