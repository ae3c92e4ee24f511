"""The plan of a training: its decisions as a table, and that the trainer takes whatever it plans."""

from dataclasses import replace

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from scratchnet.cli.training_checks import _check_training_sizes
from scratchnet.config import TrainSettings, check_settings, read_settings, write_settings
from scratchnet.models import MODELS, build
from scratchnet.planning import DataSummary, make_plan
from scratchnet.planning.draft import Budget
from tests.tiny import Source, sample


def summary(sizes=((200, 300), (150, 180)) * 20, shares=(0.9, 0.1), **more):
    """A data set of these sizes and shares."""
    names = tuple(f"class {index}" for index in range(len(shares)))
    weights = tuple(sorted(shares)[len(shares) // 2] / share if share else 0.0 for share in shares)
    more = {"validation_sizes": ((100, 100),), **more}
    return DataSummary(tuple(sizes), classes=names, shares=tuple(shares), weights=weights, **more)


def planned(data, given=(), **flags):
    """Return the settings of a plan by name."""
    start = TrainSettings()
    for name, value in flags.items():
        for group in ("data", "model", "training", "augmentation"):
            if hasattr(getattr(start, group), name):
                start = replace(start, **{group: replace(getattr(start, group), **{name: value})})
    made = make_plan(start, {*given, *flags}, data)
    return made, {decision.name: decision.value for decision in made.decisions}


CASES = {
    "mixed sizes are cropped": ({}, {}, {"crop": (128, 128), "batch_size": 4}),
    "small images of one size are whole": ({"sizes": [(128, 128)] * 30}, {}, {"crop": None}),
    "large images of one size are cropped": ({"sizes": [(360, 480)] * 30}, {}, {"crop": (128, 128)}),
    "photographs are resized": ({"sizes": [(3000, 4000)] * 30}, {}, {"resize": (432, 576), "crop": (128, 128)}),
    "but not if objects would vanish": (
        {"sizes": [(3000, 4000)] * 30, "object_sides": (900.0, 20.0)},
        {},
        {"resize": None, "tile": 512, "crop": (128, 128)},
    ),
    "large objects fit into a crop": (
        {"sizes": [(360, 480)] * 30, "object_sides": (300.0, 200.0, 15.0)},
        {},
        {"resize": (192, 256), "crop": (128, 128)},
    ),
    "tiny images take fewer pools": ({"sizes": [(20, 20)] * 30}, {}, {"depth": 2, "crop": None}),
    "rare classes are weighted and looked for": (
        {"shares": (0.9, 0.097, 0.003)},
        {},
        {
            "loss": "cross-entropy+dice",
            "class_weights": "median-frequency",
            "class_weights_power": 0.25,
            "balanced_crops": 0.5,
        },
    ),
    "without crops the weights are stronger": (
        {"sizes": [(128, 128)] * 30, "shares": (0.9, 0.097, 0.003)},
        {},
        {"loss": "cross-entropy+dice", "class_weights_power": 0.5, "balanced_crops": None},
    ),
    "balanced classes are not": (
        {"shares": (0.6, 0.4)},
        {},
        {"loss": None, "class_weights": None, "balanced_crops": None},
    ),
    "few images do not show every colour": ({}, {}, {"hue": 0.1, "random_colours": 0.5}),
    "a hundred do": ({"sizes": [(64, 64)] * 100}, {}, {"hue": 0.1, "random_colours": None}),
    "streets are not turned": (
        {"upright": True},
        {},
        {"flip_horizontal": True, "flip_vertical": None, "rotate90": None},
    ),
    "left and right may matter": ({"sided": True}, {}, {"flip_horizontal": None, "rotate90": None}),
    "uneven light": ({"uneven": 1.0}, {}, {"normalization": "image"}),
    "few images": ({}, {}, {"iterations": 2000, "samples_per_epoch": 400, "ema": 0.99, "recalibrate": False}),
    "many images": ({"sizes": [(64, 64)] * 400}, {}, {"iterations": 5000, "ema": 0.996}),
    "many validation images": (
        {"validation_sizes": ((600, 800),) * 100},
        {},
        {"samples_per_epoch": 1600, "patience": 3},
    ),
    "many validation images that are resized": (
        {"sizes": [(3000, 4000)] * 40, "validation_sizes": ((3000, 4000),) * 10},
        {},
        {"samples_per_epoch": 400, "patience": 12},
    ),
    "a crop that is given": ({}, {"crop": (64, 96)}, {"crop": None, "batch_size": 8}),
    "a model that is given": ({}, {"model": "bloodcell"}, {"model": None, "width": None, "batch_norm": True}),
    "a model without batch norm": ({}, {"model": "segnet-basic"}, {"batch_norm": None}),
    "a model of one size": ({}, {"model": "deconvnet-small"}, {"crop": (64, 64)}),
    "epochs that are given": ({}, {"epochs": 3}, {"iterations": None, "samples_per_epoch": None, "ema": None}),
    "a batch of one": ({}, {"batch_size": 1}, {"crop": None, "batch_size": None, "recalibrate": None}),
    "sgd has another rate": ({}, {"optimizer": "sgd"}, {"learning_rate": None, "optimizer": None}),
    "a schedule that is given": (
        {},
        {"schedule": "poly"},
        {"warmup_updates": None, "patience": None, "recalibrate": None},
    ),
    "a loss without weights": ({"shares": (0.99, 0.01)}, {"loss": "dice"}, {"loss": None, "class_weights": None}),
}
"""Data, flags, and decisions; None is no decision."""


@pytest.mark.parametrize("name", CASES)
def test_decisions(name):
    about, flags, expected = CASES[name]
    _, decisions = planned(summary(**about), **flags)
    assert {key: decisions.get(key) for key in expected} == expected


def test_every_decision_has_a_reason_and_is_in_the_settings():
    made, decisions = planned(summary(shares=(0.9, 0.09, 0.01), upright=False, uneven=1.0))
    stored = [*vars(made.settings).values()]
    for decision in made.decisions:
        assert decision.reason
        assert any(getattr(group, decision.name, None) == decision.value for group in stored), decision
    assert len(decisions) == len(made.decisions) > 20


def test_a_budget_sets_updates_and_width():
    made = make_plan(TrainSettings(), (), summary(), Budget(5000, 0.25))
    assert (made.settings.training.iterations, made.settings.model.width) == (5000, 0.25)
    assert made.settings.training.ema == 0.996


def test_a_plan_survives_its_file(tmp_path):
    made, _ = planned(summary(shares=(0.9, 0.09, 0.01)))
    (tmp_path / "config.toml").write_text(write_settings(made.settings), encoding="utf-8")
    assert read_settings(str(tmp_path / "config.toml")) == made.settings


side = st.one_of(st.integers(1, 70), st.integers(1, 5000))
sizes_of_images = st.one_of(
    st.lists(st.tuples(side, side), min_size=1, max_size=6), st.tuples(side, side).map(lambda size: [size] * 5)
)
GIVEN = {
    "batch_size": st.sampled_from([1, 2, 64]),
    "crop": st.tuples(st.integers(16, 300), st.integers(16, 300)),
    "resize": st.tuples(st.integers(16, 300), st.integers(16, 300)),
    "tile": st.integers(16, 300),
    "epochs": st.integers(1, 50),
    "iterations": st.integers(1, 5000),
    "optimizer": st.sampled_from(["sgd", "adam", "adamw"]),
    "loss": st.sampled_from(["cross-entropy", "dice", "focal"]),
    "gradient_accumulation": st.integers(1, 4),
}


@settings(max_examples=60, deadline=None, phases=(Phase.explicit, Phase.generate))  # shrinking takes minutes
@example([(1, 1)], [0.0, 1.0], [], set(), None)
@given(
    sizes_of_images,
    st.lists(st.floats(0, 1), min_size=2, max_size=12).filter(lambda shares: sum(shares) > 0),
    st.lists(st.floats(0, 3000), max_size=4),
    st.sets(st.sampled_from(sorted(GIVEN)), max_size=3),
    st.data(),
)
def test_whatever_is_planned_is_accepted(sizes, shares, sides, names, data):
    flags = {name: data.draw(GIVEN[name]) for name in sorted(names)}
    if flags.get("batch_size") == 1 or {"tile", "resize"} <= flags.keys():
        flags.pop("tile", None)
    made, decisions = planned(summary(sizes, shares, object_sides=tuple(sides)), **flags)
    check_settings(made.settings)
    for name, value in flags.items():
        assert name not in decisions
        assert any(getattr(group, name, None) == value for group in vars(made.settings).values())
    model = made.settings.model
    network = build(model.model, len(shares), **model.options())
    d = made.settings.data
    seen = [d.resize or size for size in sizes]
    seen = [(min(h, d.tile), min(w, d.tile)) for h, w in seen] if d.tile else seen
    _check_training_sizes(made.settings, network, _Sizes(seen))
    t = made.settings.training
    assert t.ema is None or 0.9 <= t.ema < 1
    assert t.samples_per_epoch is None or t.samples_per_epoch >= min(t.batch_size, len(sizes))


class _Sizes(Source):
    """A source that has sizes only."""

    def __init__(self, sizes):
        super().__init__([sample(0)] * len(sizes))
        self.sizes = sizes

    def size(self, index):
        return self.sizes[index]


@pytest.mark.parametrize("model", sorted(set(MODELS) - {"sliding-window"}))
def test_every_model_can_be_given(model):
    made, _ = planned(summary([(500, 700), (600, 512)] * 10), model=model)
    network = build(model, 2, **made.settings.model.options())
    _check_training_sizes(made.settings, network, _Sizes([(500, 700), (600, 512)] * 10))
