"""The memory of a captured program: allocated without gaps, merged again, shared with forked processes."""

import mmap
import os

import numpy as np
import pytest

from scratchnet.engine.memory import arena
from scratchnet.engine.memory.arena import Arena
from scratchnet.engine.memory.pool import MIN_POOLED_BYTES, allocate_from, pooled_empty
from tests.hammering import hammer
from tests.processes import fork

LIKE = np.zeros(0, np.float32)
PAGE = mmap.PAGESIZE


@pytest.fixture
def memory_arena(monkeypatch):
    """An arena with segments of 64 arrays of the smallest large size."""
    monkeypatch.setattr(arena, "SEGMENT_BYTES", 64 * MIN_POOLED_BYTES)
    made = Arena()
    with allocate_from(made):
        yield made


def place(array):
    return array.ctypes.data


def gaps(memory_arena):
    memory_arena.collect()
    return memory_arena.gaps


def bytes_of(count):
    return pooled_empty(LIKE, (count,), np.uint8)


def test_small_arrays_are_apart_and_begin_at_a_cache_line():
    with allocate_from(Arena()):
        made = [pooled_empty(LIKE, (n,)) for n in range(1, 200)]
        for k, array in enumerate(made):
            array.fill(k)
        for k, array in enumerate(made):
            assert (array == k).all()
        assert not any(place(array) % 64 for array in made)


def test_the_memory_of_small_arrays_is_reused_once_all_their_views_are_freed():
    with allocate_from(Arena()):
        for size in (1, 17, 1_000, 16_000):
            array = pooled_empty(LIKE, (size,))
            where, part = place(array), array[size // 2 :]
            del array
            other = pooled_empty(LIKE, (size,))
            assert place(other) != where
            del part
            assert place(pooled_empty(LIKE, (size,))) == where
            del other


def test_many_small_temporary_arrays_need_the_memory_of_a_few():
    with allocate_from(memory_arena := Arena()):
        held = pooled_empty(LIKE, (5,))
        for k in range(3_000):  # 90 MB
            held = pooled_empty(LIKE, (7_500 + k % 7,))
        del held
    assert memory_arena._small_used < 1 << 18


def test_more_small_shared_arrays_than_one_segment_holds():
    with allocate_from(Arena()):
        made = [pooled_empty(LIKE, (16_000,)) for _ in range(150)]  # 9.6 MB in segments of 4
        for k, array in enumerate(made):
            array.fill(k)
        assert [array[0] for array in made] == [array[-1] for array in made] == list(range(150))


def test_arrays_lie_side_by_side(memory_arena):
    made = [bytes_of(size) for size in (MIN_POOLED_BYTES, 3 * MIN_POOLED_BYTES, MIN_POOLED_BYTES + 1, MIN_POOLED_BYTES)]
    places = [place(array) - place(made[0]) for array in made]
    assert places == [0, MIN_POOLED_BYTES, 4 * MIN_POOLED_BYTES, 5 * MIN_POOLED_BYTES + PAGE]


def test_the_first_gap_that_fits_serves(memory_arena):
    made = [bytes_of(size * MIN_POOLED_BYTES) for size in (2, 1, 4, 1)]
    where = [place(array) for array in made]
    made[0] = made[2] = None
    large = bytes_of(3 * MIN_POOLED_BYTES)
    assert place(large) == where[2]
    assert place(bytes_of(MIN_POOLED_BYTES)) == where[0]
    del large


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (0, 2, 1), (1, 0, 2)])
def test_gaps_that_touch_are_one(memory_arena, order):
    made = [bytes_of(MIN_POOLED_BYTES) for _ in range(3)]
    guard = bytes_of(MIN_POOLED_BYTES)
    first = place(made[0])
    for number in order:
        made[number] = None
    assert gaps(memory_arena)[0] == (0, 0, 3 * MIN_POOLED_BYTES)
    assert place(bytes_of(3 * MIN_POOLED_BYTES)) == first
    del guard
    assert gaps(memory_arena) == [(0, 0, 64 * MIN_POOLED_BYTES)]


