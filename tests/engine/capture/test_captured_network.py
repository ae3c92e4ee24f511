"""A replay gives the network's numbers, bit for bit, whatever comes in between."""

import gc
import os
import signal
import threading
import time
import weakref

import numpy as np
import pytest

from scratchnet.engine.capture import capture as capture_module
from scratchnet.engine.capture import capture_cache, worker_processes
from scratchnet.engine.capture.captured_network import CapturedNetwork
from scratchnet.engine.capture.worker_processes import can_fork
from scratchnet.engine.memory.arena import Arena
from scratchnet.engine.modes import precise, textbook
from scratchnet.layers import BatchNorm2d, Conv2d, Dropout, MaxPool2d, MaxUnpool2d, ReLU
from scratchnet.layers.base import Layer
from scratchnet.models import MODELS, build
from scratchnet.network import Network
from scratchnet.network.checkpointing import peak_bytes
from tests.compare import numbers
from tests.models.test_models import SMALL, framed, stirred
from tests.processes import alive, children, fork

pytestmark = pytest.mark.usefixtures("deadline")

forks = pytest.mark.skipif(not can_fork(), reason="processes cannot be forked on this system")


@pytest.fixture(autouse=True)
def nobody_is_left():
    before = children()
    yield
    if not children() <= before:
        gc.collect()
    assert children() <= before


def small(dtype=np.float32, dropout=0.0):
    """Convolutions, batch norm, switches and dropout, with enough work to be shared."""
    net = Network(3)
    net.add("conv1", Conv2d(3, 8, 3, padding=1, bias=False))
    net.add("bn1", BatchNorm2d(8))
    net.add("relu1", ReLU())
    net.add("pool1", MaxPool2d(2))
    net.add("conv2", Conv2d(8, 8, 3, padding=1))
    net.add("drop", Dropout(dropout))
    net.add("unpool1", MaxUnpool2d(), "drop", "pool1.switches")
    net.add("score", Conv2d(8, 2, 3, padding=1))
    return stirred(net, np.dtype(dtype).type).train()


def batch(seed, shape=(2, 12, 16, 3), dtype=np.float32):
    return numbers(*shape, seed=seed, dtype=dtype)


def programs_of(fast):
    return [p for captured in fast._captures.values() if captured for p in (captured.forward, captured.backward) if p]


def arenas_of(recorder):
    return [recorder.arena, *recorder._worker_arenas]


def capture_count(fast):
    return sum(captured is not None for captured in fast._captures.values())


def same_step(fast, net, twin, x, seed, needs_input_grad=False):
    """Do one training step on both and compare all numbers, then update both."""
    for each in (net, twin):
        each.reseed(seed)
        each.zero_grad()
    y, expected = fast.forward(x), twin.forward(x)
    np.testing.assert_array_equal(y, expected)
    dy = numbers(*y.shape, seed=100 + seed, dtype=y.dtype)
    dx, expected_dx = fast.backward(dy, needs_input_grad), twin.backward(dy, needs_input_grad)
    if needs_input_grad:
        np.testing.assert_array_equal(dx, expected_dx)
    else:
        assert dx is None
    same_state(net, twin)
    for each in (net, twin):
        values, grads = each.flat().values, each.flat().grads
        values -= values.dtype.type(0.01) * grads / (np.abs(grads).max() + values.dtype.type(1e-6))


def same_state(net, twin):
    for (name, p), q in zip(net.parameters().items(), twin.parameters().values(), strict=True):
        np.testing.assert_array_equal(p.grad, q.grad, err_msg=name)
    for (name, a), b in zip(net.state().items(), twin.state().values(), strict=True):
        np.testing.assert_array_equal(a.value, b.value, err_msg=name)


# The same numbers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "count"), [*((name, 2) for name in MODELS), ("bloodcell", 1), ("segnet", 3)])
def test_every_model_trains_bit_for_bit(cores, name, count):
    cores(count)
    options, size = SMALL[name][-1]
    net, twin = (stirred(build(name, 3, 3, **options)).train() for _ in range(2))
    fast = CapturedNetwork(net)
    for seed in range(4):
        same_step(fast, net, twin, batch(seed, (2, *framed(net, size), 3)), seed)
    assert len(programs_of(fast)) == 2
    net.eval(), twin.eval()
    for seed in range(3):
        x = batch(seed, (1, *framed(net, size), 3))
        np.testing.assert_array_equal(fast.forward(x), twin.forward(x))
    assert capture_count(fast) == 2


