"""Before anything is timed: do both sides compute the same? A contestant that computes something else is none.

The question is put twice. In float64, on a small batch, both sides must agree to nearly all digits, which settles that
they are the same network with the same gradients. In float32, on the batch that is timed, each with the fast paths that
it takes there, they must agree as far as rounding lets them. That is not very far: where two numbers of a pooling
window are equal but for rounding, two libraries pick different ones, and an unpooling then puts a value beside its
place. Two layouts of PyTorch differ from each other by a few per cent for this reason.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.harness.implementations import (
    OurForward,
    OurStep,
    TorchForward,
    TorchStep,
    build_ours,
    build_torch,
)
from benchmarks.harness.network_cases import NetworkCase
from scratchnet.arrays import Array
from scratchnet.layers import Dropout
from scratchnet.network import Step
from scratchnet.ops.geometry import Pair
from scratchnet.utils.errors import UserError

EXACT, ROUNDED = 1e-6, 0.2
"""Largest difference in float64, and of outputs in float32; mistakes are of the order of 1."""

ROUNDED_GRADIENT = 0.5
"""Largest difference of gradients in float32. VGG16's mirror on four images came to 0.22, ten times its outputs':
a gradient goes elsewhere through every switch that rounding has moved."""

SMALL = 64
"""Side of the small images: with less, the innermost maps are single pixels, whose batch norm is all rounding."""

LARGEST = 60_000_000
"""Networks with more parameters are not compared in float64: four copies of them would not fit everywhere."""


@dataclass(frozen=True)
class Agreement:
    """How far two first steps are apart, relative to the size of what is compared (Euclidean).

    Attributes
    ----------
    output, gradient : float
        Of the logits, and of all gradients together.
    loss : float
    worst : str
        The parameter whose gradient differs most in its own measure, among those that are not nearly 0.
    """

    output: float
    gradient: float
    loss: float
    worst: str

    @property
    def largest(self) -> float:
        """The largest of the three; NaN if one is."""
        return float(np.max([self.output, self.gradient, self.loss]))


def compare(ours: OurStep, theirs: TorchStep) -> Agreement:
    """Compute the gradients of one step on both sides and compare; dropout drops nothing meanwhile."""
    with without_dropout(ours.network.steps), without_dropout(theirs.twin.steps):
        logits, loss = ours.gradients()
        other_logits, other_loss = theirs.gradients()
    mine = {name: p.grad for name, p in ours.network.parameters().items()}
    other = theirs.twin.gradients()
    apart = {name: _norm(mine[name] - other[name]) for name in mine}
    size = {name: _norm(other[name]) for name in mine}
    total = _norm(np.array(list(size.values())))
    # A bias in front of batch norm has gradient 0; what rounding leaves of it is not compared with itself.
    own = {name: apart[name] / size[name] for name in mine if size[name] > 1e-4 * total}
    worst = max(own, key=lambda name: own[name])
    return Agreement(
        _relative(logits, other_logits.detach().permute(0, 2, 3, 1).numpy()),
        _norm(np.array(list(apart.values()))) / total,
        abs(loss - other_loss.item()) / abs(other_loss.item()),
        f"{worst} {own[worst]:.1e}",
    )


@contextmanager
def without_dropout(steps: Sequence[Step]) -> Iterator[None]:
    """Let dropout drop nothing inside this block: two libraries draw differently."""
    dropouts = [step.layer for step in steps if isinstance(step.layer, Dropout)]
    rates = [layer.rate for layer in dropouts]
    for layer in dropouts:
        layer.rate = 0.0
    try:
        yield
    finally:
        for layer, rate in zip(dropouts, rates, strict=True):
            layer.rate = rate


def compare_exactly(case: NetworkCase, channels_last: bool) -> Agreement | None:
    """Compare in float64 on two small images; None for networks that are too large for it."""
    network = case.network()
    if network.parameter_count() > LARGEST:
        return None
    small = small_case(case)
    ours = build_ours(small, "sgd", np.float64)
    return compare(ours, build_torch(small, "sgd", channels_last, dtype=np.float64))


def small_case(case: NetworkCase) -> NetworkCase:
    """Return two small images for the same network."""
    return replace(case, size=_small_size(case), batch=2)


def _small_size(case: NetworkCase) -> Pair:
    """Return the smallest square that the network takes from :data:`SMALL` on; never more than the case's own size."""
    network = case.network()
    sides = range(-(-SMALL // network.stride) * network.stride, min(case.size), network.stride)
    for side in [] if network.fixed_size else sides:
        try:
            network.shapes((side, side))
        except ValueError:
            continue
        return side, side
    return case.size


def require(case: NetworkCase, label: str, agreement: Agreement, limit: float, gradients: float) -> None:
    """Raise a UserError when a contestant computes something else: its outputs and loss, or its gradients."""
    fine = agreement.output <= limit and agreement.loss <= limit and agreement.gradient <= gradients
    if not fine:  # NaN is not
        raise UserError(
            f"{case.name}: {label} computes something else than scratchnet (output off by {agreement.output:.1e}, loss "
            f"by {agreement.loss:.1e}, gradient by {agreement.gradient:.1e}, most in {agreement.worst}); not timed"
        )


def compare_outputs(ours: OurForward, theirs: TorchForward) -> float:
    """Return by how much the logits of a forward pass differ, relative to their size."""
    return _relative(ours(), theirs().permute(0, 2, 3, 1).numpy())


def _norm(array: Array) -> float:
    return float(np.linalg.norm(array.ravel()))


def _relative(mine: Array, other: Array) -> float:
    return _norm(mine - other) / _norm(other)
