"""The page in headless Chromium: painting, shifting, unpooling and turning switches, compared with the library."""

import json
import re

import numpy as np
import pytest

from scratchnet.data import Preprocessing
from scratchnet.inference import Segmenter
from scratchnet.layers import Conv2d, Layer, MaxPool2d, MaxUnpool2d, ReLU, UpsampleNearest
from scratchnet.losses import probabilities
from scratchnet.models import MODELS, build
from scratchnet.network import Network
from scratchnet.utils.errors import UserError
from scratchnet.visualization.explorer import crop_image
from scratchnet.visualization.live import input_transform, live_content, live_page, live_size
from scratchnet.visualization.live import page as pages
from tests.browser import dump
from tests.visualization.live.comparing import settled

CLASSES = ("ground", "<cell>", "dust")
SIZE = (22, 30)

ASK = """
const timer = setInterval(() => {
  if (document.documentElement.dataset.ready !== "yes") return;
  clearInterval(timer);
  const press = (node, key, more) => node.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, ...more }));
  const now = () => { compute(); drawAll(); };
  const card = (name) => cards.find((one) => one.layer.name === name);
  const answer = (() => { QUESTION })();
  document.body.append(element("pre", { id: "answer" }, JSON.stringify(answer)));
}, 5);
"""


def network():
    """Two pools with switches, and a size that padding by reflection completes."""
    net = Network(3, stride=4)
    net.add("conv1", Conv2d(3, 6, 3, padding=1))
    net.add("conv1_relu", ReLU())
    net.add("pool1", MaxPool2d(2))
    net.add("conv2", Conv2d(6, 6, 3, padding=1))
    net.add("pool2", MaxPool2d(2))
    net.add("unpool2", MaxUnpool2d(), "pool2", "pool2.switches")
    net.add("unpool1", MaxUnpool2d(), "unpool2", "pool1.switches")
    net.add("score", Conv2d(6, 3, 3, padding=1))
    return settled(net.allocate(3))


def made(net, preprocessing=None, shape=SIZE, **options):
    image = np.random.default_rng(5).integers(0, 256, (*shape, 3), np.uint8)
    segmenter = Segmenter(net, preprocessing or Preprocessing("dataset", (0.5, 0.4, 0.3), (0.3, 0.2, 0.4)))
    crop = crop_image(segmenter, image, **options)
    found, parameters = live_content(segmenter, crop, input_transform(segmenter.preprocessing, image), CLASSES, 4)
    return segmenter, image, found, parameters


@pytest.fixture(scope="module")
def page():
    segmenter, image, found, parameters = made(network())
    return segmenter, image, live_page("a <page>", ["a <note>"], found, parameters).text


@pytest.fixture(scope="module")
def ask(page, tmp_path_factory):
    """Run JavaScript after the page's own script and return its result."""
    folder = tmp_path_factory.mktemp("page")
    open_text = re.sub(r"<meta http-equiv[^>]*>", "", page[2])  # which would refuse the test's script

    def run(question):
        path = folder / "page.html"
        path.write_text(f"{open_text}<script>{ASK.replace('QUESTION', question)}</script>", "utf-8")
        found = re.search(r'<pre id="answer">(.*?)</pre>', dump(path, folder), re.DOTALL)
        assert found, "the page's script stopped"
        return json.loads(found[1])

    return run