@pytest.mark.parametrize("needs_input_grad", [False, True])
def test_the_gradient_by_the_image_comes_where_it_is_wanted(cores, dtype, needs_input_grad):
    cores(2)
    net, twin = small(dtype), small(dtype)
    fast = CapturedNetwork(net)
    for seed in range(4):
        same_step(fast, net, twin, batch(seed, dtype=dtype), seed, needs_input_grad)


def test_the_gradient_by_the_image_need_not_be_taken(cores):
    cores(1)
    net, twin = small(), small()
    fast = CapturedNetwork(net)
    for seed, needs_input_grad in enumerate([True, True, True, False]):
        same_step(fast, net, twin, batch(seed), seed, needs_input_grad)


def test_dropout_draws_as_it_would_have(cores):
    cores(3)
    net, twin = small(dropout=0.5), small(dropout=0.5)
    fast = CapturedNetwork(net)
    for seed in (0, 1, 2, 3, 2):
        same_step(fast, net, twin, batch(0), seed)
    first, second = fast.forward(batch(0)), fast.forward(batch(0))  # without a new seed the stream goes on
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("count", [1, 3])
def test_all_ways_to_choose_statistics(cores, count):
    cores(count)
    net, twin = small(), small()
    fast = CapturedNetwork(net)
    modes = [
        lambda n: n.train().freeze_batch_norm(False),
        lambda n: n.train().freeze_batch_norm(),
        lambda n: n.eval(),
        lambda n: n.eval().use_statistics("batch"),
    ]
    for seed in range(3):
        for mode in modes:
            for each in (net, twin):
                mode(each.use_statistics("running"))
            x = batch(seed)
            np.testing.assert_array_equal(fast.forward(x, keep=True), twin.forward(x, keep=True))
            dy = numbers(2, 12, 16, 2, seed=seed, dtype=np.float32)
            fast.backward(dy), twin.backward(dy)
            same_state(net, twin)
    assert capture_count(fast) == 4


def test_gradients_add_up_until_they_are_zeroed(cores):
    cores(2)
    net, twin = small(), small()
    fast = CapturedNetwork(net)
    for seed in range(5):
        for each in (fast, twin):
            each.forward(batch(seed))
            each.backward(numbers(2, 12, 16, 2, seed=seed, dtype=np.float32))
        same_state(net, twin)


def test_gradients_take_the_place_of_others_where_they_are_not_to_be_added(cores):
    """A captured step is replayed with add=True and add=False, however it was captured."""
    cores(2)
    for order in ([False, True, False, True, True, False], [True, True, True, False, False, True]):
        net, twin = small(), small()
        fast = CapturedNetwork(net)
        for seed, add in enumerate(order):
            x = batch(seed)
            dy = numbers(*fast.forward(x).shape, seed=seed, dtype=x.dtype)
            fast.backward(dy, add=add)
            if not add:
                twin.zero_grad()
            twin.forward(x)
            twin.backward(dy)
            same_state(net, twin)


@pytest.mark.parametrize("mode", [precise, textbook])
def test_a_mode_holds_for_the_calls_inside_it(cores, mode):
    cores(2)
    net, twin = small(), small()
    fast = CapturedNetwork(net)
    for seed in range(3):
        same_step(fast, net, twin, batch(seed), seed)
        with mode():
            same_step(fast, net, twin, batch(seed), seed)
    assert capture_count(fast) == (2 if mode is precise else 1)


def test_threads_replay_where_processes_cannot_be_forked(cores, monkeypatch):
    cores(3)
    monkeypatch.setattr(capture_module, "can_fork", lambda: False)
    net, twin = small(), small()
    fast, before = CapturedNetwork(net), children()
    for seed in range(4):
        same_step(fast, net, twin, batch(seed), seed)
    assert children() == before


def test_threads_replay_where_the_system_grants_no_more_processes(cores, monkeypatch):
    cores(3)

    def refuse():
        raise BlockingIOError("no more processes")

    monkeypatch.setattr(os, "fork", refuse)
    net, twin = small(), small()
    fast = CapturedNetwork(net)
    for seed in range(4):
        same_step(fast, net, twin, batch(seed), seed)


