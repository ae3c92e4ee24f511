"""Record a computation once, replay it many times.

Every training step makes the same NumPy calls, on memory of the same sizes, in the same order; only the numbers differ.
So :class:`Recorder` runs a piece of code once on arrays that write down each call made on them, and :class:`Program`
makes those calls again, on the same memory, without the Python in between (CUDA graphs do this on a GPU).

That matters more than it seems. Python threads take turns at the interpreter's lock, and a turn that is asked for too
often costs more than the work: with 1 µs of Python between calls of 10 µs, two threads are no quicker than one. A
recorded program has next to nothing in between, so its calls may be short, which means small blocks, which means that
they stay in a core's cache.

What is recorded: ufuncs (with their operators, in-place forms and reductions), assignments, NumPy functions, copies.
What cannot be: asking for a number (``float``, ``bool``, ``if x > 0``), because the answer would be frozen in. Then
:class:`CannotRecord` is raised.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, TypeVar

import numpy as np

from scratchnet.arrays import Array
from scratchnet.recycling import Shared, empty, using
from scratchnet.workspace import Workspace

T = TypeVar("T")
R = TypeVar("R")

Call = Callable[[], Any]
Section = list[list[Call]]
"""What the threads do between two meetings: a list of calls each."""


class CannotRecord(RuntimeError):
    """A computation depends on its numbers in a way that a replay could not follow."""


class Program:
    """Sections of calls, to be made one section after the other."""

    def __init__(self) -> None:
        self.sections: list[Section] = []

    def add(self, call: Call) -> None:
        """Append a call that one thread makes while the others wait."""
        if not self.sections or len(self.sections[-1]) > 1:
            self.sections.append([[]])
        self.sections[-1][0].append(call)


class Recorder:
    """Writes calls into a program.

    The arrays of the program live in memory of its own: one workspace for what all threads see, one for the scratch of
    each thread, so that two threads never share a scratch array that was used one after the other while recording.
    """

    def __init__(self) -> None:
        self.program = Program()
        self.spaces = [Workspace(Recorded)]
        self._calls: list[Call] | None = None  # of the share that is being recorded

    @contextmanager
    def writing(self, program: Program) -> Iterator[None]:
        """Record everything inside this block into ``program``."""
        self.program = program
        token = _RECORDER.set(self)
        try:
            with using(self.spaces[0]):
                yield
        finally:
            _RECORDER.reset(token)

    def write(self, function: Callable[..., Any], *arguments: Any, **settings: Any) -> None:
        """Note down one call."""
        call = partial(function, *map(_detached, arguments), **{k: _detached(v) for k, v in settings.items()})
        if self._calls is None:
            self.program.add(call)
        else:
            self._calls.append(call)

    def shares(self, function: Callable[[Sequence[T]], R], shares: list[Sequence[T]]) -> list[R]:
        """Run the shares one after the other, noting down a list of calls each."""
        section: Section = []
        results = []
        for k, share in enumerate(shares, 1):
            self._calls = []
            if len(self.spaces) <= k:
                self.spaces.append(Workspace(Recorded))
            try:
                with using(self.spaces[k]):
                    results.append(function(share))
                section.append(self._calls)
            finally:
                self._calls = None
        self.program.sections.append(section)
        return results


_RECORDER: ContextVar[Recorder | None] = ContextVar("recorder", default=None)


def recorder() -> Recorder | None:
    """Return the recorder at work, if any."""
    return _RECORDER.get()


def traced(array: Array) -> Array:
    """Return a view of ``array`` whose calls are written down, while a recorder is at work."""
    if _RECORDER.get() is None or isinstance(array, Recorded):
        return array
    return array.view(Recorded)


def perform(function: Callable[..., None], *arrays: Array) -> None:
    """Call a function that writes into arrays, now and in every replay: for what is no array call, such as a draw."""
    _check_followed(arrays)
    function(*map(_plain, arrays))
    _write(function, *arrays)


class Recorded(np.ndarray[Any, Any]):
    """An array that notes down what is done to it."""

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: str, *inputs: Any, out: tuple[Any, ...] | None = None, **settings: Any
    ) -> Any:
        """Do the call, and write it down with the array that its result went to."""
        function = getattr(ufunc, method)
        plain = [_plain(i) for i in inputs]
        if out is None:
            result = _own(function(*plain, **settings))
        else:
            _check_followed(out)
            function(*plain, out=tuple(_plain(o) for o in out), **settings)
            result = out[0] if len(out) == 1 else out
        _write(function, *plain, out=_plain(result), **settings)
        return result

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """Do the call; what it made is computed anew in a replay, and a view stays a view."""
        plain_args, plain_kwargs = _deep(args), {k: _deep(v) for k, v in kwargs.items()}
        if func is np.copyto:
            _check_followed(args[:1])
            func(*plain_args, **plain_kwargs)
            _write(func, *plain_args, **plain_kwargs)
            return None
        if kwargs.get("out") is not None:
            raise CannotRecord(f"numpy.{func.__name__} with out= cannot be recorded; assign its result")
        result = func(*plain_args, **plain_kwargs)
        if _is_view(result, plain_args):
            return traced(result)
        result = _own(result)
        if isinstance(result, tuple):
            raise CannotRecord(f"numpy.{func.__name__} makes several arrays; a replay follows one")
        again = partial(func, *_detach_deep(plain_args), **{k: _detach_deep(v) for k, v in plain_kwargs.items()})
        _write(_assign, _plain(result), again)
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
            raise CannotRecord("assigning to chosen elements cannot be recorded; use slices")
        np.copyto(target, _plain(value), casting="same_kind")
        _write(np.copyto, target, _plain(value), casting="same_kind")

    def __getitem__(self, key: Any) -> Any:
        """Return a view; choosing elements by number or mask is recorded as a copy."""
        plain = _plain(self)
        result = plain[key]
        if not isinstance(result, np.ndarray):
            if _RECORDER.get() is None:
                return result
            raise CannotRecord("a single number was read out of an array; a replay could not read it again")
        if np.may_share_memory(result, plain) or result.size == 0:
            return result.view(Recorded)
        if any(isinstance(k, Recorded) and k.dtype == bool for k in (key if isinstance(key, tuple) else (key,))):
            raise CannotRecord("how many elements a mask chooses depends on the numbers; multiply by the mask")
        result = _own(result)
        _write(_assign, _plain(result), partial(_take, _detached(plain), _detached(_plain(key))))
        return result

    def reshape(self, *shape: Any, **settings: Any) -> Any:
        """Return the array in another shape; where that takes a copy, the copy is recorded."""
        plain = _plain(self)
        if settings.get("order", "C") != "C":
            raise CannotRecord("only a reshape in C order can be recorded")
        result = plain.reshape(*shape, **settings)
        if np.may_share_memory(result, plain) or result.size == 0:
            return result.view(Recorded)
        own = _own(result)
        _write(np.copyto, _plain(own).reshape(plain.shape), plain)
        return own

    def copy(self, order: Any = "C") -> Any:
        """Copy, and write it down."""
        result = _own(_plain(self).copy(order))
        _write(np.copyto, _plain(result), _plain(self))
        return result

    def astype(self, dtype: Any, *rest: Any, **settings: Any) -> Any:
        """Convert, and write it down."""
        result = _own(np.array(_plain(self), dtype))
        _write(np.copyto, _plain(result), _plain(self), casting="unsafe")
        return result

    def fill(self, value: Any) -> None:
        """Fill, and write it down."""
        _plain(self).fill(value)
        _write(np.copyto, _plain(self), value)

    def flatten(self, *order: Any) -> Any:
        """Return a copy as a vector."""
        return self.copy().reshape(-1, **dict(zip(("order",), order, strict=False)))

    def ravel(self, *order: Any) -> Any:
        """Return the numbers as a vector, a view where that is possible."""
        return self.reshape(-1, **dict(zip(("order",), order, strict=False)))


def _refusing(name: str) -> Callable[..., Any]:
    """Return the method ``name`` of arrays, which refuses to work while recording."""

    def method(self: Array, *arguments: Any, **settings: Any) -> Any:
        if _RECORDER.get() is None:
            return getattr(_plain(self), name)(*arguments, **settings)
        raise CannotRecord(
            f"{name} was called while recording; a replay could not ask again (numpy.… in place of a method may work)"
        )

    return method


_UNSEEN = (
    "__bool__ __float__ __int__ __index__ __complex__ item tolist tobytes "  # numbers leave for Python
    "argmax argmin argpartition argsort byteswap choose compress cumprod cumsum diagonal dot nonzero partition put "
    "repeat resize searchsorted setfield sort take trace"  # NumPy does these without telling a subclass
)
for _name in _UNSEEN.split():
    setattr(Recorded, _name, _refusing(_name))


def _write(function: Callable[..., Any], *arguments: Any, **settings: Any) -> None:
    """Note a call down if a recorder is at work."""
    at_work = _RECORDER.get()
    if at_work is not None:
        at_work.write(function, *arguments, **settings)


def _check_followed(targets: Sequence[Any]) -> None:
    """Refuse to write to an ordinary array: how it was made is not on record, and processes would not share it."""
    if _RECORDER.get() is not None and not all(isinstance(target, Recorded) for target in targets):
        raise CannotRecord("an array is written to that was made without a trace; make it by recycling.empty or zeros")


def _own(result: Any) -> Any:
    """Turn a fresh result into a recorded array; a bare number cannot be followed."""
    if isinstance(result, tuple):
        return tuple(_own(r) for r in result)
    if not isinstance(result, np.ndarray):
        if _RECORDER.get() is None:
            return result
        raise CannotRecord("a sum over everything gives one number; keep an axis (keepdims) while recording")
    if _RECORDER.get() is None:
        return result.view(Recorded)
    adopted = empty(result, result.shape)  # in the program's own memory
    np.copyto(adopted.view(np.ndarray), result)
    return adopted


def _plain(value: Any) -> Any:
    """Return the ordinary array behind a recorded one."""
    if isinstance(value, Recorded):
        return value.view(np.ndarray)
    return tuple(map(_plain, value)) if isinstance(value, tuple) else value


def _deep(value: Any) -> Any:
    """Return nested lists and tuples with ordinary arrays in the place of recorded ones."""
    return type(value)(map(_deep, value)) if isinstance(value, list | tuple) else _plain(value)


def _detach_deep(value: Any) -> Any:
    return type(value)(map(_detach_deep, value)) if isinstance(value, list | tuple) else _detached(value)


def _is_view(result: Any, args: Any) -> bool:
    """Return whether ``result`` looks into one of the arguments."""
    if isinstance(args, list | tuple):
        return any(_is_view(result, a) for a in args)
    both = isinstance(result, np.ndarray) and isinstance(args, np.ndarray)
    return both and result.size > 0 and bool(np.may_share_memory(result, args))


def _detached(value: Any) -> Any:
    """Return an array on the same memory that does not keep a pooled array alive, so that its memory is used again."""
    if isinstance(value, tuple):
        return tuple(map(_detached, value))
    if not isinstance(value, np.ndarray):
        return value
    value = value.view(np.ndarray)
    owner: Any = value
    while isinstance(owner, np.ndarray) or type(owner).__name__ == "DummyArray":
        if owner.base is None:
            return value
        owner = owner.base
    if not isinstance(owner, memoryview) or not isinstance(owner.obj, Shared):
        return value  # not a recorder's: it must stay alive for as long as the program
    memory: Any = owner.obj
    offset = value.ctypes.data - np.frombuffer(memory, np.uint8).ctypes.data
    return np.ndarray(value.shape, value.dtype, memory, offset, value.strides)


def _assign(target: Array, function: Callable[[], Array]) -> None:
    """Write what ``function`` returns to ``target``."""
    result = function()
    if result.shape != target.shape:
        raise RuntimeError(f"replay: {result.shape} numbers came where {target.shape} were recorded")
    np.copyto(target, result)


def _take(array: Array, key: Any) -> Array:
    taken: Array = array[key]
    return taken
