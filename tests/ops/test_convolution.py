import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratchnet.engine.modes import textbook
from scratchnet.ops.convolution import col2im, conv2d, conv2d_backward, im2col
from scratchnet.ops.geometry import ConvSpec
from tests import naive
from tests.compare import assert_close, numbers

# x (n, h, w, c_in), weight (kh, kw, c_in / groups, c_out), settings
CASES = {
    "3×3": ((2, 6, 7, 3), (3, 3, 3, 4), {}),
    "3×3 padded": ((2, 6, 7, 3), (3, 3, 3, 4), {"padding": 1}),
    "1×1": ((2, 5, 4, 3), (1, 1, 3, 6), {}),
    "1×1 stride 2": ((2, 5, 4, 3), (1, 1, 3, 2), {"stride": 2}),
    "1×1 padded": ((1, 3, 4, 2), (1, 1, 2, 2), {"padding": 1}),
    "1×1 groups": ((1, 3, 4, 4), (1, 1, 2, 6), {"groups": 2}),
    "stride 2, odd size": ((2, 7, 9, 2), (3, 3, 2, 3), {"stride": 2, "padding": 1}),
    "stride 2, last rows unused": ((1, 8, 6, 2), (3, 3, 2, 3), {"stride": 2}),
    "stride over the kernel": ((1, 9, 10, 2), (2, 2, 2, 3), {"stride": 3, "padding": 1}),
    "dilation 2": ((2, 8, 7, 2), (3, 3, 2, 3), {"dilation": 2, "padding": 2}),
    "dilation 3, stride 2": ((1, 9, 9, 2), (3, 3, 2, 3), {"dilation": 3, "stride": 2, "padding": 3}),
    "padding over the kernel": ((1, 3, 4, 2), (3, 3, 2, 2), {"padding": 4}),
    "even kernel": ((2, 5, 6, 2), (4, 2, 2, 3), {"padding": (2, 1)}),
    "everything uneven": (
        (2, 8, 9, 2),
        (2, 4, 2, 3),
        {"stride": (2, 3), "padding": (0, 2), "dilation": (3, 1)},
    ),
    "groups 2": ((2, 5, 6, 4), (3, 3, 2, 6), {"groups": 2, "padding": 1}),
    "groups 3, stride 2": ((2, 5, 6, 6), (3, 2, 2, 3), {"groups": 3, "stride": 2}),
    "depthwise": ((2, 5, 6, 4), (3, 3, 1, 4), {"groups": 4, "padding": 1}),
    "kernel as large as the map": ((3, 4, 5, 2), (4, 5, 2, 6), {}),
    "one pixel": ((1, 1, 1, 3), (3, 3, 3, 2), {"padding": 1}),
    "fewer pixels than filters": ((1, 3, 4, 2), (3, 3, 2, 13), {"padding": 1}),
    "fewer pixels than filters, dilation 2": ((1, 5, 5, 2), (3, 2, 2, 26), {"padding": (2, 1), "dilation": 2}),
}


def passes(case, dtype, conv2d=conv2d, conv2d_backward=conv2d_backward):
    """Return the output and all gradients of a case."""
    x_shape, w_shape, settings = CASES[case]
    x, weight = numbers(*x_shape, dtype=dtype), numbers(*w_shape, seed=1, dtype=dtype)
    bias = numbers(w_shape[3], seed=2, dtype=dtype)
    y = conv2d(x, weight, bias, **settings)
    return y, *conv2d_backward(numbers(*y.shape, seed=3, dtype=dtype), x, weight, **settings)


@pytest.mark.parametrize("case", CASES)
def test_the_plain_form_agrees_with_loops(case, dtype):
    with textbook():
        found = passes(case, dtype)
    for actual, expected in zip(found, passes(case, dtype, naive.conv2d, naive.conv2d_backward), strict=True):
        assert_close(actual, expected, dtype)


@pytest.mark.parametrize("case", CASES)
def test_the_fast_form_agrees_with_the_plain_one_and_with_loops(case, dtype):
    found = passes(case, dtype)
    with textbook():
        plain = passes(case, dtype)
    loops = passes(case, dtype, naive.conv2d, naive.conv2d_backward)
    for actual, expected, by_loops in zip(found, plain, loops, strict=True):
        assert_close(actual, expected, dtype)
        assert_close(actual, by_loops, dtype)


