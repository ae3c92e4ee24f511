import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratchnet.evaluation import boundary_band, boundary_f1, mean_boundary_f1, within
from scratchnet.evaluation.boundaries import boundary


def square(side=40, top=10, left=10, length=16, value=1):
    mask = np.zeros((side, side), np.uint8)
    mask[top : top + length, left : left + length] = value
    return mask


def tolerance(pixels, mask):
    """The share of the diagonal that is so many pixels, and a hair more."""
    return (pixels + 1e-6) / math.hypot(*mask.shape)


def naive_within(mask, distance):
    near = np.zeros(mask.shape, bool)
    for y, x in np.argwhere(mask):
        for i, j in np.ndindex(mask.shape):
            near[i, j] |= (i - y) ** 2 + (j - x) ** 2 <= distance**2
    return near


@given(st.integers(0, 2**32 - 1), st.floats(0, 9), st.integers(1, 12), st.integers(1, 12))
def test_within_is_the_distance_to_the_nearest(seed, distance, h, w):
    mask = np.random.default_rng(seed).random((h, w)) < 0.1
    np.testing.assert_array_equal(within(mask, distance), naive_within(mask, distance))


def test_within_agrees_with_scipy():
    ndimage = pytest.importorskip("scipy.ndimage")
    mask = np.random.default_rng(0).random((60, 90)) < 0.003
    far = ndimage.distance_transform_edt(~mask)
    for distance in (1, 2.5, 4.51, 13, 200):
        np.testing.assert_array_equal(within(mask, distance), far <= distance)


def test_boundaries_lie_on_both_sides_and_not_at_the_border():
    labels = np.array([[0, 0, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 5, 5], [0, 0, 0, 5, 5]])
    assert boundary(labels).astype(int).tolist() == [[0, 0, 0, 0, 0], [0, 0, 0, 1, 1], [0, 0, 1, 1, 1], [0, 0, 1, 1, 0]]


def test_a_perfect_prediction_scores_one():
    mask = square()
    assert boundary_f1(mask, mask, 2).tolist() == [1, 1]


@pytest.mark.parametrize("shift", range(5))
@pytest.mark.parametrize("allowed", range(5))
def test_a_shifted_square(shift, allowed):
    """A square of 16 px has 60 boundary pixels; moved by s, its left and right sides leave theirs by s pixels.

    What stays on the other's outline: with a tolerance under s, of the 60 the 2·(16 − s) pixels of top and bottom where
    the two overlap, plus those of the tolerance round their ends; with more, all of them.
    """
    truth, found = square(), square(left=10 + shift)
    (_, score) = boundary_f1(truth, found, 2, tolerance=tolerance(allowed, truth))
    outline = {(y, x) for y, x in np.ndindex(16, 16) if y in (0, 15) or x in (0, 15)}
    moved = {(y, x + shift) for y, x in outline}

    def share(these, those):
        return np.mean([any((y - v) ** 2 + (x - u) ** 2 <= allowed**2 for v, u in those) for y, x in these])

    precision, recall = share(moved, outline), share(outline, moved)
    assert precision == recall  # they mirror each other
    assert score == pytest.approx(precision)
    assert (score == 1) == (shift <= allowed)


def test_known_values():
    """Side 16: the outline has 60 pixels. Moved by 3 without tolerance: 2·13 of top and bottom coincide."""
    truth = square()
    assert boundary_f1(truth, square(left=13), 2, tolerance=0)[1] == pytest.approx(26 / 60)
    # One half is missing: of the 44 pixels round the other half, 16 on the left and 2·7 above and below are right.
    half = truth.copy()
    half[:, 18:] = 0
    half_outline = {(y, x) for y, x in np.ndindex(16, 8) if y in (0, 15) or x in (0, 7)}
    assert len(half_outline) == 44
    hits = sum(y in (0, 15) or x == 0 for y, x in half_outline)
    assert hits == 16 + 2 * 7
    precision, recall = hits / 44, hits / 60
    expected = 2 * precision * recall / (precision + recall)
    assert boundary_f1(truth, half, 2, tolerance=0)[1] == pytest.approx(expected)


def test_precision_and_recall_are_told_apart():
    """A second square that is not there lowers precision alone; its absence in the other direction, recall alone."""
    one, two = square(length=8), square(length=8)
    two[25:33, 25:33] = 1
    assert boundary_f1(one, two, 2, tolerance=0)[1] == pytest.approx(2 * 0.5 / 1.5)
    assert boundary_f1(two, one, 2, tolerance=0)[1] == pytest.approx(2 * 0.5 / 1.5)


