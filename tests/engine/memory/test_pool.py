"""Memory is used again when its array is dead, and never while anybody can still see it."""

import ctypes
import gc
import weakref
from functools import partial
from itertools import pairwise

import numpy as np
import pytest

from scratchnet.engine.capture import TracedArray
from scratchnet.engine.memory import pool as pool_module
from scratchnet.engine.memory.arena import Arena
from scratchnet.engine.memory.pool import MIN_POOLED_BYTES, Pool, allocate_from, pooled_empty, pooled_zeros
from tests.hammering import hammer

LIKE = np.zeros(0, np.float32)
SHAPE = (64, 16, 32)  # 128 KB


@pytest.fixture
def pool():
    """A pool of its own, so that no other test's memory plays a part."""
    made = Pool()
    with allocate_from(made):
        yield made


@pytest.fixture(params=[Pool, Arena])
def memory(request):
    """Both kinds of memory that arrays are made in."""
    made = request.param()
    with allocate_from(made):
        yield made


def place(array):
    return array.ctypes.data


def fill_others(count=6):
    """Take and overwrite whatever memory is free."""
    others = [pooled_empty(LIKE, SHAPE) for _ in range(count)]
    for other in others:
        other.fill(np.nan)
    return others


def owner_of(array):
    """Return the memory that an array lies in."""
    owner = array
    while not isinstance(owner, memoryview):
        owner = owner.base
    return owner.obj


VIEWS = {
    "the array": lambda a: a,
    "a slice": lambda a: a[3:5, ::2],
    "a slice of a slice": lambda a: a[1:][2:][:, 1:][..., :4],
    "its last number": lambda a: a[-1, -1, -1:],
    "transposed": lambda a: a.transpose(2, 0, 1)[5:],
    "reshaped": lambda a: a.reshape(-1, 4)[7],
    "another dtype": lambda a: a.view(np.uint32)[2],
    "a subclass": lambda a: a.view(TracedArray).view(np.ndarray)[1:],
    "as_strided": lambda a: np.lib.stride_tricks.as_strided(a, (3, 4), (8, 16)),
    "sliding windows": lambda a: np.lib.stride_tricks.sliding_window_view(a, 3, axis=0)[2],
    "broadcast": lambda a: np.broadcast_to(a[0], (5, *a.shape[1:]))[3:],
    "an iterator's item": lambda a: next(iter(a)),
    "diagonal": lambda a: a.diagonal(),
    "real part": lambda a: a.real[4],
    "asarray": lambda a: np.asarray(memoryview(a))[6],
    "frombuffer": lambda a: np.frombuffer(a, np.float32)[100:200],
    "frombuffer of a memoryview": lambda a: np.frombuffer(memoryview(a.reshape(-1))[9:99], np.float32),
    "ctypes": lambda a: np.ctypeslib.as_array(np.ctypeslib.as_ctypes(a)),
    "ndarray on its buffer": lambda a: np.ndarray((5,), np.float32, a, 64),
    "a structured view": lambda a: a.view([("r", np.float32), ("i", np.float32)])["i"][2],
}


@pytest.mark.parametrize("view", VIEWS)
def test_memory_is_not_handed_out_while_a_view_lives(memory, view):
    array = pooled_empty(LIKE, SHAPE)
    array[...] = np.arange(array.size, dtype=np.float32).reshape(SHAPE)
    seen = VIEWS[view](array)
    expected = np.array(seen, copy=True)
    del array
    held = fill_others()
    np.testing.assert_array_equal(seen, expected)
    del held, seen
    assert place(fill_others(1)[0])  # and the pool still works


def test_the_view_may_be_anywhere(memory):
    """In a container, in a cycle, in a call that is still to be made."""
    array = pooled_zeros(LIKE, SHAPE)
    cycle = {"view": array[2]}
    cycle["self"] = cycle
    closure = partial(np.copy, array[3])
    del array
    fill_others()
    assert not cycle["view"].any()
    assert not closure().any()
    del cycle
    fill_others()
    assert not closure().any()


def test_memory_of_a_dead_array_is_used_again(memory):
    first = pooled_empty(LIKE, SHAPE)
    where = place(first)
    view = first[1:].T
    del first
    assert place(pooled_empty(LIKE, SHAPE)) != where
    del view
    assert place(pooled_empty(LIKE, SHAPE)) == where
    assert place(pooled_empty(LIKE, SHAPE[::-1])) == where  # another shape of that size
    assert place(pooled_empty(LIKE, (64, 16, 16), np.float64)) == where
    assert place(pooled_empty(LIKE, (SHAPE[0], SHAPE[1], SHAPE[2] - 1))) == where  # a little less


