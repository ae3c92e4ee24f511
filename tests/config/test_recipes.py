"""Every recipe that comes with scratchnet can be used, and those of the papers say what the papers say."""

import pytest

from scratchnet.config import check_settings, read_settings, recipe_names
from scratchnet.data import CAMVID_WEIGHTS, VOC_CLASSES
from scratchnet.models import MODELS, build


def class_count(settings):
    """How many classes the recipe's data have; two where they may be any."""
    classes = settings.data.classes
    if isinstance(classes, tuple):
        return len(classes)
    return classes or (len(VOC_CLASSES) if settings.data.layout == "voc" else 2)


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_is_valid_and_its_network_can_be_built(name):
    settings = read_settings(name)
    check_settings(settings)
    if settings.model.model not in MODELS:
        pytest.skip(f"model {settings.model.model} is not registered")
    network = build(settings.model.model, class_count(settings), **settings.model.options())
    side = settings.augmentation.crop or (settings.data.tile, settings.data.tile)
    if network.fixed_size is not None and settings.curriculum.stage is None and name != "demo":
        assert side == network.fixed_size
    if settings.curriculum.stage is not None:
        assert settings.augmentation.crop == network.fixed_size
        assert settings.curriculum.box_size / side[0] == pytest.approx(250 / 224, abs=0.01)
    if settings.training.class_weights == "camvid":
        assert class_count(settings) == len(CAMVID_WEIGHTS)


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_shows_how_to_use_it(name):
    from importlib import resources

    text = (resources.files("scratchnet") / "recipes" / f"{name}.toml").read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert name == "demo" or f"scratchnet train --config {name} --data " in text
    assert max(len(line) for line in text.splitlines()) <= 125


PAPERS = {
    # name: images an update, rate, momentum, decay, updates
    "deconvnet-stage1": (64, 0.01, 0.9, 5e-4, 20_000),
    "deconvnet-stage2": (64, 0.01, 0.9, 5e-4, 40_000),
    "fcn32s": (1, 1e-10, 0.99, 5e-4, 100_000),
    "fcn16s": (1, 1e-12, 0.99, 5e-4, 100_000),
    "fcn8s": (1, 1e-14, 0.99, 5e-4, 100_000),
    "fcn32s-paper": (20, 1e-4, 0.9, 5e-4, None),
    "segnet": (4, 1e-3, 0.9, 5e-4, 40_000),
    "segnet-basic": (4, 0.1, 0.9, 5e-4, 10_000),
    "unet": (1, 1e-4, 0.99, 0.0, None),
}


@pytest.mark.parametrize("name", PAPERS)
def test_settings_of_the_papers(name):
    t = read_settings(name).training
    assert (
        t.batch_size * t.gradient_accumulation,
        t.learning_rate,
        t.momentum,
        t.weight_decay,
        t.iterations,
    ) == PAPERS[name]
    assert t.optimizer == "sgd"
    assert t.bias_lr_multiplier == (1.0 if name == "unet" else 2.0)
    assert t.loss_normalization == {"fcn32s": "sum", "fcn16s": "sum", "fcn8s": "sum", "unet": "weights"}.get(
        name, "pixels"
    )


@pytest.mark.parametrize(("name", "every"), [("deconvnet-stage1", 9000), ("deconvnet-stage2", 10_000)])
def test_deconvnet_lowers_its_rate_by_updates(name, every):
    t = read_settings(name).training
    assert (t.schedule, t.lr_step_updates, t.lr_decay) == ("step", every, 0.1)
