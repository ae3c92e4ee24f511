import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratchnet.evaluation import (
    CHANNELS,
    Metrics,
    ThresholdBaseline,
    all_background_baseline,
    baseline_metrics,
    confusion_matrix,
    dice,
    fit_threshold_baseline,
    metrics,
)


def naive_confusion(truth, prediction, classes, ignore_index):
    counts = np.zeros((classes, classes), np.int64)
    for t, p in zip(truth.ravel(), prediction.ravel(), strict=True):
        if t != ignore_index:
            counts[t, p] += 1
    return counts


@given(st.integers(1, 6), st.integers(0, 2**32 - 1), st.sampled_from([255, None]))
def test_confusion_matrix_counts_like_a_loop(classes, seed, ignore_index):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, (2, 5, 7)).astype(np.uint8)
    prediction = rng.integers(0, classes, (2, 5, 7)).astype(np.uint8)
    if ignore_index is not None:
        truth[rng.random(truth.shape) < 0.3] = ignore_index
    counts = confusion_matrix(truth, prediction, classes, ignore_index)
    assert counts.dtype == np.int64
    np.testing.assert_array_equal(counts, naive_confusion(truth, prediction, classes, ignore_index))


def test_confusion_matrices_add_up():
    rng = np.random.default_rng(0)
    truth, prediction = rng.integers(0, 3, (2, 4, 6, 6)).astype(np.uint8)
    parts = [confusion_matrix(t, p, 3) for t, p in zip(truth, prediction, strict=True)]
    np.testing.assert_array_equal(np.sum(parts, axis=0), confusion_matrix(truth, prediction, 3))


def test_rows_are_truth_and_columns_prediction():
    counts = confusion_matrix(np.array([0, 0, 0]), np.array([1, 1, 0]), 2)
    np.testing.assert_array_equal(counts, [[1, 2], [0, 0]])


def test_a_class_index_can_be_the_ignored_one():
    counts = confusion_matrix(np.array([0, 1, 2]), np.array([0, 0, 0]), 3, ignore_index=2)
    np.testing.assert_array_equal(counts, [[1, 0, 0], [1, 0, 0], [0, 0, 0]])


@pytest.mark.parametrize(
    ("truth", "prediction", "message"),
    [
        (np.array([0, 3]), np.array([0, 0]), "truth holds the value 3, expected classes 0 to 1"),
        (np.array([0, 1]), np.array([0, 2]), "prediction holds the value 2"),
        (np.array([0, -1]), np.array([0, 0]), "truth holds the value -1"),
        (np.zeros((2, 2), int), np.zeros((2, 3), int), r"shape \(2, 2\) but prediction \(2, 3\)"),
    ],
)
def test_confusion_matrix_refuses(truth, prediction, message):
    with pytest.raises(ValueError, match=message):
        confusion_matrix(truth, prediction, 2)


def test_metrics_by_hand():
    # truth: 8 of class 0, 4 of class 1; predicted: 7 of class 0, 5 of class 1
    result = metrics(np.array([[6, 2], [1, 3]]))
    assert result.accuracy == 9 / 12
    assert result.class_accuracy == (6 / 8, 3 / 4)
    assert result.mean_accuracy == 0.75
    assert result.iou == (6 / 9, 3 / 6)
    assert result.foreground_iou == 0.5
    assert result.mean_iou == pytest.approx((6 / 9 + 3 / 6) / 2)
    assert result.fw_iou == pytest.approx((8 * 6 / 9 + 4 * 3 / 6) / 12)
    assert result.dice == (12 / 15, 6 / 9)
    assert result.pixels == (8, 4)


def test_classes_that_do_not_occur_stay_out_of_the_means():
    confusion = np.zeros((4, 4), np.int64)
    confusion[0, 0], confusion[1, 1], confusion[1, 2] = 5, 3, 1  # class 2 only predicted, class 3 nowhere
    result = metrics(confusion)
    assert result.iou[:3] == (1.0, 3 / 4, 0.0)
    assert math.isnan(result.iou[3])
    assert math.isnan(result.class_accuracy[2])
    assert result.mean_iou == pytest.approx((1 + 3 / 4) / 2)
    assert result.mean_accuracy == pytest.approx((1 + 3 / 4) / 2)
    assert result.fw_iou == pytest.approx((5 * 1 + 4 * 3 / 4) / 9)
    assert result.dice == (1.0, 6 / 7, 0.0, 1.0)


def test_nothing_counted_gives_nan_without_a_warning():
    result = metrics(np.zeros((2, 2), np.int64))
    assert all(math.isnan(v) for v in (result.accuracy, result.mean_accuracy, result.mean_iou, result.fw_iou))
    assert result.dice == (1.0, 1.0)
    assert "–" in result.table(["background", "cell"])


@given(st.integers(0, 2**32 - 1))
def test_dice_agrees_with_iou_and_with_the_mask_function(seed):
    rng = np.random.default_rng(seed)
    truth, prediction = (rng.random((2, 6, 6)) < rng.random()).astype(np.uint8)
    result = metrics(confusion_matrix(truth, prediction, 2))
    assert result.dice[1] == dice(truth, prediction)
    if not math.isnan(result.iou[1]):
        assert result.dice[1] == pytest.approx(2 * result.iou[1] / (1 + result.iou[1]))


