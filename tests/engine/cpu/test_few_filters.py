"""Convolution into a handful of channels: multiply first, slide afterwards."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratchnet.engine.cpu import few_filters, im2col
from scratchnet.ops.geometry import ConvSpec
from tests import naive
from tests.compare import assert_close, numbers

# x, kernel, filters, padding, dilation
CASES = {
    "3×3": ((2, 6, 7, 8), (3, 3), 1, (0, 0), (1, 1)),
    "3×3 padded": ((2, 6, 7, 8), (3, 3), 2, (1, 1), (1, 1)),
    "7×7": ((1, 9, 8, 4), (7, 7), 1, (3, 3), (1, 1)),
    "uneven": ((2, 8, 9, 5), (2, 4), 3, (0, 2), (3, 1)),
    "even kernel": ((2, 5, 6, 4), (4, 2), 1, (2, 1), (1, 1)),
    "dilation": ((1, 9, 8, 6), (3, 3), 1, (2, 3), (2, 3)),
    "padding over the kernel": ((1, 3, 4, 8), (3, 3), 1, (5, 4), (1, 1)),
    "one pixel": ((1, 1, 1, 8), (3, 3), 1, (1, 1), (1, 1)),
    "kernel over the map": ((2, 2, 3, 4), (5, 5), 1, (2, 2), (1, 1)),
}


def problem(case, dtype=np.float64):
    x_shape, kernel, c_out, padding, dilation = CASES[case]
    x, weight = numbers(*x_shape, dtype=dtype), numbers(*kernel, x_shape[3], c_out, seed=1, dtype=dtype)
    conv = ConvSpec(kernel, (1, 1), padding, dilation, 1)
    size = conv.output_size(*x_shape[1:3])
    return x, weight, conv, size, numbers(x_shape[0], *size, c_out, seed=2, dtype=dtype)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("scratch", [1, 2000, 2 << 20])
@pytest.mark.parametrize("case", CASES)
def test_it_agrees_with_loops(monkeypatch, cores, case, scratch, count, dtype):
    """Blocks of a single row may lie in the padding alone."""
    cores(count)
    monkeypatch.setattr(few_filters, "SCRATCH_BYTES", scratch)
    x, weight, conv, size, dy = problem(case, dtype)
    settings = {"padding": conv.padding, "dilation": conv.dilation}
    assert_close(few_filters.convolve(x, weight, conv, size), naive.conv2d(x, weight, None, **settings), dtype)
    dweight = naive.conv2d_backward(dy, x, weight, **settings)[1]
    assert_close(few_filters.weight_gradient(dy, x, weight, conv), dweight, dtype)


@given(
    st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), st.integers(1, 4), st.integers(1, 4),
    st.integers(0, 5), st.integers(0, 5), st.integers(1, 3), st.sampled_from([1, 500, 1 << 20]),
)  # fmt: skip
def test_any_geometry(n, h, w, kh, kw, ph, pw, d, scratch):
    h, w = max(h, d * (kh - 1) + 1 - 2 * ph), max(w, d * (kw - 1) + 1 - 2 * pw)
    conv = ConvSpec((kh, kw), (1, 1), (ph, pw), (d, d), 1)
    x, weight = numbers(n, h, w, 3), numbers(kh, kw, 3, 2, seed=1)
    size = conv.output_size(h, w)
    dy = numbers(n, *size, 2, seed=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(few_filters, "SCRATCH_BYTES", scratch)
        assert_close(few_filters.convolve(x, weight, conv, size), im2col.convolve(x, weight, conv, size))
        expected = im2col.weight_gradient(dy, x, weight, conv)
        assert_close(few_filters.weight_gradient(dy, x, weight, conv), expected)
