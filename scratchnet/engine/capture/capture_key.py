"""The key of a capture: every setting of every layer, as a hashable value.

A capture repeats the calls that a layer made with the settings of that moment. All attributes of a layer are therefore
part of the key of its capture, including the elements of lists and dicts and the contents of arrays: changing a setting
in place gives a new key. An attribute that cannot be compared (a lock, an open file, a large array) raises
:class:`NotComparable`, and the network then runs without capture.
"""

import random
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from functools import lru_cache, partial
from hashlib import blake2b
from pathlib import PurePath
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from scratchnet.arrays import Array
from scratchnet.layers.base import Layer
from scratchnet.layers.builtin import BUILTIN, is_builtin
from scratchnet.layers.parameter import Buffer, Parameter
from scratchnet.layers.synchronized import SyncBatchNorm2d
from scratchnet.network import Network

MAX_SETTING_BYTES = 1 << 20
"""Maximum size of an array among a layer's settings: every call of the network reads the whole array."""

_NO_SETTINGS = frozenset({"parameters", "buffers", "arguments"})
"""Attributes of every layer that are not settings; parameters and buffers are compared by their addresses."""

_SIMPLE = frozenset({bool, int, str, type(None)})

_DATA = (bool, int, float, str, np.ndarray, np.generic, tuple, dict)
"""Types of global variables whose contents are compared if a method reads them. Others are compared by identity,
because they may change without effect on the method: a list may be a log of calls."""

_VALUES = (Decimal, Fraction, PurePath, date, time, timedelta, range, slice, complex)
_BY_IDENTITY = (
    type, ModuleType, BuiltinFunctionType, np.ufunc, weakref.ref, np.random.Generator, np.random.RandomState,
    np.random.BitGenerator, random.Random, Network,
)  # fmt: skip


