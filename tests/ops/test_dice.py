import math

import numpy as np
import pytest

from scratchnet.ops.dice import dice_loss
from scratchnet.ops.pixel_factors import pixel_factors
from tests import naive
from tests.compare import assert_close, numbers
from tests.ops.pixel_labels import SHAPE, labels_with_ignored


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


def test_infinite_logits_of_ignored_pixels_give_no_warning():
    """Warnings are errors here, and ∞·0 would give one."""
    logits, factors = numbers(1, 3, 4, 2), np.ones((1, 3, 4))
    logits[0, 0], factors[0, 0] = np.inf, 0
    loss, dlogits = dice_loss(logits, np.zeros((1, 3, 4), np.int64), factors)
    assert np.isfinite(loss)
    assert np.isfinite(dlogits).all()
    assert not dlogits[0, 0].any()
