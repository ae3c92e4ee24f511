"""A recording's memory: cut without gaps, joined again, shared with forked processes."""

import mmap
import os

import numpy as np
import pytest

from scratchnet.engine.memory import arena
from scratchnet.engine.memory.arena import Arena
from scratchnet.engine.memory.pool import LARGE, pooled_empty, using
from tests.hammering import hammer
from tests.processes import fork

LIKE = np.zeros(0, np.float32)
PAGE = mmap.PAGESIZE


@pytest.fixture
def space(monkeypatch):
    """A workspace in stretches of 64 arrays of the smallest large size."""
    monkeypatch.setattr(arena, "STRETCH", 64 * LARGE)
    made = Arena()
    with using(made):
        yield made


def place(array):
    return array.ctypes.data


def gaps(space):
    space.collect()
    return space.free


def bytes_of(count):
    return pooled_empty(LIKE, (count,), np.uint8)


def test_small_shared_arrays_lie_apart_and_are_never_used_again():
    with using(Arena()):
        made = [pooled_empty(LIKE, (n,)) for n in range(1, 200)]
        for k, array in enumerate(made):
            array.fill(k)
        for k, array in enumerate(made):
            assert (array == k).all()
        where = {place(array) for array in made}
        assert len(where) == len(made)
        del made, array
        assert not {place(pooled_empty(LIKE, (n,))) for n in range(1, 200)} & where


def test_more_small_shared_arrays_than_one_piece_holds():
    with using(Arena()):
        made = [pooled_empty(LIKE, (16_000,)) for _ in range(150)]  # 9.6 MB in pieces of 4
        for k, array in enumerate(made):
            array.fill(k)
        assert [array[0] for array in made] == [array[-1] for array in made] == list(range(150))


def test_arrays_lie_side_by_side(space):
    made = [bytes_of(size) for size in (LARGE, 3 * LARGE, LARGE + 1, LARGE)]
    places = [place(array) - place(made[0]) for array in made]
    assert places == [0, LARGE, 4 * LARGE, 5 * LARGE + PAGE]


def test_the_first_gap_that_fits_serves(space):
    made = [bytes_of(size * LARGE) for size in (2, 1, 4, 1)]
    where = [place(array) for array in made]
    made[0] = made[2] = None
    large = bytes_of(3 * LARGE)
    assert place(large) == where[2]
    assert place(bytes_of(LARGE)) == where[0]
    del large


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (0, 2, 1), (1, 0, 2)])
def test_gaps_that_touch_are_one(space, order):
    made = [bytes_of(LARGE) for _ in range(3)]
    guard = bytes_of(LARGE)
    first = place(made[0])
    for number in order:
        made[number] = None
    assert gaps(space)[0] == (0, 0, 3 * LARGE)
    assert place(bytes_of(3 * LARGE)) == first
    del guard
    assert gaps(space) == [(0, 0, 64 * LARGE)]


def test_a_second_stretch_only_where_the_first_is_full(space):
    held = [bytes_of(60 * LARGE), bytes_of(4 * LARGE)]
    assert len(space.stretches) == 1
    assert gaps(space) == []
    held.append(bytes_of(LARGE))
    assert len(space.stretches) == 2
    held.append(bytes_of(100 * LARGE))  # more than a stretch
    assert [len(stretch) for stretch in space.stretches] == [64 * LARGE, 64 * LARGE, 100 * LARGE]
    held.clear()
    assert gaps(space) == [(0, 0, 64 * LARGE), (1, 0, 64 * LARGE), (2, 0, 100 * LARGE)]


def test_where_the_system_promises_little_arrays_get_what_they_need(monkeypatch):
    taken = arena.Shared

    def stingy(size):
        if size > 8 * LARGE:
            raise OSError("too much")
        return taken(size)

    monkeypatch.setattr(arena, "Shared", stingy)
    with using(space := Arena()):
        array = bytes_of(5 * LARGE)
        array.fill(3)
        assert [len(stretch) for stretch in space.stretches] == [5 * LARGE]


def test_a_training_step_takes_what_is_alive_at_one_time(space):
    """Maps of different sizes forward, and in reverse each with a gradient of its size: no gap is left."""
    sizes = [8, 8, 3, 3, 5, 5, 1, 1]
    for _ in range(3):
        kept = [bytes_of(size * LARGE) for size in sizes]
        gradient = bytes_of(LARGE)
        while kept:
            new = bytes_of(kept[-1].nbytes)
            kept.pop()
            gradient = new
        del gradient, new
    assert len(space.stretches) == 1
    assert gaps(space) == [(0, 0, 64 * LARGE)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_forked_processes_share_it(space):
    array = bytes_of(2 * LARGE)
    array.fill(0)
    child = fork()
    if child == 0:
        array[-1] = 7
        os._exit(0)
    os.waitpid(child, 0)
    assert array[-1] == 7


def test_threads_never_share_memory(space):
    assert not hammer(space)
    assert not space.alive
    assert all((number, 0, len(stretch)) in gaps(space) for number, stretch in enumerate(space.stretches))
