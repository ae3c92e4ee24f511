import numpy as np

from scratchnet.measurement import Separation, separate_objects
from scratchnet.measurement.tables import Summary, csv_bytes


def found(*squares):
    mask = np.zeros((10, 20), np.uint8)
    for label, top, left, side in squares:
        mask[top : top + side, left : left + side] = label
    return separate_objects(mask, Separation(split=False, min_area=1)).objects


def test_cells():
    rows = [["a,b", 3, 1 / 3, None], ['"x"', 1234567, 1e-9, 0.5]]
    assert csv_bytes(rows).decode() == '"a,b",3,0.33333333,\n"""x""",1234567,1e-09,0.5\n'


def test_a_row_for_every_image_and_class():
    summary = Summary(("ground", "cell", "dust"), (1, 2), pixel_size=2)
    summary.add("a", found((1, 0, 0, 4), (1, 0, 6, 2), (2, 5, 5, 1)), 200)
    summary.add("b", found(), 150)
    assert summary.columns()[2:] == ["objects", "area_px", "mean_area_px", "area_um2", "mean_area_um2", "coverage"]
    assert summary.rows() == [
        ["a", "cell", 2, 20, 10, 80, 40, 0.1],
        ["a", "dust", 1, 1, 1, 4, 4, 0.005],
        ["b", "cell", 0, 0, None, 0, None, 0],
        ["b", "dust", 0, 0, None, 0, None, 0],
    ]
    cell, _ = summary.totals()
    assert (cell["objects"], cell["coverage"]) == (2, 20 / 350)


def test_classes_without_names_have_rows_if_they_occur():
    summary = Summary([f"class {i}" for i in range(256)])
    summary.add("a", found((7, 0, 0, 2)), 200)
    summary.add("b", found(), 200)
    assert [row[:3] for row in summary.rows()] == [["a", "class 7", 1], ["b", "class 7", 0]]
