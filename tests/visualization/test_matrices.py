"""Matrices drawn as grids of numbers."""

from itertools import pairwise

import numpy as np
import pytest

from scratchnet.visualization import ROLES, draw_matrix, panels
from scratchnet.visualization.matrices import format_number


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_writes_numbers_short():
    _, (axes,) = panels(2, 2)
    draw_matrix(axes, np.array([[1.0, 0.25, -3.10], [0.0, -0.0, -0.001]]))
    assert texts(axes) == ["1", "0.25", "−3.1", "0", "0", "0"]


def test_zeros_can_be_left_blank():
    _, (axes,) = panels(2, 2)
    draw_matrix(axes, np.eye(3), zeros=False)
    assert texts(axes) == ["1"] * 3


def test_values_that_are_not_finite_are_drawn():
    _, (axes,) = panels(2, 2)
    draw_matrix(axes, np.array([[np.nan, np.inf], [-np.inf, 2.0]]))
    assert texts(axes) == ["NaN", "∞", "−∞", "2"]
    assert [patch.get_facecolor()[3] for patch in axes.patches] == [0.55] * 4


def test_marks_the_cell_at_row_and_column():
    _, (axes,) = panels(2, 2)
    draw_matrix(axes, np.zeros((2, 3)), marked=[(1, 2)])
    (frame,) = [patch for patch in axes.patches if not patch.get_fill()]
    assert frame.get_xy() == (2, 1)


def test_roles_differ_in_lightness():
    def lightness(colour):
        red, green, blue = bytes.fromhex(colour[1:])
        return 0.299 * red + 0.587 * green + 0.114 * blue

    shades = sorted(lightness(ROLES[role]) for role in ROLES)
    assert min(b - a for a, b in pairwise(shades)) >= 10


def test_an_unknown_role_is_an_error():
    _, (axes,) = panels(2, 2)
    with pytest.raises(KeyError, match="sky"):
        draw_matrix(axes, np.ones((1, 1)), role="sky")


@pytest.mark.parametrize(("value", "text"), [(-0.5, "−0.5"), (-0.001, "0"), (10, "10"), (1 / 3, "0.33"), (-7, "−7")])
def test_numbers(value, text):
    assert format_number(value) == text
