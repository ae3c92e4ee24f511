"""A training run in a folder: the same bits after an interruption, and what goes wrong."""

import math
from itertools import islice

import numpy as np
import pytest

from scratchnet.data import Augmentation, BorderWeights, epoch_batches
from scratchnet.training import batch_norm_calibration, load_checkpoint, recalibrate, save_checkpoint
from scratchnet.training.run_folder import BEST, LAST, LOG
from scratchnet.utils.errors import UserError
from tests.tiny import Source, files, recipe, run, sample, source, trained
from tests.training.runs import EVERYTHING, NORMED, assert_same, frozen, values


@pytest.mark.parametrize(("optimizer", "schedule"), [("adam", "poly"), ("sgd", "plateau"), ("sgd", "step")])
def test_a_resumed_run_ends_with_the_same_bits(tmp_path, optimizer, schedule):
    settings = {
        "made": recipe(options=NORMED),
        "augmentation": EVERYTHING,
        "epochs": 4,
        "optimizer": optimizer,
        "schedule": schedule,
        "lr_step_epochs": 1,
        "lr_decay": 0.5,
    }
    whole = trained(tmp_path / "whole", **settings)
    first = iter(run(tmp_path / "parts", **settings).fit())
    next(first)
    next(first)
    resumed = run(tmp_path / "parts", resume=True, **settings)
    assert resumed.progress.epoch == 2
    list(resumed.fit())
    assert_same(whole, resumed)
    one, other = whole.progress.schedule, resumed.progress.schedule
    assert (one.drops, one.waited) == (other.drops, other.waited)
    best = [load_checkpoint(tmp_path / name / BEST) for name in ("whole", "parts")]
    np.testing.assert_array_equal(best[0].network.flat().values, best[1].network.flat().values)


def test_dropping_out_in_the_middle_of_an_epoch_loses_that_epoch_only(tmp_path, monkeypatch):
    whole = trained(tmp_path / "whole", epochs=3)
    broken = run(tmp_path / "broken", epochs=3)
    forward, calls = type(broken.loop.captured).forward, []

    def interrupted(passes, x, keep=None):
        if passes.network.training:
            calls.append(1)
            if len(calls) == 4:  # the second batch of the second epoch
                raise KeyboardInterrupt
        return forward(passes, x, keep)

    monkeypatch.setattr(type(broken.loop.captured), "forward", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(broken.fit())
    monkeypatch.undo()
    resumed = run(tmp_path / "broken", epochs=3, resume=True)
    assert resumed.progress.epoch == 1
    list(resumed.fit())
    assert_same(whole, resumed)


@pytest.mark.parametrize("written", [BEST, LOG])
def test_an_interruption_between_the_files_of_an_epoch_is_repaired(tmp_path, monkeypatch, written):
    """Killed after the best checkpoint (or the log too), before last.npz: the epoch is made again."""
    whole = trained(tmp_path / "whole", epochs=2)
    broken = run(tmp_path / "broken", epochs=2)
    steps = iter(broken.fit())
    next(steps)
    (tmp_path / "broken" / LAST).rename(tmp_path / "last.npz")
    next(steps)
    (tmp_path / "last.npz").replace(tmp_path / "broken" / LAST)
    if written == BEST:
        (tmp_path / "broken" / LOG).unlink()
    resumed = run(tmp_path / "broken", epochs=2, resume=True)
    assert resumed.progress.epoch == 1
    list(resumed.fit())
    assert_same(whole, resumed)
    assert (tmp_path / "broken" / LOG).exists()


def test_resuming_a_finished_run_trains_no_further(tmp_path):
    whole = trained(tmp_path)
    again = run(tmp_path, resume=True)
    assert again.progress.done
    assert list(again.fit()) == []
    assert_same(whole, again)


def test_resuming_with_more_epochs_goes_on(tmp_path):
    trained(tmp_path / "a", epochs=1)
    longer = run(tmp_path / "a", epochs=3, resume=True)
    assert [row["epoch"] for row in longer.fit()] == [2, 3]
    assert_same(longer, trained(tmp_path / "b", epochs=3))


def test_resume_without_a_checkpoint_starts_from_the_beginning(tmp_path):
    assert run(tmp_path, resume=True).progress.epoch == 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"made": recipe(options={"width": 0.2})}, "was trained with options {'width': 0.1}, not {'width': 0.2}"),
        ({"made": recipe("squares", {"width": 3})}, "was trained with model 'bloodcell', not 'squares'"),
        ({"made": recipe(classes=("a", "b"))}, "was trained with classes"),
        ({"made": recipe(resize=(32, 32))}, r"was trained with resize None, not \(32, 32\); leave out resize"),
        ({"made": recipe(normalization="image")}, "was trained with normalization none, not image"),
        ({"optimizer": "sgd"}, r"another optimiser \(mean, square\), expected momentum; .* optimizer"),
    ],
)
def test_another_run_is_not_resumed(tmp_path, changes, words):
    trained(tmp_path, epochs=1)
    before = files(tmp_path)
    with pytest.raises(UserError, match=words) as caught:
        run(tmp_path, resume=True, **changes)
    assert str(tmp_path / LAST) in str(caught.value)
    assert files(tmp_path) == before


