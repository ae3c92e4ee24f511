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
from typing import Any

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.argument import Argument
from scratchnet.engine.memory_layout import contiguous_copy, overlaps_itself, partly_overlap, without_subclass

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))

MAY_BE_EMPTY = ("n", "_n")
"""Axes that may have size 0: the images of a batch."""


@dataclass(frozen=True)
class _ArgumentSpec:
    """Position and expectation of one array argument."""

    name: str
    argument: Argument
    axes: tuple[str, ...]
    optional: bool
    index: int = 0
    variadic: bool = False
    fields: tuple["_ArgumentSpec", ...] = ()
    plain: bool = False
    """Whether it is a float array that only has to be contiguous."""


class CheckedCall:
    """State of one call while its arguments are checked.

    Attributes
    ----------
    given, settings
        Positional and keyword arguments; after the check with contiguous arrays.
    sizes : dict
        Size of each named axis; for ``"*"`` a shape.
    checked : list of (spec, shape)
        Arguments checked so far.
    dtype : dtype or None
        Dtype of the float arguments; ``dtype_of`` is the name of the first one.
    host : bool or None
        Whether the arrays are NumPy's; ``host_of`` is the name of the first one.
    written : list of (given, used, name)
        Arrays that the operation writes to, and the arrays used in their place.
    empty : bool
        Whether an array has no elements.
    """

    __slots__ = ("checked", "dtype", "dtype_of", "empty", "given", "host", "host_of", "settings", "sizes", "written")

    def __init__(self, given: tuple[Any, ...], settings: dict[str, Any]) -> None:
        self.given, self.settings = given, settings
        self.sizes: dict[str, Any] = {}
        self.checked: list[tuple[_ArgumentSpec, tuple[int, ...]]] = []
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
        Expectation on each array argument; a string names the axes of a float array.
    """

    def __init__(self, function: Callable[..., Any], expected: Mapping[str, Argument | str]) -> None:
        self.name = function.__name__
        self.expected = {k: Argument(v) if isinstance(v, str) else v for k, v in expected.items()}
        parameters = signature(function).parameters
        if missing := [name for name in self.expected if name not in parameters]:
            raise TypeError(f"{self.name} has no arguments {missing}")
        self._specs = tuple(
            _spec(name, self.expected[name], parameter.default is None, i, parameter.kind is Parameter.VAR_POSITIONAL)
            for i, (name, parameter) in enumerate(parameters.items())
            if name in self.expected
        )

    def check(self, given: tuple[Any, ...], settings: dict[str, Any]) -> CheckedCall:
        """Check a call and return it with contiguous arrays."""
        call = CheckedCall(given, settings)
        changed: list[Any] | None = None
        for spec in self._specs:
            if spec.variadic:
                checked_values = tuple(self._value(value, spec, call) for value in given[spec.index :])
                given = (*given[: spec.index], *checked_values)
            elif spec.index < len(given):
                value = given[spec.index]
                used = self._value(value, spec, call)
                if used is not value:
                    changed = changed or list(given)
                    changed[spec.index] = used
            elif spec.name in settings:
                settings[spec.name] = self._value(settings[spec.name], spec, call)
        if call.written:
            changed = self._copy_overlapping(list(given) if changed is None else changed, settings, call.written)
        call.given = given if changed is None else tuple(changed)
        return call

    def _value(self, value: Any, spec: _ArgumentSpec, call: CheckedCall) -> Any:
        if value is None and spec.optional:
            return None
        if spec.fields:
            return self._object(value, spec, call)
        argument = spec.argument
        if spec.plain and type(value) is np.ndarray and call.host is not False and value.flags.carray:
            dtype = value.dtype
            if dtype is call.dtype or (call.dtype is None and dtype in FLOATS):
                if call.dtype is None:
                    call.dtype, call.dtype_of = dtype, spec.name
                if call.host is None:
                    call.host, call.host_of = True, spec.name
                self._check_shape(value.shape, spec, call)
                return value
        host = isinstance(value, np.ndarray)
        if call.host is not host or not host:
            self._check_device(value, host, spec, call)
        if host and type(value) is not np.ndarray:
            value = without_subclass(value, self.name, spec.name)
        dtype = value.dtype
        if argument.kind == "float":
            if dtype is not call.dtype:
                self._check_float(dtype, spec, call)
        elif argument.kind != "any" and dtype.kind not in ("iu" if argument.kind == "integer" else "iub"):
            raise TypeError(
                f"{self.name}: {spec.name} is {dtype}; expected integers, use {spec.name}.astype(numpy.int64)"
            )
        self._check_shape(value.shape, spec, call)
        flags = value.flags
        ready = flags.carray and dtype.isnative if host else flags.c_contiguous
        if ready and (argument.dtype is None or dtype == argument.dtype):
            if argument.role == "written":
                call.written = [*(call.written or ()), (value, value, spec.name)]
            return value
        return self._contiguous(value, spec, call)

    def _contiguous(self, value: Array, spec: _ArgumentSpec, call: CheckedCall) -> Array | None:
        """Return an array to use instead of one that is strided, read-only or not aligned."""
        role, flags = spec.argument.role, value.flags
        writable = getattr(flags, "writeable", True)  # CuPy's always are
        if role in ("written", "target") and not writable:
            raise ValueError(f"{self.name}: {spec.name} is read-only, but would be written to; pass a copy")
        plain = flags.c_contiguous and getattr(flags, "aligned", True) and value.dtype.isnative
        fits = spec.argument.dtype in (None, value.dtype)
        if (role == "view" and value.dtype.isnative) or (plain and fits and (role != "overwritten" or writable)):
            return value
        if role == "target":
            return None
        if role == "written" and overlaps_itself(value):
            raise ValueError(
                f"{self.name}: elements of {spec.name} share memory (strides {value.strides}), so it cannot be "
                "written to; pass a copy"
            )
        used = contiguous_copy(value, spec.argument.dtype)
        if role == "written":
            call.written = [*(call.written or ()), (value, used, spec.name)]
        return used

    def _object(self, value: Any, spec: _ArgumentSpec, call: CheckedCall) -> Any:
        """Check the arrays of an object."""
        changed = {}
        for field in spec.fields:
            try:
                part = getattr(value, field.name.rpartition(".")[2])
            except AttributeError:
                raise TypeError(f"{self.name}: {spec.name} is {_type_name(value)}; it has no {field.name}") from None
            used = self._value(part, field, call)
            if used is not part:
                changed[field.name.rpartition(".")[2]] = used
        return replace(value, **changed) if changed else value

    def _check_device(self, value: Any, host: bool, spec: _ArgumentSpec, call: CheckedCall) -> None:
        if not host:
            cupy = sys.modules.get("cupy")
            if cupy is None or not isinstance(value, cupy.ndarray):
                dtype = "float32" if spec.argument.kind == "float" else "int64"
                raise TypeError(
                    f"{self.name}: {spec.name} is {_type_name(value)}; expected a NumPy or CuPy array "
                    f"(numpy.asarray({spec.name}, numpy.{dtype}))"
                )
        if call.host is None:
            call.host, call.host_of = host, spec.name
        elif call.host is not host:
            where = "a CuPy array (GPU)", "a NumPy array (CPU)"
            raise TypeError(
                f"{self.name}: {call.host_of} is {where[call.host]} but {spec.name} is {where[host]}; "
                "move one of them (scratchnet.arrays.to_device_of)"
            )

    def _check_float(self, dtype: Any, spec: _ArgumentSpec, call: CheckedCall) -> None:
        native = dtype.newbyteorder("=")
        if native not in FLOATS:
            raise TypeError(
                f"{self.name}: {spec.name} is {dtype}; expected float32 or float64, "
                f"use {spec.name}.astype(numpy.float32)"
            )
        if call.dtype is None:
            call.dtype, call.dtype_of = native, spec.name
        elif native != call.dtype:
            raise TypeError(
                f"{self.name}: {call.dtype_of} is {call.dtype} but {spec.name} is {dtype}; all must have one dtype, "
                f"use {spec.name}.astype(numpy.{call.dtype})"
            )

    def _check_shape(self, shape: tuple[int, ...], spec: _ArgumentSpec, call: CheckedCall) -> None:
        axes = spec.axes
        if axes == ("...",):
            return
        if axes == ("*",):
            if call.sizes.setdefault("*", shape) != shape:
                raise ValueError(self._shape_error(shape, spec, call))
        elif len(shape) != len(axes):
            raise ValueError(
                f"{self.name}: {spec.name} has shape {shape}; expected {len(axes)} axes, ({_axis_names(axes)})"
            )
        else:
            sizes = call.sizes
            for axis, size in zip(axes, shape, strict=False):
                if sizes.setdefault(axis, size) != size and axis[0] != "_":
                    raise ValueError(self._shape_error(shape, spec, call))
            if 0 in shape and any(s == 0 and a not in MAY_BE_EMPTY for a, s in zip(axes, shape, strict=True)):
                raise ValueError(
                    f"{self.name}: {spec.name} of shape {shape} is empty; only the number of images may be 0"
                )
        if 0 in shape:
            call.empty = True
        call.checked.append((spec, shape))

    def _shape_error(self, shape: tuple[int, ...], spec: _ArgumentSpec, call: CheckedCall) -> str:
        """Return the message for a shape that does not match that of an earlier argument."""
        sizes = dict(zip(spec.axes, shape, strict=False)) if spec.axes != ("*",) else {"*": shape}
        axis = next(a for a in spec.axes if a[0] != "_" and call.sizes[a] != sizes[a])
        name, other = next((checked.name, size) for checked, size in call.checked if axis in checked.axes)
        if axis == "*":
            return f"{self.name}: {spec.name} {shape} must have the shape of {name} {other}"
        return (
            f"{self.name}: {spec.name} {shape} does not fit {name} {other}: axis {axis} of ({_axis_names(spec.axes)}) "
            f"is {sizes[axis]}, expected {call.sizes[axis]}"
        )

    def _copy_overlapping(
        self, given: list[Any], settings: dict[str, Any], written: Sequence[tuple[Array, Array, str]]
    ) -> list[Any]:
        """Copy arguments that partly overlap an argument that is written to."""
        for spec in self._specs:
            container: Any = given if spec.index < len(given) else settings
            key = spec.index if spec.index < len(given) else spec.name
            if container is settings and spec.name not in settings:
                continue
            value = container[key]
            for _, target, name in written:
                if name != spec.name and isinstance(value, np.ndarray) and partly_overlap(value, target):
                    container[key] = value = contiguous_copy(value)
        return given

    @staticmethod
    def write_back(result: Any, written: Sequence[tuple[Array, Array, str]]) -> Any:
        """Copy results into the strided arrays that the caller passed, and return these."""
        for target, used, _ in written:
            if target is not used:
                target[...] = used
                result = target if result is used else result
        return result


def _spec(name: str, argument: Argument, optional: bool, index: int = 0, variadic: bool = False) -> _ArgumentSpec:
    fields = tuple(_spec(f"{name}.{key}", field, True) for key, field in (argument.fields or {}).items())
    plain = argument.kind == "float" and argument.role != "written" and not fields
    return _ArgumentSpec(name, argument, tuple(argument.axes.split()), optional, index, variadic, fields, plain)


def _axis_names(axes: tuple[str, ...]) -> str:
    return ", ".join(axis.lstrip("_") for axis in axes)


def _type_name(value: Any) -> str:
    kind = type(value)
    return "None" if value is None else f"a {kind.__module__}.{kind.__qualname__}".replace("a builtins.", "a ")
