"""Convolutions on a GPU against the CPU's direct sums, in every form."""

import numpy as np
import pytest

from scratchnet.engine.cuda import columns, compiled, gemm, shifted, winograd
from scratchnet.engine.cuda import convolution as cuda
from scratchnet.engine.cuda.convolution import Algorithm
from scratchnet.engine.modes import matrix_precision, precise
from scratchnet.ops import convolution
from scratchnet.ops.geometry import ConvSpec
from tests.compare import numbers
from tests.engine.cuda import cublas

CASES = {
    "3×3": ((2, 7, 9, 9), (3, 3, 9, 5), 1, 1, 1),
    "wide": pytest.param((1, 9, 6, 35), (3, 3, 35, 33), 1, 1, 1, marks=pytest.mark.sanitized),
    "not padded": ((2, 6, 7, 10), (3, 3, 10, 4), 1, 0, 1),
    "padded all round": ((1, 5, 4, 10), (3, 3, 10, 4), 1, 2, 1),
    "padded more than it sees": ((2, 5, 4, 10), (3, 3, 10, 4), 1, 3, 1),
    "5×3": ((2, 7, 8, 8), (5, 3, 8, 3), 1, (2, 1), 1),
    "7×7 as valid": ((1, 9, 8, 4), (7, 7, 4, 6), 1, 0, 1),
    "1×3": ((2, 3, 8, 8), (1, 3, 8, 3), 1, (0, 1), 1),
    "dilated down": ((1, 11, 8, 8), (3, 3, 8, 3), 1, (2, 1), (2, 1)),
    "dilated": ((1, 11, 12, 8), (3, 3, 8, 3), 1, 2, 2),
    "image": ((2, 8, 9, 3), (3, 3, 3, 6), 1, 1, 1),
    "strided": ((2, 9, 8, 4), (3, 3, 4, 6), 2, 1, 1),
    "stride and a rest": pytest.param((1, 10, 11, 3), (4, 4, 3, 6), (2, 3), 1, 1, marks=pytest.mark.sanitized),
    "1×1": ((2, 5, 6, 7), (1, 1, 7, 4), 1, 0, 1),
    "1×1 strided": ((2, 5, 6, 7), (1, 1, 7, 4), 2, 0, 1),
    "one window": ((3, 4, 5, 6), (4, 5, 6, 8), 1, 0, 1),
}
FORMS = {
    "3×3": Algorithm.SHIFTED,
    "wide": Algorithm.SHIFTED,
    "dilated down": Algorithm.SHIFTED,
    "dilated": Algorithm.COLUMNS,
    "padded more than it sees": Algorithm.COLUMNS,
    "image": Algorithm.COLUMNS,
    "strided": Algorithm.COLUMNS,
    "1×1": Algorithm.PRODUCT,
    "one window": Algorithm.PRODUCT,
}
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
    """Cut sums and batches as large ones are."""
    monkeypatch.setattr(gemm, "MIN_ROWS", 3)
    monkeypatch.setattr(gemm, "BLOCKS", 100)
    cublas.calls.clear()


def assert_same(found, wanted, tolerance):
    assert found.dtype == wanted.dtype
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance * np.abs(wanted).max())


def check(shape, weights, settings, dtype, tolerance):
    """Compare the convolution and its gradients with the CPU's."""
    x, weight = numbers(*shape, dtype=dtype), numbers(*weights, seed=1, dtype=dtype)
    bias = numbers(weights[3], dtype=dtype)
    with precise():
        wanted = convolution.conv2d(x, weight, bias, *settings)
        dy = numbers(*wanted.shape, seed=2, dtype=dtype)
        dx, dweight, _ = convolution.conv2d_backward(dy, x, weight, *settings)
    assert_same(cuda.conv2d(x, weight, bias, *settings), wanted, tolerance)
    assert_same(cuda.conv2d(x, weight, None, *settings), wanted - bias, tolerance)
    both = cuda.conv2d_backward(dy, x, weight, *settings, needs_bias_grad=False)
    assert_same(both[0], dx, tolerance)
    assert_same(both[1], dweight, tolerance)
    assert_same(cuda.conv2d_weight_gradient(dy, x, weight, *settings), dweight, tolerance)
    assert_same(cuda.conv2d_input_gradient(dy, weight, shape[1:3], *settings), dx, tolerance)


@pytest.mark.parametrize(("shape", "weights", "stride", "padding", "dilation"), CASES.values(), ids=CASES)
def test_every_shape(kernels, dtype, shape, weights, stride, padding, dilation):
    check(shape, weights, (stride, padding, dilation), dtype, TOLERANCE[dtype.name])


@pytest.mark.parametrize("name", FORMS)
def test_the_form_of_a_shape(name):
    case = CASES[name]
    shape, weights, *settings = case if type(case) is tuple else case.values
    conv = ConvSpec.of(np.empty(weights), *settings, 1)
    assert cuda.choose(np.empty(shape), np.empty(weights), conv, shape[1:3]) is FORMS[name]


