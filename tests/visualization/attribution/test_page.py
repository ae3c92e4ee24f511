import re

import numpy as np
import pytest

from scratchnet.data import Preprocessing
from scratchnet.inference import Segmenter
from scratchnet.models import build
from scratchnet.utils.errors import UserError
from scratchnet.visualization.attribution import ANSWERS, attribution_figure, explain_pixel, why_page
from scratchnet.visualization.attribution.words import summary, unknown_note
from scratchnet.visualization.explorer import crop_image
from tests.tiny import sample

CLASSES = ("ground", "<cell>")


@pytest.fixture(scope="module")
def crop():
    net = build("bloodcell", classes=2, width=0.1).allocate(1).eval()
    segmenter = Segmenter(net, Preprocessing(normalization="none"))
    return net, crop_image(segmenter, sample(1, 45, 70)[0], (32, 32), (40, 60))


@pytest.fixture(scope="module")
def explanation(crop):
    return explain_pixel(*crop, (5, 20), 1)


def test_the_maps_cover_the_part_and_speak_of_one_score(crop, explanation):
    net, part = crop
    logits = net.forward(part.x)[0, 5, 20]
    assert explanation.photo.shape == (*part.size, 3)
    assert explanation.mask.shape == part.size
    assert list(explanation.maps) == list(ANSWERS)
    assert all(values.shape == part.size for values in explanation.maps.values())
    assert explanation.score == pytest.approx(float(logits[-1]), rel=1e-5)


def test_the_pixel_and_the_class_have_defaults(crop):
    net, part = crop
    most = explain_pixel(net, part, wanted=1)
    found = explain_pixel(net, part, most.pixel)
    assert most.wanted == 1
    assert found.wanted == found.predicted == found.mask[found.pixel]
    assert most.probability >= explain_pixel(net, part, (0, 0), 1).probability


def test_one_score_map_explains_both_classes(crop):
    net, part = crop
    one, other = (explain_pixel(net, part, (5, 20), k) for k in (0, 1))
    for name in ("gradient", "occlusion"):
        np.testing.assert_allclose(one.maps[name], -other.maps[name], atol=1e-6)
    assert one.probability + other.probability == pytest.approx(1)


def test_the_margin_of_unpadded_convolutions_is_not_shown():
    net = build("unet", classes=3, width=1 / 16, depth=2).allocate(1).eval()
    part = crop_image(Segmenter(net, Preprocessing(normalization="none")), sample(1, 40, 50)[0])
    found = explain_pixel(net, part, (7, 9))
    assert found.photo.shape == (40, 50, 3)
    np.testing.assert_array_equal(found.photo, sample(1, 40, 50)[0])
    assert all(values.shape == (40, 50) for values in found.maps.values())


def test_a_pixel_outside_is_refused(crop):
    with pytest.raises(UserError, match="the network labels rows 0 to 28, columns 0 to 31"):
        explain_pixel(*crop, (29, 0))


def test_the_page(explanation):
    text = why_page("a <title>", ["a note"], explanation, CLASSES, (16, 38))
    assert "a &lt;title&gt;" in text
    assert "<cell>" not in text
    assert "Row 21, column 58" in text
    assert len(re.findall(r'class="ring"', text)) == 6
    images = re.findall(r"<img[^>]*>", text)
    assert len(images) == 6
    assert all(re.search(r'alt="[^"]{9,}"', image) for image in images)
    assert not re.search(r'(src|href)="(?!data:|#)', text)
    assert "<script" not in text
    asked = [line for line in text.splitlines() if "verdict" in line and "<p" in line]
    assert ("Why is this pixel" in asked[0]) == (explanation.predicted == 1)


def test_the_words(explanation):
    first, second = summary(explanation, CLASSES, (16, 38))
    assert first.startswith("Row 21, column 58: the score of <cell> is ")
    row, column = np.unravel_index(explanation.maps["occlusion"].argmax(), explanation.mask.shape)
    assert f"row {row + 16}, column {column + 38}" in second
    assert unknown_note(explanation) == []


def test_the_figure(explanation):
    figure = attribution_figure(explanation.photo, explanation.pixel, explanation.maps)
    titles = [axes.get_title().splitlines()[0] for axes in figure.axes]
    assert titles == ["image", *ANSWERS]