def test_a_hundred_steps_take_the_memory_of_one(memory):
    def step():
        a = pooled_empty(LIKE, SHAPE)
        b = pooled_empty(LIKE, SHAPE)
        c = [pooled_empty(LIKE, (100_000,)) for _ in range(3)]
        return {place(x) for x in (a, b, *c)}

    first = step()
    assert all(step() == first for _ in range(100))


def test_results_of_arithmetic_own_their_memory(memory):
    array = pooled_zeros(LIKE, SHAPE)
    result = array + 1
    copy = array[:2].copy()
    del array
    fill_others()
    assert (result == 1).all()
    assert not copy.any()


@pytest.mark.parametrize("dtype", [np.uint8, bool, np.float32, np.float64, np.complex128])
@pytest.mark.parametrize("shape", [(3,), (), (5, 0, 7), (257, 3, 129), (1 << 18,)])
def test_shape_dtype_and_alignment(memory, shape, dtype):
    made = [pooled_empty(LIKE, shape, dtype) for _ in range(5)]
    for array in made:
        assert (array.shape, array.dtype) == (shape, np.dtype(dtype))
        assert array.flags.c_contiguous
        assert array.flags.writeable
        assert array.flags.aligned
        if array.nbytes >= MIN_POOLED_BYTES:
            assert place(array) % 64 == 0
    bounds = sorted((place(array), place(array) + array.nbytes) for array in made)
    assert all(end <= begin for (_, end), (begin, _) in pairwise(bounds))
    zeroed = pooled_zeros(LIKE, shape, dtype)
    assert not zeroed.any()


def test_the_dtype_is_that_of_the_example():
    assert pooled_empty(np.zeros(0, np.float64), (3,)).dtype == np.float64
    assert pooled_zeros(np.zeros(0, np.uint8), (3,)).dtype == np.uint8


@pytest.mark.parametrize(
    "size", [MIN_POOLED_BYTES, MIN_POOLED_BYTES + 1, 100_000, 1_000_003, (1 << 20) - 1, 1 << 20, 123_456_789]
)
def test_little_of_a_block_is_wasted(size):
    assert size <= pool_module.size_class(size) <= size * 1.125


def test_there_are_few_sizes():
    """Eight a doubling: sizes that differ by little meet in one."""
    sizes = {pool_module.size_class(size) for size in range(MIN_POOLED_BYTES, 2 * MIN_POOLED_BYTES)}
    assert len(sizes) <= 9
    assert all(pool_module.size_class(size) == size for size in sizes)


def test_idle_memory_is_freed_when_its_size_is_not_requested(pool, monkeypatch):
    monkeypatch.setattr(pool_module, "MAX_IDLE_CALLS", 20)
    large = pooled_empty(LIKE, (4 << 20,), np.uint8)
    kept = pooled_empty(LIKE, (2 << 20,), np.uint8)
    del large
    assert sum(map(len, pool.idle.values())) == 1
    held = []
    for k in range(60):
        held.append(pooled_empty(LIKE, (MIN_POOLED_BYTES + 10_000 * k,), np.uint8))
    assert (4 << 20) not in pool.idle
    del kept  # comes back all the same, and goes in its turn
    assert (2 << 20) in pool.idle
    pooled_empty(LIKE, (2 << 20,), np.uint8)
    for k in range(60):
        held.append(pooled_empty(LIKE, (MIN_POOLED_BYTES + 10_000 * k,), np.uint8))
    assert (2 << 20) not in pool.idle


def test_memory_returned_after_its_size_was_trimmed_is_freed_in_turn(pool, monkeypatch):
    monkeypatch.setattr(pool_module, "MAX_IDLE_CALLS", 20)
    array = pooled_empty(LIKE, (4 << 20,), np.uint8)
    held = [pooled_empty(LIKE, (MIN_POOLED_BYTES,), np.uint8) for _ in range(30)]
    assert (4 << 20) not in pool.last_request
    del array
    assert (4 << 20) in pool.idle
    held += [pooled_empty(LIKE, (MIN_POOLED_BYTES,), np.uint8) for _ in range(30)]
    assert (4 << 20) not in pool.idle


