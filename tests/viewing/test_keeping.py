"""Pictures of lessons go to one folder, and the terminal says where."""

from pathlib import Path

from PIL import Image

from scratchnet.viewing import keep, keeping, panels


def test_keeps_a_figure(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(keeping, "kept", [])
    figure, _ = panels(2, 1)
    path = keep(figure, "01-one")
    assert path == Path("lesson-figures/01-one.png")
    assert capsys.readouterr().out == f"figure: {path}\n"
    assert keeping.kept == [path]
    with Image.open(path) as image:
        assert image.size == (240, 120)


def test_keeps_frames_as_an_animation(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(keeping, "kept", [])
    frames = [Image.new("L", (8, 8), shade) for shade in (0, 100, 200)]
    with Image.open(keep(frames, "02-two", seconds=0.5)) as image:
        assert image.n_frames == 3
        assert image.info["loop"] == 0
        stay = []
        for i in range(3):
            image.seek(i)
            stay.append(image.info["duration"])
        assert stay == [500, 500, 1500]