class _Identity:
    """Compares an object by identity, and keeps it alive so that no other object gets its id."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and other.value is self.value

    def __hash__(self) -> int:
        return id(self.value)


class NotComparable(TypeError):
    """A setting of a layer cannot be compared with its earlier value."""


def settings_of(layer: Layer) -> Any:
    """Return all settings of a layer, and the addresses of its parameters and buffers, as one hashable value.

    Raises
    ------
    NotComparable
        With the name of the attribute.
    """
    return _layer_token(layer, set())


def changed_settings(before: Any, after: Any) -> list[str]:
    """Return the names of the attributes in which two results of :func:`settings_of` differ."""
    a, b = ({name: rest for name, *rest in settings[3]} for settings in (before, after))
    return [name for name in a | b if a.get(name) != b.get(name)]


def digest(array: Array) -> bytes:
    """Return a hash of the contents of an array."""
    plain = np.ascontiguousarray(array).view(np.ndarray).reshape(-1).view(np.uint8)
    return blake2b(plain.data, digest_size=16).digest()


def _layer_token(layer: Layer, seen: set[int]) -> Any:
    cls = type(layer)
    skipped = _skipped(cls)  # type: ignore[arg-type]  # mypy compares the hash of objects, not of the class
    attributes: list[tuple[Any, ...]] = []
    for name, value in vars(layer).items():
        if name not in skipped:
            kind = type(value)
            if kind in _SIMPLE or (cls is SyncBatchNorm2d and name == "allreduce"):  # the same object is enough
                attributes.append((name, kind, value))
            elif kind is tuple and _SIMPLE.issuperset(map(type, value)):
                attributes.append((name, *map(type, value), value))
            else:
                attributes.append((name, _attribute_token(name, value, seen)))
    memory = (
        *((name, _parameter_token(p)) for name, p in layer.parameters.items()),
        *((name, _address(b.value)) for name, b in layer.buffers.items()),
    )
    return cls, memory, () if is_builtin(layer) else _class_settings(cls, seen), tuple(attributes)


@lru_cache(maxsize=256)
def _skipped(cls: type[Layer]) -> frozenset[str]:
    """Return the attributes of a class that are not settings, see :attr:`Layer.transient_attributes`."""
    transient = [vars(base).get("transient_attributes", frozenset()) for base in cls.__mro__]
    return _NO_SETTINGS.union(*transient)


def _attribute_token(name: str, value: Any, seen: set[int]) -> Any:
    try:
        return _token(value, seen)
    except NotComparable as error:
        raise NotComparable(f"attribute '{name}' {error}") from None


def _class_settings(kind: type[Layer], seen: set[int]) -> tuple[Any, ...]:
    """Return the class attributes of a custom layer class and its custom base classes."""
    settings: list[Any] = []
    for base in kind.__mro__:
        if base in BUILTIN or base is Layer:
            break
        for name, value in vars(base).items():
            if not name.startswith("__") and name != "_abc_impl":
                plain = callable(value) or hasattr(value, "__get__")
                settings.append((name, _Identity(value) if plain else _attribute_token(name, value, seen)))
                settings += [(name, token) for token in _outer_values(value, seen)]
    return *settings, kind.forward, kind.backward


def _outer_values(method: Any, seen: set[int]) -> Iterator[Any]:
    """Yield tokens of the values that a method reads from outside: globals and closure variables."""
    method = getattr(method, "__func__", method)  # unwrap a static or class method
    if isinstance(method, FunctionType):
        outside = [method.__globals__[name] for name in _names_in(method.__code__) if name in method.__globals__]
        for value in (*outside, *(cell.cell_contents for cell in method.__closure__ or ())):
            try:
                yield _token(value, seen) if isinstance(value, _DATA) else _Identity(value)
            except NotComparable:
                yield _Identity(value)


@lru_cache(maxsize=256)
def _names_in(code: CodeType) -> tuple[str, ...]:
    """Return the global names that a code object, including nested ones, may read."""
    nested = [name for part in code.co_consts if isinstance(part, CodeType) for name in _names_in(part)]
    return tuple(dict.fromkeys([*code.co_names, *nested]))


def _parameter_token(parameter: Parameter) -> Any:
    return parameter.binding, parameter.frozen


def _address(array: Array) -> Any:
    """Return the address and layout of an array; a capture keeps its memory from being reused."""
    if not isinstance(array, np.ndarray):
        return id(array)
    return array.__array_interface__["data"][0], array.shape, array.strides, array.dtype.str


def _token(value: Any, seen: set[int]) -> Any:  # noqa: PLR0911
    """Return a hashable value that changes whenever ``value`` does."""
    kind = type(value)
    if value is None or kind in (bool, int, str, bytes):
        return kind, value
    if isinstance(value, Enum):
        return kind, value.name
    if kind is float:
        return kind, value.hex()  # -0.0 is not 0.0, and nan is nan
    if isinstance(value, np.ndarray | np.generic):
        return kind, _array_token(value)
    if isinstance(value, _BY_IDENTITY):
        return kind, value
    if isinstance(value, (*_VALUES, np.dtype)):
        return kind, repr(value)
    if id(value) in seen:
        return "seen", kind
    return kind, _contents(value, seen | {id(value)})


def _array_token(value: Any) -> Any:
    if value.dtype.hasobject:
        raise NotComparable("is an array of Python objects, whose changes cannot be detected")
    if value.nbytes > MAX_SETTING_BYTES:
        raise NotComparable(
            f"is an array of {value.nbytes / 1e6:.1f} MB, too large to compare at every call (store constants in a "
            "Buffer, and pass what backward needs to self.save_for_backward)"
        )
    if isinstance(value, np.generic):
        return value.dtype.str, value.tobytes()
    return _address(value), digest(value)


def _contents(value: Any, seen: set[int]) -> Any:  # noqa: PLR0911
    """Return a token of the contents of a container, a function or an object."""
    if isinstance(value, Layer):
        return _layer_token(value, seen)
    if isinstance(value, Parameter):
        return _parameter_token(value)
    if isinstance(value, Buffer):
        return _address(value.value)
    if isinstance(value, list | tuple | deque):
        return tuple(_token(v, seen) for v in value)
    if isinstance(value, set | frozenset):
        return frozenset(_token(v, seen) for v in value)
    if isinstance(value, Mapping):
        return tuple((_token(k, seen), _token(v, seen)) for k, v in value.items())
    if isinstance(value, MethodType | FunctionType | partial):
        return _function_token(value, seen)
    state = dict(getattr(value, "__dict__", {}))
    slots = [getattr(cls, "__slots__", ()) for cls in type(value).__mro__]
    names = [name for slot in slots for name in ((slot,) if isinstance(slot, str) else slot)]
    state |= {name: getattr(value, name) for name in names if name != "__weakref__" and hasattr(value, name)}
    if not hasattr(value, "__dict__") and not names:
        raise NotComparable(f"is a {type(value).__name__}, whose changes cannot be detected")
    return tuple((name, _token(v, seen)) for name, v in state.items())


def _function_token(value: Callable[..., Any], seen: set[int]) -> Any:
    if isinstance(value, MethodType):
        return _token(value.__func__, seen), _token(value.__self__, seen)
    if isinstance(value, partial):
        return _token(value.func, seen), _token(value.args, seen), _token(value.keywords, seen)
    assert isinstance(value, FunctionType)
    cells = [cell.cell_contents for cell in value.__closure__ or ()]
    return value.__code__, _token(cells, seen), _token(value.__defaults__, seen), _token(value.__kwdefaults__, seen)