@pytest.mark.parametrize("ratio", [1, 1.5, 16])
def test_a_larger_block_may_serve_within_the_ratio(pool, ratio, monkeypatch):
    monkeypatch.setattr(pool_module, "MAX_SIZE_RATIO", ratio)
    first = pooled_empty(LIKE, (10 * MIN_POOLED_BYTES,), np.uint8)
    where = place(first)
    del first
    assert (place(pooled_empty(LIKE, (8 * MIN_POOLED_BYTES,), np.uint8)) == where) == (ratio > 1.25)
    assert (place(pooled_empty(LIKE, (MIN_POOLED_BYTES,), np.uint8)) == where) == (ratio > 10)
    small = pooled_empty(LIKE, (10 * MIN_POOLED_BYTES - 100,), np.uint8)
    assert place(small) == where  # it kept its size
    small.fill(1)


def test_the_smallest_block_that_fits_serves(pool, monkeypatch):
    monkeypatch.setattr(pool_module, "MAX_SIZE_RATIO", 16)
    made = [pooled_empty(LIKE, (k * MIN_POOLED_BYTES,), np.uint8) for k in (8, 2, 4)]
    where = [place(array) for array in made]
    del made
    assert place(pooled_empty(LIKE, (MIN_POOLED_BYTES,), np.uint8)) == where[1]


def test_idle_memory_can_be_freed():
    pool = Pool()
    with allocate_from(pool):
        alive, dead = pooled_zeros(LIKE, SHAPE), pooled_empty(LIKE, SHAPE)
        del dead
        pool.free_idle()
        assert not pool.idle
        fill_others()
        assert not alive.any()


def test_a_discarded_pool_frees_its_idle_memory_at_once():
    """Also while arrays of it live; nothing waits for the garbage collector, which rarely comes by large arrays."""
    gc.disable()
    try:
        dropped = Pool()
        with allocate_from(dropped):
            alive, dead = pooled_zeros(LIKE, SHAPE), pooled_empty(LIKE, SHAPE)
        memory, pool_ = weakref.ref(owner_of(dead)), weakref.ref(dropped)
        del dead
        assert memory() is not None  # idle
        del dropped
        assert pool_() is None
        assert memory() is None
        assert not alive.any()
        del alive
    finally:
        gc.enable()


def test_an_arena_that_is_dropped_goes_with_its_last_array():
    gc.disable()
    try:
        dropped = Arena()
        with allocate_from(dropped):
            alive = pooled_zeros(LIKE, SHAPE)
        memory, arena_ref = weakref.ref(owner_of(alive)), weakref.ref(dropped)
        del dropped
        assert arena_ref() is None
        assert not alive.any()
        del alive
        assert memory() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("kind", [Pool, Arena])
def test_pools_do_not_mix(kind):
    one, other = kind(), kind()
    with allocate_from(one):
        array = pooled_empty(LIKE, SHAPE)
        where = place(array)
        with allocate_from(other):
            del array  # comes back to the pool that it is from
            assert place(pooled_empty(LIKE, SHAPE)) != where
        assert place(pooled_empty(LIKE, SHAPE)) == where
    assert place(pooled_empty(LIKE, SHAPE)) != where


def test_the_allocator_is_restored_after_an_error():
    before = type(pooled_empty(LIKE, SHAPE))
    with allocate_from(Arena(TracedArray)):
        assert type(pooled_empty(LIKE, SHAPE)) is type(pooled_empty(LIKE, (3,))) is TracedArray
    assert type(pooled_empty(LIKE, SHAPE)) is before
    with pytest.raises(ValueError, match="negative"), allocate_from(Arena(TracedArray)):
        pooled_empty(LIKE, (-1,))
    assert type(pooled_empty(LIKE, SHAPE)) is before is np.ndarray


def test_threads_never_share_memory():
    pool = Pool()
    assert not hammer(pool)
    assert not pool.alive
    assert sum(map(len, pool.idle.values())) < 200  # of 1500 that were taken


def test_a_pointer_alone_does_not_keep_memory():
    """The rule of NumPy's own arrays: whoever hands a bare pointer to C keeps the array."""
    array = pooled_zeros(LIKE, SHAPE)
    pointer = ctypes.cast(array.ctypes.data, ctypes.POINTER(ctypes.c_float))
    assert pointer[0] == 0
