import numpy as np
import pytest

from scratchnet.ops.pixel_factors import pixel_factors
from tests.compare import assert_close, numbers
from tests.ops.pixel_labels import NORMALIZATIONS, SHAPE, labels_with_ignored


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
