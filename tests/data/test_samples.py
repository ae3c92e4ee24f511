"""The sample sets of the repository are found from anywhere, and missed in one line."""

import pytest
from PIL import Image

import scratchnet
from scratchnet.cli.main import main
from scratchnet.data import open_dataset, sample_folder
from scratchnet.data.samples import GENERATE_COMMANDS
from scratchnet.utils.errors import UserError


def test_found_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(open_dataset(sample_folder("smears")).names) == 16


def test_found_above_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "data" / "mine" / "images").mkdir(parents=True)
    (tmp_path / "deep" / "down").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "deep" / "down")
    assert sample_folder("mine") == tmp_path / "data" / "mine"


def test_a_missing_set_is_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"no folder data/cups .*clone of the repository$"):
        sample_folder("cups")


@pytest.mark.parametrize("name", GENERATE_COMMANDS)
def test_the_command_that_is_named_draws_the_set(tmp_path, monkeypatch, name):
    drawn = sample_folder(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(scratchnet, "__file__", str(tmp_path / "scratchnet" / "__init__.py"))
    with pytest.raises(UserError) as caught:
        sample_folder(name)
    assert main(str(caught.value).partition("generate it here: scratchnet ")[2].split()) == 0
    made = sample_folder(name)
    assert made == tmp_path / "data" / name
    files = sorted(path.relative_to(drawn) for path in drawn.rglob("*.png"))
    assert files == sorted(path.relative_to(made) for path in made.rglob("*.png"))
    for file in files:
        with Image.open(drawn / file) as one, Image.open(made / file) as other:  # encoders of PNG differ
            assert (one.mode, one.tobytes()) == (other.mode, other.tobytes())
