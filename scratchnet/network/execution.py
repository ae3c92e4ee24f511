"""The forward pass through a network, and the matching backward pass."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from scratchnet.arrays import Array
from scratchnet.layers.base import Shape
from scratchnet.network.checkpointing import SegmentInputs
from scratchnet.network.fingerprints import Fingerprints
from scratchnet.network.fusion import Joins, joined
from scratchnet.network.step import Step
from scratchnet.network.watching import watcher
from scratchnet.ops.shape import add


class Pass:
    """One forward pass and its backward pass.

    Parameters
    ----------
    steps : sequence of Step
    joins : Joins
        What steps leave out because of their neighbours.
    segments : sequence of range
        The steps of all segments but the last are to be run again in the backward pass, see :mod:`recomputing
        <scratchnet.network.checkpointing>`. None: all steps are one segment.
    """

    def __init__(
        self, steps: Sequence[Step], joins: Joins | None = None, segments: Sequence[range] | None = None
    ) -> None:
        self.steps = steps
        self.stored: dict[int, SegmentInputs] = {}
        """What is to be computed again, by the number of a segment's last step."""
        self._joins = joins or Joins()
        self._segments = segments
        self._output: Shape | None = None
        self.seen: Fingerprints | None = None
        """What :meth:`backward` relies on, to notice a change."""

    def forward(self, x: Array, keep: bool) -> Iterator[tuple[str, Array]]:
        """Run the list and yield (name, value) after every step; a value that no later step takes is dropped.

        Parameters
        ----------
        x : (n, h, w, c)
        keep : bool
            Whether layers keep what :meth:`backward` needs.
        """
        *segments, last = [range(len(self.steps))] if self._segments is None else self._segments
        values: dict[str, Any] = {"input": x}
        last_use = {name: i for i, step in enumerate(self.steps) for name in step.inputs}
        for segment in (*segments, last):
            if segment is not last:
                wanted = {name for i in segment for name in self.steps[i].inputs}
                self.stored[segment[-1]] = SegmentInputs(segment, {n: v for n, v in values.items() if n in wanted})
            for i in segment:
                self._compute(self.steps[i], values)
                if not keep or segment is not last:
                    self.steps[i].layer.release()
                self._forget(values, i, last_use)
                self._output = values[self.steps[i].name].shape
                yield self.steps[i].name, values[self.steps[i].name]

    def backward(self, dy: Array, needs_input_grad: bool) -> Array | None:
        """Walk the list in reverse, adding to every parameter's gradient; return the gradient by x if it is wanted."""
        if self._output is not None and dy.shape != self._output:
            raise ValueError(f"network: the gradient {dy.shape} must have the shape of the last output {self._output}")
        learns = learning_values(self.steps, needs_input_grad)
        if self.seen is not None:
            self.seen.check(
                [step for step in self.steps if learns[step.name]], [s.inputs for s in self.stored.values()]
            )
            self.seen = None
        gradients: dict[str, Array] = {self.steps[-1].name: dy}
        for i, step in reversed(list(enumerate(self.steps))):
            stored = self.stored.pop(i, None)
            if stored is not None and any(learns[self.steps[k].name] for k in stored.steps):
                self._compute_again(stored)
            del stored
            gradient = gradients.pop(step.name, None)
            if gradient is None or not learns[step.name]:
                step.layer.release()
                continue
            step.layer.needs_input_grad = any(learns[name] for name in step.inputs)
            self._joins.remember_input(step.layer)
            sent = gradient if self._joins.skips(step.layer) else _run(step, step.layer.backward, gradient)
            del gradient
            for name, part in zip(step.inputs, sent if isinstance(sent, tuple) else (sent,), strict=True):
                if part is not None and learns[name]:
                    gradients[name] = add(gradients[name], part) if name in gradients else part
            del sent, part
        return gradients.get("input")

    def _compute(self, step: Step, values: dict[str, Any], again: bool = False) -> None:
        """Make a step's values from those that it takes."""
        taken = [values[name] for name in step.inputs]
        forward = step.layer.forward_again if again else step.layer.forward
        values[step.name] = taken[0] if self._joins.skips(step.layer) else _run(step, forward, *taken)
        self._joins.forget_input(step.layer)
        for value, attribute in zip(step.extra_values, step.layer.extra_outputs, strict=True):
            values[value] = getattr(step.layer, attribute)

    def _forget(self, values: dict[str, Any], i: int, last_use: dict[str, int]) -> None:
        """Drop the values that no step behind step ``i`` takes, but not its own."""
        for name in [name for name in values if last_use.get(name, -1) <= i]:
            if name.partition(".")[0] != self.steps[i].name:
                del values[name]

    def _compute_again(self, stored: SegmentInputs) -> None:
        """Repeat the forward pass of a segment, saving the values for its backward pass."""
        values = stored.inputs
        last_use = {name: i for i in stored.steps for name in self.steps[i].inputs}
        with joined(self.steps) as self._joins:
            for i in stored.steps:
                self._compute(self.steps[i], values, again=True)
                self._forget(values, i, last_use)


def _run(step: Step, function: Callable[..., Any], *inputs: Any) -> Any:
    """Call a layer's forward or backward, and let a watcher look at what it returned."""
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


def learning_values(steps: Sequence[Step], needs_input_grad: bool = False) -> dict[str, bool]:
    """Return for each value whether its gradient is of use: whether anything up to it learns."""
    learns = {"input": needs_input_grad}
    for step in steps:
        learns[step.name] = step.layer.learns() or any(learns[name] for name in step.inputs)
        learns |= dict.fromkeys(step.extra_values, False)
    return learns
