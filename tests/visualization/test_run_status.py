"""Heading of the report of a training that runs."""

from math import nan

import pytest

from scratchnet.visualization.run_status import SHOWN_CLASSES, RunStatus, status_html

LOG = [{"epoch": 1, "val_mean_iou": 0.5}, {"epoch": 2, "val_mean_iou": 0.4}]


def page(class_iou):
    return status_html(RunStatus(2, 5, written="12:00:00", class_iou=class_iou), LOG, [])


def test_the_latest_and_the_best_score():
    assert "0.400 after epoch 2, the best so far 0.500 after epoch 1." in page({})


def test_two_classes_need_no_list():
    assert "each class" not in page({"ground": 0.9, "leaf": 0.5})


def test_classes_in_their_order_without_those_that_do_not_occur():
    text = page({"ground": 0.9, "<leaf>": 0.5, "stone": nan, "beetle": 0.0})
    assert "IoU of each class: ground: 0.900; &lt;leaf&gt;: 0.500; beetle: 0.000." in text


@pytest.mark.parametrize("count", [SHOWN_CLASSES, SHOWN_CLASSES + 1])
def test_of_many_classes_the_lowest(count):
    text = page({f"class {index}": 0.9 - index / 100 for index in range(count)})
    assert ("classes with the lowest" in text) == (count > SHOWN_CLASSES)
    assert text.count("class ") == SHOWN_CLASSES