@forks
def test_several_cores_replay_in_several_processes(cores):
    cores(3)
    net, twin = small(), small()
    fast, before = CapturedNetwork(net), children()
    for seed in range(3):
        same_step(fast, net, twin, batch(seed), seed)
    assert len(children() - before) == 2  # beside the leader, for both passes
    del fast


# What a capture depends on --------------------------------------------------------------------------------------------


def change_rate(net):
    next(s.layer for s in net.steps if s.name == "drop").rate = 0.25


def change_momentum(net):
    net.batch_norms()["bn1"].momentum = 0.5


def change_memory(net):
    values = net.flat().values.copy()
    net.allocate(5)
    net.flat().values[...] = values * np.float32(1.5)


def change_statistics(net):
    for buffer in net.state().values():
        buffer.value = buffer.value + 1


@pytest.mark.parametrize("change", [change_rate, change_momentum, change_memory, change_statistics])
def test_changes_of_the_network_are_followed(cores, change):
    cores(2)
    net, twin = small(dropout=0.5), small(dropout=0.5)
    fast = CapturedNetwork(net)
    for seed in range(9):
        if seed in (3, 5, 6):
            for each in (net, twin):
                change(each)
        same_step(fast, net, twin, batch(seed), seed)


def test_a_step_added_later_is_run(cores):
    cores(1)
    net = small().eval()
    fast = CapturedNetwork(net)
    for seed in range(3):
        fast.forward(batch(seed))
    net.add("relu2", ReLU())
    net.eval()
    for seed in range(3):
        np.testing.assert_array_equal(fast.forward(batch(seed)), net.forward(batch(seed)))
        assert fast.forward(batch(seed)).min() == 0


def test_every_shape_has_its_capture(cores):
    cores(2)
    net, twin = small(), small()
    fast = CapturedNetwork(net)
    for seed in range(3):
        for shape in ((2, 12, 16, 3), (1, 12, 16, 3), (2, 8, 10, 3)):
            same_step(fast, net, twin, batch(seed, shape), seed)
    assert capture_count(fast) == 3


def test_wrong_inputs_are_refused_as_by_the_network(cores):
    cores(1)
    net = small()
    fast = CapturedNetwork(net)
    for _ in range(3):
        with pytest.raises(ValueError, match=r"expected float32 input, got float64"):
            fast.forward(batch(0, dtype=np.float64))
        with pytest.raises(ValueError, match=r"expected input \(n, h, w, 3\), got"):
            fast.forward(batch(0, (2, 12, 16, 4)))


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_gradient_of_another_shape_is_refused_and_the_right_one_still_taken(cores, times):
    cores(1)
    net, twin = small(), small()
    fast = CapturedNetwork(net)
    for seed in range(times - 1):
        same_step(fast, net, twin, batch(seed), seed)
    for each in (fast, twin):
        each.forward(batch(9))
    with pytest.raises(ValueError, match="gradient"):
        fast.backward(np.zeros((2, 12, 15, 2), np.float32))
    for each in (fast, twin):
        each.backward(numbers(2, 12, 16, 2, dtype=np.float32))
    same_state(net, twin)


def test_a_gradient_of_another_dtype_is_refused(cores):
    cores(1)
    fast = CapturedNetwork(small())
    for _ in range(2):
        fast.backward(np.zeros_like(fast.forward(batch(0))))
    y = fast.forward(batch(0))
    with pytest.raises(ValueError, match=r"gradient \(2, 12, 16, 2\) float64 must be like .* float32"):
        fast.backward(np.zeros(y.shape))


@pytest.mark.parametrize("times", [1, 2, 3, 4])
def test_backward_needs_a_forward_that_kept(cores, times):
    cores(1)
    net = small()
    fast = CapturedNetwork(net)
    dy = numbers(2, 12, 16, 2, dtype=np.float32)
    for _ in range(times):
        fast.forward(batch(0))
        fast.backward(dy)
    with pytest.raises(RuntimeError, match="backward was called without a forward before it"):
        fast.backward(dy)
    fast.forward(batch(0), keep=False)
    with pytest.raises(RuntimeError, match="backward was called without a forward before it"):
        fast.backward(dy)


