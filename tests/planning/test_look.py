"""A look at a data set."""

import numpy as np
import pytest

from scratchnet.planning import look
from tests.tiny import Source


def looked(pairs):
    return look(Source(pairs, ("a", "b")), Source(pairs[:1], ("a", "b")))


def scene(index, place, side=6, brightness=100):
    """Return an image of 30×40 pixels with a square of class 1 and a speck, at a place or, for None, anywhere."""
    rng = np.random.default_rng(index)
    mask = np.zeros((30, 40), np.uint8)
    top, left = place or (int(rng.integers(0, 20)), int(rng.integers(0, 30)))
    mask[top : top + side, left : left + side] = 1
    mask[29, 39] = 1
    image = np.clip(rng.integers(0, 60, (30, 40, 3)) + brightness, 0, 255)
    return image.astype(np.uint8), mask


def test_sizes_shares_and_objects():
    found = looked([scene(index, None) for index in range(12)])
    assert found.sizes == ((30, 40),) * 12
    assert found.validation_sizes == ((30, 40),)
    assert found.shares == pytest.approx((1163 / 1200, 37 / 1200))
    assert found.object_sides == (0.0, 6.0)  # not the speck
    assert found.weights[1] > 10 * found.weights[0]
    assert (found.upright, found.sided) == (False, False)
    assert found.uneven < 0.3


def test_a_class_that_keeps_to_the_bottom_or_left():
    low = looked([scene(index, (22, int(3 * index))) for index in range(11)])
    assert (low.upright, low.sided) == (True, False)
    left = looked([scene(index, (int(2 * index), 2)) for index in range(11)])
    assert (left.upright, left.sided) == (False, True)


def test_light_that_comes_from_above():
    pairs = [scene(index, None) for index in range(12)]
    ramp = np.linspace(60, 0, 30, dtype=np.uint8)[:, None, None]
    assert looked([(image + ramp, mask) for image, mask in pairs]).upright


def test_few_images_prove_nothing():
    few = looked([scene(index, (22, 2)) for index in range(4)])
    assert (few.upright, few.sided) == (False, False)


def test_some_images_are_far_brighter():
    assert looked([scene(index, None, brightness=20 + 150 * (index % 2)) for index in range(12)]).uneven > 1
