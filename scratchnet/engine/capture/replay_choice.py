"""Choose between processes, threads and a single core for the replay of a program, by the time that each takes.

On an idle machine worker processes are the fastest way. On a busy one they can be the slowest: the stages of a program
are short, and whenever the system takes one process off its core, all others wait. How busy a machine is changes while
a network trains, so the choice is repeated: the way in use is timed, another one gets a short trial now and
then, and all others at once if the way in use becomes slower. All ways make the same calls on the same memory, so the
results do not depend on the choice.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence

_TRIAL_RUNS = 2
"""Runs of a trial. The faster one counts, because the first finds cold caches."""

_MIN_INTERVAL, _MAX_INTERVAL = 16, 512
"""Runs between two trials: doubled after each trial that changes nothing, so that trials cost little."""

_RECENT_RUNS = 3
"""Runs of the way in use that are remembered, to compare them with a trial and with what was usual."""

_FASTER = 0.95
"""Another way replaces the one in use if it takes less than this part of its time."""

_SLOWER = 1.5
"""The way in use has become slower if each of its recent runs took this many times as long as was usual."""


class ReplayChoice:
    """Runs a program in one of several ways, and finds out which one is fastest.

    Parameters
    ----------
    clock : () -> seconds
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self.current = 0
        """Index of the way in use."""
        self._other = 0  # the way tried last
        self._trials_due = 0  # trials that follow without an interval
        self._interval = self._runs_until_trial = _MIN_INTERVAL
        self._recent: deque[float] = deque(maxlen=_RECENT_RUNS)
        self._usual = float("inf")
        self._trial: list[float] = []

    def run(self, ways: Sequence[Callable[[], None]]) -> None:
        """Run one of the ways and time it.

        Parameters
        ----------
        ways : sequence of () -> None
            In every call the same ways in the same order; the first one is used until another proves faster.
        """
        in_trial = self._runs_until_trial <= 0 and len(ways) > 1
        if in_trial and not self._trial:
            following = [(self._other + i) % len(ways) for i in (1, 2)]
            self._other = following[following[0] == self.current]
        start = self._clock()
        ways[self._other if in_trial else self.current]()
        seconds = self._clock() - start
        if not in_trial:
            self._count_run(seconds, len(ways))
            return
        self._trial.append(seconds)
        if len(self._trial) == _TRIAL_RUNS or seconds > 2 * max(self._recent):
            self._finish_trial()

    def _count_run(self, seconds: float, count: int) -> None:
        """Count a run of the way in use; have all others tried if it has become slower."""
        self._recent.append(seconds)
        self._runs_until_trial -= 1
        if len(self._recent) == _RECENT_RUNS and min(self._recent) > _SLOWER * self._usual:
            self._interval, self._runs_until_trial, self._trials_due = _MIN_INTERVAL, 0, count - 2

    def _finish_trial(self) -> None:
        """Keep the way in use or change to the one tried."""
        usual, tried = min(self._recent), min(self._trial)
        if tried < _FASTER * usual:
            self.current, self._interval = self._other, _MIN_INTERVAL
            self._recent.clear()
            self._recent.append(tried)
        else:
            self._interval = min(2 * self._interval, _MAX_INTERVAL)
        self._usual = min(tried, usual)
        self._runs_until_trial = 0 if self._trials_due > 0 else self._interval
        self._trials_due = max(0, self._trials_due - 1)
        self._trial.clear()
