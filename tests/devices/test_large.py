"""Kernels on maps as large as they are in use: many blocks, chunks and parts. On a GPU only; a CPU would take hours."""

import numpy as np
import pytest

from scratchnet.arrays import to_host
from scratchnet.engine.cuda import convolution
from scratchnet.engine.cuda.conv_algorithm import Algorithm
from scratchnet.engine.device import array_module
from scratchnet.engine.modes import matrix_precision, precise, textbook
from scratchnet.ops import channel_sums, losses, normalization, pixel_factors
from scratchnet.ops.convolution import conv2d, conv2d_backward
from scratchnet.ops.pooling import max_pool2d, max_unpool2d, max_unpool2d_backward
from scratchnet.utils.errors import UserError

pytestmark = pytest.mark.gpu


@pytest.fixture
def xp():
    try:
        return array_module("gpu")
    except UserError as error:
        pytest.skip(str(error))


def numbers(xp, *shape, seed=0):
    return xp.asarray(np.random.default_rng(seed).standard_normal(shape, dtype=np.float32))


def assert_close(found, wanted, tolerance=1e-4):
    found, wanted = (to_host(array).astype(np.float64) for array in (found, wanted))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance * np.abs(wanted).max())


LAYERS = [  # of the paper's network at 224×224, and of others
    ((4, 224, 224, 64), (3, 3, 64, 64), 1, 1),
    ((8, 56, 56, 256), (3, 3, 256, 256), 1, 1),
    ((16, 14, 14, 512), (3, 3, 512, 512), 1, 1),
    ((8, 224, 224, 3), (3, 3, 3, 64), 1, 1),
    ((8, 7, 7, 512), (7, 7, 512, 1024), 1, 0),
    ((8, 112, 112, 64), (1, 1, 64, 21), 1, 0),
    ((4, 128, 128, 32), (4, 4, 32, 48), 2, 1),
    ((2, 101, 99, 40), (7, 7, 40, 24), 1, 3),
]


@pytest.mark.parametrize(("shape", "weights", "stride", "padding"), LAYERS)
@pytest.mark.parametrize(("name", "tolerance"), [("float32", 1e-4), ("tf32", 5e-3), ("bf16", 4e-2)])
def test_convolutions(xp, shape, weights, stride, padding, name, tolerance):
    """Against CuPy's own products of whole matrices of columns, in float64."""
    x, weight = numbers(xp, *shape), numbers(xp, *weights, seed=1) / np.float32(np.sqrt(np.prod(weights[:3])))
    small, wide = x[:2].astype(np.float64), weight.astype(np.float64)
    with matrix_precision(name):
        y = conv2d(x, weight, None, stride, padding)
        dy = numbers(xp, *y.shape, seed=2)
        dx, dweight, dbias = conv2d_backward(dy, x, weight, stride, padding)
    with textbook():
        assert_close(y[:2], conv2d(small, wide, None, stride, padding), tolerance)
        dsmall, _, _ = conv2d_backward(dy[:2].astype(np.float64), small, wide, stride, padding)
        assert_close(dx[:2], dsmall, tolerance)
    total = 0
    for i in range(0, len(x), 2):
        with textbook():
            part = (a[i : i + 2].astype(np.float64) for a in (dy, x))
            total = total + conv2d_backward(*part, wide, stride, padding, needs_input_grad=False)[1]
    assert_close(dweight, total, tolerance)
    assert_close(dbias, dy.sum(axis=(0, 1, 2), dtype=np.float64))


@pytest.mark.parametrize(("shape", "weights", "stride", "padding"), LAYERS[:4])
def test_the_same_input_gives_the_same_bits(xp, shape, weights, stride, padding):
    x, weight = numbers(xp, *shape), numbers(xp, *weights, seed=1)
    dy = numbers(xp, *conv2d(x, weight, None, stride, padding).shape, seed=2)
    runs = [
        (conv2d(x, weight, None, stride, padding), *conv2d_backward(dy, x, weight, stride, padding)) for _ in range(3)
    ]
    for other in runs[1:]:
        for first, again in zip(runs[0], other, strict=True):
            assert (to_host(first) == to_host(again)).all()


