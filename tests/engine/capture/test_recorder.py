"""Every kind of array call, captured once and replayed on other values, gives the result of an eager call."""

import gc
import mmap
import weakref
from dataclasses import fields, is_dataclass
from functools import partial

import numpy as np
import pytest

from scratchnet.engine import capture
from scratchnet.engine.capture import CannotCapture, Program, Recorder, TracedArray, record_call, traced
from scratchnet.engine.capture.traced_memory import traced_memory
from scratchnet.engine.cpu import threads
from scratchnet.engine.cpu.threads import MIN_THREAD_OPERATIONS, parallel_map
from scratchnet.engine.memory.pool import pooled_empty, pooled_zeros
from scratchnet.engine.memory.shared import shared_zeros
from scratchnet.models import build
from tests.compare import numbers

A, B, C = (4, 6), (4, 6), (6, 3)
"""Shapes of the arrays a, b and c that every case may use."""


def inputs(seed, dtype=np.float32):
    return [numbers(*shape, seed=10 * seed + i, dtype=dtype) for i, shape in enumerate((A, B, C))]


def plain(value):
    return value.view(np.ndarray).copy()


def captured(function, *arrays):
    """Record a function of arrays; return its result, the arrays it reads, and its program."""
    taken = [shared_zeros(a.shape, a.dtype) for a in arrays]
    for place, array in zip(taken, arrays, strict=True):
        place[...] = array
    recorder, program = Recorder(), Program()
    with recorder.capture(program):
        result = function(*map(traced, taken))
    return result, taken, program


def arrays_of(value):
    """All arrays in the arguments of a call, also inside functions with arguments, tuples and objects."""
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, partial):
        yield from (array for part in (value.args, value.keywords.values()) for v in part for array in arrays_of(v))
        yield from arrays_of(value.func)
    elif isinstance(value, tuple | list):
        yield from (array for v in value for array in arrays_of(v))
    elif is_dataclass(value):
        yield from (array for field in fields(value) for array in arrays_of(getattr(value, field.name)))


@pytest.mark.parametrize("model", ["bloodcell", "segnet", "unet-same", "mobile-unet"])
def test_no_call_keeps_memory_of_the_arena_alive(model):
    """Such a reference would keep the array's place reserved for the rest of the program."""
    net = build(model, 2, width=0.1).allocate().eval()
    recorder, program = Recorder(), Program()
    with recorder.capture(program), traced_memory(net):
        y = net.forward(traced(shared_zeros((1, 64, 64, 3), np.float32)))
    for call in program.calls():
        for array in arrays_of(call):
            owner = array
            while isinstance(owner, np.ndarray) and owner.base is not None:
                owner = owner.base
            assert not isinstance(owner, memoryview), call
    del y
    gc.collect()
    assert not any(arena.alive for arena in (recorder.arena, *recorder._worker_arenas))


def play(program):
    for stage in program.stages:
        for calls in stage:
            for call in calls:
                call()


def assert_replays(function, *, first=None, then=None):
    """Record on some numbers, replay on others: the results are those of running the function on them."""
    first, then = first or inputs(0), then or [inputs(1), inputs(2)]
    result, taken, program = captured(function, *first)
    fresh = [a.copy() for a in first]
    np.testing.assert_array_equal(plain(result), function(*fresh))
    for arrays in then:
        for place, array in zip(taken, arrays, strict=True):
            place[...] = array
        fresh = [a.copy() for a in arrays]
        expected = function(*fresh)
        play(program)
        np.testing.assert_array_equal(plain(result), expected)
        assert result.dtype == expected.dtype
        for place, array in zip(taken, fresh, strict=True):  # what the function wrote into its arguments
            np.testing.assert_array_equal(place, array)


def in_place(a, b, c):
    a += b
    a *= 2
    a -= b[0]
    a /= 3
    b **= 2
    return a


def into_out(a, b, c):
    y = pooled_empty(a, (4, 3))
    np.matmul(a, c, out=y)
    np.maximum(y, 0, out=y)
    return y


def through_scratch(a, b, c):
    """Arrays that die and whose memory the next ones take."""
    for _ in range(5):
        term = pooled_empty(a, a.shape)
        np.multiply(a, b, out=term)
        a = a + term
    return a


