"""Values that a training step on a GPU computes, subsampled so that those of all implementations can be stored.

As on a CPU (:mod:`benchmarks.harness.agreement`), the check has two parts. In float64, on two small images, both
libraries must agree to nearly all digits, which shows that they are the same network with the same gradients. In the
precision and on the batch that are timed, they must agree with scratchnet's float32 up to rounding, and the tolerance
depends on the precision (see :data:`LIMITS`).

Pooling amplifies rounding errors. If two values of a window differ by less than the rounding, a different one may be
chosen; it is then unpooled at a different position and its gradient takes a different path. With float32's relative
rounding of 2⁻²⁴ that is rare. With bfloat16's 2⁻⁸ it happens in so many windows that the gradient of a deep network
keeps its length but hardly its direction, in PyTorch as well, so only the lengths of gradients are compared there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.harness.agreement import FLOAT64_TOLERANCE, without_dropout
from benchmarks.harness.implementations import ScratchnetStep, TorchStep
from scratchnet.arrays import Array, to_host

MIN_SAMPLES = 4096
"""Minimum number of elements stored of each parameter's gradient."""


@dataclass(frozen=True)
class Limits:
    """Largest relative differences (Euclidean norm) from the reference.

    Attributes
    ----------
    output : float
        Difference of the logits; unrelated logits would differ by about √2.
    loss : float
        Difference of the loss.
    gradient : float
        Difference of the gradient; infinite if only its length is compared.
    length : float
        Difference of the gradient's norm; terms that are missing or counted twice change it.
    """

    output: float
    loss: float
    gradient: float
    length: float


LIMITS: Mapping[str, Limits] = {
    "float64": Limits(FLOAT64_TOLERANCE, FLOAT64_TOLERANCE, FLOAT64_TOLERANCE, FLOAT64_TOLERANCE),
    "float32": Limits(0.2, 0.01, 0.6, 0.2),
    "tf32": Limits(0.7, 0.02, np.inf, 0.5),
    "bf16": Limits(1.0, 0.02, np.inf, 0.5),
}
"""A few times the differences between PyTorch and itself: between its layouts, with factors cut to 10 bits, and in its
mixed precision, on DeconvNets of several sizes. The tests compare one of these with the limits."""


@dataclass(frozen=True)
class StepResult:
    """Values of one step before its update.

    Attributes
    ----------
    logits : (1, h, w, c)
        Logits of the first image.
    gradient : (k,)
        Every m-th element of each parameter's gradient times √m, so that the norm is nearly that of the whole gradient.
    loss : () float64
        The loss.
    """

    logits: Array
    gradient: Array
    loss: Array


def scratchnet_result(step: ScratchnetStep) -> StepResult:
    """Compute the gradients of one step without dropout."""
    with without_dropout(step.network.steps):
        logits, loss = step.gradients()
    gradients = [to_host(p.grad) for p in step.network.parameters().values()]
    return StepResult(to_host(logits[:1]), _subsample(gradients), np.array(float(loss)))


def torch_result(step: TorchStep) -> StepResult:
    """Compute the gradients of one step without dropout."""
    with without_dropout(step.network.steps):
        logits, loss = step.gradients()
    first = logits.detach()[:1].permute(0, 2, 3, 1).cpu().numpy()
    return StepResult(first, _subsample(list(step.network.gradients().values())), np.array(loss.item()))


def _subsample(gradients: Sequence[Array]) -> Array:
    samples = []
    for gradient in gradients:
        step = max(1, gradient.size // MIN_SAMPLES)
        samples.append(gradient.ravel()[::step] * np.sqrt(step, dtype=gradient.dtype))
    return np.concatenate(samples)


def differences(result: StepResult, reference: StepResult) -> dict[str, float]:
    """Return the relative differences from the reference, by the names of :class:`Limits`."""
    length, expected = (float(np.linalg.norm(r.gradient)) for r in (result, reference))
    return {
        "output": _relative_difference(result.logits, reference.logits),
        "loss": _relative_difference(result.loss, reference.loss),
        "gradient": _relative_difference(result.gradient, reference.gradient),
        "length": abs(length - expected) / expected,
    }


def describe_mismatch(found: Mapping[str, float], precision: str) -> str | None:
    """Return a message that names the differences above the precision's limits, or None."""
    limits = LIMITS[precision]
    wrong = [f"{name} off by {value:.1e}" for name, value in found.items() if not value <= getattr(limits, name)]
    return f"in {precision}: {', '.join(wrong)}" if wrong else None


def _relative_difference(one: Array, other: Array) -> float:
    return float(np.linalg.norm((one - other).ravel()) / np.linalg.norm(other.ravel()))


def pack_results(results: Mapping[str, StepResult]) -> dict[str, Any]:
    """Return results by precision as arrays by name, for ``numpy.savez``; :func:`unpack_results` is the inverse."""
    return {f"{precision} {name}": array for precision, r in results.items() for name, array in vars(r).items()}


def unpack_results(arrays: Mapping[str, Any]) -> dict[str, StepResult]:
    """Return results by precision from arrays by name."""
    names = {key.partition(" ")[0] for key in arrays}
    fields = ("logits", "gradient", "loss")
    return {name: StepResult(*(np.asarray(arrays[f"{name} {field}"]) for field in fields)) for name in names}
