"""The convolution that reads its windows from the map, against the CPU's direct sums."""

import numpy as np
import pytest

from scratchnet.engine.cuda import convolution as cuda
from scratchnet.engine.cuda import implicit
from scratchnet.engine.cuda.convolution import Algorithm
from scratchnet.engine.modes import matrix_precision, precise
from scratchnet.ops import convolution
from scratchnet.ops.geometry import ConvSpec
from tests.compare import numbers
from tests.engine.cuda import cublas, shim

CASES = {
    "tiles that are cut, channels that are not": ((2, 18, 17, 8), (3, 3, 8, 16), 1),
    "channels and a rest, two pieces": pytest.param((1, 5, 20, 11), (3, 3, 11, 70), 1, marks=pytest.mark.sanitized),
    "image": ((1, 17, 6, 3), (3, 3, 3, 20), (2, 0)),
    "weights row by row": pytest.param((1, 9, 17, 5), (7, 7, 5, 2), 3, marks=pytest.mark.sanitized),
}


@pytest.fixture(autouse=True)
def _always(monkeypatch):
    monkeypatch.setattr(cuda, "choose", lambda *_: Algorithm.IMPLICIT)


def followed_by_nan(a):
    """Return the array with NaN behind it, which no sum may take in; the sanitizer guards the end by itself."""
    if shim.SANITIZED:
        return a
    longer = np.concatenate([a.reshape(-1), np.full(64, np.nan, a.dtype)])
    return longer[: a.size].reshape(a.shape)


def both_ways(shape, weights, padding, dtype):
    """Return the convolution and its gradient by the input, found and wanted."""
    x, weight = numbers(*shape, dtype=dtype), numbers(*weights, seed=1, dtype=dtype)
    bias = numbers(weights[3], dtype=dtype)
    with precise():
        y = convolution.conv2d(x, weight, bias, 1, padding)
        dy = numbers(*y.shape, seed=2, dtype=dtype)
        dx, dweight, _ = convolution.conv2d_backward(dy, x, weight, 1, padding)
    x, weight, dy = (followed_by_nan(a) for a in (x, weight, dy))
    yield cuda.conv2d(x, weight, bias, 1, padding), y
    yield cuda.conv2d_input_gradient(dy, weight, shape[1:3], 1, padding), dx
    cublas.calls.clear()
    yield cuda.conv2d_weight_gradient(dy, x, weight, 1, padding), dweight
    assert cublas.calls  # by products still


def difference(found, wanted):
    assert found.shape == wanted.shape
    assert found.dtype == wanted.dtype
    return np.abs(found - wanted).max() / np.abs(wanted).max()


@pytest.mark.parametrize(("shape", "weights", "padding"), CASES.values(), ids=CASES)
def test_every_shape(kernels, dtype, shape, weights, padding):
    if implicit.Blocking.of(weights[:2], weights[3], dtype.itemsize) is None:
        pytest.skip("more than shared memory holds")
    for found, wanted in both_ways(shape, weights, padding, dtype):
        assert difference(found, wanted) < {"float32": 1e-5, "float64": 1e-12}[dtype.name]


@pytest.mark.parametrize(("shape", "weights", "padding"), CASES.values(), ids=CASES)
def test_tensor_cores(kernels, shape, weights, padding):
    with matrix_precision("tf32"):
        (y, wanted), (dx, wanted_dx), _ = both_ways(shape, weights, padding, np.dtype(np.float32))
    assert 1e-5 < difference(y, wanted) < 1e-3
    assert 1e-5 < difference(dx, wanted_dx) < 1e-3


def test_the_precision_asked_for(kernels):
    x, weight = numbers(1, 3, 3, 16, dtype=np.float32), numbers(3, 3, 16, 8, dtype=np.float32)
    wanted = convolution.conv2d(x.astype(np.float64), weight.astype(np.float64), padding=1)
    for name, low, high in (("float32", 0, 1e-6), ("tf32", 1e-5, 1e-3), ("bf16", 1e-5, 1e-3)):
        with matrix_precision(name):
            assert low < difference(cuda.conv2d(x, weight, padding=1).astype(np.float64), wanted) < high
            with precise():
                assert difference(cuda.conv2d(x, weight, padding=1).astype(np.float64), wanted) < 1e-6


@pytest.mark.parametrize(
    ("kernel", "c_out", "itemsize", "blocking"),
    [
        ((3, 3), 64, 4, (64, 3)),
        ((3, 3), 512, 4, (64, 3)),
        ((3, 3), 21, 4, (32, 3)),
        ((3, 3), 3, 4, (16, 3)),
        ((7, 7), 64, 4, (64, 1)),
        ((3, 3), 64, 8, (64, 1)),
        ((7, 7), 64, 8, (16, 1)),
    ],
)
def test_blocks_fit_into_shared_memory(kernel, c_out, itemsize, blocking):
    assert implicit.Blocking.of(kernel, c_out, itemsize) == implicit.Blocking(*blocking)


@pytest.mark.parametrize(
    ("kernel", "settings", "size", "fits"),
    [
        (3, (1, 1, 1, 1), 224, True),
        (7, (1, 3, 1, 1), 224, True),
        (9, (1, 4, 1, 1), 224, False),
        (3, (2, 1, 1, 1), 224, False),
        (3, (1, 2, 2, 1), 224, False),
        (3, (1, 1, 1, 1), 8192, False),  # 2³² numbers an image
    ],
)
def test_what_it_is_made_for(kernel, settings, size, fits):
    conv = ConvSpec.of(np.empty((kernel, kernel, 64, 64)), *settings)
    size = size, size
    assert implicit.fits(conv, size, conv.output_size(*size), 64, 64, 4) is fits
