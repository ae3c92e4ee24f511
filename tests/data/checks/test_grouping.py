from pathlib import Path

import numpy as np
import pytest

from scratchnet.data import check_dataset, write_image
from scratchnet.data.checks.grouping import grouped, summary_lines


@pytest.mark.parametrize(
    "same",
    [
        ["s/i/a.png is 6×8 but its mask s/m/a.png is 5×8", "s/i/b.png is 6×9 but its mask s/m/b.tif is 5×80"],
        [
            "m/a.png: mask value 7, but the 2 classes",
            "m/b c.png: mask value 3, 9, … (12 values), but the 2 classes",
        ],
        ["i/a.jpg: has no mask; put a.png into masks, or", "i/my b.jpg: has no mask; put my b.png into masks, or"],
        ["boxes.csv: cat, cell at x 1 to 2, y 3 to 4: reaches", "boxes.csv: dog, cell at x 9 to 12, y 3 to 4: reaches"],
    ],
)
def test_file_names_and_numbers_make_no_other_kind(same):
    other = "m/a.png: is empty"
    assert grouped([same[0], other, same[1]])[1:] == [[other]]


def test_different_problems_stay_apart():
    problems = ["a.png: is empty", "a.png: has no mask", "a.png: mask value 3", "a.png: mask with transparent pixels"]
    assert grouped(problems) == [[problem] for problem in problems]


def test_a_group_has_two_lines():
    problems = [f"set/masks/{name}.png: is empty" for name in "abcdefgh"]
    first, others = summary_lines(problems, "set")
    assert first == "  set/masks/a.png: is empty"
    assert others == "    the same of 7 more: masks/b.png, masks/c.png, masks/d.png, …"
    lines = summary_lines([f"set/boxes.csv: {name}, cell at x 1 to 2, y 3 to 4: reaches" for name in "abc"], "set")
    assert lines[1] == "    the same of 2 more: boxes.csv"


def test_copies_and_sizes_do_not_flood(make_folder):
    root = make_folder("abcdefgh")
    for name in "abcdefgh":
        (root / "images" / f"{name}-copy.png").write_bytes((root / "images" / f"{name}.png").read_bytes())
        write_image(root / "masks" / f"{name}-copy.png", np.zeros((3, 3 + ord(name) % 8), np.uint8))
    report = check_dataset(root)
    assert len(report.duplicates) == 8
    assert len(report.problems) == 8
    text = report.text()
    assert text.count("same image: ") == 4
    assert "same image: 5 more groups (--verbose lists them)" in text
    assert len(report.problem_lines()) == 2
    assert report.text(verbose=True).count("same image: ") == 8
    assert report.text(verbose=True).count(f"{Path('masks', '')}") >= 8