def test_dice_at_its_ends():
    empty, full = np.zeros((3, 3), np.uint8), np.ones((3, 3), np.uint8)
    assert dice(empty, empty) == 1
    assert dice(full, full) == 1
    assert dice(full, empty) == dice(empty, full) == 0
    with pytest.raises(ValueError, match="shape"):
        dice(empty, np.zeros((3, 4)))


def test_to_dict_is_strict_json():
    confusion = np.zeros((3, 3), np.int64)
    confusion[0, 0], confusion[1, 0] = 5, 2
    values = metrics(confusion).to_dict()
    again = json.loads(json.dumps(values, allow_nan=False))
    assert again == values
    assert values["iou"] == [5 / 7, 0.0, None]
    assert values["pixels"] == [5, 2, 0]
    assert set(values) >= {"accuracy", "mean_accuracy", "iou", "mean_iou", "fw_iou", "dice"}


def test_table_is_aligned_and_names_every_class():
    text = metrics(np.array([[6, 2], [1, 3]])).table(["background", "white blood cell"])
    lines = text.splitlines()
    assert [line.split("  ")[0] for line in lines[:4]] == ["class", "background", "white blood cell", "mean"]
    assert len({line.rstrip().find("0.") for line in lines[1:3]}) == 1
    assert len(lines[0]) == len(lines[1]) == len(lines[2])
    assert "66.7 %" in lines[1]
    assert "pixel accuracy 0.7500" in lines[-1]


def test_the_table_has_room_for_boundaries():
    lines = metrics(np.array([[6, 2], [1, 3]])).table(["a", "b"], [0.25, float("nan")]).splitlines()
    assert [line.split()[-1] for line in lines[:3]] == ["BF", "0.2500", "–"]
    assert len({len(line) for line in lines[:3]}) == 1


def test_table_and_foreground_need_the_right_number_of_classes():
    result = metrics(np.eye(3, dtype=np.int64))
    with pytest.raises(ValueError, match="2 class names given for 3 classes"):
        result.table(["a", "b"])
    with pytest.raises(ValueError, match="needs two classes"):
        _ = result.foreground_iou


def naive_best_iou(images, masks):
    best = -1.0
    for channel in CHANNELS:
        for threshold in range(256):
            for above in (False, True):
                baseline = ThresholdBaseline(channel, threshold, above)
                counts = sum(
                    confusion_matrix(mask, baseline.predict(image), 2)
                    for image, mask in zip(images, masks, strict=True)
                )
                best = max(best, metrics(counts).iou[1])
    return best


def test_fitted_threshold_is_the_best_of_all():
    rng = np.random.default_rng(3)
    masks = (rng.random((2, 6, 6)) < 0.3).astype(np.uint8)
    images = rng.integers(0, 256, (2, 6, 6, 3)).astype(np.uint8)
    images[..., 1] = np.where(masks == 1, images[..., 1] // 2, images[..., 1])
    masks[0, 0, :3] = 255
    fitted = fit_threshold_baseline(zip(images, masks, strict=True))
    counts = sum(confusion_matrix(m, fitted.predict(i), 2) for i, m in zip(images, masks, strict=True))
    assert metrics(counts).iou[1] == naive_best_iou(images, masks)


@pytest.mark.parametrize("channel", ["red", "green", "blue"])
@pytest.mark.parametrize("above", [False, True])
def test_threshold_finds_the_planted_rule(channel, above):
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (64, 64, 3)).astype(np.uint8)
    rule = ThresholdBaseline(channel, 140, above)
    fitted = fit_threshold_baseline([(image, rule.predict(image))])
    assert fitted == rule
    assert str(rule) == f"{channel} {'>' if above else '≤'} 140"


def test_grey_does_not_overflow():
    image = np.full((2, 2, 3), 255, np.uint8)
    assert ThresholdBaseline("grey", 254, above=True).predict(image).all()
    assert not ThresholdBaseline("grey", 255, above=True).predict(image).any()


def test_threshold_of_a_set_without_foreground_predicts_nothing():
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    fitted = fit_threshold_baseline([(image, np.zeros((8, 8), np.uint8))])
    assert not fitted.predict(image).any()


def test_threshold_refuses_more_than_two_classes():
    with pytest.raises(ValueError, match="got the value 2"):
        fit_threshold_baseline([(np.zeros((1, 1, 3), np.uint8), np.array([[2]], np.uint8))])


def test_baseline_metrics_takes_an_iterator():
    image = np.zeros((4, 4, 3), np.uint8)
    image[:2, :, 1] = 200
    mask = np.zeros((4, 4), np.uint8)
    mask[:2], mask[0, 0] = 1, 255
    threshold = ThresholdBaseline("green", 100, above=True)
    result = baseline_metrics(iter([(image, mask)]), threshold)
    assert list(result) == ["all background", "threshold green > 100"]
    assert all(isinstance(item, Metrics) for item in result.values())
    assert result["threshold green > 100"].foreground_iou == 1
    assert result["all background"].foreground_iou == 0
    assert result["all background"].accuracy == 8 / 15
    assert all_background_baseline(image).shape == (4, 4)
