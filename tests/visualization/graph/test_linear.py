"""Linear operations as matrices."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from scratchnet.ops.convolution import conv2d
from scratchnet.ops.pooling import max_pool2d, max_unpool2d
from scratchnet.ops.transposed import conv_transpose2d
from scratchnet.visualization import ROLES, draw_operator, operator_matrix, panels, transpose_figure

rng = np.random.default_rng(5)


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 1), ((2, 1), (0, 2))])
def test_transposed_convolution_is_the_transpose(stride, padding):
    weight = rng.standard_normal((3, 2, 2, 3))
    down = operator_matrix(lambda x: conv2d(x, weight, None, stride, padding), (5, 5, 2))
    small = conv2d(np.zeros((1, 5, 5, 2)), weight, None, stride, padding).shape[1:]
    up = operator_matrix(lambda y: conv_transpose2d(y, weight, None, stride, padding), small)
    # sizes that do not fit lose rows at the end: nothing of the convolution reaches them
    back = conv_transpose2d(np.zeros((1, *small)), weight, None, stride, padding).shape[1:]
    kept = np.arange(50).reshape(5, 5, 2)[: back[0], : back[1]].ravel()
    np.testing.assert_allclose(up, down.T[kept], atol=1e-12)


def test_unpooling_with_given_switches_is_a_matrix_of_ones():
    _, switches = max_pool2d(rng.standard_normal((1, 4, 4, 1)), 2)
    matrix = operator_matrix(lambda y: max_unpool2d(y, switches), (2, 2, 1))
    assert matrix.shape == (16, 4)
    assert (matrix.sum(axis=0) == 1).all()
    assert (np.sort(matrix.ravel())[-4:] == 1).all()


@pytest.mark.parametrize(
    "function",
    [lambda x: x + 1, lambda x: np.maximum(x, 0), lambda x: max_pool2d(x, 2)[0]],
    ids=["bias", "relu", "pool"],
)
def test_what_is_not_linear_has_no_matrix(function):
    with pytest.raises(ValueError, match="not linear"):
        operator_matrix(function, (2, 2, 1))


def test_the_drawing_writes_the_weights_of_every_row():
    figure = transpose_figure(np.arange(1, 10).reshape(3, 3), (4, 4))
    left, right = figure.axes
    weights = [text.get_text() for text in left.texts if text.get_text().isdigit()]
    assert weights == [str(i) for i in range(1, 10)] * 4  # row by row
    assert sum(text.get_text().isdigit() for text in right.texts) == 36
    assert [t.get_text() for t in right.texts if not t.get_text().isdigit()] == ["2×2 in", "4×4 out"]


def test_zeros_are_white_and_the_largest_has_the_colour_of_weights():
    _, (axes,) = panels(2, 2)
    draw_operator(axes, np.array([[0.0, -2.0]]), (1, 2), (1, 1))
    np.testing.assert_allclose(axes.images[0].get_array()[0], [[1, 1, 1], to_rgb(ROLES["weight"])])
    with pytest.raises(ValueError, match="does not map"):
        draw_operator(axes, np.eye(3), (1, 2), (1, 3))
