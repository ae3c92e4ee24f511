"""Training in several processes, with threads in their place: the numbers are those of one process."""

import threading
from dataclasses import replace

import numpy as np
import pytest

from scratchnet.data import Augmentation, BorderWeights, epoch_batches, shard_slice
from scratchnet.engine.capture.captured_network import CapturedNetwork
from scratchnet.layers import BatchNorm2d, Conv2d, Dropout, ReLU
from scratchnet.losses import PixelLoss
from scratchnet.network import Network
from scratchnet.ops.normalization import batch_norm, batch_norm_backward
from scratchnet.ops.synchronized import shared_batch_norm, shared_batch_norm_backward
from scratchnet.training import SGD, Adam, load_checkpoint, run_folder
from scratchnet.training.accumulation import MicroBatch, gradient
from scratchnet.training.distributed import sharing
from scratchnet.training.distributed.process_group import SingleProcess
from scratchnet.training.distributed.sharing import share_batches, sum_gradients
from scratchnet.training.run_folder import BEST, LAST, LOG
from tests.compare import assert_close, numbers
from tests.ranks import together
from tests.tiny import Source, recipe, rows, run, sample, source

NORMED = {"width": 0.1, "batch_norm": True}
OPTIMIZERS = {"sgd": (SGD, 0.05), "adam": (Adam, 0.01), "slow": (SGD, 1e-4)}
SHARES = [(2, 4), (4, 4), (2, 5), (4, 6), (4, 3)]
"""Ranks, images in a batch: even shares, uneven ones, and fewer images than ranks."""


