"""Overlap counts of stamps, and their drawing."""

import numpy as np
import pytest
from matplotlib.patches import Rectangle

from scratchnet.visualization import draw_stamps, overlap_counts, overlap_figure, panels


def by_stamping(size, kernel, stride, padding):
    """Count by adding the stamps one by one."""
    side = (size - 1) * stride + kernel
    counts = np.zeros((side, side), int)
    for row, column in np.ndindex(size, size):
        counts[row * stride : row * stride + kernel, column * stride : column * stride + kernel] += 1
    return counts[padding : side - padding, padding : side - padding]


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(2, 2, 0), (3, 2, 1), (4, 2, 1), (5, 3, 0), (2, 3, 0)])
def test_counts_are_those_of_stamping(kernel, stride, padding):
    np.testing.assert_array_equal(overlap_counts(4, kernel, stride, padding), by_stamping(4, kernel, stride, padding))


@pytest.mark.parametrize(("kernel", "stride"), [(2, 2), (3, 2), (4, 2), (5, 3), (3, 1)])
def test_drawn_stamps_lie_over_each_pixel_as_often_as_is_written_there(kernel, stride):
    _, (axes,) = panels(3, 3)
    draw_stamps(axes, 4, kernel, stride)
    stamps = [patch for patch in axes.patches if isinstance(patch, Rectangle) and patch.get_width() > 1]
    stamps = [patch for patch in stamps if abs(patch.get_width() - kernel) < 0.1]
    written = [int(text.get_text()) for text in axes.texts]
    lying = [
        sum(patch.get_x() < column + 0.5 < patch.get_x() + patch.get_width() for patch in stamps)
        for column in range(len(written))
    ]
    assert lying == written
    for i, one in enumerate(stamps):  # none hides another
        for other in stamps[:i]:
            apart = abs(one.get_x() - other.get_x()) >= kernel
            assert apart or one.get_y() != other.get_y()


def test_the_figure_writes_the_map_below_its_row():
    figure = overlap_figure([(2, 2), (3, 2)], size=2)
    rows = [[int(text.get_text()) for text in axes.texts] for axes in figure.axes]
    assert rows[0] == [1] * 4
    assert rows[1] == [1, 1, 2, 1, 1]
    assert rows[3] == overlap_counts(2, 3, 2).ravel().tolist()
