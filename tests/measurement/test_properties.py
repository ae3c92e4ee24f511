import numpy as np
import pytest

from scratchnet.measurement import Separation, measure_objects, separate_objects
from scratchnet.measurement.properties import columns

pytest.importorskip("skimage")

NAMES = ("ground", "square", "disc")


def objects():
    mask = np.zeros((50, 60), np.uint8)
    mask[5:15, 10:20] = 1
    y, x = np.mgrid[:50, :60]
    mask[(y - 30) ** 2 + (x - 40) ** 2 <= 144] = 2
    mask[48:, :3] = 1
    return separate_objects(mask, Separation(min_area=1)).objects


def test_a_square_and_a_disc_by_hand():
    table = measure_objects(objects(), NAMES)
    assert list(table) == columns()
    assert table["object"] == [1, 2, 3]
    assert table["class"] == ["square", "disc", "square"]
    assert table["area_px"] == [100, 441, 6]
    assert table["at_border"] == [0, 0, 1]
    assert (table["centroid_row_px"][0], table["centroid_column_px"][0]) == (9.5, 14.5)
    assert table["perimeter_px"][0] == 36  # through the centres of the outermost pixels: 4 · (10 − 1)
    assert table["equivalent_diameter_px"][0] == pytest.approx(2 * np.sqrt(100 / np.pi))
    assert table["equivalent_diameter_px"][1] == pytest.approx(24, rel=0.02)
    assert table["perimeter_px"][1] == pytest.approx(2 * np.pi * 12, rel=0.05)
    assert table["major_axis_px"][1] == pytest.approx(24, rel=0.02)
    assert table["eccentricity"][:2] == pytest.approx([0, 0], abs=1e-6)
    assert table["solidity"][0] == 1
    assert table["major_axis_px"][0] == pytest.approx(4 * np.sqrt((10**2 - 1) / 12))  # 4 standard deviations


def test_micrometres():
    table = measure_objects(objects(), NAMES, pixel_size=0.5)
    assert list(table) == columns(0.5)
    assert table["area_um2"] == [25, 110.25, 1.5]
    assert table["perimeter_um"][0] == 18
    assert (table["centroid_row_um"][0], table["centroid_column_um"][0]) == (4.75, 7.25)


def test_mean_colours():
    found = objects()
    image = np.zeros((50, 60, 3), np.uint8)
    image[found.instances == 2] = (10, 20, 30)
    image[5:10, 10:20] = (100, 0, 200)  # half of the square
    table = measure_objects(found, NAMES, image)
    assert list(table) == columns(colours=True)
    assert [table[f"mean_{c}"][0] for c in ("red", "green", "blue")] == [50, 0, 100]
    assert [table[f"mean_{c}"][1] for c in ("red", "green", "blue")] == [10, 20, 30]
    with pytest.raises(ValueError, match="measure_objects"):
        measure_objects(found, NAMES, image[1:])


def test_no_objects_and_single_pixels():
    empty = separate_objects(np.zeros((4, 5), np.uint8)).objects
    assert measure_objects(empty, NAMES, np.zeros((4, 5, 3), np.uint8), 2.0) == {n: [] for n in columns(2.0, True)}
    dots = np.zeros((5, 9), np.uint8)
    dots[2, 1] = dots[2, 4] = dots[1:4, 7] = 1
    table = measure_objects(separate_objects(dots, Separation(min_area=1)).objects, NAMES)
    assert all(np.isfinite(values).all() for name, values in table.items() if name != "class")
