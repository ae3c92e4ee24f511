import math

import numpy as np
import pytest

from scratchnet import textbook
from scratchnet.engine.cpu import losses
from scratchnet.ops.losses import sigmoid_cross_entropy, softmax_cross_entropy
from scratchnet.ops.pixel_factors import pixel_factors
from tests import naive
from tests.compare import assert_close, numbers
from tests.ops.pixel_labels import SHAPE, labels_with_ignored


@pytest.mark.parametrize("classes", [2, losses.MAX_MASKED, losses.MAX_MASKED + 1, losses.MAX_PLANES + 2])
def test_the_softmax_of_many_chunks_agrees_with_loops(classes, dtype, monkeypatch):
    logits = 2 * numbers(*SHAPE, classes, dtype=dtype)
    monkeypatch.setattr(losses, "CHUNK_BYTES", 5 * classes * logits.itemsize)  # the last chunk of 24 pixels has 4
    labels, factors = pixel_factors(labels_with_ignored(classes), logits, classes)
    loss, dlogits = losses.softmax_cross_entropy(logits, labels, factors)
    slow_loss, slow_dlogits = naive.softmax_cross_entropy(logits, labels, factors)
    assert math.isclose(loss, slow_loss, rel_tol=1e-5 if dtype == np.float32 else 1e-12)
    assert_close(dlogits, slow_dlogits, dtype)


def test_the_sigmoid_of_many_chunks_agrees_with_loops(dtype, monkeypatch):
    logits = 4 * numbers(*SHAPE, 1, dtype=dtype)
    monkeypatch.setattr(losses, "CHUNK_BYTES", 5 * logits.itemsize)
    labels, factors = pixel_factors(labels_with_ignored(2), logits, 2)
    loss, dlogits = losses.sigmoid_cross_entropy(logits, labels, factors)
    slow_loss, slow_dlogits = naive.sigmoid_cross_entropy(logits, labels, factors)
    assert math.isclose(loss, slow_loss, rel_tol=1e-5 if dtype == np.float32 else 1e-12)
    assert_close(dlogits, slow_dlogits, dtype)


@pytest.mark.parametrize("z", [0.0, 1e-3, 1.0, 8.0, 17.0, 30.0, 80.0])
def test_the_loss_of_a_confident_pixel_keeps_all_digits(z, dtype):
    """From 17 on, 1 + e^(−z) is 1 in float32, but its logarithm is e^(−z)."""
    label, factor = np.ones(1, np.int64), np.ones(1, dtype)
    loss = losses._sigmoid_chunk(np.full((1, 1), z, dtype), label, factor, np.empty((1, 1), dtype))
    expected = math.log1p(math.exp(-float(dtype.type(z))))
    assert math.isclose(loss, expected, rel_tol=1e-5 if dtype == np.float32 else 1e-14)


@pytest.mark.parametrize("classes", [1, 3, 6])
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 4000.0, -4000.0])
def test_extreme_logits_give_what_the_plain_form_gives(classes, value, dtype):
    """At a pixel that counts, and at one that is ignored."""
    function = sigmoid_cross_entropy if classes == 1 else softmax_cross_entropy
    target = labels_with_ignored(max(2, classes))
    for place in (
        tuple(np.argwhere(target == 0)[0]),
        tuple(np.argwhere(target == 1)[0]),
        tuple(np.argwhere(target == 255)[0]),
    ):
        logits = numbers(*SHAPE, classes, dtype=dtype)
        logits[(*place, 0)] = value
        labels, factors = pixel_factors(target, logits, max(2, classes))
        loss, dlogits = function(logits, labels, factors)
        with textbook(), np.errstate(invalid="ignore"):
            expected, dexpected = function(logits, labels, factors)
        np.testing.assert_allclose(loss, expected, rtol=1e-5 if dtype == np.float32 else 1e-12)
        np.testing.assert_allclose(dlogits, dexpected, rtol=0, atol=1e-6 if dtype == np.float32 else 1e-14)
