"""Marks of the page's script in headless Chromium, compared with the library's results."""

import json
import re

import numpy as np
import pytest

from scratchnet.visualization.explorer import explorer_page
from scratchnet.visualization.graph.receptive_field import projective_fields, receptive_fields
from tests.browser import dump
from tests.visualization.explorer.nets import made

ASK = """
function marks() {
  const numbers = (text) => text.split(" ").filter(String).map(Number);
  return boxes.map((box) => ({
    field: numbers(box.dataset.field), place: numbers(box.dataset.place), trail: box.dataset.trail === "yes",
    looked: box.classList.contains("looked") }));
}
function press(key, more = {}) {
  document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...more }));
}
function hover(picture, y, x, kind) {
  const box = picture.canvas.getBoundingClientRect(), { width, height } = layers[picture.number];
  const at = { clientX: box.left + (x + 0.5) * box.width / width, clientY: box.top + (y + 0.5) * box.height / height };
  const event = kind === "click" ? new MouseEvent("click", { ...at, detail: 1, bubbles: true })
    : new PointerEvent("pointermove", { ...at, pointerType: "mouse", bubbles: true });
  picture.canvas.dispatchEvent(event);
}
const timer = setInterval(() => {
  if (document.documentElement.dataset.ready !== "yes") return;
  clearInterval(timer);
  const answer = (() => { QUESTION })();
  document.body.append(element("pre", { id: "answer" }, JSON.stringify(answer)));
}, 5);
"""


@pytest.fixture(scope="module")
def page():
    return made()


@pytest.fixture(scope="module")
def ask(page, tmp_path_factory):
    """Run JavaScript after the page's own script and return its result."""
    folder = tmp_path_factory.mktemp("page")
    text = explorer_page("a page", [], page.content)
    open_text = re.sub(r"<meta http-equiv[^>]*>", "", text)  # which would refuse the test's script

    def run(question, fragment=""):
        path = folder / "page.html"
        path.write_text(f"{open_text}<script>{ASK.replace('QUESTION', question)}</script>", "utf-8")
        found = re.search(r'<pre id="answer">(.*?)</pre>', dump(path, folder, fragment), re.DOTALL)
        assert found, "the page's script stopped"
        return json.loads(found[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))

    return run


