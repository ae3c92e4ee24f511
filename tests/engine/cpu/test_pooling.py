"""Pooling block by block, on several cores: the same results as in one block on one core."""

import numpy as np
import pytest

from scratchnet import textbook
from scratchnet.engine.cpu import pool_windows, threads
from scratchnet.ops.pooling import max_pool2d, max_pool2d_backward, max_unpool2d, max_unpool2d_backward
from tests.compare import numbers, special

CASES = {
    "2×2": ((3, 12, 10, 4), 2, None, 0, False),
    "2×2, odd": ((2, 13, 11, 4), 2, None, 0, False),
    "overlapping": ((3, 15, 12, 3), 3, 2, 1, True),
    "padded above several rows": ((2, 12, 9, 3), 6, 1, 3, False),
    "gaps": ((2, 16, 15, 2), 2, 3, 1, False),
}


@pytest.fixture
def small_blocks(monkeypatch):
    """Let a block be one row of windows, and three threads share the blocks."""
    monkeypatch.setattr(pool_windows, "CHUNK_BYTES", 1)
    monkeypatch.setattr(pool_windows, "thread_count", lambda: 3)
    monkeypatch.setattr(threads, "thread_count", lambda: 3)
    monkeypatch.setattr(threads, "MIN_SPLIT_OPERATIONS", 0)
    monkeypatch.setattr(threads, "MIN_THREAD_OPERATIONS", 0)


def results(x, *settings):
    """Return all that pooling, unpooling and their backward passes compute."""
    y, switches = max_pool2d(x, *settings)
    dy = numbers(*y.shape, seed=1, dtype=x.dtype)
    return (
        y,
        switches.index,
        max_pool2d_backward(dy, switches),
        max_pool2d_backward(dy, switches, y),
        max_unpool2d(dy, switches),
        max_unpool2d_backward(numbers(*x.shape, seed=2, dtype=x.dtype), switches),
    )


def assert_same(found, expected, overlapping):
    """Assert equal bits, or equal sums up to rounding: blocks of overlapping windows are summed in another order."""
    for array, right in zip(found, expected, strict=True):
        if overlapping and array.dtype.kind == "f":
            np.testing.assert_allclose(array, right, rtol=0, atol=2e-5 if array.dtype == np.float32 else 1e-13)
        else:
            np.testing.assert_array_equal(array, right)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("make", [numbers, special])
def test_blocks_and_cores_give_what_one_block_gives(case, make, dtype, request):
    shape, *settings = CASES[case]
    x = make(*shape, dtype=dtype)
    expected = results(x, *settings)
    request.getfixturevalue("small_blocks")
    _, switches = max_pool2d(x, *settings)
    assert len(pool_windows.pool_blocks(switches)) >= shape[0] * switches.index.shape[1]
    assert_same(results(x, *settings), expected, pool_windows.overlapping(switches))


@pytest.mark.parametrize("case", CASES)
def test_the_plain_form_gives_the_same(case, dtype, small_blocks):
    shape, *settings = CASES[case]
    x = numbers(*shape, dtype=dtype)
    found = results(x, *settings)
    with textbook():
        expected = results(x, *settings)
    assert_same(found, expected, pool_windows.overlapping(max_pool2d(x, *settings)[1]))


def test_nan_in_one_block_changes_no_switch_of_another(small_blocks):
    x = numbers(2, 8, 8, 3)
    _, clean = max_pool2d(x, 2)
    x[1, 5, 4, 1] = np.nan
    y, switches = max_pool2d(x, 2)
    assert np.isnan(y).sum() == 1
    assert switches.index[1, 2, 2, 1] == 2
    changed = switches.index != clean.index
    changed[1, 2, 2, 1] = False
    assert not changed.any()
