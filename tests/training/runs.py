"""Settings and comparisons of runs, for the tests of training."""

import numpy as np

from scratchnet.data import Augmentation
from tests.tiny import rows, run

NORMED = {"width": 0.1, "batch_norm": True}
EVERYTHING = Augmentation(
    flip_horizontal=True,
    rotate90=True,
    scale=(0.8, 1.2),
    crop=(16, 16),
    brightness=0.1,
    noise=0.02,
    mosaic=0.5,
    elastic=2.0,
)


def values(made):
    return made.network.flat().values.copy()


def state(made):
    return {name: buffer.value.copy() for name, buffer in made.network.state().items()}


def assert_same(one, other):
    """Assert two runs hold the same bits: numbers, statistics, optimiser and log."""
    np.testing.assert_array_equal(values(one), values(other))
    for name, value in state(one).items():
        np.testing.assert_array_equal(value, state(other)[name])
    assert set(one.loop.optimizer.arrays) == set(other.loop.optimizer.arrays)
    for name, array in one.loop.optimizer.arrays.items():
        np.testing.assert_array_equal(array, other.loop.optimizer.arrays[name])
    assert rows(one) == rows(other)


def frozen(tmp_path, monkeypatch, scores, **settings):
    """A run whose validation scores are given."""
    made = run(tmp_path, **{"epochs": len(scores), **settings})
    found = made.loop.validate("x")
    given = iter(scores)

    def validate(label):
        metrics = type(found.metrics)(**{**vars(found.metrics), "mean_iou": next(given)})
        return type(found)(found.confusion, metrics, found.loss, found.scores)

    monkeypatch.setattr(made.loop, "validate", validate)
    return made
