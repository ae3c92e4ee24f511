from collections import Counter

import numpy as np
import pytest

from scratchnet.data import find_objects
from scratchnet.measurement import Separation
from scratchnet.measurement.image_scores import ImageScores

CLASSES = ("background", "cell", "dust, grey")


def mask(*squares):
    made = np.zeros((20, 30), np.uint8)
    for label, top, left, side in squares:
        made[top : top + side, left : left + side] = label
    return made


def test_counts_by_hand():
    scores = ImageScores(CLASSES)
    scores.add("a", mask((1, 1, 1, 4), (1, 1, 10, 4), (2, 10, 10, 5)), mask((1, 1, 1, 4), (2, 10, 10, 5)))
    scores.add("b", mask((1, 1, 1, 4)), mask((1, 1, 1, 4), (1, 10, 1, 4), (1, 10, 10, 4), (1, 18, 28, 2)))
    assert scores.count_errors() == {
        "cell": {"true": 1.5, "predicted": 2.0, "mean_error": 0.5, "mean_absolute_error": 1.5},
        "dust, grey": {"true": 0.5, "predicted": 0.5, "mean_error": 0, "mean_absolute_error": 0},
    }
    rows = [dict(zip(scores.columns(), row, strict=True)) for row in scores.rows()]
    assert [row["count_error_cell"] for row in rows] == [-1, 2]
    assert (rows[0]["true_objects_cell"], rows[0]["predicted_objects_cell"]) == (2, 1)
    assert rows[0]["iou_cell"] == 0.5
    assert rows[0]["dice_cell"] == pytest.approx(2 / 3)
    assert rows[0]["accuracy"] == (600 - 16) / 600
    assert rows[1]["iou_dust, grey"] is None


def test_objects_in_ignored_pixels_do_not_count():
    scores = ImageScores(CLASSES)
    truth = mask((1, 1, 1, 4), (255, 8, 8, 8))
    scores.add("a", truth, mask((1, 1, 1, 4), (1, 9, 9, 5)))
    assert scores.scores[0].predicted == Counter({1: 1})
    assert scores.rows()[0][2] == 1


def test_annotated_objects_are_the_truth():
    """Two objects that touch are two, and one below the smallest area is none."""
    numbers = mask((1, 1, 1, 5), (2, 1, 6, 5), (3, 15, 15, 2))
    truth = (numbers > 0).astype(np.uint8)
    scores = ImageScores(("ground", "cell"), objects=lambda name, m: find_objects(m, 255, instances=numbers))
    scores.add("a", truth, truth)
    assert scores.count_errors()["cell"]["mean_error"] == -1


def test_a_street_scene_has_no_background():
    scores = ImageScores(("sky", "road", "car"))
    scores.add("a", mask((1, 0, 0, 9)), mask((1, 0, 0, 9)))
    assert list(scores.count_errors()) == ["sky", "road", "car"]


def test_splitting_applies_to_both():
    pytest.importorskip("skimage")
    y, x = np.mgrid[:40, :70]
    both = ((y - 20) ** 2 + (x - 20) ** 2 <= 144) | ((y - 20) ** 2 + (x - 42) ** 2 <= 144)
    scores = ImageScores(("ground", "cell"), separation=Separation())
    scores.add("a", both.astype(np.uint8), both.astype(np.uint8))
    assert scores.count_errors()["cell"] == {"true": 2, "predicted": 2, "mean_error": 0, "mean_absolute_error": 0}
