"""The update kernels against the CPU's optimisers."""

import numpy as np
import pytest

from scratchnet.network import FlatBuffers
from scratchnet.ops.cuda import updates
from scratchnet.training.optimizers import SGD, Adam
from tests.compare import assert_close, numbers

COUNTS = [1, 1023, pytest.param(2500, marks=pytest.mark.sanitized)]


def buffers(count, dtype, step):
    values = numbers(count, seed=1, dtype=dtype)
    return FlatBuffers(values, numbers(count, seed=step, dtype=dtype), {"weight": slice(0, count)})


@pytest.mark.parametrize("count", COUNTS)
def test_sgd(kernels, dtype, count):
    optimizer, w, m = SGD(0.9, 0.01), numbers(count, seed=1, dtype=dtype), np.zeros(count, dtype)
    both = buffers(count, dtype, 2)
    for step in range(3):
        both.grads[...] = numbers(count, seed=step, dtype=dtype)
        optimizer.step(both, 0.1)
        updates.sgd(w, both.grads, m, 0.1, 0.9, 0.01)
        assert_close(w, both.values, dtype)
        assert_close(m, optimizer.arrays["momentum"], dtype)


@pytest.mark.parametrize("count", COUNTS)
def test_adam(kernels, dtype, count):
    optimizer, w = Adam(0.01), numbers(count, seed=1, dtype=dtype)
    m, v = np.zeros((2, count), dtype)
    both = buffers(count, dtype, 2)
    for step in range(3):
        both.grads[...] = numbers(count, seed=step, dtype=dtype)
        optimizer.step(both, 0.1)
        updates.adam(w, both.grads, m, v, 0.1, 0.01, optimizer.betas, optimizer.eps, step + 1)
        assert_close(w, both.values, dtype)
        assert_close(v, optimizer.arrays["square"], dtype)