def test_a_second_segment_only_where_the_first_is_full(memory_arena):
    held = [bytes_of(60 * MIN_POOLED_BYTES), bytes_of(4 * MIN_POOLED_BYTES)]
    assert len(memory_arena.segments) == 1
    assert gaps(memory_arena) == []
    held.append(bytes_of(MIN_POOLED_BYTES))
    assert len(memory_arena.segments) == 2
    held.append(bytes_of(100 * MIN_POOLED_BYTES))  # more than a segment
    assert [len(segment) for segment in memory_arena.segments] == [
        64 * MIN_POOLED_BYTES,
        64 * MIN_POOLED_BYTES,
        100 * MIN_POOLED_BYTES,
    ]
    held.clear()
    assert gaps(memory_arena) == [
        (0, 0, 64 * MIN_POOLED_BYTES),
        (1, 0, 64 * MIN_POOLED_BYTES),
        (2, 0, 100 * MIN_POOLED_BYTES),
    ]


def test_where_the_system_promises_little_arrays_get_what_they_need(monkeypatch):
    taken = arena.SharedMemory

    def stingy(size):
        if size > 8 * MIN_POOLED_BYTES:
            raise OSError("too much")
        return taken(size)

    monkeypatch.setattr(arena, "SharedMemory", stingy)
    with allocate_from(memory_arena := Arena()):
        array = bytes_of(5 * MIN_POOLED_BYTES)
        array.fill(3)
        assert [len(segment) for segment in memory_arena.segments] == [5 * MIN_POOLED_BYTES]


def test_a_training_step_takes_what_is_alive_at_one_time(memory_arena):
    """Maps of different sizes forward, and in reverse each with a gradient of its size: no gap is left."""
    sizes = [8, 8, 3, 3, 5, 5, 1, 1]
    for _ in range(3):
        kept = [bytes_of(size * MIN_POOLED_BYTES) for size in sizes]
        gradient = bytes_of(MIN_POOLED_BYTES)
        while kept:
            new = bytes_of(kept[-1].nbytes)
            kept.pop()
            gradient = new
        del gradient, new
    assert len(memory_arena.segments) == 1
    assert gaps(memory_arena) == [(0, 0, 64 * MIN_POOLED_BYTES)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_forked_processes_share_it(memory_arena):
    array = bytes_of(2 * MIN_POOLED_BYTES)
    array.fill(0)
    child = fork()
    if child == 0:
        array[-1] = 7
        os._exit(0)
    os.waitpid(child, 0)
    assert array[-1] == 7


def test_a_borrower_uses_what_it_freed_itself_before_it_borrows_more(memory_arena):
    lender, borrower = memory_arena, Arena(lender=memory_arena)
    held = bytes_of(2 * MIN_POOLED_BYTES)
    with allocate_from(borrower):
        temporary = bytes_of(3 * MIN_POOLED_BYTES)
        where = place(temporary)
        assert where == place(held) + held.nbytes
        del temporary
        first, second = bytes_of(MIN_POOLED_BYTES), bytes_of(MIN_POOLED_BYTES)
        assert [place(first), place(second)] == [where, where + MIN_POOLED_BYTES]
        assert place(bytes_of(2 * MIN_POOLED_BYTES)) == where + 3 * MIN_POOLED_BYTES
    assert borrower.segments is lender.segments


def test_what_a_borrower_freed_is_unavailable_to_others_until_it_is_given_back(memory_arena):
    first, second = Arena(lender=memory_arena), Arena(lender=memory_arena)
    with allocate_from(first):
        temporary, result = bytes_of(MIN_POOLED_BYTES), bytes_of(MIN_POOLED_BYTES)
        where = place(temporary)
        del temporary
    with allocate_from(second):
        assert place(bytes_of(MIN_POOLED_BYTES)) == where + 2 * MIN_POOLED_BYTES
    assert place(bytes_of(MIN_POOLED_BYTES)) > where + MIN_POOLED_BYTES
    first.give_back()
    second.give_back()
    assert gaps(memory_arena) == [(0, 0, MIN_POOLED_BYTES), (0, 2 * MIN_POOLED_BYTES, 64 * MIN_POOLED_BYTES)]
    assert place(bytes_of(MIN_POOLED_BYTES)) == where
    del result  # freed after the others were given back
    first.give_back()
    assert gaps(memory_arena) == [(0, 0, 64 * MIN_POOLED_BYTES)]


@pytest.mark.parametrize("unit", [MIN_POOLED_BYTES, 1_500])
def test_threads_never_share_memory(memory_arena, unit):
    assert not hammer(memory_arena, unit)
    assert not memory_arena.alive
    assert all((number, 0, len(segment)) in gaps(memory_arena) for number, segment in enumerate(memory_arena.segments))
