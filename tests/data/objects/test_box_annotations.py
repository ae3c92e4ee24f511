from pathlib import Path

import pytest

from scratchnet.data import (
    ObjectBox,
    Window,
    read_boxes,
    write_boxes,
)
from scratchnet.utils.errors import UserError

CLASSES = ("ground", "disc", "a, b")


def test_boxes_survive_the_file(tmp_path: Path) -> None:
    boxes = [ObjectBox("x", 1, Window(2, 3, 4, 5), 4.25), ObjectBox("y, z", 2, Window(0, 0, 1, 1))]
    write_boxes(tmp_path / "boxes.csv", boxes, CLASSES)
    text = (tmp_path / "boxes.csv").read_text()
    assert text == 'image,class,x0,y0,x1,y1,size\nx,disc,3,2,8,6,4.25\n"y, z","a, b",0,0,1,1,\n'
    assert read_boxes(tmp_path / "boxes.csv", CLASSES) == (boxes, [])


def test_boxes_may_name_classes_by_index_and_leave_out_sizes(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text("class, image, x0, x1, y0, y1\n1, x, 0, 2, 1, 4\n")
    assert read_boxes(tmp_path / "b.csv", CLASSES) == ([ObjectBox("x", 1, Window(1, 0, 3, 2))], [])


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("x,disc,0,0,1.5,2,", "expected whole numbers"),
        ("x,disc,0,0", "expected whole numbers"),
        ("x,disc,0,0,1,2,large", "a number or nothing as size"),
        ("x,disk,0,0,1,2,", "there is no class 'disk'; choose one of ground, disc"),
        ("x,disc,3,0,3,2,", "x0 < x1"),
        ("x,disc,0,-1,3,2,", "0 ≤ y0"),
    ],
)
def test_wrong_rows(tmp_path: Path, row: str, words: str) -> None:
    (tmp_path / "b.csv").write_text(f"image,class,x0,y0,x1,y1,size\nx,disc,0,0,1,1,\n{row}\n")
    boxes, problems = read_boxes(tmp_path / "b.csv", CLASSES)
    assert len(boxes) == 1
    assert problems[0].startswith(f"{tmp_path / 'b.csv'}, line 3: ")
    assert words in problems[0]


def test_a_file_without_the_columns(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text("image;class\n")
    with pytest.raises(UserError, match=r"b\.csv: has no column image, class, x0.*first line must be image,class"):
        read_boxes(tmp_path / "b.csv", CLASSES)
