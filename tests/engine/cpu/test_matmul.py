import numpy as np
import pytest

from scratchnet.engine.cpu.matmul import product, product_over_rows
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
