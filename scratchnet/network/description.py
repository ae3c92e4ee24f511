"""A network as plain data, for JSON: class names, constructor arguments and connections of all layers.

    {"channels": 3, …, "steps": [{"name": "conv1", "inputs": ["input"],
                                  "layer": {"layer": "Conv2d", "arguments": {"in_channels": 3, …}}}, …]}

A file with such a description contains no code. Classes are looked up by name among scratchnet's layers and those that
the caller passes, and called with the stored arguments; nothing else runs.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import numpy as np

from scratchnet.layers import initialization
from scratchnet.layers.base import Layer
from scratchnet.layers.builtin import BUILTIN
from scratchnet.layers.initialization import Constant, Gaussian
from scratchnet.network.network import Network

OWN: dict[str, type[Layer]] = {kind.__name__: kind for kind in BUILTIN}
"""scratchnet's own layers by name."""

INITIALIZERS: dict[str, Callable[..., Any]] = {
    "he_normal": initialization.he_normal,
    "he_normal_transposed": initialization.he_normal_transposed,
    "identity": initialization.identity,
    "bilinear": initialization.bilinear,
}
_SETTINGS = ("channels", "stride", "fixed_size", "valid_margin", "activation_checkpointing")
_OF_A_PASS = ("training", "needs_input_grad", "saved", "arguments")
"""Attributes that change in every pass and are not stored."""


def describe(network: Network) -> dict[str, Any]:
    """Return the description of a network.

    Raises
    ------
    ValueError
        If a part of it cannot be described; the message names the step and says what to do.
    """
    if type(network) is not Network:
        raise ValueError(
            f"a {type(network).__name__} cannot be saved, only a Network: build it with Network.add, and move what the "
            "subclass does into layers"
        )
    settings = {name: _plain(getattr(network, name)) for name in _SETTINGS}
    steps = []
    for step in network.steps:
        try:
            steps.append({"name": step.name, "inputs": list(step.inputs), "layer": _layer(step.layer)})
        except ValueError as error:
            raise ValueError(f"step '{step.name}': {error}") from error
    return settings | {"steps": steps}


def own_layers(network: Network) -> tuple[type[Layer], ...]:
    """Return the layer classes of a network that are not scratchnet's, including those of layers given as arguments."""
    found: dict[type[Layer], None] = {}

    def look(layer: Layer) -> None:
        kind = layer.saved_as or type(layer)
        if OWN.get(kind.__name__) is not kind:
            found[kind] = None
        for value in (*layer.arguments[0], *layer.arguments[1].values()):
            if isinstance(value, Layer):
                look(value)

    for step in network.steps:
        look(step.layer)
    return tuple(found)


def rebuild(description: Mapping[str, Any], own: Sequence[type[Layer]] = ()) -> Network:
    """Build the network of a description, without memory.

    Parameters
    ----------
    description : mapping
        From :func:`describe`, possibly converted to JSON and back.
    own : sequence of type
        Layer classes of the caller that the description may name.

    Raises
    ------
    ValueError
        If it names an unknown class, or the arguments or inputs of a step are invalid.
    """
    known = {kind.__name__: kind for kind in own}
    network = Network(*(_tuples(description[name]) for name in _SETTINGS[:4]))
    network.activation_checkpointing = bool(description["activation_checkpointing"])
    for step in description["steps"]:
        try:
            network.add(step["name"], _make_layer(step["layer"], known), *step["inputs"])
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"step '{step['name']}': {error}") from error
    return network


