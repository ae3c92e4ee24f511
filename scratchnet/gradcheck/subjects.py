"""Layers and networks as problems, with the passes that their contract compares."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any, TypeVar

import numpy as np

from scratchnet.arrays import Array, generator, to_host
from scratchnet.gradcheck.checker import check_jointly, imprecise
from scratchnet.gradcheck.contract import Subject, evaluation_faults, faults
from scratchnet.gradcheck.kinks import decisions, watching_steps
from scratchnet.gradcheck.report import Decisions, Problem
from scratchnet.layers import Layer
from scratchnet.network import Network
from scratchnet.ops.switches import Switches

V = TypeVar("V", Array, Switches, Array | Switches)


def movable(array: Array) -> Array:
    """Return a contiguous float64 copy: the caller's own array must not change, whatever the checked function does."""
    return np.array(array, np.float64, order="C")


def sent(value: V, xp: ModuleType) -> V:
    """Return an array or switches on the device of ``xp``; NumPy's as they are."""
    if isinstance(value, Switches):
        return replace(value, index=xp.asarray(value.index))
    there: Array = xp.asarray(value)
    return there


def enlarged(value: V, axis: int) -> V:
    """Return it twice as long: its values, and after them the same values in another order."""
    if isinstance(value, Switches):
        return replace(value, index=np.concatenate([value.index, value.index], axis))
    if value.ndim <= axis:
        return value
    return np.concatenate([value, generator(5, "enlarged").permuted(value)], axis)


def layer_problem(
    layer: Layer, inputs: Sequence[Array | Switches], training: bool, seed: int, xp: ModuleType
) -> Problem:
    """Give a layer float64 parameters and make a problem of it; see :func:`from_layer`."""
    given = {f"x{i}": movable(x) if isinstance(x, np.ndarray) else x for i, x in enumerate(inputs)}
    values, buffers = {}, {}
    for name, parameter in layer.parameters.items():
        start = parameter.initializer(generator(seed, name), parameter.shape).astype(np.float64)
        # Biases start at 0 and scales at 1; move them off, or a forgotten one would not show.
        start = start + generator(seed, "off", name).standard_normal(parameter.shape) * 0.1
        values[name] = start
        parameter.bind(sent(start, xp), xp.zeros(parameter.shape))
    for key, buffer in layer.buffers.items():
        buffers[key] = generator(seed, key).uniform(0.5, 1.5, buffer.value.shape)

    def forward(arrays: Mapping[str, Any], training: bool, again: bool = False) -> Array:
        if not again:  # dropout must drop the same values every time
            layer.seed(generator(seed + arrays.get("seed", 0), "draw"))
            for name, parameter in layer.parameters.items():
                parameter.value[...] = sent(values[name], xp)
            for key, buffer in layer.buffers.items():
                buffer.bind(sent(buffers[key].copy(), xp))
        layer.set_training(training)
        function = layer.forward_again if again else layer.forward
        return function(*(sent(arrays[key], xp) for key in given))

    def backward(dy: Array) -> dict[str, Array]:
        parts = layer.backward(dy)
        parts = parts if isinstance(parts, tuple) else (parts,)
        if len(parts) != len(given):
            raise ValueError(f"backward returned {len(parts)} gradients for {len(given)} inputs")
        zeros = {key: xp.zeros(x.shape) for key, x in given.items() if isinstance(x, np.ndarray)}
        return zeros | {key: part for key, part in zip(given, parts, strict=True) if part is not None}

    def without_dx(dy: Array) -> None:
        layer.set_needs_input_grad(False)
        try:
            layer.backward(dy)
        finally:
            layer.set_needs_input_grad(True)

    def output_shape(arrays: Mapping[str, Any]) -> tuple[int, ...]:
        return layer.output_shape(*(_shape(arrays[key]) for key in given))

    subject = Subject(
        given, forward, backward, layer.parameters, layer.buffers, buffers, lambda x: sent(x, xp),
        lambda arrays, training: forward(arrays, training, True), output_shape, without_dx, training,
    )  # fmt: skip

    def decided(arrays: Mapping[str, Any], training: bool) -> tuple[Array, Decisions]:
        y = forward(arrays, training)
        return y, decisions(layer, [sent(arrays[key], xp) for key in given], y)

    return _problem(subject, values, [layer], decided, lambda: _layer_variants(subject))


