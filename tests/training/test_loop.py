"""Updates and epochs of the training loop."""

import numpy as np
import pytest

from scratchnet.data import Augmentation, BorderWeights, epoch_batches
from scratchnet.losses import PixelLoss
from scratchnet.training.accumulation import gradient, with_pixel_weights
from tests.compare import assert_close
from tests.tiny import Source, network, recipe, run, sample, source, trained
from tests.training.runs import EVERYTHING, NORMED, assert_same, values


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


def test_a_learning_rate_of_a_schedule_reaches_the_optimizer(tmp_path, monkeypatch):
    made = run(tmp_path, epochs=3, schedule="step", lr_step_epochs=1, lr_decay=0.5, learning_rate=0.8)
    rates = []
    monkeypatch.setattr(made.loop.optimizer, "step", lambda buffers, rate: rates.append(rate))
    list(made.fit())
    assert rates == [0.8, 0.8, 0.4, 0.4, 0.2, 0.2]
    assert [row["learning_rate"] for row in made.progress.rows] == [0.8, 0.4, 0.2]


def test_training_learns(tmp_path):
    made = trained(tmp_path, train=source(8), epochs=30, batch_size=4, learning_rate=0.01, made=recipe(options=NORMED))
    losses = [row["train_loss"] for row in made.progress.rows]
    assert losses[-1] < 0.5 * losses[0]


def test_a_training_set_that_is_ignored_as_a_whole_moves_nothing(tmp_path):
    nothing = Source([(sample(i)[0], np.full((16, 16), 255, np.uint8)) for i in range(2)])
    made = trained(tmp_path, train=nothing)
    np.testing.assert_array_equal(values(made), network().flat().values)
    assert [row["train_loss"] for row in made.progress.rows] == [0, 0]


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
