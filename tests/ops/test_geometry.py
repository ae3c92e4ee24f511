import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scratchnet.ops.geometry import pair, tap, transposed_size, windows
from tests import naive

sizes, kernels, strides = st.integers(1, 40), st.integers(1, 6), st.integers(1, 5)
paddings, dilations = st.integers(0, 6), st.integers(1, 4)


@given(sizes, kernels, strides, paddings, dilations)
def test_windows_counts_the_positions_of_a_sliding_window(size, kernel, stride, padding, dilation):
    assume(size + 2 * padding >= dilation * (kernel - 1) + 1)
    count = windows(size, kernel, stride, padding, dilation)
    assert count == naive.count_windows(size, kernel, stride, padding, dilation)
    assert count >= 1


@given(sizes, kernels, strides, paddings)
def test_ceil_mode_adds_one_window_when_pixels_are_left_over(size, kernel, stride, padding):
    assume(size + 2 * padding >= kernel and 2 * padding <= kernel)
    expected = len(naive.pool_starts(size, kernel, stride, padding, ceil_mode=True))
    assert windows(size, kernel, stride, padding, ceil_mode=True) == expected


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding", "expected"), [(4, 3, 1, 1, 4), (4, 3, 2, 1, 2), (7, 3, 2, 1, 4)]
)
def test_convolution_sizes_of_the_lecture(size, kernel, stride, padding, expected):
    assert windows(size, kernel, stride, padding) == expected


def test_segnets_pools_round_up():
    heights = [360]
    for _ in range(4):
        heights.append(windows(heights[-1], 2, 2, 0, ceil_mode=True))
    assert heights == [360, 180, 90, 45, 23]
    assert windows(45, 2, 2, 0) == 22


@pytest.mark.parametrize(("size", "kernel", "stride"), [(1, 2, 2), (1, 3, 3), (2, 3, 2)])
def test_ceil_mode_takes_maps_smaller_than_the_window(size, kernel, stride):
    assert windows(size, kernel, stride, 0, ceil_mode=True) == 1
    with pytest.raises(ValueError, match="does not fit"):
        windows(size, kernel, stride, 0)


def test_a_window_that_would_start_beyond_the_map_is_refused_in_ceil_mode_too():
    with pytest.raises(ValueError, match="a window of 4 does not fit into a map of 1"):
        windows(1, kernel=4, stride=2, padding=0, ceil_mode=True)


def test_a_window_larger_than_the_map_is_an_error_that_says_both_sizes():
    with pytest.raises(ValueError, match="a window of 5 does not fit into a map of 2 padded by 1"):
        windows(2, kernel=3, stride=1, padding=1, dilation=2)


@given(sizes, kernels, strides, paddings, dilations)
def test_transposed_size_inverts_windows(size, kernel, stride, padding, dilation):
    assume(size + 2 * padding >= dilation * (kernel - 1) + 1)
    count = windows(size, kernel, stride, padding, dilation)
    candidates = []
    for extra in range(stride):
        try:
            candidates.append(transposed_size(count, kernel, stride, padding, dilation, extra))
        except ValueError:
            assert (count - 1) * stride - 2 * padding + dilation * (kernel - 1) + 1 + extra < 1
    assert size in candidates
    assert all(windows(c, kernel, stride, padding, dilation) == count for c in candidates)


def test_transposed_size_without_pixels_is_an_error():
    with pytest.raises(ValueError, match="would have size -1; lower the padding"):
        transposed_size(1, kernel=3, stride=2, padding=2)


@given(st.integers(0, 20), st.integers(1, 20), st.integers(0, 12), strides, st.integers(0, 20), st.integers(0, 12))
def test_tap_pairs_outputs_and_inputs_as_brute_force_does(offset, size, count, stride, padding, start):
    expected = []
    for o in range(start, start + count):
        source = o * stride + offset - padding
        if 0 <= source < size:
            expected.append((o - start, source))
    t = tap(offset, size, count, stride, padding, start)
    outs, sources = np.arange(count)[t.out], np.arange(size)[t.source]
    assert list(zip(outs.tolist(), sources.tolist(), strict=True)) == expected


@pytest.mark.parametrize(("value", "expected"), [(3, (3, 3)), ((1, 2), (1, 2)), ([4, 5], (4, 5))])
def test_pair_reads_one_number_or_two(value, expected):
    assert pair(value, "stride", 1) == expected


@pytest.mark.parametrize("value", [0, (1, 0), (1, 2, 3), (1,), (1.5, 2), 2.5, "2", None])
def test_pair_refuses_what_is_no_pair_of_integers(value):
    with pytest.raises(ValueError, match=r"stride is .*; expected an integer or a pair of integers, each at least 1"):
        pair(value, "stride", 1)
