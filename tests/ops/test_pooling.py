import numpy as np
import pytest

from scratchnet.ops.pooling import (
    max_pool2d,
    max_pool2d_backward,
    max_unpool2d,
    max_unpool2d_backward,
    window_values,
)
from scratchnet.ops.switches import check_windows
from tests import naive
from tests.compare import assert_close, distinct, image, numbers

# map (h, w), then kernel, stride, padding, ceil mode
CASES = {
    "2×2": ((6, 8), 2, None, 0, False),
    "2×2, odd size": ((7, 5), 2, None, 0, False),
    "2×2, ceil": ((7, 5), 2, None, 0, True),
    "3×3": ((9, 7), 3, None, 0, False),
    "uneven": ((8, 9), (2, 3), None, 0, False),
    "overlapping": ((7, 8), 3, 2, 0, False),
    "overlapping, padded": ((7, 8), 3, 2, 1, False),
    "overlapping, padded, ceil": ((6, 9), 3, 2, 1, True),
    "overlapping by all but one": ((5, 6), 3, 1, 1, False),
    "overlapping one way": ((6, 6), (3, 2), (1, 2), (1, 0), False),
    "gaps between windows": ((8, 9), 2, 3, 1, True),
    "whole map": ((4, 5), (4, 5), None, 0, False),
    "one pixel windows": ((3, 4), 1, 1, 0, False),
}


@pytest.mark.parametrize("case", CASES)
def test_pooling_and_unpooling_agree_with_loops(case, pieces, form, dtype):
    (h, w), *settings = CASES[case]
    x = distinct(4, h, w, 3, dtype=dtype)
    y, switches = max_pool2d(x, *settings)
    expected, slow = naive.max_pool2d(x, *settings)
    assert_close(y, expected, dtype)
    np.testing.assert_array_equal(switches.index, slow.index)
    assert switches.index.dtype == np.uint8
    assert (switches.size, switches.kernel, switches.stride, switches.padding) == (
        slow.size,
        slow.kernel,
        slow.stride,
        slow.padding,
    )
    values, gradient = numbers(*y.shape, dtype=dtype), numbers(*x.shape, seed=1, dtype=dtype)
    assert_close(max_unpool2d(values, switches), naive.max_unpool2d(values, slow), dtype)
    assert_close(max_unpool2d_backward(gradient, switches), naive.max_unpool2d_backward(gradient, slow), dtype)
    assert_close(max_pool2d_backward(values, switches), naive.max_unpool2d(values, slow), dtype)
    masked = naive.max_unpool2d(np.where(y > 0, values, 0), slow)
    assert_close(max_pool2d_backward(values, switches, y), masked, dtype)


def test_the_lectures_example(form):
    x = image([[3, 9, 6, 2], [5, 2, 1, 8], [12, 3, 9, 7], [2, 5, 6, 2]])
    y, switches = max_pool2d(x, 2)
    assert y[0, :, :, 0].tolist() == [[9, 8], [12, 9]]
    at_winners = max_unpool2d(np.ones_like(y), switches)[0, :, :, 0]
    assert at_winners.tolist() == [[0, 1, 0, 0], [0, 0, 0, 1], [1, 0, 1, 0], [0, 0, 0, 0]]
    unpooled = max_unpool2d(image([[5, 7], [9, 12]]), switches)[0, :, :, 0]
    assert unpooled.tolist() == [[0, 5, 0, 0], [0, 0, 0, 7], [9, 0, 12, 0], [0, 0, 0, 0]]


def test_the_course_slides_example(form):
    _, switches = max_pool2d(image([[1, 2, 6, 3], [3, 5, 2, 1], [1, 2, 2, 1], [7, 3, 4, 8]]), 2)
    unpooled = max_unpool2d(image([[1, 2], [3, 4]]), switches)[0, :, :, 0]
    assert unpooled.tolist() == [[0, 0, 2, 0], [0, 1, 0, 0], [0, 0, 0, 0], [3, 0, 0, 4]]


def test_padding_never_wins_over_negative_numbers(form):
    x = -1 - np.arange(16.0).reshape(1, 4, 4, 1)
    y, switches = max_pool2d(x, 3, 2, 1)
    assert y[0, :, :, 0].tolist() == [[-1, -2], [-5, -6]]
    assert max_unpool2d(y, switches).sum() == y.sum()  # nothing was put into the padding


def test_overhanging_windows_of_ceil_mode_keep_negative_maxima(form):
    y, _ = max_pool2d(np.full((1, 3, 3, 1), -7.0), 2, ceil_mode=True)
    assert y[0, :, :, 0].tolist() == [[-7, -7], [-7, -7]]


