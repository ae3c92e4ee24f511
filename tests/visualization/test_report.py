import math
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratchnet.evaluation import confusion_matrix, metrics
from scratchnet.utils.errors import UserError
from scratchnet.visualization import Example, Report, pick_examples, verdict, write_report


class Checker(HTMLParser):
    """Collects texts and attributes, and checks that tags close in order."""

    def __init__(self):
        super().__init__()
        self.open, self.texts, self.attributes, self.tags = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def parse(path):
    checker = Checker()
    checker.feed(path.read_text("utf-8"))
    assert not checker.open
    return checker


def example(seed, size=(32, 48), classes=2, name="image", group="worst"):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (*size, 3)).astype(np.uint8)
    truth, prediction = rng.integers(0, classes, (2, *size)).astype(np.uint8)
    return Example(name, image, truth, prediction, 0.5, group)


def measures(accuracy, iou):
    return {
        "accuracy": accuracy,
        "mean_accuracy": accuracy,
        "mean_iou": sum(iou) / len(iou),
        "fw_iou": accuracy,
        "class_accuracy": iou,
        "iou": iou,
        "dice": iou,
        "pixels": [10] * len(iou),
    }


def full_report(**changes):
    items = [example(i, name=f"image {i}", group=g) for i, g in enumerate(["worst", "median", "best"])]
    confusion = sum(confusion_matrix(item.truth, item.prediction, 2) for item in items)
    values = {
        "title": "bloodcell",
        "class_names": ("background", "white cell"),
        "images": 3,
        "metrics": metrics(confusion).to_dict(),
        "baselines": {"all background": measures(0.8, [0.8, 0.0]), "threshold green ≤ 109": measures(0.9, [0.9, 0.2])},
        "confusion": confusion,
        "log": [
            {"epoch": str(e), "train_loss": "0.5", "val_loss": "", "val_accuracy": 0.9, "val_mean_iou": 0.7}
            for e in (1, 2)
        ],
        "examples": items,
        "switch_maps": [("pool1, channel 0", np.arange(16, dtype=np.uint8).reshape(4, 4) % 4, 2)],
        "notes": ["Two epochs only."],
        "configuration": {"model": "bloodcell", "optimizer": {"name": "sgd", "learning_rate": 0.1}},
    }
    return Report(**(values | changes))


def test_a_full_report_has_every_part(tmp_path):
    path = tmp_path / "report.html"
    write_report(path, full_report())
    page = parse(path)
    text = " ".join(page.texts)
    for expected in (
        "Result",
        "threshold green ≤ 109",
        "Training",
        "validation",
        "Class by class",
        "white cell",
        "Worst",
        "Median",
        "Best",
        "false alarm",
        "pool1, channel 0",
        "Two epochs only.",
        "optimizer.learning_rate",
    ):
        assert expected in text, expected
    assert page.tags.count("img") == 3 * 4 + 1
    assert page.tags.count("svg") == 3
    assert all(value for name, value in page.attributes if name == "alt")


def test_a_report_needs_nothing_from_outside(tmp_path):
    path = tmp_path / "report.html"
    write_report(path, full_report())
    page = parse(path)
    assert not {"script", "link", "iframe", "object", "embed"} & set(page.tags)
    for name, value in page.attributes:
        assert not name.startswith("on")
        if name == "src":
            assert value.startswith("data:image/")
        if name in ("href", "xlink:href"):
            assert value.startswith("#")
    outside = re.sub(r'xmlns(:\w+)?="[^"]+"', "", path.read_text("utf-8"))
    assert "http://" not in outside
    assert "https://" not in outside


def test_what_users_write_is_text_and_not_markup(tmp_path):
    evil = '<img src=x onerror="alert(1)">&'
    report = full_report(
        title=evil,
        class_names=(evil, evil + "2"),
        baselines={evil: measures(0.8, [0.8, 0.0])},
        examples=[example(0, name=evil, group=evil)],
        switch_maps=[(evil, np.zeros((4, 4), np.uint8), 2)],
        notes=[evil],
        configuration={evil: evil},
        score_name=evil,
    )
    path = tmp_path / "report.html"
    write_report(path, report)
    page = parse(path)
    assert page.tags.count("img") == 5
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert " ".join(page.texts).count(evil) >= 10


