"""The stand-in's array: NumPy's numbers behind CuPy's manners.

It is no subclass of NumPy's array and refuses NumPy's functions: a function of ``np`` on a device array is a mistake
that CuPy would carry out in silence. Whatever makes the host wait for the device is counted.
"""

import operator
import weakref
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np


@dataclass
class Counts:
    """What cost time on the way between host and device, by name, in order.

    Attributes
    ----------
    synchronisations : list of str
        The host waited for the device: a number was read, an array fetched.
    copies : list of str
        Numbers went up from host memory.
    launches : int
        Calls that would start a kernel.
    doubles : list of tuple
        Shapes of what was computed in float64, also on the way to a float32 result.
    """

    synchronisations: list = field(default_factory=list)
    copies: list = field(default_factory=list)
    launches: int = 0
    doubles: list = field(default_factory=list)


_watching: list[Counts] = []


@contextmanager
def counted():
    """Count inside this block."""
    counts = Counts()
    _watching.append(counts)
    try:
        yield counts
    finally:
        _watching.remove(counts)


def synchronise(what):
    """Note that the host waits."""
    for counts in _watching:
        counts.synchronisations.append(what)


def copy_up(what):
    """Note that numbers are copied to the device."""
    for counts in _watching:
        counts.copies.append(what)


def launched(shape=(), *operands):
    """Note that a kernel is started, and whether NumPy's rules make it compute in float64."""
    numbers = [o for o in operands if isinstance(o, np.ndarray | np.generic | int | float)]
    double = numbers and np.result_type(*numbers) == np.float64
    for counts in _watching:
        counts.launches += 1
        if double:
            counts.doubles.append(shape)


class Pointer:
    """``array.data``: where the numbers are."""

    def __init__(self, host):
        self.ptr = host.__array_interface__["data"][0]
        _given[self.ptr] = weakref.ref(host)


_given: dict[int, weakref.ref] = {}


def at(pointer):
    """Return the numbers of the array that gave out a pointer; None for memory that is not a device's."""
    return _given.get(pointer, lambda: None)()


