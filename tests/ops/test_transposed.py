import numpy as np
import pytest

from scratchnet.engine.modes import textbook
from scratchnet.ops.transposed import conv_transpose2d, conv_transpose2d_backward
from tests import naive
from tests.compare import assert_close, numbers

# x (n, h, w, c_in), weight (kh, kw, c_out / groups, c_in), settings, output padding
CASES = {
    "3×3": ((2, 4, 5, 3), (3, 3, 2, 3), {}, 0),
    "3×3 padded": ((2, 4, 5, 3), (3, 3, 2, 3), {"padding": 1}, 0),
    "1×1": ((2, 4, 5, 3), (1, 1, 2, 3), {}, 0),
    "stride 2": ((2, 3, 4, 2), (3, 3, 3, 2), {"stride": 2}, 0),
    "stride 2, exactly twice": ((2, 3, 4, 2), (3, 3, 3, 2), {"stride": 2, "padding": 1}, 1),
    "4×4 stride 2": ((2, 3, 4, 2), (4, 4, 3, 2), {"stride": 2, "padding": 1}, 0),
    "2×2 stride 2": ((1, 3, 4, 2), (2, 2, 3, 2), {"stride": 2}, 0),
    "stride over the kernel": ((1, 3, 3, 2), (2, 2, 2, 2), {"stride": 3}, 2),
    "dilation 2": ((1, 4, 3, 2), (3, 3, 2, 2), {"dilation": 2, "padding": 1}, 0),
    "padding over the kernel": ((1, 9, 8, 2), (2, 2, 2, 2), {"padding": 3}, 0),
    "everything uneven": (
        (2, 4, 3, 2),
        (2, 4, 3, 2),
        {"stride": (3, 2), "padding": (0, 2), "dilation": (2, 1)},
        (2, 1),
    ),
    "groups 2": ((2, 4, 3, 4), (3, 3, 3, 4), {"groups": 2, "stride": 2}, 0),
    "groups 2, stride 1": ((2, 4, 3, 4), (3, 3, 1, 4), {"groups": 2, "padding": 1}, 0),
    "depthwise": ((1, 3, 3, 3), (4, 4, 1, 3), {"groups": 3, "stride": 2, "padding": 1}, 0),
    "from one pixel": ((3, 1, 1, 6), (5, 4, 2, 6), {}, 0),
}


def passes(case, dtype, forward=conv_transpose2d, backward=conv_transpose2d_backward):
    """Return the output and all gradients of a case."""
    x_shape, w_shape, settings, extra = CASES[case]
    x, weight = numbers(*x_shape, dtype=dtype), numbers(*w_shape, seed=1, dtype=dtype)
    bias = numbers(w_shape[2] * settings.get("groups", 1), seed=2, dtype=dtype)
    y = forward(x, weight, bias, output_padding=extra, **settings)
    return y, *backward(numbers(*y.shape, seed=3, dtype=dtype), x, weight, **settings)


@pytest.mark.parametrize("case", CASES)
def test_the_plain_form_agrees_with_loops(case, dtype):
    with textbook():
        found = passes(case, dtype)
    loops = passes(case, dtype, naive.conv_transpose2d, naive.conv_transpose2d_backward)
    for actual, expected in zip(found, loops, strict=True):
        assert_close(actual, expected, dtype)


@pytest.mark.parametrize("case", CASES)
def test_the_fast_form_agrees_with_the_plain_one_and_with_loops(case, dtype):
    found = passes(case, dtype)
    with textbook():
        plain = passes(case, dtype)
    loops = passes(case, dtype, naive.conv_transpose2d, naive.conv_transpose2d_backward)
    for actual, expected, by_loops in zip(found, plain, loops, strict=True):
        assert_close(actual, expected, dtype)
        assert_close(actual, by_loops, dtype)


def test_copies_of_the_filter_are_summed_where_they_overlap():
    """The course's one-dimensional example: [a, b] with filter [x, y, z] and stride 2."""
    (a, b), (x, y, z) = (2.0, 3.0), (5.0, 7.0, 11.0)
    line = np.array([a, b]).reshape(1, 1, 2, 1)
    kernel = np.array([x, y, z]).reshape(1, 3, 1, 1)
    result = conv_transpose2d(line, kernel, stride=(1, 2)).ravel()
    assert result.tolist() == [a * x, a * y, a * z + b * x, b * y, b * z]
    assert result[:-1].size == 2 * line.size  # crop one to get exactly twice the size


@pytest.mark.parametrize(("extra", "size"), [(0, 3), (1, 4)])
def test_output_padding_chooses_between_the_sizes_that_shrink_to_one(extra, size):
    y = conv_transpose2d(np.ones((1, 2, 2, 1)), np.ones((3, 3, 1, 1)), stride=2, padding=1, output_padding=extra)
    assert y.shape == (1, size, size, 1)
    if extra:  # the added row and column are part of the sum, not a border of zeros
        assert y[0, :, 3, 0].tolist() == [1, 2, 1, 1]


def test_needs_input_grad_false_skips_the_input_gradient():
    x, weight = numbers(1, 3, 3, 2), numbers(3, 3, 4, 2)
    dy = numbers(1, 5, 5, 4)
    dx, dweight, _ = conv_transpose2d_backward(dy, x, weight, needs_input_grad=False)
    assert dx is None
    assert_close(dweight, naive.conv_transpose2d_backward(dy, x, weight)[1])


@pytest.mark.parametrize(
    ("x", "weight", "settings", "text"),
    [
        ((1, 2, 2, 3), (3, 3, 5, 4), {}, r"x \(1, 2, 2, 3\) must have as many channels \(last axis\) as weight"),
        ((2, 2, 4), (3, 3, 5, 4), {}, r"conv_transpose2d: x has shape \(2, 2, 4\)"),
        (
            (1, 2, 2, 4),
            (3, 3, 5, 4),
            {"stride": 2, "output_padding": 2},
            r"output_padding \(2, 2\) must be smaller than the stride \(2, 2\)",
        ),
        ((1, 1, 1, 4), (3, 3, 5, 4), {"padding": 2}, "a transposed convolution of a map of 1 would have size -1"),
        ((1, 2, 2, 4), (3, 3, 5, 4), {"groups": 3}, "groups is 3, which does not divide the 4 filters"),
    ],
)
def test_errors_say_what_came_and_what_was_expected(x, weight, settings, text):
    with pytest.raises(ValueError, match=text):
        conv_transpose2d(np.zeros(x), np.zeros(weight), **settings)
