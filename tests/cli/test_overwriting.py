"""Every command that writes leaves a file of the user's alone, replaces its own, and obeys --overwrite."""

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scratchnet.cli.main import COMMANDS
from scratchnet.utils.signatures import check_replaceable, overwriting, seal_is_intact, sealed, signature

MINE = b"something that nobody may lose"

WRITERS = {
    "segment": (["segment", "{run}/checkpoint.npz", "{set}/images", "--out", "{out}"], ["{first}.png"]),
    "segment, overlay": (
        ["segment", "{run}/checkpoint.npz", "{set}/images", "--out", "{out}"],
        ["{first}-overlay.png"],
    ),
    "segment, uncertainty": (
        ["segment", "{run}/checkpoint.npz", "{set}/images", "--out", "{out}", "--uncertainty", "2"],
        ["{first}-uncertainty.png"],
    ),
    "data suggest": (
        ["data", "suggest", "{run}/checkpoint.npz", "{set}/images", "--out", "{out}/a.csv", "--uncertainty", "2"],
        ["a.csv"],
    ),
    "evaluate": (["evaluate", "{run}/checkpoint.npz", "--data", "{set}", "--out", "{out}"], ["metrics.json"]),
    "evaluate, picture": (["evaluate", "{run}/checkpoint.npz", "--data", "{set}", "--out", "{out}"], ["confusion.png"]),
    "evaluate, images": (
        ["evaluate", "--masks", "{set}/masks", "--data", "{set}", "--out", "{run}", "--per-image", "{out}/s.csv"],
        ["s.csv"],
    ),
    **{
        f"measure, {name}": (["measure", "{set}/masks", "--out", "{out}"], [name])
        for name in ("objects.csv", "summary.csv", "{first}-objects.png", "{first}-labels.png")
        if find_spec("skimage")
    },
    "explain": (["explain", "{run}/checkpoint.npz", "{set}/images/{first}.png", "--out", "{out}/a.html"], ["a.html"]),
    "explain, why": (
        ["explain", "{run}/checkpoint.npz", "{set}/images/{first}.png", "--out", "{out}/a.html", "--why"],
        ["a.html"],
    ),
    "exercise, marks": (["exercise", "grade", "{class}", "--out", "{out}/marks.csv"], ["marks.csv"]),
    "models, png": (["models", "squares", "--draw", "{out}/a.png"], ["a.png"]),
    "models, svg": (["models", "squares", "--draw", "{out}/a.svg"], ["a.svg"]),
    "models, pdf": (["models", "squares", "--draw", "{out}/a.pdf"], ["a.pdf"]),
    **{
        f"train, {name}": (
            ["train", "--data", "{set}", "--model", "bloodcell", "--width", "0.1", "--epochs", "1", "--out", "{out}"],
            [name],
        )
        for name in ("config.toml", "log.csv", "metrics.json", "report.html")
    },
}
"""Words of a command, and a file that it writes to its folder."""


@pytest.fixture
def run(call, plain, tmp_path):
    """Run a command's words on the set and the run that are there."""
    shutil.copytree(plain / "set", tmp_path / "set")
    shutil.copytree(plain / "run", tmp_path / "run")
    first = sorted((tmp_path / "set" / "images").iterdir())[0].stem
    (tmp_path / "class" / "ada").mkdir(parents=True)
    places = {name: tmp_path / name for name in ("set", "run", "out", "class")} | {"first": first}

    def go(words, *more):
        return call(*[word.format(**places) for word in words], *more)

    go.file = lambda name: tmp_path / "out" / name.format(**places)
    (tmp_path / "out").mkdir()
    return go


@pytest.mark.parametrize("name", WRITERS)
def test_a_users_file_is_left_alone_and_replaced_on_request(run, name):
    words, (target,) = WRITERS[name]
    path = run.file(target)
    path.write_bytes(MINE)
    code, _, err = run(words)
    assert code == 2
    assert f"{path}: exists and is no " in err
    assert err.count("\n") == 1
    assert path.read_bytes() == MINE
    assert run(words, "--overwrite")[0] == 0
    assert path.read_bytes() != MINE
    if name.startswith("train"):
        assert "holds a run already" in run(words)[2]
        assert run(words, "--overwrite")[0] == 0
    else:
        assert run(words)[0] == 0  # its own file


