"""The solutions agree with the packaged functions, and their gradients with numerical ones."""

import numpy as np
import pytest

from scratchnet.evaluation import confusion_matrix, metrics
from scratchnet.exercises import all_exercises
from scratchnet.gradcheck import check_gradients, from_functions
from scratchnet.losses import PixelLoss
from scratchnet.ops import resampling
from scratchnet.ops.convolution import conv2d, conv2d_backward
from scratchnet.ops.dice import dice_loss as packaged_dice_loss


@pytest.fixture
def solve():
    """Return a function of a solution by the names of the exercise and the function."""
    return lambda exercise, function: all_exercises()[exercise].solution[function]


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def test_metrics(solve, rng):
    truth, prediction = rng.integers(0, 3, (2, 2, 5, 6))
    truth[0, :2] = 255
    table = solve("01_confusion", "confusion_matrix")(truth, prediction, 4, 255)
    np.testing.assert_array_equal(table, confusion_matrix(truth, prediction, 4))
    measured = metrics(table)
    np.testing.assert_allclose(solve("01_iou_and_dice", "iou_of_classes")(table), measured.iou)
    np.testing.assert_allclose(solve("01_iou_and_dice", "dice_of_classes")(table), measured.dice)


def test_convolution(solve, rng):
    x, weight, bias, dy = (rng.standard_normal(s) for s in ((2, 8, 5, 3), (3, 2, 3, 4), (4,), (2, 4, 3, 4)))
    settings = {"stride": 2, "padding": 1}
    columns = solve("04_im2col", "im2col")(x, 3, 2, 2, 1)
    product = (columns @ weight.reshape(-1, 4)).reshape(2, 4, 3, 4)
    np.testing.assert_allclose(product, conv2d(x, weight, **settings), atol=1e-12)
    image = solve("04_col2im", "col2im")(columns, 8, 5, 3, 2, 2, 1)
    np.testing.assert_allclose((columns * columns).sum(), (x * image).sum())  # adjoint
    np.testing.assert_allclose(solve("04_convolution", "convolve")(x, weight, 2, 1), product, atol=1e-12)
    y = solve("05_layer", "convolve")(x, weight, bias, 2, 1)
    np.testing.assert_allclose(y, conv2d(x, weight, bias, **settings), atol=1e-12)
    right = conv2d_backward(dy, x, weight, **settings)
    for ours, theirs in zip(solve("05_layer", "convolve_backward")(dy, x, weight, bias, 2, 1), right, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-12)
    np.testing.assert_allclose(solve("05_input", "input_gradient")(dy, weight, 8, 5, 2, 1), right[0], atol=1e-12)
    own = solve("05_weight_and_bias", "weight_gradient")(dy, x, 3, 2, 2, 1)
    np.testing.assert_allclose(own, right[1], atol=1e-12)


def test_losses(solve, rng):
    z, mask, weights = rng.standard_normal((2, 3, 4, 3)), rng.integers(0, 3, (2, 3, 4)), (0.5, 1.0, 3.0)
    mask[0, 0] = 255
    loss, dz = solve("06_softmax_loss", "softmax_loss")(z, mask, np.array(weights), 255)
    right, gradient = PixelLoss(classes=3, class_weights=weights)(z, mask)
    np.testing.assert_allclose(loss, right)
    np.testing.assert_allclose(dz, gradient)
    logits, labels = z[..., :1], rng.integers(0, 2, (2, 3, 4))
    losses = solve("06_sigmoid", "cross_entropy")(logits[..., 0], labels)
    slopes = solve("06_sigmoid", "cross_entropy_slope")(logits[..., 0], labels)
    right, gradient = PixelLoss(classes=2)(logits, labels)
    np.testing.assert_allclose(losses.mean(), right)
    np.testing.assert_allclose(slopes / slopes.size, gradient[..., 0])


def test_dice_loss(solve, rng):
    dice_loss = solve("06_dice_loss", "dice_loss")
    z, t = rng.standard_normal((2, 3, 4, 1)), rng.integers(0, 2, (2, 3, 4))
    p = solve("06_sigmoid", "sigmoid")(z[..., 0])
    loss, gradient = packaged_dice_loss(z, t, np.ones(t.shape), smooth=0.0)
    np.testing.assert_allclose(dice_loss(p, t)[0], loss)
    np.testing.assert_allclose(dice_loss(p, t)[1] * p * (1 - p), gradient[..., 0], atol=1e-12)
    problem = from_functions(
        {"p": p}, lambda p: np.array([dice_loss(p, t)[0]]), lambda dy, p: {"p": dy * dice_loss(p, t)[1]}
    )
    assert check_gradients("dice", problem).ok


@pytest.mark.parametrize(
    ("exercise", "name", "given"),
    [
        ("08_nearest", "upsample_nearest", (2,)),
        ("08_bed_of_nails", "bed_of_nails", (2,)),
        ("08_interpolation", "upsample_bilinear", ()),
    ],
)
def test_upsampling(solve, rng, exercise, name, given):
    x, dy = rng.standard_normal((2, 3, 4, 2)), rng.standard_normal((2, 6, 8, 2))
    right = getattr(resampling, name)(x, 2 if given else (6, 8))
    np.testing.assert_allclose(solve(exercise, name)(x, *given), right, atol=1e-12)
    right = getattr(resampling, f"{name}_backward")(dy, 2 if given else (3, 4))
    np.testing.assert_allclose(solve(exercise, f"{name}_backward")(dy, *given), right, atol=1e-12)
