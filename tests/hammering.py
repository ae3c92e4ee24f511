"""Many threads that take memory, write to it and let it go."""

import threading

import numpy as np

from scratchnet.engine.memory.pool import MIN_POOLED_BYTES, allocate_from, pooled_empty


def hammer(memory, unit=MIN_POOLED_BYTES):
    """Let five threads write their numbers into arrays of ``memory``; return those that found another's.

    The arrays have one to five times ``unit`` bytes.
    Arrays also die in other threads than those that made them; all are gone at the end.
    """
    wrong, passed_on = [], []

    def write(number):
        rng = np.random.default_rng(number)
        with allocate_from(memory):
            held = []
            for _ in range(300):
                array = pooled_empty(np.zeros(0), (int(rng.integers(1, 6)) * unit,), np.uint8)
                array.fill(number)
                held.append(array[rng.integers(0, 1000) :])
                if len(held) > 4:
                    mine = held.pop(int(rng.integers(5)))
                    if not (mine == number).all():
                        wrong.append(number)
                    passed_on.append(mine)
                    del mine
                if len(passed_on) > 8:
                    passed_on.pop(0)
                del array

    workers = [threading.Thread(target=write, args=(k,)) for k in range(1, 6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return wrong
