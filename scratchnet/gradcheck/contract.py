"""The contract between a network and its layers, besides correct gradients.

Central differences at one input check one pass. A network runs a layer repeatedly, on other batches and in both modes;
it accumulates gradients, passes views of larger arrays, and asks for shapes without running the layer. Each check here
is a function that yields a sentence for every fault.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scratchnet.arrays import Array, generator, to_host
from scratchnet.layers.parameter import Buffer, Parameter

SAME = 1e-10
"""Largest relative difference of float64 results that count as equal; a float32 cast causes 10⁻⁸."""

MAX_NAMES = 3
"""Maximum number of names in a message."""


@dataclass
class Outcome:
    """Copies of the results of one forward and backward pass, and in ``arrays`` the output, dy and dx themselves."""

    output: Array
    gradients: dict[str, Array]
    arrays: dict[str, Array]


@dataclass
class Subject:
    """A layer, network or function whose passes are compared with each other.

    Attributes
    ----------
    inputs : dict of str to array or Switches
        Host arrays and switches.
    forward : (mapping of inputs, training) -> output
        Sets parameters, random streams and mode before the pass.
    backward : (dy) -> dict of str to Array
        Returns the gradients of the inputs; those of parameters are added to their ``grad``.
    parameters, buffers : dict
    buffer_values : dict of str to Array
        The buffers' values before every pass.
    send : (array) -> array
        Moves a host array to the device.
    again : (mapping of inputs, training) -> output, or None
        Recomputes the last forward pass.
    output_shape : (mapping of inputs) -> shape, or None
    without_dx : (dy) -> None, or None
        Runs the backward pass without the gradient of the input.
    training : bool
    """

    inputs: dict[str, Any]
    forward: Callable[[Mapping[str, Any], bool], Array]
    backward: Callable[[Array], dict[str, Array]]
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    buffers: Mapping[str, Buffer] = field(default_factory=dict)
    buffer_values: Mapping[str, Array] = field(default_factory=dict)
    send: Callable[[Any], Any] = lambda value: value
    again: Callable[[Mapping[str, Any], bool], Array] | None = None
    output_shape: Callable[[Mapping[str, Any]], tuple[int, ...]] | None = None
    without_dx: Callable[[Array], None] | None = None
    training: bool = True

    def run(self, dy: Array, inputs: Mapping[str, Any] | None = None, start: float | None = 0.0) -> Outcome:
        """Run forward and backward; parameters' gradients start at ``start``, or are marked stale if it is None."""
        output = self.forward(inputs or self.inputs, self.training)
        saved = to_host(output).copy()
        for parameter in self.parameters.values():
            parameter.grad[...] = 7.0 if start is None else start
            parameter.mark_grad_stale(start is None)
        given = self.send(dy.copy(order="K"))
        by_input = self.backward(given)
        arrays = {"the output": output, "the dy": given} | {f"dx ({k})": dx for k, dx in by_input.items()}
        return Outcome(saved, self._copies(by_input), arrays)

    def _copies(self, by_input: Mapping[str, Array]) -> dict[str, Array]:
        learned = {name: to_host(parameter.grad).copy() for name, parameter in self.parameters.items()}
        return {name: to_host(dx).copy() for name, dx in by_input.items()} | learned

    def others(self) -> dict[str, Any]:
        """Return inputs with the same values in another order."""
        return {k: generator(3, k).permuted(x) if isinstance(x, np.ndarray) else x for k, x in self.inputs.items()}


def faults(subject: Subject, dy: Array) -> list[str]:
    """Return a sentence for every fault of ``subject`` in passes with the upstream gradient ``dy``."""
    first = subject.run(dy)
    if not np.isfinite(first.output).all():
        return []  # NaN has been reported, and never compares equal
    checks = (_repeats, _is_linear, _adds, _forward_again, _needs_no_dx, _any_layout, _output_shape)
    found: list[str] = []
    for check in checks:
        try:
            found += check(subject, dy, first)
        except Exception as error:  # the layer cannot run like this
            found.append(f"{check.__name__.strip('_').replace('_', ' ')}: {type(error).__name__}: {error}")
    return found


def evaluation_faults(subject: Subject, mixes_images: bool) -> Iterator[str]:
    """Check that evaluation is deterministic, changes no buffer and, unless ``mixes_images``, separates images."""
    outputs = [to_host(subject.forward(subject.inputs | {"seed": seed}, False)).copy() for seed in (0, 1)]
    for name, buffer in subject.buffers.items():
        if not np.array_equal(subject.buffer_values[name], to_host(buffer.value), equal_nan=True):
            yield f"in evaluation mode forward changes the buffer {name}"
    if not _same(outputs[0], outputs[1]):
        yield "in evaluation mode the output is random: it depends on the seed"
        return
    arrays = {k: x for k, x in subject.inputs.items() if isinstance(x, np.ndarray)}
    count = {len(x) for x in arrays.values()}
    if mixes_images or len(arrays) < len(subject.inputs) or count != {len(outputs[0])} or len(outputs[0]) < 2:
        return
    alone = to_host(subject.forward({k: np.ascontiguousarray(x[-1:]) for k, x in arrays.items()}, False))
    if not _same(alone, outputs[0][-1:]):
        yield "in evaluation mode the output of an image depends on the other images of its batch"


