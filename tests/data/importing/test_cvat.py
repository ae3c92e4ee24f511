import pytest

from scratchnet.data import available_splits
from scratchnet.data.importing import read_export
from scratchnet.utils.errors import UserError
from tests.data.importing.test_formats import L_SHAPE, imported, rows, save_image

LABELS = "<meta><task><labels><label><name>dog</name></label><label><name>cat</name></label></labels></task></meta>"
POLYGON = f'<polygon label="dog" z_order="0" points="{";".join(f"{x},{y}" for x, y in L_SHAPE)}"/>'
BOX = '<box label="cat" z_order="1" xtl="2.0" ytl="1.0" xbr="5.0" ybr="4.0"/>'


def save(path, *shapes, size=(5, 7), name="a.png", more=""):
    height, width = size
    path.parent.mkdir(parents=True, exist_ok=True)
    image = f'<image id="0" name="{name}" width="{width}" height="{height}" {more}>{"".join(shapes)}</image>'
    path.write_text(f'<?xml version="1.0"?><annotations>{LABELS}{image}</annotations>', encoding="utf-8")


@pytest.fixture
def source(tmp_path):
    save_image(tmp_path / "source" / "images" / "a.png")
    return tmp_path / "source"


def test_polygons_and_boxes_in_the_order_of_z(source, tmp_path):
    save(source / "annotations.xml", BOX, POLYGON, more='subset="Train"')
    report, dataset = imported(source, tmp_path / "out")
    assert (report.written, report.problems) == (1, ())
    assert dataset.classes == ("background", "dog", "cat")
    assert rows(dataset.load(0)[1]) == [".11....", ".1222..", ".1222..", ".12221.", ".11111."]
    assert rows(dataset.load_instances(0))[3] == ".12221."
    assert available_splits(tmp_path / "out") == ["train"]


def test_masks_ellipses_rotations_and_groups(source, tmp_path):
    mask = '<mask label="dog" rle="1, 2, 1" left="5" top="0" width="2" height="2"/>'
    ellipse = '<ellipse label="cat" cx="2.5" cy="3.5" rx="1.6" ry="0.6" rotation="90"/>'
    turned = '<box label="cat" group_id="7" xtl="0" ytl="1" xbr="2" ybr="2" rotation="90"/>'
    joined = '<box label="cat" group_id="7" xtl="6" ytl="4" xbr="7" ybr="5"/>'
    save(source / "annotations.xml", mask, ellipse, turned, joined)
    dataset = imported(source, tmp_path / "out")[1]
    found = rows(dataset.load(0)[1])
    assert [row[5:] for row in found[:2]] == [".1", "1."]
    assert [row[2] for row in found] == [".", ".", "2", "2", "2"]
    assert found[4][6] == "2"
    numbers = dataset.load_instances(0)
    assert numbers[4, 6] == numbers[1, 0] != numbers[3, 2]


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ('<polyline label="dog" points="0,0;1,1"/>', "a polyline has no area"),
        ('<polygon label="dog" points="0,0;1,1"/>', "at least 3 points"),
        ('<polygon label="dog" points="0,0;1,b;2,2"/>', "damaged"),
        ('<polygon label="dog"/>', "damaged"),
        ('<box label="dog" xtl="0" ytl="0" xbr="1e300" ybr="1"/>', "no positions in an image"),
        (
            f'<mask label="dog" rle="{1 << 46}" left="0" top="0" width="{1 << 23}" height="{1 << 23}"/>',
            "in an image of 5×7",
        ),
        ('<mask label="dog" rle="1, 2" left="5" top="0" width="2" height="2"/>', "add up to 3, expected 2×2 = 4"),
    ],
)
def test_images_that_are_left_out(source, tmp_path, shape, words):
    save(source / "annotations.xml", shape)
    with pytest.raises(UserError, match=words):
        imported(source, tmp_path / "out")


def test_files_that_are_refused(source, tmp_path):
    save(source / "annotations.xml", POLYGON, size=(7, 5))
    with pytest.raises(UserError, match="was labelled with 7×5"):
        imported(source, tmp_path / "out")
    save(source / "annotations.xml", POLYGON, name="b.png")
    with pytest.raises(UserError, match=r"b\.png: no such image in"):
        imported(source, tmp_path / "out")
    (source / "annotations.xml").write_text("<annotations><image></annotations>", encoding="utf-8")
    with pytest.raises(UserError, match="not valid XML"):
        read_export(source)
    (source / "annotations.xml").write_text("<annotations><track/></annotations>", encoding="utf-8")
    with pytest.raises(UserError, match="a video with tracks"):
        read_export(source)
