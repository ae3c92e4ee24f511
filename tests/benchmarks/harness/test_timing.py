import pytest

from benchmarks.harness.timing import Clock, Timing, TimingSettings, measure


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """Simulated time allows long pauses."""
    monkeypatch.setattr("benchmarks.harness.timing.MAX_PAUSE", 3.0)


class FakeClock(Clock):
    """A clock that advances only with work and sleep, and another program with a schedule."""

    def __init__(self, noisy=()):
        self.time, self.noisy, self.slept, self.log = 0.0, list(noisy), [], []

    def now(self):
        return self.time

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.time += seconds

    def other_cpu_seconds(self):
        return sum(max(0.0, min(self.time, end) - begin) for begin, end in self.noisy)

    def work(self, name, *seconds):
        """Return a function whose calls take ``seconds`` one after the other, and then always the last."""
        left = list(seconds)

        def call():
            self.log.append(name)
            self.time += left.pop(0) if len(left) > 1 else left[0]

        return call


def test_functions_take_turns_and_the_order_rotates():
    clock = FakeClock()
    work = {name: clock.work(name, 1.0) for name in "abc"}
    measure(work, TimingSettings(repeats=3, block=0.5, settle=0.25), clock)
    assert "".join(clock.log) == "aabbccbbccaaccaabb"
    assert clock.slept == [0.25] * 9


def test_a_block_is_the_median_of_its_calls_without_the_first():
    clock = FakeClock()
    timing = measure({"a": clock.work("a", 9.0, 1.0, 2.0, 4.0, 1.0)}, TimingSettings(1, block=16.5), clock)["a"]
    assert timing.blocks == (1.5,)  # of 1, 2, 4 and 1; the 9 of the cold start does not count


def test_a_long_call_is_made_twice_for_the_first_finds_cold_caches():
    clock = FakeClock()
    timing = measure({"a": clock.work("a", 4.0, 3.0, 6.0, 5.0)}, TimingSettings(2, block=0.1), clock)["a"]
    assert timing.blocks == (3.0, 5.0)
    assert len(clock.log) == 4


def test_a_disturbed_block_is_done_again_after_longer_and_longer_pauses():
    # The first block runs from 1 to 4, its second attempt from 6 to 8, both beside a busy neighbour.
    clock = FakeClock(noisy=[(0.0, 7.5)])
    work = clock.work("a", 2.0, 1.0, 1.0, 1.0, 1.0)
    timing = measure({"a": work}, TimingSettings(1, block=0.5, settle=1.0, retries=3, longest_repeated=4.0), clock)["a"]
    assert clock.slept == [1.0, 2.0, 3.0]
    assert timing == Timing((1.0,), 0)


def test_a_long_block_is_not_repeated():
    clock = FakeClock(noisy=[(0.0, 99.0)])
    work = clock.work("a", 2.0, 1.0)
    timing = measure({"a": work}, TimingSettings(1, block=0.5, settle=1.0, retries=3, longest_repeated=2.9), clock)
    assert timing["a"] == Timing((1.0,), 1)
    assert clock.slept == [1.0]


def test_without_a_quiet_block_the_quietest_counts_and_is_marked():
    # Blocks of two calls from 1 to 5, from 7 to 9 and from 12 on.
    clock = FakeClock(noisy=[(0.0, 3.0), (7.2, 7.6), (10.0, 99.0)])
    work = clock.work("a", 1.0, 3.0, 1.0, 1.0, 1.0, 2.0)
    timing = measure({"a": work}, TimingSettings(1, block=0.5, settle=1.0, retries=2, longest_repeated=4.0), clock)["a"]
    assert timing == Timing((1.0,), 1)
    assert timing.unreliable


def test_a_little_noise_does_not_count():
    clock = FakeClock(noisy=[(1.0, 1.05)])
    timing = measure({"a": clock.work("a", 1.0)}, TimingSettings(1, block=0.5, settle=0.5), clock)["a"]
    assert timing == Timing((1.0,), 0)
    assert clock.slept == [0.5]


def test_median_quartiles_and_best():
    timing = Timing((5.0, 1.0, 4.0, 2.0, 3.0), 1)
    assert (timing.median, timing.quartiles, timing.best, timing.unreliable) == (3.0, (2.0, 4.0), 1.0, False)


def test_the_real_clock_moves_forward():
    clock = Clock()
    before = clock.now(), clock.other_cpu_seconds()
    clock.sleep(0.001)
    assert clock.now() - before[0] >= 0.001
    assert clock.other_cpu_seconds() >= before[1] - 0.02  # read from two places, to a hundredth of a second


@pytest.mark.parametrize("count", [1, 2])
def test_spread_of_few_blocks(count):
    assert Timing((2.0,) * count, 0).quartiles == (2.0, 2.0)
