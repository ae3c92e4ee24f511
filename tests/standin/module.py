"""A module that stands in for CuPy where there is no GPU: its names, its keywords, its refusals.

Only what scratchnet needs is here, and nothing that CuPy does not have; ``test_standin.py`` compares names and keywords
with the real package where that is installed, which it can be without a GPU.
"""

import threading
import types

import numpy as np

from tests.standin.array import copy_up, launched, made, ndarray, synchronise, unwrap

UFUNCS = """
abs add bitwise_and divide equal exp greater greater_equal isfinite isnan less log log1p logical_and logical_not
logical_or logical_xor maximum minimum multiply negative not_equal power right_shift sqrt square subtract tanh
""".split()  # noqa: SIM905 - a list is a line a name
UFUNC_KEYWORDS = ("out", "dtype", "casting")

FUNCTIONS = {
    "arange": ("start", "stop", "step", "dtype"),
    "argmax": ("axis", "dtype", "out", "keepdims"),
    "array_equal": ("equal_nan",),
    "ascontiguousarray": ("dtype",),
    "clip": ("out",),
    "concatenate": ("axis", "out", "dtype", "casting"),
    "copyto": ("casting", "where"),
    "count_nonzero": ("axis",),
    "einsum": (),
    "empty": ("dtype", "order"),
    "empty_like": ("dtype", "order", "subok", "shape"),
    "full": ("dtype", "order"),
    "matmul": ("out", "dtype", "casting"),
    "moveaxis": (),
    "ones": ("dtype",),
    "pad": ("mode", "constant_values"),
    "repeat": ("axis",),
    "stack": ("axis", "out", "dtype", "casting"),
    "sum": ("axis", "dtype", "out", "keepdims"),
    "take_along_axis": ("axis",),
    "tile": (),
    "where": (),
    "zeros": ("dtype", "order"),
    "zeros_like": ("dtype", "order", "subok", "shape"),
}
"""Functions that are NumPy's in all but their arrays, with the keywords that both know."""

WAITING = {"bincount": ("weights", "minlength")}
"""Functions whose result's size depends on the numbers: the host waits for them."""

CONSTANTS = """
bool_ float16 float32 float64 inf int8 int16 int32 int64 intp nan newaxis pi uint8 uint16 uint32 uint64
""".split()  # noqa: SIM905


def _function(name, keywords, waits=False):
    same = getattr(np, name)

    def call(*args, **kwargs):
        unknown = [key for key in kwargs if key not in keywords]
        if unknown:
            raise TypeError(f"cupy.{name} has no keyword {', '.join(unknown)}")
        if waits:
            synchronise(name)
        result = same(*unwrap(args), **{key: unwrap(value) for key, value in kwargs.items()})
        if kwargs.get("out") is None:
            return made(result)
        launched(kwargs["out"].shape, *unwrap(args))
        return kwargs["out"]

    call.__name__ = call.__qualname__ = name
    return call


def array(obj, dtype=None, copy=True, order="K", subok=False, ndmin=0, *, blocking=False):
    """Return a new array on the device."""
    if isinstance(obj, ndarray):
        return made(np.array(obj._host, dtype, copy=copy, order=order, ndmin=ndmin))
    new = np.array(obj, dtype, order=order, ndmin=ndmin)
    copy_up(f"{new.dtype}{list(new.shape)}")
    return made(new)


def asarray(a, dtype=None, order=None, *, copy=None, blocking=False):
    """Return an array on the device; one that is there already is not copied."""
    return array(a, dtype, copy, order or "K", blocking=blocking)


def asnumpy(a, stream=None, order="C", out=None, *, blocking=True):
    """Return the numbers in the host's memory."""
    if isinstance(a, ndarray):
        synchronise("asnumpy")
        return a._host.copy(order)
    return np.asarray(a)


def as_strided(x, shape=None, strides=None):
    """Return a view with the given strides."""
    return ndarray(np.lib.stride_tricks.as_strided(unwrap(x), shape, strides))


def get_array_module(*args):
    """Return the module whose functions take the arguments."""
    return cupy if any(isinstance(a, ndarray) for a in args) else np


def _device_count():
    return 1


def _cublas_handle():
    return 4711


def _wait():
    synchronise("synchronize")


class Device:
    """One of the machine's devices; those that were chosen are remembered."""

    chosen: list = []  # noqa: RUF012
    current = threading.local()  # every thread has its own

    def __init__(self, device=None):
        self.id = getattr(self.current, "id", 0) if device is None else device

    def use(self):
        self.chosen.append(self.id)
        self.current.id = self.id


class CompileException(Exception):
    """What CuPy raises when NVIDIA's compiler does not take a source."""


class OutOfMemoryError(MemoryError):
    """What CuPy raises when there is no room for an array."""


OutOfMemoryError.__module__ = "cupy.cuda.memory"


def _bus_id(device):
    return f"0000:{device:02X}:00.0"


def _cuda_version():
    return 12090


def _current_stream():
    return types.SimpleNamespace(ptr=0)


class _Module(types.ModuleType):
    def __getattr__(self, name):
        raise AttributeError(f"the stand-in has no cupy.{name}; add it if CuPy has it")


cupy = _Module("cupy")
"""What a test puts in the place of CuPy."""

cupy.__version__ = "14.2.0"
cupy.ndarray = ndarray
for _name in CONSTANTS:
    setattr(cupy, _name, getattr(np, _name))
for _name in UFUNCS:
    setattr(cupy, _name, _function(_name, UFUNC_KEYWORDS))
for _name, _keywords in FUNCTIONS.items():
    setattr(cupy, _name, _function(_name, _keywords))
for _name, _keywords in WAITING.items():
    setattr(cupy, _name, _function(_name, _keywords, waits=True))
for _own in (array, asarray, asnumpy, get_array_module):
    setattr(cupy, _own.__name__, _own)
cupy.lib = types.SimpleNamespace(stride_tricks=types.SimpleNamespace(as_strided=as_strided))
cupy.cuda = types.SimpleNamespace(
    runtime=types.SimpleNamespace(
        getDeviceCount=_device_count, deviceGetPCIBusId=_bus_id, runtimeGetVersion=_cuda_version
    ),
    compiler=types.SimpleNamespace(CompileException=CompileException),
    memory=types.SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
    Device=Device,
    get_cublas_handle=_cublas_handle,
    get_current_stream=_current_stream,
    Stream=types.SimpleNamespace(null=types.SimpleNamespace(synchronize=_wait)),
)