@pytest.mark.parametrize("plain", [True, False])
def test_no_images_are_no_outputs(plain):
    x, weight, dy = np.zeros((0, 5, 6, 4)), numbers(3, 3, 2, 6), np.zeros((0, 5, 6, 6))
    with textbook(plain):
        assert conv2d(x, weight, padding=1, groups=2).shape == (0, 5, 6, 6)
        dx, dweight, dbias = conv2d_backward(dy, x, weight, padding=1, groups=2)
    assert dx.shape == x.shape
    assert not dweight.any()
    assert not dbias.any()


@given(
    st.integers(1, 2), st.tuples(st.integers(1, 7), st.integers(1, 7)), st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.integers(1, 3), st.integers(0, 3), st.integers(1, 3), st.sampled_from([1, 2]),
)  # fmt: skip
def test_im2col_and_col2im_are_adjoint(n, size, kernel, stride, padding, dilation, groups):
    """⟨columns(x), y⟩ = ⟨x, col2im(y)⟩ for all x and y."""
    h, w = (max(s, dilation * (k - 1) + 1 - 2 * padding) for s, k in zip(size, kernel, strict=True))
    conv = ConvSpec(kernel, (stride, stride), (padding, padding), (dilation, dilation), groups)
    x = numbers(n, h, w, 2 * groups)
    columns = im2col(x, conv)
    y = numbers(*columns.shape, seed=1)
    assert np.isclose((columns * y).sum(), (x * col2im(y, x.shape, conv)).sum(), rtol=1e-9, atol=1e-9)


def test_needs_input_grad_false_skips_the_input_gradient():
    x, weight = numbers(1, 4, 4, 2), numbers(3, 3, 2, 3)
    dy = numbers(1, 2, 2, 3)
    dx, dweight, dbias = conv2d_backward(dy, x, weight, needs_input_grad=False)
    assert dx is None
    assert_close(dweight, naive.conv2d_backward(dy, x, weight)[1])
    assert_close(dbias, dy.sum((0, 1, 2)))


def test_arguments_are_left_alone():
    x, weight, bias = numbers(2, 5, 5, 2), numbers(3, 3, 2, 3), numbers(3)
    dy = numbers(2, 5, 5, 3)
    before = [a.copy() for a in (x, weight, bias, dy)]
    conv2d(x, weight, bias, padding=1)
    conv2d_backward(dy, x, weight, padding=1)
    for array, copy in zip((x, weight, bias, dy), before, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_views_work_like_copies():
    """Crops and pieces of concatenated maps are views with gaps; strides must come from them, not from their shape."""
    whole = numbers(2, 9, 8, 6)
    x, weight = whole[:, 1:8, 2:, 1:4], numbers(3, 3, 3, 2, seed=1)
    np.testing.assert_array_equal(conv2d(x, weight, padding=1), conv2d(x.copy(), weight, padding=1))
    flipped = numbers(2, 3, 3, 3, seed=1).transpose(1, 2, 3, 0)
    np.testing.assert_allclose(conv2d(x, flipped), conv2d(x, flipped.copy()), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("x", "weight", "settings", "text"),
    [
        (
            (8, 12, 12, 3),
            (3, 3, 4, 16),
            {},
            r"conv2d: x has 3 channels in its last axis \(8, 12, 12, 3\) but weight expects 4 \(3, 3, 4, 16\)",
        ),
        ((1, 4, 4, 3), (3, 3, 2, 4), {"groups": 2}, r"x has 3 channels .* but weight expects 4 .* with 2 groups"),
        ((4, 4, 3), (3, 3, 3, 4), {}, r"conv2d: x has shape \(4, 4, 3\); expected 4 axes, \(n, h, w, c\)"),
        ((1, 4, 4, 4), (3, 3, 2, 5), {"groups": 2}, r"groups is 2, which does not divide the 5 filters"),
        ((1, 4, 4, 2), (3, 3, 2, 2), {"groups": 0}, "x has 2 channels"),
        ((1, 4, 4, 2), (5, 5, 2, 2), {}, "a window of 5 does not fit into a map of 4 padded by 0"),
        ((1, 4, 4, 2), (3, 3, 2, 2), {"stride": 0}, "stride is 0; expected an integer or a pair"),
        ((1, 4, 4, 2), (3, 3, 2, 2), {"padding": -1}, "padding is -1; expected"),
        ((1, 4, 4, 2), (3, 3, 2, 2), {"dilation": (1, 0)}, r"dilation is \(1, 0\); expected"),
    ],
)
def test_errors_say_what_came_and_what_was_expected(x, weight, settings, text):
    with pytest.raises(ValueError, match=text):
        conv2d(np.zeros(x), np.zeros(weight), **settings)
