"""Interleaved timing of functions on a machine with background load.

If A is measured for a minute and then B for a minute, the result also compares two minutes of the machine. So the
functions take turns: in each round every function runs one *block*, a fraction of a second of calls, and the order
rotates by one per round. The time of a block is the median of its calls, the time of a function is the median of its
blocks, and its spread is their quartiles.

Two effects remain. Libraries keep their threads spinning for a while after a call, so every block begins with a pause
in which they go to sleep. Other programs may use the processor: if the system reports it (Linux), their processor time
is read before and after each block, and a disturbed block is repeated.
"""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from benchmarks.harness.processes import cpu_seconds

MAX_PAUSE = 0.5
"""Longest pause before a block, in seconds."""


@dataclass(frozen=True)
class TimingSettings:
    """Number and length of blocks.

    Attributes
    ----------
    repeats : int
        Blocks per function.
    block, settle : float
        Seconds of a block (at least two calls, of which the first does not count), and of the pause before it.
    retries : int
        How often a disturbed block is repeated, after pauses that double up to :data:`MAX_PAUSE`.
    longest_repeated : float
        Seconds of the longest block that is repeated. A longer one would hardly find a quieter moment, and a run of
        large networks on a busy machine would take hours.
    """

    repeats: int = 9
    block: float = 0.1
    settle: float = 0.08
    retries: int = 4
    longest_repeated: float = 2.0


@dataclass(frozen=True)
class Timing:
    """Measured times of one function.

    Attributes
    ----------
    blocks : tuple of float
        Seconds per call, the median of each block, in the order of the rounds.
    disturbed : int
        Number of blocks that other programs disturbed even in the quietest attempt.
    """

    blocks: tuple[float, ...]
    disturbed: int

    @property
    def median(self) -> float:
        """Median over the blocks of the seconds per call."""
        return median(self.blocks)

    @property
    def quartiles(self) -> tuple[float, float]:
        """Lower and upper quartile over the blocks."""
        return interquartile_range(self.blocks)

    @property
    def unreliable(self) -> bool:
        """Whether other programs disturbed more than a quarter of the blocks, which may affect the median."""
        return 4 * self.disturbed > len(self.blocks)

    @property
    def best(self) -> float:
        """Seconds per call in the fastest block."""
        return min(self.blocks)


def interquartile_range(values: tuple[float, ...]) -> tuple[float, float]:
    """Return the lower and the upper quartile.

    >>> interquartile_range((4.0, 1.0, 3.0, 2.0, 5.0)), interquartile_range((2.0,))
    ((2.0, 4.0), (2.0, 2.0))
    """
    if len(values) == 1:
        return values[0], values[0]
    low, _, high = quantiles(values, n=4, method="inclusive")
    return low, high


class Clock:
    """Wall-clock time, and the processor time of other programs."""

    def now(self) -> float:
        """Return the seconds since a fixed moment."""
        return time.perf_counter()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    def other_cpu_seconds(self) -> float:
        """Return the processor seconds used by all but this process and its children; 0 if the system has no count."""
        stat = Path("/proc/stat")
        if not stat.exists():
            return 0.0
        # proc(5): user, nice, system, idle, iowait, irq, softirq, steal …; idle and iowait are unused time.
        ticks = [int(word) for word in stat.read_text(encoding="utf-8").partition("\n")[0].split()[1:9]]
        used = sum(ticks) - ticks[3] - ticks[4]
        return used / os.sysconf("SC_CLK_TCK") - cpu_seconds()


def measure(
    functions: Mapping[str, Callable[[], object]], settings: TimingSettings, clock: Clock | None = None
) -> dict[str, Timing]:
    """Time functions in alternation.

    Parameters
    ----------
    functions : dict of name to function without arguments
        Each must have been called before, so that everything is set up.
    settings : TimingSettings
    clock : Clock

    Returns
    -------
    dict of name to Timing
    """
    clock = clock or Clock()
    blocks: dict[str, list[float]] = {name: [] for name in functions}
    disturbed = dict.fromkeys(functions, 0)
    names = list(functions)
    for round_ in range(settings.repeats):
        first = round_ % len(names)
        for name in names[first:] + names[:first]:
            seconds, quiet = _quietest_block(functions[name], settings, clock)
            blocks[name].append(seconds)
            disturbed[name] += not quiet
    return {name: Timing(tuple(blocks[name]), disturbed[name]) for name in names}


def _quietest_block(call: Callable[[], object], settings: TimingSettings, clock: Clock) -> tuple[float, bool]:
    """Measure up to ``1 + retries`` blocks, until one is undisturbed; return the quietest and whether it is quiet.

    A block longer than ``longest_repeated`` is measured once.
    """
    attempts: list[tuple[float, float]] = []
    for attempt in range(1 + settings.retries):
        clock.sleep(min(settings.settle * 2**attempt, max(settings.settle, MAX_PAUSE)))
        before, begin = clock.other_cpu_seconds(), clock.now()
        calls = _time_calls(call, settings.block, clock)
        wall = clock.now() - begin
        foreign = clock.other_cpu_seconds() - before
        # The system counts in hundredths of a second, so 0.011 s are noise; a block may be disturbed for 1/20 of it.
        attempts.append((max(0.0, foreign - 0.011) / wall, median(calls)))
        if attempts[-1][0] <= 0.05 or wall > settings.longest_repeated:
            break
    share, seconds = min(attempts)
    return seconds, share <= 0.05


def _time_calls(call: Callable[[], object], block: float, clock: Clock) -> list[float]:
    """Call at least twice and for ``block`` seconds; return the seconds of each call except the first.

    The first call after a pause finds sleeping threads and cold caches, unlike a step during training.
    """
    seconds: list[float] = []
    begin = clock.now()
    while len(seconds) < 2 or clock.now() - begin < block:
        start = clock.now()
        call()
        seconds.append(clock.now() - start)
    return seconds[1:]
