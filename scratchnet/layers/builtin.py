"""Recognise the package's own, unmodified layers.

A network may let one layer do the work of its neighbour, a drawing may assume which pixels a layer sees, and a file
format may store a layer under a standard name. This is correct only for the classes of this package with their original
methods: a subclass may compute something else, and so may an object or a class whose ``forward`` was replaced.
"""

import weakref
from collections.abc import Callable
from operator import attrgetter
from typing import Any

from scratchnet import layers
from scratchnet.layers.base import Layer
from scratchnet.layers.description import LayerKind

BUILTIN: tuple[type[Layer], ...] = tuple(
    found
    for name in layers.__all__
    if isinstance(found := getattr(layers, name), type) and issubclass(found, Layer) and found is not Layer
)
"""All layer classes of the package."""


def _methods_of(cls: type[Layer]) -> Callable[[type[Layer]], tuple[Any, ...]]:
    """Return a function that reads all methods of a class."""
    return attrgetter(*(name for name in dir(cls) if callable(getattr(cls, name)) and not name.startswith("__")))


_METHODS = {cls: _methods_of(cls) for cls in BUILTIN}
_AS_WRITTEN = {cls: _METHODS[cls](cls) for cls in BUILTIN}
_FORWARD = {cls: (cls.forward, cls.output_shape) for cls in BUILTIN}

_CLASS_ATTRIBUTES: "weakref.WeakKeyDictionary[type[Layer], frozenset[str]]" = weakref.WeakKeyDictionary()


def is_builtin(layer: Layer) -> bool:
    """Return whether a layer is exactly one of the package's classes, with no method replaced."""
    kind = type(layer)
    return kind in _AS_WRITTEN and _METHODS[kind](kind) == _AS_WRITTEN[kind] and not is_patched(layer)


def is_patched(layer: Layer) -> bool:
    """Return whether a method or class attribute was replaced on the object itself, as in ``layer.forward = …``."""
    kind = type(layer)
    if kind not in _CLASS_ATTRIBUTES:
        _CLASS_ATTRIBUTES[kind] = frozenset(dir(kind))
    return not _CLASS_ATTRIBUTES[kind].isdisjoint(vars(layer))


def known_kind(layer: Layer) -> LayerKind:
    """Return the kind that a layer states, or "unknown" if the statement is about another ``forward``.

    ``class Conv3x3(Conv2d)`` that only defines ``__init__`` sees the same pixels as a Conv2d. A class that defines
    ``forward`` or ``output_shape`` must state its ``kind`` as well.
    """
    lineage = type(layer).__mro__
    stated = next(i for i, cls in enumerate(lineage) if "kind" in vars(cls))
    written = next((i for i, cls in enumerate(lineage) if {"forward", "output_shape"} & vars(cls).keys()), len(lineage))
    if is_patched(layer) or stated > written:
        return "unknown"
    base = lineage[written] if written < len(lineage) else None
    if base in _FORWARD and (base.forward, base.output_shape) != _FORWARD[base]:
        return "unknown"
    return layer.kind
