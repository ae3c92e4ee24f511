"""Figures are saved in one folder, and each path is printed."""

import base64
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from scratchnet.utils.errors import UserError
from scratchnet.visualization import panels, save_figure, saving
from scratchnet.visualization.saving import SavedFigure


def test_keeps_a_figure(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(saving, "saved_figures", [])
    figure, _ = panels(2, 1)
    path = Path("lesson-figures/01-one.png")
    assert save_figure(figure, "01-one", alt="Two bars.") is None  # a notebook would print a returned path
    assert capsys.readouterr().out == f"figure: {path}\n"
    assert saving.saved_figures == [SavedFigure(path, "Two bars.")]
    with Image.open(path) as image:
        assert image.size == (240, 120)


def test_keeps_frames_as_an_animation(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(saving, "saved_figures", [])
    frames = [Image.new("L", (8, 8), shade) for shade in (0, 100, 200)]
    save_figure(frames, "02-two", seconds=0.5)
    with Image.open("lesson-figures/02-two.gif") as image:
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
    save_figure(panels(1, 1)[0], "01-one")
    path = tmp_path / "temporary" / "lesson-figures" / "01-one.png"
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


def test_a_notebook_shows_the_picture_with_its_alternative_text(tmp_path, monkeypatch):
    shown = []
    monkeypatch.chdir(tmp_path)
    display = SimpleNamespace(display=lambda data, raw, metadata: shown.append((data, raw, metadata)))
    ipython = SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel="running"))
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    save_figure(panels(1, 1)[0], "01-one", alt="Empty axes.")
    save_figure([Image.new("L", (8, 8))], "02-two", alt="A black square.")
    (png, raw, metadata), (gif, _, _) = shown
    assert raw
    assert base64.b64decode(png["image/png"]) == Path("lesson-figures/01-one.png").read_bytes()
    assert metadata == {"image/png": {"alt": "Empty axes."}}
    assert base64.b64decode(gif["image/gif"]).startswith(b"GIF89a")
    ipython.get_ipython = SimpleNamespace  # in a terminal
    save_figure(panels(1, 1)[0], "03-three")
    assert len(shown) == 2