def slices(a, b, c):
    y = pooled_zeros(a, (6, 8))
    y[1:5, 1:7] = a
    y[0] = 7
    y[:, 0] += 1
    y[2, 3] = 5
    y[-1, 2:8:2] = b[0, :3]
    y[..., 1] *= a[0, 0:1]
    y[5, None] = 2.5
    return y


def overlapping(a, b, c):
    a[1:] = a[:-1]
    a[:, :3] += a[:, 3:]
    return a


def mask_into(a, b, c):
    y = pooled_empty(a, a.shape)
    np.greater(a, b, out=y, casting="unsafe")
    return y * a


def several_outputs(a, b, c):
    whole, rest = np.divmod(a, 0.5)
    return whole + 2 * rest


def filled(a, b, c):
    y = pooled_empty(a, a.shape)
    y.fill(3)
    y += a
    y.fill(4)
    return y + b


def copied_where(a, b, c):
    y = a.copy()
    np.copyto(y, b, where=a > 0)
    return y


CASES = {
    "operators": lambda a, b, c: (a + b) * 2 - 1 / (a * a + 1),
    "reflected operators": lambda a, b, c: 1 - (2 * a) + 3 / (b * b + 1),
    "unary": lambda a, b, c: -np.abs(a) + np.sqrt(b * b),
    "comparison": lambda a, b, c: (a > b) & ~(a < 0),
    "ufunc with settings": lambda a, b, c: np.add(a, b, dtype=np.float64),
    "several outputs": several_outputs,
    "in place": in_place,
    "out": into_out,
    "through scratch": through_scratch,
    "matmul": lambda a, b, c: a @ c,
    "plain array first": lambda a, b, c: np.ones(4, np.float32) @ a,
    "sum": lambda a, b, c: a.sum(axis=0) + np.sum(b, axis=0, dtype=np.float64),
    "all kept": lambda a, b, c: a.sum(keepdims=True) * a.max(axis=-1, keepdims=True),
    "mean, variance": lambda a, b, c: a.mean(axis=0) + a.var(axis=0) + b.std(0),
    "accumulate": lambda a, b, c: np.add.accumulate(a, axis=1),
    "outer": lambda a, b, c: np.multiply.outer(a[0], b[0]),
    "slices": slices,
    "overlapping": overlapping,
    "views": lambda a, b, c: a.T[1:] * a.swapaxes(0, 1)[1:] + b.transpose(1, 0)[:-1, ::-1],
    "view as bytes": lambda a, b, c: (a > 0).view(np.uint8) * np.uint8(2),
    "reshape": lambda a, b, c: a.reshape(2, 12) + b.reshape(-1, 12),
    "reshape that copies": lambda a, b, c: a.T.reshape(3, 8) + b[:, ::2].reshape(12)[4:],
    "ravel and flatten": lambda a, b, c: a.T.ravel() + a.T.flatten() + b.ravel(),
    "astype": lambda a, b, c: a.astype(np.float64) * 3 + a.astype(np.int32),
    "copy": lambda a, b, c: a.copy() + a.T.copy().T,
    "fill": filled,
    "mask into floats": mask_into,
    "copyto where": copied_where,
    "index array": lambda a, b, c: a[[2, 0, 2]] + b[np.array([1, 1, 3])],
    "index array and slice": lambda a, b, c: a[:, [5, 0]] + b[np.arange(4), 2:3],
    "ellipsis and new axis": lambda a, b, c: a[..., None] * b[None, ..., 1:3].swapaxes(0, 1),
    "constant mask": lambda a, b, c: a[:, np.array([True, False, True, False, False, True])],
    "chosen by its own numbers": lambda a, b, c: b[0][np.argsort(a[1])],
    "tile": lambda a, b, c: np.tile(a, (2, 1)) + np.tile(b[0], 1),
    "stack": lambda a, b, c: np.stack([a, b], axis=2) + np.concatenate([a, b]).reshape(4, 6, 2),
    "one of a list traced": lambda a, b, c: np.stack([a, np.ones_like(np.zeros(A, np.float32))]),
    "einsum": lambda a, b, c: np.einsum("ij,jk->ik", a, c),
    "einsum with a constant": lambda a, b, c: np.einsum("ij,j->i", a, np.arange(6, dtype=np.float32)),
    "function with settings": lambda a, b, c: np.pad(a, ((1, 1), (0, 2)), mode="edge"),
    "function that views": lambda a, b, c: np.moveaxis(a, 0, 1) * np.flip(b, 1).T + np.squeeze(a[None]).T,
    "where": lambda a, b, c: np.where(a > 0, a, b) + np.clip(a, -1, 1),
    "dot": lambda a, b, c: np.dot(a, c) + np.tensordot(b, c, 1),
    "argmax as a function": lambda a, b, c: np.argmax(a, axis=1),
    "sort, take and repeat as functions": lambda a, b, c: np.sort(a, axis=0) + np.repeat(b[:, :3], 2, axis=1),
}


