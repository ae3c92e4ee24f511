"""No network is measured on images that it was trained on without being asked to."""

import json
import re
import shutil

from tests.tiny import write_set


def measured(call, checkpoint, data, out):
    code, _, err = call("evaluate", checkpoint, "--data", data, "--out", out)
    assert (code, err) == (0, "")
    return json.loads(out.read_text())["images"]


def test_a_folder_without_lists_is_measured_on_the_images_held_back(train, call, tmp_path, monkeypatch):
    """Also from another directory, and when an image has come since, which would divide the folder anew."""
    data = write_set(tmp_path / "set", 6, 32, 32, split=False)
    monkeypatch.chdir(tmp_path)
    assert train("set", "run", "--val-fraction", "0.3")[0] == 0
    held_out = round(6 * 0.3)
    monkeypatch.chdir("/")
    assert measured(call, tmp_path / "run" / "checkpoint.npz", data, tmp_path / "a.json") == held_out
    for kind in ("images", "masks"):
        first = sorted((data / kind).iterdir())[0]
        shutil.copy(first, first.with_stem("another"))
    assert measured(call, tmp_path / "run" / "checkpoint.npz", data, tmp_path / "b.json") == held_out


def test_resuming_with_other_images_held_back_is_refused(train, call, tmp_path):
    data = write_set(tmp_path / "set", 6, 32, 32, split=False)
    assert train(data, tmp_path / "run")[0] == 0
    code, _, err = call("train", "--out", tmp_path / "run", "--resume", "--epochs", "2", "--seed", "5")
    assert code == 2
    assert "other images were held back" in err
    assert err.count("\n") == 1


def test_an_image_in_both_splits_is_refused(train, images, tmp_path):
    train_list, val_list = images / "splits" / "train.txt", images / "splits" / "val.txt"
    train_list.write_text(train_list.read_text().rstrip() + "\n" + val_list.read_text().splitlines()[0] + "\n")
    code, _, err = train(images, tmp_path / "run")
    assert code == 2
    assert "'train' and 'val'" in err
    assert err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_mask_format_flag_beats_a_configs_threshold(train, images, tmp_path):
    config = tmp_path / "threshold.toml"
    config.write_text("[data]\nmask_threshold = 100\n")
    code, _, err = train(images, tmp_path / "run", "--config", config, "--mask-format", "index")
    assert (code, err) == (0, "")


def test_every_training_flag_has_help(call):
    code, said, _ = call("train", "--help")
    assert code == 0
    flags: list[str] = []
    for line in said.splitlines():
        words = line.strip("│| ")
        if re.match(r"[│|\s]{0,3}--[a-z]", line):
            flags.append(words)
        elif flags:
            flags[-1] += " " + words
    assert len(flags) > 40
    for flag in flags:
        text = re.sub(r"\{.*?\}", "", flag.split("(default:")[0].partition(" ")[2])
        assert re.search(r"\b[a-z]{2,}\b", text), flag


def test_a_demo_interrupted_while_drawing_starts_again(call, tmp_path, monkeypatch):
    from scratchnet.data.generated import generators

    write_mask, drawn = generators.write_mask, []

    def interrupt(path, mask):
        drawn.append(path)
        if len(drawn) == 5:
            raise KeyboardInterrupt
        write_mask(path, mask)

    monkeypatch.setattr(generators, "write_mask", interrupt)
    assert call("demo", "--quick", "--out", tmp_path / "demo")[0] == 130
    monkeypatch.undo()
    monkeypatch.setattr("scratchnet.cli.demo.train", lambda *_, **__: None)
    monkeypatch.setattr("scratchnet.cli.demo._write_pictures", lambda out: None)
    assert call("demo", "--quick", "--out", tmp_path / "demo")[0] == 0
    assert len(list((tmp_path / "demo" / "data" / "images").iterdir())) == 80