def test_the_first_maximum_in_reading_order_wins_a_tie(form):
    x = image([[1, 4, 4], [4, 4, 0], [0, 0, 4]])
    assert max_pool2d(x, 3)[1].index.item() == 1
    assert max_pool2d(np.zeros((1, 4, 4, 2)), 2)[1].index.max() == 0
    assert max_pool2d(image([[1, 3], [3, 3]]), 2)[1].index.item() == 1
    gradient = max_pool2d_backward(np.ones((1, 1, 1, 1)), max_pool2d(x, 3)[1])
    assert gradient[0, :, :, 0].tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 0]]


def test_a_tie_in_a_padded_window_goes_to_the_first_real_pixel(form):
    _, switches = max_pool2d(np.zeros((1, 4, 4, 1)), 3, 2, 1)
    assert switches.index[0, :, :, 0].tolist() == [[4, 3], [1, 0]]


@pytest.mark.parametrize(("kernel", "switch_type"), [((16, 16), np.uint8), ((16, 17), np.uint16), (20, np.uint16)])
def test_large_windows_get_wider_switches(kernel, switch_type, form):
    h, w = (kernel, kernel) if isinstance(kernel, int) else kernel
    x = np.zeros((1, h, 2 * w, 1))
    x[0, h - 1, w - 1] = x[0, h - 1, w] = 1  # the last pixel of the first window, the first of the second's last row
    y, switches = max_pool2d(x, kernel)
    assert switches.index.dtype == switch_type
    assert switches.index.ravel().tolist() == [h * w - 1, (h - 1) * w]
    np.testing.assert_array_equal(max_unpool2d(y, switches), x)


def test_unpooling_restores_an_odd_size(form):
    x = distinct(1, 45, 60, 2)
    y, switches = max_pool2d(x, 2, ceil_mode=True)
    assert y.shape == (1, 23, 30, 2)
    restored = max_unpool2d(y, switches)
    assert restored.shape == x.shape
    np.testing.assert_array_equal(restored[restored != 0], x[restored != 0])


def test_values_that_chose_one_pixel_are_summed(form):
    x = image([[0, 0, 0], [0, 9, 0], [0, 0, 0]])
    y, switches = max_pool2d(x, 2, 1)
    assert y.ravel().tolist() == [9, 9, 9, 9]
    assert max_unpool2d(image([[1, 2], [3, 4]]), switches)[0, 1, 1, 0] == 10
    assert max_unpool2d(image([[1, 2], [3, 4]]), switches).sum() == 10


def test_nan_in_a_window_makes_its_maximum_nan(form):
    for place in range(4):
        x = np.array([1.0, 2.0, 3.0, 4.0])
        x[place] = np.nan
        assert np.isnan(max_pool2d(x.reshape(1, 2, 2, 1), 2)[0]).all()


def test_the_input_is_left_alone(form):
    x = distinct(1, 5, 5, 2)
    before = x.copy()
    y, switches = max_pool2d(x, 3, 2, 1)
    kept = switches.index.copy()
    max_unpool2d(y, switches)
    max_unpool2d_backward(x, switches)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(switches.index, kept)


def test_errors_say_what_came_and_what_was_expected(form):
    with pytest.raises(ValueError, match=r"padding \(2, 2\) is more than half the window \(3, 3\)"):
        max_pool2d(np.zeros((1, 4, 4, 1)), 3, 2, 2)
    with pytest.raises(ValueError, match="a window of 5 does not fit into a map of 4"):
        max_pool2d(np.zeros((1, 4, 4, 1)), 5)
    _, switches = max_pool2d(np.zeros((1, 4, 4, 3)), 2)
    with pytest.raises(ValueError, match=r"x \(1, 2, 2, 4\) and its switches \(1, 2, 2, 3\) must have the same shape"):
        max_unpool2d(np.zeros((1, 2, 2, 4)), switches)


@pytest.mark.parametrize("case", CASES)
def test_windows_are_read_in_order_with_the_border_filled(case):
    (h, w), kernel, stride, padding, ceil_mode = CASES[case]
    x = distinct(2, h, w, 3)
    size, k, s, p = check_windows(x.shape, kernel, stride, padding, ceil_mode)
    values = window_values(x, size, k, s, p, fill=-7)
    assert values.shape == (2, *size, k[0] * k[1], 3)
    for o, q, i, j in np.ndindex(*size, *k):
        row, column = o * s[0] + i - p[0], q * s[1] + j - p[1]
        inside = 0 <= row < h and 0 <= column < w
        np.testing.assert_array_equal(values[:, o, q, i * k[1] + j], x[:, row, column] if inside else -7)
