"""Counters, scores and the end of a training."""

import numpy as np
import pytest

from scratchnet.training import load_checkpoint
from scratchnet.training.run_folder import BEST, LAST
from tests.tiny import run, source, trained
from tests.training.runs import frozen, values


def test_updates_alone_may_end_a_training(tmp_path):
    made = run(tmp_path, train=source(8), epochs=None, iterations=9)
    assert (made.progress.total_updates, made.progress.total_epochs) == (9, 3)
    assert run(tmp_path, train=source(8), epochs=None).progress.total_epochs == 20
    assert run(tmp_path, train=source(8), epochs=1, iterations=9).progress.total_updates == 4


def test_a_batch_size_over_the_set_takes_the_whole_set(tmp_path):
    made = trained(tmp_path, train=source(3), batch_size=100, epochs=2)
    assert (made.loop.loader.batch_size, made.progress.iteration) == (3, 2)


def test_a_last_batch_that_is_not_full_is_left_out(tmp_path):
    made = trained(tmp_path, train=source(5), batch_size=2, epochs=2)
    assert made.progress.iteration == 4


def test_iterations_stop_in_the_middle_of_an_epoch(tmp_path):
    made = trained(tmp_path, train=source(8), epochs=50, iterations=6, schedule="poly", learning_rate=1.0)
    assert [row["iteration"] for row in made.progress.rows] == [4, 6]
    assert made.progress.total_updates == 6
    assert made.progress.rows[1]["learning_rate"] == pytest.approx((1 - 4 / 6) ** 0.9)
    assert made.progress.done


def test_early_stopping_and_the_best_checkpoint(tmp_path, monkeypatch):
    made = frozen(tmp_path, monkeypatch, [0.2, 0.5, 0.5, 0.4, 0.9], patience=2)
    seen = []
    for row in made.fit():
        seen.append((row["epoch"], made.progress.best_epoch, values(made)))
    assert [(epoch, best) for epoch, best, _ in seen] == [(1, 1), (2, 2), (3, 2), (4, 2)]  # a tie is no improvement
    best, last = load_checkpoint(tmp_path / BEST), load_checkpoint(tmp_path / LAST)
    np.testing.assert_array_equal(best.network.flat().values, seen[1][2])
    np.testing.assert_array_equal(last.network.flat().values, seen[3][2])
    assert (best.progress["epoch"], best.progress["best_score"]) == (2, 0.5)
    assert best.optimizer_state == {}
    assert set(last.optimizer_state) == {"mean", "square"}


def test_plateau_lowers_the_rate_when_the_score_stays(tmp_path, monkeypatch):
    scores = [0.2, 0.1, 0.1, 0.3, 0.1, 0.1, 0.1]
    made = frozen(tmp_path, monkeypatch, scores, schedule="plateau", lr_step_epochs=2, lr_decay=0.1, learning_rate=0.01)
    rates = [row["learning_rate"] for row in made.fit()]
    assert rates == pytest.approx([0.01, 0.01, 0.01, 0.001, 0.001, 0.001, 0.0001])


def test_plateau_goes_on_waiting_after_an_interruption(tmp_path, monkeypatch):
    settings = {"epochs": 6, "schedule": "plateau", "lr_step_epochs": 2, "lr_decay": 0.1, "learning_rate": 0.01}
    rates = [row["learning_rate"] for row in frozen(tmp_path / "whole", monkeypatch, [0.5] * 6, **settings).fit()]
    assert rates == pytest.approx([0.01, 0.01, 0.01, 1e-3, 1e-3, 1e-4])
    for stop in (2, 4):  # one epoch waited; one drop made and one epoch waited
        first = iter(frozen(tmp_path / str(stop), monkeypatch, [0.5] * 6, **settings).fit())
        parts = [next(first)["learning_rate"] for _ in range(stop)]
        second = frozen(tmp_path / str(stop), monkeypatch, [0.5] * 6, resume=True, **settings)
        assert parts + [row["learning_rate"] for row in second.fit()] == rates
