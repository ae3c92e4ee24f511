import base64
import io
import re
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from scratchnet.visualization.html import figure_svg, legend, page, picture, table
from scratchnet.visualization.plots import confusion_figure, curves_figure
from scratchnet.visualization.style import INK


def decode(tag):
    kind, data = re.search(r"data:image/(\w+);base64,([^\"]+)", tag).groups()
    return kind, np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


def test_small_pictures_are_exact_and_pixelated():
    array = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)
    tag = picture(array, 'a "name" <b>', photograph=True)
    kind, pixels = decode(tag)
    assert kind == "png"
    np.testing.assert_array_equal(pixels, array)
    assert 'class="pixels"' in tag
    assert 'width="60" height="40"' in tag
    assert "<b>" not in tag
    assert "&quot;name&quot;" in tag


def test_large_photographs_are_jpeg_and_drawings_are_not():
    array = np.zeros((300, 300, 3), np.uint8)
    array[100:200, 100:200] = (240, 120, 30)
    tag = picture(array, "photograph", photograph=True)
    assert decode(tag)[0] == "jpeg"
    assert "pixels" not in tag
    kind, pixels = decode(picture(array, "error map"))
    assert kind == "png"
    np.testing.assert_array_equal(pixels, array)


def test_svg_takes_the_colour_and_the_font_of_the_page():
    svg = figure_svg(curves_figure([{"epoch": 1, "train_loss": 1.0}, {"epoch": 2, "train_loss": 0.5}]), "Loss & more")
    root = ElementTree.fromstring(svg)
    assert root.get("aria-label") == "Loss & more"
    assert "currentColor" in svg
    assert INK not in svg
    assert any("training" in (element.text or "") for element in root.iter("{http://www.w3.org/2000/svg}text"))


def test_svgs_on_one_page_share_no_ids_and_lose_no_reference():
    figures = [curves_figure([{"epoch": e, "train_loss": 1 / e} for e in (1, 2, 3)]) for _ in range(2)]
    figures.append(confusion_figure(np.eye(3), ["a", "b", "c"]))
    ids = []
    for number, figure in enumerate(figures):
        svg = figure_svg(figure, f"figure {number}")
        own = re.findall(r' id="([^"]+)"', svg)
        assert set(re.findall(r'(?:url\(#|href="#)([^)"]+)', svg)) == set(own)
        ids += own
    assert len(ids) == len(set(ids))


def test_the_same_figure_gives_the_same_svg():
    rows = [{"epoch": e, "train_loss": 1 / e} for e in (1, 2, 3)]
    assert figure_svg(curves_figure(rows), "loss") == figure_svg(curves_figure(rows), "loss")


def test_page_escapes_its_title_and_allows_no_script_and_no_request():
    text = page("<script>alert(1)</script>", "<p>body</p>")
    assert "<script" not in text
    assert "default-src 'none'" in text
    assert "prefers-color-scheme: dark" in text
    assert not re.search(r"url\(|@import|src=|href=", text)


def test_table_and_legend():
    assert table(["a", "b"], [["x", "1"]]).count("<th ") == 3
    text = legend("Classes", {"<cell>": (230, 159, 0)})
    assert "#e69f00" in text
    assert "&lt;cell&gt;" in text
