"""Layers, losses, optimisers and schedules refuse settings that make no sense, and say which one it was."""

import inspect
import math

import numpy as np
import pytest

from scratchnet import layers, losses, models
from scratchnet.layers import base
from scratchnet.losses import PixelLoss, Share
from scratchnet.training import optimizers, schedules
from scratchnet.training.optimizers import SGD, Adam, AdamW, WeightAverage
from scratchnet.training.schedules import Schedule
from scratchnet.utils import validation
from tests.bad_settings import FLAG, NAME, NO_INTEGERS, integer, real
from tests.layer_cases import SETTINGS

OPTIMIZER = {"weight_decay": real(-0.1), "bias_lr_multiplier": real(-1)}

TABLE = SETTINGS | {
    PixelLoss: (
        {"classes": 3},
        {
            "classes": integer(2),
            "name": NAME,
            "class_weights": [
                (1.0, 2.0),
                (1, 1, -1),
                (1, 1, math.nan),
                (1, 1, math.inf),
                (1, 1, "2"),
                ("a", "b", "c"),
                (1, 1, None),
                5,
                "123",
                (),
            ],
            "ignore_index": [bad for bad in NO_INTEGERS if bad is not None],
            "normalization": NAME,
            "label_smoothing": real(-0.1, 1, 2),
            "focal_gamma": real(-1),
            "tversky_alpha": real(-1),
            "tversky_beta": real(-1),
        },
    ),
    SGD: ({}, {"momentum": real(-0.1, 1, 1.5), "nesterov": FLAG, **OPTIMIZER}),
    WeightAverage: (
        {"decay": 0.9, "network": models.build("bloodcell", 2, width=0.05).allocate(0)},
        {"decay": real(-0.1, 1, 2)},
    ),
    **{
        made: (
            {},
            {
                "betas": [None, 0.9, (0.9,), (0.9, 1.0), (-0.1, 0.9), (0.9, math.nan), ("0.9", 0.9), (0.9, 0.9, 0.9)],
                "eps": real(0, -1e-8),
                **OPTIMIZER,
            },
        )
        for made in (Adam, AdamW)
    },
    Schedule: (
        {},
        {
            "name": NAME,
            "rate": real(-0.1),
            "decay": real(-1),
            "power": real(-1),
            "step_epochs": integer(1),
            "step_updates": [bad for bad in integer(1) if bad is not None],
            "warmup_updates": integer(0),
            "drops": integer(0),
            "waited": integer(0),
        },
    ),
}
CASES = [(made, name) for made, (_, settings) in TABLE.items() for name in settings]
NO_SETTINGS = {base.Layer, base.Parameter, base.Buffer, Share}
"""Exported classes that are not made from settings."""


@pytest.mark.parametrize(("made", "name"), CASES)
def test_bad_settings_are_refused_by_their_name(made, name):
    needed, settings = TABLE[made]
    for value in settings[name]:
        try:
            made(**{**needed, name: value})
        except ValueError as error:
            said = str(error)
        else:
            pytest.fail(f"{made.__name__} took {name} = {value!r}")
        assert said.lower().startswith((made.__name__.lower() + ":", "max_pool2d:")), said
        assert "\n" not in said
        assert name in said or {"class_weights": "class weight", "betas": "beta"}[name] in said


@pytest.mark.parametrize("made", TABLE, ids=lambda made: made.__name__)
def test_numpy_numbers_are_settings_like_any_other(made):
    needed, settings = TABLE[made]
    defaults = {p.name: p.default for p in inspect.signature(made).parameters.values() if p.default is not p.empty}
    for name in settings:
        value = {**defaults, **needed}[name]
        if isinstance(value, bool):
            made(**{**needed, name: np.bool_(value)})
        elif isinstance(value, int):
            for kind in (np.int64, np.uint8, np.int32):
                made(**{**needed, name: kind(value)})
        elif isinstance(value, float):
            for kind in (np.float32, np.float64):
                made(**{**needed, name: kind(value)})


def test_every_loss_is_in_the_table():
    exported = {v for v in vars(losses).values() if inspect.isclass(v) and v.__module__ == losses.__name__}
    exported = {v for v in exported if inspect.isclass(v)}
    assert exported - NO_SETTINGS <= set(TABLE)


def test_every_optimizer_and_schedule_checks_its_settings():
    for module in (optimizers, schedules):
        for made in vars(module).values():
            own = inspect.isclass(made) and made.__module__ == module.__name__ and hasattr(made, "step")
            if own and made is not optimizers.Optimizer:
                assert any(issubclass(made, known) for known in TABLE), made


def test_every_setting_of_a_class_is_in_the_table():
    for made, (_, settings) in TABLE.items():
        parameters = inspect.signature(made).parameters.values()
        assert {p.name for p in parameters if p.kind not in {p.VAR_KEYWORD, p.VAR_POSITIONAL}} - set(
            settings
        ) <= CHECKED_ELSEWHERE, made


CHECKED_ELSEWHERE = {"network"}


def test_sequences_of_class_weights():
    for weights in ([1, 2, 0], np.array([1.0, 2, 0]), (np.float32(1), 2, 0)):
        assert PixelLoss(3, class_weights=weights).class_weights == (1.0, 2.0, 0.0)


@pytest.mark.parametrize("rate", [-1.0, math.nan, math.inf, None, "0.1"])
def test_the_rate_of_an_update(rate):
    with pytest.raises(ValueError, match="SGD: rate is"):
        SGD().step(None, rate)


def test_messages_say_what_was_expected():
    with pytest.raises(ValueError, match=r"^Dropout: rate is 1; expected 0 ≤ rate < 1$"):
        layers.Dropout(1)
    with pytest.raises(ValueError, match=r"^Conv2d: stride is -1; expected an integer or a pair of integers, each at"):
        layers.Conv2d(1, 1, 3, stride=-1)
    with pytest.raises(ValueError, match=r"^Schedule: name is 'cosinus'; expected 'constant', 'step', .* or '"):
        Schedule("cosinus")
    with pytest.raises(ValueError, match=r"^x is -1; expected a finite number with 0 < x$"):
        validation.number(-1, "x", 0, include="(]")