@pytest.mark.parametrize("padding", [0, 1, 2])
@pytest.mark.parametrize("maps", [(3, 8, 8), (2, 5, 10), pytest.param((7, 4, 4), marks=pytest.mark.sanitized)])
def test_winograd(kernels, dtype, monkeypatch, padding, maps):
    # Two parts for the larger maps, a tile of zeros for the small ones.
    monkeypatch.setattr(winograd, "WORKSPACE_BYTES", 20_000)
    monkeypatch.setattr(cuda, "choose", lambda *_: Algorithm.WINOGRAD)
    check((*maps, 5), (3, 3, 5, 6), (1, padding), dtype, {"float32": 2e-5, "float64": 1e-12}[dtype.name])


def test_shifted_products_in_turns(kernels, monkeypatch):
    monkeypatch.setattr(shifted, "WORKSPACE_BYTES", 30_000)
    check((5, 8, 9, 8), (3, 3, 8, 6), (1, 1), np.float64, 1e-12)


def test_columns_in_turns(kernels, monkeypatch):
    monkeypatch.setattr(columns, "WORKSPACE_BYTES", 5000)
    check((3, 8, 9, 3), (3, 3, 3, 6), (2, 1), np.float64, 1e-12)


def test_winograd_is_chosen_for_large_maps_in_full_precision():
    x, weight = np.zeros((4, 64, 64, 64), np.float32), np.empty((3, 3, 64, 64))
    given = weight, ConvSpec.of(weight, 1, 1, 1, 1), (64, 64)
    assert cuda.choose(x, *given) is Algorithm.WINOGRAD
    with precise():
        assert cuda.choose(x, *given) is Algorithm.SHIFTED
    assert cuda.choose(x.astype(np.float64), *given) is Algorithm.SHIFTED
    with matrix_precision("tf32"):
        assert cuda.choose(x, *given) is Algorithm.SHIFTED


def test_few_channels_on_large_maps_write_no_columns():
    def form(n, size, c, c_out):
        x, weight = np.broadcast_to(np.float32(0), (n, size, size, c)), np.broadcast_to(0, (3, 3, c, c_out))
        return cuda.choose(x, weight, ConvSpec.of(weight, 1, 1, 1, 1), (size, size))

    assert form(16, 224, 3, 64) is Algorithm.IMPLICIT
    assert form(16, 224, 64, 64) is Algorithm.WINOGRAD
    with matrix_precision("tf32"):
        assert form(16, 224, 64, 64) is Algorithm.IMPLICIT
        assert form(16, 112, 64, 128) is Algorithm.IMPLICIT
        assert form(16, 112, 128, 128) is Algorithm.SHIFTED
        assert form(16, 28, 64, 64) is Algorithm.SHIFTED


@pytest.mark.parametrize(
    ("name", "compute", "low", "high"),
    [("float32", 68, 0, 1e-6), ("tf32", 77, 1e-5, 2e-3), ("bf16", 75, 3e-4, 2e-2)],
)
def test_the_precision_of_products(kernels, name, compute, low, high):
    x, weight = numbers(1, 8, 8, 16), numbers(3, 3, 16, 8)
    wanted = convolution.conv2d(x, weight, padding=1)
    with matrix_precision(name):
        found = cuda.conv2d(x.astype(np.float32), weight.astype(np.float32), padding=1)
        with precise():
            exact = cuda.conv2d(x.astype(np.float32), weight.astype(np.float32), padding=1)
    assert low <= np.abs(found - wanted).max() / np.abs(wanted).max() < high
    assert np.abs(exact - wanted).max() / np.abs(wanted).max() < 1e-6
    assert cublas.calls == [compute, 68]


@pytest.mark.parametrize(
    ("shape", "kernel", "stride", "padding", "dilation"),
    [
        ((2, 7, 9, 5), (3, 3), 1, 1, 1),
        ((1, 9, 8, 33), (3, 2), (2, 3), (1, 0), 1),
        pytest.param((2, 10, 11, 4), (3, 3), 2, 2, 2, marks=pytest.mark.sanitized),
    ],
)
def test_depthwise(kernels, dtype, shape, kernel, stride, padding, dilation):
    c = shape[3]
    check(shape, (*kernel, 1, c), (stride, padding, dilation, c), dtype, TOLERANCE[dtype.name])


@pytest.mark.parametrize("room", [1, 2000, 1 << 30])
@pytest.mark.parametrize(
    ("shape", "weights", "settings"),
    [
        ((3, 7, 6, 4), (3, 3, 2, 6), (1, 1, 1, 2)),
        ((2, 8, 9, 6), (3, 2, 2, 3), (2, (1, 0), 1, 3)),
        ((2, 9, 8, 4), (2, 2, 1, 8), (1, 1, 2, 4)),
    ],
)
def test_groups_a_few_images_at_a_time(kernels, dtype, monkeypatch, room, shape, weights, settings):
    monkeypatch.setattr(columns, "WORKSPACE_BYTES", room)
    check(shape, weights, settings, dtype, TOLERANCE[dtype.name])


@pytest.mark.parametrize(
    ("n", "room", "turns"),
    [(0, 10, []), (5, 10, [5]), (5, 4, [3, 2]), (7, 3, [3, 3, 1]), (2, 0.5, [1, 1])],
)
def test_batches_are_cut_into_equal_turns_that_fit(n, room, turns):
    cut = compiled.split_batch(n, 100, int(100 * room))
    assert [part.stop - part.start for part in cut] == turns
    assert [part.start for part in cut] == [sum(turns[:i]) for i in range(len(turns))]
