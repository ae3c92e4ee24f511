"""The update kernels against the CPU's."""

import numpy as np
import pytest

from scratchnet.engine.cuda import updates as cuda
from scratchnet.ops import updates
from tests.compare import assert_close, numbers

COUNTS = [1, 1023, pytest.param(2500, marks=pytest.mark.sanitized)]


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_sgd(kernels, dtype, count, decay):
    found, wanted = (numbers(2, count, dtype=dtype) for _ in range(2))
    g = numbers(count, seed=1, dtype=dtype)
    for module, (w, m) in ((cuda, found), (updates, wanted)):
        module.sgd_update(w, g, m, 0.1, 0.9, decay)
    assert_close(found, wanted, dtype)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_adam(kernels, dtype, count, decay):
    found, wanted = (np.abs(numbers(3, count, dtype=dtype)) for _ in range(2))
    g = numbers(count, seed=1, dtype=dtype)
    for module, (w, m, v) in ((cuda, found), (updates, wanted)):
        module.adam_update(w, g, m, v, 0.1, 0.9, 0.999, 0.3, 1e-8, decay)
    assert_close(found, wanted, dtype)
