"""The GEMM ceiling: the fastest product of two matrices that NumPy manages here and now.

A convolution is matrix products plus moving numbers around, so this rate is what a direct convolution can hope for. A
share above 100 % means that a method needs fewer multiplications than the direct one (Winograd), since rates are
counted in the operations of the direct convolution. PyTorch brings a BLAS of its own, whose rate is taken beside it.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.harness.implementation_names import OURS, TORCH
from benchmarks.harness.timing import Method, measure
from scratchnet.arrays import Array, generator

SIDES = (768, 1536, 3072)


def gemm_ceiling(threads: int, method: Method, sides: Sequence[int] = SIDES, torch: bool = False) -> dict[str, float]:
    """Return floating-point operations a second of the best square float32 product, a multiply-add counted as two.

    Parameters
    ----------
    threads : int
        Of the BLAS.
    method : Method
    sides : sequence of int
        Of the matrices that are tried.
    torch : bool
        Whether to measure PyTorch's as well.

    Returns
    -------
    dict
        The rate by contestant.
    """
    method = replace(method, retries=2 * method.retries)  # every share refers to it
    best: dict[str, float] = {}
    for side in sides:
        rng = generator(0, "ceiling", side)
        a, b = (rng.standard_normal((side, side), dtype=np.float32) for _ in range(2))
        products: dict[str, Callable[[], object]] = {OURS: partial(np.matmul, a, b, out=np.empty_like(a))}
        if torch:
            products[TORCH] = _torch_product(a, b)
        with threadpool_limits(threads, user_api="blas"):
            timings = measure(products, method)
        for name, timing in timings.items():
            best[name] = max(best.get(name, 0.0), 2 * side**3 / timing.best)
    return best


def _torch_product(a: Array, b: Array) -> Callable[[], object]:
    import torch

    return partial(torch.matmul, torch.from_numpy(a), torch.from_numpy(b), out=torch.empty(a.shape))
