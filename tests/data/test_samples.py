"""The sample sets of the repository are found from anywhere, and missed in one line."""

import pytest

from scratchnet.data import open_dataset, sample_folder
from scratchnet.errors import UserError


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
    with pytest.raises(UserError, match=r"no folder data/cups .*clone"):
        sample_folder("cups")
