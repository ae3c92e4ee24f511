"""An epilogue in the cache gives, to the bit, what passes over the whole output give."""

import numpy as np
import pytest

from scratchnet.engine.cpu import im2col
from scratchnet.engine.cpu.conv_algorithm import Algorithm, choose
from scratchnet.ops.convolution import conv2d
from scratchnet.ops.epilogue import Epilogue
from scratchnet.ops.geometry import ConvSpec
from scratchnet.ops.transposed import conv_transpose2d
from tests.compare import numbers

SETTINGS = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}

# x, weight, settings, the algorithm
CASES = {
    "Winograd": ((2, 30, 33, 16), (3, 3, 16, 16), {"padding": 1}, Algorithm.WINOGRAD4),
    "Winograd, small tiles": ((64, 2, 2, 64), (3, 3, 64, 64), {"padding": 1}, Algorithm.WINOGRAD2),
    "Winograd, wide": ((2, 30, 30, 256), (3, 3, 256, 256), {"padding": 1}, Algorithm.WINOGRAD4),
    "7×7": ((1, 56, 56, 32), (7, 7, 32, 32), {"padding": 3}, Algorithm.WINOGRAD4),
    "dilated": ((1, 56, 56, 32), (3, 3, 32, 32), {"padding": 2, "dilation": 2}, Algorithm.WINOGRAD4),
    "folded": ((4, 48, 47, 32), (4, 4, 32, 32), {"padding": 1, "stride": 2}, Algorithm.FOLDED),
    "im2col": ((2, 20, 21, 4), (3, 3, 4, 9), {"padding": 1, "stride": 2}, Algorithm.IM2COL),
    "groups": ((2, 20, 21, 4), (3, 3, 2, 6), {"padding": 1, "groups": 2}, Algorithm.IM2COL),
    "depthwise": ((2, 20, 21, 8), (3, 3, 1, 8), {"padding": 1, "groups": 8}, Algorithm.DEPTHWISE),
    "few filters": ((2, 20, 21, 16), (3, 3, 16, 2), {"padding": 1}, Algorithm.FEW_FILTERS),
    "product": ((2, 20, 21, 16), (1, 1, 16, 9), {}, Algorithm.PRODUCT),
}


def epilogues(c, dtype):
    scale, shift = numbers(c, seed=3, dtype=dtype), numbers(c, seed=4, dtype=dtype)
    return [Epilogue(scale, shift, relu=True), Epilogue(scale, shift), Epilogue(relu=True)]


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("case", CASES)
def test_every_algorithm(cores, case, count):
    cores(count)
    shape, kernel, settings, algorithm = CASES[case]
    x, weight, bias = (numbers(*s, seed=i, dtype=np.float32) for i, s in enumerate((shape, kernel, (kernel[3],))))
    conv = ConvSpec.of(weight, *(settings.get(key, usual) for key, usual in SETTINGS.items()))
    assert choose(x, weight, conv, shape[1:3]) is algorithm
    for after in epilogues(kernel[3], np.float32):
        y = conv2d(x, weight, bias, **settings, after=after)
        np.testing.assert_array_equal(y, after.of(conv2d(x, weight, bias, **settings)))


@pytest.mark.parametrize("padding", [0, 1, 2])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (4, 2), (2, 2), (3, 2)])
def test_transposed_convolutions(kernel, stride, padding):
    x, weight = numbers(4, 24, 23, 32, dtype=np.float32), numbers(kernel, kernel, 32, 32, seed=1, dtype=np.float32)
    for after in epilogues(32, np.float32):
        for bias in (None, numbers(32, seed=2, dtype=np.float32)):
            y = conv_transpose2d(x, weight, bias, stride, padding, after=after)
            np.testing.assert_array_equal(y, after.of(conv_transpose2d(x, weight, bias, stride, padding)))


def test_blocks_that_are_part_of_a_row(monkeypatch):
    monkeypatch.setattr(im2col, "SCRATCH_BYTES", 1000)
    x, weight = numbers(2, 5, 20, 3), numbers(3, 3, 3, 4, seed=1)
    for after in epilogues(4, np.float64):
        np.testing.assert_array_equal(conv2d(x, weight, padding=1, after=after), after.of(conv2d(x, weight, padding=1)))
