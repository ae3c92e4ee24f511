import numpy as np
import pytest

from scratchnet.evaluation import reliability


def two_classes(confidence, right):
    """Return the probabilities and the truth of pixels whose class 1 is predicted with some confidence."""
    confidence = np.array(confidence)
    return np.stack([1 - confidence, confidence], axis=-1), np.array(right).astype(np.int64)


def test_by_hand():
    """Two pixels at 0.9, one right: gap 0.4. Two at 0.6, both right: gap 0.4. One at 1, right: bin of 0.9."""
    found = reliability(*two_classes([0.92, 0.94, 0.62, 0.64, 1.0], [1, 0, 1, 1, 1]))
    assert found.counts.tolist() == [0, 0, 0, 0, 0, 0, 2, 0, 0, 3]
    np.testing.assert_allclose(found.confidence[[6, 9]], [0.63, 2.86 / 3])
    np.testing.assert_allclose(found.accuracy[[6, 9]], [1, 2 / 3])
    assert np.isnan(found.confidence[:6]).all()
    gap = 3 * abs(2 / 3 - 2.86 / 3) + 2 * 0.37
    assert found.expected_calibration_error() == pytest.approx(gap / 5)


def test_a_calibrated_network_has_a_small_error():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1, 200_000)
    right = rng.random(len(confidence)) < confidence
    assert reliability(*two_classes(confidence, right)).expected_calibration_error() < 0.005
    wrong = rng.random(len(confidence)) < confidence - 0.2
    assert reliability(*two_classes(confidence, wrong)).expected_calibration_error() == pytest.approx(0.2, abs=0.01)


def test_ignored_pixels_do_not_count():
    probabilities, truth = two_classes([0.9, 0.9, 0.7], [1, 255, 1])
    assert reliability(probabilities, truth).counts.sum() == 2
    assert reliability(probabilities, truth, ignore_index=None).counts.sum() == 3
    assert np.isnan(reliability(probabilities, np.full(3, 255)).expected_calibration_error())


def test_wrong_arguments():
    probabilities, truth = two_classes([0.9, 0.8], [1, 1])
    with pytest.raises(ValueError, match="do not fit"):
        reliability(probabilities, truth[:1])
    with pytest.raises(ValueError, match="expected 1 or more"):
        reliability(probabilities, truth, bins=0)
