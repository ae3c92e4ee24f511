"""The GEMM ceiling: the fastest product of two matrices that NumPy manages here and now.

A convolution is matrix products plus moving numbers around, so this rate is what a direct convolution can hope for. A
share above 100 % means that a method needs fewer multiplications than the direct one (Winograd), since rates are
counted in the operations of the direct convolution.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from threadpoolctl import threadpool_limits

from scratchnet.arrays import generator
from scratchnet.bench.timing import Method, measure

SIDES = (768, 1536, 3072)


def gemm_ceiling(threads: int, method: Method, sides: Sequence[int] = SIDES) -> float:
    """Return floating-point operations a second of the best square float32 product, a multiply-add counted as two.

    Parameters
    ----------
    threads : int
        Of the BLAS.
    method : Method
    sides : sequence of int
        Of the matrices that are tried.
    """
    best, method = 0.0, replace(method, retries=10)  # every share refers to it
    for side in sides:
        rng = generator(0, "ceiling", side)
        a, b = (rng.standard_normal((side, side), dtype=np.float32) for _ in range(2))
        out = np.empty_like(a)
        with threadpool_limits(threads, user_api="blas"):
            timing = measure({"product": partial(np.matmul, a, b, out=out)}, method)["product"]
        best = max(best, 2 * side**3 / timing.best)
    return best
