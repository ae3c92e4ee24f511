"""What a core does in a second, and what the interpreter's lock costs two threads.

    python benchmarks/lock.py

Prints the rates that ``docs/speed.md`` begins with, and how much faster two threads are than one at NumPy calls of
some microseconds, with more or less Python in between.
"""

import threading
import time
from statistics import median

import numpy as np
from threadpoolctl import threadpool_limits


def seconds(call, repeats=9):
    """Return the median time of a call."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return median(times)


def calls(count, size, between, barrier):
    """Multiply small arrays again and again, with ``between`` empty turns of a loop after every call."""
    a, multiply = np.ones(size, np.float32), np.multiply
    barrier.wait()
    for _ in range(count):
        multiply(a, a, out=a)
        for _ in range(between):
            pass


def together(threads, count, size, between):
    """Return the time in which every thread makes its calls."""
    barrier = threading.Barrier(threads + 1)
    workers = [threading.Thread(target=calls, args=(count, size, between, barrier)) for _ in range(threads)]
    for worker in workers:
        worker.start()
    barrier.wait()
    begin = time.perf_counter()
    for worker in workers:
        worker.join()
    return time.perf_counter() - begin


def main():
    """Measure and print."""
    with threadpool_limits(1):
        a = np.ones((2000, 2000), np.float32)
        print(
            f"matrix product on one core: {2 * 2000**3 / seconds(lambda: a @ a) / 1e9:.0f} billion operations a second"
        )
        x, y = np.ones(20_000_000, np.float32), np.ones(20_000_000, np.float32)
        rate = x.size / seconds(lambda: np.add(x, 1, out=y))
        print(f"pass over memory on one core: {rate / 1e9:.1f} billion numbers a second")
        print("\ncall of one thread   Python in between   two threads against one")
        for size in (64 << 10, 128 << 10, 256 << 10):
            count = (1 << 28) // size
            plain = together(1, count, size, 0) / count
            for between in (0, 50, 200, 800):
                one, two = (median(together(n, count, size, between) for _ in range(3)) for n in (1, 2))
                gap = max(0.0, one / count - plain)
                print(f"{1e6 * plain:12.1f} µs {1e6 * gap:17.1f} µs {2 * one / two:20.2f} times")


if __name__ == "__main__":
    main()
