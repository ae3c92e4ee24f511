"""Peak GEMM rate: the fastest product of two matrices that NumPy reaches on this machine in this run.

A direct convolution is a matrix product plus data movement, so this rate is its upper bound. Rates are counted in the
operations of the direct convolution, so a share above 100 % means that a method needs fewer multiplications (Winograd).
PyTorch has its own BLAS, whose rate is measured as well.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.harness.implementation_names import SCRATCHNET, TORCH
from benchmarks.harness.timing import TimingSettings, measure
from scratchnet.arrays import Array, generator

MATRIX_SIZES = (768, 1536, 3072)


def peak_gemm_rates(
    threads: int, method: TimingSettings, sides: Sequence[int] = MATRIX_SIZES, torch: bool = False
) -> dict[str, float]:
    """Return the floating-point operations per second of the fastest square float32 product.

    A multiply-add counts as two operations.

    Parameters
    ----------
    threads : int
        Number of BLAS threads.
    method : TimingSettings
    sides : sequence of int
        Sizes of the matrices to try.
    torch : bool
        Whether to measure PyTorch as well.

    Returns
    -------
    dict
        Rate by library.
    """
    method = replace(method, retries=2 * method.retries)  # all shares refer to this rate
    best: dict[str, float] = {}
    for side in sides:
        rng = generator(0, "ceiling", side)
        a, b = (rng.standard_normal((side, side), dtype=np.float32) for _ in range(2))
        products: dict[str, Callable[[], object]] = {SCRATCHNET: partial(np.matmul, a, b, out=np.empty_like(a))}
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