def some_pixels(height, width):
    """Two corners and two pixels between them."""
    return {(0, 0), (height - 1, width - 1), (height // 2, width // 3), (1 % height, width - 2)}


def test_hovering_marks_what_a_pixel_is_made_from_and_has_a_part_in(ask, page):
    """Every layer at several pixels, selected in the drawing."""
    wanted = [
        (number, y, x) for number, shown in enumerate(page.displayed) for y, x in sorted(some_pixels(*shown.shape[1:3]))
    ]
    question = "return WANTED.map(([n, y, x]) => { hover(boxes[n].picture, y, x); return marks(); });"
    found = ask(question.replace("WANTED", json.dumps(wanted)))
    size = tuple(page.crop.x.shape[1:3])
    for (number, y, x), boxes in zip(wanted, found, strict=True):
        value = page.displayed[number].value
        fields = receptive_fields(page.net, size, value, (y, x)) | projective_fields(page.net, size, value, (y, x))
        for shown, box in zip(page.displayed, boxes, strict=False):
            assert box["field"] == list(fields.get(shown.value, ())), (value, y, x, shown.value)
        assert boxes[number]["place"][:2] == [y, x]
        assert boxes[number]["trail"]
        assert boxes[number]["looked"]


@pytest.fixture(scope="module")
def computed(ask):
    """One step back from every pixel of every map that the page has, and the sum of its terms where a layer sums."""
    return ask(
        """const every = (layer, tell) => layer.channels.map((_, m) => [...Array(layer.height).keys()].map((y) =>
             [...Array(layer.width).keys()].map((x) => tell(m, y, x))));
           const back = (n) => (m, y, x) => {
             const step = stepBack(n, m, y, x);
             return step && [step.layer, layers[step.layer].channels[step.m], step.y, step.x]; };
           const sum = (layer) => (m, y, x) => terms(layer, m, y, x).reduce((all, t) => all + t.value * t.weight, 0);
           const sums = layers.filter((layer) => ["conv", "deconv", "blend"].includes(layer.kind));
           return { steps: layers.slice(0, -1).map((layer, n) => every(layer, back(n))),
                    sums: Object.fromEntries(sums.map((layer) => [layer.name, every(layer, sum(layer))])) };"""
    )


def test_the_trail_through_maxima_switches_and_copies(computed, page):
    found = computed["steps"]
    names = [shown.name for shown in page.displayed]
    layers = {name: (page.content["layers"][names.index(name)], found[names.index(name)]) for name in names}
    values = {shown.name: page.values[shown.value][0] for shown in page.displayed}

    for name, before in (("pool1", "conv1"), ("pool2", "conv2")):
        layer, steps = layers[name]
        for m, y, x in np.ndindex(np.shape(steps)[:3]):
            number, channel, row, column = steps[m][y][x]
            assert (names[number], channel) == (before, layer["channels"][m])
            assert values[before][row, column, channel] == values[name][y, x, channel]

    layer, steps = layers["unpool1"]
    for m, channel in enumerate(layer["channels"]):
        for y, x in np.ndindex(values["unpool1"].shape[:2]):
            if steps[m][y][x] is None:
                assert values["unpool1"][y, x, channel] == 0
            else:
                number, c, row, column = steps[m][y][x]
                assert (names[number], c, row, column) == ("deconv2", channel, y // 2, x // 2)
                assert values["deconv2"][row, column, c] == values["unpool1"][y, x, channel]

    for name in ("both", "tent_crop"):
        layer, steps = layers[name]
        for m, channel in enumerate(layer["channels"]):
            for y, x in np.ndindex(values[name].shape[:2]):
                number, c, row, column = steps[m][y][x]
                assert values[names[number]][row, column, c] == values[name][y, x, channel]


@pytest.mark.parametrize("name", ["conv1", "depthwise", "conv2", "deconv2", "deconv1", "tent"])
def test_terms_of_a_sum_are_those_of_the_library(computed, page, name):
    """With the other maps set to 0, the page's terms add up to what the layer computes."""
    number = [shown.name for shown in page.displayed].index(name)
    shown, layer = page.displayed[number], page.content["layers"][number]
    before = page.content["layers"][layer["links"][0]["from"]]
    x = np.zeros_like(page.values[before["value"]])
    x[..., before["channels"]] = page.values[before["value"]][..., before["channels"]]
    bias = shown.layer.parameters["bias"].value[layer["channels"]] if shown.layer.parameters else 0
    expected = shown.layer.forward(x)[0][:, :, layer["channels"]] - bias
    found = np.array(computed["sums"][name]).transpose(1, 2, 0)
    np.testing.assert_allclose(found, expected, atol=0.02 * np.abs(expected).max())


def test_keys_clicks_and_the_way_back(ask, page):
    last = len(page.content["layers"]) - 1
    found = ask(
        """
        const steps = [], note = (word) => steps.push([word, state.look, { ...state.anchor }, location.hash]);
        hover(boxes[3].picture, 4, 5, "click"); note("click");
        hover(boxes[8].picture, 1, 1); note("hover");
        byId("explorer").dispatchEvent(new PointerEvent("pointerleave")); note("leave");
        press("ArrowLeft"); note("left"); press("Home"); note("home"); press("ArrowLeft"); note("left");
        press("End"); note("end"); press("ArrowRight"); note("right");
        boxes[3].focus(); lookAt(3);
        press("ArrowRight", { shiftKey: true }); note("one right");
        press("ArrowDown"); note("next map");
        lookAt(2); press("Enter"); note("start here");
        return steps;"""
    )
    seen = {word: (look, anchor, where) for word, look, anchor, where in found}
    pool1 = page.content["layers"][3]["channels"]
    clicked = {"layer": 3, "m": 0, "y": 4, "x": 5}
    assert seen["click"] == (3, clicked, f"#layer=pool1&map={pool1[0]}&y=4&x=5")
    assert seen["hover"][0] == 8
    assert seen["leave"][:2] == (3, clicked)
    assert [look for _, look, _, _ in found[3:8]] == [2, 0, 0, last, last]
    assert seen["end"][1] == clicked
    assert seen["end"][2].endswith("&look=classes")
    assert seen["one right"][1] == {**clicked, "x": 6}
    assert seen["next map"][1] == {**clicked, "x": 6, "m": 1}
    y, x = seen["start here"][1]["y"], seen["start here"][1]["x"]
    conv1 = page.values["conv1_relu"][0][..., pool1[1]]
    assert conv1[y, x] == page.values["pool1"][0][4, 6, pool1[1]]


def test_an_address_opens_its_pixel_in_the_page_as_it_is_shipped(page, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(explorer_page("a page", [], page.content), "utf-8")
    channel = page.content["layers"][3]["channels"][2]
    text = dump(path, tmp_path, f"#layer=pool1&map={channel}&y=3&x=5&look=unpool1")
    box = re.search(r'<button class="box [^"]*" [^>]*data-layer="pool1"[^>]*>', text)[0]
    assert f'data-place="3 5 {channel}"' in box
    assert 'aria-pressed="false"' in box
    assert re.search(r'class="box unpool looked"[^>]*data-layer="unpool1"', text)
    assert "Same position as pool1, row 3, column 5: row 7, column 11" in text
    assert "&lt;cell&gt;" in text.partition("<script")[0]
    switch = page.switches["pool1"][3, 5, channel]
    assert f"stored in the switch as {switch}" in text
    field = receptive_fields(page.net, (20, 24), "pool1", (3, 5))["input"]
    assert f'data-field="{field.top} {field.left} {field.bottom} {field.right}"' in text
    assert f"is {field.bottom - field.top}×{field.right - field.left} pixels of the image" in text
