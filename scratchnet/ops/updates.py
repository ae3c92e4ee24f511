"""Updates of the optimisers: new parameters from gradients, in place."""

from scratchnet.arrays import Array, get_array_module
from scratchnet.engine.dispatch import operation, written


@operation(total=written("*"))
def add_to(total: Array, term: Array) -> None:
    """Add a gradient to the sum of gradients, arrays of one shape.

    The gradient of a user-defined layer is not checked here; use ``scratchnet.gradcheck``.
    """
    total += term


@operation(total=written("*"))
def copy_to(total: Array, term: Array) -> None:
    """Replace the sum of gradients by a gradient; arguments as for :func:`add_to`."""
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
    scalar = w.dtype.type
    m *= scalar(momentum)
    m += g
    if decay:
        m += scalar(decay) * w
    w -= scalar(rate) * m


@operation(w=written("*"), g="*", m=written("*"))
def nesterov_update(w: Array, g: Array, m: Array, rate: float, momentum: float, decay: float) -> None:
    """Update parameters by gradient descent with Nesterov momentum.

        d = g + λ·w        m ← μ·m + d        w ← w − rate·(d + μ·m)

    Parameters as :func:`sgd_update`.
    """
    scalar = w.dtype.type
    d = scalar(decay) * w + g
    m *= scalar(momentum)
    m += d
    w -= scalar(rate) * (scalar(momentum) * m + d)


@operation(w=written("*"))
def shrink(w: Array, rate: float) -> None:
    """Apply decoupled weight decay, w ← w − rate·w (Loshchilov and Hutter 2019, algorithm 2)."""
    w *= w.dtype.type(1 - rate)


@operation(average=written("*"), w="*")
def average_update(average: Array, w: Array, decay: float) -> None:
    """Update an exponential moving average of the parameters, a ← a + (1 − d)·(w − a)."""
    average += w.dtype.type(1 - decay) * (w - average)


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
    scalar = w.dtype.type
    if decay:
        g = scalar(decay) * w + g
    m *= scalar(beta1)
    m += scalar(1 - beta1) * g
    v *= scalar(beta2)
    v += scalar(1 - beta2) * (g * g)
    deviation = get_array_module(v).sqrt(scalar(1 / unbias2) * v) + scalar(eps)
    w -= scalar(rate) * (m / deviation)
