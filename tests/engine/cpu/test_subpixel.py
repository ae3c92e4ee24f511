"""The gradient of a strided convolution, as interleaved small convolutions, against the sum of all taps (col2im)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratchnet.engine.cpu import im2col, subpixel
from scratchnet.engine.cpu.subpixel import Phases
from scratchnet.ops.geometry import ConvSpec
from tests import naive
from tests.compare import assert_close, numbers

# kernel, stride, padding, size
CASES = {
    "4×4 stride 2": ((4, 4), (2, 2), (1, 1), (8, 10)),
    "2×2 stride 2": ((2, 2), (2, 2), (0, 0), (6, 8)),
    "3×3 stride 3, padded": ((3, 3), (3, 3), (1, 1), (6, 9)),
    "2×3 at its size": ((2, 3), (2, 3), (0, 0), (6, 9)),
    "3×3 stride 2": ((3, 3), (2, 2), (1, 1), (7, 9)),
    "3×3 stride 2, even map": ((3, 3), (2, 2), (1, 1), (8, 8)),
    "16×16 stride 8": ((16, 16), (8, 8), (4, 4), (24, 32)),
    "7×7 stride 2": ((7, 7), (2, 2), (3, 3), (11, 12)),
    "5×5 stride 3": ((5, 5), (3, 3), (2, 2), (13, 11)),
    "kernel under the stride": ((2, 2), (3, 3), (0, 0), (9, 10)),
    "kernel far under the stride": ((1, 1), (4, 4), (0, 0), (9, 10)),
    "kernel under the stride, padded": ((2, 3), (5, 4), (1, 1), (12, 9)),
    "rows that no output saw": ((3, 3), (4, 4), (0, 0), (14, 10)),
    "uneven": ((2, 5), (1, 3), (1, 2), (7, 11)),
    "stride 1 in one direction": ((3, 4), (2, 1), (1, 0), (8, 9)),
    "padding over the kernel": ((2, 2), (2, 2), (3, 3), (6, 6)),
    "one pixel": ((3, 3), (2, 2), (1, 1), (1, 1)),
}


def problem(kernel, stride, padding, size, dtype):
    conv = ConvSpec(kernel, stride, padding, (1, 1), 1)
    weight = numbers(*kernel, 3, 2, dtype=dtype)
    return numbers(2, *conv.output_size(*size), 2, seed=1, dtype=dtype), weight, size, conv


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("scratch", [1, 4 << 20])
@pytest.mark.parametrize("case", CASES)
def test_it_agrees_with_the_sum_of_all_taps(monkeypatch, cores, case, scratch, count, dtype):
    cores(count)
    for module in (im2col, subpixel):
        monkeypatch.setattr(module, "SCRATCH_BYTES", scratch)
    monkeypatch.setattr(subpixel, "MIN_ROWS", 1 if scratch == 1 else 256)  # blocks of windows, or rows of the kernel
    dy, weight, size, conv = problem(*CASES[case], dtype)
    dx = subpixel.input_gradient(dy, weight, size, conv)
    assert_close(dx, im2col.input_gradient(dy, weight, size, conv), dtype)
    assert dx.flags.c_contiguous  # a ReLU may overwrite it


@pytest.mark.parametrize("case", CASES)
def test_it_agrees_with_loops(case):
    dy, weight, size, conv = problem(*CASES[case], float)
    x = numbers(2, *size, 3)
    expected = naive.conv2d_backward(dy, x, weight, conv.stride, conv.padding)[0]
    assert_close(subpixel.input_gradient(dy, weight, size, conv), expected)


axes = st.tuples(st.integers(1, 7), st.integers(1, 6), st.integers(0, 4), st.integers(0, 12))


@given(axes, axes)
def test_any_geometry(down, across):
    kernel, stride, padding, extra = zip(down, across, strict=True)
    size = tuple(max(1, k - 2 * p) + e for k, p, e in zip(kernel, padding, extra, strict=True))
    dy, weight, size, conv = problem(kernel, stride, padding, size, float)
    assert_close(subpixel.input_gradient(dy, weight, size, conv), im2col.input_gradient(dy, weight, size, conv))


def test_a_4x4_kernel_at_stride_2_is_four_2x2_convolutions():
    conv = ConvSpec((4, 4), (2, 2), (1, 1), (1, 1), 1)
    assert list(subpixel._phases(conv, 0)) == [Phases(0, 1, 1, 2, 0), Phases(1, 1, 0, 2, 1)]


def test_phases_that_see_the_same_pixels_share_a_product():
    conv = ConvSpec((16, 16), (8, 8), (4, 4), (1, 1), 1)
    assert list(subpixel._phases(conv, 0)) == [Phases(0, 4, 4, 2, 0), Phases(4, 4, 0, 2, 1)]


@pytest.mark.parametrize("kernel", range(1, 8))
@pytest.mark.parametrize("stride", range(1, 7))
@pytest.mark.parametrize("padding", range(4))
def test_every_tap_belongs_to_one_phase(kernel, stride, padding):
    conv = ConvSpec((kernel, 1), (stride, 1), (padding, 0), (1, 1), 1)
    taps, found = [], set()
    for phases in subpixel._phases(conv, 0):
        for f in range(phases.count):
            first = phases.start + f
            taps += range(first, first + stride * phases.taps, stride)
            assert first == (phases.first + f + padding) % stride
            found.add(phases.first + f)
    assert sorted(taps) == list(range(kernel))
    assert len(found) == min(kernel, stride)
