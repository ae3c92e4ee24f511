"""Timing contestants side by side on a machine that is never quite quiet.

Measuring A for a minute and then B for a minute compares two minutes of the machine as much as it compares A and B. So
the contestants take turns: in every round each has one *block*, a fraction of a second of calls, and the order moves on
by one a round. A block counts as the median of its calls; a contestant's time is the median of its blocks, its spread
the quartiles.

Two things would still let one contestant pay for another. Libraries keep their threads spinning for a while after a
call, so every block begins with a pause in which they go to sleep. And other programs may use the processor meanwhile:
where the system tells (Linux), their processor time is read before and after the block, and a disturbed block is done
again.
"""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from benchmarks.harness.processes import processor_seconds

LONGEST_PAUSE = 0.5
"""Seconds."""


@dataclass(frozen=True)
class Method:
    """How long to measure.

    Attributes
    ----------
    repeats : int
        Blocks a contestant.
    block, settle : float
        Seconds of a block (at least two calls, of which the first does not count), and of the pause in front of it.
    retries : int
        How often a disturbed block is done again, after pauses that double up to :data:`LONGEST_PAUSE`.
    """

    repeats: int = 9
    block: float = 0.1
    settle: float = 0.08
    retries: int = 4


@dataclass(frozen=True)
class Timing:
    """What one contestant took.

    Attributes
    ----------
    blocks : tuple of float
        Seconds of a call: the median of each block, in the order of the rounds.
    disturbed : int
        How many of these blocks other programs disturbed even in the quietest attempt.
    """

    blocks: tuple[float, ...]
    disturbed: int

    @property
    def median(self) -> float:
        """Seconds of a call."""
        return median(self.blocks)

    @property
    def quartiles(self) -> tuple[float, float]:
        """A quarter of the blocks is below the first number, a quarter above the second."""
        return spread(self.blocks)

    @property
    def doubtful(self) -> bool:
        """Whether other programs disturbed more than a quarter of the blocks, so that the median may be theirs."""
        return 4 * self.disturbed > len(self.blocks)

    @property
    def best(self) -> float:
        """Seconds of a call in the fastest block."""
        return min(self.blocks)


def spread(numbers: tuple[float, ...]) -> tuple[float, float]:
    """Return the lower and the upper quartile.

    >>> spread((4.0, 1.0, 3.0, 2.0, 5.0)), spread((2.0,))
    ((2.0, 4.0), (2.0, 2.0))
    """
    if len(numbers) == 1:
        return numbers[0], numbers[0]
    low, _, high = quantiles(numbers, n=4, method="inclusive")
    return low, high


class Clock:
    """The clock on the wall, and the processor time that other programs have used."""

    def now(self) -> float:
        """Seconds since some moment."""
        return time.perf_counter()

    def sleep(self, seconds: float) -> None:
        """Do nothing for so long."""
        time.sleep(seconds)

    def others(self) -> float:
        """Seconds of processor time that neither this process nor one that it started used; 0 where that is unknown."""
        stat = Path("/proc/stat")
        if not stat.exists():
            return 0.0
        # proc(5): user, nice, system, idle, iowait, irq, softirq, steal …; idle and iowait are time that nobody used.
        ticks = [int(word) for word in stat.read_text(encoding="utf-8").partition("\n")[0].split()[1:9]]
        used = sum(ticks) - ticks[3] - ticks[4]
        return used / os.sysconf("SC_CLK_TCK") - processor_seconds()


def measure(
    contestants: Mapping[str, Callable[[], object]], method: Method, clock: Clock | None = None
) -> dict[str, Timing]:
    """Time functions side by side.

    Parameters
    ----------
    contestants : dict of name to function without arguments
        Everything that a first call sets up must have happened: call them once before.
    method : Method
    clock : Clock

    Returns
    -------
    dict of name to Timing
    """
    clock = clock or Clock()
    blocks: dict[str, list[float]] = {name: [] for name in contestants}
    disturbed = dict.fromkeys(contestants, 0)
    names = list(contestants)
    for round_ in range(method.repeats):
        first = round_ % len(names)
        for name in names[first:] + names[:first]:
            seconds, quiet = _quietest_block(contestants[name], method, clock)
            blocks[name].append(seconds)
            disturbed[name] += not quiet
    return {name: Timing(tuple(blocks[name]), disturbed[name]) for name in names}


def _quietest_block(call: Callable[[], object], method: Method, clock: Clock) -> tuple[float, bool]:
    """Measure blocks until others leave one alone, at most ``1 + retries``; return the quietest and whether it was."""
    attempts: list[tuple[float, float]] = []
    for attempt in range(1 + method.retries):
        clock.sleep(min(method.settle * 2**attempt, max(method.settle, LONGEST_PAUSE)))  # others may be done soon
        before, begin = clock.others(), clock.now()
        calls = _calls(call, method.block, clock)
        wall = clock.now() - begin
        foreign = clock.others() - before
        # The system counts in hundredths of a second, so one and a bit are noise; beyond, a twentieth of the time.
        attempts.append((max(0.0, foreign - 0.011) / wall, median(calls)))
        if attempts[-1][0] <= 0.05:
            break
    share, seconds = min(attempts)
    return seconds, share <= 0.05


def _calls(call: Callable[[], object], block: float, clock: Clock) -> list[float]:
    """Call at least twice, and for ``block`` seconds; return the seconds of each call but the first.

    The first call after a pause finds sleeping threads and cold caches; that of a training finds the call before it.
    """
    seconds: list[float] = []
    begin = clock.now()
    while len(seconds) < 2 or clock.now() - begin < block:
        start = clock.now()
        call()
        seconds.append(clock.now() - start)
    return seconds[1:]
