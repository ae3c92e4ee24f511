import base64
import json
import re
import sys
import zlib

import numpy as np
import pytest

from scratchnet.cli import export
from scratchnet.data import read_image
from scratchnet.inference import Segmenter
from scratchnet.interop.onnx_check import Comparison
from scratchnet.training import load_checkpoint
from tests.visualization.web_app.stand_in import write_runtime

pytest.importorskip("onnx")


@pytest.fixture
def checkpoint(finished):
    return finished / "run" / "checkpoint.npz"


def test_export_writes_and_checks_a_file(call, checkpoint, finished, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    path = tmp_path / "made" / "model.onnx"
    code, said, err = call("export", checkpoint, path)
    assert (code, err) == (0, "")
    assert "input   image          (n, height, width, 3) uint8" in said
    assert "output  scores         (n, height, width, 1) float32" in said
    assert "output  probabilities  (n, height, width, 2) float32" in said
    assert "classes: ground, square" in said
    assert "on 150×171 images: scores differ by" in said
    assert f"wrote {path}" in said
    image = read_image(finished / "set" / "images" / "s0.png")
    session = runtime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    (probabilities,) = session.run(["probabilities"], {"image": image[None]})
    stored = load_checkpoint(checkpoint)
    expected = Segmenter(stored.network, stored.spec.preprocessing).probabilities(image[None])
    np.testing.assert_allclose(probabilities, expected, rtol=0, atol=1e-4)


def test_one_size_and_statistics_of_each_image(call, checkpoint, tmp_path):
    code, said, _ = call("export", checkpoint, tmp_path / "model.onnx", "--size", "48x37", "--bn-statistics", "batch")
    assert code == 0
    assert "image          (n, 48, 37, 3) uint8" in said
    assert "InstanceNormalization" in str((tmp_path / "model.onnx").read_bytes())


def test_without_onnxruntime_the_file_is_not_checked(call, checkpoint, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    code, said, err = call("export", checkpoint, tmp_path / "model.onnx")
    assert (code, err) == (0, "")
    assert 'not checked: onnxruntime is not installed (in scratchnet\'s clone: pip install -e ".[onnx]")' in said
    assert (tmp_path / "model.onnx").exists()


def test_without_onnx(call, checkpoint, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    code, said, err = call("export", checkpoint, tmp_path / "model.onnx")
    assert (code, said) == (2, "")
    assert err.endswith('needs the package onnx; install it in scratchnet\'s clone: pip install -e ".[onnx]"\n')
    assert err.count("\n") == 1


def test_a_file_that_would_do_something_else_is_not_written(call, checkpoint, tmp_path, monkeypatch):
    found = Comparison(scores=0.01, probabilities=0.002, windows=1000, differing=7, gap=0.5)
    monkeypatch.setattr(export, "compare", lambda *arguments: found)
    monkeypatch.setattr(export, "onnxruntime_version", lambda: "1.0")
    code, said, _ = call("export", checkpoint, tmp_path / "model.onnx")
    assert code == 1
    assert "scores differ by 1.0e-02 of the largest, their probabilities by 2.0e-03" in said
    assert "7 of 1,000 switches chose the other of two maxima that are 5.0e-01 apart at most" in said
    assert "was not written: it does not compute what the network computes" in said
    assert not (tmp_path / "model.onnx").exists()


@pytest.mark.parametrize(
    ("file", "words", "line"),
    [
        ("model.pth", [], "model.pth: the name of the file to write must end in .onnx"),
        ("model.onnx", ["--web", "app.htm5"], "--web app.htm5: the name of the page must end in .html"),
        (
            "model.onnx",
            ["--web", "app.html", "--size", "48"],
            "--size 48x48: not with --web, whose page takes any size",
        ),
        ("model.onnx", ["--runtime", "x"], "--runtime x: only the page of --web contains it; add --web FILE.html"),
        ("model.onnx", ["--web", "app.html", "--runtime", "x"], "x: no such folder; run: npm install onnxruntime-web"),
        ("model.onnx", ["--size", "big"], "--size big: expected HxW, such as 128x128, or one number"),
        (
            "model.onnx",
            ["--size", "16", "--bn-statistics", "batch"],
            "images of 16×16: batch norm: one pixel in a batch",
        ),
    ],
)
def test_what_a_user_gets_wrong(call, checkpoint, tmp_path, file, words, line):
    code, said, err = call("export", checkpoint, tmp_path / file, *words)
    assert (code, said) == (2, "")
    assert line in err
    assert err.count("\n") == 1
    assert not (tmp_path / file).exists()


def test_a_missing_checkpoint(call, tmp_path):
    code, _, err = call("export", tmp_path / "none.npz", tmp_path / "model.onnx")
    assert code == 2
    assert "none.npz: no such checkpoint" in err


def test_export_as_a_page(call, checkpoint, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.chdir(tmp_path)
    write_runtime(tmp_path)
    code, said, err = call("export", checkpoint, "--web", "app.html")
    assert (code, err) == (0, "")
    assert re.search(r"^wrote app\.html, 0\.\d MB, with onnxruntime-web 1\.30\.0$", said, re.MULTILINE)
    text = (tmp_path / "app.html").read_text("utf-8")
    assert "The network, bloodcell, was trained to find 2 classes: ground, square." in text
    packed = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])["model"]
    assert call("export", checkpoint, "model.onnx", "--web", "app.html")[0] == 0  # replaces its own page
    assert (tmp_path / "model.onnx").read_bytes() == zlib.decompress(base64.b64decode(packed))


def test_a_page_never_replaces_a_file_of_the_user(call, checkpoint, tmp_path):
    path = tmp_path / "app.html"
    path.write_text("something that nobody may lose")
    words = ("export", checkpoint, "--web", path, "--runtime", write_runtime(tmp_path))
    code, _, err = call(*words)
    assert code == 2
    assert "app.html: exists and is no segmentation page written by scratchnet" in err
    assert path.read_text() == "something that nobody may lose"
    assert call(*words, "--overwrite")[0] == 0


def test_nothing_to_write(call, checkpoint):
    code, said, err = call("export", checkpoint)
    assert (code, said) == (2, "")
    assert "nothing to write; name a file that ends in .onnx, a page with --web FILE.html, or both" in err
