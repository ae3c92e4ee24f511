"""The epilogue of a convolution by its formula."""

import numpy as np
import pytest

from scratchnet.ops.convolution import conv2d
from scratchnet.ops.epilogue import Epilogue
from scratchnet.ops.normalization import batch_norm_fixed
from scratchnet.ops.transposed import conv_transpose2d
from tests.compare import assert_close, numbers


def test_scale_shift_and_relu():
    z = numbers(2, 3, 4, 5)
    scale, shift = numbers(5, seed=1), numbers(5, seed=2)
    assert Epilogue().of(z) is z
    np.testing.assert_array_equal(Epilogue(scale, shift).of(z), z * scale + shift)
    np.testing.assert_array_equal(Epilogue(relu=True).of(z), np.maximum(z, 0))
    np.testing.assert_array_equal(Epilogue(scale, shift, relu=True).of(z), np.maximum(z * scale + shift, 0))


def test_batch_norm_with_fixed_statistics_is_one():
    z, gamma, beta, mean = numbers(2, 3, 4, 5), numbers(5, seed=1), numbers(5, seed=2), numbers(5, seed=3)
    variance = numbers(5, seed=4) ** 2
    expected = batch_norm_fixed(z, gamma, beta, mean, variance, 0.01)[0]
    assert_close(Epilogue.of_batch_norm(gamma, beta, mean, variance, 0.01).of(z), expected)


def test_errors_name_what_is_missing_or_does_not_fit():
    with pytest.raises(TypeError, match="scale and shift belong together"):
        Epilogue(scale=np.ones(2))
    x, two = numbers(1, 4, 4, 2), np.ones(2)
    with pytest.raises(ValueError, match=r"after\.scale"):
        conv2d(x, numbers(3, 3, 2, 3), after=Epilogue(two, two))
    with pytest.raises(ValueError, match=r"after\.scale"):
        conv_transpose2d(x, numbers(3, 3, 3, 2), after=Epilogue(two, two))
    with pytest.raises(TypeError, match=r"after\.scale is float32"):
        conv2d(x, numbers(3, 3, 2, 2), after=Epilogue(two.astype("f4"), two.astype("f4")))
