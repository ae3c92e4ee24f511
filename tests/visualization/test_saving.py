"""Figures are saved in one folder, and each path is printed."""

import tempfile
from pathlib import Path

import pytest
from PIL import Image

from scratchnet.utils.errors import UserError
from scratchnet.visualization import panels, save_figure, saving


def test_keeps_a_figure(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(saving, "saved_figures", [])
    figure, _ = panels(2, 1)
    path = save_figure(figure, "01-one")
    assert path == Path("lesson-figures/01-one.png")
    assert capsys.readouterr().out == f"figure: {path}\n"
    assert saving.saved_figures == [path]
    with Image.open(path) as image:
        assert image.size == (240, 120)


def test_keeps_frames_as_an_animation(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(saving, "saved_figures", [])
    frames = [Image.new("L", (8, 8), shade) for shade in (0, 100, 200)]
    with Image.open(save_figure(frames, "02-two", seconds=0.5)) as image:
        assert image.n_frames == 3
        assert image.info["loop"] == 0
        stay = []
        for i in range(3):
            image.seek(i)
            stay.append(image.info["duration"])
        assert stay == [500, 500, 1500]


def test_a_folder_that_cannot_be_written_does_not_end_a_lesson(tmp_path, monkeypatch, capsys):
    (tmp_path / "lesson-figures").write_text("in the way")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(saving, "saved_figures", [])
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    path = save_figure(panels(1, 1)[0], "01-one")
    assert path == tmp_path / "temporary" / "lesson-figures" / "01-one.png"
    assert path.is_file()
    assert capsys.readouterr().out == f"figure: {path}\n"


def test_a_picture_is_whole_or_not_there(tmp_path, monkeypatch):
    def full(file, *_):
        file.write(b"GIF89a")
        raise OSError(28, "No space left on device")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(saving, "save_animation", full)
    with pytest.raises(UserError, match="No space left on device"):
        save_figure([Image.new("L", (8, 8))], "02-two")
    assert list((tmp_path / "lesson-figures").iterdir()) == []