def test_an_empty_report_leaves_parts_out(tmp_path):
    path = tmp_path / "report.html"
    write_report(path, Report(title="nothing yet", class_names=("a", "b")))
    page = parse(path)
    assert "Not evaluated on unseen images." in page.texts
    assert not {"h2", "table", "img", "svg", "details"} & set(page.tags)


def test_undefined_measures_are_dashes(tmp_path):
    confusion = np.zeros((3, 3), np.int64)
    confusion[0, 0] = 4
    path = tmp_path / "report.html"
    report = Report(
        "three", ("background", "a", "b"), images=1, metrics=metrics(confusion).to_dict(), confusion=confusion
    )
    write_report(path, report)
    assert "–" in parse(path).texts
    write_report(path, Report("none", ("background", "a"), metrics=metrics(np.zeros((2, 2), int)).to_dict()))
    assert "Not evaluated" in path.read_text("utf-8")


def test_many_classes_without_a_background(tmp_path):
    names = ("Sky", "Building", "Road")
    item = example(1, classes=3)
    confusion = confusion_matrix(item.truth, item.prediction, 3)
    path = tmp_path / "report.html"
    report = Report("city", names, 1, metrics(confusion).to_dict(), confusion=confusion, examples=[item])
    write_report(path, report)
    texts = parse(path).texts
    assert "wrong class" in texts
    assert "false alarm" not in texts
    assert texts.count("Sky") == 4  # table, legend, and both sides of the confusion matrix


def test_nine_noisy_photographs_stay_under_three_megabytes(tmp_path):
    def bytes_of(*examples):
        write_report(tmp_path / "report.html", full_report(examples=list(examples)))
        return (tmp_path / "report.html").stat().st_size

    without = bytes_of()
    assert without < 300_000
    for size in ((480, 640), (128, 128)):
        assert without + 9 * (bytes_of(example(0, size)) - without) < 3_000_000


def test_a_failed_report_keeps_the_old_one(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("old")
    with pytest.raises(ValueError, match="switch 7"):
        write_report(path, full_report(switch_maps=[("bad", np.full((2, 2), 7, np.uint8), 2)]))
    assert path.read_text() == "old"
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        write_report(blocked / "report.html", full_report())


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "IoU of white cell 0.93 on 60 unseen images; the best trivial baseline reaches 0.61."),
        (
            {"class_names": ("background", "foreground"), "images": 1, "baselines": {}},
            "IoU of the foreground 0.93 on 1 unseen image.",
        ),
        (
            {"metrics": measures(0.9, [0.9, 0.5])},
            "IoU of white cell 0.50 on 60 unseen images: no better than the best trivial baseline, which reaches 0.61.",
        ),
        (
            {"class_names": ("a", "b", "c"), "metrics": measures(0.9, [0.9, 0.5, 0.1]), "baselines": {}},
            "Mean IoU over 3 classes 0.50 on 60 unseen images.",
        ),
    ],
)
def test_verdict(changes, expected):
    values = {
        "images": 60,
        "metrics": measures(0.98, [0.97, 0.93]),
        "baselines": {"nothing": measures(0.8, [0.8, 0.0]), "threshold": measures(0.9, [0.9, 0.61])},
    }
    assert verdict(full_report(**(values | changes))) == expected


@given(st.lists(st.floats(0, 1) | st.just(float("nan")), max_size=20), st.integers(1, 4))
def test_picked_examples_are_distinct_and_in_order(scores, each):
    picked = pick_examples(scores, each)
    indices = [index for _, index in picked]
    finite = [score for score in scores if not math.isnan(score)]
    assert len(set(indices)) == len(indices) == min(3 * each, len(finite))
    groups = {name: [scores[i] for group, i in picked if group == name] for name in ("worst", "median", "best")}
    assert groups["worst"] == sorted(finite)[: len(groups["worst"])]
    assert groups["best"] == sorted(finite, reverse=True)[: len(groups["best"])]
    if groups["median"]:
        assert max(groups["worst"]) <= min(groups["median"]) <= max(groups["median"]) <= min(groups["best"])
