"""Validation after every N epochs and on a sample: scores, the best checkpoint, early stopping, and resuming."""

import csv

import numpy as np
import pytest

from scratchnet.config import TrainingSettings
from scratchnet.inference import Segmenter, evaluate
from scratchnet.training import load_checkpoint
from scratchnet.training.run_folder import BEST, LOG
from scratchnet.training.validation import validation_indices, validation_note
from scratchnet.utils.errors import UserError
from tests.tiny import recipe, run, source, trained
from tests.training.runs import EVERYTHING, NORMED, assert_same, frozen, values


def test_every_third_epoch_and_the_last(tmp_path):
    made = trained(tmp_path, epochs=7, val_every=3)
    assert [row["epoch"] for row in made.progress.rows if row["val_mean_iou"] is not None] == [3, 6, 7]
    with (tmp_path / LOG).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["val_loss"] != "" for row in rows] == [False, False, True, False, False, True, True]
    assert all(float(row["train_loss"]) > 0 for row in rows)
    assert made.progress.best_epoch in (3, 6, 7)


def test_the_weights_are_those_without_fewer_validations(tmp_path):
    one, other = (trained(tmp_path / str(n), epochs=4, val_every=n, val_samples=n) for n in (1, 3))
    np.testing.assert_array_equal(values_of_last(one), values_of_last(other))


def values_of_last(made):
    return made.folder.load_last().network.flat().values


@pytest.mark.parametrize("schedule", ["plateau", "cosine"])
@pytest.mark.parametrize("stop", [1, 2, 3])
def test_a_resumed_run_ends_with_the_same_bits(tmp_path, schedule, stop):
    """Stopped before the first validation, right after it, and between two."""
    settings = {
        "made": recipe(options=NORMED),
        "augmentation": EVERYTHING,
        "epochs": 5,
        "val_every": 2,
        "val_samples": 2,
        "val": source(5, first=4),
        "ema": 0.9,
        "schedule": schedule,
        "lr_step_epochs": 1,
        "patience": 4,
    }
    whole = trained(tmp_path / "whole", **settings)
    first = iter(run(tmp_path / "parts", **settings).fit())
    for _ in range(stop):
        next(first)
    resumed = run(tmp_path / "parts", resume=True, **settings)
    assert (tmp_path / "parts" / BEST).exists() == (stop > 1)
    list(resumed.fit())
    assert_same(whole, resumed)
    assert whole.progress.best_epoch == resumed.progress.best_epoch
    one, other = whole.finish(), resumed.finish()
    np.testing.assert_array_equal(one.confusion, other.confusion)
    best = [load_checkpoint(tmp_path / name / BEST).network.flat().values for name in ("whole", "parts")]
    np.testing.assert_array_equal(*best)


def test_patience_counts_epochs_and_ends_after_a_validation(tmp_path, monkeypatch):
    made = frozen(tmp_path, monkeypatch, [0.5, 0.4, 0.3, 0.9], epochs=8, val_every=2, patience=3)
    seen = {row["epoch"]: values(made) for row in made.fit()}
    assert list(seen) == [1, 2, 3, 4, 5, 6]
    assert (made.progress.best_epoch, made.progress.best_score) == (2, 0.5)
    np.testing.assert_array_equal(load_checkpoint(tmp_path / BEST).network.flat().values, seen[2])


def test_plateau_counts_epochs(tmp_path, monkeypatch):
    settings = {"epochs": 8, "val_every": 2, "schedule": "plateau", "lr_step_epochs": 3, "learning_rate": 0.01}
    made = frozen(tmp_path, monkeypatch, [0.5] * 4, **settings)
    assert [row["learning_rate"] for row in made.fit()] == pytest.approx([0.01] * 6 + [0.001] * 2)


def test_a_sample_is_drawn_once_by_the_seed():
    drawn = [validation_indices(TrainingSettings(val_samples=5, seed=seed), 40) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(set(drawn[0])) == 5
    assert drawn[0] == sorted(drawn[0])
    assert list(validation_indices(TrainingSettings(val_samples=50), 40)) == list(range(40))


def test_scores_are_those_of_the_sample_and_the_result_that_of_all(tmp_path):
    images = source(6, first=4)
    made = trained(tmp_path, epochs=2, val=images, val_samples=2, recalibrate=False)
    last = made.progress.rows[-1]
    chosen = made.loop.val_indices
    assert last["val_images"] == 2
    assert [index for index, score in enumerate(made.scores) if not np.isnan(score)] == list(chosen)
    found = made.finish()
    assert len(found.scores) == 6
    segmenter = Segmenter(made.network, made.spec.preprocessing)
    assert found.scores == evaluate(segmenter, images).scores


@pytest.mark.parametrize("better", [True, False])
def test_recalibration_is_judged_on_the_images_of_the_result(tmp_path, monkeypatch, better):
    made = run(tmp_path, made=recipe(options=NORMED), epochs=1, val=source(6, first=4), val_samples=2)
    list(made.fit())
    scores = iter([0.5, 0.6 if better else 0.4])
    evaluation = made.loop.evaluate("x")

    def judged(label):
        metrics = type(evaluation.metrics)(**{**vars(evaluation.metrics), "mean_iou": next(scores)})
        return type(evaluation)(evaluation.confusion, metrics, evaluation.loss, evaluation.scores)

    monkeypatch.setattr(made.loop, "evaluate", judged)
    assert made.finish().metrics.mean_iou == (0.6 if better else 0.5)
    assert (made.rejected_score, made.score_before) == (None if better else 0.4, 0.5)


def test_another_sample_is_refused_on_resuming(tmp_path):
    spec = recipe(classes=("ground", "square"))
    made = run(tmp_path, made=spec, epochs=2, val_samples=1)
    made.spec.settings["training"] = {"val_samples": 1}
    next(iter(made.fit()))
    with pytest.raises(UserError, match="was validated on 1 images, not all"):
        run(tmp_path, resume=True, epochs=2)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, ""),
        ({"val_samples": 10}, ""),
        ({"val_every": 3}, "Validated after every 3 epochs and after the last one (--val-every)."),
        ({"val_samples": 4}, "Validated after every epoch on 4 of the 10 validation images, drawn once by the seed"),
        ({"val_every": 2, "val_samples": 4}, "Validated after every 2 epochs on 4 of the 10 validation images"),
    ],
)
def test_the_note(settings, words):
    note = validation_note(TrainingSettings(**settings), 10)
    assert note.startswith(words)
    assert bool(note) == bool(words)
