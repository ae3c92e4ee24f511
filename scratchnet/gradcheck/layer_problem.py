"""A layer as a problem."""

from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from scratchnet.arrays import Array, generator
from scratchnet.gradcheck.contract import Subject
from scratchnet.gradcheck.kinks import decisions
from scratchnet.gradcheck.report import Decisions, Problem
from scratchnet.gradcheck.values import enlarged, float64_copy, shape_of, to_module
from scratchnet.gradcheck.variants import Variant, common_variants, subject_problem
from scratchnet.layers import Layer, Parameter
from scratchnet.ops.switches import Switches


def layer_problem(
    layer: Layer, inputs: Sequence[Array | Switches], training: bool, seed: int, xp: ModuleType
) -> Problem:
    """Give a layer float64 parameters and make a problem of it; see :func:`from_layer`."""
    given = {f"x{i}": float64_copy(x) if isinstance(x, np.ndarray) else x for i, x in enumerate(inputs)}
    passes = _LayerPasses(layer, given, seed, xp)
    subject = Subject(
        given, passes.forward, passes.backward, layer.parameters, layer.buffers, passes.buffers, passes.send,
        passes.forward_again, passes.output_shape, passes.without_dx, training,
    )  # fmt: skip
    return subject_problem(subject, passes.values, [layer], passes.with_decisions, lambda: _variants(subject))


class _LayerPasses:
    """The passes of a layer on host arrays, each from the same parameters, buffers and random stream.

    Attributes
    ----------
    values, buffers : dict of str to Array
        The parameters' and buffers' values before every pass, on the host.
    """

    def __init__(self, layer: Layer, inputs: Mapping[str, Array | Switches], seed: int, xp: ModuleType) -> None:
        self.layer, self.inputs, self.seed, self.xp = layer, inputs, seed, xp
        self.values = {name: _initial(seed, name, p) for name, p in layer.parameters.items()}
        for name, parameter in layer.parameters.items():
            parameter.bind(self.send(self.values[name]), xp.zeros(parameter.shape))
        self.buffers = {
            key: generator(seed, key).uniform(0.5, 1.5, buffer.value.shape) for key, buffer in layer.buffers.items()
        }

    def send(self, value: Any) -> Any:
        return to_module(value, self.xp)

    def forward(self, arrays: Mapping[str, Any], training: bool) -> Array:
        # dropout must drop the same values every time
        self.layer.seed(generator(self.seed + arrays.get("seed", 0), "draw"))
        for name, parameter in self.layer.parameters.items():
            parameter.value[...] = self.send(self.values[name])
        for key, buffer in self.layer.buffers.items():
            buffer.bind(self.send(self.buffers[key].copy()))
        self.layer.set_training(training)
        return self.layer.forward(*self._sent_inputs(arrays))

    def forward_again(self, arrays: Mapping[str, Any], training: bool) -> Array:
        self.layer.set_training(training)
        return self.layer.forward_again(*self._sent_inputs(arrays))

    def with_decisions(self, arrays: Mapping[str, Any], training: bool) -> tuple[Array, Decisions]:
        y = self.forward(arrays, training)
        return y, decisions(self.layer, self._sent_inputs(arrays), y)

    def backward(self, dy: Array) -> dict[str, Array]:
        """Return the gradient of every array among the inputs; zeros if the layer returns None."""
        gradients = self.layer.backward(dy)
        gradients = gradients if isinstance(gradients, tuple) else (gradients,)
        if len(gradients) != len(self.inputs):
            raise ValueError(f"backward returned {len(gradients)} gradients for {len(self.inputs)} inputs")
        zeros = {key: self.xp.zeros(x.shape) for key, x in self.inputs.items() if isinstance(x, np.ndarray)}
        return zeros | {key: dx for key, dx in zip(self.inputs, gradients, strict=True) if dx is not None}

    def without_dx(self, dy: Array) -> None:
        self.layer.set_needs_input_grad(False)
        try:
            self.layer.backward(dy)
        finally:
            self.layer.set_needs_input_grad(True)

    def output_shape(self, arrays: Mapping[str, Any]) -> tuple[int, ...]:
        return self.layer.output_shape(*(shape_of(arrays[key]) for key in self.inputs))

    def _sent_inputs(self, arrays: Mapping[str, Any]) -> list[Any]:
        return [self.send(arrays[key]) for key in self.inputs]


def _initial(seed: int, name: str, parameter: Parameter) -> Array:
    """Return the initial value plus noise: biases start at 0 and scales at 1, where an error may not show."""
    value = parameter.initializer(generator(seed, name), parameter.shape).astype(np.float64)
    return value + generator(seed, "off", name).standard_normal(parameter.shape) * 0.1


def _variants(subject: Subject) -> Iterator[Variant]:
    """Yield also other numbers of rows, columns and channels, which a layer may refuse."""
    yield from common_variants(subject)
    arrays = {key: x for key, x in subject.inputs.items() if isinstance(x, np.ndarray) and x.ndim == 4}
    if not arrays or len(arrays) < len(subject.inputs):
        return
    rows = {k: np.ascontiguousarray(x[:, 1:]) for k, x in arrays.items()}
    if all(x.shape[1] for x in rows.values()):
        yield Variant("with one row less", rows, subject.training, may_be_refused=True)
    columns = {k: enlarged(x, 2) for k, x in arrays.items()}
    yield Variant("with twice as many columns", columns, subject.training, may_be_refused=True)
    if not subject.parameters and all(x.shape[3] == 1 for x in arrays.values()):
        channels = {k: enlarged(x, 3) for k, x in arrays.items()}
        yield Variant("with two channels", channels, subject.training, may_be_refused=True)
