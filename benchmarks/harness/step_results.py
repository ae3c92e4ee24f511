"""What a contestant on a GPU computed, in so few numbers that they can be kept until all others have run.

Two questions, as on a CPU (:mod:`benchmarks.harness.agreement`). In float64, on two small images, both libraries must
agree to nearly all digits: that settles that they are the same network with the same gradients. In the precision and on
the batch that are timed they must agree with scratchnet's float32 as far as rounding lets them, which depends on how
much is rounded off (see :data:`LIMITS`).

Shortened mantissas are amplified by pooling. Where two numbers of a window differ by less than the rounding, another
one wins, its value is unpooled beside its place, and its gradient goes another way. With one rounding in 2²⁴ that is
rare. With bfloat16's, one in 2⁸, it happens in so many windows that what is left of a deep network's gradient has the
right length and hardly the right direction, in PyTorch as here; so gradients are compared by their length there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.harness.agreement import EXACT, without_dropout
from benchmarks.harness.implementations import OurStep, TorchStep
from scratchnet.arrays import Array, to_host

KEPT = 4096
"""Numbers of each parameter's gradient that are kept, at least."""


@dataclass(frozen=True)
class Limits:
    """How far a contestant may be off, relative to the size of what is compared (Euclidean).

    Attributes
    ----------
    output : float
        The logits; unrelated ones would be off by about √2.
    loss : float
    gradient : float
        Infinite where only its length counts.
    length : float
        Of the gradient, longer or shorter; what is missing or counted twice changes it.
    """

    output: float
    loss: float
    gradient: float
    length: float


LIMITS: Mapping[str, Limits] = {
    "float64": Limits(EXACT, EXACT, EXACT, EXACT),
    "float32": Limits(0.2, 0.01, 0.6, 0.2),
    "tf32": Limits(0.7, 0.02, np.inf, 0.5),
    "bf16": Limits(1.0, 0.02, np.inf, 0.5),
}
"""A few times the differences between PyTorch and itself: between its layouts, with factors cut to 10 bits, and in its
mixed precision, on DeconvNets of several sizes. The tests compare one of these with the limits."""


@dataclass(frozen=True)
class Evidence:
    """What one step computed, before its update.

    Attributes
    ----------
    logits : (1, h, w, c)
        Of the first image.
    gradient : (k,)
        Every so-manieth number of each parameter's, times the root of so many: as long as the whole one, nearly.
    loss : () float64
    """

    logits: Array
    gradient: Array
    loss: Array


def of_ours(step: OurStep) -> Evidence:
    """Compute the gradients of one step without dropout."""
    with without_dropout(step.network.steps):
        logits, loss = step.gradients()
    gradients = [to_host(p.grad) for p in step.network.parameters().values()]
    return Evidence(to_host(logits[:1]), _thinned(gradients), np.array(float(loss)))


def of_torch(step: TorchStep) -> Evidence:
    """Compute the gradients of one step without dropout."""
    with without_dropout(step.twin.steps):
        logits, loss = step.gradients()
    first = logits.detach()[:1].permute(0, 2, 3, 1).cpu().numpy()
    return Evidence(first, _thinned(list(step.twin.gradients().values())), np.array(loss.item()))


def _thinned(gradients: Sequence[Array]) -> Array:
    kept = []
    for gradient in gradients:
        step = max(1, gradient.size // KEPT)
        kept.append(gradient.ravel()[::step] * np.sqrt(step, dtype=gradient.dtype))
    return np.concatenate(kept)


def differences(one: Evidence, other: Evidence) -> dict[str, float]:
    """Return how far evidence is off another's, by the names of :class:`Limits`; NaN where a number is none."""
    long, right = (float(np.linalg.norm(evidence.gradient)) for evidence in (one, other))
    return {
        "output": _off(one.logits, other.logits),
        "loss": _off(one.loss, other.loss),
        "gradient": _off(one.gradient, other.gradient),
        "length": abs(long - right) / right,
    }


def objection(found: Mapping[str, float], precision: str) -> str | None:
    """Return what differs by more than a precision explains, or None."""
    limits = LIMITS[precision]
    wrong = [f"{name} off by {off:.1e}" for name, off in found.items() if not off <= getattr(limits, name)]
    return f"in {precision}: {', '.join(wrong)}" if wrong else None


def _off(one: Array, other: Array) -> float:
    return float(np.linalg.norm((one - other).ravel()) / np.linalg.norm(other.ravel()))


def packed(evidence: Mapping[str, Evidence]) -> dict[str, Any]:
    """Return evidence by precision as arrays by name, for ``numpy.savez``; :func:`unpacked` is the way back."""
    return {f"{precision} {name}": array for precision, e in evidence.items() for name, array in vars(e).items()}


def unpacked(arrays: Mapping[str, Any]) -> dict[str, Evidence]:
    """Return evidence by precision."""
    names = {key.partition(" ")[0] for key in arrays}
    fields = ("logits", "gradient", "loss")
    return {name: Evidence(*(np.asarray(arrays[f"{name} {field}"]) for field in fields)) for name in names}