def hard_batch(number, batch, dtype):
    """Images and masks; in the first half of the batch next to nothing counts."""
    pairs = [sample(100 * number + i) for i in range(batch)]
    x, target = (np.stack(part) for part in zip(*pairs, strict=True))
    target[: batch // 2, 1:] = 255
    return x.astype(dtype) / dtype(255), target


def train(ranks, loss, optimizer="sgd", batch=4, steps=4, dtype=np.float64, options=NORMED):
    """Make some updates with one's share of every batch; return all that came of it."""
    network = recipe(options=options).build().allocate(0, dtype).train()
    passes = CapturedNetwork(network)
    share_batches(network, ranks)
    kind, rate = OPTIMIZERS[optimizer]
    update, losses, own = kind(), [], shard_slice(batch, ranks.rank, ranks.size)
    for number in range(1, steps + 1):
        x, target = hard_batch(number, batch, dtype)
        parts = [MicroBatch(number, x[own], target[own], None, own.start)]
        losses.append(gradient(passes, loss, parts, 0, 0, ranks))
        update.step(network.flat(), rate)
    assert not any(capture is None for capture in passes._captures.values())  # recorded, and replayed from then on
    return network.flat().values.copy(), losses, {name: b.value.copy() for name, b in network.state().items()}


def assert_as_alone(found, expected, of_loss=1e-5, **tolerance):
    """Assert that every rank has what one process has, and that no two ranks differ in a bit."""
    for values, losses, state in found:
        np.testing.assert_allclose(values, expected[0], **tolerance)
        np.testing.assert_allclose(losses, expected[1], rtol=of_loss)
        for name in state:
            np.testing.assert_allclose(state[name], expected[2][name], **tolerance)
            np.testing.assert_array_equal(state[name], found[0][2][name])
        np.testing.assert_array_equal(values, found[0][0])
        assert losses == found[0][1]


@pytest.mark.parametrize(
    ("size", "batch", "optimizer"), [(2, 4, "sgd"), (2, 5, "adam"), (4, 4, "adam"), (4, 6, "sgd"), (4, 3, "sgd")]
)
def test_ranks_train_the_network_that_one_process_trains(cores, size, batch, optimizer):
    cores(1)
    loss = PixelLoss(2, class_weights=(0.3, 2.0), normalization="weights")
    expected = train(SingleProcess(), loss, optimizer, batch)
    moved = np.abs(expected[0] - train(SingleProcess(), loss, optimizer, batch, steps=0)[0]).max()
    assert moved > 1e-3
    found = together(size, lambda ranks: train(ranks, loss, optimizer, batch))
    assert_as_alone(found, expected, rtol=0, atol=1e-10 if optimizer == "sgd" else 1e-9)  # Adam divides by gradients


@pytest.mark.parametrize(
    ("name", "normalization"),
    [("cross-entropy", "pixels"), ("dice", "pixels"), ("cross-entropy+dice", "weights"), ("cross-entropy+dice", "sum")],
)
def test_every_loss_is_that_of_the_whole_batch(cores, name, normalization):
    cores(1)
    loss = PixelLoss(2, name, (0.3, 2.0), normalization=normalization)
    rate = "slow" if normalization == "sum" else "sgd"
    found = together(4, lambda ranks: train(ranks, loss, rate, batch=3, steps=3))
    assert_as_alone(found, train(SingleProcess(), loss, rate, batch=3, steps=3), rtol=0, atol=1e-10)


def test_softmax_and_dice_over_several_classes(cores):
    cores(1)
    loss = PixelLoss(2, "cross-entropy+dice")

    def squares(ranks):
        network = recipe("squares", {"width": 2}).build().allocate(0, np.float64).train()
        share_batches(network, ranks)
        own = shard_slice(3, ranks.rank, ranks.size)
        x, target = hard_batch(0, 3, np.float64)
        value = gradient(
            CapturedNetwork(network), loss, [MicroBatch(1, x[own], target[own], None, own.start)], 0, 0, ranks
        )
        return value, network.flat().grads.copy()

    expected = squares(SingleProcess())
    for value, grads in together(4, squares):
        assert value == pytest.approx(expected[0], abs=1e-12)
        np.testing.assert_allclose(grads, expected[1], rtol=0, atol=1e-12)


def test_float32_differs_by_rounding_alone(cores):
    cores(1)
    loss = PixelLoss(2)
    expected = train(SingleProcess(), loss, dtype=np.float32)
    found = together(2, lambda ranks: train(ranks, loss, dtype=np.float32))
    assert_as_alone(found, expected, of_loss=3e-5, rtol=0, atol=2e-4)  # each is within 1e-5 of float64's


# Batch norm -----------------------------------------------------------------------------------------------------------


def normalized(ranks, x, dy, gamma, beta, counts):
    """Output, statistics and gradients of one rank's images."""
    ends = np.cumsum([0, *counts])
    own = slice(ends[ranks.rank], ends[ranks.rank + 1])
    if ranks.size == 1:
        y, kept = batch_norm(x, gamma, beta)
        return y, kept.mean, kept.variance, *batch_norm_backward(dy, kept, gamma)
    y, kept, count = shared_batch_norm(x[own], gamma, beta, ranks.allreduce)
    assert count == x.size / x.shape[3]
    return y, kept.mean, kept.variance, *shared_batch_norm_backward(dy[own], kept, gamma, count, ranks.allreduce)


@pytest.mark.parametrize("offset", [0, 1000])
def test_synchronised_batch_norm_is_that_of_the_whole_batch(dtype, offset):
    x, dy = numbers(6, 4, 5, 3, dtype=dtype) + dtype.type(offset), numbers(6, 4, 5, 3, seed=1, dtype=dtype)
    gamma, beta = numbers(3, seed=2, dtype=dtype), numbers(3, seed=3, dtype=dtype)
    expected = normalized(SingleProcess(), x, dy, gamma, beta, [6])
    found = together(3, lambda ranks: normalized(ranks, x, dy, gamma, beta, [1, 3, 2]))
    for place in (0, 3):
        whole = np.concatenate([each[place] for each in found])
        np.testing.assert_allclose(whole, expected[place], atol=2e-3 if dtype == np.float32 else 1e-8)
    for place in (1, 2):
        for each in found:
            np.testing.assert_allclose(each[place], expected[place], rtol=1e-5 if dtype == np.float32 else 1e-9)
    for place in (4, 5):  # added up by whoever adds up the gradients of all parameters
        whole = sum(each[place] for each in found)
        np.testing.assert_allclose(whole, expected[place], atol=2e-3 if dtype == np.float32 else 1e-8)


def test_the_gradient_of_synchronised_batch_norm_against_numerical_differences():
    """The loss Σ y·v over two ranks depends on each pixel through the other rank's statistics too."""
    x, v = numbers(3, 2, 2, 2, dtype=np.float64), numbers(3, 2, 2, 2, seed=1, dtype=np.float64)
    gamma, beta = np.array([1.5, -0.5]), np.array([0.1, 0.2])

    def loss(x):
        found = together(2, lambda ranks: normalized(ranks, x, v, gamma, beta, [1, 2])[0])
        return float((np.concatenate(found) * v).sum())

    found = together(2, lambda ranks: normalized(ranks, x, v, gamma, beta, [1, 2])[3])
    dx, eps = np.concatenate(found), 1e-5
    for place in [(0, 0, 0, 0), (0, 1, 0, 1), (1, 0, 1, 0), (2, 1, 1, 1)]:
        moved = np.zeros_like(x)
        moved[place] = eps
        numerical = (loss(x + moved) - loss(x - moved)) / (2 * eps)
        assert dx[place] == pytest.approx(numerical, rel=1e-6, abs=1e-9)


def test_a_single_pixel_a_rank_is_enough():
    """Maps of 1×1 in shares of one image have a variance over all ranks."""

    def pass_through(ranks):
        layer = BatchNorm2d(3)
        network = Network(3)
        network.add("norm", layer)
        network.allocate(0, np.float64).train()
        share_batches(network, ranks)
        return network.forward(numbers(2, 1, 1, 3, dtype=np.float64)[shard_slice(2, ranks.rank, ranks.size)])

    np.testing.assert_allclose(np.concatenate(together(2, pass_through)), pass_through(SingleProcess()), atol=1e-12)


def test_nothing_is_summed_without_other_ranks():
    network = recipe(options=NORMED).build()
    share_batches(network, SingleProcess())
    assert all(type(layer) is BatchNorm2d for layer in network.batch_norms().values())


# Draws ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "batch"), SHARES)
def test_every_image_is_dropped_out_of_alike(size, batch):
    def outputs(ranks):
        network = Network(3)
        network.add("conv", Conv2d(3, 3, 1))
        network.add("relu", ReLU())
        network.add("drop", Dropout(0.5))
        network.allocate(0).train()
        own = shard_slice(batch, ranks.rank, ranks.size)
        found = []
        for number in (1, 2):
            network.reseed(0, 0, number, first=own.start)
            x = np.ones((batch, 3, 5, 3), np.float32)[own]  # an odd number of draws an image
            step = 1 if number == 1 else max(1, len(x))  # image by image, and all at once
            found.append([network.forward(x[i : i + step]) for i in range(0, len(x), step)])
        return found

    whole = outputs(SingleProcess())
    found = together(size, outputs)
    for number in (0, 1):
        images = [image for each in found for image in each[number]]
        np.testing.assert_array_equal(np.concatenate(images), np.concatenate(whole[number]))


@pytest.mark.parametrize(("size", "batch"), SHARES)
def test_ranks_share_the_batches_of_one_process(size, batch):
    pairs, changes = source(13), Augmentation(flip_horizontal=True, scale=(0.8, 1.2), noise=0.05, mosaic=0.5)
    whole = list(epoch_batches(pairs, batch, 3, 1, changes))
    shares = [list(epoch_batches(pairs, batch, 3, 1, changes, rank=rank, ranks=size)) for rank in range(size)]
    for number, (images, masks) in enumerate(whole):
        parts = [share[number] for share in shares]
        assert max(len(part[0]) for part in parts) - min(len(part[0]) for part in parts) <= 1
        np.testing.assert_array_equal(np.concatenate([part[0] for part in parts if len(part[0])]), images)
        np.testing.assert_array_equal(np.concatenate([part[1] for part in parts if len(part[1])]), masks)


# Gradients ------------------------------------------------------------------------------------------------------------


def test_gradients_are_summed_in_buckets(monkeypatch):
    monkeypatch.setattr(sharing, "BUCKET_BYTES", 4000)

    def summed(ranks):
        network = recipe(options=NORMED).build().allocate(0)
        network.flat().grads[...] = np.arange(network.parameter_count()) * (ranks.rank + 1)
        sum_gradients(network, ranks)
        assert ranks.calls == -(-network.parameter_count() // 1000)
        return network.flat().grads.copy()

    for grads in together(3, summed):
        np.testing.assert_array_equal(grads, 6 * np.arange(len(grads), dtype=np.float32))


# Runs -----------------------------------------------------------------------------------------------------------------


def whole_run(folder, ranks, settings, resume=False, epochs=2):
    """Train to the end and finish; return parameters, statistics, log and result."""
    made = run(folder, ranks=ranks, resume=resume, epochs=epochs, **settings)
    list(made.fit())
    log = rows(made)
    found = made.finish()
    state = {name: b.value.copy() for name, b in made.network.state().items()}
    return made.network.flat().values.copy(), state, log, found


def assert_same_run(found, expected):
    """Assert that a rank's run came out as that of one process."""
    np.testing.assert_allclose(found[0], expected[0], rtol=0, atol=5e-5)
    for name, value in found[1].items():
        assert_close(value, expected[1][name], np.float32, 100)
    for row, other in zip(found[2], expected[2], strict=True):
        assert row == pytest.approx(other, rel=1e-3)
    np.testing.assert_allclose(found[3].confusion, expected[3].confusion, atol=2)  # a pixel may be a tie
    np.testing.assert_allclose(found[3].scores, expected[3].scores, atol=0.01)
    assert found[3].loss == pytest.approx(expected[3].loss, rel=1e-4)


RUNS = {
    "plain": {"batch_size": 4},
    "fewer images than ranks": {"batch_size": 3, "val": source(1, 32, 32, first=100)},
    "gradient accumulation": {"batch_size": 3, "gradient_accumulation": 2},
    "image by image": {"batch_size": 3, "per_image_bn": True},
    "border": {"batch_size": 3, "border_weights": BorderWeights(10, 3)},
}


@pytest.mark.parametrize("name", RUNS)
def test_a_run_of_four_ranks_is_that_of_one_process(tmp_path, cores, monkeypatch, name):
    cores(1)
    writers = set()
    settings = {
        "made": recipe(options=NORMED),
        "train": source(9, 32, 32),
        "val": source(6, 32, 32, first=100),
        "optimizer": "sgd",
        "learning_rate": 0.02,
        "augmentation": Augmentation(flip_horizontal=True, noise=0.05),
        **RUNS[name],
    }
    expected = whole_run(tmp_path / "one", SingleProcess(), settings)
    for file, write in ((name, getattr(run_folder, name)) for name in ("save_checkpoint", "write_log")):
        monkeypatch.setattr(
            run_folder, file, lambda *given, write=write: (writers.add(threading.current_thread().name), write(*given))
        )
    found = together(4, lambda ranks: whole_run(tmp_path / "four", ranks, settings))
    for each in found:
        assert_same_run(each, expected)
        np.testing.assert_array_equal(each[0], found[0][0])
        assert each[2] == found[0][2]
    assert writers == {"rank 0"}
    assert sorted(path.name for path in (tmp_path / "four").iterdir()) == sorted([BEST, LAST, LOG])
    stored = load_checkpoint(tmp_path / "four" / BEST)
    np.testing.assert_array_equal(stored.network.flat().values, found[0][0])


def test_a_run_goes_on_with_another_number_of_ranks(tmp_path, cores):
    cores(1)
    settings = {"made": recipe(options=NORMED), "train": source(8), "batch_size": 4, "optimizer": "sgd"}
    expected = whole_run(tmp_path / "one", SingleProcess(), settings)
    first = together(2, lambda ranks: next(iter(run(tmp_path / "parts", ranks=ranks, **settings).fit())))
    assert first[0]["epoch"] == 1
    for found in together(4, lambda ranks: whole_run(tmp_path / "parts", ranks, settings, resume=True)):
        assert [row["epoch"] for row in found[2]] == [1, 2]
        assert_same_run(found, expected)


def test_an_image_that_cannot_be_read_stops_the_rank_that_has_it(tmp_path):
    """The other ranks wait for it: how they are ended is the launcher's business."""

    class Broken(Source):
        def load(self, index):
            if index == 3:
                raise OSError("broken image")
            return super().load(index)

    train = Broken(source(8).pairs)
    with pytest.raises(OSError, match="broken image"):
        together(2, lambda ranks: list(run(tmp_path, ranks=ranks, train=train, batch_size=4).fit()))
    assert threading.active_count() < 10


def test_a_loss_that_is_not_finite_stops_all_ranks(tmp_path):
    """The sum of the losses is alike everywhere, so no rank is left waiting."""

    def diverging(ranks):
        made = run(tmp_path, ranks=ranks, batch_size=4)
        made.settings = replace(made.settings, learning_rate=1e30)
        if ranks.rank == 1:
            made.network.flat().values[...] = np.nan
        with pytest.raises(Exception, match="the loss became"):
            list(made.fit())
        return True

    assert together(2, diverging) == [True, True]
