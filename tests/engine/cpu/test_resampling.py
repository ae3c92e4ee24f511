"""FCN's bilinear upsampling by rows on several cores: the results of the plain form, replayed as well."""

import numpy as np
import pytest

from scratchnet import textbook
from scratchnet.engine.capture import Program, Recorder, traced
from scratchnet.engine.cpu import resampling, threads
from scratchnet.ops.resampling import bilinear_transpose, bilinear_transpose_backward
from tests.compare import assert_close, numbers


def both(x, dy, factor):
    return bilinear_transpose(x, factor), bilinear_transpose_backward(dy, factor)


@pytest.mark.parametrize("factor", [1, 2, 5])
@pytest.mark.parametrize(("piece", "count"), [(1, 1), (300, 3), (1 << 19, 2)])
def test_blocks_and_cores_give_what_the_plain_form_gives(factor, piece, count, cores, monkeypatch, dtype):
    cores(count)
    monkeypatch.setattr(resampling, "CHUNK_BYTES", piece)
    monkeypatch.setattr(threads, "MIN_SPLIT_OPERATIONS", 0)
    monkeypatch.setattr(threads, "MIN_THREAD_OPERATIONS", 0)
    x, dy = numbers(2, 3, 4, 3, dtype=dtype), numbers(2, 4 * factor, 5 * factor, 3, seed=1, dtype=dtype)
    found = both(x, dy, factor)
    with textbook():
        for array, expected in zip(found, both(x, dy, factor), strict=True):
            assert_close(array, expected, dtype)
    program = Program()
    with Recorder().capture(program):
        replayed = both(traced(x), traced(dy), factor)
    x *= 2
    dy *= 2
    threads.replay_on_threads(program)
    for array, expected in zip(replayed, found, strict=True):
        np.testing.assert_array_equal(array.view(np.ndarray), 2 * expected)
