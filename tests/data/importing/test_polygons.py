import numpy as np
import pytest

from scratchnet.data.importing import polygons
from scratchnet.data.importing.polygons import fill_disc, fill_polygon


def painted(stamp, height, width):
    mask = np.zeros((height, width), bool)
    mask[stamp.window.slices] = stamp.inside
    return mask


def slow_polygon(rings, height, width, rule):
    """Count the edges left of every pixel centre, one pixel and one edge at a time."""
    mask = np.zeros((height, width), bool)
    for row in range(height):
        for column in range(width):
            x, y, turns, edges = column + 0.5, row + 0.5, 0, 0
            for ring in rings:
                for (x0, y0), (x1, y1) in zip(ring, [*ring[1:], ring[0]], strict=True):
                    if (y0 <= y) != (y1 <= y) and x0 + (y - y0) * (x1 - x0) / (y1 - y0) <= x:
                        turns += 1 if y0 < y1 else -1
                        edges += 1
            mask[row, column] = edges % 2 if rule == "even-odd" else turns != 0
    return mask


@pytest.mark.parametrize("rule", ["even-odd", "nonzero"])
@pytest.mark.parametrize("band", [1, 30, 1 << 20])
def test_polygons_are_those_of_the_slow_twin(rule, band, monkeypatch):
    monkeypatch.setattr(polygons, "_BAND_PIXELS", band)
    rng = np.random.default_rng(3)
    for case in range(60):
        step = (1, 2, 7)[case % 3]
        rings = [rng.integers(-5 * step, 18 * step, (rng.integers(3, 9), 2)) / step for _ in range(case % 2 + 1)]
        wanted = slow_polygon([ring.tolist() for ring in rings], 11, 14, rule)
        assert (painted(fill_polygon(rings, 11, 14, rule), 11, 14) == wanted).all(), rings


def test_an_asymmetric_shape_with_a_hole():
    outer = np.array([(1, 0), (6, 0), (6, 4), (1, 4)], float)
    hole = np.array([(2, 1), (4, 1), (4, 3), (2, 3)], float)
    wanted = ["0111110", "0100110", "0100110", "0111110", "0000000"]
    found = painted(fill_polygon([outer, hole], 5, 7), 5, 7)
    assert ["".join(map(str, row)) for row in found.astype(int)] == wanted
    filled = painted(fill_polygon([outer, hole], 5, 7, "nonzero"), 5, 7)
    assert filled.sum() == 20


def test_common_edges_neither_overlap_nor_leave_a_gap():
    corners = [np.array(points, float) for points in ([(0, 0), (9, 0), (4.5, 3.5)], [(9, 0), (9, 8), (4.5, 3.5)])]
    corners += [np.array(points, float) for points in ([(9, 8), (0, 8), (4.5, 3.5)], [(0, 8), (0, 0), (4.5, 3.5)])]
    assert (sum(painted(fill_polygon([c], 8, 9), 8, 9).astype(int) for c in corners) == 1).all()


def test_shapes_outside_are_empty():
    far = np.array([(50, 50), (60, 50), (60, 60)], float)
    assert not fill_polygon([far], 8, 9).inside.size
    assert not fill_polygon([-far], 8, 9).inside.size
    assert not fill_polygon([], 8, 9).inside.size
    assert not fill_disc(np.array([50.0, 50.0]), 3, 8, 9).inside.any()


def test_discs():
    centre = np.array([3.2, 4.9])
    y, x = np.mgrid[:8, :9] + 0.5
    assert (painted(fill_disc(centre, 2.6, 8, 9), 8, 9) == (np.hypot(x - 3.2, y - 4.9) <= 2.6)).all()
