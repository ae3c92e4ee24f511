"""AdamW, Nesterov momentum, cosine with warm-up, averaged weights: against their formulas, against PyTorch, in runs."""

from math import cos, pi

import numpy as np
import pytest

from scratchnet import models
from scratchnet.config import TrainingSettings, TrainSettings, check_settings
from scratchnet.training import SGD, Adam, AdamW, Schedule, WeightAverage, load_checkpoint
from scratchnet.training.optimizers import running_statistics
from scratchnet.training.run_folder import BEST, LAST
from scratchnet.utils.errors import UserError
from tests.compare import numbers
from tests.tiny import rows, run, trained
from tests.training.test_optimizers import KIND, buffers, gradients

STEPS = 60


def many_gradients(size):
    return [numbers(size, seed=10 + step) * 10.0 ** -(step % 3) for step in range(STEPS)]


# Optimisers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("name", ["adamw", "nesterov"])
def test_many_steps_agree_with_pytorch(name, decay):
    torch = pytest.importorskip("torch")
    flat, weights = buffers(), np.array(KIND) == "weight"
    parts = [torch.nn.Parameter(torch.tensor(flat.values[chosen])) for chosen in (weights, ~weights)]
    groups = [{"params": [parts[0]], "weight_decay": decay}, {"params": [parts[1]], "weight_decay": 0.0}]
    if name == "adamw":
        ours, theirs = AdamW(decay), torch.optim.AdamW(groups, lr=0.1)
    else:
        ours = SGD(0.9, decay, nesterov=True)
        theirs = torch.optim.SGD(groups, lr=0.1, momentum=0.9, nesterov=True)
    for step, gradient in enumerate(many_gradients(flat.values.size)):
        rate = 0.1 / (1 + step)
        for group in theirs.param_groups:
            group["lr"] = rate
        flat.grads[...] = gradient
        ours.step(flat, rate)
        for part, chosen in zip(parts, (weights, ~weights), strict=True):
            part.grad = torch.tensor(gradient[chosen])
        theirs.step()
        for part, chosen in zip(parts, (weights, ~weights), strict=True):
            np.testing.assert_allclose(flat.values[chosen], part.detach().numpy(), rtol=1e-12, atol=1e-12)


def test_adamw_without_decay_is_adam():
    one, other = buffers(), buffers()
    for flat, optimizer in ((one, Adam()), (other, AdamW())):
        for gradient in gradients(flat.values.size):
            flat.grads[...] = gradient
            optimizer.step(flat, 0.1)
    np.testing.assert_array_equal(one.values, other.values)


def test_nesterov_needs_momentum():
    with pytest.raises(ValueError, match="nesterov needs a momentum above 0"):
        SGD(0.0, nesterov=True)


# Schedules ------------------------------------------------------------------------------------------------------------


def test_cosine_falls_to_zero_after_a_linear_rise():
    schedule = Schedule("cosine", rate=0.5, warmup_updates=4)
    rates = [schedule.at(0, update, 24) for update in range(25)]
    np.testing.assert_allclose(rates[:4], [0.1, 0.2, 0.3, 0.4])
    np.testing.assert_allclose(rates[4:], [0.25 * (1 + cos(pi * i / 20)) for i in range(21)], atol=1e-16)


def test_cosine_agrees_with_pytorch():
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 20)
    for update in range(20):
        assert Schedule("cosine", rate=0.3).at(0, update, 20) == pytest.approx(theirs.get_last_lr()[0], rel=1e-12)
        optimizer.step()
        theirs.step()


@pytest.mark.parametrize("name", ["constant", "step", "poly", "cosine", "plateau"])
def test_every_schedule_rises_first(name):
    schedule, plain = Schedule(name, rate=0.2, warmup_updates=3), Schedule(name, rate=0.2)
    rates = [schedule.at(0, update, 30) for update in range(4)]
    assert rates == sorted(rates)
    assert 0 < rates[0] <= 0.05
    if name != "cosine":
        assert schedule.at(0, 7, 30) == plain.at(0, 7, 30)


# Averaged weights -----------------------------------------------------------------------------------------------------


