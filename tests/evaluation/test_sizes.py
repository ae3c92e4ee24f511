import numpy as np
import pytest

from scratchnet.data import ObjectBox, Window, find_objects
from scratchnet.evaluation import ObjectScore, SizeBin, regions, size_table
from scratchnet.evaluation import object_scores as scores_of


def scene():
    """40×50: a small square of class 1, a large one of class 1, a middle one of class 2."""
    truth = np.zeros((40, 50), np.uint8)
    truth[2:6, 2:6] = 1
    truth[10:30, 5:25] = 1
    truth[5:15, 35:45] = 2
    return truth


def object_scores(truth, found, ignore_index=255, background=0, objects=None):
    return scores_of(truth, found, objects or regions(truth, background, ignore_index), ignore_index)


def by_size(scores):
    return sorted((round(s.size**2 * 2000), s.label, s.iou) for s in scores)


def test_a_perfect_prediction():
    assert by_size(object_scores(scene(), scene())) == [(16, 1, 1.0), (100, 2, 1.0), (400, 1, 1.0)]


def test_ious_by_hand():
    truth, found = scene(), scene()
    found[2:6, 4:6] = 0  # half of the small one is missed: 8 of 16
    found[10:30, 25:30] = 1  # the large one grows by a quarter: 400 of 500
    found[5:15, 35:45] = 1  # the middle one is taken for class 1
    assert by_size(object_scores(truth, found)) == [(16, 1, 0.5), (100, 2, 0.0), (400, 1, 0.8)]


def test_false_alarms_elsewhere_do_not_count_and_those_that_touch_do():
    truth, found = scene(), scene()
    found[35:38, 30:40] = 1
    assert by_size(object_scores(truth, found))[2] == (400, 1, 1.0)
    found[30:35, 20] = 1  # a bridge of 5 pixels to it
    found[35:38, 20:30] = 1  # and 30 more
    assert by_size(object_scores(truth, found))[2] == (400, 1, pytest.approx(400 / 465))


def test_one_region_over_two_objects_counts_for_both_but_only_what_is_wrong():
    truth, found = scene(), scene()
    found[6:10, 5] = 1  # four pixels join the small and the large one
    assert by_size(object_scores(truth, found)) == [(16, 1, 16 / 20), (100, 2, 1.0), (400, 1, 400 / 404)]


def test_ignored_pixels_are_neither_right_nor_wrong():
    truth, found = scene(), scene()
    truth[10:30, 25:28] = 255
    found[10:30, 25:27] = 1
    assert by_size(object_scores(truth, found))[2] == (400, 1, 1.0)
    truth[10:30, 5:8] = 255
    found[10:30, 5:8] = 0
    assert by_size(object_scores(truth, found))[2] == (340, 1, 1.0)


def test_background_specks_and_ignored_classes_are_no_objects():
    truth = scene()
    truth[35, 3:12] = 2  # nine pixels in a row
    assert len(object_scores(truth, truth)) == 3
    truth[35, 12] = 2
    assert len(object_scores(truth, truth)) == 4
    assert len(object_scores(truth, truth, ignore_index=2)) == 2
    assert len(object_scores(truth, truth, background=None)) == 5


def test_class_0_can_be_an_object():
    """A street scene has no background: its sky is class 0."""
    truth = np.zeros((20, 20), np.uint8)
    truth[10:] = 1
    found = np.zeros((20, 20), np.uint8)
    scores = {s.label: s for s in object_scores(truth, found, background=None)}
    assert scores[0].iou == 0.5
    assert scores[1].iou == 0
    assert scores[0].size == pytest.approx(0.5**0.5)


def test_boxes_say_where_one_object_ends():
    """Two squares of one class that touch: one region, two objects."""
    truth = np.zeros((20, 40), np.uint8)
    truth[5:15, 5:25] = 1
    found = truth.copy()
    found[5:15, 15:25] = 0
    boxes = [ObjectBox("a", 1, Window(5, left, 10, 10)) for left in (5, 15)]
    objects = find_objects(truth, boxes=boxes)
    assert [s.iou for s in object_scores(truth, found)] == [0.5]
    assert [s.iou for s in object_scores(truth, found, objects=objects)] == [1.0, 0.0]
    assert [s.iou for s in object_scores(truth, truth, objects=objects)] == [1.0, 1.0]
    assert object_scores(truth, truth, objects=objects)[0].size == pytest.approx((100 / 800) ** 0.5)


def test_numbers_tell_what_boxes_cannot():
    """One object in two parts, another of its class between them, in its box."""
    truth = np.zeros((10, 30), np.uint8)
    truth[2:8] = 1
    numbers = np.where(truth == 1, 1, 0).astype(np.uint8)
    numbers[2:8, 10:20] = 2
    found = truth.copy()
    found[2:8, :10] = 0
    scores = object_scores(truth, found, objects=find_objects(truth, instances=numbers))
    assert [s.iou for s in scores] == [0.5, 1.0]


def test_the_table():
    scores = [ObjectScore(1, size, iou) for size, iou in ((0.1, 0.2), (0.13, 0.4), (0.27, 0.6), (0.28, 1.0))]
    table = size_table(scores)
    assert table["small"] == SizeBin(1, 0.2)
    assert table["medium"] == SizeBin(2, 0.5)
    assert table["large"] == SizeBin(1, 1.0)
    assert size_table([])["small"].objects == 0
    assert np.isnan(size_table([])["small"].iou)
    assert size_table(scores, (0.5, 0.6))["small"].objects == 4


def test_agrees_with_labels_of_scipy():
    ndimage = pytest.importorskip("scipy.ndimage")
    rng = np.random.default_rng(0)
    truth = (ndimage.gaussian_filter(rng.standard_normal((80, 90)), 3) > 0.05).astype(np.uint8)
    found = (ndimage.gaussian_filter(rng.standard_normal((80, 90)), 3) > 0.05).astype(np.uint8)
    objects, count = ndimage.label(truth)
    regions, _ = ndimage.label(found)
    expected = []
    for number in range(1, count + 1):
        one = objects == number
        if one.sum() < 10:
            continue
        touching = np.isin(regions, np.unique(regions[one & (found == 1)])) & (found == 1)
        touching &= ~((truth == 1) & ~one)
        expected.append((one & touching).sum() / (one | touching).sum())
    assert len(expected) > 5
    assert sorted(s.iou for s in object_scores(truth, found)) == pytest.approx(sorted(expected))