def test_the_page_as_it_is_shipped(page, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(page[2], "utf-8")
    text = dump(path, tmp_path)
    assert float(re.search(r'data-difference="([^"]*)"', text)[1]) < 1e-5
    names = re.findall(r'<article class="card" data-layer="([^"]*)"', text)
    assert names == ["conv1", "pool1", "conv2", "pool2", "unpool2", "unpool1", "score"]
    assert "&lt;cell&gt;" in text.partition("<script")[0]
    assert "0 of 660 pixels have another class than at first." in text


def test_the_page_is_one_file_and_safe(page):
    text = page[2]
    assert "<page>" not in text.partition("</header>")[0]
    assert "&lt;note&gt;" in text
    assert "default-src 'none'" in text
    assert "http" not in text.replace("http-equiv", "")
    assert "[[" not in text.partition("<script type")[0]


def assert_probabilities(found, segmenter, image):
    expected = segmenter.probabilities(np.array(image, np.uint8).reshape(1, *SIZE, 3))[0]
    np.testing.assert_allclose(np.array(found).reshape(expected.shape), expected, atol=1e-4)


def test_painting_with_keys_and_pointer_shifting_and_resetting(ask, page):
    segmenter, image, _ = page
    found = ask(
        """
        selectColour("#ff8000"); state.brush = 3;
        const results = [], note = () => { now(); results.push([[...painted], [...probabilities]]); };
        for (let i = 0; i < 3; i++) press(imageCanvas, "ArrowRight", { shiftKey: true });
        press(imageCanvas, "ArrowUp"); press(imageCanvas, " "); note();
        const box = imageCanvas.getBoundingClientRect();
        const at = (x, y) => ({ clientX: box.left + (x + 0.5) * box.width / WIDTH,
          clientY: box.top + (y + 0.5) * box.height / HEIGHT, button: 0, pointerId: 1, bubbles: true });
        imageCanvas.setPointerCapture = undefined;
        imageCanvas.dispatchEvent(new PointerEvent("pointerdown", at(2, 2)));
        imageCanvas.dispatchEvent(new PointerEvent("pointermove", at(6, 2)));
        imageCanvas.dispatchEvent(new PointerEvent("pointerup", at(6, 2))); note();
        press(imageCanvas, "e"); state.cursor = { y: 10, x: 29 }; press(imageCanvas, "Enter"); note();
        byId("ArrowDown").click(); byId("ArrowLeft").click(); note();
        byId("reset").click(); note();
        return results;"""
    )
    brushed = image.copy()
    brushed[9:12, 28:30] = (255, 128, 0)
    stroked = brushed.copy()
    stroked[1:4, 1:8] = (255, 128, 0)
    erased = stroked.copy()
    erased[9:12] = image[9:12]
    moved = np.pad(erased, ((1, 0), (0, 1), (0, 0)), mode="edge")[:-1, 1:]
    for (pixels, p), expected, shown in zip(
        found, (brushed, stroked, erased, erased, image), (brushed, stroked, erased, moved, image), strict=True
    ):
        np.testing.assert_array_equal(pixels, expected.ravel())
        assert_probabilities(p, segmenter, shown)


def test_turning_a_switch_moves_the_value(ask):
    before, after, twice, end, shown, (y, x) = ask(
        """
        const pool = card("pool1"), channel = pool.layer.channels[1];
        const small = values[card("unpool2").layer.value], map = values[card("unpool1").layer.value];
        select(pool, 1, true);
        const index = [...small.data.keys()].find((i) => i % 6 === channel && i > 100 && small.data[i] !== 0);
        const y = Math.floor(index / 6 / small.width), x = Math.floor(index / 6) % small.width;
        state.spot = { y, x };
        const at = (i, j) => ((2 * y + i) * map.width + 2 * x + j) * 6 + channel;
        const window = [at(0, 0), at(0, 1), at(1, 0), at(1, 1)];
        const found = () => { now(); return [switchesOf(pool.pool)[index], window.map((i) => map.data[i])]; };
        const results = [found()];
        press(viewerCanvas, " "); results.push(found()); const text = viewerWords.textContent;
        press(viewerCanvas, " "); results.push(found());
        press(viewerCanvas, "Enter"); press(viewerCanvas, "Enter"); results.push(found());
        const title = () => pool.strips[1].title.textContent, own = title();
        byId("ArrowDown").click(); now();
        return [...results, [text, byId("switches").hidden, own, title()], [y, x]];"""
    )
    assert after[0] == (before[0] + 1) % 4
    assert twice[0] == (before[0] + 2) % 4
    value = before[1][before[0]]
    assert [found[1] for found in (after, twice)] == [
        [value if i == found[0] else 0 for i in range(4)] for found in (after, twice)
    ]
    assert value != 0
    assert end == before
    assert shown[0].startswith(f"Row {y}, column {x}: switch {after[0]}, ")
    assert "(set by hand)" in shown[0]
    assert shown[1:3] == [True, "switches"]
    assert re.fullmatch(r"switches: \d+ of 1152 differ from those at first", shown[3])


def test_selecting_rules_of_unpooling(ask):
    one, every, words = ask(
        """
        const set = (node, value) => { node.value = value; node.dispatchEvent(new Event("change")); };
        set(card("unpool2").rule, "nearest"); now();
        const one = { ...state.modes }, story = byId("story").textContent;
        set(byId("all-rules"), "nails"); now();
        return [one, { ...state.modes }, story];"""
    )
    assert one == {"unpool2": "nearest"}
    assert every == {"unpool1": "nails", "unpool2": "nails"}
    assert words.startswith("unpool2 (map ")
    assert "repeated over its block" in words


def test_switches_that_no_unpooling_uses_are_not_turned(tmp_path):
    net = Network(3)
    net.add("conv", Conv2d(3, 4, 3, padding=1))
    net.add("pool", MaxPool2d(2))
    net.add("score", Conv2d(4, 3, 1))
    net.add("up", UpsampleNearest(2))
    _, _, found, parameters = made(settled(net.allocate(3)))
    text = re.sub(r"<meta http-equiv[^>]*>", "", live_page("page", [], found, parameters).text)
    question = 'press(viewerCanvas, " "); return [state.turned, byId("story").textContent];'
    path = tmp_path / "page.html"
    path.write_text(f"{text}<script>{ASK.replace('QUESTION', question)}</script>", "utf-8")
    turned, story = json.loads(re.search(r'<pre id="answer">(.*?)</pre>', dump(path, tmp_path), re.DOTALL)[1])
    assert turned == {}
    assert "which no unpooling uses here" in story


@pytest.mark.parametrize("normalization", ["dataset", "image", "none", "torchvision", "caffe"])
def test_preprocessing_as_one_affine_function(normalization):
    image = np.random.default_rng(0).integers(0, 256, (90, 80, 3), np.uint8)
    for flat in ([], [1], [0, 2], [0, 1, 2]):
        image[:, :, flat] = 77
        preprocessing = Preprocessing(normalization, (0.5, 0.4, 0.3), (0.3, 0.2, 0.4))
        if normalization == "caffe":
            preprocessing = Preprocessing(normalization, (0.5, 0.4, 0.3), (1 / 255, 1 / 255, 1 / 255))
        expected = preprocessing.apply(image[None])[0]
        found = input_transform(preprocessing, image).apply(image)
        np.testing.assert_allclose(found, expected, atol=1e-6 * max(1, np.abs(expected).max()))


def test_a_network_with_a_valid_margin(tmp_path):
    net = settled(build("unet", 3, width=0.03, depth=2).allocate(0))
    segmenter, image, found, parameters = made(net, Preprocessing("none"))
    path = tmp_path / "page.html"
    path.write_text(live_page("page", [], found, parameters).text, "utf-8")
    assert float(re.search(r'data-difference="([^"]*)"', dump(path, tmp_path))[1]) < 1e-5
    expected = probabilities(net.forward(segmenter.framed(segmenter.preprocessing.apply(image[None]))))
    np.testing.assert_allclose(segmenter.probabilities(image[None]), expected, atol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_has_a_page(name):
    options = MODELS[name].options()
    small = {key: value for key, value in {"width": 0.02, "size": 64}.items() if key in options}
    if isinstance(options.get("width"), int):
        small["width"] = 2
    net = build(name, 3, **small).allocate(0).eval()
    _, _, found, parameters = made(net, Preprocessing("image"), (70, 65), size=None if net.fixed_size else (32, 48))
    assert len(live_page(name, [], found, parameters).text) < 500_000
    assert [step["name"] for step in found["steps"]] == [step.name for step in net.steps]


def test_weights_become_float16_and_then_too_large(monkeypatch):
    _, _, found, parameters = made(network())
    whole = live_page("page", ["a note"], found, parameters)
    assert (whole.precision, whole.notes) == ("float32", ["a note"])
    monkeypatch.setattr(pages, "LIMIT", len(whole.text.encode("utf-8")) - 1)
    half = live_page("page", ["a note"], found, parameters)
    assert half.precision == "float16"
    assert "rounded to float16" in half.notes[-1]
    assert half.notes[-1] in half.text
    monkeypatch.setattr(pages, "LIMIT", 10_000)
    with pytest.raises(UserError, match=r"--live: the page would have 0\.\d MB, of at most 0 MB"):
        live_page("page", [], found, parameters)
    parameters.kernels[0][0] = 1e6
    with pytest.raises(UserError, match="weights above 65504"):
        parameters.pack("float16")


def test_layers_that_the_script_does_not_know():
    class Own(ReLU):
        """A layer of someone's own."""

        kind = "pixelwise"

        def forward(self, x, plan=None):
            return x

    net = Network(3)
    net.add("conv", Conv2d(3, 3, 1))
    net.add("own", Own())
    with pytest.raises(UserError, match=r"does not know the layer Own \(step 'own'\)"):
        made(net.allocate(0).eval())
    assert issubclass(Own, Layer)


def test_the_size_follows_the_work():
    assert live_size(build("deconvnet-small", 3)) == (64, 64)
    assert live_size(build("bloodcell", 3, width=0.1)) == (256, 256)
    assert live_size(build("segnet-basic", 3)) == (64, 64)
    assert live_size(build("unet", 3, width=0.1)) == (96, 96)