class ndarray:
    """An array on the device that is none."""

    __slots__ = ("__weakref__", "_host")
    __array_priority__ = 100
    __hash__ = None

    def __init__(self, host):
        self._host = host

    # What NumPy asks of foreign arrays

    def __array__(self, *args, **kwargs):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`")

    def __array_function__(self, function, types, args, kwargs):
        raise TypeError(f"numpy.{function.__name__} was called on a device array; call that of its own module")

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        # A NumPy scalar on the left of an operator comes here, as it does with CuPy; a call of np.add looks the same.
        if method == "__call__" and len(inputs) == 2 and isinstance(inputs[0], np.generic) and not kwargs:
            return made(ufunc(inputs[0], unwrap(inputs[1])))
        raise TypeError(f"numpy.{ufunc.__name__} was called on a device array; call that of its own module")

    # What can be asked without waiting

    shape = property(lambda self: self._host.shape)
    dtype = property(lambda self: self._host.dtype)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    nbytes = property(lambda self: self._host.nbytes)
    itemsize = property(lambda self: self._host.itemsize)
    strides = property(lambda self: self._host.strides)
    flags = property(lambda self: self._host.flags)
    data = property(lambda self: Pointer(self._host))
    T = property(lambda self: ndarray(self._host.T))

    def __len__(self):
        return len(self._host)

    def __iter__(self):
        return (wrap(part) for part in self._host)

    # What the host must wait for

    def get(self, stream=None, order="C", out=None, blocking=True):
        synchronise("get")
        return self._host.copy(order)

    def item(self):
        synchronise("item")
        return self._host.item()

    def tolist(self):
        synchronise("tolist")
        return self._host.tolist()

    def __repr__(self):
        synchronise("repr")
        return f"device {self._host!r}"

    # Elements

    def __getitem__(self, key):
        index = _index(self, key)
        if isinstance(index, np.ndarray) and index.dtype == bool:
            synchronise("choosing by a mask")
        return wrap(self._host[index])

    def __setitem__(self, key, value):
        if isinstance(value, ndarray) and np.shares_memory(value._host, self._host) and isinstance(key, int | tuple):
            value = ndarray(value._host.copy())  # what a[k] += v assigns
        launched()
        self._host[_index(self, key)] = unwrap(value)

    # Methods

    def fill(self, value):
        launched()
        self._host.fill(unwrap(value))

    def view(self, dtype=None):
        return ndarray(self._host.view(*(() if dtype is None else (dtype,))))

    def reshape(self, *shape, order="C"):
        return ndarray(self._host.reshape(*shape, order=order))

    def transpose(self, *axes):
        return ndarray(self._host.transpose(*axes))

    def swapaxes(self, axis1, axis2):
        return ndarray(self._host.swapaxes(axis1, axis2))

    def squeeze(self, axis=None):
        return ndarray(self._host.squeeze(axis))

    def ravel(self, order="C"):
        return ndarray(self._host.ravel(order))

    def copy(self, order="C"):
        return made(self._host.copy(order))

    def astype(self, dtype, order="K", casting=None, subok=None, copy=True):
        return made(self._host.astype(dtype, order, casting or "unsafe", copy=copy))

    def sum(self, axis=None, dtype=None, out=None, keepdims=False):
        return made(self._host.sum(axis, dtype, unwrap(out), keepdims))

    def mean(self, axis=None, dtype=None, out=None, keepdims=False):
        return made(self._host.mean(axis, dtype, unwrap(out), keepdims))

    def max(self, axis=None, out=None, keepdims=False):
        return made(self._host.max(axis, unwrap(out), keepdims))

    def min(self, axis=None, out=None, keepdims=False):
        return made(self._host.min(axis, unwrap(out), keepdims))

    def any(self, axis=None, out=None, keepdims=False):
        return made(self._host.any(axis, unwrap(out), keepdims))

    def all(self, axis=None, out=None, keepdims=False):
        return made(self._host.all(axis, unwrap(out), keepdims))

    def argmax(self, axis=None, out=None, dtype=None, keepdims=False):
        return made(self._host.argmax(axis, keepdims=keepdims))


def unwrap(value):
    """Return what NumPy calculates with; refuse what CuPy refuses."""
    if isinstance(value, ndarray):
        return value._host
    if isinstance(value, np.ndarray):
        raise TypeError("Unsupported type <class 'numpy.ndarray'>: an array of the host among those of the device")
    if isinstance(value, tuple | list):
        return type(value)(map(unwrap, value))
    return value


def wrap(result):
    """Return NumPy's result as CuPy would: reductions and elements stay on the device, as arrays without axes."""
    if isinstance(result, np.ndarray | np.generic):
        return ndarray(np.asarray(result))
    return tuple(map(wrap, result)) if isinstance(result, tuple | list) else result


def made(result):
    """Return what a kernel has made; refuse types of numbers that a device does not have."""
    launched(getattr(result, "shape", ()), result)
    for part in result if isinstance(result, tuple | list) else (result,):
        dtype = getattr(part, "dtype", np.dtype(float))
        if dtype.kind not in "biufc" or dtype in (np.longdouble, np.clongdouble):
            raise ValueError(f"Unsupported dtype {dtype}")
    return wrap(result)


def _index(array, key):
    """Return the index for NumPy; numbers beyond the end begin anew, as on the device."""
    if isinstance(key, ndarray):
        chosen = key._host
        return chosen if chosen.dtype == bool else chosen % array.shape[0]
    if any(isinstance(k, ndarray) for k in (key if isinstance(key, tuple) else ())):
        raise NotImplementedError("the stand-in takes an index array by itself")
    return unwrap(key)


def _counting(name, convert):
    def method(self):
        synchronise(name)
        return convert(self._host)

    return method


for _name, _convert in (
    ("bool", bool),
    ("float", float),
    ("int", int),
    ("complex", complex),
    ("index", operator.index),
):
    setattr(ndarray, f"__{_name}__", _counting(_name, _convert))


def _binary(function):
    def method(self, other):
        if other is None or isinstance(other, str):
            return NotImplemented
        return made(function(self._host, unwrap(other)))

    def reflected(self, other):
        return made(function(unwrap(other), self._host))

    def in_place(self, other):
        launched(self.shape, self._host, unwrap(other))
        function(self._host, unwrap(other), out=self._host)
        return self

    return method, reflected, in_place


_BINARY = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "truediv": np.divide,
    "floordiv": np.floor_divide,
    "mod": np.remainder,
    "pow": np.power,
    "matmul": np.matmul,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "lshift": np.left_shift,
    "rshift": np.right_shift,
}
for _name, _function in _BINARY.items():
    _plain, _reflected, _in_place = _binary(_function)
    setattr(ndarray, f"__{_name}__", _plain)
    setattr(ndarray, f"__r{_name}__", _reflected)
    setattr(ndarray, f"__i{_name}__", _in_place)
for _name in ("lt", "le", "gt", "ge", "eq", "ne"):
    setattr(ndarray, f"__{_name}__", _binary(getattr(operator, _name))[0])
for _name, _function in (("neg", np.negative), ("abs", np.abs), ("invert", np.invert)):
    setattr(ndarray, f"__{_name}__", lambda self, function=_function: made(function(self._host)))