def test_a_file_without_memory_cannot_be_resumed(tmp_path):
    trained(tmp_path, epochs=1)
    (tmp_path / LAST).write_bytes((tmp_path / BEST).read_bytes())
    with pytest.raises(UserError, match=r"another optimiser \(none\)"):
        run(tmp_path, resume=True)


def test_the_preprocessing_of_the_first_start_stays(tmp_path):
    """An image was added to the folder: its mean moves, but the network has seen the old one."""
    old = recipe(normalization="dataset", mean=(0.1, 0.1, 0.1))
    trained(tmp_path, made=old, epochs=1)
    resumed = run(tmp_path, made=recipe(normalization="dataset", mean=(0.2, 0.1, 0.1)), resume=True)
    assert resumed.spec.preprocessing == old.preprocessing


def test_border_weights_reach_the_training_and_survive_an_interruption(tmp_path):
    train = Source([(image, np.repeat(mask[:, ::2], 2, axis=1)) for image, mask in (sample(i) for i in range(4))])
    for _, mask in train.pairs:
        mask[:, 8:10] = 0  # two objects
    settings = {"train": train, "epochs": 2, "border_weights": BorderWeights()}
    whole = trained(tmp_path / "whole", **settings)
    plain = trained(tmp_path / "plain", train=train, epochs=2)
    assert (values(whole) != values(plain)).any()
    next(iter(run(tmp_path / "parts", **settings).fit()))
    resumed = run(tmp_path / "parts", resume=True, **settings)
    list(resumed.fit())
    assert_same(whole, resumed)


def test_a_loss_that_is_not_a_number_is_reported_and_the_checkpoints_stay(tmp_path):
    trained(tmp_path, epochs=1)
    before = files(tmp_path)
    broken = run(tmp_path, epochs=3, resume=True, learning_rate=1e30)
    with pytest.raises(
        UserError, match=r"the loss became (nan|inf) in epoch \d.*learning_rate \(now 1e\+30\)"
    ) as caught:
        list(broken.fit())
    assert "\n" not in str(caught.value)
    assert files(tmp_path) == before


def test_numbers_that_break_in_the_last_batch_are_not_stored(tmp_path, monkeypatch):
    """The loss of the last batch is finite, the update after it is not."""
    made = run(tmp_path, epochs=1, batch_size=4)
    monkeypatch.setattr(made.loop.optimizer, "step", lambda buffers, rate: buffers.values.fill(np.nan))
    with pytest.raises(UserError, match="the loss became nan in epoch 1, on the validation images"):
        list(made.fit())
    assert files(tmp_path) == {}


def test_a_validation_set_that_is_ignored_as_a_whole(tmp_path):
    nothing = Source([(sample(0)[0], np.full((16, 16), 255, np.uint8))])
    made = trained(tmp_path, val=nothing)
    found = made.finish()
    assert found.loss == 0
    assert math.isnan(found.metrics.mean_iou)
    assert load_checkpoint(tmp_path / BEST).progress["epoch"] == 2
    assert run(tmp_path, val=nothing, resume=True).progress.done


