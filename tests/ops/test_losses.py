import math

import numpy as np
import pytest

from scratchnet.engine.cpu import losses as fast
from scratchnet.ops.dice import dice_loss
from scratchnet.ops.losses import pixel_factors, sigmoid_cross_entropy, softmax_cross_entropy
from tests import naive
from tests.compare import assert_close, numbers

pytestmark = pytest.mark.usefixtures("form")

SHAPE = (2, 3, 4)
NORMALIZATIONS = ["pixels", "weights", "sum"]


def labels_with_ignored(classes, seed=0):
    rng = np.random.default_rng(seed)
    target = rng.integers(0, classes, SHAPE).astype(np.uint8)
    target[0, 0, :2] = 255
    target[1, 2, 3] = 255
    return target


def loop_factors(target, classes, class_weights, pixel_weights, normalization):
    """The factor of every pixel, one after the other."""
    weight = np.zeros(target.shape)
    for place in np.ndindex(target.shape):
        if target[place] != 255:
            weight[place] = class_weights[target[place]] * pixel_weights[place]
    divisor = {"pixels": (target != 255).sum(), "weights": weight.sum(), "sum": 1}[normalization]
    return weight / divisor


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_pixel_factors_agree_with_loops(normalization, dtype):
    target = labels_with_ignored(3)
    weights, pixel_map = np.array([0.5, 2.0, 1.25]), np.abs(numbers(*SHAPE))
    labels, factors = pixel_factors(target, np.zeros(1, dtype), 3, weights, pixel_map, 255, normalization)
    assert_close(factors, loop_factors(target, 3, weights, pixel_map, normalization), dtype)
    assert labels.dtype == np.int64
    np.testing.assert_array_equal(labels, np.where(target == 255, 0, target))


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


@pytest.mark.parametrize("classes", [2, fast.MAX_PLANES + 2])
def test_the_softmax_of_many_pieces_agrees_with_loops(classes, dtype, monkeypatch):
    logits = 2 * numbers(*SHAPE, classes, dtype=dtype)
    monkeypatch.setattr(fast, "CHUNK_BYTES", 5 * classes * logits.itemsize)  # the last piece of 24 pixels has 4
    labels, factors = pixel_factors(labels_with_ignored(classes), logits, classes)
    loss, dlogits = softmax_cross_entropy(logits, labels, factors)
    slow_loss, slow_dlogits = naive.softmax_cross_entropy(logits, labels, factors)
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


@pytest.mark.parametrize(
    ("label", "ignore", "text"),
    [
        (3, 255, r"target holds the label 3; expected 0 … 2 or 255 \(ignored\)"),
        (255, None, r"target holds the label 255; expected 0 … 2$"),
        (255, 11, r"target holds the label 255; expected 0 … 2 or 11 \(ignored\)"),
        (-1, 255, "target holds the label -1; expected 0 … 2"),
    ],
)
def test_labels_out_of_range_are_named(label, ignore, text):
    target = np.zeros(SHAPE, int)
    target[1, 1, 1] = label
    with pytest.raises(ValueError, match=text):
        pixel_factors(target, np.zeros(1), 3, ignore_index=ignore)


def test_the_ignore_label_may_be_a_class_number_in_range():
    labels, factors = pixel_factors(np.array([[[0, 1, 2]]]), np.zeros(1), 3, ignore_index=1)
    assert factors.ravel().tolist() == [0.5, 0, 0.5]
    assert labels.ravel().tolist() == [0, 0, 2]


@pytest.mark.parametrize(("channels", "classes"), [(1, 2), (2, 2), (4, 4)])
@pytest.mark.parametrize("smooth", [1.0, 0.1])
def test_dice_loss_agrees_with_loops(channels, classes, smooth, dtype):
    logits = 2 * numbers(*SHAPE, channels, dtype=dtype)
    labels, factors = pixel_factors(labels_with_ignored(classes), logits, classes)
    loss, dlogits = dice_loss(logits, labels, factors, smooth)
    slow_loss, slow_dlogits = naive.dice_loss(logits, labels, factors, smooth)
    assert math.isclose(loss, slow_loss, rel_tol=1e-5 if dtype == np.float32 else 1e-12)
    assert_close(dlogits, slow_dlogits, dtype)


def test_dice_loss_at_its_ends():
    target = np.array([[[1, 1, 0, 0]]])
    right = np.array([50.0, 50, -50, -50]).reshape(1, 1, 4, 1)
    labels, factors = pixel_factors(target, right, 2)
    assert dice_loss(right, labels, factors)[0] == pytest.approx(0, abs=1e-12)
    # Nothing overlaps: D = s / (2 + 2 + s).
    assert dice_loss(-right, labels, factors, smooth=1.0)[0] == pytest.approx(1 - 1 / 5, abs=1e-12)
    nothing = np.full((1, 1, 4, 1), -50.0)
    empty = pixel_factors(np.zeros((1, 1, 4), int), nothing, 2)
    assert dice_loss(nothing, *empty)[0] == pytest.approx(0, abs=1e-12)  # two empty masks agree
