"""Depthwise convolution: all three passes against loops, for strides, dilations and pieces of every size."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratchnet.engine.capture import Program, Recorder, traced
from scratchnet.engine.cpu import depthwise, im2col, threads
from scratchnet.ops.convolution import conv2d, conv2d_backward
from scratchnet.ops.geometry import ConvSpec
from tests import naive
from tests.compare import assert_close, numbers

# x, kernel, stride, padding, dilation
CASES = {
    "3×3": ((2, 6, 7, 3), (3, 3), (1, 1), (1, 1), (1, 1)),
    "3×3 unpadded": ((2, 6, 7, 3), (3, 3), (1, 1), (0, 0), (1, 1)),
    "stride 2": ((2, 7, 8, 3), (3, 3), (2, 2), (1, 1), (1, 1)),
    "stride 2, rows left over": ((1, 8, 10, 4), (3, 3), (2, 2), (0, 0), (1, 1)),
    "stride over the kernel": ((1, 9, 10, 2), (2, 2), (3, 4), (1, 0), (1, 1)),
    "dilation 2": ((2, 8, 7, 3), (3, 3), (1, 1), (2, 2), (2, 2)),
    "dilation 3, stride 2": ((1, 9, 9, 2), (3, 3), (2, 2), (3, 3), (3, 3)),
    "uneven": ((2, 8, 9, 2), (2, 4), (2, 3), (0, 2), (3, 1)),
    "padding over the kernel": ((1, 3, 4, 2), (3, 3), (1, 1), (4, 5), (1, 1)),
    "one pixel": ((3, 1, 1, 5), (3, 3), (1, 1), (1, 1), (1, 1)),
}


def problem(case, dtype=np.float64):
    (n, h, w, c), kernel, stride, padding, dilation = CASES[case]
    conv = ConvSpec(kernel, stride, padding, dilation, c)
    x, weight = numbers(n, h, w, c, dtype=dtype), numbers(*kernel, 1, c, seed=1, dtype=dtype)
    settings = {"stride": stride, "padding": padding, "dilation": dilation, "groups": c}
    return x, weight, conv, numbers(n, *conv.output_size(h, w), c, seed=2, dtype=dtype), settings


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("piece", [1, 1 << 19])
@pytest.mark.parametrize("case", CASES)
def test_it_agrees_with_loops(monkeypatch, cores, case, piece, count, dtype):
    cores(count)
    monkeypatch.setattr(depthwise, "CHUNK_BYTES", piece)
    x, weight, conv, dy, settings = problem(case, dtype)
    expected = naive.conv2d(x, weight, None, **settings)
    assert_close(depthwise.convolve(x, weight, conv, dy.shape[1:3]), expected, dtype)
    bias = numbers(x.shape[3], seed=3, dtype=dtype)
    assert_close(depthwise.convolve(x, weight, conv, dy.shape[1:3], bias), expected + bias, dtype)
    dx, dweight, _ = naive.conv2d_backward(dy, x, weight, **settings)
    assert_close(depthwise.input_gradient(dy, weight, x.shape[1:3], conv), dx, dtype)
    assert_close(depthwise.weight_gradient(dy, x, weight, conv), dweight, dtype)


@given(
    st.integers(1, 2), st.integers(1, 8), st.integers(1, 8), st.integers(1, 3), st.integers(1, 3),
    st.integers(1, 4), st.integers(0, 3), st.integers(1, 3), st.sampled_from([1, 200, 1 << 19]),
)  # fmt: skip
def test_any_geometry(n, h, w, kh, kw, s, p, d, piece):
    h, w = max(h, d * (kh - 1) + 1 - 2 * p), max(w, d * (kw - 1) + 1 - 2 * p)
    conv = ConvSpec((kh, kw), (s, s), (p, p), (d, d), 3)
    x, weight = numbers(n, h, w, 3), numbers(kh, kw, 1, 3, seed=1)
    size = conv.output_size(h, w)
    dy = numbers(n, *size, 3, seed=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(depthwise, "CHUNK_BYTES", piece)
        assert_close(depthwise.convolve(x, weight, conv, size), im2col.convolve(x, weight, conv, size))
        dx = im2col.input_gradient(dy, weight, (h, w), conv)
        assert_close(depthwise.input_gradient(dy, weight, (h, w), conv), dx)
        expected = im2col.weight_gradient(dy, x, weight, conv)
        assert_close(depthwise.weight_gradient(dy, x, weight, conv), expected)


def test_it_is_what_a_convolution_of_as_many_groups_as_channels_uses(monkeypatch):
    x, weight, _, dy, settings = problem("stride 2")
    used = []
    for name in ("convolve", "input_gradient", "weight_gradient"):
        original = getattr(depthwise, name)
        monkeypatch.setattr(
            depthwise, name, lambda *a, original=original, name=name: (used.append(name), original(*a))[1]
        )
    conv2d(x, weight, **settings)
    conv2d_backward(dy, x, weight, **settings)
    assert used == ["convolve", "weight_gradient", "input_gradient"]


def test_two_filters_a_channel_go_the_general_way():
    x, weight = numbers(1, 5, 5, 3), numbers(3, 3, 1, 6, seed=1)
    assert_close(conv2d(x, weight, padding=1, groups=3), naive.conv2d(x, weight, padding=1, groups=3))


@pytest.mark.parametrize("case", ["3×3", "stride 2", "dilation 3, stride 2", "uneven"])
def test_a_replay_on_several_cores_gives_the_same_bits(monkeypatch, cores, case):
    cores(2)
    monkeypatch.setattr(threads, "MIN_SPLIT_OPERATIONS", 0)
    monkeypatch.setattr(depthwise, "CHUNK_BYTES", 400)
    x, weight, conv, dy, _ = problem(case, np.float32)

    def passes(x, dy):
        size = x.shape[1:3]
        y, dx = depthwise.convolve(x, weight, conv, dy.shape[1:3]), depthwise.input_gradient(dy, weight, size, conv)
        return y, dx, depthwise.weight_gradient(dy, x, weight, conv)

    program = Program()
    with Recorder().capture(program):
        found = passes(traced(x), traced(dy))
    assert program.is_parallel()
    x[:], dy[:] = numbers(*x.shape, seed=7, dtype=x.dtype), numbers(*dy.shape, seed=8, dtype=x.dtype)
    threads.replay_on_threads(program)
    for array, expected in zip(found, passes(x, dy), strict=True):
        np.testing.assert_array_equal(array.view(np.ndarray), expected)


@pytest.mark.parametrize(
    ("kernel", "stride", "dilation"), [(3, 1, 1), (3, 2, 1), (5, 2, 1), (5, 3, 2), (2, 4, 3), (7, 4, 2)]
)
def test_phases_divide_the_taps(kernel, stride, dilation):
    taps = []
    for phase in depthwise.phases(kernel, stride, dilation):
        offsets = [phase.first + k * phase.step * stride for k in range(phase.count)]
        assert offsets == [j * dilation for j in range(kernel)[phase.taps]]
        taps += offsets
    assert sorted(taps) == [j * dilation for j in range(kernel)]
