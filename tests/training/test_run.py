import csv
import math
from itertools import islice

import numpy as np
import pytest

from scratchnet.data import Augmentation, BorderWeights, epoch_batches
from scratchnet.losses import PixelLoss
from scratchnet.training import batch_norm_calibration, load_checkpoint, recalibrate, save_checkpoint
from scratchnet.training.accumulation import gradient, with_pixel_weights
from scratchnet.training.logs import summary, write_log
from scratchnet.training.padding import pad_to_stride
from scratchnet.training.run_folder import BEST, LAST, LOG
from scratchnet.utils.errors import UserError
from tests.compare import assert_close, numbers
from tests.tiny import Source, files, network, recipe, rows, run, sample, source, trained

NORMED = {"width": 0.1, "batch_norm": True}
EVERYTHING = Augmentation(
    flip_horizontal=True,
    rotate90=True,
    scale=(0.8, 1.2),
    crop=(16, 16),
    brightness=0.1,
    noise=0.02,
    mosaic=0.5,
    elastic=2.0,
)


def values(made):
    return made.network.flat().values.copy()


def state(made):
    return {name: buffer.value.copy() for name, buffer in made.network.state().items()}


def assert_same(one, other):
    """Assert two runs hold the same bits: numbers, statistics, optimiser and log."""
    np.testing.assert_array_equal(values(one), values(other))
    for name, value in state(one).items():
        np.testing.assert_array_equal(value, state(other)[name])
    assert set(one.loop.optimizer.arrays) == set(other.loop.optimizer.arrays)
    for name, array in one.loop.optimizer.arrays.items():
        np.testing.assert_array_equal(array, other.loop.optimizer.arrays[name])
    assert rows(one) == rows(other)


# Determinism ----------------------------------------------------------------------------------------------------------


def test_one_seed_gives_the_same_bits(tmp_path):
    settings = {"made": recipe(options=NORMED), "augmentation": EVERYTHING, "schedule": "poly", "epochs": 3}
    assert_same(trained(tmp_path / "a", **settings), trained(tmp_path / "b", **settings))


def test_mixed_statistics_normalise_every_second_batch_image_by_image(tmp_path, monkeypatch):
    made = run(tmp_path, made=recipe("squares", {"width": 2}), per_image_bn=True, batch_size=2, epochs=1)
    sizes = []
    forward = made.network.forward
    monkeypatch.setattr(made.network, "forward", lambda x, keep=None: (sizes.append(len(x)), forward(x, keep))[1])
    made.loop.train_epoch()
    assert sizes[:3] == [2, 1, 1]


def test_mixed_statistics_add_the_mean_gradient_of_a_batch(tmp_path):
    """Without batch norm it makes no difference whether images come together or alone."""
    made = run(tmp_path, batch_size=4)
    x, target = (np.stack(part) for part in zip(*(sample(i) for i in range(4)), strict=True))
    made.network.train()
    gradients = []
    for mixed in (False, True):
        parts = made.loop.loader.split(2, (x, target, None), mixed)
        assert len(parts) == (4 if mixed else 1)
        loss = gradient(made.loop.captured, made.loop.loss, parts, 0, 0)
        gradients.append((loss, made.network.flat().grads.copy()))
    assert gradients[0][0] == pytest.approx(gradients[1][0], rel=1e-5)
    np.testing.assert_allclose(gradients[0][1], gradients[1][1], atol=1e-6)


def test_another_seed_gives_another_network(tmp_path):
    one, other = (trained(tmp_path / str(seed), seed=seed) for seed in (0, 1))
    assert (values(one) != values(other)).mean() > 0.5


def test_the_seed_also_decides_the_order(tmp_path):
    """With the same starting values the batches differ."""
    one, other = (run(tmp_path / str(seed), seed=seed, epochs=1) for seed in (0, 1))
    other.network.flat().values[...] = one.network.flat().values
    list(one.fit())
    list(other.fit())
    assert (values(one) != values(other)).any()


class Plain:
    """What a Replay does, without recording."""

    def __init__(self, network):
        self.network, self.forward, self.backward = network, network.forward, network.backward


