"""The optimisers' updates on a GPU: one kernel each (see ``updates.cu``)."""

import numpy as np

from scratchnet.arrays import Array
from scratchnet.ops.cuda.compiled import NUMBERS, THREADS, launch


def sgd(w: Array, g: Array, m: Array, rate: float, momentum: float, decay: float) -> None:
    """Update the parameters ``w`` and their momentum ``m`` in place, all (count,)."""
    _launch("sgd", w, g, m, np.int64(w.size), float(rate), float(momentum), float(decay))


def adam(
    w: Array,
    g: Array,
    m: Array,
    v: Array,
    rate: float,
    decay: float,
    betas: tuple[float, float],
    eps: float,
    steps: int,
) -> None:
    """Update the parameters ``w`` and the means ``m`` and ``v`` in place, all (count,); ``steps`` counts this one."""
    (beta1, beta2), unbias = betas, [1 - beta**steps for beta in betas]
    constants = rate / unbias[0], decay, beta1, 1 - beta1, beta2, 1 - beta2, 1 / unbias[1], eps
    _launch("adam", w, g, m, v, np.int64(w.size), *(float(value) for value in constants))


def _launch(name: str, w: Array, *arguments: object) -> None:
    launch("updates", name, w.dtype, (-(-w.size // (THREADS * NUMBERS)),), (THREADS,), w, *arguments)
