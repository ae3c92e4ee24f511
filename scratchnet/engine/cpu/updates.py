"""Optimizer updates with scratch arrays from the memory pool, and sums of gradients on all cores.

An optimiser updates the parameters in pieces of a megabyte, which stay in the cache. For a temporary array of that
size, NumPy may request fresh pages from the system each time, which takes longer than the arithmetic.
"""

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.cpu.chunks import parallel_rows
from scratchnet.engine.memory.pool import pooled_empty


def add_to(total: Array, term: Array) -> None:
    """Add a gradient to the sum of gradients; weights (kh, kw, c_in, c_out) on all cores."""
    if total.ndim != 4:
        return NotImplemented  # type: ignore[no-any-return]
    parallel_rows(lambda total, term: np.add(total, term, out=total), total, term)


def copy_to(total: Array, term: Array) -> None:
    """Replace the sum of gradients by a gradient; weights (kh, kw, c_in, c_out) on all cores."""
    if total.ndim != 4:
        return NotImplemented  # type: ignore[no-any-return]
    parallel_rows(np.copyto, total, term)


def sgd_update(w: Array, g: Array, m: Array, rate: float, momentum: float, decay: float) -> None:
    """Update parameters by gradient descent with momentum."""
    scalar, term = w.dtype.type, pooled_empty(w, w.shape)
    np.multiply(m, scalar(momentum), out=m)
    np.add(m, g, out=m)
    if decay:
        np.multiply(w, scalar(decay), out=term)
        np.add(m, term, out=m)
    np.multiply(m, scalar(rate), out=term)
    np.subtract(w, term, out=w)


def nesterov_update(w: Array, g: Array, m: Array, rate: float, momentum: float, decay: float) -> None:
    """Update parameters by gradient descent with Nesterov momentum."""
    scalar = w.dtype.type
    slope, term = pooled_empty(w, w.shape), pooled_empty(w, w.shape)
    np.multiply(w, scalar(decay), out=slope)
    np.add(slope, g, out=slope)
    np.multiply(m, scalar(momentum), out=m)
    np.add(m, slope, out=m)
    np.multiply(m, scalar(momentum), out=term)
    np.add(term, slope, out=term)
    np.multiply(term, scalar(rate), out=term)
    np.subtract(w, term, out=w)


def average_update(average: Array, w: Array, decay: float) -> None:
    """Update an exponential moving average of the parameters."""
    term = pooled_empty(w, w.shape)
    np.subtract(w, average, out=term)
    np.multiply(term, w.dtype.type(1 - decay), out=term)
    np.add(average, term, out=average)


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
    scalar = w.dtype.type
    term, decayed = pooled_empty(w, w.shape), pooled_empty(w, w.shape)
    if decay:
        np.multiply(w, scalar(decay), out=decayed)
        np.add(decayed, g, out=decayed)
        g = decayed
    np.multiply(m, scalar(beta1), out=m)
    np.multiply(g, scalar(1 - beta1), out=term)
    np.add(m, term, out=m)
    np.multiply(v, scalar(beta2), out=v)
    np.multiply(g, g, out=term)
    np.multiply(term, scalar(1 - beta2), out=term)
    np.add(v, term, out=v)
    np.multiply(v, scalar(1 / unbias2), out=term)
    np.sqrt(term, out=term)
    np.add(term, scalar(eps), out=term)
    np.divide(m, term, out=term)
    np.multiply(term, scalar(rate), out=term)
    np.subtract(w, term, out=w)