@pytest.mark.parametrize("count", [1, 2])
def test_replayed_steps_train_the_same_network(tmp_path, monkeypatch, cores, count):
    """Enough batches of one shape to be recorded in the first epoch and replayed from then on."""
    cores(count)
    settings = {"made": recipe(options=NORMED), "augmentation": EVERYTHING, "epochs": 4, "batch_size": 2}
    replayed = trained(tmp_path / "replayed", **settings)
    programs = [capture for capture in replayed.loop.captured._captures.values() if capture and capture.backward]
    assert len(programs) == 1
    assert all(len(stage) <= count for stage in programs[0].backward.stages)
    assert max(len(stage) for stage in programs[0].backward.stages) == count
    monkeypatch.setattr("scratchnet.training.loop.CapturedNetwork", Plain)
    assert_same(replayed, trained(tmp_path / "plain", **settings))
    monkeypatch.undo()
    cores(count)
    next(iter(run(tmp_path / "parts", **settings).fit()))
    resumed = run(tmp_path / "parts", resume=True, **settings)
    list(resumed.fit())
    assert_same(replayed, resumed)


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


# Updates --------------------------------------------------------------------------------------------------------------


def test_accumulated_batches_are_one_large_batch(tmp_path):
    train = source(8)
    large = trained(tmp_path / "large", train=train, batch_size=8, epochs=3, optimizer="sgd", learning_rate=0.1)
    small = trained(
        tmp_path / "small",
        train=train,
        batch_size=4,
        gradient_accumulation=2,
        epochs=3,
        optimizer="sgd",
        learning_rate=0.1,
    )
    moved = np.abs(values(large) - network().flat().values).max()
    assert moved > 1e-3
    np.testing.assert_allclose(values(small), values(large), atol=1e-4 * moved)
    assert small.progress.iteration == large.progress.iteration == 3


@pytest.mark.parametrize("normalization", ["pixels", "weights", "sum"])
@pytest.mark.parametrize("mixed", [False, True])
def test_accumulated_batches_with_unequal_numbers_of_ignored_pixels(tmp_path, normalization, mixed):
    """The mean of the batches' means is not the mean over all pixels; the gradient must be the large batch's."""
    pairs = [sample(index) for index in range(8)]
    for index, (_, mask) in enumerate(pairs):
        mask[: 2 * index] = 255
    gradients = []
    for size, count in ((8, 1), (4, 2), (2, 4)):
        made = run(tmp_path, train=Source(pairs), batch_size=size, gradient_accumulation=count, per_image_bn=mixed)
        made.loop.loss = PixelLoss(2, class_weights=(0.4, 3.0), normalization=normalization)
        batches = list(with_pixel_weights(epoch_batches(made.loop.loader.data.train, size, 0, 0), None))
        assert len(batches) == count
        split = made.loop.loader.split
        parts = [
            part for number, batch in enumerate(batches, 1) for part in split(number, batch, mixed and number % 2 == 0)
        ]
        made.network.train()
        loss = gradient(made.loop.captured, made.loop.loss, parts, 0, 0)
        gradients.append((loss, made.network.flat().grads.copy()))
    for loss, found in gradients[1:]:
        assert loss == pytest.approx(gradients[0][0], rel=1e-5)
        assert_close(found, gradients[0][1], np.float32)


def test_an_update_of_nothing_but_ignored_pixels_changes_nothing(tmp_path):
    pairs = [(sample(index)[0], np.full((16, 16), 255, np.uint8)) for index in range(4)]
    made = trained(tmp_path, train=Source(pairs), batch_size=2, gradient_accumulation=2, epochs=1, optimizer="sgd")
    np.testing.assert_array_equal(values(made), network().flat().values)


def test_what_dropout_draws_depends_on_seed_epoch_and_batch(tmp_path, monkeypatch):
    made = run(tmp_path, train=source(6), batch_size=2, gradient_accumulation=2, epochs=2, seed=5, per_image_bn=True)
    keys = []
    monkeypatch.setattr(made.network, "reseed", lambda *key, first: keys.append(key))
    list(made.fit())
    assert keys == [(5, epoch, number) for epoch in (0, 1) for number in (1, 2, 3)]