def test_finish_loads_the_best_and_recalibrates_it(tmp_path, monkeypatch):
    made = frozen(
        tmp_path, monkeypatch, [0.002, 0.001], made=recipe(options=NORMED), train=source(5, 20, 20), batch_size=2
    )
    list(made.fit())
    best = load_checkpoint(tmp_path / BEST)
    assert best.progress["epoch"] == 1
    expected = load_checkpoint(tmp_path / BEST).network
    batches = epoch_batches(made.loop.loader.data.train, 2, 0, 0, Augmentation(), drop_last=True)
    assert recalibrate(expected, (made.loop.loader.prepare(*batch)[0] for batch in batches)) == 2
    monkeypatch.undo()
    found = made.finish()
    stored = load_checkpoint(tmp_path / BEST)
    np.testing.assert_array_equal(stored.network.flat().values, best.network.flat().values)
    for name, buffer in stored.network.state().items():
        np.testing.assert_array_equal(buffer.value, expected.state()[name].value)
        assert (buffer.value != best.network.state()[name].value).any()
    assert stored.progress["final"]["val_mean_iou"] == found.metrics.mean_iou


def test_recalibration_takes_no_more_batches_than_help(tmp_path, monkeypatch):
    """The second stage of DeconvNet has more of them than the training saw."""
    made = trained(tmp_path, made=recipe(options=NORMED), train=source(6, 20, 20), batch_size=2)
    expected = load_checkpoint(tmp_path / BEST).network
    batches = epoch_batches(made.loop.loader.data.train, 2, 0, 0, Augmentation(), drop_last=True)
    assert recalibrate(expected, (made.loop.loader.prepare(*batch)[0] for batch in islice(batches, 2))) == 2
    monkeypatch.setattr(batch_norm_calibration, "MAX_BATCHES", 2)
    made.progress.best_score = 0.0
    made.finish()
    assert (made.recalibrated, made.rejected_score) == (2, None)
    for name, buffer in load_checkpoint(tmp_path / BEST).network.state().items():
        np.testing.assert_array_equal(buffer.value, expected.state()[name].value)


def test_recalibration_that_is_worse_is_undone(tmp_path):
    made = trained(tmp_path, made=recipe(options=NORMED), train=source(6, 20, 20), batch_size=2)
    before = load_checkpoint(tmp_path / BEST).network
    expected = made.progress.rows[made.progress.best_epoch - 1]["val_mean_iou"]
    made.progress.best_score = 2.0
    found = made.finish()
    assert made.recalibrated == 0
    assert made.rejected_score != found.metrics.mean_iou == expected
    for name, buffer in load_checkpoint(tmp_path / BEST).network.state().items():
        np.testing.assert_array_equal(buffer.value, before.state()[name].value)


def test_recalibration_can_be_left_out(tmp_path):
    made = trained(tmp_path, made=recipe(options=NORMED), recalibrate=False)
    before = load_checkpoint(tmp_path / BEST)
    made.finish()
    for name, buffer in load_checkpoint(tmp_path / BEST).network.state().items():
        np.testing.assert_array_equal(buffer.value, before.network.state()[name].value)


def test_finishing_twice_gives_the_same_file(tmp_path):
    made = trained(tmp_path, made=recipe(options=NORMED))
    made.finish()
    once = (tmp_path / BEST).read_bytes()
    run(tmp_path, made=recipe(options=NORMED), resume=True).finish()
    found = load_checkpoint(tmp_path / BEST)
    save_checkpoint(tmp_path / "copy.npz", found)
    (tmp_path / "once.npz").write_bytes(once)
    first = load_checkpoint(tmp_path / "once.npz")
    assert first.progress == found.progress
    for name, buffer in first.network.state().items():
        np.testing.assert_array_equal(buffer.value, found.network.state()[name].value)
