import numpy as np
import pytest

from scratchnet.data.importing.packed_brush import decode_brush
from scratchnet.utils.errors import UserError
from tests.data.importing.test_formats import L_SHAPE, imported, rows, save_image, save_json


def result(kind, label="dog", size=(5, 7), **value):
    height, width = size
    return {
        "type": kind,
        "value": value | {kind: [label]},
        "original_width": width,
        "original_height": height,
    }


def task(*results, image="/data/upload/1/0a1b2c3d-a.png", **more):
    annotations = [{"result": list(results), "was_cancelled": False}]
    return {"id": 5, "data": {"image": image}, "annotations": annotations} | more


def per_cent(points):
    return [[x * 100 / 7, y * 20] for x, y in points]


def packed(values, value_bits=8, length_bits=(4, 8, 12, 16)):
    """Pack values: a run for every stretch of equal values, and one stretch of different values in front."""
    bits = f"{len(values):032b}{value_bits - 1:05b}" + "".join(f"{size - 1:04b}" for size in length_bits)
    first = min(3, len(values))
    bits += f"000{first - 1:0{length_bits[0]}b}" + "".join(f"{v:0{value_bits}b}" for v in values[:first])
    index = first
    while index < len(values):
        end = index
        while end < len(values) and values[end] == values[index] and end - index < 1 << length_bits[1]:
            end += 1
        bits += f"101{end - index - 1:0{length_bits[1]}b}{values[index]:0{value_bits}b}"
        index = end
    bits += "0" * (-len(bits) % 8)
    return [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]


def test_polygons_rectangles_and_ellipses(tmp_path):
    save_image(tmp_path / "images" / "a.png")
    polygon = result("polygonlabels", points=per_cent(L_SHAPE))
    rectangle = result("rectanglelabels", "cat", x=200 / 7, y=20, width=300 / 7, height=60, rotation=0)
    ellipse = result("ellipselabels", "dog", x=650 / 7, y=10, radiusX=40 / 7, radiusY=8, rotation=30)
    save_json(tmp_path / "project.json", [task(polygon, rectangle, ellipse)])
    report, dataset = imported(tmp_path, tmp_path / "out")
    assert (report.problems, dataset.names) == ((), ("a",))
    assert dataset.classes == ("background", "cat", "dog")
    assert rows(dataset.load(0)[1]) == [".22...2", ".2111..", ".2111..", ".21112.", ".22222."]
    assert dataset.load_instances(0)[0, 6] == 3


def test_a_turned_rectangle(tmp_path):
    save_image(tmp_path / "a.png")
    turned = result("rectanglelabels", x=300 / 7, y=20, width=300 / 7, height=20, rotation=90)  # around (3, 1)
    save_json(tmp_path / "project.json", [task(turned, image="/data/local-files/?d=set%2Fa.png")])
    assert rows(imported(tmp_path, tmp_path / "out")[1].load(0)[1]) == [".......", *["..1...."] * 3, "......."]


def test_a_brush(tmp_path):
    rng = np.random.default_rng(0)
    mask = rng.random((5, 7)) < 0.4
    pixels = np.zeros((5, 7, 4), int)
    pixels[mask] = 255
    save_image(tmp_path / "a.png")
    save_json(tmp_path / "project.json", [task(result("brushlabels", rle=packed(pixels.ravel().tolist())))])
    assert (imported(tmp_path, tmp_path / "out")[1].load(0)[1] == mask).all()


@pytest.mark.parametrize(
    ("stream", "words"),
    [
        ([0], "ends too early"),
        (packed([1] * 20), "expected 4×5×7"),
        (packed([0] * 140)[:-3], "ends too early"),
        (["x"], "no list of bytes"),
        ([300], "no list of bytes"),
    ],
)
def test_brushes_that_are_refused(stream, words):
    with pytest.raises(UserError, match=words):
        decode_brush(stream, 5, 7)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (task(annotations=[]), "task 5: has 0 annotations, expected 1"),
        (task(annotations=[{"result": []}, {"result": []}]), "has 2 annotations"),
        (task(result("keypointlabels")), "'keypointlabels' has no label"),
        (task(image="text"), "names no image file"),
        (task(image="b.png"), "b.png: no such image"),
        (task(result("polygonlabels", points=[[0, 0]])), "at least 3 points"),
        (task(result("rectanglelabels", x=0, y=0)), "damaged"),
        (task(result("polygonlabels", points=per_cent(L_SHAPE), size=(7, 5))), "was labelled with 7×5"),
    ],
)
def test_tasks_that_are_left_out(tmp_path, content, words):
    save_image(tmp_path / "a.png")
    save_image(tmp_path / "c.png")
    polygon = result("polygonlabels", points=per_cent(L_SHAPE))
    save_json(tmp_path / "project.json", [task(polygon, image="c.png"), content])
    report, dataset = imported(tmp_path, tmp_path / "out")
    assert dataset.names == ("c",)
    assert words in report.problems[0]
