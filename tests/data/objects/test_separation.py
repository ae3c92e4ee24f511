from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from scratchnet.data import (
    ObjectBox,
    Window,
    check_dataset,
    find_objects,
    open_dataset,
    read_boxes,
    write_boxes,
    write_generated,
    write_mask,
)
from scratchnet.utils.errors import UserError

CLASSES = ("ground", "disc", "a, b")
MASK = np.array(
    [
        [0, 1, 1, 1, 1, 0],
        [0, 1, 1, 1, 1, 2],
        [0, 0, 0, 0, 255, 2],
        [1, 0, 0, 0, 0, 0],
    ],
    np.uint8,
)


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


def test_regions_are_objects_where_nothing_else_is_known() -> None:
    found = find_objects(MASK)
    assert found.labels == {1: 1, 2: 2, 3: 1}
    assert found.boxes == {1: Window(0, 1, 2, 4), 2: Window(1, 5, 2, 1), 3: Window(3, 0, 1, 1)}
    assert found.instances[2, 4] == 0  # ignored
    assert find_objects(MASK, ignore_index=2).labels == {1: 1, 2: 255, 3: 1}  # the label that is ignored is a choice


def test_numbered_objects_tell_touching_ones_apart() -> None:
    numbers = np.zeros(MASK.shape, np.uint8)
    numbers[:2, 1:3], numbers[:2, 3:5], numbers[0, 5], numbers[1:3, 5], numbers[3, 5] = 7, 3, 3, 255, 9
    found = find_objects(MASK, instances=numbers)
    assert found.labels == {3: 1, 7: 1}
    assert found.boxes == {3: Window(0, 3, 2, 2), 7: Window(0, 1, 2, 2)}
    assert found.instances[0, 5] == 0  # the mask knows nothing of it


def test_an_object_has_the_class_of_most_of_its_pixels() -> None:
    numbers = np.zeros(MASK.shape, np.uint8)
    numbers[1, 3:], numbers[2, 5] = 1, 1
    assert find_objects(MASK, instances=numbers).labels == {1: 1}
    numbers[1, 3] = 0
    assert find_objects(MASK, instances=numbers).labels == {1: 2}


def test_pixels_in_several_boxes_belong_to_the_smallest() -> None:
    boxes = [
        ObjectBox("x", 1, Window(0, 2, 2, 2)),
        ObjectBox("x", 1, Window(0, 1, 3, 4)),
        ObjectBox("x", 2, Window(0, 0, 4, 6)),
        ObjectBox("x", 2, Window(3, 0, 1, 2)),  # no pixel of its class
    ]
    found = find_objects(MASK, boxes=boxes)
    assert found.labels == {1: 1, 2: 1, 3: 2}
    assert found.boxes == {1: Window(0, 2, 2, 2), 2: Window(0, 1, 3, 4), 3: Window(0, 0, 4, 6)}
    assert found.instances[0].tolist() == [0, 2, 1, 1, 2, 0]
    assert found.instances[1].tolist() == [0, 2, 1, 1, 2, 3]
    assert found.instances[3, 0] == 0


def test_generated_objects_agree_in_all_three_files(tmp_path: Path) -> None:
    write_generated("shapes", tmp_path / "set", 4, seed=2, size=64)
    dataset = open_dataset(tmp_path / "set")
    rows, problems = read_boxes(tmp_path / "set" / "boxes.csv", dataset.classes)
    assert not problems
    assert {row.image for row in rows} == set(dataset.names)
    for index, sample in enumerate(dataset.samples):
        numbers = dataset.load_instances(index)
        assert numbers is not None
        found = find_objects(dataset.load_mask(index), instances=numbers)
        mine = [row for row in rows if row.image == sample.name]
        assert list(found.labels.values()) == [row.label for row in mine]
        assert list(found.boxes.values()) == [row.box for row in mine]
        assert all(row.size is not None and 0.06 * 64 <= row.size <= 0.6 * 64 for row in mine)


# Checking -------------------------------------------------------------------------------------------------------------


def test_check_counts_boxes_and_numbered_objects(tmp_path: Path) -> None:
    write_generated("shapes", tmp_path / "set", 3, seed=2, size=64)
    report = check_dataset(tmp_path / "set")
    assert report.ok
    count = len((tmp_path / "set" / "boxes.csv").read_text().splitlines()) - 1
    assert f"boxes.csv: {count} boxes of " in report.text()
    assert f"objects in instance masks: {count}" in report.text()


def test_check_says_nothing_of_objects_where_there_are_none(make_folder: Callable[..., Path]) -> None:
    report = check_dataset(make_folder())
    assert report.object_lines == []


def test_check_holds_boxes_against_masks(make_folder: Callable[..., Path]) -> None:
    root = make_folder("ab")
    write_mask(root / "masks" / "b.png", np.pad(np.ones((2, 2), np.uint8), ((4, 0), (6, 0))))
    (root / "boxes.csv").write_text(
        "image,class,x0,y0,x1,y1\nb,cell,6,4,8,6\nb,cell,0,0,3,3\nb,cell,7,5,9,6\nz,cell,0,0,3,3\nb,cel,0,0,1,1\n"
    )
    report = check_dataset(root)
    expected = [
        "line 6: there is no class 'cel'",
        "b, cell at x 0 to 3, y 0 to 3: the mask has no pixel of that class there",
        "b, cell at x 7 to 9, y 5 to 6: reaches beyond the image of 6×8",
        "has boxes for 'z', but there is no such image",
    ]
    assert len(report.problems) == len(expected)
    for words, problem in zip(expected, report.problems, strict=True):
        assert words in problem
    assert "boxes.csv: 4 boxes of 2 to 3 pixels (cell 4)" in report.text()


def test_check_looks_at_numbered_objects(make_folder: Callable[..., Path]) -> None:
    root = make_folder("ab")
    write_mask(root / "objects" / "a.png", np.zeros((5, 8), np.uint8))
    (root / "objects" / "b.png").write_bytes(b"")
    problems = check_dataset(root).problems
    assert len(problems) == 2
    assert "objects/a.png is 5×8 but its image 6×8" in problems[0]
    assert "objects/b.png: is empty" in problems[1]