def network_problem(network: Network, image: Array, seed: int, xp: ModuleType) -> Problem:
    """Give a network float64 parameters and make a problem of it; see :func:`from_network`."""
    network.allocate(seed, np.float64).train()
    values = network.flat().values
    values += 0.05 * generator(seed, "off").standard_normal(values.shape)
    learned = {name: p for name, p in network.parameters().items() if not p.frozen}
    inputs = {name: p.value for name, p in learned.items()}  # views of ``values``
    buffers = {name: to_host(buffer.value).copy() for name, buffer in network.state().items()}
    network.to(xp)

    def forward(arrays: Mapping[str, Any], training: bool) -> Array:
        network.train(training)
        network.reseed(seed + arrays.get("seed", 0))
        network.flat().values[...] = sent(values, xp)
        for name, buffer in network.state().items():
            buffer.bind(sent(buffers[name].copy(), xp))
        return network.forward(sent(arrays["image"], xp), keep=True)

    def backward(dy: Array) -> dict[str, Array]:
        stale = any(parameter.grad_is_stale for parameter in learned.values())
        dx = network.backward(dy, needs_input_grad=True, **({"add": False} if stale else {}))
        return {} if dx is None else {"image": dx}

    def without_dx(dy: Array) -> None:
        network.backward(dy)

    def output_shape(arrays: Mapping[str, Any]) -> tuple[int, ...]:
        n, h, w, _ = arrays["image"].shape
        return network.shapes((h, w), n)[network.steps[-1].name]

    subject = Subject(
        {"image": image}, forward, backward, learned, network.state(), buffers, lambda x: sent(x, xp),
        output_shape=output_shape, without_dx=without_dx,
    )  # fmt: skip

    def decided(arrays: Mapping[str, Any], training: bool) -> tuple[Array, Decisions]:
        with watching_steps(network.steps, sent(arrays["image"], xp)) as found:
            y = forward(arrays, training)
        return y, found

    layers = [step.layer for step in network.steps]
    return _problem(subject, inputs, layers, decided, lambda: _variants(subject))


Variant = tuple[str, Mapping[str, Any], bool, bool]
"""What is different, the inputs, the mode, and whether a refusal (an exception) is a fault."""


def _variants(subject: Subject) -> Iterator[Variant]:
    yield ("in evaluation mode" if subject.training else "in training mode"), subject.inputs, not subject.training, True
    yield "at another input", subject.others(), subject.training, True
    if all(_shape(x)[:1] == (1,) for x in subject.inputs.values()):
        yield "with two images", {k: enlarged(x, 0) for k, x in subject.inputs.items()}, subject.training, True


def _layer_variants(subject: Subject) -> Iterator[Variant]:
    yield from _variants(subject)
    if not _are_arrays(subject) or any(x.ndim != 4 for x in subject.inputs.values()):
        return
    rows = {k: np.ascontiguousarray(x[:, 1:]) for k, x in subject.inputs.items()}
    if all(x.shape[1] for x in rows.values()):
        yield "with one row less", rows, subject.training, False
    yield "with twice as many columns", {k: enlarged(x, 2) for k, x in subject.inputs.items()}, subject.training, False
    if not subject.parameters and all(x.shape[3] == 1 for x in subject.inputs.values()):
        yield "with two channels", {k: enlarged(x, 3) for k, x in subject.inputs.items()}, subject.training, False


def _are_arrays(subject: Subject) -> bool:
    return bool(subject.inputs) and all(isinstance(x, np.ndarray) for x in subject.inputs.values())


def _problem(
    subject: Subject,
    values: dict[str, Array],
    layers: Sequence[Layer],
    decided: Callable[[Mapping[str, Any], bool], tuple[Array, Decisions]],
    variants: Callable[[], Iterator[Variant]],
) -> Problem:
    def checked(inputs: Mapping[str, Any], training: bool) -> Problem:
        def run() -> tuple[Array, Decisions]:
            y, found = decided(inputs, training)
            return to_host(y), found

        def back(upstream: Array) -> dict[str, Array]:
            for parameter in subject.parameters.values():
                parameter.grad[...] = 0
            by_input = {key: to_host(dx) for key, dx in subject.backward(subject.send(upstream)).items()}
            return by_input | {name: to_host(p.grad).copy() for name, p in subject.parameters.items()}

        arrays = {key: x for key, x in inputs.items() if isinstance(x, np.ndarray)}
        return Problem(arrays | values, run, back)

    def contract(upstream: Array, tolerance: float) -> list[str]:
        found = faults(subject, upstream)
        if len(layers) == 1:
            found += imprecise(checked(subject.inputs, subject.training), upstream)
        found += evaluation_faults(subject, any(layer.mixes_images for layer in layers))
        for what, inputs, training, must in variants():
            try:
                text = _variant_fault(checked(inputs, training), subject, inputs, training, tolerance)
            except Exception as error:
                text = f"{type(error).__name__}: {error}" if must else ""
            found += [f"{what}: {text}"] if text else []
        subject.forward(subject.inputs, subject.training)  # back to the mode that was asked for
        for layer in layers:
            layer.release()
        return found

    return replace(checked(subject.inputs, subject.training), contract=contract)


def _variant_fault(
    problem: Problem, subject: Subject, inputs: Mapping[str, Any], training: bool, tolerance: float
) -> str:
    output = to_host(subject.forward(inputs, training))
    if subject.output_shape is not None and tuple(subject.output_shape(inputs)) != output.shape:
        return f"output_shape says {tuple(subject.output_shape(inputs))}, but the output is {output.shape}"
    return check_jointly(problem, generator(6, "variant").standard_normal(output.shape), tolerance)


def _shape(value: Array | Switches) -> tuple[int, ...]:
    """Return the shape that ``output_shape`` is given: for switches that of the map they restore."""
    if isinstance(value, Switches):
        return value.index.shape[0], *value.size, value.index.shape[3]
    return value.shape