def _repeats(subject: Subject, dy: Array, first: Outcome) -> Iterator[str]:
    """Check that passes on other inputs change neither a later pass nor the arrays that an earlier one returned."""
    earlier = subject.run(dy)
    before = {name: to_host(array).copy() for name, array in earlier.arrays.items()}
    subject.run(dy[::-1].copy(), subject.others())
    for name, array in earlier.arrays.items():
        if not np.array_equal(before[name], to_host(array), equal_nan=True):
            yield f"{name} of one pass is overwritten by the next: the layer reuses its memory"
    subject.forward(subject.others(), subject.training)  # a forward pass without a backward pass
    second = subject.run(dy)
    if not _same(second.output, first.output):
        yield "a later pass on the same input returns another output: state is left over, or the seed is not used"
    if names := _different(second.gradients, first.gradients):
        yield f"the gradient of {names} differs in a later pass with the same input: state is left over"


def _is_linear(subject: Subject, dy: Array, first: Outcome) -> Iterator[str]:
    other = generator(4, "linear").standard_normal(dy.shape)
    both, second = subject.run(dy + 0.3 * other).gradients, subject.run(other).gradients
    expected = {name: gradient + 0.3 * second[name] for name, gradient in first.gradients.items()}
    if names := _different(both, expected, _peak(first.gradients), _peak(second)):
        yield (
            f"the gradient of {names} is not linear in dy: a float32 cast in backward rounds it, "
            "or its factor depends on dy"
        )


def _adds(subject: Subject, dy: Array, first: Outcome) -> Iterator[str]:
    right = {name: first.gradients[name] for name in subject.parameters}
    if not right:
        return
    added = subject.run(dy, start=2.5).gradients
    if names := _different(added, {name: gradient + 2.5 for name, gradient in right.items()}):
        yield f"backward does not add to the gradient of {names}: use parameter.add_grad(g) or grad[...] += g"
        return
    replaced = subject.run(dy, start=None).gradients
    if names := _different(replaced, right, 2.5):
        yield f"backward adds to the stale gradient of {names}, which should be replaced"


def _forward_again(subject: Subject, dy: Array, first: Outcome) -> Iterator[str]:
    if subject.again is None:
        return
    subject.forward(subject.inputs, subject.training)
    output = to_host(subject.again(subject.inputs, subject.training)).copy()
    for parameter in subject.parameters.values():
        parameter.grad[...] = 0
    by_input = subject.backward(subject.send(dy))
    if not _same(output, first.output):
        yield "forward_again and forward return different outputs"
    if names := _different({name: to_host(dx) for name, dx in by_input.items()}, first.gradients):
        yield f"the gradient of {names} differs after forward_again"


def _needs_no_dx(subject: Subject, dy: Array, first: Outcome) -> Iterator[str]:
    if subject.without_dx is None or not subject.parameters:
        return
    subject.forward(subject.inputs, subject.training)
    for parameter in subject.parameters.values():
        parameter.grad[...] = 0
    subject.without_dx(subject.send(dy))
    learned = {name: to_host(parameter.grad) for name, parameter in subject.parameters.items()}
    if names := _different(learned, first.gradients):
        yield f"the gradient of {names} is wrong if the gradient of the input is not needed (needs_input_grad is False)"


LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "a slice of a larger array": lambda x: np.stack([x, x + 1], axis=-1)[..., 0],
    "in Fortran order": np.asfortranarray,
    "with negative strides": lambda x: np.ascontiguousarray(x[..., ::-1])[..., ::-1],
}


def _any_layout(subject: Subject, dy: Array, first: Outcome) -> Iterator[str]:
    for layout, change in LAYOUTS.items():
        changed = {k: change(x) if isinstance(x, np.ndarray) and x.ndim else x for k, x in subject.inputs.items()}
        for argument, inputs, upstream in (("the input", changed, dy), ("dy", subject.inputs, change(dy))):
            found = subject.run(upstream, inputs)
            if argument == "the input" and not _same(found.output, first.output):
                yield f"the output differs if the input is {layout}"
            if names := _different(found.gradients, first.gradients):
                yield f"the gradient of {names} differs if {argument} is {layout}"


def _output_shape(subject: Subject, dy: Array, first: Outcome) -> Iterator[str]:
    if subject.output_shape is None:
        return
    shape = tuple(subject.output_shape(subject.inputs))
    if shape != first.output.shape:
        yield f"output_shape returns {shape}, but the output is {first.output.shape}"


def _same(a: Array, b: Array, scale: float | None = None) -> bool:
    if a.shape != b.shape:
        return False
    scale = float(np.abs(b).max(initial=0)) if scale is None else scale
    return bool((np.abs(a - b) <= SAME * scale).all())


def _peak(arrays: Mapping[str, Array]) -> float:
    return max((float(np.abs(array).max(initial=0)) for array in arrays.values()), default=0.0)


def _different(found: Mapping[str, Array], right: Mapping[str, Array], *scales: float) -> str:
    """Return up to :data:`MAX_NAMES` names of arrays that differ, relative to the largest value of all gradients."""
    scale = max(_peak(right), *scales, 0.0)
    names = [name for name, array in found.items() if name in right and not _same(array, right[name], scale)]
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return ", ".join(names[:MAX_NAMES]) + more
