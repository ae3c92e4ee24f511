"""The widgets of the lessons in headless Chromium, compared with the library."""

import json
import re
import sys
from itertools import product

import numpy as np
import pytest

from scratchnet.layers.initialization import bilinear
from scratchnet.ops.convolution import conv2d
from scratchnet.ops.transposed import conv_transpose2d
from tests.browser import dump
from tests.lessons.conftest import FOLDER

NAMES = ("convolution", "transposed", "overlap")

ASK = """
const widget = document.querySelector(".widget");
function choose(name, value) {
  const input = widget.querySelector(`[data-name="${name}"]`);
  input.value = value;
  input.dispatchEvent(new Event(input.tagName === "SELECT" ? "change" : "input"));
}
function read(name) {
  const cells = [...node(name).children].map((cell) => [Number(cell.dataset.value), cell.className]);
  return { columns: Number(node(name).style.getPropertyValue("--columns")), cells };
}
const node = (name) => widget.querySelector(`[data-grid="${name}"]`);
const press = (name, key) => node(name).dispatchEvent(new KeyboardEvent("keydown", { key }));
const words = () => widget.querySelector(".sum").textContent;
const answer = (() => { QUESTION })();
const shown = document.createElement("pre");
shown.id = "answer";
shown.textContent = JSON.stringify(answer);
document.body.append(shown);
"""

EVERY = """
  const found = [];
  for (const values of widget.querySelector("select").options) {
    choose("values", values.value);
    for (const geometry of SETTINGS) {
      for (const [name, value] of Object.entries(geometry)) choose(name, value);
      const names = [...widget.querySelectorAll("[data-grid]")].map(({ dataset }) => dataset.grid);
      const grids = Object.fromEntries(names.map((name) => [name, read(name)]));
      found.push({ values: values.value, geometry, grids, words: words() });
    }
  }
  return found;
"""

SETTINGS = [
    dict(zip(("kernel", "stride", "padding", "dilation"), values, strict=True))
    for values in product((1, 2, 3, 4), (1, 2, 3), (0, 1, 2), (1, 2))
]


@pytest.fixture(scope="module")
def widgets():
    """Return the extension that embeds the widgets."""
    pytest.importorskip("docutils")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER.parent / "docs" / "_ext"))
        import widgets

        yield widgets
    sys.modules.pop("widgets")


@pytest.fixture
def ask(widgets, tmp_path):
    """Run JavaScript in a widget's page and return its result."""

    def run(name, question):
        text = re.sub(r"<meta http-equiv[^>]*>", "", widgets.own_page(name))  # which would refuse the test's script
        path = tmp_path / "page.html"
        question = question.replace("SETTINGS", json.dumps(SETTINGS))
        path.write_text(f"{text}<script>{ASK.replace('QUESTION', question)}</script>", "utf-8")
        found = re.search(r'<pre id="answer">(.*?)</pre>', dump(path, tmp_path), re.DOTALL)
        assert found, "the widget's script stopped"
        return json.loads(found[1])

    return run


def values(found, without=""):
    """Return a grid of a widget as an array, without the cells of a class."""
    cells = [value for value, classes in found["cells"] if not (without and without in classes)]
    columns = round(len(cells) ** 0.5) if without else found["columns"]
    return np.array(cells, np.float64).reshape(-1, max(columns, 1))


def applied(operation, x, kernel, geometry):
    """Return what the library computes, without rows where it refuses."""
    options = {name: geometry[name] for name in ("stride", "padding", "dilation")}
    try:
        return operation(x[None, :, :, None], kernel[:, :, None, None], **options)[0, :, :, 0]
    except ValueError:
        return np.zeros((0, 1))


