"""Arrays that note down what is done to them."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.capture.detached import detached, detached_deep
from scratchnet.engine.capture.program import CannotCapture
from scratchnet.engine.capture.writer import recorder, write
from scratchnet.engine.memory.pool import pooled_empty

_OUT_BY_NAME = {np.maximum, np.minimum}
"""Functions that want ``out`` by its name, which takes as long as adding up a hundred numbers."""


def traced(array: Array) -> Array:
    """Return a view of ``array`` whose calls are written down, while a recorder is at work."""
    if recorder() is None or isinstance(array, TracedArray):
        return array
    return array.view(TracedArray)


def record_call(function: Callable[..., None], *arrays: Array) -> None:
    """Call a function that writes into arrays, now and in every replay: for what is no array call, such as a draw."""
    _check_followed(arrays)
    function(*map(_plain, arrays))
    write(function, *arrays)


class TracedArray(np.ndarray[Any, Any]):
    """An array that notes down what is done to it."""

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: str, *inputs: Any, out: tuple[Any, ...] | None = None, **settings: Any
    ) -> Any:
        """Do the call, and write it down with the array that its result went to."""
        function = ufunc if method == "__call__" else getattr(ufunc, method)
        plain = [_plain(i) for i in inputs]
        if out is None:
            result = _own(function(*plain, **settings))
        else:
            _check_followed(out)
            function(*plain, out=tuple(_plain(o) for o in out), **settings)
            result = out[0] if len(out) == 1 else out
        if method == "__call__" and isinstance(result, np.ndarray) and ufunc not in _OUT_BY_NAME:
            write(function, *plain, _plain(result), **settings)
        else:
            write(function, *plain, out=_plain(result), **settings)
        return result

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """Do the call; what it made is computed anew in a replay, and a view stays a view."""
        plain_args, plain_kwargs = _deep(args), {k: _deep(v) for k, v in kwargs.items()}
        if func is np.copyto:
            _check_followed(args[:1])
            func(*plain_args, **plain_kwargs)
            write(func, *plain_args, **plain_kwargs)
            return None
        if kwargs.get("out") is not None:
            raise CannotCapture(f"numpy.{func.__name__} with out= cannot be recorded; assign its result")
        result = func(*plain_args, **plain_kwargs)
        if _is_view(result, plain_args):
            return traced(result)
        result = _own(result)
        if isinstance(result, tuple):
            raise CannotCapture(f"numpy.{func.__name__} makes several arrays; a replay follows one")
        again = partial(func, *detached_deep(plain_args), **{k: detached_deep(v) for k, v in plain_kwargs.items()})
        write(_assign, _plain(result), again)
        return result

    def __setitem__(self, key: Any, value: Any) -> None:
        """Assign, and write the assignment down."""
        plain = _plain(self)
        target = plain[key]
        if getattr(target, "size", 1) == 0:
            return
        if not isinstance(target, np.ndarray):  # one number
            target = plain[(*key, None) if isinstance(key, tuple) else (key, None)]
        if not np.may_share_memory(target, plain):
            raise CannotCapture("assigning to chosen elements cannot be recorded; use slices")
        np.copyto(target, _plain(value))
        write(np.copyto, target, _plain(value))

    def __getitem__(self, key: Any) -> Any:
        """Return a view; choosing elements by number or mask is recorded as a copy."""
        plain = _plain(self)
        result = plain[key]
        if not isinstance(result, np.ndarray):
            if recorder() is None:
                return result
            raise CannotCapture("a single number was read out of an array; a replay could not read it again")
        if np.may_share_memory(result, plain) or result.size == 0:
            return result.view(TracedArray)
        if any(isinstance(k, TracedArray) and k.dtype == bool for k in (key if isinstance(key, tuple) else (key,))):
            raise CannotCapture("how many elements a mask chooses depends on the numbers; multiply by the mask")
        result = _own(result)
        write(_assign, _plain(result), partial(_take, detached(plain), detached(_plain(key))))
        return result

    def reshape(self, *shape: Any, **settings: Any) -> Any:
        """Return the array in another shape; where that takes a copy, the copy is recorded."""
        plain = _plain(self)
        if settings.get("order", "C") != "C":
            raise CannotCapture("only a reshape in C order can be recorded")
        result = plain.reshape(*shape, **settings)
        if np.may_share_memory(result, plain) or result.size == 0:
            return result.view(TracedArray)
        own = _own(result)
        write(np.copyto, _plain(own).reshape(plain.shape), plain)
        return own

    def copy(self, order: Any = "C") -> Any:
        """Copy, and write it down."""
        result = _own(_plain(self).copy(order))
        write(np.copyto, _plain(result), _plain(self))
        return result

    def astype(self, dtype: Any, *rest: Any, **settings: Any) -> Any:
        """Convert, and write it down."""
        result = _own(np.array(_plain(self), dtype))
        write(np.copyto, _plain(result), _plain(self), casting="unsafe")
        return result

    def fill(self, value: Any) -> None:
        """Fill, and write it down."""
        _plain(self).fill(value)
        write(np.copyto, _plain(self), value)

    def flatten(self, *order: Any) -> Any:
        """Return a copy as a vector."""
        return self.copy().reshape(-1, **dict(zip(("order",), order, strict=False)))

    def ravel(self, *order: Any) -> Any:
        """Return the numbers as a vector, a view where that is possible."""
        return self.reshape(-1, **dict(zip(("order",), order, strict=False)))


def _refusing(name: str) -> Callable[..., Any]:
    """Return the method ``name`` of arrays, which refuses to work while recording."""

    def method(self: Array, *arguments: Any, **settings: Any) -> Any:
        if recorder() is None:
            return getattr(_plain(self), name)(*arguments, **settings)
        raise CannotCapture(
            f"{name} was called while recording; a replay could not ask again (numpy.… in place of a method may work)"
        )

    return method


_UNSEEN = (
    "__bool__ __float__ __int__ __index__ __complex__ item tolist tobytes "  # numbers leave for Python
    "argmax argmin argpartition argsort byteswap choose compress cumprod cumsum diagonal dot nonzero partition put "
    "repeat resize searchsorted setfield sort take trace"  # NumPy does these without telling a subclass
)
for _name in _UNSEEN.split():
    setattr(TracedArray, _name, _refusing(_name))


def _check_followed(targets: Sequence[Any]) -> None:
    """Refuse to write to an ordinary array: how it was made is not on record, and processes would not share it."""
    if recorder() is not None and not all(isinstance(target, TracedArray) for target in targets):
        raise CannotCapture(
            "a call writes to an array that was made without a trace; allocate it with pooled_empty or pooled_zeros"
        )


def _own(result: Any) -> Any:
    """Turn a fresh result into a recorded array; a bare number cannot be followed."""
    if isinstance(result, tuple):
        return tuple(_own(r) for r in result)
    if not isinstance(result, np.ndarray):
        if recorder() is None:
            return result
        raise CannotCapture("a sum over everything gives one number; keep an axis (keepdims) while recording")
    if recorder() is None:
        return result.view(TracedArray)
    if result.dtype.hasobject:
        raise CannotCapture("an array of Python objects was made; a replay follows numbers")
    adopted = pooled_empty(result, result.shape)  # in the program's own memory
    np.copyto(adopted.view(np.ndarray), result)
    return adopted


def _plain(value: Any) -> Any:
    """Return the ordinary array behind a recorded one."""
    if isinstance(value, TracedArray):
        return value.view(np.ndarray)
    return tuple(map(_plain, value)) if isinstance(value, tuple) else value


def _deep(value: Any) -> Any:
    """Return nested lists and tuples with ordinary arrays in the place of recorded ones."""
    return type(value)(map(_deep, value)) if isinstance(value, list | tuple) else _plain(value)


def _is_view(result: Any, args: Any) -> bool:
    """Return whether ``result`` looks into one of the arguments."""
    if isinstance(args, list | tuple):
        return any(_is_view(result, a) for a in args)
    both = isinstance(result, np.ndarray) and isinstance(args, np.ndarray)
    return both and result.size > 0 and bool(np.may_share_memory(result, args))


def _assign(target: Array, function: Callable[[], Array]) -> None:
    """Write what ``function`` returns to ``target``."""
    result = function()
    if result.shape != target.shape:
        raise RuntimeError(f"replay: {result.shape} numbers came where {target.shape} were recorded")
    np.copyto(target, result)


def _take(array: Array, key: Any) -> Array:
    taken: Array = array[key]
    return taken