def test_dx_must_be_asked_for_from_the_first_call_on(cores):
    cores(1)
    fast = CapturedNetwork(small())
    for _ in range(2):
        fast.backward(np.zeros_like(fast.forward(batch(0))))
    y = fast.forward(batch(0))
    with pytest.raises(ValueError, match="captured without dx; request dx from the first call on"):
        fast.backward(y, needs_input_grad=True)


@pytest.mark.parametrize("between", [(1, 8, 10, 3), (2, 12, 16, 3)])
def test_a_forward_without_backward_does_not_mislead_the_next(cores, between):
    """The first backward pass is captured from what the layers saved: that must be what the replayed forward kept."""
    cores(2)
    net, twin = small(), small()
    fast = CapturedNetwork(net)
    for each in (fast, twin):
        each.forward(batch(0))
        each.forward(batch(1))  # captured; no backward pass
    for each in (net, twin):  # other settings, and so no capture yet
        each.freeze_batch_norm()
    for each in (fast, twin):
        each.forward(batch(2, between))  # overwrites what the layers keep
    for each in (net, twin):
        each.freeze_batch_norm(False)
    for seed in (3, 4, 5):
        same_step(fast, net, twin, batch(seed), seed)


def test_passes_of_the_network_itself_may_come_in_between(cores):
    cores(2)
    net, twin = small(), small()
    fast = CapturedNetwork(net)
    for seed in range(5):
        same_step(fast, net, twin, batch(seed), seed)
        for each in (net, twin):
            each.forward(batch(seed))
            each.backward(numbers(2, 12, 16, 2, dtype=np.float32))
            each.eval().forward(batch(seed, (1, 8, 8, 3)))
            each.train()
        same_state(net, twin)


# Layers of one's own --------------------------------------------------------------------------------------------------


class Threshold(ReLU):
    """Reads its values; its class does not say that it is capturable."""

    def forward(self, x):
        if float(x.max()) > 3:
            x = x * x.dtype.type(0.5)
        return super().forward(x)


class Careless(Threshold):
    """Says so, wrongly."""

    capturable = True


def with_layer(layer):
    net = Network(3)
    net.add("conv", Conv2d(3, 8, 3, padding=1))
    net.add("own", layer)
    net.add("score", Conv2d(8, 2, 3, padding=1))
    return stirred(net).train()


def test_layers_of_ones_own_run_as_always(cores):
    cores(2)
    net, twin = with_layer(Threshold()), with_layer(Threshold())
    fast = CapturedNetwork(net)
    for seed in range(4):
        same_step(fast, net, twin, batch(seed) * np.float32(1 + seed), seed)
    assert capture_count(fast) == 0


def test_a_layer_that_is_wrongly_capturable_gives_a_warning_and_runs_eagerly(cores):
    cores(1)
    net, twin = with_layer(Careless()), with_layer(Careless())
    fast = CapturedNetwork(net)
    same_step(fast, net, twin, batch(0), 0)
    with pytest.warns(RuntimeWarning, match=r"step 'own' \(Careless\) cannot be captured: .* cannot be traced"):
        same_step(fast, net, twin, batch(1), 1)
    for seed in range(2, 4):
        same_step(fast, net, twin, batch(seed) * np.float32(1 + seed), seed)


def test_a_recordable_layer_of_ones_own_is_replayed(cores):
    cores(2)

    class Doubling(Layer):
        capturable = True

        def forward(self, x):
            return x + x

        def backward(self, dy):
            return 2 * dy

    net, twin = with_layer(Doubling()), with_layer(Doubling())
    fast = CapturedNetwork(net)
    for seed in range(4):
        same_step(fast, net, twin, batch(seed), seed)
    assert capture_count(fast) == 1


# Memory ---------------------------------------------------------------------------------------------------------------


def test_arrays_given_away_are_never_written_to_again(cores):
    cores(2)
    shape = (2, 96, 96, 3)  # over the size from which on memory is used again
    fast = CapturedNetwork(small())
    given = []
    for seed in range(5):
        y = fast.forward(batch(seed, shape))
        dx = fast.backward(numbers(*y.shape, seed=seed, dtype=np.float32), needs_input_grad=True)
        given += [(y, y.copy()), (dx, dx.copy())]
        assert type(y) is type(dx) is np.ndarray
    for array, copy in given:
        np.testing.assert_array_equal(array, copy)


