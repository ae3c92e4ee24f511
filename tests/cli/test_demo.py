import json
import re
import shlex
from pathlib import Path

from PIL import Image

from tests.tiny import files


def test_a_quick_demo(call, tmp_path, figures):
    out = tmp_path / "demo"
    code, said, err = call("demo", "--quick", "--out", out)
    assert "--quick only shows that everything runs" in said
    assert (code, err) == (0, "")
    for words in ("drawing", "epoch   1/1", "this network", "all background", f"open {out / 'report.html'}"):
        assert words in said
    found = json.loads((out / "metrics.json").read_text())
    assert found["accuracy"] > 0.5
    assert len(found["baselines"]) == 2
    assert (out / "checkpoint.npz").exists()
    masks = {path.name for path in (out / "masks").iterdir()}
    assert len(masks) >= 2
    with Image.open(out / "forward_pass.gif") as animation:
        assert animation.n_frames == 21
    assert (out / "forward_pass.gif").stat().st_size < 300_000
    assert sum(name.endswith("-overlay.png") for name in masks) * 2 == len(masks)
    *_, follow, build = said.splitlines()
    _, command, *words = shlex.split(re.search(r"scratchnet explain .*", follow)[0])
    assert call(command, *words)[0] == 0
    assert (out / "explain.html").exists()
    lesson = re.search(r"python (lessons/\S+)", build)[1]
    assert (Path(__file__).parents[2] / lesson).exists()


def test_a_folder_with_other_files_is_left_alone(call, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    before = files(tmp_path)
    code, said, err = call("demo", "--quick", "--out", tmp_path)
    assert (code, said) == (2, "")
    assert err.startswith(f"scratchnet: error: {tmp_path}: ")
    assert err.count("\n") == 1
    assert files(tmp_path) == before


def test_a_file_in_the_way(call, tmp_path):
    (tmp_path / "demo").write_text("")
    code, said, err = call("demo", "--quick", "--out", tmp_path / "demo")
    assert (code, said) == (2, "")
    assert err.startswith(f"scratchnet: error: {tmp_path / 'demo'}: ")
    assert err.count("\n") == 1
