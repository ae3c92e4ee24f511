"""Every layer and every parameter belongs to one step of one network.

A network moves its parameters into its own flat buffers. If a second network took the same layer, the parameters would
leave the first network's buffers, and the first optimiser would update values that no layer reads. So a network rejects
a layer or a parameter that another network owns, and a parameter that another of its steps owns. A deleted network owns
nothing.
"""

import gc
import weakref
from collections.abc import Iterator, Mapping
from typing import Any

from scratchnet.layers.base import Layer
from scratchnet.layers.builtin import is_builtin
from scratchnet.layers.parameter import Parameter
from scratchnet.network.step import Step


class Owner:
    """Base class of a network: records the layers and parameters that belong to its steps.

    Attributes
    ----------
    owned : dict of int to (object, step name)
        Layers, the layers that they hold, and their parameters, by their id. Holding the object keeps its id unique.
    """

    owned: dict[int, tuple[Any, str]]

    def __new__(cls, *args: Any, **settings: Any) -> Any:
        """Register the new network, which may also be a copy."""
        network = super().__new__(cls)
        network.owned = {}
        _OWNERS[id(network)] = network
        return network

    def __getstate__(self) -> dict[str, Any]:
        """Return the state to copy or pickle: everything except the values saved for a backward pass."""
        return {name: value for name, value in vars(self).items() if name not in ("_last", "owned")}


_OWNERS: "weakref.WeakValueDictionary[int, Owner]" = weakref.WeakValueDictionary()
"""All networks by their id. Its references are listed in one operation, while other threads may build networks."""


def claim(network: Owner, step: Step) -> None:
    """Make a network the owner of a step's layer and parameters.

    Raises
    ------
    ValueError
        If one of them belongs to another step or another network.
    """
    check_unowned(network, step.name, step.layer)
    for part in parts_of(step.layer):
        network.owned.setdefault(id(part), (part, step.name))


def disown(network: Owner, layer: Layer) -> None:
    """End a network's ownership of a layer, its inner layers and their parameters."""
    for part in parts_of(layer):
        network.owned.pop(id(part), None)


def check_unowned(network: Owner, name: str, layer: Layer) -> None:
    """Refuse a layer for the step ``name`` if it, an inner layer or one of its parameters has another owner.

    Raises
    ------
    ValueError
        With the name of the owning step.
    """
    for part in parts_of(layer):
        here = network.owned.get(id(part))
        if here is not None and here[1] != name and isinstance(part, Parameter):
            raise ValueError(
                f"step '{name}': its parameter already belongs to step '{here[1]}'; every step needs parameters of its "
                "own"
            )
        if _other_owner(network, part) is not None:
            gc.collect()  # a deleted network may still be alive in a reference cycle
        if (there := _other_owner(network, part)) is not None:
            what = "this layer object" if part is layer else "a parameter or an inner layer of this layer"
            raise ValueError(
                f"step '{name}': {what} already belongs to step '{there}' of another network, whose optimizer would "
                "lose it; make a new layer, or a copy by copy.deepcopy"
            )


def _other_owner(network: Owner, part: Layer | Parameter) -> str | None:
    """Return the name of the step of another network that owns a layer or a parameter."""
    for reference in _OWNERS.valuerefs():
        other = reference()
        if other is not None and other is not network and id(part) in other.owned:
            return other.owned[id(part)][1]
    return None


def layers_of(layer: Layer) -> list[Layer]:
    """Return a layer and, if its class is not the package's, its inner layers."""
    return [layer] if is_builtin(layer) else [part for part in parts_of(layer) if isinstance(part, Layer)]


def parts_of(layer: Layer) -> Iterator[Layer | Parameter]:
    """Yield a layer, its inner layers (attributes, also in lists, tuples and dicts) and all their parameters."""
    seen: set[int] = set()
    waiting: list[Any] = [layer]
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, Layer):
            yield part
            yield from part.parameters.values()
            waiting += [value for name, value in vars(part).items() if name not in ("saved", "parameters", "buffers")]
        elif isinstance(part, Mapping):
            waiting += part.values()
        elif isinstance(part, list | tuple):
            waiting += part
