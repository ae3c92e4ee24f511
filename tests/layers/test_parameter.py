"""Parameters and buffers on their own."""

import numpy as np
import pytest

from scratchnet.layers import Buffer, Parameter
from scratchnet.layers.initialization import constant


def test_a_parameter_has_no_memory_before_it_is_bound():
    parameter = Parameter((2, 3), "weight", constant(0))
    assert parameter.size == 6
    with pytest.raises(RuntimeError, match=r"no memory yet: call allocate\(\)"):
        _ = parameter.value
    with pytest.raises(RuntimeError, match="no memory yet"):
        parameter.add_grad(np.ones((2, 3)))


def test_a_parameter_uses_the_arrays_that_it_is_bound_to_and_its_gradients_add_up():
    values, grads = np.zeros(6), np.zeros(6)
    parameter = Parameter((2, 3), "weight", constant(0))
    parameter.bind(values, grads)
    parameter.value[1, 2] = 7
    parameter.add_grad(np.ones((2, 3)))
    parameter.add_grad(np.full((2, 3), 2.0))
    assert values.tolist() == [0, 0, 0, 0, 0, 7]
    assert grads.tolist() == [3] * 6


def test_parameters_may_be_assigned_to_in_place():
    parameter = Parameter((2, 3), "weight", constant(0))
    value, grad = np.ones(6), np.ones(6)
    parameter.bind(value, grad)
    parameter.grad += np.full((2, 3), 2.0)
    parameter.value -= 0.5 * parameter.grad
    np.testing.assert_array_equal(grad, np.full(6, 3.0))
    np.testing.assert_array_equal(value, np.full(6, -0.5))
    parameter.value = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(value, np.arange(6))
    for wrong in (np.ones(3), 1.0, [[1, 2, 3], [4, 5, 6]]):
        with pytest.raises(ValueError, match="value has shape"):
            parameter.value = wrong


def test_a_stale_gradient_is_replaced():
    parameter = Parameter((2,), "bias", constant(0))
    parameter.bind(np.ones(2), np.full(2, 7.0))
    parameter.mark_grad_stale()
    parameter.grad += np.ones(2)
    np.testing.assert_array_equal(parameter.grad, 1)


def bound(shape=(2,)):
    parameter = Parameter(shape, "bias", constant(0))
    parameter.bind(np.ones(shape), np.full(shape, 7.0))
    return parameter


def test_a_frozen_parameter_keeps_its_gradient():
    parameter = bound()
    parameter.freeze()
    parameter.mark_grad_stale()
    parameter.add_grad(np.ones(2))
    assert not parameter.grad_is_stale
    np.testing.assert_array_equal(parameter.grad, 7)
    parameter.freeze(False)
    parameter.mark_grad_stale()
    parameter.add_grad(np.ones(2))
    np.testing.assert_array_equal(parameter.grad, 1)


def test_a_gradient_that_is_not_stale_any_more_is_added_to():
    parameter = bound()
    parameter.mark_grad_stale()
    parameter.mark_grad_stale(False)
    parameter.add_grad(np.ones(2))
    np.testing.assert_array_equal(parameter.grad, 8)


def test_every_binding_is_another_object_but_views_are_no_binding():
    parameter = Parameter((2,), "bias", constant(0))
    parameter.view_as(np.asarray)  # nothing is bound yet
    assert parameter.binding is None
    values = np.ones(2)
    parameter.bind(values, np.zeros(2))
    first = parameter.binding

    class View(np.ndarray):
        pass

    parameter.view_as(lambda array: array.view(View))
    assert type(parameter.value) is type(parameter.grad) is View
    parameter.value += 1
    np.testing.assert_array_equal(values, 2)
    assert parameter.binding is first
    parameter.bind(values, np.zeros(2))
    assert parameter.binding is not first


def test_a_buffer_uses_the_array_that_it_is_bound_to():
    buffer, value = Buffer(np.zeros(3), 1.0), np.ones(3)
    buffer.bind(value)
    assert buffer.value is value
    assert buffer.initial_value == 1
