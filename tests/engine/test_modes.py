"""``precise()`` and ``textbook()``: the same numbers by plainer ways, inside the block and nowhere else."""

import threading

import numpy as np
import pytest

import scratchnet
from scratchnet.engine.cpu.threads import MIN_THREAD_OPERATIONS, parallel_map, thread_count
from scratchnet.engine.modes import is_precise, is_textbook, precise, textbook
from scratchnet.models import MODELS, build
from tests.compare import numbers
from tests.models.test_models import SMALL, framed, stirred


def states():
    return is_precise(), is_textbook()


def test_the_modes_are_part_of_the_package():
    assert (scratchnet.precise, scratchnet.textbook) == (precise, textbook)


def test_contexts_nest_and_restore():
    assert states() == (False, False)
    with precise():
        assert states() == (True, False)
        with textbook():
            assert states() == (True, True)
            with textbook(False):
                assert states() == (True, False)
                with precise(False):
                    assert states() == (False, False)
            assert states() == (True, True)
        assert states() == (True, False)
    assert states() == (False, False)


@pytest.mark.parametrize("mode", [precise, textbook])
def test_an_error_restores_the_mode(mode):
    with pytest.raises(ZeroDivisionError), mode():
        _ = 1 / 0
    assert states() == (False, False)


@pytest.mark.parametrize("mode", [precise, textbook])
def test_a_mode_reaches_the_workers_and_no_other_thread(cores, mode):
    cores(3)
    seen = []
    with mode():
        thread = threading.Thread(target=lambda: seen.append(states()))
        thread.start()
        thread.join()
        inside = parallel_map(lambda share: states(), range(3), MIN_THREAD_OPERATIONS)
        assert set(inside) == {states()}
        assert len(inside) == (1 if mode is textbook else 3)  # the plain way has one thread
    assert seen == [(False, False)]
    assert parallel_map(lambda share: states(), range(3), MIN_THREAD_OPERATIONS) == [(False, False)] * 3


def test_two_threads_may_be_in_different_modes():
    ready, seen = threading.Barrier(2, timeout=20), {}

    def work(mode):
        with mode():
            ready.wait()
            seen[mode] = states()
            ready.wait()

    workers = [threading.Thread(target=work, args=(mode,)) for mode in (precise, textbook)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert seen == {precise: (True, False), textbook: (True, True)}


def test_textbook_uses_one_thread(cores):
    cores(5)
    assert thread_count() == 5
    with textbook():
        assert thread_count() == 1


def step(net, x):
    """A whole training step: output, loss gradient by the image, all gradients, statistics."""
    net.reseed(1)
    net.zero_grad()
    y = net.forward(x)
    dx = net.backward(numbers(*y.shape, seed=5, dtype=y.dtype), needs_input_grad=True)
    return [y, dx, net.flat().grads.copy(), *(b.value.copy() for b in net.state().values())]


@pytest.mark.parametrize("mode", [precise, textbook])
@pytest.mark.parametrize("name", MODELS)
def test_whole_networks_give_the_same_numbers(cores, name, mode):
    """In float64, where no rounding hides a difference; a plain way that is wrong shows."""
    cores(2)
    options, size = SMALL[name][-1]
    nets = [stirred(build(name, 3, 3, **options), np.float64).train() for _ in range(2)]
    x = numbers(2, *framed(nets[0], size), 3)
    fast = step(nets[0], x)
    with mode():
        plain = step(nets[1], x)
    for a, b in zip(fast, plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-9 * max(1, np.abs(b).max()))


@pytest.mark.parametrize("mode", [precise, textbook])
@pytest.mark.parametrize("name", ["squares", "segnet-basic", "unet-same", "fcn8s", "mobile-unet", "bloodcell"])
def test_outputs_in_single_precision(cores, name, mode):
    cores(2)
    options, size = SMALL[name][-1]
    net = stirred(build(name, 3, 3, **options)).eval()
    x = numbers(3, *framed(net, size), 3, dtype=np.float32)
    fast = net.forward(x)
    with mode():
        plain = net.forward(x)
    np.testing.assert_allclose(fast, plain, rtol=0, atol=5e-5 * np.abs(plain).max())


def test_a_training_step_with_winograds_forms(cores):
    """Single precision, layers that Winograd's forms serve: near the plain numbers, and not the same ones."""
    cores(2)
    nets = [stirred(build("bloodcell", 2, 3, width=0.5)).train() for _ in range(3)]
    x = numbers(4, 32, 32, 3, dtype=np.float32)
    fast = step(nets[0], x)
    with precise():
        direct = step(nets[1], x)
    with textbook():
        plain = step(nets[2], x)
    assert not np.array_equal(fast[0], direct[0])
    for a, b, c in zip(fast, direct, plain, strict=True):
        largest = np.abs(c).max()
        assert np.abs(b - c).max() < 1e-5 * largest
        assert np.abs(a - c).max() < 1e-3 * largest  # some maxima near a tie choose another switch
        assert np.abs(a - c).mean() < 2e-5 * largest
