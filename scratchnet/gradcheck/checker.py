"""Is a backward pass right? Move an input a little, and see whether the output moves as the gradient says.

The output of an operation is an array, so a random array G of the same shape plays the part of "the gradient that
comes from above", and L = Σ G·output is the number whose slope is compared. G must be random: with G = 1 (the sum of
the outputs) an unpooling that puts every value at a wrong place passes, because the sum does not change.

The slope is measured with central differences, ``(L(x + ε) − L(x − ε)) / 2ε``, in float64. Two ways to move:

- elementwise: every number of every input and parameter by itself (or a random sample of them);
- directional: all numbers of an array at once along a random direction v; the slope must be ⟨gradient, v⟩. One pass
  checks a million numbers, but does not say which one is wrong.

A ReLU or a maximum has a kink where its decision flips; a difference across one measures nothing. So the decisions
(ReLU masks, switches) at x − ε and x + ε are compared; where they differ, shorter steps are tried, ε/4 and
ε/16, which cross fewer kinks, and where they cross one too, the point is skipped and counted.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from scratchnet.arrays import Array, generator

Decisions = list[Array]
"""Arrays of whole numbers or booleans: which branch every kinked function took."""


@dataclass
class Problem:
    """Something with a forward and a backward pass.

    Attributes
    ----------
    inputs : dict of str to Array
        The float64 arrays whose gradients are checked. They are moved in place and put back.
    forward : () -> (output, decisions)
        Computes from the arrays in ``inputs``.
    backward : (upstream) -> dict of str to Array
        Gradients by name, for the forward pass that was run last. ``upstream`` has the output's shape.
    """

    inputs: dict[str, Array]
    forward: Callable[[], tuple[Array, Decisions]]
    backward: Callable[[Array], dict[str, Array]]


@dataclass
class Finding:
    """The worst disagreement found in one array."""

    where: str
    error: float
    analytic: float
    numeric: float
    checked: int
    skipped: int


@dataclass
class Report:
    """What a check found.

    Attributes
    ----------
    name : str
    tolerance : float
        Largest relative error that passes.
    findings : list of Finding
        One an array and way of moving.
    """

    name: str
    tolerance: float
    findings: list[Finding] = field(default_factory=list)

    @property
    def worst(self) -> Finding:
        """The finding with the largest error; NaN counts as largest."""
        return max(self.findings, key=lambda f: np.inf if np.isnan(f.error) else f.error)

    @property
    def checked(self) -> int:
        """Differences compared."""
        return sum(f.checked for f in self.findings)

    @property
    def skipped(self) -> int:
        """Differences left out because they crossed a kink."""
        return sum(f.skipped for f in self.findings)

    @property
    def ok(self) -> bool:
        """Whether every array was compared at least once and every error is under the tolerance."""
        return bool(self.findings) and all(f.checked and f.error < self.tolerance for f in self.findings)


def relative_error(analytic: float, numeric: float, floor: float) -> float:
    """Return ``|a − n| / max(|a|, |n|, floor)``.

    A central difference of a number of size 1 carries rounding noise of about 10⁻¹¹, so a gradient that is 0 in truth
    (that of a bias in front of batch norm) would be compared with noise. The floor is the least that errors are
    measured against.
    """
    return abs(analytic - numeric) / max(abs(analytic), abs(numeric), floor)


def check_gradients(
    name: str,
    problem: Problem,
    tolerance: float = 1e-6,
    eps: float = 1e-5,
    most: int = 60,
    directions: int = 2,
    seed: int = 0,
) -> Report:
    """Compare the gradients of ``problem`` with central differences.

    Parameters
    ----------
    name : str
        For the report.
    problem : Problem
    tolerance : float
        Largest relative error that passes; errors are measured against at least 1 % of the array's largest gradient and
        10⁻⁴ of the largest of all.
    eps : float
        How far inputs are moved.
    most : int
        How many numbers of an array are moved one by one; larger arrays are sampled.
    directions : int
        Along how many random directions each array is moved.
    seed : int
        Of the upstream gradient, the sample and the directions.

    Returns
    -------
    Report
        One finding an array. An array whose differences all crossed a kink does not pass.
    """
    output, _ = problem.forward()
    upstream = generator(seed, "upstream").standard_normal(output.shape)
    gradients = problem.backward(upstream)
    largest = max(float(np.abs(g).max(initial=0)) for g in gradients.values())
    report = Report(name, tolerance)
    for key, array in problem.inputs.items():
        if gradients[key].shape != array.shape:
            raise ValueError(f"{name}: the gradient of {key} has shape {gradients[key].shape}, expected {array.shape}")
        rng = generator(seed, "sample", key)
        gradient = gradients[key].ravel()
        floor = max(float(np.abs(gradient).max(initial=0)) / 100, largest / 1e4, 1e-12)
        flat = array.reshape(-1)  # a view: what is moved here is moved in the problem
        if not np.shares_memory(flat, array):
            raise ValueError(f"{name}: the array {key} must be contiguous")
        picks = rng.permutation(array.size)[:most]
        moves = [(np.eye(1, array.size, int(i))[0], f"{key}{_index(int(i), array.shape)}") for i in picks]
        moves += [(_unit(rng.standard_normal(array.size)), f"{key} along a direction") for _ in range(directions)]
        report.findings.append(_check_moves(problem, upstream, flat, gradient, moves, eps, floor))
    return report


def _check_moves(
    problem: Problem,
    upstream: Array,
    flat: Array,
    gradient: Array,
    moves: list[tuple[Array, str]],
    eps: float,
    floor: float,
) -> Finding:
    """Move one array in every way asked for; return the worst disagreement."""
    start = flat.copy()
    finding = Finding(moves[0][1], 0.0, 0.0, 0.0, 0, 0)
    for direction, where in moves:
        for step in (eps, eps / 4, eps / 16):
            flat[...] = start + step * direction
            above, decided_above = problem.forward()
            above = above.copy()  # it may be a view of the array that is moved next
            flat[...] = start - step * direction
            below, decided_below = problem.forward()
            numeric = float((upstream * (above - below)).sum()) / (2 * step)
            flat[...] = start
            if all(np.array_equal(a, b) for a, b in zip(decided_above, decided_below, strict=True)):
                break
        else:
            finding.skipped += 1
            continue
        finding.checked += 1
        analytic = float(gradient @ direction)
        error = relative_error(analytic, numeric, floor)
        if error > finding.error or np.isnan(error):  # a NaN stays: nothing is greater
            finding.where, finding.error, finding.analytic, finding.numeric = where, error, analytic, numeric
    return finding


def _unit(vector: Array) -> Array:
    """Scale to length 1."""
    unit: Array = vector / np.linalg.norm(vector)
    return unit


def _index(flat: int, shape: tuple[int, ...]) -> str:
    """Write a flat index as [i, j, …]."""
    return "[" + ", ".join(str(int(i)) for i in np.unravel_index(flat, shape)) + "]"
