"""Strided convolutions by folded maps: all passes against loops and against the forms that they replace."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratchnet import compile as capture
from scratchnet.engine.cpu import folded, im2col, winograd
from scratchnet.engine.modes import precise
from scratchnet.layers import Conv2d, ConvTranspose2d
from scratchnet.network import Network
from scratchnet.ops.convolution import conv2d, conv2d_backward, conv2d_input_gradient, conv2d_weight_gradient
from scratchnet.ops.epilogue import Epilogue
from scratchnet.ops.geometry import ConvSpec
from scratchnet.ops.transposed import conv_transpose2d, conv_transpose2d_backward
from tests import naive
from tests.compare import assert_close, numbers
from tests.engine.test_arguments import LAYOUTS

# kernel, stride, padding, size
CASES = {
    "4×4 stride 2": ((4, 4), (2, 2), (1, 1), (8, 10)),
    "4×4 stride 2, padding 0": ((4, 4), (2, 2), (0, 0), (9, 10)),
    "4×4 stride 2, padding 2 and 3": ((4, 4), (2, 2), (2, 3), (7, 8)),
    "3×3 stride 2": ((3, 3), (2, 2), (1, 1), (7, 9)),
    "3×3 stride 2, even map": ((3, 3), (2, 2), (1, 1), (8, 8)),
    "7×7 stride 2": ((7, 7), (2, 2), (3, 3), (11, 12)),
    "5×5 stride 2, odd map": ((5, 5), (2, 2), (2, 2), (13, 11)),
    "6×6 stride 3": ((6, 6), (3, 3), (2, 2), (13, 11)),
    "11×11 stride 2, in pieces": ((11, 11), (2, 2), (5, 5), (12, 9)),
    "stride 1 in one direction": ((3, 4), (2, 1), (1, 0), (8, 9)),
    "rows that no output saw": ((4, 4), (3, 3), (0, 0), (12, 9)),
    "padding over the kernel": ((4, 4), (2, 2), (5, 5), (6, 6)),
    "one output": ((4, 4), (2, 2), (0, 0), (4, 5)),
}


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("case", CASES)
def test_all_passes_agree_with_loops(cores, case, n, count):
    cores(count)
    kernel, stride, padding, size = CASES[case]
    conv = ConvSpec(kernel, stride, padding, (1, 1), 1)
    x, weight, bias = numbers(n, *size, 3), numbers(*kernel, 3, 2, seed=1), numbers(2, seed=2)
    dy = numbers(n, *conv.output_size(*size), 2, seed=3)
    assert_close(folded.convolve(x, weight, conv, dy.shape[1:3], bias), naive.conv2d(x, weight, bias, stride, padding))
    dx, dweight, _ = naive.conv2d_backward(dy, x, weight, stride, padding)
    assert_close(folded.input_gradient(dy, weight, size, conv), dx)
    assert_close(folded.input_gradient(dy, weight, size, conv, np.ones(3)), dx + 1)
    after = Epilogue(numbers(3, seed=4), numbers(3, seed=5), relu=True)  # also where no output reaches
    assert_close(folded.input_gradient(dy, weight, size, conv, np.ones(3), after), after.of(dx + 1))
    assert_close(folded.weight_gradient(dy, x, weight, conv), dweight)
    both = folded.backward(dy, x, weight, conv)
    assert_close(both[0], dx)
    assert_close(both[1], dweight)
    y, slope = folded.transposed_backward(x, dy, weight, conv)
    assert_close(y, naive.conv2d(x, weight, None, stride, padding))
    assert_close(slope, dweight)


axes = st.tuples(st.integers(1, 7), st.integers(1, 4), st.integers(0, 4), st.integers(0, 12))


@given(axes, axes)
def test_any_geometry(down, across):
    kernel, stride, padding, extra = zip(down, across, strict=True)
    size = tuple(max(1, k - 2 * p) + e for k, p, e in zip(kernel, padding, extra, strict=True))
    conv = ConvSpec(kernel, stride, padding, (1, 1), 1)
    if max(folded.folded_kernel(conv)) < 2:
        return
    x, weight, dy = (
        numbers(1, *size, 2),
        numbers(*kernel, 2, 3, seed=1),
        numbers(1, *conv.output_size(*size), 3, seed=2),
    )
    assert_close(folded.convolve(x, weight, conv, dy.shape[1:3]), im2col.convolve(x, weight, conv, dy.shape[1:3]))
    dx, dweight = folded.backward(dy, x, weight, conv)
    assert_close(dx, im2col.input_gradient(dy, weight, size, conv))
    assert_close(dweight, im2col.weight_gradient(dy, x, weight, conv))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_strided_maps(layout):
    conv = ConvSpec((4, 4), (2, 2), (1, 1), (1, 1), 1)
    x, weight, dy = numbers(2, 8, 6, 4), numbers(4, 4, 4, 5, seed=1), numbers(2, 4, 3, 5, seed=2)
    sx, sw, sdy = map(LAYOUTS[layout], (x, weight, dy))
    dx, dweight, _ = naive.conv2d_backward(dy, x, weight, 2, 1)
    assert_close(folded.convolve(sx, sw, conv, (4, 3)), naive.conv2d(x, weight, None, 2, 1))
    both = folded.backward(sdy, sx, sw, conv)
    assert_close(both[0], dx)
    assert_close(both[1], dweight)


@pytest.mark.parametrize("k", [4, 7])
@pytest.mark.parametrize("c", [32, 64])
def test_the_rounding_errors_of_single_precision(k, c):
    """F(3×3, 2×2) rounds no worse than F(2×2, 3×3), larger kernels no worse than F(4×4, 3×3)."""
    conv = ConvSpec((k, k), (2, 2), (k // 2, k // 2), (1, 1), 1)
    x, weight = numbers(1, 40, 40, c, dtype=np.float32), numbers(k, k, c, c, seed=1, dtype=np.float32)
    dy = numbers(1, *conv.output_size(40, 40), c, seed=2, dtype=np.float32)
    with precise():
        wide = [a.astype(np.float64) for a in (x, weight, dy)]
        y = conv2d(*wide[:2], stride=2, padding=k // 2)
        expected = conv2d_backward(wide[2], *wide[:2], stride=2, padding=k // 2)
    found = [folded.convolve(x, weight, conv, dy.shape[1:3]), *folded.backward(dy, x, weight, conv)]
    for actual, exact in zip(found, (y, *expected[:2]), strict=True):
        assert 0 < np.abs(actual - exact).max() < {4: 1.5e-6, 7: 1e-5}[k] * np.abs(exact).max()


def test_it_is_what_a_layer_at_stride_2_uses(monkeypatch):
    c = 32
    x, weight = numbers(4, 48, 47, c, dtype=np.float32), numbers(4, 4, c, c, seed=1, dtype=np.float32)
    bias, settings = numbers(c, seed=2, dtype=np.float32), {"stride": 2, "padding": 1}

    def passes():
        y = conv2d(x, weight, bias, **settings)
        yield y
        yield from conv2d_backward(y, x, weight, **settings)
        yield conv2d_weight_gradient(y, x, weight, **settings)
        yield conv2d_input_gradient(y, weight, (48, 47), **settings)
        large = conv_transpose2d(y, weight, bias, output_padding=(0, 1), **settings)
        yield large
        yield from conv_transpose2d_backward(large, y, weight, **settings)

    with precise():
        expected = list(passes())
    used = []
    for name in ("convolve_to", "weight_gradient", "backward"):
        original = getattr(winograd, name)
        monkeypatch.setattr(
            winograd,
            name,
            lambda *a, original=original, name=name, **more: (used.append(name), original(*a, **more))[1],
        )
    for actual, exact in zip(passes(), expected, strict=True):
        assert_close(actual, exact, np.float32)
    assert used == ["convolve_to", "backward", "weight_gradient", "convolve_to", "convolve_to", "backward"]


@pytest.mark.parametrize("count", [1, 2])
def test_a_captured_network_repeats_it(cores, count):
    cores(count)
    nets = []
    for _ in range(2):
        net = Network(channels=32)
        net.add("conv", Conv2d(32, 32, 4, stride=2, padding=1))
        net.add("deconv", ConvTranspose2d(32, 32, 4, stride=2, padding=1))
        nets.append(net.allocate(seed=1).train())
    step, twin = capture(nets[0]), nets[1]
    for seed in range(4):
        x = numbers(2, 96, 96, 32, seed=seed, dtype=np.float32)
        np.testing.assert_array_equal(step.forward(x), twin.forward(x))
        step.backward(x, add=False)
        twin.backward(x, add=False)
        np.testing.assert_array_equal(nets[0].flat().grads, twin.flat().grads)
