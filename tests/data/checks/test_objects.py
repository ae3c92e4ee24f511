from collections.abc import Callable
from pathlib import Path

import numpy as np

from scratchnet.data import (
    check_dataset,
    write_generated,
    write_mask,
)


def test_check_counts_boxes_and_instance_masks(tmp_path: Path) -> None:
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


def test_check_looks_at_instance_masks(make_folder: Callable[..., Path]) -> None:
    root = make_folder("ab")
    write_mask(root / "objects" / "a.png", np.zeros((5, 8), np.uint8))
    (root / "objects" / "b.png").write_bytes(b"")
    problems = check_dataset(root).problems
    assert len(problems) == 2
    assert "objects/a.png is 5×8 but its image 6×8" in problems[0]
    assert "objects/b.png: is empty" in problems[1]