@pytest.mark.parametrize("name", WRITERS)
def test_links_of_the_user_are_left_alone(run, tmp_path, name):
    """Whether they lead to a file of the user's or, a disk not being there, to nothing."""
    words, (target,) = WRITERS[name]
    path = run.file(target)
    (tmp_path / "mine").write_bytes(MINE)
    for goal, said in (("mine", "exists and is no "), ("elsewhere", "which is not there")):
        path.unlink(missing_ok=True)
        path.symlink_to(tmp_path / goal)
        code, _, err = run(words)
        assert (code, err.count("\n")) == (2, 1)
        assert said in err
        assert path.readlink() == tmp_path / goal
    assert (tmp_path / "mine").read_bytes() == MINE
    assert run(words, "--overwrite")[0] == 0
    assert not path.is_symlink()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
@pytest.mark.parametrize("name", WRITERS)
def test_pipes_and_devices_are_never_replaced(run, name):
    words, (target,) = WRITERS[name]
    path = run.file(target)
    for make in (os.mkfifo, lambda path: path.symlink_to(os.devnull)):
        path.unlink(missing_ok=True)
        make(path)
        for more in ((), ("--overwrite",)):
            code, _, err = run(words, *more)
            assert code == 2, name
            assert "is a device, a pipe or a socket" in err
            assert err.count("\n") == 1
        assert not path.is_file()


@pytest.mark.parametrize("name", WRITERS)
def test_an_empty_file_is_no_loss(run, name):
    words, (target,) = WRITERS[name]
    run.file(target).touch()
    assert run(words)[0] == 0
    assert run.file(target).stat().st_size > 0


def test_masks_of_a_set_are_not_replaced_though_scratchnet_drew_them(call, tmp_path, plain):
    """The files of a generated set are no results that a command may write anew."""
    folder = tmp_path / "drawn"
    assert call("data", "make", "squares", folder, "--count", "4", "--size", "32")[0] == 0
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for where in ("masks", "images"):
        code, _, err = call("segment", plain / "run" / "checkpoint.npz", folder / "images", "--out", folder / where)
        assert code == 2, err
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_mask_that_a_person_has_corrected_is_kept(run):
    words, (target,) = WRITERS["segment"]
    assert run(words)[0] == 0
    path = run.file(target)
    with Image.open(path) as image:
        corrected = image.copy()
    corrected.putpixel((0, 0), 1)
    corrected.save(path)
    before = path.read_bytes()
    assert run(words)[0] == 2
    assert path.read_bytes() == before


def test_the_config_that_a_training_was_started_with_is_kept(call, plain, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = f"# our choice\n[data]\ndata = {str(plain / 'set')!r}\n[model]\nmodel = 'bloodcell'\nwidth = 0.1\n"
    Path("config.toml").write_text(text + "[training]\nepochs = 1\n", encoding="utf-8")
    before = Path("config.toml").read_bytes()
    code, _, err = call("train", "--config", "config.toml", "--out", ".")
    assert code == 2
    assert "config.toml: exists and is no settings written by scratchnet" in err
    shutil.copy(plain / "run" / "config.toml", "config.toml")
    Path("config.toml").write_text(Path("config.toml").read_text(encoding="utf-8") + "# mine now\n", encoding="utf-8")
    before = Path("config.toml").read_bytes()
    assert call("train", "--config", "config.toml", "--out", ".")[0] == 2
    assert Path("config.toml").read_bytes() == before


def test_every_command_that_writes_is_tried_here():
    """Whoever adds a command says here whether it writes; demo and data make refuse a folder that is not theirs."""
    tried = {words[0] for words, _ in WRITERS.values()}
    optional = {"measure"}  # left out without scikit-image
    assert tried | optional | {"demo", "data", "gradcheck", "export", "bench", "completion"} == set(COMMANDS)


def test_seals(tmp_path):
    text = sealed("a = 1\nb = 2\n", "settings")
    assert text.endswith("a = 1\nb = 2\n")
    assert seal_is_intact(text.encode())
    for other in (text[:-1], text + "c = 3\n", text.replace("1", "3"), "a = 1\n", ""):
        assert not seal_is_intact(other.encode())


def test_signatures_are_found_at_both_ends_of_a_file(tmp_path):
    path = tmp_path / "file"
    noise = np.random.default_rng(0).bytes(100_000)
    for content in (signature("mask").encode() + noise, noise + signature("mask").encode()):
        path.write_bytes(content)
        check_replaceable(path, "mask")
    path.write_bytes(noise)
    with overwriting():
        check_replaceable(path, "mask")