def test_the_average_is_its_formula():
    network = models.build("bloodcell", 2, width=0.05, batch_norm=True).allocate(0, np.float64)
    norm = list(network.batch_norms().values())[-1]
    flat, running = network.flat(), norm.buffers["running_var"].value
    average = WeightAverage(0.9, network)
    expected, variance = flat.values.copy(), running.copy()
    for step in range(1, 100):
        flat.values[...] = numbers(flat.values.size, seed=step)
        running[...] = step
        average.update(network, step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = expected + (1 - decay) * (flat.values - expected)
        variance = variance + (1 - decay) * (step - variance)
    np.testing.assert_allclose(average.values, expected, rtol=1e-12)
    before = flat.values.copy()
    with average.used(network):
        np.testing.assert_array_equal(flat.values, average.values)
        np.testing.assert_allclose(running, variance, rtol=1e-6)
        np.testing.assert_array_equal(running_statistics(network), average.statistics.astype(running.dtype))
    np.testing.assert_array_equal(flat.values, before)
    assert (running == 99).all()


def test_a_network_without_batch_norm_has_an_average_of_its_parameters():
    network = models.build("bloodcell", 2, width=0.05, batch_norm=False).allocate(0)
    average = WeightAverage(0.9, network)
    average.update(network, 1)
    assert average.statistics.size == 0
    with average.used(network):
        np.testing.assert_array_equal(network.flat().values, average.values)


def test_checkpoints_of_an_earlier_version_have_no_averaged_statistics():
    network = models.build("bloodcell", 2, width=0.05, batch_norm=True).allocate(0)
    average = WeightAverage(0.9, network)
    arrays = {"average": network.flat().values + 1, "momentum": network.flat().values}
    next(iter(network.batch_norms().values())).buffers["running_mean"].value[...] = 5
    average.restore(arrays, network)
    assert list(arrays) == ["momentum"]
    np.testing.assert_array_equal(average.values, network.flat().values + 1)
    np.testing.assert_array_equal(average.statistics, running_statistics(network))


EMA = {"ema": 0.8, "optimizer": "adamw", "weight_decay": 0.05, "schedule": "cosine", "warmup_updates": 2}


def test_a_run_with_an_average_resumes_to_the_same_bits(tmp_path):
    whole = trained(tmp_path / "whole", epochs=3, iterations=6, **EMA)
    made = run(tmp_path / "cut", epochs=3, iterations=6, **EMA)
    next(iter(made.fit()))  # one epoch, then another process goes on
    rest = trained(tmp_path / "cut", epochs=3, iterations=6, resume=True, **EMA)
    assert rows(rest) == rows(whole)
    np.testing.assert_array_equal(rest.network.flat().values, whole.network.flat().values)
    for name, array in whole.loop.average.arrays.items():
        np.testing.assert_array_equal(rest.loop.average.arrays[name], array)


def test_validation_and_the_best_checkpoint_use_the_average(tmp_path):
    made = trained(tmp_path, epochs=1, ema=0.8)
    best, last = load_checkpoint(tmp_path / BEST).network, load_checkpoint(tmp_path / LAST)
    np.testing.assert_array_equal(best.flat().values, made.loop.average.values)
    np.testing.assert_array_equal(last.network.flat().values, made.network.flat().values)
    np.testing.assert_array_equal(last.optimizer_state["average"], made.loop.average.values)
    assert (made.loop.average.values != made.network.flat().values).any()
    with pytest.raises(UserError, match="an average of the weights; resume with the same ema"):
        trained(tmp_path, epochs=2, resume=True)


# Settings -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"nesterov": True, "optimizer": "adam"}, "nesterov"),
        ({"nesterov": True, "optimizer": "sgd", "momentum": 0.0}, "nesterov"),
        ({"warmup_updates": -1}, "warmup_updates"),
        ({"ema": 1.0}, "ema"),
        ({"ema": float("nan")}, "ema"),
        ({"label_smoothing": 1.0}, "label_smoothing"),
        ({"label_smoothing": 0.1, "loss": "dice"}, "label_smoothing"),
        ({"focal_gamma": -0.5}, "focal_gamma"),
        ({"tversky_alpha": -1.0}, "tversky_alpha"),
        ({"tversky_alpha": 0.0, "tversky_beta": 0.0}, "tversky_beta"),
    ],
)
def test_settings_out_of_range_are_refused(settings, name):
    with pytest.raises(UserError, match=f"^{name}="):
        check_settings(TrainSettings(training=TrainingSettings(**settings)))
