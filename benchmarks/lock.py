"""Rates of one core, and the cost of the interpreter's lock for two threads.

    python benchmarks/lock.py

Prints the rates at the beginning of ``docs/speed.md``, and the speedup of two threads over one for NumPy calls of some
microseconds, with different amounts of Python in between.
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
    """Multiply small arrays repeatedly, with ``between`` iterations of an empty loop after every call."""
    a, multiply = np.ones(size, np.float32), np.multiply
    barrier.wait()
    for _ in range(count):
        multiply(a, a, out=a)
        for _ in range(between):
            pass


def together(threads, count, size, between):
    """Return the time in which all threads complete their calls."""
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
        print(f"pass over memory on one core: {rate / 1e9:.1f} billion values a second")
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
