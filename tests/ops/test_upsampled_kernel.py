"""An upsampling and a convolution in one: the same map and the same gradients as one after the other."""

import numpy as np
import pytest

from scratchnet.ops.convolution import conv2d
from scratchnet.ops.resampling import upsample_nearest
from scratchnet.ops.transposed import conv_transpose2d
from scratchnet.ops.upsampled_kernel import upsampled_kernel, upsampled_kernel_backward
from tests.compare import assert_close, numbers


@pytest.mark.parametrize(("kernel", "padding"), [((3, 3), 1), ((1, 1), 0), ((2, 4), (0, 2)), ((5, 3), (2, 0))])
def test_one_transposed_convolution_instead_of_two(kernel, padding):
    x, weight = numbers(2, 4, 5, 3), numbers(*kernel, 2, 3, seed=1)
    both = conv_transpose2d(upsample_nearest(x, 2), weight, padding=padding)
    assert_close(conv_transpose2d(x, upsampled_kernel(weight), stride=2, padding=padding), both)


def test_a_convolution_is_one_with_the_kernel_rotated():
    x, weight = numbers(2, 4, 5, 3), numbers(3, 3, 3, 2, seed=1)
    kernel = upsampled_kernel(weight[::-1, ::-1].swapaxes(2, 3))
    expected = conv2d(upsample_nearest(x, 2), weight, padding=(1, 0))
    assert_close(conv_transpose2d(x, kernel, stride=2, padding=(1, 2)), expected)


def test_the_gradient_is_the_adjoint():
    weight, dkernel = numbers(3, 2, 4, 5), numbers(4, 3, 4, 5, seed=1)
    forward = np.vdot(upsampled_kernel(weight), dkernel)
    assert_close(forward, np.vdot(weight, upsampled_kernel_backward(dkernel)))
