import numpy as np

from scratchnet.engine.array_module import get_array_module, on_gpu


def test_numpy_arrays_belong_to_numpy():
    assert get_array_module(np.zeros(3)) is np
    assert not on_gpu(np.zeros(3))
