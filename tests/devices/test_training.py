"""Training, validation, checkpoints and segmentation on a device, through the same entrances as on a CPU."""

import contextlib
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from scratchnet.arrays import to_host
from scratchnet.data import Augmentation, BorderWeights, Preprocessing
from scratchnet.engine.device import array_module
from scratchnet.engine.modes import matrix_precision_in_use, precise
from scratchnet.evaluation import confusion_matrix
from scratchnet.gradcheck import all_cases, check_gradients, from_network
from scratchnet.gradcheck.problems import problems_on
from scratchnet.inference import Segmenter, evaluate
from scratchnet.losses import PixelLoss
from scratchnet.models import build
from scratchnet.training import load_checkpoint, recalibrate
from scratchnet.training.distributed.mpi import MPIRanks
from scratchnet.training.run_folder import BEST, LAST
from scratchnet.utils.errors import UserError
from tests.compare import numbers
from tests.ranks import together
from tests.standin.array import counted, ndarray
from tests.standin.module import cupy as standin
from tests.tiny import network, recipe, rows, run, sample, source, trained

NORMED = {"width": 0.1, "batch_norm": True}
EVERYTHING = Augmentation(flip_horizontal=True, scale=(0.8, 1.2), crop=(16, 16), noise=0.02)


@pytest.mark.parametrize(
    "settings",
    [
        {"made": recipe(options=NORMED), "optimizer": "sgd", "learning_rate": 2e-3, "augmentation": EVERYTHING},
        {"made": recipe("unet-same", {"width": 1 / 32, "depth": 2, "dropout": True}), "per_image_bn": True},
        {"border_weights": BorderWeights(10, 5, None, 255), "gradient_accumulation": 2},
        {"optimizer": "adamw", "weight_decay": 0.1, "ema": 0.5, "freeze": ("conv1",)},
        {"optimizer": "sgd", "nesterov": True, "schedule": "cosine", "warmup_updates": 2, "weight_decay": 0.1},
    ],
    ids=[
        "batch norm, augmentation",
        "dropout, mixed statistics",
        "border weights, accumulation",
        "adamw, ema, freeze",
        "nesterov",
    ],
)
def test_a_run_learns_on_a_device_what_it_learns_on_the_cpu(xp, tmp_path, settings):
    with precise():
        expected = trained(tmp_path / "cpu", **settings)
    made = trained(tmp_path / "gpu", device="gpu", **settings)
    assert type(made.network.flat().values) is xp.ndarray
    for row, expected_row in zip(rows(made), rows(expected), strict=True):
        assert row == pytest.approx(expected_row, rel=1e-3, abs=1e-4)
    values, expected_values = to_host(made.network.flat().values), expected.network.flat().values
    np.testing.assert_allclose(values, expected_values, rtol=0, atol=2e-3 * np.abs(expected_values).max())
    for name in (BEST, LAST):
        assert type(load_checkpoint(tmp_path / "gpu" / name).network.flat().values) is np.ndarray


@pytest.mark.parametrize("settings", [{"name": "focal"}, {"name": "tversky"}, {"label_smoothing": 0.1}], ids=str)
@pytest.mark.parametrize("channels", [1, 3])
def test_losses_are_those_of_the_cpu(xp, settings, channels):
    loss = PixelLoss(max(2, channels), **settings)
    logits, target = numbers(2, 4, 5, channels), np.arange(40).reshape(2, 4, 5) % max(2, channels)
    target[0, 0] = 255
    value, gradient = loss(xp.asarray(logits), xp.asarray(target))
    expected, expected_gradient = loss(logits, target)
    assert type(gradient) is xp.ndarray
    assert float(value) == pytest.approx(expected, rel=1e-10)
    np.testing.assert_allclose(to_host(gradient), expected_gradient, rtol=1e-8, atol=1e-12)


def test_an_epoch_copies_the_batches_up_and_reads_its_losses_now_and_then(xp, tmp_path, monkeypatch):
    monkeypatch.setattr("scratchnet.training.loop.MAX_UNREAD", 3)
    many = run(tmp_path, made=recipe(options=NORMED), device="gpu", train=source(8))
    with counted() as counts:
        many.loop.train_epoch()
    if xp.ndarray is ndarray:  # the stand-in counts, CuPy does not
        assert counts.synchronisations == ["asnumpy"] * 2  # after three updates, and at the end
        assert len(counts.copies) == 2 * 4  # images and labels
        assert {copy.partition("[")[0] for copy in counts.copies} == {"float32", "uint8"}


def test_a_run_multiplies_in_the_precision_that_its_settings_name(tmp_path, monkeypatch):
    used = []

    def epoch(self, progress):
        used.append(matrix_precision_in_use())
        return 0.0, 0.0

    made = run(tmp_path, precision="tf32", epochs=1)
    monkeypatch.setattr(type(made.loop), "train_epoch", epoch)
    with contextlib.suppress(StopIteration):
        next(iter(made.fit()))
    assert used == ["tf32"]
    assert matrix_precision_in_use() == "float32"


def test_a_run_goes_on_on_another_device(xp, tmp_path):
    trained(tmp_path, device="gpu", epochs=1)
    here = run(tmp_path, resume=True, epochs=2)
    assert {type(array) for array in here.loop.optimizer.arrays.values()} == {np.ndarray}
    list(here.fit())
    there = run(tmp_path, resume=True, epochs=3, device="gpu")
    assert {type(array) for array in there.loop.optimizer.arrays.values()} == {xp.ndarray}
    list(there.fit())
    assert [row["epoch"] for row in rows(there)] == [1, 2, 3]
    assert np.isfinite(there.finish().loss)


