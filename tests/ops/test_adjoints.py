"""Pairs of functions that are each other's transposed matrix: ⟨A x, y⟩ = ⟨x, Aᵀ y⟩ for all x and y.

A forward and a backward that pass are adjoint for every geometry that hypothesis finds, whatever both compute.
"""

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from scratchnet.ops.convolution import conv2d, conv2d_backward, conv2d_input_gradient
from scratchnet.ops.pooling import max_pool2d, max_pool2d_backward, max_unpool2d, max_unpool2d_backward
from scratchnet.ops.resampling import (
    bed_of_nails,
    bed_of_nails_backward,
    bilinear_transpose,
    bilinear_transpose_backward,
    upsample_bilinear,
    upsample_bilinear_backward,
    upsample_nearest,
    upsample_nearest_backward,
)
from scratchnet.ops.shape import concatenate, concatenate_backward, crop2d, crop2d_backward, pad2d, pad2d_backward
from scratchnet.ops.transposed import conv_transpose2d, conv_transpose2d_backward
from tests.compare import distinct, numbers


def pairs(low, high):
    return st.tuples(st.integers(low, high), st.integers(low, high))


def assert_adjoint(forward, backward, x, y):
    """Compare ⟨forward(x), y⟩ with ⟨x, backward(y)⟩."""
    fx, by = forward(x), backward(y)
    assert fx.shape == y.shape
    assert by.shape == x.shape
    left, right = float((fx * y).sum()), float((x * by).sum())
    size = np.linalg.norm(fx) * np.linalg.norm(y) + np.linalg.norm(x) * np.linalg.norm(by)
    assert abs(left - right) <= 1e-12 * max(1.0, size)


@st.composite
def convolutions(draw):
    """A map, a weight that fits it and the settings of a convolution."""
    groups, a, b = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    kernel, stride, padding, dilation = (draw(pairs(*v)) for v in ((1, 4), (1, 3), (0, 3), (1, 3)))
    size = draw(pairs(1, 8))
    assume(all(v + 2 * p > d * (k - 1) for v, k, p, d in zip(size, kernel, padding, dilation, strict=True)))
    x = numbers(draw(st.integers(1, 2)), *size, a * groups)
    weight = numbers(*kernel, a, b * groups, seed=1)
    return x, weight, {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}


@given(convolutions())
def test_transposed_convolution_is_the_adjoint_of_convolution_with_the_same_weight(case):
    x, weight, settings = case
    y = numbers(*conv2d(x, weight, **settings).shape, seed=2)
    grid = range(2)
    span = [
        x.shape[1 + i] + 2 * settings["padding"][i] - settings["dilation"][i] * (weight.shape[i] - 1) - 1 for i in grid
    ]
    extra = tuple(span[i] % settings["stride"][i] for i in grid)
    assert_adjoint(
        lambda x: conv2d(x, weight, **settings),
        lambda y: conv_transpose2d(y, weight, output_padding=extra, **settings),
        x,
        y,
    )


@given(convolutions())
def test_the_input_gradient_is_the_adjoint_of_convolution(case):
    x, weight, settings = case
    y = numbers(*conv2d(x, weight, **settings).shape, seed=2)
    assert_adjoint(
        lambda x: conv2d(x, weight, **settings),
        lambda y: conv2d_input_gradient(y, weight, x.shape[1:3], **settings),
        x,
        y,
    )


@given(convolutions())
def test_the_weight_gradient_is_the_adjoint_in_the_weight(case):
    x, weight, settings = case
    y = numbers(*conv2d(x, weight, **settings).shape, seed=2)
    assert_adjoint(
        lambda weight: conv2d(x, weight, **settings),
        lambda y: conv2d_backward(y, x, weight, **settings)[1],
        weight,
        y,
    )


@given(convolutions())
def test_both_gradients_of_a_transposed_convolution_are_adjoints(case):
    _, weight, settings = case
    x = numbers(2, 3, 4, weight.shape[3], seed=3)
    assume(
        all(
            (v - 1) * s + d * (k - 1) + 1 > 2 * p
            for v, s, d, k, p in zip(
                (3, 4), settings["stride"], settings["dilation"], weight.shape, settings["padding"], strict=False
            )
        )
    )
    y = numbers(*conv_transpose2d(x, weight, **settings).shape, seed=2)
    assert_adjoint(
        lambda x: conv_transpose2d(x, weight, **settings),
        lambda y: conv_transpose2d_backward(y, x, weight, **settings)[0],
        x,
        y,
    )
    assert_adjoint(
        lambda weight: conv_transpose2d(x, weight, **settings),
        lambda y: conv_transpose2d_backward(y, x, weight, **settings)[1],
        weight,
        y,
    )


