"""Optimizer updates: compute new parameters from gradients, in place and without large temporary arrays."""

from scratchnet.arrays import Array, get_array_module
from scratchnet.engine.cpu.chunks import parallel_rows
from scratchnet.engine.dispatch import operation, written
from scratchnet.engine.memory.pool import pooled_empty


@operation(total=written("*"))
def add_to(total: Array, term: Array) -> None:
    """Add a gradient to the sum of gradients, arrays of one shape; weights (kh, kw, c_in, c_out) on all cores.

    The gradient of a user-defined layer is not checked here; use ``scratchnet.gradcheck``.
    """
    xp = get_array_module(total)
    if total.ndim == 4:
        parallel_rows(lambda total, term: xp.add(total, term, out=total), total, term)
    else:
        total += term


@operation(total=written("*"))
def copy_to(total: Array, term: Array) -> None:
    """Replace the sum of gradients by a gradient; arguments as for :func:`add_to`."""
    if total.ndim == 4:
        parallel_rows(lambda total, term: get_array_module(total).copyto(total, term), total, term)
    else:
        total[...] = term


@operation(w=written("*"), g="*", m=written("*"))
def sgd_update(w: Array, g: Array, m: Array, rate: float, momentum: float, decay: float) -> None:
    """Update parameters by gradient descent with momentum.

        m ← μ·m + g + λ·w        w ← w − rate·m

    Parameters
    ----------
    w, g, m : (count,)
        Parameters, gradients and momentum; ``w`` and ``m`` are changed.
    rate, momentum, decay : float
        The learning rate, μ and λ.
    """
    xp, scalar = get_array_module(w), w.dtype.type
    term = pooled_empty(w, w.shape)
    xp.multiply(m, scalar(momentum), out=m)
    xp.add(m, g, out=m)
    if decay:
        xp.multiply(w, scalar(decay), out=term)
        xp.add(m, term, out=m)
    xp.multiply(m, scalar(rate), out=term)
    xp.subtract(w, term, out=w)


@operation(w=written("*"), g="*", m=written("*"))
def nesterov_update(w: Array, g: Array, m: Array, rate: float, momentum: float, decay: float) -> None:
    """Update parameters by gradient descent with Nesterov momentum.

        d = g + λ·w        m ← μ·m + d        w ← w − rate·(d + μ·m)

    Parameters as :func:`sgd_update`.
    """
    xp, scalar = get_array_module(w), w.dtype.type
    slope, term = pooled_empty(w, w.shape), pooled_empty(w, w.shape)
    xp.multiply(w, scalar(decay), out=slope)
    xp.add(slope, g, out=slope)
    xp.multiply(m, scalar(momentum), out=m)
    xp.add(m, slope, out=m)
    xp.multiply(m, scalar(momentum), out=term)
    xp.add(term, slope, out=term)
    xp.multiply(term, scalar(rate), out=term)
    xp.subtract(w, term, out=w)


@operation(w=written("*"))
def shrink(w: Array, rate: float) -> None:
    """Apply decoupled weight decay, w ← w − rate·w (Loshchilov and Hutter 2019, algorithm 2)."""
    xp = get_array_module(w)
    xp.multiply(w, w.dtype.type(1 - rate), out=w)


@operation(average=written("*"), w="*")
def average_update(average: Array, w: Array, decay: float) -> None:
    """Update an exponential moving average of the parameters, a ← a + (1 − d)·(w − a)."""
    xp = get_array_module(w)
    term = pooled_empty(w, w.shape)
    xp.subtract(w, average, out=term)
    xp.multiply(term, w.dtype.type(1 - decay), out=term)
    xp.add(average, term, out=average)


@operation(w=written("*"), g="*", m=written("*"), v=written("*"))
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
    """Update parameters by Adam.

        m ← β₁·m + (1−β₁)·g      v ← β₂·v + (1−β₂)·g²      w ← w − rate · m / (√(v / u₂) + ε)

    Parameters
    ----------
    w, g, m, v : (count,)
        Parameters, gradients, and the moving averages of the gradients and of their squares; ``w``, ``m`` and ``v`` are
        changed.
    rate : float
        The learning rate divided by 1 − β₁ᵗ after t updates.
    beta1, beta2, eps : float
    unbias2 : float
        u₂ = 1 − β₂ᵗ
    decay : float
        λ; λ·w is added to g.
    """
    xp, scalar = get_array_module(w), w.dtype.type
    term, decayed = pooled_empty(w, w.shape), pooled_empty(w, w.shape)
    if decay:
        xp.multiply(w, scalar(decay), out=decayed)
        xp.add(decayed, g, out=decayed)
        g = decayed
    xp.multiply(m, scalar(beta1), out=m)
    xp.multiply(g, scalar(1 - beta1), out=term)
    xp.add(m, term, out=m)
    xp.multiply(v, scalar(beta2), out=v)
    xp.multiply(g, g, out=term)
    xp.multiply(term, scalar(1 - beta2), out=term)
    xp.add(v, term, out=v)
    xp.multiply(v, scalar(1 / unbias2), out=term)
    xp.sqrt(term, out=term)
    xp.add(term, scalar(eps), out=term)
    xp.divide(m, term, out=term)
    xp.multiply(term, scalar(rate), out=term)
    xp.subtract(w, term, out=w)
