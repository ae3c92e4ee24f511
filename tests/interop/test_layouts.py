import numpy as np
import pytest

from scratchnet.interop import layouts
from scratchnet.ops.convolution import conv2d
from tests.compare import numbers


def test_maps():
    x = numbers(2, 3, 4, 5)
    first = layouts.maps_to_channels_first(x)
    assert first.shape == (2, 5, 3, 4)
    assert first[1, 4, 2, 3] == x[1, 2, 3, 4]
    np.testing.assert_array_equal(layouts.maps_to_channels_last(first), x)


def test_kernels():
    weight = numbers(3, 5, 4, 2)
    first = layouts.kernel_to_channels_first(weight)
    assert first.shape == (2, 4, 3, 5)
    assert first[1, 3, 2, 4] == weight[2, 4, 3, 1]
    np.testing.assert_array_equal(layouts.kernel_to_channels_last(first), weight)


def test_results_lie_in_memory_as_others_expect():
    for array in (
        layouts.maps_to_channels_first(numbers(1, 2, 3, 4)),
        layouts.kernel_to_channels_last(numbers(1, 2, 3, 4)),
    ):
        assert array.flags.c_contiguous


def test_a_fully_connected_layer_is_a_convolution():
    x, weight, bias = numbers(3, 2, 4, 5), numbers(6, 40, seed=1), numbers(6, seed=2)
    flat = layouts.maps_to_channels_first(x).reshape(3, 40)
    y = conv2d(x, layouts.linear_to_kernel(weight, (2, 4)), bias)
    np.testing.assert_allclose(y[:, 0, 0], flat @ weight.T + bias, atol=1e-12)
    with pytest.raises(ValueError, match="cannot reshape"):
        layouts.linear_to_kernel(weight, (3, 4))
