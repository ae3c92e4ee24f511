"""What the fast batch norm promises beyond its formula: which memory it writes to."""

import numpy as np
import pytest

from scratchnet.engine.cpu.normalization import (
    batch_norm,
    batch_norm_backward,
    batch_norm_fixed,
    parameter_gradients,
)
from scratchnet.engine.modes import textbook
from scratchnet.ops import normalization as plain
from tests.compare import assert_close, numbers

SHAPE = (2, 6, 7, 4)


@pytest.fixture(params=[False, True])
def relu(request):
    return request.param


def inputs(dtype):
    x, dy = 3 * numbers(*SHAPE, dtype=dtype) + dtype.type(50), numbers(*SHAPE, seed=1, dtype=dtype)
    return x, dy, numbers(4, seed=2, dtype=dtype), numbers(4, seed=3, dtype=dtype)


def test_with_overwrite_the_input_becomes_its_distance_from_a_value_near_the_mean(relu, dtype, pieces):
    x, _, gamma, beta = inputs(dtype)
    given = x.copy()
    _, normalized = batch_norm(x, gamma, beta, relu=relu, overwrite=True)
    assert normalized.x is x
    near, offset = normalized.subtracted
    assert_close(x + near, given, dtype, scale=10)
    assert_close(offset, x.mean((0, 1, 2), dtype=np.float64), dtype)
    assert_close(normalized.mean, given.mean((0, 1, 2), dtype=np.float64), dtype)


def test_with_overwrite_the_gradient_becomes_dx(relu, dtype, pieces):
    x, dy, gamma, beta = inputs(dtype)
    _, normalized = batch_norm(x, gamma, beta, relu=relu)
    expected = batch_norm_backward(dy, normalized, gamma)
    found = batch_norm_backward(dy, normalized, gamma, overwrite=True)
    assert found[0] is dy
    for mine, right in zip(found, expected, strict=True):
        np.testing.assert_array_equal(mine, right)


def test_without_overwrite_nothing_given_is_written_to(relu, dtype):
    x, dy, gamma, beta = inputs(dtype)
    before = [a.copy() for a in (x, dy, gamma, beta)]
    _, normalized = batch_norm(x, gamma, beta, relu=relu)
    batch_norm_backward(dy, normalized, gamma)
    batch_norm_fixed(x, gamma, beta, gamma, beta * beta, relu=relu)
    for array, copy in zip((x, dy, gamma, beta), before, strict=True):
        np.testing.assert_array_equal(array, copy)
    assert normalized.subtracted is None


@pytest.mark.parametrize("overwrite", [False, True])
def test_the_mask_of_the_relu_is_computed_again_to_the_bit(overwrite, dtype):
    x, _, gamma, beta = inputs(dtype)
    y, normalized = batch_norm(x, gamma, beta, relu=True, overwrite=overwrite)
    assert normalized.y is None
    passed = y > 0
    assert 0 < passed.sum() < y.size
    np.testing.assert_array_equal(normalized.positive(), passed)
    dz, _, dbeta = parameter_gradients(np.ones_like(y), normalized)
    np.testing.assert_array_equal(dz, passed)
    np.testing.assert_array_equal(dbeta, passed.sum((0, 1, 2)))
    assert normalized.without_relu().positive() is None


@pytest.mark.parametrize("overwrite", [False, True])
def test_backward_of_a_forward_pass_in_textbook_mode(relu, overwrite, dtype):
    x, dy, gamma, beta = inputs(dtype)
    with textbook():
        _, normalized = plain.batch_norm(x, gamma, beta, relu=relu)
        expected = plain.batch_norm_backward(dy, normalized, gamma)
    found = batch_norm_backward(dy, normalized, gamma, overwrite)
    for got, wanted in zip(found, expected, strict=True):
        assert_close(got, wanted, dtype, scale=10)


@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_an_output_of_exactly_zero_passes_no_gradient(dtype, zero):
    x = np.zeros((2, 3, 4, 5), dtype)
    x[..., 3:] = numbers(2, 3, 4, 2)
    gamma, beta = np.array([1, -1, 2, 1, -1], dtype), np.full(5, zero, dtype)
    _, normalized = batch_norm(x, gamma, beta, relu=True)
    dbeta = batch_norm_backward(np.ones_like(x), normalized, gamma)[2]
    assert dbeta[:3].tolist() == [0, 0, 0]
    assert (dbeta[3:] > 0).all()