def test_a_kernel_slides_as_in_the_library(ask):
    for found in ask("convolution", EVERY):
        grids, padding = found["grids"], found["geometry"]["padding"]
        padded, kernel, output = (values(grids[name]) for name in ("input", "kernel", "output"))
        x = padded[padding : len(padded) - padding, padding : len(padded) - padding]
        np.testing.assert_array_equal(padded, np.pad(x, padding))
        np.testing.assert_allclose(output, applied(conv2d, x, kernel, found["geometry"]), atol=1e-5)
        if not output.size:
            assert found["words"].startswith("No window fits")
            continue
        chosen = [value for value, classes in grids["output"]["cells"] if "selected" in classes]
        taken = [value for value, classes in grids["input"]["cells"] if "taken" in classes]
        np.testing.assert_allclose(np.dot(taken, kernel.ravel()), chosen[0], atol=1e-5)
        assert float(found["words"].rpartition("= ")[2].replace("−", "-")) == pytest.approx(chosen[0], abs=6e-4)


def test_copies_are_added_as_in_the_library(ask):
    for found in ask("transposed", EVERY):
        grids, geometry = found["grids"], found["geometry"]
        x, kernel = values(grids["input"]), values(grids["kernel"])
        expected = applied(conv_transpose2d, x, kernel, geometry)
        np.testing.assert_allclose(values(grids["output"], without="margin").ravel(), expected.ravel(), atol=1e-5)
        taken = sum("taken" in classes for _, classes in grids["output"]["cells"])
        assert taken == kernel.size  # the copy of one input


def test_an_output_names_the_copies_that_reach_it(ask):
    chosen, words = ask(
        "transposed", "for (let i = 0; i < 2; i++) press('output', 'ArrowDown'); return [read('output'), words()];"
    )
    (value,) = [value for value, classes in chosen["cells"] if "selected" in classes]
    assert words == f"Row 2, column 0 of the output: 1·7 + 0·1 = {value:.0f}, from 2 copies."


def test_overlaps_are_counted_as_in_the_library(ask):
    rng = np.random.default_rng(0)
    for found in ask("overlap", EVERY):
        grids, geometry = found["grids"], found["geometry"]
        k, s, d = (geometry[name] for name in ("kernel", "stride", "dilation"))
        kernel = (
            np.ones((k, k)) if found["values"] == "all ones" else bilinear(rng, (k, k, 1, 1))[:, :, 0, 0].astype(float)
        )
        np.testing.assert_allclose(
            values(grids["output"]), applied(conv_transpose2d, np.ones((4, 4)), kernel, geometry), atol=1e-5
        )
        middle = applied(conv_transpose2d, np.ones((12, 12)), kernel, {**geometry, "padding": 0})
        first = d * (k - 1) // s * s + s  # from here on, all copies overlap
        phases = values(grids["phases"])
        np.testing.assert_allclose(phases, middle[first : first + s, first : first + s], atol=1e-5)
        even = np.ptp(phases) < 1e-6
        assert found["words"].startswith("Flat" if even else "Chessboard") or "crops" in found["words"]


def test_arrow_keys_move_within_the_output(ask):
    found = ask(
        "convolution",
        "for (let i = 0; i < 9; i++) press('output', 'ArrowLeft'); press('output', 'ArrowUp');"
        "const first = words(); choose('stride', 3); press('output', 'ArrowDown'); return [first, words()];",
    )
    assert found[0].startswith("Row 1, column 0 of")
    assert found[1].startswith("Row 2, column 0 of")


@pytest.mark.parametrize("name", NAMES)
def test_a_page_of_its_own_is_one_file(name, widgets):
    text = widgets.own_page(name)
    assert "http" not in text.replace("http-equiv", "")
    assert "default-src 'none'" in text


def test_a_widget_stands_in_its_lesson(widgets):
    places = {3: "convolution", 9: "transposed", 10: "overlap"}
    assert set(widgets.WIDGETS) == set(NAMES) == set(places.values())
    for number, name in places.items():
        (path,) = FOLDER.glob(f"{number:02d}_*.py")
        assert f"# .. widget:: {name}\n#\n#    " in path.read_text(encoding="utf-8")
