import base64
import json
import re
import zlib

import pytest

from scratchnet.data import Preprocessing
from scratchnet.data.palette import PALETTE
from scratchnet.models import build
from scratchnet.utils.errors import UserError
from scratchnet.utils.signatures import signature
from scratchnet.visualization.web_app import find_runtime, web_page, web_settings
from scratchnet.visualization.web_app import page as pages
from scratchnet.visualization.web_app.content import MAX_PIXELS, bytes_per_pixel
from tests.visualization.web_app.stand_in import write_runtime

CLASSES = ("ground", "<cell>")
COLOURS = dict(zip(CLASSES, PALETTE.tolist(), strict=False))


@pytest.fixture
def text(tmp_path):
    runtime = find_runtime(write_runtime(tmp_path))
    return web_page("a <net>", COLOURS, {"stride": 4}, b"the model", runtime, ["a <note>"])


def test_the_page_holds_what_it_needs(text):
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])
    unpacked = {name: zlib.decompress(base64.b64decode(data[name])) for name in ("worker", "wasm", "model")}
    assert unpacked["model"] == b"the model"
    assert unpacked["wasm"] == b"\0asm\1\0\0\0"
    assert b"const ort=" in unpacked["worker"]
    assert b"self.onmessage" in unpacked["worker"]
    assert data["classes"] == [{"name": "ground", "colour": "#000000"}, {"name": "<cell>", "colour": "#e69f00"}]


def test_the_page_is_safe_and_says_what_it_is(text):
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    parts = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert parts["default-src"] == "'none'"
    assert parts["worker-src"] == "blob:"
    assert re.fullmatch(r"'sha256-[\w+/=]{44}' 'wasm-unsafe-eval'", parts["script-src"])
    shown = text.partition('<script type="application/json"')[0]
    assert "trained to find 2 classes: ground, &lt;cell&gt;." in shown
    assert "a &lt;net&gt;" in shown
    assert "a &lt;note&gt;" in shown
    assert "Your images stay on this computer" in shown
    assert "onnxruntime-web 1.30.0" in shown
    assert "Permission is hereby granted, free of charge" in shown
    assert "[[" not in shown
    assert signature("segmentation page") in text[:4096]


def test_a_network_that_no_page_can_hold(tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "MAX_MODEL", 8)
    with pytest.raises(UserError, match="a page holds at most 0 MB; train a narrower one"):
        web_page("net", COLOURS, {}, b"nine byte", find_runtime(write_runtime(tmp_path)))


def test_settings():
    free = web_settings(build("unet", 2, width=1 / 32), Preprocessing(), CLASSES)
    assert (free["stride"], free["fixed"], free["surround"]) == (
        1,
        None,
        96,
    )  # 92 pixels, and the four pools reduce by 16
    assert (free["untiled"], free["tile"], free["overlap"], free["pixels"]) == (544, 448, 128, MAX_PIXELS)
    assert (free["smallest"], free["box"]) == (1, None)
    resized = web_settings(build("unet-same", 2, width=1 / 32), Preprocessing(resize=(48, 64)), CLASSES)
    assert (resized["resize"], resized["smallest"]) == ((48, 64), 1)
    fixed = web_settings(build("deconvnet-small", 2, width=1), Preprocessing("image"), CLASSES)
    assert (fixed["fixed"], fixed["box"], fixed["pixels"]) == ((64, 64), (64, 64), 64 * 64)


def test_networks_that_see_the_whole_image_are_bounded_by_their_memory():
    net = build("segnet", 2)
    # The first block's 64 maps before and after ReLU or a pool, and at least the pool's switches.
    assert 2 * 64 * 4 <= bytes_per_pixel(net) <= 4 * 64 * 4
    settings = web_settings(net, Preprocessing("image"), CLASSES)
    assert settings["pixels"] == 1_000_000_000 // bytes_per_pixel(net)
    assert "normalises every image as a whole" in settings["reason"]