def test_the_tolerance_is_a_share_of_the_diagonal():
    """3-4-5: an image of 300×400 has a diagonal of 500, so 0.75 % are 3.75 pixels."""
    truth = np.zeros((300, 400), np.uint8)
    truth[100:200, 100:200] = 1
    scores = [boundary_f1(truth, np.roll(truth, shift, axis=1), 2)[1] for shift in (3, 4)]
    assert scores[0] == 1
    assert scores[1] < 1


def test_only_classes_in_the_truth_count():
    truth, found = square(value=1), square(value=2)
    scores = boundary_f1(truth, found, 4)
    assert scores[0] == 1
    assert scores[1] == 0
    assert np.isnan(scores[2:]).all()


def test_without_boundaries():
    empty, full = np.zeros((9, 9), np.uint8), np.ones((9, 9), np.uint8)
    assert boundary_f1(empty, empty, 2)[0] == 1
    assert (
        boundary_f1(empty, full, 2)[0] == 1
    )  # neither has a boundary of class 0; its pixels are other measures' matter
    assert boundary_f1(empty, square(9, 3, 3, 3), 2)[0] == 0
    assert boundary_f1(square(9, 3, 3, 3), empty, 2).tolist() == [0, 0]


def test_an_ignored_line_round_an_object_is_its_boundary():
    """Pascal VOC draws one; whatever is predicted on it, right on both sides of it is right."""
    truth = square()
    line = within(truth == 1, 2) & (truth == 0)
    truth[line] = 255
    for grown in (0, 1, 2):
        found = within(square() == 1, grown).astype(np.uint8)
        scores = boundary_f1(truth, found, 2, tolerance=tolerance(3, truth))
        np.testing.assert_array_equal(scores, [1, 1])
    far = square(top=2, left=2, length=32)
    assert boundary_f1(truth, far, 2, tolerance=tolerance(3, truth))[1] < 0.3


def test_a_false_outline_in_an_ignored_place_is_left_out():
    truth = square()
    truth[30:, :] = 255
    found = square()
    found[33:37, 5:20] = 1
    assert boundary_f1(truth, found, 2, tolerance=0)[1] == 1
    assert boundary_f1(np.where(truth == 255, 0, truth), found, 2, tolerance=0)[1] < 1


def test_an_ignored_class_has_no_score():
    truth = square(value=2)
    assert np.isnan(boundary_f1(truth, truth, 3, ignore_index=2)[2])


def test_an_image_counts_once_and_so_does_a_class_in_it():
    nan = float("nan")
    bf, per_class = mean_boundary_f1([np.array([1.0, 0.5, nan]), np.array([0.0, nan, nan]), np.array([nan] * 3)])
    assert bf == pytest.approx((0.75 + 0) / 2)
    np.testing.assert_array_equal(per_class, [0.5, 0.5, nan])
    assert math.isnan(mean_boundary_f1([np.array([nan])])[0])


def test_sizes_must_agree():
    with pytest.raises(ValueError, match=r"boundary_f1: truth has shape \(2, 2\) but prediction \(2, 3\)"):
        boundary_f1(np.zeros((2, 2), int), np.zeros((2, 3), int), 2)


def test_the_band_goes_to_both_sides():
    truth = np.zeros((6, 20), np.uint8)
    truth[:, 10:] = 1
    truth[0] = 255
    band = boundary_band(truth, 2)
    assert not band[0].any()
    assert np.flatnonzero(band[5]).tolist() == [7, 8, 9, 10, 11, 12]
    assert band[1].all()  # beside ignored pixels
    assert boundary_band(truth, 2, None)[0].all()


@pytest.mark.parametrize("seed", range(4))
def test_blobs_with_ignored_pixels_agree_with_distances_of_scipy(seed):
    ndimage = pytest.importorskip("scipy.ndimage")
    rng = np.random.default_rng(seed)

    def blobs():
        return ndimage.gaussian_filter(rng.standard_normal((3, 60, 70)), (0, 4, 4)).argmax(axis=0)

    truth, found = blobs(), blobs()
    truth[ndimage.gaussian_filter(rng.standard_normal(truth.shape), 4) > 0.12] = 255

    def outline(region):
        inner = ndimage.binary_erosion(region, border_value=1)  # a cross: the four neighbours
        return region & ~inner

    limit = 0.03 * math.hypot(60, 70)
    for c, score in enumerate(boundary_f1(truth, found, 3, tolerance=0.03)):
        true, predicted = outline(truth == c), outline(found == c)
        hits = predicted & (ndimage.distance_transform_edt(~true) <= limit)
        precision = hits.sum() / (hits | (predicted & (truth != 255))).sum()
        recall = (true & (ndimage.distance_transform_edt(~predicted) <= limit)).sum() / true.sum()
        assert 0.1 < score < 0.9
        assert score == pytest.approx(2 * precision * recall / (precision + recall))
