"""Chunks of rows cover every row exactly once."""

import numpy as np
import pytest

from scratchnet.engine.cpu import chunks, threads


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 5, 7, 3), (3, 40, 33, 8)])
def test_parallel_rows_covers_every_row_once(monkeypatch, shape):
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 1 << 12)
    monkeypatch.setattr(threads, "thread_count", lambda: 3)
    monkeypatch.setattr(threads, "MIN_THREAD_OPERATIONS", 0)
    x = np.arange(np.prod(shape), dtype=np.float64).reshape(shape)
    y = np.zeros(shape)

    def double(x, y):
        np.multiply(x, 2, out=y)
        firsts.append(x.ravel()[0])

    firsts = []
    chunks.parallel_rows(double, x, y)
    np.testing.assert_array_equal(y, 2 * x)
    assert len(set(firsts)) == len(firsts) == len(chunks.row_chunks(x))