def test_arguments_are_left_alone(cores):
    cores(1)
    fast = CapturedNetwork(small())
    for seed in range(4):
        x, dy = batch(seed), numbers(2, 12, 16, 2, seed=seed, dtype=np.float32)
        copies = x.copy(), dy.copy()
        fast.forward(x)
        fast.backward(dy)
        np.testing.assert_array_equal(x, copies[0])
        np.testing.assert_array_equal(dy, copies[1])
        x[...] = dy[...] = np.nan  # the caller may use them for something else


def test_no_more_recordings_are_kept_than_promised_and_their_memory_is_let_go(cores, monkeypatch):
    cores(2)
    monkeypatch.setattr(capture_cache, "MAX_CAPTURES", 2)
    net, twin = small().eval(), small().eval()
    fast, before, memory = CapturedNetwork(net), children(), []
    shapes = [(1, 16 + 2 * i, 16, 3) for i in range(6)]
    gc.disable()  # memory must not wait for the garbage collector
    try:
        for shape in shapes:
            for seed in range(3):
                np.testing.assert_array_equal(fast.forward(batch(seed, shape)), twin.forward(batch(seed, shape)))
            memory.append([weakref.ref(arena) for arena in arenas_of(list(fast._captures.values())[-1].recorder)])
            assert capture_count(fast) <= 2
            assert len(children() - before) <= 2
            assert len(fast._captures) <= 4
        assert [all(ref() is None for ref in refs) for refs in memory] == [True] * 4 + [False] * 2
    finally:
        gc.enable()
    for seed in range(3):  # the first shape comes back
        x = batch(seed, shapes[0])
        np.testing.assert_array_equal(fast.forward(x), twin.forward(x))


def test_the_gradient_is_put_where_the_output_was(cores):
    """After the loss nobody needs the captured output, unless the last layer has saved it."""
    cores(1)
    saving = small()
    saving.add("last", ReLU())
    for net, same in ((small(), True), (stirred(saving), False)):
        fast = CapturedNetwork(net.train())
        for seed in range(3):
            fast.backward(fast.forward(batch(seed)))
        (captured,) = fast._captures.values()
        assert np.may_share_memory(captured.y, captured.dy) == same


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize(("name", "options"), [("unet-same", {"width": 0.25}), ("deconvnet-small", {"width": 8})])
def test_a_captured_step_needs_the_memory_that_is_estimated(cores, monkeypatch, name, options, count):
    """Temporary arrays of the workers use memory that maps free, and small arrays the memory of other small arrays."""
    cores(count)
    highest, size, images = [0], (64, 64), 12
    allocate = Arena._allocate

    def measured(self, size):
        index, begin = allocate(self, size)
        highest[0] = max(highest[0], begin + size)
        return index, begin

    monkeypatch.setattr(Arena, "_allocate", measured)
    net = stirred(build(name, 2, **options)).train()
    fast, x = CapturedNetwork(net), batch(0, (images, *size, 3))
    for _ in range(2):
        highest[0] = 0
        fast.backward(fast.forward(x))
    (captured,) = fast._captures.values()
    memory = net.step_memory(size, images, recompute_inputs=True)
    assert highest[0] < 1.25 * peak_bytes(memory, [range(len(memory))])
    assert all(arena._small_used < 1 << 20 for arena in arenas_of(captured.recorder))


@pytest.mark.parametrize("how", ["clear", "delete"])
def test_no_process_is_left_when_the_recordings_go(cores, how):
    cores(3)
    net, twin = small(), small()
    fast, before = CapturedNetwork(net), children()
    for seed in range(3):
        same_step(fast, net, twin, batch(seed), seed)
    assert not can_fork() or children() != before
    if how == "clear":
        fast.clear()
        assert children() == before
        for seed in range(3):
            same_step(fast, net, twin, batch(seed), seed)
    del fast
    assert children() == before


def test_many_replays_side_by_side(cores):
    cores(2)
    pairs = [(small(), small()) for _ in range(4)]
    fasts = [CapturedNetwork(net) for net, _ in pairs]
    for seed in range(3):
        for i, (net, twin) in enumerate(pairs):
            same_step(fasts[i], net, twin, batch(10 * seed + i), seed)
    del fasts


