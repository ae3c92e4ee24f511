"""Check the dtypes, shapes and memory layouts of the array arguments of every operation.

An operation declares its arguments (``@operation(x="n h w c", gamma="c")``), and :class:`Arguments` checks every call
against the declaration. An array argument

- is a NumPy or CuPy array, on the same device as the others (TypeError);
- is float32 or float64, all of one call the same, as in PyTorch; labels and switches are integers (TypeError);
- has the declared axes; axes of the same name have the same size, and only ``n``, the number of images, may be 0
  (ValueError);
- may have any memory layout: channel slices, reversed or transposed views, broadcast, read-only, big-endian. Arrays
  that are not contiguous are copied, because blocks, matrix products and CUDA kernels read memory in order;
- must be writable and must not overlap itself if it is written to. The result is copied into a strided array.

The check takes about two microseconds per call. Its copies are ordinary array calls, so a replay repeats them.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from inspect import Parameter, signature
from typing import Any, Literal, TypeAlias

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.memory_layout import contiguous_copy, overlaps_itself, partly_overlap, without_subclass

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))

MAY_BE_EMPTY = ("n", "_n")
"""The axis that may have size 0: the images of a batch."""

Role: TypeAlias = Literal["read", "view", "written", "overwritten", "target"]
"""What an operation does with an array argument.