def _layer(layer: Layer) -> dict[str, Any]:
    """Return a layer's class, its arguments, and the settings that were changed after construction."""
    kind = layer.saved_as or type(layer)
    try:
        bound = inspect.signature(kind.__init__).bind(layer, *layer.arguments[0], **layer.arguments[1])
    except TypeError as error:
        raise ValueError(f"the arguments of {kind.__name__} are not known ({error})") from error
    _, *given = bound.arguments.items()  # the first one is the layer itself
    arguments = dict(given)
    for parameter in bound.signature.parameters.values():
        if parameter.kind is parameter.VAR_POSITIONAL and parameter.name in arguments:
            raise ValueError(f"{kind.__name__} takes *{parameter.name}; give its arguments names to save it")
        if parameter.kind is parameter.VAR_KEYWORD:
            arguments |= dict(arguments.pop(parameter.name, {}))
    described = {name: _argument(kind, name, value) for name, value in arguments.items()}
    fresh, now = _settings(kind(*layer.arguments[0], **layer.arguments[1])), _settings(layer)
    changed = {name: value for name, value in now.items() if name in fresh and fresh[name] != value}
    own = {"own": True} if OWN.get(kind.__name__) is not kind else {}
    return {"layer": kind.__name__, "arguments": described} | own | ({"changed": changed} if changed else {})


def _argument(kind: type, name: str, value: Any) -> Any:
    if isinstance(value, Layer):
        return _layer(value)
    if isinstance(value, Constant | Gaussian):
        return {"initializer": type(value).__name__.lower(), "arguments": _plain(asdict(value))}
    if callable(value):
        word = next((word for word, known in INITIALIZERS.items() if known is value), None)
        if word is None:
            raise ValueError(
                f"{name}={getattr(value, '__name__', value)!r} of {kind.__name__} is a function of your own, which a "
                "file cannot hold; use one of scratchnet.layers.initialization, or set the values after allocate()"
            )
        return {"initializer": word}
    try:
        return _plain(value)
    except ValueError as error:
        raise ValueError(f"{name} of {kind.__name__}: {error}") from error


def _make_layer(described: Mapping[str, Any], own: Mapping[str, type[Layer]]) -> Layer:
    name = described["layer"]
    kind = (own if described.get("own") else OWN).get(name)
    if kind is None:
        raise ValueError(
            f"needs the layer class {name}, which is not one of scratchnet's; load it in Python with "
            f"load_network(path, layers=[{name}])"
            if described.get("own")
            else f"scratchnet has no layer {name}"
        )
    layer = kind(**{word: _value(value, own) for word, value in described["arguments"].items()})
    fresh, changed = _settings(layer), described.get("changed", {})
    for word in changed:
        if word not in fresh:
            raise ValueError(f"{name} has no setting '{word}'")
    layer.change_settings({word: _tuples(value) for word, value in changed.items()})
    return layer


def _value(value: Any, own: Mapping[str, type[Layer]]) -> Any:
    """Undo :func:`_argument`."""
    if isinstance(value, dict) and "layer" in value:
        return _make_layer(value, own)
    if isinstance(value, dict) and "initializer" in value:
        word, arguments = value["initializer"], value.get("arguments", {})
        if word in ("constant", "gaussian"):
            return (Constant if word == "constant" else Gaussian)(**arguments)
        if word not in INITIALIZERS:
            raise ValueError(f"scratchnet has no initializer '{word}'")
        return INITIALIZERS[word]
    return _tuples(value)


def _settings(layer: Layer) -> dict[str, Any]:
    """Return the attributes of a layer that are plain values and do not change in every pass."""
    found = {}
    for name, value in vars(layer).items():
        if not name.startswith("_") and name not in _OF_A_PASS and isinstance(value, bool | int | float | str | tuple):
            with suppress(ValueError):  # a tuple of arrays, or of layers
                found[name] = _plain(value)
    return found


def _plain(value: Any) -> Any:
    """Return a value in JSON's types: numbers, strings, None, and lists and dictionaries of them."""
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _plain(part) for key, part in value.items()}
    raise ValueError(f"a {type(value).__name__} cannot be saved; use numbers, words, tuples or layers")


def _tuples(value: Any) -> Any:
    """Convert JSON's lists to tuples."""
    return tuple(_tuples(part) for part in value) if isinstance(value, list) else value
