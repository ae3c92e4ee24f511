"""``scratchnet train --data DIR`` alone: what it plans, prints, writes and resumes."""

import re

import numpy as np
import pytest

from scratchnet.cli import planning
from scratchnet.config import read_settings
from scratchnet.data import write_image, write_mask
from scratchnet.training.checkpoints import load_checkpoint
from scratchnet.training.run import TrainingRun
from tests.tiny import sample

TINY = ["--width", "0.05", "--depth", "1", "--iterations", "4", "--samples-per-epoch", "4", "--batch-size", "2"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Images of three sizes without classes and lists, in the current folder."""
    monkeypatch.chdir(tmp_path)
    for index, size in enumerate([(40, 52), (33, 64), (48, 48), (40, 52), (70, 36), (48, 48)]):
        image, mask = sample(index, *size)
        write_image(tmp_path / "mydata" / "images" / f"{index}.png", image)
        write_mask(tmp_path / "mydata" / "masks" / f"{index}.png", mask)
    return tmp_path


def test_one_command(call, folder):
    code, said, err = call("train", "--data", "mydata", *TINY)
    assert code == 0, err
    assert "classes.txt does not exist; the masks hold 2 classes, called class 0, class 1 (--classes 2)" in said
    assert "images have sides from 33 to 70, a batch needs one size" in said
    assert "the run is written to runs/mydata-1 (--out names another folder)" in said
    assert re.search(r"about \d+ s on this machine", said)
    settings = read_settings("runs/mydata-1/config.toml")
    assert (settings.model.model, settings.model.width, settings.augmentation.crop) == ("unet-same", 0.05, (32, 32))
    assert settings.training.iterations == 4
    assert call("train", "--data", "mydata", *TINY)[0] == 0
    assert (folder / "runs" / "mydata-2" / "checkpoint.npz").exists()


def test_a_planned_run_goes_on_with_the_same_bits(call, folder, monkeypatch):
    """Without planning again: the settings are in config.toml."""
    words = ["--data", "mydata", *TINY, "--patience", "5"]
    assert call("train", *words)[0] == 0
    fit = TrainingRun.fit

    def interrupted(run, *shown):
        yield next(iter(fit(run, *shown)))
        raise KeyboardInterrupt

    monkeypatch.setattr(TrainingRun, "fit", interrupted)
    assert call("train", *words)[0] == 130
    monkeypatch.setattr(TrainingRun, "fit", fit)
    code, said, _ = call("train", "--resume", "--out", "runs/mydata-2")
    assert code == 0
    assert "resuming after epoch 1" in said
    assert "the plan" not in said
    assert call("train", "--config", "runs/mydata-1/config.toml", "--out", "again")[0] == 0
    expected = load_checkpoint(folder / "runs" / "mydata-1" / "last.npz")
    for made in ("runs/mydata-2", "again"):
        found = load_checkpoint(folder / made / "last.npz")
        np.testing.assert_array_equal(found.network.flat().values, expected.network.flat().values)
        assert found.progress["iteration"] == 4


def test_flags_win_and_recipes_and_models_are_left_alone(call, folder):
    code, said, _ = call("train", "--data", "mydata", *TINY, "--crop", "16", "24", "--no-flip-horizontal", "--out", "a")
    assert code == 0
    assert "--crop" not in said
    a = read_settings("a/config.toml").augmentation
    assert (a.crop, a.flip_horizontal) == ((16, 24), False)
    words = ["--data", "mydata", "--classes", "2", "--crop", "32", "--epochs", "1"]
    for more in (["--model", "bloodcell", "--width", "0.1"], ["--no-plan", "--width", "0.1"]):
        code, said, err = call("train", *words, *more, "--out", more[0][2:])
        assert (code, "the plan" in said) == (0, False), err
        assert read_settings(f"{more[0][2:]}/config.toml").training.optimizer == "adam"
    code, said, _ = call("train", *words, "--model", "bloodcell", "--width", "0.1", "--plan", "--out", "planned")
    assert (code, "the plan" in said) == (0, True)
    assert read_settings("planned/config.toml").model.batch_norm is True


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--minutes", "0"], "--minutes 0.0: expected a number above 0"),
        (["--minutes", "nan"], "--minutes nan: expected"),
        (["--minutes", "5", "--epochs", "3"], "--minutes 5.0: leave out --epochs"),
        (["--minutes", "5", "--config", "cells"], "--minutes: needs a plan"),
        (["--minutes", "5", "--model", "bloodcell"], "--minutes: needs a plan"),
        (["--plan", "--config", "cells"], "--plan: chooses the settings itself"),
    ],
)
def test_plans_that_contradict_other_flags(call, folder, words, message):
    code, _, err = call("train", "--data", "mydata", *words)
    assert (code, err.count("\n")) == (2, 1)
    assert message in err
    assert not (folder / "runs").exists()


def test_minutes_set_the_number_of_updates(call, folder, monkeypatch):
    """The pace is fixed here: 0.5 s an update, 1 s a validation."""
    monkeypatch.setattr(planning, "measure_pace", lambda *_: planning.Pace(0.5, 1.0))
    monkeypatch.setattr("scratchnet.cli.train.train", lambda settings, *_, **__: made.append(settings) or {})
    made = []
    for minutes, width in ((20, 0.1875), (4, 0.125), (80, 0.25)):
        code, said, err = call("train", "--data", "mydata", "--minutes", minutes)
        assert code == 0, err
        assert f"about {minutes} min on this machine, 0.50 s per update" in said
        assert made[-1].model.width == width
        assert made[-1].training.iterations == pytest.approx(minutes * 60 / 0.5 / 1.1, abs=50)


def test_an_existing_folder_is_never_chosen(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert str(planning.default_out("some/where/mydata")) == "runs/mydata-1"
    (tmp_path / "runs" / "mydata-1").mkdir(parents=True)
    assert str(planning.default_out("some/where/mydata/")) == "runs/mydata-2"
