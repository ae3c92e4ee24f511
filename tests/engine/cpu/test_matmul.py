import numpy as np
import pytest

from scratchnet.engine.cpu import matmul
from scratchnet.engine.cpu.matmul import product, product_over_rows, stacked_product
from scratchnet.engine.memory.pool import pooled_empty
from tests.compare import assert_close, numbers

SHAPES = [(1, 1, 1), (7, 5, 3), (3, 5, 7), (40, 9, 40), (200, 3, 2), (2, 3, 200), (1, 300, 4), (4, 300, 1)]


@pytest.mark.parametrize("count", [1, 2, 3, 64])
@pytest.mark.parametrize(("rows", "k", "columns"), SHAPES)
def test_products_are_matrix_products(cores, rows, k, columns, count, dtype):
    """Also with more threads than rows and columns."""
    cores(count)
    a, b = numbers(rows, k, dtype=dtype), numbers(k, columns, seed=1, dtype=dtype)
    out = np.full((rows, columns), np.nan, dtype)
    product(a, b, out)
    assert_close(out, a.astype(np.float64) @ b, dtype)
    tall = numbers(rows, columns, seed=2, dtype=dtype)
    assert_close(product_over_rows(a, tall), a.T.astype(np.float64) @ tall, dtype)


def test_views_and_transposes(cores):
    cores(3)
    a, b = numbers(60, 50)[::2, 1:31].T, numbers(40, 30)[:, ::-1].T
    whole = pooled_empty(a, (60, 90))
    whole.fill(7)
    product(a, b, whole[20:50, 30:70])
    assert_close(np.ascontiguousarray(whole[20:50, 30:70]), a @ b)
    whole[20:50, 30:70] = 7
    assert (whole == 7).all()
    assert_close(product_over_rows(a, a), a.T @ a)


def test_the_sum_over_rows_is_the_same_every_time(cores):
    cores(3)
    a, b = numbers(1000, 20, dtype=np.float32), numbers(1000, 30, dtype=np.float32)
    first = product_over_rows(a, b)
    for _ in range(5):
        np.testing.assert_array_equal(product_over_rows(a, b), first)


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("rows", [1, 2, 4, 8, 9])
@pytest.mark.parametrize(("k", "columns"), [(1, 7), (50, 7), (301, 40)])
def test_few_rows_by_a_matrix_from_memory(monkeypatch, cores, rows, k, columns, count, dtype):
    cores(count)
    a, b = numbers(rows, k, dtype=dtype), numbers(k, columns, seed=1, dtype=dtype)
    calls, original = [], matmul._stream
    monkeypatch.setattr(matmul, "_stream", lambda *given: (calls.append(1), original(*given)))
    for chunk in (1, 600, 1 << 20):
        monkeypatch.setattr(matmul, "MIN_LARGE_BYTES", 0)
        monkeypatch.setattr(matmul, "CHUNK_BYTES", chunk)
        out = np.full((rows, columns), np.nan, dtype)
        product(a, b, out)
        assert_close(out, a.astype(np.float64) @ b, dtype)
    assert len(calls) == (3 if 1 < rows <= matmul.MAX_FEW_ROWS else 0)
    product(a, numbers(columns, k, dtype=dtype).T, np.empty((rows, columns), dtype))  # a transposed matrix
    assert len(calls) == (3 if 1 < rows <= matmul.MAX_FEW_ROWS else 0) or min(k, columns) == 1


@pytest.mark.parametrize("most", [1, 100, 1000, 900_000])
def test_stacked_products_are_cut_into_rows(monkeypatch, most, dtype):
    monkeypatch.setattr(matmul, "SMALL_PRODUCT", most)
    monkeypatch.setattr(matmul, "MIN_SMALL_ROWS", 2)
    a, b = numbers(3, 31, 4, dtype=dtype), numbers(3, 4, 5, seed=1, dtype=dtype)
    out = np.full((3, 31, 5), np.nan, dtype)
    stacked_product(a, b, out)
    assert_close(out, a @ b, dtype)
    transposed = np.ascontiguousarray(a.swapaxes(1, 2)).swapaxes(1, 2)
    stacked_product(transposed, b[:, :, ::-1], out)
    assert_close(out, a @ b[:, :, ::-1], dtype)
