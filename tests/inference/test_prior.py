import numpy as np
import pytest

from scratchnet.data import Preprocessing
from scratchnet.data.image_rows import ImageRows
from scratchnet.inference import PriorCorrected, Segmenter, evaluate, to_mask
from scratchnet.inference.by_rows import mask_rows
from scratchnet.ops.activation import softmax
from tests.inference.test_combining import Fixed, photos
from tests.tiny import Source, network, sample


@pytest.mark.parametrize(
    ("power", "wanted"), [(1.0, [0.8 / 0.85, 0.05 / 0.85]), (0.5, [0.8 / 0.9, 0.1 / 0.9]), (0.0, [0.8, 0.2])]
)
def test_probabilities_are_divided_by_the_weights(power, wanted):
    """By hand: 0.2 / 4 is 0.05, and 0.2 / √4 is 0.1; the sums are 0.85 and 0.9."""
    corrected = PriorCorrected(Fixed(np.log([0.8, 0.2])), (1.0, 4.0), power)
    for found in (corrected.probabilities(photos(1, 3, 4)), softmax(corrected.scores(photos(1, 3, 4)))):
        np.testing.assert_allclose(found[0, 1, 2], wanted, rtol=1e-5)


def test_a_class_without_weight_keeps_its_probability():
    found = PriorCorrected(Fixed(np.log([0.5, 0.5])), (0.0, 2.0), 1.0).probabilities(photos(1, 2, 2))
    np.testing.assert_allclose(found[0, 0, 0], [2 / 3, 1 / 3], rtol=1e-5)


def test_weights_undo_those_of_the_loss():
    """A network that minimises the weighted loss of a class of 10 % estimates the odds of weighted counts."""
    weights, share = np.array([1.0, 9.0]), np.array([0.9, 0.1])
    estimated = weights * share / (weights * share).sum()
    found = PriorCorrected(Fixed(np.log(estimated)), tuple(weights), 1.0).probabilities(photos(1, 2, 2))
    np.testing.assert_allclose(found[0, 0, 0], share, rtol=1e-5)


def test_tiles_are_corrected_row_by_row():
    segmenter = Segmenter(network(), Preprocessing("none"), tile=32)
    image = sample(3, 80, 96)[0]
    plain = segmenter.probabilities(image[None])
    ratio = float(np.median(plain[..., 1] / plain[..., 0]))
    corrected = PriorCorrected(segmenter, (1.0, ratio), 1.0)
    assert corrected.takes_rows(80, 96)
    wanted = to_mask(corrected.probabilities(image[None]))[0]
    assert 0.2 < wanted.mean() < 0.8
    found = np.concatenate(list(mask_rows(corrected, ImageRows.from_array(image))))
    np.testing.assert_array_equal(found, wanted)
    source = Source([(image, wanted)])
    assert evaluate(corrected, source).metrics.mean_iou == 1
    assert evaluate(segmenter, source).metrics.mean_iou < 1
