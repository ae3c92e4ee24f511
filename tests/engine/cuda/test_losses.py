"""The cross-entropy kernel against the CPU's."""

import numpy as np
import pytest

from scratchnet.engine.cuda import losses as cuda
from scratchnet.ops import losses, pixel_factors
from tests.compare import assert_close, numbers

SHAPES = [
    (1, 1, 1, 2),
    (2, 9, 15, 3),  # not a multiple of the block
    (1, 6, 5, 400),  # pixels of a block limited by shared memory
    (1, 2, 3, 5119),
    pytest.param((2, 11, 13, 21), marks=pytest.mark.sanitized),
]


def problem(shape, dtype, **settings):
    """Return logits, and the labels and factors of a target with ignored pixels."""
    rng = np.random.default_rng(0)
    logits = numbers(*shape, dtype=dtype) * 5
    target = rng.integers(0, shape[3], shape[:3])
    target[rng.random(shape[:3]) < 0.2] = 255 if shape[3] < 255 else -1
    weights = rng.random(shape[3]).astype(dtype), rng.random(shape[:3]).astype(dtype)
    ignore = 255 if shape[3] < 255 else -1
    return logits, *pixel_factors.pixel_factors(target, logits, shape[3], *weights, ignore_index=ignore, **settings)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("normalization", ["pixels", "weights"])
def test_loss_and_gradient(kernels, dtype, shape, normalization):
    given = problem(shape, dtype, normalization=normalization)
    loss, dlogits = cuda.softmax_cross_entropy(*given)
    expected, dexpected = losses.softmax_cross_entropy(*given)
    assert loss.dtype == np.float64
    assert float(loss) == pytest.approx(expected, rel=1e-6 if dtype == np.float32 else 1e-12)
    largest = np.abs(dexpected).max()
    assert_close(dlogits / largest, dexpected / largest, dtype)


@pytest.mark.parametrize("size", [40.0, 4000.0])
def test_large_logits(kernels, size):
    logits = np.array([size, 0.0]).reshape(1, 1, 1, 2)
    labels, factors = pixel_factors.pixel_factors(np.array([[[1]]]), logits, 2)
    loss, dlogits = cuda.softmax_cross_entropy(logits, labels, factors)
    assert float(loss) == size
    np.testing.assert_array_equal(dlogits.ravel(), [1, -1])


def test_everything_ignored(kernels):
    logits = numbers(1, 3, 3, 4)
    loss, dlogits = cuda.softmax_cross_entropy(logits, *pixel_factors.pixel_factors(np.full((1, 3, 3), 255), logits, 4))
    assert float(loss) == 0
    assert not dlogits.any()


@pytest.mark.parametrize("label", [-1, 3, 2**40])
def test_what_is_no_label_makes_the_loss_nan(kernels, label):
    logits = numbers(1, 2, 2, 3)
    loss, _ = cuda.softmax_cross_entropy(logits, np.full((1, 2, 2), label), np.ones((1, 2, 2)))
    assert np.isnan(loss)


def test_too_many_classes_are_refused(kernels):
    with pytest.raises(ValueError, match="20000 classes are more"):
        cuda.softmax_cross_entropy(np.zeros((1, 1, 1, 20000)), np.zeros((1, 1, 1), int), np.ones((1, 1, 1)))


def test_infinite_and_ignored_logits(kernels, dtype):
    logits, target = numbers(2, 9, 7, 5, dtype=dtype), np.zeros((2, 9, 7), int)
    target[:, ::2] = 255
    logits[:, ::2] = np.nan
    logits[:, 1::2, :, 2] = -np.inf
    given = logits, *pixel_factors.pixel_factors(target, logits, 5)
    loss, dlogits = cuda.softmax_cross_entropy(*given)
    expected, dexpected = losses.softmax_cross_entropy(*given)
    assert float(loss) == pytest.approx(expected, rel=1e-6)
    assert_close(dlogits, dexpected, dtype)