@pytest.mark.parametrize("case", CASES)
def test_a_replay_gives_what_running_anew_gives(case):
    assert_replays(CASES[case])


@pytest.mark.parametrize("case", ["operators", "in place", "out", "sum", "slices", "reshape that copies", "stack"])
def test_in_double_precision(case):
    assert_replays(CASES[case], first=inputs(0, np.float64), then=[inputs(1, np.float64)])


@pytest.mark.parametrize("case", ["reshape that copies", "index array", "through scratch", "tile", "mask into floats"])
def test_large_arrays_use_the_pools_memory_again(case):
    """64 KB and more: the blocks of freed arrays are reused during capture."""
    first, then = ([numbers(4 * 60, 6 * 60, seed=s + i, dtype=np.float32) for i in range(3)] for s in (0, 5))
    large = {"index array": lambda a, b, c: a[[2, 0] * 120] + b[[1] * 240]}
    shaped = {"reshape that copies": lambda a, b, c: a.T.reshape(240, 360) + b[:, ::2].reshape(120, 360)[0]}
    assert_replays((large | shaped).get(case, CASES[case]), first=first, then=[then])


def test_freed_memory_is_reused_during_capture():
    """A program of a hundred steps needs the memory of a few."""
    recorder, program = Recorder(), Program()
    x = traced(shared_zeros((1 << 16,), np.float32))
    with recorder.capture(program):
        x = traced(x)
        for _ in range(100):
            x = x + 1
    recorder.arena.collect()
    assert recorder.arena.gaps[-1][1] <= 2 * x.nbytes  # nothing was ever behind the second place
    play(program)
    assert (plain(x) == 100).all()


def test_what_the_arguments_were_made_of_stays_alive():
    """A recycled array that is only read: its memory must not be handed out while the program reads it."""

    def adds_threes():
        constant = pooled_empty(np.zeros(0), (50, 400))
        constant[...] = 3
        return lambda a: a + constant

    result, taken, program = captured(adds_threes(), np.zeros((50, 400)))
    others = [pooled_empty(np.zeros(0), (50, 400)) for _ in range(4)]
    for other in others:
        other.fill(np.nan)
    taken[0][...] = 1
    play(program)
    assert (plain(result) == 4).all()


def test_memory_goes_with_the_program():
    """At once: nothing waits for the garbage collector."""
    gc.disable()
    try:
        result, _, program = captured(lambda a: (a + 1) * 2, np.zeros((200, 200), np.float32))
        owner = result
        while not isinstance(owner, memoryview):
            owner = owner.base
        memory = weakref.ref(owner.obj)
        del owner, _, result
        play(program)  # the program alone holds it
        assert isinstance(memory(), mmap.mmap)
        del program
        assert memory() is None
    finally:
        gc.enable()


# What cannot be captured ----------------------------------------------------------------------------------------------


def store_of(a, mask):
    a[mask] = 0
    return a


def plain_target(a):
    total = np.zeros(a.shape, a.dtype)  # a replay would not clear it
    total += a
    return total


def plain_copy(a):
    total = np.zeros(a.shape, a.dtype)
    np.copyto(total, a)
    return total


