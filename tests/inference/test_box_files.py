import json

import numpy as np
import pytest

from scratchnet.data import Window
from scratchnet.inference.box_files import proposals_from_file
from scratchnet.utils.errors import UserError

IMAGE = np.zeros((50, 60, 3), np.uint8)


def write(tmp_path, text, name="boxes.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_a_table(tmp_path):
    path = write(tmp_path, "image,x0,y0,x1,y1\nb.png,0,0,9,9\na,5,6,15,26\na.jpg, 1.4, 2.6, 30, 40\n")
    boxes = proposals_from_file(path)
    assert boxes("a", IMAGE) == [Window(6, 5, 20, 10), Window(3, 1, 37, 29)]
    assert boxes("b", IMAGE) == [Window(0, 0, 9, 9)]


def test_higher_scores_come_first(tmp_path):
    path = write(
        tmp_path, "score,image,kind,x0,y0,x1,y1\n0.2,a,x,0,0,2,2\n0.9,a,y,0,0,3,3\n,a,z,0,0,4,4\n.2,a,,0,0,5,5\n"
    )
    assert [box.height for box in proposals_from_file(path)("a", IMAGE)] == [3, 2, 5, 4]


def test_a_list_of_objects(tmp_path):
    rows = [
        {"image": "a.png", "x0": 1, "y0": 2, "x1": 3, "y1": 5},
        {"image": "a", "x0": 0, "y0": 0, "x1": 9, "y1": 9, "score": 1},
    ]
    boxes = proposals_from_file(write(tmp_path, json.dumps(rows), "boxes.json"))
    assert boxes("a", IMAGE) == [Window(0, 0, 9, 9), Window(2, 1, 3, 2)]


def test_what_a_generated_set_writes(tmp_path):
    path = write(tmp_path, "image,class,x0,y0,x1,y1,size\nshapes-0000,disc,22,5,41,24,19.50\n")
    assert proposals_from_file(path)("shapes-0000", IMAGE) == [Window(5, 22, 19, 19)]


def test_boxes_may_reach_out_of_the_image(tmp_path):
    path = write(tmp_path, "image,x0,y0,x1,y1\na,-20,-10,120,70\n")
    assert proposals_from_file(path)("a", IMAGE) == [Window(-10, -20, 80, 140)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must name the columns image,x0,y0,x1,y1"),
        ("image,x,y\na,1,2\n", "must name the columns image,x0,y0,x1,y1"),
        ("image,x0,y0,x1,y1\n", "contains no boxes"),
        ("image,x0,y0,x1,y1\na,1,2,3\n", "line 2: expected an image's name, x0, y0, x1, y1"),
        ("image,x0,y0,x1,y1\na,1,2,3,4\nb,1,two,3,4\n", "line 3: expected an image's name, x0, y0, x1, y1"),
        ("image,x0,y0,x1,y1\na,1,2,nan,4\n", "line 2: expected"),
        ("image,x0,y0,x1,y1\na,1,2,inf,4\n", "line 2: expected"),
        ("image,x0,y0,x1,y1,score\na,1,2,3,4,nan\n", "line 2: expected a finite score, got nan"),
        ("image,x0,y0,x1,y1\na,3,2,3,4\n", "line 2: expected x0 < x1 and y0 < y1, got 3, 2, 3, 4"),
        ("image,x0,y0,x1,y1\na,1,4,3,2\n", "expected x0 < x1 and y0 < y1"),
    ],
)
def test_tables_that_make_no_sense(tmp_path, text, words):
    with pytest.raises(UserError, match=words) as error:
        proposals_from_file(write(tmp_path, text))
    assert "boxes.csv" in str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not valid JSON"),
        ('{"a": 1}', "expected a list of boxes"),
        ("[1]", "expected a list of boxes"),
        ("[]", "contains no boxes"),
        ('[{"image": "a", "x0": 1}]', "box 1: expected an image's name, x0, y0, x1, y1"),
        ('[{"image": "a", "x0": [1], "y0": 1, "x1": 2, "y1": 2}]', "box 1: expected"),
    ],
)
def test_lists_that_make_no_sense(tmp_path, text, words):
    with pytest.raises(UserError, match=words):
        proposals_from_file(write(tmp_path, text, "boxes.json"))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match=r"none\.csv: no such file; check the name"):
        proposals_from_file(tmp_path / "none.csv")


def test_an_image_without_boxes_and_boxes_of_another_image(tmp_path):
    path = write(tmp_path, "image,x0,y0,x1,y1\na,60,0,70,10\nb,0,0,500,10\nc,0,-10,10,0\n")
    boxes = proposals_from_file(path)
    with pytest.raises(UserError, match="has no box for the image d; add one, or use proposals_from_grid"):
        boxes("d", IMAGE)
    for name in "abc":
        with pytest.raises(UserError, match=f"a box of {name} .* is outside the image of 50×60 pixels"):
            boxes(name, IMAGE)
