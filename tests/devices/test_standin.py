"""Whether the stand-in behaves like what it stands in for."""

import importlib.util
import inspect
import re
import subprocess
import sys
import warnings
from operator import attrgetter

import numpy as np
import pytest

from tests.processes import environment
from tests.standin import module, nccl
from tests.standin.array import counted, ndarray
from tests.standin.module import cupy as cp

REACHED = """
RawModule cuda.runtime.getDeviceCount cuda.runtime.deviceGetPCIBusId cuda.runtime.runtimeGetVersion cuda.Device.use
cuda.Stream.null.synchronize cuda.get_current_stream cuda.compiler.CompileException cuda.memory.OutOfMemoryError
""".split()  # noqa: SIM905 - a list is a line a name


def device(*values):
    return cp.asarray(np.array(values, np.float32))


def test_numpy_does_not_touch_device_arrays():
    x = device(1, 2)
    for call in (
        lambda: np.exp(x),
        lambda: np.sum(x),
        lambda: np.add(x, x),
        lambda: np.asarray(x),
        lambda: np.add(x, 1),
    ):
        with pytest.raises(TypeError, match=r"device array|NumPy array is not allowed"):
            call()


def test_arrays_of_two_devices_do_not_mix():
    x, host = device(1, 2), np.ones(2, np.float32)
    calls = (
        lambda: x + host,
        lambda: host + x,
        lambda: x * np.array(2.0),
        lambda: cp.add(x, host),
        lambda: cp.stack([x, host]),
        lambda: cp.maximum(x, 0, out=host),
        lambda: x.__setitem__(slice(None), host),
    )
    for call in calls:
        with pytest.raises(TypeError, match=r"Unsupported type|device array"):
            call()


def test_numbers_mix_with_device_arrays_and_decide_the_dtype_as_in_numpy():
    x = device(1, 2)
    assert (x * 2.5).dtype == (np.float32(2) * x).dtype == (x + 1).dtype == np.float32
    assert (np.float64(2) * x).dtype == np.float64
    x += 1
    np.testing.assert_array_equal(x.get(), [2, 3])


def test_what_waits_and_what_copies_is_counted():
    x = device(3, 0)
    with counted() as counts:
        total = x.sum()
        assert isinstance(total, ndarray)
        assert isinstance(total + x[0], ndarray)
    assert counts.synchronisations == counts.copies == []
    with counted() as counts:
        assert float(total) == 3
        assert bool(x[0])
        assert int(x[0]) == 3
        assert x.get()[0] == cp.asnumpy(x)[0] == total.item() == 3
        x[x > 0]
        cp.asarray(np.zeros(2))
        cp.asarray(x)
    waited = ["float", "bool", "int", "get", "asnumpy", "item", "choosing by a mask"]
    assert counts.synchronisations == waited
    assert counts.copies == ["float64[2]"]


def test_what_cupy_lacks_or_does_otherwise():
    x = device(1, 2, 3)
    with pytest.raises(AttributeError, match=r"no cupy\.errstate"):
        _ = cp.errstate
    with pytest.raises(TypeError, match="no keyword where"):
        cp.add(x, x, where=x > 0)
    with pytest.raises(ValueError, match="Unsupported dtype"):
        cp.zeros(3, np.longdouble)
    np.testing.assert_array_equal(x[cp.asarray(np.array([4, -1]))].get(), [2, 3])  # beyond the end: begins anew
    with pytest.raises(TypeError):
        hash(x)


def test_writing_through_views():
    x = cp.zeros((2, 3, 4))
    part = x[:, 1:]
    part += 2
    x[0, 0] += 5
    x.reshape(-1)[-1] = 9
    expected = np.zeros((2, 3, 4))
    expected[:, 1:] += 2
    expected[0, 0] += 5
    expected[1, 2, 3] = 9
    np.testing.assert_array_equal(x.get(), expected)


@pytest.mark.skipif(importlib.util.find_spec("cupy") is None, reason="CuPy is not installed (it can be, without a GPU)")
def test_cupy_has_every_name_and_keyword_of_the_stand_in():
    import cupy

    for name in (*module.UFUNCS, *module.CONSTANTS):
        assert hasattr(cupy, name), name
    for name, keywords in {**module.FUNCTIONS, **module.WAITING}.items():
        function = getattr(cupy, name)
        try:
            known = inspect.signature(function).parameters
        except ValueError:
            known = re.findall(r"\w+", function.__doc__)
        if "kwargs" not in known:
            assert set(keywords) <= set(known), name
    for name in REACHED:
        assert attrgetter(name)(cupy), name
    for name in ("OutOfMemoryError", "CompileException"):  # by which names scratchnet knows them
        kind = getattr(cupy.cuda.memory, name, None) or getattr(cupy.cuda.compiler, name)
        assert kind.__module__.startswith("cupy")
    for name in [n for n in vars(ndarray) if not n.startswith("_")]:
        assert hasattr(cupy.ndarray, name), name
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where the library is missing, CuPy says so at length
        from cupy.cuda import nccl as real_nccl
    assert real_nccl.available in (True, False)
    for name in nccl.NAMES if real_nccl.available else ():
        assert hasattr(real_nccl, name), name
        assert type(getattr(nccl, name)) is not int or getattr(nccl, name) == getattr(real_nccl, name)
    for function in (module.array, module.asarray, module.asnumpy, module.as_strided):
        real = cupy.lib.stride_tricks.as_strided if function is module.as_strided else getattr(cupy, function.__name__)
        assert set(inspect.signature(function).parameters) <= set(inspect.signature(real).parameters), function


def test_importing_scratchnet_does_not_import_cupy():
    code = "import sys, scratchnet.cli.main, scratchnet.training.run; sys.exit('cupy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=environment(), check=False, timeout=60).returncode == 0