def test_the_last_group_of_accumulated_batches_may_be_smaller(tmp_path, monkeypatch):
    made = run(tmp_path, train=source(6), batch_size=2, gradient_accumulation=2, epochs=1)
    assert made.progress.updates_per_epoch == 2
    scales = []
    step = made.loop.optimizer.step
    monkeypatch.setattr(
        made.loop.optimizer, "step", lambda buffers, rate: scales.append(buffers.grads.copy()) or step(buffers, rate)
    )
    list(made.fit())
    assert made.progress.iteration == len(scales) == 2
    # The second update comes from one batch: its gradient is that batch's own, not half of it.
    check = run(tmp_path / "check", train=source(6), batch_size=2, epochs=1)
    batches = list(epoch_batches(check.loop.loader.data.train, 2, 0, 0, Augmentation(), drop_last=True))
    check.network.train()
    for index in (0, 1):
        x, target = check.loop.loader.prepare(*batches[index])
        _, dlogits = check.loop.loss(check.network.forward(x), target)
        check.network.backward(dlogits)
    np.testing.assert_allclose(check.network.flat().grads / 2, scales[0], rtol=1e-5, atol=1e-8)


def test_pixels_between_objects_weigh_more(tmp_path):
    """The gradient is that of the loss with the map of every batch, at the network's padded size too."""
    train = source(4, 16, 24)
    weigh = BorderWeights(10, 3, (0.5, 2.0))
    made = run(tmp_path, train=train, batch_size=2)
    batches = list(with_pixel_weights(epoch_batches(train, 2, 0, 0), weigh))
    parts = made.loop.loader.split(1, batches[0], per_image=False)
    made.network.train()
    loss = gradient(made.loop.captured, made.loop.loss, parts, 0, 0)
    found = made.network.flat().grads.copy()
    images, masks, weights = batches[0]
    assert_close(weights, weigh(masks), np.float32)
    x, target = made.loop.loader.prepare(images, masks)
    assert target.shape[2] == 32
    padded = np.pad(weights, ((0, 0), (0, 0), (0, 8)))
    expected, dlogits = made.loop.loss(made.network.forward(x), target, padded)
    made.network.zero_grad()
    made.network.backward(dlogits)
    assert loss == pytest.approx(expected)
    assert_close(found, made.network.flat().grads, np.float32)


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


def test_a_learning_rate_of_a_schedule_reaches_the_optimizer(tmp_path, monkeypatch):
    made = run(tmp_path, epochs=3, schedule="step", lr_step_epochs=1, lr_decay=0.5, learning_rate=0.8)
    rates = []
    monkeypatch.setattr(made.loop.optimizer, "step", lambda buffers, rate: rates.append(rate))
    list(made.fit())
    assert rates == [0.8, 0.8, 0.4, 0.4, 0.2, 0.2]
    assert [row["learning_rate"] for row in made.progress.rows] == [0.8, 0.4, 0.2]


def frozen(tmp_path, monkeypatch, scores, **settings):
    """A run whose validation scores are given."""
    made = run(tmp_path, **{"epochs": len(scores), **settings})
    found = made.loop.validate("x")
    given = iter(scores)

    def validate(label):
        metrics = type(found.metrics)(**{**vars(found.metrics), "mean_iou": next(given)})
        return type(found)(found.confusion, metrics, found.loss, found.scores)

    monkeypatch.setattr(made.loop, "validate", validate)
    return made


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


def test_training_learns(tmp_path):
    made = trained(tmp_path, train=source(8), epochs=30, batch_size=4, learning_rate=0.01, made=recipe(options=NORMED))
    losses = [row["train_loss"] for row in made.progress.rows]
    assert losses[-1] < 0.5 * losses[0]


# What goes wrong ------------------------------------------------------------------------------------------------------


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


def test_a_training_set_that_is_ignored_as_a_whole_moves_nothing(tmp_path):
    nothing = Source([(sample(i)[0], np.full((16, 16), 255, np.uint8)) for i in range(2)])
    made = trained(tmp_path, train=nothing)
    np.testing.assert_array_equal(values(made), network().flat().values)
    assert [row["train_loss"] for row in made.progress.rows] == [0, 0]