``view``: it is correct for any strides and may return a view. ``overwritten``: its memory may be used for results,
which are returned. ``target``: results may be written there, and are then returned; a strided one is not used.
"""


@dataclass(frozen=True)
class Argument:
    """What an operation expects of one array argument.

    Attributes
    ----------
    axes : str
        Names of the axes, ``"n h w c"``; one name has one size in all arguments of a call. ``"_c"`` fits any size.
        Alone, ``"*"`` is any shape (the same in all arguments that say so), and ``"..."`` is not looked at.
    kind : "float", "integer", "label" or "any"
        ``label`` is an integer or a boolean. ``any`` leaves the dtype to the operation.
    role : Role
    dtype : dtype or None
        Integers are converted to it.
    fields : mapping of str to Argument
        For an argument that is an object which holds arrays: what is expected of these.
    """

    axes: str = "*"
    kind: Literal["float", "integer", "label", "any"] = "float"
    role: Role = "read"
    dtype: Any = None
    fields: Mapping[str, "Argument"] | None = None


def labels(axes: str, dtype: Any = None) -> Argument:
    """Expect labels of pixels: integers or booleans; they are converted to ``dtype`` if it is given."""
    return Argument(axes, "label", dtype=dtype)


def written(axes: str) -> Argument:
    """Expect an array that the operation changes."""
    return Argument(axes, role="written")


def overwritten(axes: str) -> Argument:
    """Expect an array whose memory may be used for a result."""
    return Argument(axes, role="overwritten")


@dataclass(frozen=True)
class _Place:
    """Where a call carries one array argument, with its expectation taken apart."""

    name: str
    argument: Argument
    axes: tuple[str, ...]
    optional: bool
    index: int = 0
    variadic: bool = False
    fields: tuple["_Place", ...] = ()
    plain: bool = False
    """Whether it is a float array that needs no more than to be contiguous."""


class Call:
    """What is known of one call while its arguments are looked at.

    Attributes
    ----------
    given, settings
        The arguments, in the end with contiguous arrays.
    sizes : dict
        Size by the name of an axis; a shape for ``"*"``.
    seen : list of (place, shape)
    dtype : dtype or None
        Of the float arguments so far, and ``dtype_of`` the first one's name.
    host : bool or None
        Whether the arrays are NumPy's, and ``host_of`` the first one's name.
    written : list of (given, used, name)
        Arrays that the operation writes to, and what it is given in their place.
    empty : bool
        Whether an array has no elements.
    """

    __slots__ = ("dtype", "dtype_of", "empty", "given", "host", "host_of", "seen", "settings", "sizes", "written")

    def __init__(self, given: tuple[Any, ...], settings: dict[str, Any]) -> None:
        self.given, self.settings = given, settings
        self.sizes: dict[str, Any] = {}
        self.seen: list[tuple[_Place, tuple[int, ...]]] = []
        self.dtype: Any = None
        self.host: bool | None = None
        self.dtype_of = self.host_of = ""
        self.written: list[tuple[Array, Array, str]] | None = None
        self.empty = False


class Arguments:
    """The array arguments of one operation.

    Parameters
    ----------
    function : callable
    expected : mapping of str to Argument or str
        For every array argument what is expected of it; a string stands for floats with these axes.
    """

    def __init__(self, function: Callable[..., Any], expected: Mapping[str, Argument | str]) -> None:
        self.name = function.__name__
        self.expected = {k: Argument(v) if isinstance(v, str) else v for k, v in expected.items()}
        parameters = signature(function).parameters
        if missing := [name for name in self.expected if name not in parameters]:
            raise TypeError(f"{self.name} has no arguments {missing}")
        self._places = tuple(
            _place(name, self.expected[name], parameter.default is None, i, parameter.kind is Parameter.VAR_POSITIONAL)
            for i, (name, parameter) in enumerate(parameters.items())
            if name in self.expected
        )

    def admit(self, given: tuple[Any, ...], settings: dict[str, Any]) -> Call:
        """Check a call and return it with contiguous arrays."""
        call = Call(given, settings)
        changed: list[Any] | None = None
        for place in self._places:
            if place.variadic:
                admitted = tuple(self._value(value, place, call) for value in given[place.index :])
                given = (*given[: place.index], *admitted)
            elif place.index < len(given):
                value = given[place.index]
                used = self._value(value, place, call)
                if used is not value:
                    changed = changed or list(given)
                    changed[place.index] = used
            elif place.name in settings:
                settings[place.name] = self._value(settings[place.name], place, call)
        if call.written:
            changed = self._apart(list(given) if changed is None else changed, settings, call.written)
        call.given = given if changed is None else tuple(changed)
        return call

    def _value(self, value: Any, place: _Place, call: Call) -> Any:
        if place.fields:
            return self._object(value, place, call)
        if value is None and place.optional:
            return None
        argument = place.argument
        if place.plain and type(value) is np.ndarray and call.host is not False and value.flags.carray:
            dtype = value.dtype
            if dtype is call.dtype or (call.dtype is None and dtype in FLOATS):
                if call.dtype is None:
                    call.dtype, call.dtype_of = dtype, place.name
                if call.host is None:
                    call.host, call.host_of = True, place.name
                self._check_shape(value.shape, place, call)
                return value
        host = isinstance(value, np.ndarray)
        if call.host is not host or not host:
            self._check_device(value, host, place, call)
        if host and type(value) is not np.ndarray:
            value = without_subclass(value, self.name, place.name)
        dtype = value.dtype
        if argument.kind == "float":
            if dtype is not call.dtype:
                self._check_float(dtype, place, call)
        elif argument.kind != "any" and dtype.kind not in ("iu" if argument.kind == "integer" else "iub"):
            raise TypeError(
                f"{self.name}: {place.name} is {dtype}; expected integers, use {place.name}.astype(numpy.int64)"
            )
        self._check_shape(value.shape, place, call)
        flags = value.flags
        ready = flags.carray and dtype.isnative if host else flags.c_contiguous
        if ready and (argument.dtype is None or dtype == argument.dtype):
            if argument.role == "written":
                call.written = [*(call.written or ()), (value, value, place.name)]
            return value
        return self._contiguous(value, place, call)

    def _contiguous(self, value: Array, place: _Place, call: Call) -> Array | None:
        """Return an array that may be worked with in the place of one that is strided, read-only or not aligned."""
        role, flags = place.argument.role, value.flags
        writable = getattr(flags, "writeable", True)  # CuPy's always are
        if role in ("written", "target") and not writable:
            raise ValueError(f"{self.name}: {place.name} is read-only, but is to be written to; pass a copy")
        plain = flags.c_contiguous and getattr(flags, "aligned", True) and value.dtype.isnative
        fits = place.argument.dtype in (None, value.dtype)
        if (role == "view" and value.dtype.isnative) or (plain and fits and (role != "overwritten" or writable)):
            return value
        if role == "target":
            return None
        if role == "written" and overlaps_itself(value):
            raise ValueError(
                f"{self.name}: elements of {place.name} share memory (strides {value.strides}), so it cannot be "
                "written to; pass a copy"
            )
        used = contiguous_copy(value, place.argument.dtype)
        if role == "written":
            call.written = [*(call.written or ()), (value, used, place.name)]
        return used

    def _object(self, value: Any, place: _Place, call: Call) -> Any:
        """Check the arrays of an object."""
        changed = {}
        for field in place.fields:
            try:
                part = getattr(value, field.name.rpartition(".")[2])
            except AttributeError:
                raise TypeError(f"{self.name}: {place.name} is {_described(value)}; it has no {field.name}") from None
            used = self._value(part, field, call)
            if used is not part:
                changed[field.name.rpartition(".")[2]] = used
        return replace(value, **changed) if changed else value

    def _check_device(self, value: Any, host: bool, place: _Place, call: Call) -> None:
        if not host:
            cupy = sys.modules.get("cupy")
            if cupy is None or not isinstance(value, cupy.ndarray):
                dtype = "float32" if place.argument.kind == "float" else "int64"
                raise TypeError(
                    f"{self.name}: {place.name} is {_described(value)}; expected a NumPy or CuPy array "
                    f"(numpy.asarray({place.name}, numpy.{dtype}))"
                )
        if call.host is None:
            call.host, call.host_of = host, place.name
        elif call.host is not host:
            where = "a CuPy array (GPU)", "a NumPy array (CPU)"
            raise TypeError(
                f"{self.name}: {call.host_of} is {where[call.host]} but {place.name} is {where[host]}; "
                "move one of them (scratchnet.arrays.to_device_of)"
            )

    def _check_float(self, dtype: Any, place: _Place, call: Call) -> None:
        native = dtype.newbyteorder("=")
        if native not in FLOATS:
            raise TypeError(
                f"{self.name}: {place.name} is {dtype}; expected float32 or float64, "
                f"use {place.name}.astype(numpy.float32)"
            )
        if call.dtype is None:
            call.dtype, call.dtype_of = native, place.name
        elif native != call.dtype:
            raise TypeError(
                f"{self.name}: {call.dtype_of} is {call.dtype} but {place.name} is {dtype}; all must have one dtype, "
                f"use {place.name}.astype(numpy.{call.dtype})"
            )

    def _check_shape(self, shape: tuple[int, ...], place: _Place, call: Call) -> None:
        axes = place.axes
        if axes == ("...",):
            return
        if axes == ("*",):
            if call.sizes.setdefault("*", shape) != shape:
                raise ValueError(self._misfit(shape, place, call))
        elif len(shape) != len(axes):
            raise ValueError(
                f"{self.name}: {place.name} has shape {shape}; expected {len(axes)} axes, ({_listed(axes)})"
            )
        else:
            sizes = call.sizes
            for axis, size in zip(axes, shape, strict=False):
                if sizes.setdefault(axis, size) != size and axis[0] != "_":
                    raise ValueError(self._misfit(shape, place, call))
            if 0 in shape and any(s == 0 and a not in MAY_BE_EMPTY for a, s in zip(axes, shape, strict=True)):
                raise ValueError(
                    f"{self.name}: {place.name} of shape {shape} is empty; only the number of images may be 0"
                )
        if 0 in shape:
            call.empty = True
        call.seen.append((place, shape))

    def _misfit(self, shape: tuple[int, ...], place: _Place, call: Call) -> str:
        """Return the message for a shape that contradicts an earlier argument's."""
        sizes = dict(zip(place.axes, shape, strict=False)) if place.axes != ("*",) else {"*": shape}
        axis = next(a for a in place.axes if a[0] != "_" and call.sizes[a] != sizes[a])
        name, other = next((seen.name, size) for seen, size in call.seen if axis in seen.axes)
        if axis == "*":
            return f"{self.name}: {place.name} {shape} must have the shape of {name} {other}"
        return (
            f"{self.name}: {place.name} {shape} does not fit {name} {other}: axis {axis} of ({_listed(place.axes)}) "
            f"is {sizes[axis]}, expected {call.sizes[axis]}"
        )

    def _apart(
        self, given: list[Any], settings: dict[str, Any], written: Sequence[tuple[Array, Array, str]]
    ) -> list[Any]:
        """Copy arguments that overlap with one that is written to without being the same array."""
        for place in self._places:
            here: Any = given if place.index < len(given) else settings
            key = place.index if place.index < len(given) else place.name
            if here is settings and place.name not in settings:
                continue
            value = here[key]
            for _, target, name in written:
                if name != place.name and isinstance(value, np.ndarray) and partly_overlap(value, target):
                    here[key] = value = contiguous_copy(value)
        return given

    @staticmethod
    def finish(result: Any, written: Sequence[tuple[Array, Array, str]]) -> Any:
        """Copy results into the strided arrays that they were asked for; return the arrays that the caller knows."""
        for asked, used, _ in written:
            if asked is not used:
                asked[...] = used
                result = asked if result is used else result
        return result


def _place(name: str, argument: Argument, optional: bool, index: int = 0, variadic: bool = False) -> _Place:
    fields = tuple(_place(f"{name}.{key}", field, True) for key, field in (argument.fields or {}).items())
    plain = argument.kind == "float" and argument.role != "written" and not fields
    return _Place(name, argument, tuple(argument.axes.split()), optional, index, variadic, fields, plain)


def _listed(axes: tuple[str, ...]) -> str:
    return ", ".join(axis.lstrip("_") for axis in axes)


def _described(value: Any) -> str:
    kind = type(value)
    return "None" if value is None else f"a {kind.__module__}.{kind.__qualname__}".replace("a builtins.", "a ")
