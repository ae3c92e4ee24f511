"""Project a value of a network back to the image: gradient, guided backpropagation, deconvnet.

A signal of 1 starts at the value to explain, and every step passes it back to its inputs. All methods share these steps
and differ at ReLU alone (:mod:`scratchnet.visualization.attribution.relu_rules`):

    on the way forward       on the way back
    convolution              transposed convolution with the same kernel
    transposed convolution   convolution with the same kernel
    max-pooling              unpooling at the same switches
    unpooling at switches    reading at the same switches
    batch norm, evaluation   division by the same standard deviation
    concatenation, sum       each input gets its part, and the parts of a value are added up

For an encoder this is the deconvolutional network of Zeiler & Fergus: "unpool, rectify, filter". For a network such as
Noh et al.'s, whose decoder already unpools and deconvolves, it is the hourglass in reverse. The signal first goes down
through the decoder, by convolutions and readings at the switches, then up through the encoder, by unpooling and
transposed convolutions.

The switches are those of the forward pass, and no signal flows through them. What a pixel contributes by *where* its
maxima are is therefore invisible to all three methods; occlusion, which runs the network again, includes it.

Normalisations that compute their statistics from the image itself (group norm, local response normalisation, batch norm
with the batch's statistics) are passed with their gradient. Zeiler & Fergus leave contrast normalisation out instead.
"""

from collections.abc import Sequence
from copy import deepcopy

from scratchnet.arrays import Array, get_array_module
from scratchnet.network import Network
from scratchnet.network.step import Step
from scratchnet.ops.shape import add
from scratchnet.utils.errors import UserError
from scratchnet.visualization.attribution.relu_rules import METHODS, Method, has_rule, is_known, relu_signal
from scratchnet.visualization.attribution.unit import Unit


def project(network: Network, x: Array, unit: Unit, method: Method) -> Array:
    """Return one of the projections of :func:`projections`, (h, w, channels)."""
    return projections(network, x, unit, (method,))[method]


def projections(network: Network, x: Array, unit: Unit, methods: Sequence[Method] = METHODS) -> dict[Method, Array]:
    """Project one value of a network back to the image, by several methods.

    The network runs in evaluation mode. It is copied first and does not change: neither its mode nor its gradients,
    statistics or random streams.

    Parameters
    ----------
    network : Network
        Allocated.
    x : (1, h, w, channels)
        Preprocessed image.
    unit : Unit
    methods : sequence of "gradient", "guided" and "deconvnet"

    Returns
    -------
    dict of (h, w, channels)
        By method, in the dtype and on the device of ``x``. "gradient" is the derivative of the unit's value with
        respect to ``x``.

    Raises
    ------
    UserError
        If a step has no backward pass.
    ValueError
        If the methods, the image or the unit do not fit.
    """
    for unknown in (method for method in methods if method not in METHODS):
        raise ValueError(f"projections: no method '{unknown}'; choose from {', '.join(METHODS)}")
    if len(x) != 1:
        raise ValueError(f"projections: expected one image (1, h, w, channels), got {x.shape}")
    last = unit.step_of(network)
    check_backward(network)
    copy = deepcopy(network).eval()
    for parameter in copy.parameters().values():
        parameter.freeze()  # its gradient is not needed
    return {method: _signal_at_input(copy, x, unit, last, method)[0] for method in methods}


def unknown_steps(network: Network) -> list[str]:
    """Return the steps whose layers are not known: if they contain a ReLU, it is passed with its gradient.

    Guided backpropagation and the deconvnet projection are then not those of the papers.
    """
    return [step.name for step in network.steps if not is_known(step.layer)]


def check_backward(network: Network) -> None:
    """Raise a UserError if a step has no backward pass."""
    for step in network.steps:
        if not callable(getattr(step.layer, "backward", None)):
            raise UserError(
                f"step '{step.name}': {type(step.layer).__name__} has no backward pass, so no signal can be passed "
                "back through it; add one, or use occlusion only"
            )


def _signal_at_input(network: Network, x: Array, unit: Unit, last: str, method: Method) -> Array:
    """Run the steps forward up to ``last``, pass the unit's signal back, and return what arrives at the image."""
    outputs, signals = {}, {}
    for step, (name, value) in zip(network.steps, network.walk(x, keep=True), strict=False):
        if has_rule(step.layer):
            outputs[name] = value
        if name == last:
            signals[name] = unit.seed(value)
            break
    for step in reversed(network.steps):
        signal = signals.pop(step.name, None)
        if signal is None:
            step.layer.release()
            continue
        parts = _pass_back(step, signal, outputs.get(step.name), method)
        for name, part in zip(step.inputs, parts, strict=True):
            if part is not None:
                signals[name] = add(signals[name], part) if name in signals else part
    nothing: Array = get_array_module(x).zeros_like(x)
    return signals.get("input", nothing)


def _pass_back(step: Step, signal: Array, output: Array | None, method: Method) -> Sequence[Array | None]:
    """Return the signal at each input of a step; None for one without gradient, such as switches."""
    if output is not None:
        step.layer.release()
        return (relu_signal(step.layer, signal, output, method),)
    step.layer.set_needs_input_grad(True)
    parts = step.layer.backward(signal)
    return parts if isinstance(parts, tuple) else (parts,)
