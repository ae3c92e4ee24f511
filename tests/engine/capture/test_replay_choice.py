import numpy as np
import pytest

from scratchnet.engine.capture import capture as capture_module
from scratchnet.engine.capture.captured_network import CapturedNetwork
from scratchnet.engine.capture.replay_choice import ReplayChoice
from scratchnet.engine.capture.worker_processes import can_fork
from scratchnet.models import build


class Machine:
    """A machine on which each way of running takes a known time."""

    def __init__(self, *seconds):
        self.now, self.seconds, self.runs = 0.0, list(seconds), [0] * len(seconds)
        self.choice = ReplayChoice(lambda: self.now)

    def run(self, count):
        self.runs = [0] * len(self.seconds)
        for _ in range(count):
            self.choice.run([lambda k=k: self.take(k) for k in range(len(self.seconds))])
        return self.runs

    def take(self, k):
        self.now += self.seconds[k]
        self.runs[k] += 1


def test_the_fastest_way_stays_and_trials_are_rare():
    machine = Machine(1.0, 1.3, 1.9)
    machine.run(1000)
    runs = machine.run(4096)
    assert runs[0] >= 0.99 * 4096
    assert runs[1] > 0
    assert runs[2] > 0


@pytest.mark.parametrize("best", [0, 1, 2])
def test_it_finds_the_fastest_way(best):
    machine = Machine(*(1.0 if k == best else 3.0 for k in range(3)))
    machine.run(100)
    assert machine.choice.current == best


def test_a_machine_that_becomes_busy_and_idle_again():
    machine = Machine(1.0, 1.3, 1.9)
    machine.run(2000)
    machine.seconds = [20.0, 6.0, 4.0]
    assert machine.run(12)[0] <= 6  # noticed at once
    assert machine.choice.current == 2
    machine.seconds = [1.0, 1.3, 1.9]
    machine.run(200)
    assert machine.choice.current == 0


@pytest.mark.parametrize("best", [1, 2])
def test_all_others_are_tried_at_once_when_it_becomes_slower(best):
    machine = Machine(1.0, 1.3, 1.9)
    machine.run(2000)
    machine.seconds = [20.0, 30.0, 30.0]
    machine.seconds[best] = 4.0
    machine.run(10)
    assert machine.choice.current == best


def test_a_single_way_is_always_used():
    assert Machine(1.0).run(100) == [100]


@pytest.mark.skipif(not can_fork(), reason="processes cannot be forked on this system")
@pytest.mark.parametrize(
    ("name", "options"),
    [("bloodcell", {"batch_norm": True}), ("deconvnet-small", {"size": 64}), ("mobile-unet", {"width": 0.5})],
)
def test_results_do_not_depend_on_the_choice(cores, monkeypatch, name, options):
    cores(2)

    class InTurn(ReplayChoice):
        count = 0

        def run(self, ways):
            ways[InTurn.count % len(ways)]()
            InTurn.count += 1

    net, twin = (build(name, 2, **options).allocate(0).train() for _ in range(2))
    fast = CapturedNetwork(net)
    monkeypatch.setattr(capture_module.Capture, "__init__", with_choices(capture_module.Capture.__init__, InTurn))
    rng = np.random.default_rng(0)
    for _ in range(9):
        x = rng.standard_normal((2, 64, 64, 3), dtype=np.float32)
        y = fast.forward(x)
        np.testing.assert_array_equal(y, twin.forward(x))
        dy = rng.standard_normal(y.shape, dtype=np.float32)
        fast.backward(dy, add=False)
        twin.backward(dy, add=False)
        np.testing.assert_array_equal(net.flat().grads, twin.flat().grads)
    assert InTurn.count >= 12


def with_choices(init, choice):
    """Return a constructor of captures that use ``choice``."""

    def wrapped(self, *args, **kwargs):
        init(self, *args, **kwargs)
        self.forward_choice, self.backward_choice = choice(), choice()

    return wrapped