def test_a_loss_that_is_not_finite_is_found_in_time(xp, tmp_path):
    made = run(tmp_path, device="gpu", train=source(8))
    made.network.flat().values[...] = np.nan
    with pytest.raises(UserError, match="the loss became nan in epoch 1, batch 1; lower learning_rate"):
        list(made.fit())


def test_a_wrong_label_is_found_before_it_goes_to_the_device(xp, tmp_path):
    wrong = source(4)
    wrong.pairs[2] = (wrong.pairs[2][0], wrong.pairs[2][1] + np.uint8(7))
    with pytest.raises(ValueError, match="target holds the label 8; expected 0 … 1 or 255"):
        list(run(tmp_path, device="gpu", train=wrong).fit())


def test_ranks_on_devices_learn_what_one_process_learns(xp, tmp_path):
    """Sums over ranks go through the host (`--allreduce mpi`)."""
    settings = {
        "made": recipe(options=NORMED),
        "learning_rate": 1e-3,
        "optimizer": "sgd",
        "train": source(4, 32, 32),
        "epochs": 1,
    }
    with precise():
        expected = trained(tmp_path / "cpu", **settings)

    def work(ranks):
        made = run(tmp_path / "gpu", device="gpu", ranks=Bounced(ranks), **settings)
        list(made.fit())
        return to_host(made.network.flat().values), rows(made)

    values = expected.network.flat().values
    for found, log in together(2, work):
        np.testing.assert_allclose(found, values, rtol=0, atol=2e-3 * np.abs(values).max())
        for row, expected_row in zip(log, rows(expected), strict=True):
            assert row == pytest.approx(expected_row, rel=1e-3, abs=1e-4)


class Bounced(MPIRanks):
    """What `mpiexec` starts, with threads in the place of its processes."""

    def __init__(self, threads):
        self.rank, self.size, self.local_rank = threads.rank, threads.size, threads.local_rank
        self.barrier, self._in_place = threads.barrier, None
        self.communicator = SimpleNamespace(Allreduce=lambda _, array: threads.allreduce(array))


def test_ranks_take_turns_with_the_devices(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", standin)
    monkeypatch.setattr(standin.cuda.runtime, "getDeviceCount", lambda: 2)
    monkeypatch.setattr(standin.cuda.Device, "chosen", [])
    for process in range(4):
        array_module("gpu", process)
    assert standin.cuda.Device.chosen == [1, 0, 1]  # the first takes what the user has chosen


def test_recalibrated_statistics_are_the_cpus(xp):
    batches = [numbers(2, 16, 16, 3, seed=i, dtype=np.float32) for i in range(3)]
    here, there = network(options=NORMED), network(options=NORMED).to(xp)
    assert recalibrate(here, batches) == recalibrate(there, batches) == 3
    for name, buffer in here.state().items():
        np.testing.assert_allclose(to_host(there.state()[name].value), buffer.value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("how", [{}, {"flip": True}, {"tile": 16, "overlap": 0}])
def test_probabilities_and_masks_are_the_cpus(xp, how):
    images = np.stack([sample(i, 36, 28)[0] for i in range(2)])
    here = Segmenter(network(), Preprocessing("none"), **how)
    there = Segmenter(network().to(xp), Preprocessing("none"), **how)
    np.testing.assert_allclose(to_host(there.probabilities(images)), here.probabilities(images), rtol=0, atol=1e-5)
    np.testing.assert_allclose(to_host(there.scores(images)), here.scores(images), rtol=0, atol=1e-4)
    np.testing.assert_array_equal(there.segment(images[0]), here.segment(images[0]))


def test_what_is_measured_stays_on_the_device(xp):
    here, there = (Segmenter(net, Preprocessing("none")) for net in (network(), network().to(xp)))
    found, expected = evaluate(there, source(3)), evaluate(here, source(3))
    np.testing.assert_array_equal(found.confusion, expected.confusion)
    assert found.loss == pytest.approx(expected.loss, rel=1e-5)
    assert found.scores == pytest.approx(expected.scores)
    assert type(there.probabilities(source(1).load(0)[0][None])) is xp.ndarray


def test_a_confusion_matrix_on_a_device(xp):
    truth, prediction = np.array([0, 0, 1, 255, 2]), np.array([0, 1, 1, 1, 0])
    found = confusion_matrix(xp.asarray(truth), xp.asarray(prediction), 3)
    np.testing.assert_array_equal(to_host(found), confusion_matrix(truth, prediction, 3))
    with pytest.raises(ValueError, match="prediction holds the value 3, expected classes 0 to 2"):
        confusion_matrix(xp.asarray(truth), xp.asarray(prediction * 3), 3)


CHECKED = (
    *("op/conv2d", "op/conv_transpose2d 4×4 stride 2", "op/max_unpool2d overlapping", "layer/Dropout"),
    *("layer/BatchNorm2d training", "layer/MaxUnpool2d", "layer/Crop", "loss/softmax, class weights", "loss/dice"),
    *("layer/ReLU", "layer/ConvTranspose2d"),
)


@pytest.mark.parametrize("name", CHECKED)
def test_gradients_are_right_on_a_device(xp, name):
    (case,) = (case for case in all_cases() if case.name == name)
    report = case.run(xp)
    assert report.ok, report.worst


def test_gradients_of_a_whole_network_are_right_on_a_device(xp):
    net = build("squares", 2, 3, width=2)
    with problems_on(xp):
        problem = from_network(net, numbers(1, 8, 8, 3))
    assert check_gradients("squares", problem, 1e-5, 2e-6, most=0, directions=1).ok


def test_a_wrong_gradient_on_a_device_is_seen(xp, monkeypatch):
    monkeypatch.setattr("scratchnet.layers.activation.Scale.backward", lambda self, dy: dy)
    (case,) = (case for case in all_cases() if case.name == "layer/Scale")
    assert not case.run(xp).ok
