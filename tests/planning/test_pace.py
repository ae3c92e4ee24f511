"""Timing of a few steps, and the number of updates and the width that fit into a time."""

from dataclasses import replace

import pytest

from scratchnet.config import TrainSettings
from scratchnet.data import Augmentation
from scratchnet.losses import PixelLoss
from scratchnet.planning import pace as pace_module
from scratchnet.planning.pace import VALIDATED, WIDTHS, Pace, fit_updates, fit_width, measure_pace
from tests.tiny import Source, sample


class Counting(Source):
    """A source that notes which images are loaded."""

    loaded = ()

    def load(self, index):
        self.loaded = (*self.loaded, index)
        return super().load(index)


def settings(**data):
    start = TrainSettings()
    return replace(
        start,
        data=replace(start.data, **data),
        model=replace(start.model, model="unet-same", width=0.05, depth=1),
        training=replace(start.training, batch_size=2),
        augmentation=Augmentation(crop=(16, 16)),
    )


def test_a_few_images_of_middle_size_stand_for_the_validation():
    train, val = Source([sample(0, 20, 24)]), Counting([sample(0, side, 32) for side in (16, 200, 24, 32, 40)])
    pace = measure_pace(settings(), train, val)
    assert pace.update > 0
    assert pace.validation > 0
    assert val.loaded == (3, 4)
    assert len(val.loaded) == VALIDATED


def test_the_steps_have_the_loss_of_the_training(monkeypatch):
    used = []
    monkeypatch.setattr(pace_module, "PixelLoss", lambda *words: used.append(words) or PixelLoss(*words))
    chosen = replace(settings(), training=replace(settings().training, loss="cross-entropy+dice"))
    measure_pace(chosen, Source([sample(0, 20, 24)]), Source([]))
    assert [words[1:] for words in used] == [("cross-entropy+dice",)]


def test_no_validation_images_and_resized_ones():
    train = Source([sample(0, 20, 24)] * 3)
    assert measure_pace(settings(), train, Source([])).validation == 0
    assert measure_pace(settings(resize=(16, 32)), train, Source([sample(0, 40, 30)])).validation > 0


@pytest.mark.parametrize("pace", [Pace(0.2, 1.5), Pace(1.0, 0.0), Pace(0.01, 30.0)])
def test_updates_fill_the_time(pace):
    for updates in (1, 137, 5000):
        assert abs(fit_updates(pace, pace.seconds(updates, 20), 20) - updates) <= 1
    assert fit_updates(pace, 1e-3, 20) == 1


@pytest.mark.parametrize(("minutes", "place"), [(2, 0), (8, 1), (30, 2), (90, 3)])
def test_more_time_makes_the_network_wider(minutes, place):
    assert fit_width(Pace(0.2, 1.0), 40, 60 * minutes, WIDTHS[1]) == WIDTHS[place]
