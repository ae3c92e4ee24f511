"""What `scratchnet train` prints: --json and --quiet."""

import csv
import json
import shlex
import shutil

import pytest

from scratchnet.config import read_settings
from tests.cli.conftest import SMALL


def test_json_is_all_that_stdout_gets(train, images, tmp_path):
    code, said, err = train(images, tmp_path / "run", "--epochs", "2", "--patience", "5", "--json")
    assert code == 0
    found = json.loads(said, parse_constant=pytest.fail)
    measured = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert found["run"] == str(tmp_path / "run")
    assert found["epochs"] == 2
    assert found["best_epoch"] in (1, 2)
    assert 0 <= found["best_score"] <= 1
    assert found["seconds"] > 0
    assert found["scores"]["mean_iou"] == measured["mean_iou"]
    assert err.splitlines() == [f"warning: {text}" for text in found["warnings"]]


def test_quiet_prints_nothing_but_warnings(train, images, tmp_path, monkeypatch):
    monkeypatch.setattr("scratchnet.cli.training_checks.available_memory", lambda: 1000)
    code, said, err = train(images, tmp_path / "run", "--quiet")
    assert (code, said) == (0, "")
    assert err.startswith("warning: a training step needs")
    assert all(line.startswith("warning: ") for line in err.splitlines())
    code, said, again = train(images, tmp_path / "other", "--quiet", "--json")
    assert (code, again) == (0, err)
    assert "".join(f"warning: {text}\n" for text in json.loads(said)["warnings"]) == err


def test_event_files_for_tensorboard(call, images, tmp_path, event_files):
    out = tmp_path / "run"
    for words in (("--epochs", "1"), ("--resume", "--epochs", "3")):
        assert call("train", "--data", images, "--out", out, *SMALL[:4], *words)[0] == 0
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found = event_accumulator.EventAccumulator(str(out))
    found.Reload()
    with (out / "log.csv").open(newline="") as file:
        log = list(csv.DictReader(file))
    for tag in ("train_loss", "val_loss", "val_mean_iou", "learning_rate"):
        assert [event.step for event in found.Scalars(tag)] == [1, 2, 3]
        assert [event.value for event in found.Scalars(tag)] == pytest.approx([float(row[tag]) for row in log])
    assert set(found.Tags()["images"]) == {"example/s4", "example/s5"}
    assert call("train", "--data", images, "--out", tmp_path / "other", *SMALL, "--no-tensorboard")[0] == 0
    assert not list((tmp_path / "other").glob("events*"))


def test_tensorboard_is_named_where_it_is_missing(call, images, tmp_path):
    code, _, err = call("train", "--data", images, "--out", tmp_path / "run", *SMALL, "--tensorboard")
    assert code == 2
    install = 'pip install -e ".[tensorboard]"'
    assert err == f"scratchnet: error: --tensorboard: needs the package tensorboard: {install} in the clone\n"
    assert not (tmp_path / "run").exists()


def test_added_images_need_a_new_run(call, train, images, tmp_path):
    out = tmp_path / "run"
    assert train(images, out)[0] == 0
    said = call("train", "--out", out, "--resume")[1]
    hint = f"scratchnet train --config {out}/config.toml --start-from {out}/checkpoint.npz --out {out}-2"
    assert f"the training is complete; for more images: `{hint}`" in said
    with (images / "splits" / "train.txt").open("a") as file:
        file.write("\ns9")
    for folder in ("images", "masks"):
        shutil.copy(images / folder / "s0.png", images / folder / "s9.png")
    code, _, err = call("train", "--out", out, "--resume")
    assert code == 2
    assert "was trained on other images (4 then, 5 now, by name)" in err
    assert f"`{hint}`" in err
    assert call(*shlex.split(hint)[1:], "--epochs", "1")[0] == 0


def test_fewer_validations_are_said(train, images, tmp_path):
    """On the screen, in the report while it runs and after it, and in the configuration."""
    words = ("--epochs", "3", "--val-every", "2", "--val-samples", "1")
    code, said, err = train(images, tmp_path / "run", *words)
    assert (code, err) == (0, "")
    lines = [line for line in said.splitlines() if line.startswith("epoch")]
    assert ["not validated" in line for line in lines] == [True, False, False]
    note = "Validated after every 2 epochs on 1 of the 2 validation images, drawn once by the seed (--val-samples)"
    assert note in said
    assert note in (tmp_path / "run" / "report.html").read_text()
    settings = read_settings(str(tmp_path / "run" / "config.toml")).training
    assert (settings.val_every, settings.val_samples) == (2, 1)
    code, _, err = call_again(train, images, tmp_path)
    assert code == 2
    assert "was validated on 1 images, not 2" in err


def call_again(train, images, tmp_path):
    return train(images, tmp_path / "run", "--epochs", "4", "--resume", "--val-samples", "2")
