import math

import numpy as np
import pytest

from scratchnet.engine.cpu import losses
from scratchnet.ops.pixel_factors import pixel_factors
from tests import naive
from tests.compare import assert_close, numbers
from tests.ops.pixel_labels import SHAPE, labels_with_ignored


@pytest.mark.parametrize("classes", [2, losses.MAX_PLANES + 2])
def test_the_softmax_of_many_chunks_agrees_with_loops(classes, dtype, monkeypatch):
    logits = 2 * numbers(*SHAPE, classes, dtype=dtype)
    monkeypatch.setattr(losses, "CHUNK_BYTES", 5 * classes * logits.itemsize)  # the last chunk of 24 pixels has 4
    labels, factors = pixel_factors(labels_with_ignored(classes), logits, classes)
    loss, dlogits = losses.softmax_cross_entropy(logits, labels, factors)
    slow_loss, slow_dlogits = naive.softmax_cross_entropy(logits, labels, factors)
    assert math.isclose(loss, slow_loss, rel_tol=1e-5 if dtype == np.float32 else 1e-12)
    assert_close(dlogits, slow_dlogits, dtype)