def test_batch_norm(xp):
    x, dy = 3 * numbers(xp, 16, 224, 224, 64) + 20, numbers(xp, 16, 224, 224, 64, seed=1)
    gamma, beta = numbers(xp, 64), numbers(xp, 64, seed=1)
    y, normalized = normalization.batch_norm(x, gamma, beta, relu=True)
    with textbook():
        wanted, by_text = normalization.batch_norm(x, gamma, beta, relu=True)
        back = normalization.batch_norm_backward(dy, by_text, gamma)
    assert_close(y, wanted)
    assert_close(normalized.variance[:4], to_host(x[..., :4]).var(axis=(0, 1, 2), dtype=np.float64))
    for found, expected in zip(normalization.batch_norm_backward(dy, normalized, gamma), back, strict=True):
        assert_close(found, expected, 2e-3)  # textbook sums are of float32, and masks differ where y is nearly 0
    assert_close(channel_sums.channel_sums(dy), dy.sum(axis=(0, 1, 2), dtype=np.float64), 1e-5)


@pytest.mark.parametrize("settings", [(2,), (3, 2, 1)])
def test_pooling(xp, settings):
    x, dy = numbers(xp, 16, 224, 224, 64), numbers(xp, 16, 224, 224, 64, seed=1)
    with precise():
        y, switches = max_pool2d(x, *settings)
        up, down = max_unpool2d(y, switches), max_unpool2d_backward(dy, switches)
    with textbook():
        wanted, by_text = max_pool2d(x, *settings)
        assert (to_host(y) == to_host(wanted)).all()
        assert (to_host(switches.index) == to_host(by_text.index)).all()
        assert_close(up, max_unpool2d(y, by_text))
        assert_close(down, max_unpool2d_backward(dy, by_text))


def test_cross_entropy(xp):
    logits = numbers(xp, 16, 224, 224, 21)
    target = np.random.default_rng(0).integers(0, 22, (16, 224, 224))
    target[target == 21] = 255
    labels, factors = pixel_factors.pixel_factors(xp.asarray(target), logits, 21)
    loss, dlogits = losses.softmax_cross_entropy(logits, labels, factors)
    with textbook():
        wanted, dwanted = losses.softmax_cross_entropy(logits, labels, factors)
    np.testing.assert_allclose(float(loss), float(wanted), rtol=1e-5)
    assert_close(dlogits, dwanted)


MANY = (33, 1024, 1024, 64)


def test_more_numbers_than_32_bits_count(xp, monkeypatch):
    """2³¹ numbers and a few: offsets must be of 64 bits."""
    if xp.cuda.runtime.memGetInfo()[0] < 40 << 30:
        pytest.skip("needs 40 GB of the GPU's memory")
    x = xp.zeros(MANY, np.float32)
    x[-1, -2:, -2:] = 1
    y, switches = max_pool2d(x, 2)
    assert float(y[-1, -1, -1, -1]) == 1
    assert float(y.sum(dtype=np.float64)) == 64
    up = max_unpool2d(y, switches)
    assert float(up.sum(dtype=np.float64)) == 64
    assert float(up[-1, -2, -2, -1]) == 1
    assert float(channel_sums.channel_sums(x)[-1]) == 4
    del y, up, switches
    ones = xp.ones(64, np.float32)
    y, _ = normalization.batch_norm_fixed(x, ones, 0 * ones, 0 * ones, ones, 0.0, relu=True)
    assert float(y.sum(dtype=np.float64)) == 4 * 64
    del y
    weight = xp.ones((3, 3, 64, 2), np.float32)
    for form in (Algorithm.IMPLICIT, Algorithm.SHIFTED, Algorithm.WINOGRAD, Algorithm.COLUMNS):
        monkeypatch.setattr(convolution, "choose", lambda *_, form=form: form)
        y = conv2d(x, weight, None, 1, 1)
        assert abs(float(y[-1, -1, -1, -1]) - 4 * 64) < 0.1, form
        assert abs(float(y.sum(dtype=np.float64)) - (4 + 6 + 6 + 9) * 64 * 2) < 1, form
