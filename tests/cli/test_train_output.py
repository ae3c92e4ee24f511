"""What `scratchnet train` prints: --json and --quiet."""

import json

import pytest


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
    assert train(images, tmp_path / "run", "--quiet") == (0, "", "")
    monkeypatch.setattr("scratchnet.cli.training_checks.available_memory", lambda: 1000)
    code, said, err = train(images, tmp_path / "other", "--quiet", "--json")
    assert code == 0
    assert err.startswith("warning: a training step needs")
    assert err.count("\n") == 1
    assert [f"warning: {text}\n" for text in json.loads(said)["warnings"]] == [err]
