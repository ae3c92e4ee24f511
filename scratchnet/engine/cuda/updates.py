"""The optimisers' updates on a GPU: one kernel each (see ``updates.cu``)."""

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.cuda.compiled import ELEMENTS_PER_THREAD, THREADS, launch


def sgd_update(w: Array, g: Array, m: Array, rate: float, momentum: float, decay: float) -> None:
    """Update parameters by gradient descent with momentum."""
    _launch("sgd", w, g, m, np.int64(w.size), float(rate), float(momentum), float(decay))


def adam_update(
    w: Array,
    g: Array,
    m: Array,
    v: Array,
    rate: float,
    beta1: float,
    beta2: float,
    unbias2: float,
    eps: float,
    decay: float,
) -> None:
    """Update parameters by Adam."""
    constants = rate, decay, beta1, 1 - beta1, beta2, 1 - beta2, 1 / unbias2, eps
    _launch("adam", w, g, m, v, np.int64(w.size), *(float(value) for value in constants))


def _launch(name: str, w: Array, *arguments: object) -> None:
    launch("updates", name, w.dtype, (-(-w.size // (THREADS * ELEMENTS_PER_THREAD)),), (THREADS,), w, *arguments)
