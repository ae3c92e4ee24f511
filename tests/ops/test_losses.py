import math

import numpy as np
import pytest

from scratchnet.ops.dice import dice_loss
from scratchnet.ops.losses import sigmoid_cross_entropy, softmax_cross_entropy
from scratchnet.ops.pixel_factors import pixel_factors
from tests import naive
from tests.compare import assert_close, numbers
from tests.ops.pixel_labels import NORMALIZATIONS, SHAPE, labels_with_ignored

pytestmark = pytest.mark.usefixtures("form")


@pytest.mark.parametrize(
    ("normalization", "expected"), [("pixels", 2 * 3 / 3), ("weights", 2 * 3 / 5), ("sum", 2 * 3 / 1)]
)
def test_the_three_normalisations_by_hand(normalization, expected):
    """Three pixels count, of classes 0, 0, 1 with weights 1, 1, 3; a fourth is ignored.

    Class 1 has probability e⁻² and class 0 probability 1, so only the third pixel has a loss: 3 · 2.
    """
    logits = np.zeros((1, 1, 4, 2))
    logits[0, 0, :, 0] = [400, 400, 0, 7]
    logits[0, 0, 2, 1] = math.log(math.exp(-2) / (1 - math.exp(-2)))
    target = np.array([[[0, 0, 1, 255]]])
    labels, factors = pixel_factors(target, logits, 2, np.array([1.0, 3.0]), normalization=normalization)
    loss, _ = softmax_cross_entropy(logits, labels, factors)
    assert math.isclose(loss, expected, rel_tol=1e-12)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_softmax_cross_entropy_agrees_with_loops(normalization, dtype):
    logits = 2 * numbers(*SHAPE, 4, dtype=dtype)
    labels, factors = pixel_factors(
        labels_with_ignored(4), logits, 4, np.array([1, 0.5, 3, 2]), normalization=normalization
    )
    loss, dlogits = softmax_cross_entropy(logits, labels, factors)
    slow_loss, slow_dlogits = naive.softmax_cross_entropy(logits, labels, factors)
    assert isinstance(loss, float)
    assert math.isclose(loss, slow_loss, rel_tol=1e-5 if dtype == np.float32 else 1e-12)
    assert_close(dlogits, slow_dlogits, dtype)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_sigmoid_cross_entropy_agrees_with_loops(normalization, dtype):
    logits = 2 * numbers(*SHAPE, 1, dtype=dtype)
    labels, factors = pixel_factors(labels_with_ignored(2), logits, 2, np.array([1, 3.5]), normalization=normalization)
    loss, dlogits = sigmoid_cross_entropy(logits, labels, factors)
    slow_loss, slow_dlogits = naive.sigmoid_cross_entropy(logits, labels, factors)
    assert math.isclose(loss, slow_loss, rel_tol=1e-5 if dtype == np.float32 else 1e-12)
    assert_close(dlogits, slow_dlogits, dtype)


def test_one_sigmoid_is_a_softmax_of_two():
    z = numbers(*SHAPE, 1)
    labels, factors = pixel_factors(labels_with_ignored(2), z, 2)
    one, done = sigmoid_cross_entropy(z, labels, factors)
    two, dtwo = softmax_cross_entropy(np.concatenate([0 * z, z], axis=3), labels, factors)
    assert math.isclose(one, two, rel_tol=1e-12)
    assert_close(done[..., 0], dtwo[..., 1])


@pytest.mark.parametrize("size", [40, 4000])
@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("sign", [-1, 1])
def test_huge_logits_have_finite_losses(size, label, sign, dtype):
    """A logit of ±size for class 1: the loss is 0 where it is right and ``size`` where it is wrong."""
    z = np.full((1, 1, 1, 1), sign * size, dtype)
    labels, factors = pixel_factors(np.full((1, 1, 1), label), z, 2)
    wrong = (sign > 0) != (label == 1)
    for loss, gradient in (
        sigmoid_cross_entropy(z, labels, factors),
        softmax_cross_entropy(np.concatenate([0 * z, z], axis=3), labels, factors),
    ):
        assert math.isclose(loss, size if wrong else 0, abs_tol=1e-6)
        assert abs(gradient[..., -1].item() - (sign if wrong else 0)) < 1e-12


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("loss", [softmax_cross_entropy, sigmoid_cross_entropy, dice_loss])
def test_a_batch_of_ignored_pixels_has_loss_0_and_gradient_0(loss, normalization):
    logits = numbers(*SHAPE, 1 if loss is sigmoid_cross_entropy else 2)
    labels, factors = pixel_factors(np.full(SHAPE, 255), logits, 2, normalization=normalization)
    value, gradient = loss(logits, labels, factors)
    assert value == 0
    assert not gradient.any()


@pytest.mark.parametrize("loss", [softmax_cross_entropy, dice_loss])
def test_ignored_pixels_have_neither_loss_nor_gradient(loss):
    target = labels_with_ignored(3)
    logits = numbers(*SHAPE, 3)
    value, gradient = loss(logits, *pixel_factors(target, logits, 3))
    assert not gradient[target == 255].any()
    assert gradient[target != 255].all()
    logits[target == 255] += 100
    assert loss(logits, *pixel_factors(target, logits, 3))[0] == pytest.approx(value, rel=1e-12)