# Interruptions --------------------------------------------------------------------------------------------------------


@forks
def test_threads_go_on_with_the_work_of_a_killed_process(cores):
    cores(2)
    net, twin = small(), small()
    fast, before = CapturedNetwork(net), children()
    for seed in range(3):
        same_step(fast, net, twin, batch(seed), seed)
    (pid,) = children() - before
    os.kill(pid, signal.SIGKILL)
    while alive(pid):
        time.sleep(0.01)
    with pytest.warns(RuntimeWarning, match="a worker process has died; threads continue its work"):
        same_step(fast, net, twin, batch(3), 3)
    same_step(fast, net, twin, batch(4), 4)
    assert children() == before


@forks
def test_a_process_that_is_killed_in_the_middle_of_a_pass_is_an_error_once(cores, monkeypatch):
    cores(2)
    monkeypatch.setattr(worker_processes, "_CHECK_INTERVAL", 0.1)
    monkeypatch.setattr(worker_processes.WorkerProcesses, "has_died", lambda self: False)
    net, twin = small().eval(), small().eval()
    fast, before = CapturedNetwork(net), children()
    for seed in range(3):
        fast.forward(batch(seed))
    (pid,) = children() - before
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(RuntimeError, match=f"worker process {pid} died during a pass"):
        fast.forward(batch(3))
    np.testing.assert_array_equal(fast.forward(batch(4)), twin.forward(batch(4)))
    assert pid not in children()
    del fast


@pytest.mark.parametrize("processes", [True, False])
def test_ctrl_c_leaves_everything_usable(cores, monkeypatch, processes):
    cores(3)
    monkeypatch.setattr(capture_module, "can_fork", lambda: processes and can_fork())
    net, twin = small(), small()
    fast = CapturedNetwork(net)
    for seed in range(3):
        same_step(fast, net, twin, batch(seed), seed)

    def interrupt():
        raise KeyboardInterrupt

    running = [b.value.copy() for b in net.state().values()]
    for program in programs_of(fast):
        shared = [i for i, stage in enumerate(program.stages) if len(stage) > 1]
        calls = program.stages[shared[len(shared) // 2]][0]  # the leader's share, in the middle of the program
        kept = list(calls)
        calls.insert(len(calls) // 2, interrupt)
        with pytest.raises(KeyboardInterrupt):
            fast.backward(numbers(*fast.forward(batch(3)).shape, dtype=np.float32))
        calls[:] = kept
    for buffer, value in zip(net.state().values(), running, strict=True):
        buffer.value[...] = value
    for seed in range(4, 7):
        same_step(fast, net, twin, batch(seed), seed)


def test_a_replay_in_a_thread_that_ends(cores):
    cores(2)
    net, twin = small().eval(), small().eval()
    fast, found = CapturedNetwork(net), []
    for seed in range(4):
        thread = threading.Thread(target=lambda seed=seed: found.append(fast.forward(batch(seed))))
        thread.start()
        thread.join()
        np.testing.assert_array_equal(found[-1], twin.forward(batch(seed)))


@forks
def test_a_fork_of_the_process_replays_for_itself(cores):
    cores(2)
    net, twin = small().eval(), small().eval()
    fast = CapturedNetwork(net)
    for seed in range(3):
        fast.forward(batch(seed))
    expected = twin.forward(batch(7))
    pid = fork()
    if pid == 0:
        same = False
        try:
            for _ in range(4):
                same = np.array_equal(fast.forward(batch(7)), expected)
            fast.clear()
        finally:
            os._exit(0 if same else 1)
    assert os.waitpid(pid, 0)[1] == 0
    np.testing.assert_array_equal(fast.forward(batch(7)), expected)


def test_infinite_numbers_are_reported_and_go_on(cores):
    cores(2)
    net = small().eval()
    fast = CapturedNetwork(net)
    for seed in range(3):
        fast.forward(batch(seed))
    with np.errstate(all="ignore"):
        y = fast.forward(np.full((2, 12, 16, 3), 3e38, np.float32))
    assert not np.isfinite(y).all()
    assert np.isfinite(fast.forward(batch(0))).all()