REFUSED = {
    "float": lambda a: a * float(a[0, 0:1]),
    "float of a mean": lambda a: a * float(a.mean()),
    "int": lambda a: np.arange(int(a[0, 0:1])),
    "index": lambda a: a[a[0, 0:1].astype(np.int64).__index__() :],
    "bool": lambda a: a if a[0, 0:1] > 0 else -a,
    "any": lambda a: a if (a > 0).any() else -a,
    "item": lambda a: a * a[0, :1].item(),
    "item of a place": lambda a: a * a.item(3),
    "tolist": lambda a: a + sum(a[0].tolist()),
    "tobytes": lambda a: a.tobytes(),
    "one number": lambda a: a * a[0, 0],
    "iteration": lambda a: sum(a[0]),
    "full sum": lambda a: a / a.sum(),
    "full maximum": lambda a: a - np.max(a),
    "norm": lambda a: a / np.linalg.norm(a),
    "data-dependent shape": lambda a: a[a > 0],
    "nonzero": np.nonzero,
    "store by mask": lambda a: store_of(a, a > 0),
    "store by index": lambda a: store_of(a, [0, 2]),
    "ufunc.at": lambda a: np.add.at(a, [0, 0], 1),
    "argmax": lambda a: a[:, : a[0].argmax()],
    "method dot": lambda a: a.dot(a.T),
    "method sort": lambda a: a.sort(),
    "method take": lambda a: a.take([0]),
    "method repeat": lambda a: a.repeat(2),
    "method nonzero": lambda a: a.nonzero(),
    "method cumsum": lambda a: a.cumsum(),
    "method diagonal": lambda a: a.diagonal(),
    "reshape in another order": lambda a: a.reshape(8, 3, order="F"),
    "ravel in another order": lambda a: a.ravel("F"),
    "adding to an ordinary array": plain_target,
    "copying to an ordinary array": plain_copy,
    "out of a function": lambda a: np.stack([a, a], out=np.zeros((2, *A), np.float32)),
    "several arrays from a function": lambda a: np.broadcast_arrays(a, a[:1]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_replay_could_not_follow_is_refused(case):
    with pytest.raises(CannotCapture):
        captured(REFUSED[case], np.abs(inputs(0)[0]) + 1)


def test_no_recorder_is_left_active_after_an_error():
    with pytest.raises(CannotCapture):
        captured(lambda a: float(a[0, 0:1]), inputs(0)[0])
    assert capture.active_recorder() is None
    assert type(traced(np.zeros(3))) is np.ndarray
    assert type(pooled_empty(np.zeros(0), (3,))) is np.ndarray


def test_afterwards_recorded_arrays_answer_like_others():
    """Layers may keep arrays that they saw during capture."""
    result, _, program = captured(lambda a: a + 1, np.arange(6, dtype=np.float32).reshape(2, 3))
    assert isinstance(result, TracedArray)
    length = sum(len(calls) for stage in program.stages for calls in stage)
    assert float(result[0, 1]) == 2
    assert result[0].tolist() == [1, 2, 3]
    assert result.item(5) == 6
    assert result.sum() == 21
    assert result[1].argmax() == 2
    assert bool((result > 0).all())
    result += 1
    result[0, 0] = 0
    assert result.dot(np.ones(3)).tolist() == [7, 18]
    assert f"{result[1, 2]:.1f}" == "7.0"
    assert sum(len(calls) for stage in program.stages for calls in stage) == length


def test_perform_draws_again_in_every_replay():
    rng = np.random.default_rng(3)

    def draw(target):
        target[...] = rng.random(target.shape, np.float32)

    def noisy(a):
        noise = pooled_empty(a, a.shape)
        record_call(draw, noise)
        return a + noise

    result, _, program = captured(noisy, np.zeros((3, 4), np.float32))
    seen = [plain(result)]
    for _ in range(3):
        play(program)
        seen.append(plain(result))
    expected = np.random.default_rng(3)
    for drawn in seen:
        np.testing.assert_array_equal(drawn, expected.random((3, 4), np.float32))


def test_perform_outside_of_a_recorder_is_a_call():
    target = np.zeros(3)
    record_call(lambda a: a.fill(2), target)
    assert target.tolist() == [2, 2, 2]


# Shares ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def three(monkeypatch):
    monkeypatch.setattr(threads, "_cores", lambda: 3)


def shared_work(x, rows):
    """Every share takes scratch memory, gives it back, and takes it again."""
    y = pooled_empty(x, x.shape)

    def work(share):
        first = x[share[0]] + 1
        for row in share:
            scratch = pooled_empty(x, rows.shape[1:])
            np.multiply(x[row], rows[row], out=scratch)
            np.add(scratch, 1, out=scratch)
            np.multiply(scratch, scratch, out=y[row])
            del scratch
        return first

    return y, parallel_map(work, range(len(x)), MIN_THREAD_OPERATIONS)


@pytest.mark.parametrize("length", [50, 1 << 15])  # small arrays, and such as are handed out again
def test_lists_may_run_in_any_order_and_interleaved(three, length):
    """Scratch memory of two shares that was the same would be overwritten between its writing and its reading."""
    x, rows = (numbers(7, length, seed=s, dtype=np.float32) for s in (0, 1))
    (y, parts), (place, other), program = captured(shared_work, x, rows)
    assert [len(stage) for stage in program.stages if len(stage) > 1] == [3]
    for seed in (2, 3, 4):
        place[...], other[...] = (numbers(7, length, seed=seed + i, dtype=np.float32) for i in (0, 5))
        for stage in program.stages:
            lists = [list(calls) for calls in stage]
            rng = np.random.default_rng(seed)
            while any(lists):
                waiting = [calls for calls in lists if calls]
                waiting[rng.integers(len(waiting))].pop(0)()
        np.testing.assert_array_equal(plain(y), (place * other + 1) ** 2)
        for k, part in enumerate(parts):
            np.testing.assert_array_equal(plain(part), place[len(x) * k // 3] + 1)


def test_scratch_of_shares_needs_no_memory_of_its_own(three):
    """It uses what was freed before, and the next stage reuses it, in the arena that all arrays share."""
    size = 1 << 18  # bytes

    def scratch(share):
        array = pooled_empty(np.zeros(0), (size // 8,))
        np.multiply(array, 0, out=array)
        return array.ctypes.data

    recorder, program = Recorder(), Program()
    with recorder.capture(program):
        freed = pooled_empty(np.zeros(0), (3 * size // 8,))
        held, where = pooled_empty(np.zeros(0), (size // 8,)), freed.ctypes.data
        del freed
        stages = [parallel_map(scratch, range(3), MIN_THREAD_OPERATIONS) for _ in range(2)]
        del held
    assert stages == [[where, where + size, where + 2 * size]] * 2


def test_results_of_shares_stay_until_they_are_used(three):
    """Sections follow each other: the scratch of the second must not lie where the first left its results."""

    def twice(x):
        def first(share):
            return x[share[0]] * 2

        def second(share):
            for k in share:
                scratch = x[k] * 0
                scratch -= 1
            return scratch

        sums = parallel_map(first, range(3), MIN_THREAD_OPERATIONS)
        parallel_map(second, range(3), MIN_THREAD_OPERATIONS)
        return sums[0] + sums[1] + sums[2]

    x = numbers(3, 1 << 15, dtype=np.float32)
    result, (place,), program = captured(twice, x)
    place[...] = numbers(3, 1 << 15, seed=1, dtype=np.float32)
    play(program)
    np.testing.assert_array_equal(plain(result), place[0] * 2 + place[1] * 2 + place[2] * 2)


def test_shares_inside_shares_are_one_list(three):
    def outer(x):
        y = pooled_empty(x, x.shape)

        def work(chunk):
            for k in chunk:
                parallel_map(
                    lambda inner, k=k: [np.add(x[k, i], 1, out=y[k, i]) for i in inner], range(4), MIN_THREAD_OPERATIONS
                )

        parallel_map(work, range(3), MIN_THREAD_OPERATIONS)
        return y

    result, (place,), program = captured(outer, numbers(3, 4, 5))
    assert [len(stage) for stage in program.stages] == [3]
    place[...] = 7
    play(program)
    assert (plain(result) == 8).all()


def test_an_error_in_a_share_arrives(three):
    def work(x):
        return parallel_map(lambda share: float(x[share[0]][:1]), range(3), MIN_THREAD_OPERATIONS)

    with pytest.raises(CannotCapture):
        captured(work, numbers(3, 4))
    assert capture.active_recorder() is None


def test_calls_of_one_list_are_put_together():
    _, _, program = captured(lambda a: (a + 1) * 2 - a, numbers(3, 4))
    assert [len(stage) for stage in program.stages] == [1]
    assert len(program.stages[0][0]) == 3
