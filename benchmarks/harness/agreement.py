"""Check that two implementations compute the same before they are timed.

The check has two parts. In float64, on a small batch, both implementations must agree to nearly all digits, which shows
that they are the same network with the same gradients. In float32, on the batch that is timed and with the fast paths
that are used there, they must agree up to rounding. That tolerance is wide: if two values of a pooling window differ
only by rounding, two libraries may choose different ones, and unpooling then places a value at a different position.
Two layouts of PyTorch differ from each other by a few per cent for this reason.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.harness.implementations import (
    ScratchnetForward,
    ScratchnetStep,
    TorchForward,
    TorchStep,
    build_scratchnet_step,
    build_torch_step,
)
from benchmarks.harness.network_cases import NetworkCase
from scratchnet.arrays import Array
from scratchnet.layers import Dropout
from scratchnet.network import Step
from scratchnet.ops.geometry import Pair
from scratchnet.utils.errors import UserError

FLOAT64_TOLERANCE, FLOAT32_TOLERANCE = 1e-6, 0.2
"""Largest relative difference in float64, and of outputs in float32; errors in the code are of the order of 1."""

FLOAT32_GRADIENT_TOLERANCE = 0.5
"""Largest relative difference of gradients in float32. It is 0.22 for VGG16's mirror on four images, ten times that of
the outputs: every pooling switch that rounding changes sends its gradient to a different position."""

MIN_SIDE = 64
"""Minimum side of the small images. With less, the innermost maps have a single pixel, and batch norm amplifies only
rounding errors."""

MAX_PARAMETERS = 60_000_000
"""Networks with more parameters are not compared in float64, because the comparison needs four copies of them."""


@dataclass(frozen=True)
class Agreement:
    """Relative differences (Euclidean norm) between the first steps of two implementations.

    Attributes
    ----------
    output, gradient : float
        Difference of the logits, and of all gradients together.
    loss : float
        Difference of the loss.
    worst : str
        Parameter whose gradient has the largest relative difference, among gradients that are not close to 0.
    """

    output: float
    gradient: float
    loss: float
    worst: str

    @property
    def largest(self) -> float:
        """The largest of the three; NaN if one is."""
        return float(np.max([self.output, self.gradient, self.loss]))


def compare_steps(ours: ScratchnetStep, theirs: TorchStep) -> Agreement:
    """Compute the gradients of one step in both implementations, without dropout, and compare them."""
    with without_dropout(ours.network.steps), without_dropout(theirs.network.steps):
        logits, loss = ours.gradients()
        other_logits, other_loss = theirs.gradients()
    gradients = {name: p.grad for name, p in ours.network.parameters().items()}
    expected = theirs.network.gradients()
    difference = {name: _norm(gradients[name] - expected[name]) for name in gradients}
    size = {name: _norm(expected[name]) for name in gradients}
    total = _norm(np.array(list(size.values())))
    # The gradient of a bias before batch norm is 0 up to rounding, so its relative difference means nothing.
    relative = {name: difference[name] / size[name] for name in gradients if size[name] > 1e-4 * total}
    worst = max(relative, key=lambda name: relative[name])
    return Agreement(
        _relative(logits, other_logits.detach().permute(0, 2, 3, 1).numpy()),
        _norm(np.array(list(difference.values()))) / total,
        abs(loss - other_loss.item()) / abs(other_loss.item()),
        f"{worst} {relative[worst]:.1e}",
    )


@contextmanager
def without_dropout(steps: Sequence[Step]) -> Iterator[None]:
    """Disable dropout inside this block, because two libraries draw different masks."""
    dropouts = [step.layer for step in steps if isinstance(step.layer, Dropout)]
    rates = [layer.rate for layer in dropouts]
    for layer in dropouts:
        layer.rate = 0.0
    try:
        yield
    finally:
        for layer, rate in zip(dropouts, rates, strict=True):
            layer.rate = rate


def compare_in_float64(case: NetworkCase, channels_last: bool) -> Agreement | None:
    """Compare in float64 on two small images; return None if the network is too large."""
    network = case.network()
    if network.parameter_count() > MAX_PARAMETERS:
        return None
    small = small_case(case)
    ours = build_scratchnet_step(small, "sgd", np.float64)
    return compare_steps(ours, build_torch_step(small, "sgd", channels_last, dtype=np.float64))


def small_case(case: NetworkCase) -> NetworkCase:
    """Return a case with the same network and two small images."""
    return replace(case, size=_small_image_size(case), batch=2)


def _small_image_size(case: NetworkCase) -> Pair:
    """Return the smallest square of at least :data:`MIN_SIDE` that the network accepts, at most the case's size."""
    network = case.network()
    sides = range(-(-MIN_SIDE // network.stride) * network.stride, min(case.size), network.stride)
    for side in [] if network.fixed_size else sides:
        try:
            network.shapes((side, side))
        except ValueError:
            continue
        return side, side
    return case.size


def require_agreement(case: NetworkCase, label: str, agreement: Agreement, limit: float, gradients: float) -> None:
    """Raise a UserError if outputs or loss differ by more than ``limit``, or gradients by more than ``gradients``."""
    within_limits = agreement.output <= limit and agreement.loss <= limit and agreement.gradient <= gradients
    if not within_limits:  # also for NaN
        raise UserError(
            f"{case.name}: {label} computes something else than scratchnet (output off by {agreement.output:.1e}, loss "
            f"by {agreement.loss:.1e}, gradient by {agreement.gradient:.1e}, most in {agreement.worst}); not timed"
        )


def compare_outputs(ours: ScratchnetForward, theirs: TorchForward) -> float:
    """Return the relative difference between the logits of two forward passes."""
    return _relative(ours(), theirs().permute(0, 2, 3, 1).numpy())


def _norm(array: Array) -> float:
    return float(np.linalg.norm(array.ravel()))


def _relative(array: Array, expected: Array) -> float:
    return _norm(array - expected) / _norm(expected)