# Sizes ----------------------------------------------------------------------------------------------------------------


def test_padding_continues_images_by_reflection_and_masks_by_the_ignore_label():
    x, masks = numbers(2, 18, 31, 3), np.ones((2, 18, 31), np.uint8)
    padded, target = pad_to_stride(x, masks, 16, 255)
    assert padded.shape == (2, 32, 32, 3)
    np.testing.assert_array_equal(padded[:, :18, :31], x)
    np.testing.assert_array_equal(padded[:, 18:], padded[:, 17:3:-1])
    np.testing.assert_array_equal(padded[:, :18, 31], x[:, :, 30])
    assert (target[:, :18, :31] == 1).all()
    assert (target == 255).sum() == 2 * (32 * 32 - 18 * 31)
    assert target.dtype == np.uint8


def test_padding_without_an_ignore_label_reflects_the_mask_too():
    masks = np.arange(6, dtype=np.uint8).reshape(1, 2, 3)
    _, target = pad_to_stride(np.zeros((1, 2, 3, 3)), masks, 4, None)
    np.testing.assert_array_equal(target[0], [[0, 1, 2, 2], [3, 4, 5, 5], [3, 4, 5, 5], [0, 1, 2, 2]])


def test_a_border_surrounds_the_image_and_not_the_mask():
    x, masks = numbers(2, 5, 6, 3), np.ones((2, 5, 6), np.uint8)
    padded, target = pad_to_stride(x, masks, 1, 255, valid_margin=4)
    assert target is masks
    np.testing.assert_array_equal(padded, np.pad(x, [(0, 0), (4, 4), (4, 4), (0, 0)], mode="symmetric"))
    padded, target = pad_to_stride(x, masks, 4, 255, valid_margin=4)
    assert (padded.shape, target.shape) == ((2, 16, 16, 3), (2, 8, 8))
    np.testing.assert_array_equal(padded[:, 4:9, 4:10], x)


def test_nothing_is_copied_that_fits():
    x, masks = np.zeros((1, 32, 16, 3)), np.zeros((1, 32, 16), np.uint8)
    assert pad_to_stride(x, masks, 16, 255)[0] is x


def test_the_padded_border_does_not_count(tmp_path):
    """The loss is that of the image's own pixels, whatever the network says beside them."""
    made = run(tmp_path, train=source(2, 18, 21))
    images, masks = zip(*made.loop.loader.data.train.pairs, strict=True)
    x, target = made.loop.loader.prepare(np.stack(images), np.stack(masks))
    logits = made.network.forward(x)
    disturbed = logits.copy()
    disturbed[:, 18:], disturbed[:, :, 21:] = 9, -9
    (loss, gradient), (other, _) = made.loop.loss(logits, target), made.loop.loss(disturbed, target)
    assert loss == other
    assert not gradient[:, 18:].any()
    assert not gradient[:, :, 21:].any()
    assert gradient[:, :18, :21].all()


@pytest.mark.parametrize("size", [(17, 33), (20, 16)])
@pytest.mark.parametrize("model", ["bloodcell", "squares"])
def test_sizes_that_are_no_multiple_of_the_stride_train(tmp_path, size, model):
    options = {"width": 3} if model == "squares" else NORMED
    made = trained(
        tmp_path, train=source(4, *size), val=source(2, *size), made=recipe(model, options), learning_rate=1e-3
    )
    found = made.finish()
    assert found.confusion.sum() == 2 * size[0] * size[1]
    assert found.loss < 2


# The end --------------------------------------------------------------------------------------------------------------


def test_finish_loads_the_best_and_recalibrates_it(tmp_path, monkeypatch):
    made = frozen(tmp_path, monkeypatch, [0.9, 0.1], made=recipe(options=NORMED), train=source(5, 20, 20), batch_size=2)
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
    made.finish()
    for name, buffer in load_checkpoint(tmp_path / BEST).network.state().items():
        np.testing.assert_array_equal(buffer.value, expected.state()[name].value)


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
