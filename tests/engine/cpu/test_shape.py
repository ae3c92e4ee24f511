"""Crops, pads, concatenations and sums by rows on several cores: the results of the plain form."""

import numpy as np
import pytest

from scratchnet import textbook
from scratchnet.engine.cpu import shape, threads
from scratchnet.ops.shape import add, concatenate, crop2d_backward, pad2d
from tests.compare import numbers

X, OTHER = numbers(3, 5, 4, 2), numbers(3, 5, 4, 3, seed=1)

STRIDED = numbers(3, 7, 6, 4, seed=2)[:, 1:6, 2:, 1:3]

CALLS = {
    "strided crop": lambda: crop2d_backward(STRIDED, (2, 1), (9, 6)),
    "strided concatenate": lambda: concatenate(STRIDED, X, STRIDED[..., ::-1]),
    "strided add": lambda: add(X, STRIDED, STRIDED),
    "crop": lambda: crop2d_backward(X, (2, 1), (9, 6)),
    "crop at the edge": lambda: crop2d_backward(X, (0, 2), (5, 6)),
    "crop of everything": lambda: crop2d_backward(X, 0, (5, 4)),
    "pad": lambda: pad2d(X, (1, 2)),
    "pad rows": lambda: pad2d(X, (3, 0)),
    "concatenate": lambda: concatenate(X, OTHER, X),
    "concatenate one": lambda: concatenate(X),
    "add": lambda: add(X, 2 * X, 3 * X),
    "add one": lambda: add(X),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(("piece", "count"), [(1, 1), (200, 3), (1 << 19, 2)])
def test_blocks_and_cores_give_what_the_plain_form_gives(name, piece, count, cores, monkeypatch):
    cores(count)
    monkeypatch.setattr(shape, "CHUNK_BYTES", piece)
    monkeypatch.setattr(threads, "MIN_SPLIT_OPERATIONS", 0)
    monkeypatch.setattr(threads, "MIN_THREAD_OPERATIONS", 0)
    found = CALLS[name]()
    with textbook():
        np.testing.assert_array_equal(found, CALLS[name]())


def test_contiguous_kernel():
    weight = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)[::-1].swapaxes(2, 3)
    copied = shape.contiguous_kernel(weight)
    assert copied.flags.c_contiguous
    np.testing.assert_array_equal(copied, weight)
