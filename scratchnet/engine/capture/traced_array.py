"""Arrays that record the calls made on them."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.capture.active_recorder import active_recorder, record
from scratchnet.engine.capture.detached import detached, detached_nested
from scratchnet.engine.capture.program import CannotCapture
from scratchnet.engine.memory.pool import pooled_empty

_OUT_BY_NAME = {np.maximum, np.minimum}
"""Ufuncs that require ``out`` as a keyword argument, which takes as long as adding a hundred values."""


def traced(array: Array) -> Array:
    """Return a view of ``array`` that records its calls if a recorder is active."""
    if active_recorder() is None or isinstance(array, TracedArray):
        return array
    return array.view(TracedArray)


def record_call(function: Callable[..., None], *arrays: Array) -> None:
    """Call a function that writes into arrays, now and in every replay.

    It is for functions that are not array calls, such as a random draw.
    """
    _check_traced(arrays)
    function(*map(_plain, arrays))
    record(function, *arrays)


class TracedArray(np.ndarray[Any, Any]):
    """An array that records the calls made on it."""

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: str, *inputs: Any, out: tuple[Any, ...] | None = None, **settings: Any
    ) -> Any:
        """Make the call, and record it with the array that holds its result."""
        function = ufunc if method == "__call__" else getattr(ufunc, method)
        plain = [_plain(i) for i in inputs]
        if out is None:
            result = _adopted(function(*plain, **settings))
        else:
            _check_traced(out)
            function(*plain, out=tuple(_plain(o) for o in out), **settings)
            result = out[0] if len(out) == 1 else out
        if method == "__call__" and isinstance(result, np.ndarray) and ufunc not in _OUT_BY_NAME:
            record(function, *plain, _plain(result), **settings)
        else:
            record(function, *plain, out=_plain(result), **settings)
        return result

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """Make the call; a replay computes a new array again, and a view stays a view."""
        plain_args, plain_kwargs = _plain_nested(args), {k: _plain_nested(v) for k, v in kwargs.items()}
        if func is np.copyto:
            _check_traced(args[:1])
            func(*plain_args, **plain_kwargs)
            record(func, *plain_args, **plain_kwargs)
            return None
        if kwargs.get("out") is not None:
            raise CannotCapture(f"numpy.{func.__name__} with out= cannot be captured; assign its result")
        result = func(*plain_args, **plain_kwargs)
        if _is_view(result, plain_args):
            return traced(result)
        result = _adopted(result)
        if isinstance(result, tuple):
            raise CannotCapture(f"numpy.{func.__name__} returns several arrays; a replay can repeat only one")
        repeat = partial(func, *detached_nested(plain_args), **{k: detached_nested(v) for k, v in plain_kwargs.items()})
        record(_assign, _plain(result), repeat)
        return result

    def __setitem__(self, key: Any, value: Any) -> None:
        """Assign, and record the assignment."""
        plain = _plain(self)
        target = plain[key]
        if getattr(target, "size", 1) == 0:
            return
        if not isinstance(target, np.ndarray):  # a single element
            target = plain[(*key, None) if isinstance(key, tuple) else (key, None)]
        if not np.may_share_memory(target, plain):
            raise CannotCapture("assignment by index array or mask cannot be captured; use slices")
        np.copyto(target, _plain(value))
        record(np.copyto, target, _plain(value))

    def __getitem__(self, key: Any) -> Any:
        """Return a view; indexing with an index array or a mask is recorded as a copy."""
        plain = _plain(self)
        result = plain[key]
        if not isinstance(result, np.ndarray):
            if active_recorder() is None:
                return result
            raise CannotCapture("a single element was read out of an array; a replay could not read it again")
        if np.may_share_memory(result, plain) or result.size == 0:
            return result.view(TracedArray)
        if any(isinstance(k, TracedArray) and k.dtype == bool for k in (key if isinstance(key, tuple) else (key,))):
            raise CannotCapture(
                "the number of elements that a mask selects depends on its values; multiply by the mask"
            )
        result = _adopted(result)
        record(_assign, _plain(result), partial(_take, detached(plain), detached(_plain(key))))
        return result

    def reshape(self, *shape: Any, **settings: Any) -> Any:
        """Return the array in another shape; if that needs a copy, the copy is recorded."""
        plain = _plain(self)
        if settings.get("order", "C") != "C":
            raise CannotCapture("only a reshape in C order can be captured")
        result = plain.reshape(*shape, **settings)
        if np.may_share_memory(result, plain) or result.size == 0:
            return result.view(TracedArray)
        adopted = _adopted(result)
        record(np.copyto, _plain(adopted).reshape(plain.shape), plain)
        return adopted

    def copy(self, order: Any = "C") -> Any:
        """Return a copy, and record the copying."""
        result = _adopted(_plain(self).copy(order))
        record(np.copyto, _plain(result), _plain(self))
        return result

    def astype(self, dtype: Any, *rest: Any, **settings: Any) -> Any:
        """Return a converted copy, and record the conversion."""
        result = _adopted(np.array(_plain(self), dtype))
        record(np.copyto, _plain(result), _plain(self), casting="unsafe")
        return result

    def fill(self, value: Any) -> None:
        """Fill with a value, and record it."""
        _plain(self).fill(value)
        record(np.copyto, _plain(self), value)

    def flatten(self, *order: Any) -> Any:
        """Return a copy as a vector."""
        return self.copy().reshape(-1, **dict(zip(("order",), order, strict=False)))

    def ravel(self, *order: Any) -> Any:
        """Return the elements as a vector, as a view if possible."""
        return self.reshape(-1, **dict(zip(("order",), order, strict=False)))


def _refusing(name: str) -> Callable[..., Any]:
    """Return the array method ``name``, which raises CannotCapture while a recorder is active."""

    def method(self: Array, *arguments: Any, **settings: Any) -> Any:
        if active_recorder() is None:
            return getattr(_plain(self), name)(*arguments, **settings)
        raise CannotCapture(
            f"{name} was called during capture; a replay could not call it again (try numpy.… instead of the method)"
        )

    return method


_UNTRACEABLE = (
    "__bool__ __float__ __int__ __index__ __complex__ item tolist tobytes "  # values become Python objects
    "argmax argmin argpartition argsort byteswap choose compress cumprod cumsum diagonal dot nonzero partition put "
    "repeat resize searchsorted setfield sort take trace"  # NumPy does not notify subclasses of these
)
for _name in _UNTRACEABLE.split():
    setattr(TracedArray, _name, _refusing(_name))


def _check_traced(targets: Sequence[Any]) -> None:
    """Refuse to write to an untraced array: its creation was not recorded, and worker processes would not share it."""
    if active_recorder() is not None and not all(isinstance(target, TracedArray) for target in targets):
        raise CannotCapture(
            "a call writes to an array that was made without a trace; allocate it with pooled_empty or pooled_zeros"
        )


def _adopted(result: Any) -> Any:
    """Convert a new result into a traced array; a bare number cannot be traced."""
    if isinstance(result, tuple):
        return tuple(_adopted(r) for r in result)
    if not isinstance(result, np.ndarray):
        if active_recorder() is None:
            return result
        raise CannotCapture(
            "a reduction over all axes gives a bare number, which cannot be traced; keep an axis (keepdims)"
        )
    if active_recorder() is None:
        return result.view(TracedArray)
    if result.dtype.hasobject:
        raise CannotCapture("an array of Python objects was created; only numerical arrays can be traced")
    adopted = pooled_empty(result, result.shape)  # in the memory of the program
    np.copyto(adopted.view(np.ndarray), result)
    return adopted


def _plain(value: Any) -> Any:
    """Return the untraced array of a traced one."""
    if isinstance(value, TracedArray):
        return value.view(np.ndarray)
    return tuple(map(_plain, value)) if isinstance(value, tuple) else value


def _plain_nested(value: Any) -> Any:
    """Return nested lists and tuples with untraced arrays in place of traced ones."""
    return type(value)(map(_plain_nested, value)) if isinstance(value, list | tuple) else _plain(value)


def _is_view(result: Any, args: Any) -> bool:
    """Return whether ``result`` is a view of one of the arguments."""
    if isinstance(args, list | tuple):
        return any(_is_view(result, a) for a in args)
    both = isinstance(result, np.ndarray) and isinstance(args, np.ndarray)
    return both and result.size > 0 and bool(np.may_share_memory(result, args))


def _assign(target: Array, function: Callable[[], Array]) -> None:
    """Write the result of ``function`` to ``target``."""
    result = function()
    if result.shape != target.shape:
        raise RuntimeError(f"replay: a call returned shape {result.shape}, but {target.shape} was captured")
    np.copyto(target, result)


def _take(array: Array, key: Any) -> Array:
    taken: Array = array[key]
    return taken
