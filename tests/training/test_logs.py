"""The log of a training."""

import csv

from scratchnet.training.logs import summary, write_log
from scratchnet.training.run_folder import LOG
from tests.tiny import Source, recipe, run, sample, trained


def test_the_log_has_a_line_an_epoch(tmp_path):
    made = trained(tmp_path, epochs=2)
    with (tmp_path / LOG).open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert list(lines[0]) == [
        "epoch", "iteration", "learning_rate", "train_loss", "val_loss", "val_accuracy", "val_mean_iou",
        "val_iou_foreground", "seconds",
    ]  # fmt: skip
    assert [line["epoch"] for line in lines] == ["1", "2"]
    assert [line["iteration"] for line in lines] == ["2", "4"]
    for line, row in zip(lines, made.progress.rows, strict=True):
        assert {key: float(value) for key, value in line.items()} == row
    assert b"\r\n" in (tmp_path / LOG).read_bytes()  # the csv module's own, which every program reads


def test_the_log_of_many_classes_has_no_foreground(tmp_path):
    write_log(tmp_path / LOG, [{"epoch": 1}, {"epoch": 2}])
    assert (tmp_path / LOG).read_text().split() == ["epoch", "1", "2"]
    pairs = [(sample(i)[0], sample(i)[1] * 2) for i in range(2)]
    three = Source(pairs, ("a", "b", "c"))
    made = run(tmp_path, made=recipe(classes=three.classes), train=three, val=three)
    assert "val_iou_foreground" not in summary(made.loop.validate("x"))
