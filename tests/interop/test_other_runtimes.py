"""The models' ONNX files in onnxruntime-web under Node.js and in OpenCV, as the guide's table says."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from scratchnet.interop.onnx_export import export_onnx
from scratchnet.models import MODELS
from scratchnet.visualization.web_app.runtime import SCRIPT
from tests.interop.onnx_cases import CLASSES, DATASET, network, photos
from tests.models.test_models import SMALL
from tests.node import runtime_folder

pytest.importorskip("onnx")

GUIDE = Path(__file__).parents[2] / "docs" / "guide.md"

RUN = """
import fs from "node:fs";
const ort = await import(process.argv[2]), found = {};
ort.env.wasm.numThreads = 1;
for (const { name, shape } of JSON.parse(fs.readFileSync("models.json"))) {
  const session = await ort.InferenceSession.create(fs.readFileSync(`${name}.onnx`));
  const image = new ort.Tensor("uint8", new Uint8Array(fs.readFileSync(`${name}.raw`)), shape);
  const { data } = (await session.run({ image })).probabilities;
  fs.writeFileSync(`${name}.out`, Buffer.from(data.buffer, data.byteOffset, data.byteLength));
}
"""


def rows():
    """The guide's table: model → whether it runs in onnxruntime, onnxruntime-web and OpenCV."""
    text = GUIDE.read_text("utf-8")
    found = re.findall(r"^\| `([\w-]+)` \| (yes|no) \| (yes|no) \| (yes|no) \|$", text, re.MULTILINE)
    return {name: cells for name, *cells in found}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder with a small network and an image of every model, and what onnxruntime computes."""
    runtime = pytest.importorskip("onnxruntime")
    folder, expected = tmp_path_factory.mktemp("models"), {}
    for name in MODELS:
        net = network(name, (32, 32), **SMALL[name][0][0])
        size = net.fixed_size or (40, 52)
        content = export_onnx(net, DATASET, CLASSES, name, size).model.SerializeToString()
        (folder / f"{name}.onnx").write_bytes(content)
        session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
        (expected[name],) = session.run(["probabilities"], {"image": photos(*size, n=1)})
    return folder, expected


def test_every_model_has_a_row():
    assert set(rows()) == set(MODELS)


def test_onnxruntime_web(models):
    folder, expected = models
    script, node = runtime_folder() / SCRIPT, shutil.which("node")
    if node is None:
        pytest.skip("needs Node.js")
    for name, p in expected.items():
        (folder / f"{name}.raw").write_bytes(photos(*p.shape[1:3], n=1).tobytes())
    listed = [{"name": name, "shape": [*p.shape[:3], 3]} for name, p in expected.items()]
    (folder / "models.json").write_text(json.dumps(listed))
    (folder / "run.mjs").write_text(RUN)
    subprocess.run([node, "run.mjs", script.resolve().as_uri()], cwd=folder, check=True, timeout=60)
    for name, p in expected.items():
        found = np.frombuffer((folder / f"{name}.out").read_bytes(), np.float32).reshape(p.shape)
        # Where two maxima of a pooling window are almost equal, the runtimes may unpool to different places.
        assert np.mean(np.abs(found - p) > 1e-3) <= (0.02 if rows()[name][2] == "no" else 0), name
        assert rows()[name][1] == "yes", name


def test_opencv(models):
    cv2 = pytest.importorskip("cv2")
    folder, expected = models
    unpooling = {name for name in expected if b"MaxUnpool" in (folder / f"{name}.onnx").read_bytes()}
    assert {name for name, cells in rows().items() if cells[2] == "no"} == unpooling
    for name, p in expected.items():
        path = str(folder / f"{name}.onnx")
        if name in unpooling:
            with pytest.raises(cv2.error):
                cv2.dnn.readNetFromONNX(path)
            continue
        net = cv2.dnn.readNetFromONNX(path)
        net.setInput(photos(*p.shape[1:3], n=1))
        np.testing.assert_allclose(net.forward("probabilities").reshape(p.shape), p, atol=1e-3, err_msg=name)
