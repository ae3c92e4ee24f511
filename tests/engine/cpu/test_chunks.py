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


def test_cores_share_maps_that_would_fit_into_one_chunk():
    row = 16 * 64 * 4
    small = chunks.MIN_CHUNK_BYTES // row
    sizes = {rows: [part.stop - part.start for part in chunks.row_chunks(np.empty((1, rows, 16, 64), np.float32))]
             for rows in (1, small, 2 * small, 4 * small, 16 * small, 40 * small)}  # fmt: skip
    assert [len(parts) for parts in sizes.values()] == [1, 1, 2, 4, 4, 10]
    assert all(sum(parts) == rows for rows, parts in sizes.items())


def test_chunks_do_not_depend_on_the_number_of_cores(monkeypatch):
    x = np.empty((2, 64, 16, 64), np.float32)
    found = []
    for cores in (1, 2, 16):
        monkeypatch.setattr(threads, "thread_count", lambda cores=cores: cores)
        found.append(chunks.row_chunks(x))
    assert found[0] == found[1] == found[2]