@st.composite
def poolings(draw):
    """A map without ties and the settings of a pooling, overlapping or not."""
    kernel, stride, size = draw(pairs(1, 4)), draw(pairs(1, 4)), draw(pairs(4, 9))
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    return distinct(2, *size, 2, seed=draw(st.integers(0, 9))), (kernel, stride, padding, draw(st.booleans()))


@given(poolings())
def test_reading_at_the_switches_is_the_adjoint_of_unpooling(case):
    x, settings = case
    pooled, switches = max_pool2d(x, *settings)
    values = numbers(*pooled.shape, seed=1)
    y = numbers(*x.shape, seed=2)
    assert_adjoint(lambda v: max_unpool2d(v, switches), lambda y: max_unpool2d_backward(y, switches), values, y)
    # Pooling is linear as long as its switches stay: it reads at them, and its gradient is the unpooling.
    assert_adjoint(lambda x: max_unpool2d_backward(x, switches), lambda v: max_pool2d_backward(v, switches), y, values)


@given(poolings())
def test_pooling_reads_where_its_switches_say(case):
    x, settings = case
    pooled, switches = max_pool2d(x, *settings)
    np.testing.assert_array_equal(max_unpool2d_backward(x, switches), pooled)
    restored = max_unpool2d(pooled, switches)
    assert restored.shape == x.shape
    assert switches.index.max() < switches.kernel[0] * switches.kernel[1]


@given(poolings())
def test_without_overlap_pool_unpool_pool_is_pool(case):
    x, (kernel, _, _, ceil_mode) = case
    x = np.abs(x) + 1
    pooled, switches = max_pool2d(x, kernel, None, 0, ceil_mode)
    again, same = max_pool2d(max_unpool2d(pooled, switches), kernel, None, 0, ceil_mode)
    np.testing.assert_array_equal(again, pooled)
    np.testing.assert_array_equal(same.index, switches.index)


@given(pairs(1, 5), pairs(1, 4))
def test_upsampling_pairs(size, scale):
    x = numbers(2, *size, 2)
    y = numbers(2, size[0] * scale[0], size[1] * scale[1], 2, seed=1)
    assert_adjoint(lambda x: upsample_nearest(x, scale), lambda y: upsample_nearest_backward(y, scale), x, y)
    assert_adjoint(lambda x: bed_of_nails(x, scale), lambda y: bed_of_nails_backward(y, scale), x, y)


@given(pairs(1, 6), pairs(1, 9))
def test_bilinear_pair(size, new):
    x, y = numbers(2, *size, 2), numbers(2, *new, 2, seed=1)
    assert_adjoint(lambda x: upsample_bilinear(x, new), lambda y: upsample_bilinear_backward(y, size), x, y)
    constant = upsample_bilinear(np.ones_like(x), new)
    np.testing.assert_allclose(constant, 1, rtol=0, atol=1e-12)


@given(pairs(1, 6), st.integers(1, 5))
def test_bilinear_deconvolution_pair(size, factor):
    x = numbers(2, *size, 2)
    y = numbers(2, (size[0] + 1) * factor, (size[1] + 1) * factor, 2, seed=1)
    assert_adjoint(lambda x: bilinear_transpose(x, factor), lambda y: bilinear_transpose_backward(y, factor), x, y)


@given(pairs(1, 5), pairs(0, 3), pairs(0, 3))
def test_crop_and_pad_pairs(size, offset, rest):
    whole = tuple(s + o + r for s, o, r in zip(size, offset, rest, strict=True))
    x, y = numbers(2, *whole, 2), numbers(2, *size, 2, seed=1)
    assert_adjoint(lambda x: crop2d(x, offset, size), lambda y: crop2d_backward(y, offset, whole), x, y)
    bordered = numbers(2, size[0] + 2 * offset[0], size[1] + 2 * offset[1], 2, seed=2)
    assert_adjoint(lambda y: pad2d(y, offset), lambda x: pad2d_backward(x, offset), y, bordered)
    np.testing.assert_array_equal(crop2d(pad2d(y, offset), offset, size), y)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_concatenated_maps_come_apart_again(channels):
    maps = [numbers(1, 2, 3, c, seed=i) for i, c in enumerate(channels)]
    for piece, m in zip(concatenate_backward(concatenate(*maps), channels), maps, strict=True):
        np.testing.assert_array_equal(piece, m)
