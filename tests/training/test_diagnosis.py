"""Warnings of trainings that do not work, each of them once, and none of one that works."""

from types import SimpleNamespace

import numpy as np

from scratchnet.config import TrainingSettings
from scratchnet.training import diagnosis
from scratchnet.training.diagnosis import Diagnosis
from scratchnet.utils.options import named_as_flags
from tests.tiny import recipe, run, source

NOTHING_OF_TWO = np.array([[90, 2, 0], [1, 6, 0], [1, 1, 0]])
ALL_FOUND = np.array([[90, 2, 0], [1, 6, 0], [0, 1, 1]])
BACKGROUND = np.array([[90, 0, 0], [7, 0, 0], [3, 0, 0]])
WORSE = np.array([[10, 80, 0], [7, 0, 0], [2, 0, 1]])


def at(updates, total=1000, losses=(1.0, 0.5, 0.3)):
    rows = [{"train_loss": loss} for loss in losses]
    return SimpleNamespace(iteration=updates, total_updates=total, done=updates >= total, rows=rows)


def watch(**settings):
    return Diagnosis(TrainingSettings(**settings), ("ground", "leaf", "beetle"))


def test_a_class_that_is_never_predicted_is_reported_once_and_late():
    seen = watch()
    assert seen.observe(at(100), NOTHING_OF_TWO) == []
    with named_as_flags():
        (line,) = seen.observe(at(400), NOTHING_OF_TWO)
    assert line == (
        "'beetle' (2 % of the validation pixels) is never predicted after 400 updates; try --class-weights "
        "median-frequency with --class-weights-power 0.5"
    )
    assert seen.observe(at(500), NOTHING_OF_TWO) == []


def test_the_end_of_a_short_training_counts_as_late():
    with named_as_flags():
        assert "and --iterations 1000" in watch().observe(at(80, 80), NOTHING_OF_TWO)[0]
        (line,) = watch(class_weights="median-frequency").observe(at(80, 80), NOTHING_OF_TWO)
    assert line.endswith("train longer: --iterations 1000")


def test_a_class_that_is_hardly_found_is_reported_at_the_end():
    seen = watch()
    rarely = np.array([[900, 2, 0], [1, 6, 0], [45, 3, 2]])
    assert seen.observe(at(900), rarely) == []
    (line,) = seen.observe(at(1000), rarely)
    assert line.startswith("only 4 % of 'beetle' (5.2 % of the validation pixels) is found after 1000 updates; try ")


def test_a_training_that_works_gets_no_warning():
    seen = watch()
    assert [line for n in range(0, 1001, 50) for line in seen.observe(at(n), ALL_FOUND)] == []


def test_everything_background_is_reported_by_class():
    assert len(watch().observe(at(500), BACKGROUND)) == 2


def test_a_score_below_the_trivial_one():
    (line,) = watch().observe(at(500), WORSE)
    assert "is not above that of labelling every pixel 'ground' (0.300)" in line


def test_a_loss_that_does_not_move():
    with named_as_flags():
        (line,) = watch().observe(at(500, losses=(1.0, 0.99, 1.01)), ALL_FOUND)
    assert "the training loss has not fallen (1.000 in the first epoch, 1.010 now); try another --learning-rate" in line
    assert watch(start_from="net.npz").observe(at(500, losses=(0.1, 0.1, 0.1)), ALL_FOUND) == []


def test_a_set_without_counted_pixels():
    assert watch().observe(at(500), np.zeros((3, 3), int)) == []


def test_a_planted_bad_run_warns_and_a_good_one_does_not(tmp_path, monkeypatch):
    """The bad one has a rate of almost zero."""
    monkeypatch.setattr(diagnosis, "MIN_UPDATES", 30)
    normed = recipe("unet-same", {"width": 0.06, "depth": 2, "batch_norm": True, "dropout": False})
    settings = {"train": source(8), "epochs": 15, "batch_size": 2, "made": normed}
    bad = run(tmp_path / "bad", learning_rate=1e-9, **settings)
    lines = [line for _ in bad.fit() for line in bad.warnings]
    assert len(lines) == len(set(lines)) >= 1
    assert any("has not fallen" in line for line in lines)
    good = run(tmp_path / "good", learning_rate=0.02, **settings)
    assert [line for _ in good.fit() for line in good.warnings] == []
