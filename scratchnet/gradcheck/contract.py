"""What a network expects of a layer besides right gradients.

Central differences at one input see one pass. A network runs a layer again and again, on other batches, in training and
in evaluation; it adds gradients, hands on views of larger arrays, and lists shapes without computing anything. Each
check here is a function that yields a sentence for every fault.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scratchnet.arrays import Array, generator, to_host
from scratchnet.layers.parameter import Buffer, Parameter

SAME = 1e-10
"""Largest difference of equal float64 results, as a share of the largest value; a float32 cast makes 10⁻⁸."""

SHOWN = 3
"""Names in a message at most."""


@dataclass
class Outcome:
    """What one forward and backward pass gave: copies, and under ``arrays`` the output, dy and dx themselves."""

    output: Array
    gradients: dict[str, Array]
    arrays: dict[str, Array]


@dataclass
class Subject:
    """A layer, network or function whose passes are compared with each other.

    Attributes
    ----------
    inputs : dict of str to array or Switches
        Host arrays; those that are not arrays are passed as they are.
    forward : (mapping of inputs, training) -> output
        Sets parameters, random streams and mode before the pass.
    backward : (dy) -> dict of str to Array
        The gradients of inputs; those of parameters are added to their ``grad``.
    parameters, buffers : dict
    buffer_values : dict of str to Array
        What the buffers hold before every pass.
    send : (array) -> array
        Moves a host array to the device.
    again : (mapping of inputs, training) -> output, or None
        Recomputes the last forward pass.
    output_shape : (mapping of inputs) -> shape, or None
    without_dx : (dy) -> None, or None
        The backward pass when no gradient of the input is wanted.
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
        """Run forward and backward; parameters' gradients begin with ``start``, or are marked stale if it is None."""
        output = self.forward(inputs or self.inputs, self.training)
        kept = to_host(output).copy()
        for parameter in self.parameters.values():
            parameter.grad[...] = 7.0 if start is None else start
            parameter.mark_grad_stale(start is None)
        given = self.send(dy.copy(order="K"))
        sent = self.backward(given)
        arrays = {"the output": output, "the dy": given} | {f"dx ({k})": v for k, v in sent.items()}
        return Outcome(kept, self._copies(sent), arrays)

    def _copies(self, sent: Mapping[str, Array]) -> dict[str, Array]:
        learned = {name: to_host(parameter.grad).copy() for name, parameter in self.parameters.items()}
        return {name: to_host(array).copy() for name, array in sent.items()} | learned

    def others(self) -> dict[str, Any]:
        """Return inputs with the same values in another order."""
        return {k: generator(3, k).permuted(x) if isinstance(x, np.ndarray) else x for k, x in self.inputs.items()}


def faults(subject: Subject, dy: Array) -> list[str]:
    """Return a sentence for every fault that passes over ``subject`` show, with ``dy`` as their upstream gradient."""
    first = subject.run(dy)
    if not np.isfinite(first.output).all():
        return []  # NaN has been reported, and equals nothing
    checks = (_repeats, _is_linear, _adds, _forward_again, _needs_no_dx, _any_layout, _says_its_shape)
    found: list[str] = []
    for check in checks:
        try:
            found += check(subject, dy, first)
        except Exception as error:  # of a layer that cannot be run like this
            found.append(f"{check.__name__.strip('_').replace('_', ' ')}: {type(error).__name__}: {error}")
    return found


def evaluation_faults(subject: Subject, together: bool) -> Iterator[str]:
    """Check that evaluation draws nothing, learns nothing and, unless ``together``, sees each image by itself."""
    outputs = [to_host(subject.forward(subject.inputs | {"seed": seed}, False)).copy() for seed in (0, 1)]
    for name, buffer in subject.buffers.items():
        if not np.array_equal(subject.buffer_values[name], to_host(buffer.value), equal_nan=True):
            yield f"in evaluation mode forward changes the buffer {name}"
    if not _same(outputs[0], outputs[1]):
        yield "in evaluation mode the output is random: it depends on the seed"
        return
    arrays = {k: x for k, x in subject.inputs.items() if isinstance(x, np.ndarray)}
    count = {len(x) for x in arrays.values()}
    if together or len(arrays) < len(subject.inputs) or count != {len(outputs[0])} or len(outputs[0]) < 2:
        return
    alone = to_host(subject.forward({k: np.ascontiguousarray(x[-1:]) for k, x in arrays.items()}, False))
    if not _same(alone, outputs[0][-1:]):
        yield "in evaluation mode the output of an image depends on the other images of its batch"


