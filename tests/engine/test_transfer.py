import numpy as np

from scratchnet.engine.transfer import constants, read_scalars, to_device_of, to_host, to_scalar


def test_arrays_in_host_memory_are_not_copied():
    array = np.zeros(3)
    assert to_host(array) is array
    assert to_device_of(np.ones(2), array) is array


def test_scalars_become_floats():
    values = [to_scalar(np.float32(0.5)), to_scalar(2.0)]
    assert [type(value) for value in values] == [float, float]
    assert read_scalars(values) == [0.5, 2.0]
    assert read_scalars([]) == []


def test_constants_have_the_dtype_of_the_array_and_are_made_once():
    like = np.zeros(1, np.float32)
    made = constants((1.0, 2.0), like)
    assert made.dtype == like.dtype
    assert made.tolist() == [1, 2]
    assert constants((1.0, 2.0), like) is made