def _repeats(subject: Subject, dy: Array, first: Outcome) -> Iterator[str]:
    """Passes over something else in between must leave no trace, neither in the layer nor in what it returned."""
    held = subject.run(dy)
    before = {name: to_host(array).copy() for name, array in held.arrays.items()}
    subject.run(dy[::-1].copy(), subject.others())
    for name, array in held.arrays.items():
        if not np.array_equal(before[name], to_host(array), equal_nan=True):
            yield f"{name} of one pass is overwritten by the next: the memory is used again"
    subject.forward(subject.others(), subject.training)  # a forward pass without a backward pass
    second = subject.run(dy)
    if not _same(second.output, first.output):
        yield "the same input gives another output in a later pass: state is left over, or the seed is not used"
    if names := _different(second.gradients, first.gradients):
        yield f"the gradient of {names} is another in a later pass with the same input: state is left over"


def _is_linear(subject: Subject, dy: Array, first: Outcome) -> Iterator[str]:
    other = generator(4, "linear").standard_normal(dy.shape)
    both, second = subject.run(dy + 0.3 * other).gradients, subject.run(other).gradients
    expected = {name: gradient + 0.3 * second[name] for name, gradient in first.gradients.items()}
    if names := _different(both, expected, _peak(first.gradients), _peak(second)):
        yield (
            f"the gradient of {names} is not linear in dy: a float32 cast in backward rounds it, "
            "or dy decides what it is multiplied by"
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
        yield f"backward keeps the stale gradient of {names} where it should be replaced"


def _forward_again(subject: Subject, dy: Array, first: Outcome) -> Iterator[str]:
    if subject.again is None:
        return
    subject.forward(subject.inputs, subject.training)
    output = to_host(subject.again(subject.inputs, subject.training)).copy()
    for parameter in subject.parameters.values():
        parameter.grad[...] = 0
    sent = subject.backward(subject.send(dy))
    if not _same(output, first.output):
        yield "forward_again returns another output than forward"
    if names := _different({name: to_host(array) for name, array in sent.items()}, first.gradients):
        yield f"the gradient of {names} is another after forward_again"


def _needs_no_dx(subject: Subject, dy: Array, first: Outcome) -> Iterator[str]:
    if subject.without_dx is None or not subject.parameters:
        return
    subject.forward(subject.inputs, subject.training)
    for parameter in subject.parameters.values():
        parameter.grad[...] = 0
    subject.without_dx(subject.send(dy))
    learned = {name: to_host(parameter.grad) for name, parameter in subject.parameters.items()}
    if names := _different(learned, first.gradients):
        yield f"the gradient of {names} is wrong where no gradient of the input is wanted (needs_input_grad is False)"


LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "a slice of a larger array": lambda x: np.stack([x, x + 1], axis=-1)[..., 0],
    "in Fortran order": np.asfortranarray,
    "with negative strides": lambda x: np.ascontiguousarray(x[..., ::-1])[..., ::-1],
}


def _any_layout(subject: Subject, dy: Array, first: Outcome) -> Iterator[str]:
    for layout, change in LAYOUTS.items():
        changed = {k: change(x) if isinstance(x, np.ndarray) and x.ndim else x for k, x in subject.inputs.items()}
        for what, inputs, upstream in (("the input", changed, dy), ("dy", subject.inputs, change(dy))):
            found = subject.run(upstream, inputs)
            if what == "the input" and not _same(found.output, first.output):
                yield f"the output is another where the input is {layout}"
            if names := _different(found.gradients, first.gradients):
                yield f"the gradient of {names} is another where {what} is {layout}"


def _says_its_shape(subject: Subject, dy: Array, first: Outcome) -> Iterator[str]:
    if subject.output_shape is None:
        return
    said = tuple(subject.output_shape(subject.inputs))
    if said != first.output.shape:
        yield f"output_shape says {said}, but the output is {first.output.shape}"


def _same(a: Array, b: Array, scale: float | None = None) -> bool:
    if a.shape != b.shape:
        return False
    scale = float(np.abs(b).max(initial=0)) if scale is None else scale
    return bool((np.abs(a - b) <= SAME * scale).all())


def _peak(arrays: Mapping[str, Array]) -> float:
    return max((float(np.abs(array).max(initial=0)) for array in arrays.values()), default=0.0)


def _different(found: Mapping[str, Array], right: Mapping[str, Array], *scales: float) -> str:
    """Return the names of the arrays that differ, a few of them; the largest of all gradients sets the scale."""
    scale = max(_peak(right), *scales, 0.0)
    names = [name for name, array in found.items() if name in right and not _same(array, right[name], scale)]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
