"""Check a backward pass numerically: compare its gradients with finite differences of the forward pass.

    ∂L/∂x ≈ (L(x + ε) − L(x − ε)) / 2ε        L = Σ G·output

The output of an operation is an array, so a random array G of the same shape serves as the upstream gradient, and the
derivative of the scalar L is checked. G must be random: with G = 1 (the sum of the outputs) an unpooling that writes
every value to a wrong place passes, because the sum does not change.

The central differences are computed in float64, in two ways:

- elementwise: perturb each element of every input and parameter separately (or a random sample of them);
- directional: perturb all elements of an array at once along a random direction v; the derivative must be
  ⟨gradient, v⟩. One pass checks a million elements, but does not locate a wrong one.

A ReLU or a maximum has a kink where its decision flips, and a difference across a kink is meaningless. So the decisions
(ReLU masks, positions of maxima) at x − ε and x + ε are compared. If they differ, the shorter steps ε/4 and ε/16 are
tried, which cross fewer kinks; if these cross one too, the point is skipped and counted. If every point of an array is
skipped, the starting point is moved and the array is checked again.

A network requires more of a layer than correct gradients. A problem's ``contract`` checks the rest, such as whether
gradients are accumulated and whether a second image is processed (:mod:`scratchnet.gradcheck.contract`).
"""

from collections.abc import Callable
from math import inf, isnan, nan

import numpy as np

from scratchnet.arrays import Array, generator
from scratchnet.gradcheck.report import Finding, Problem, Report

MOVES = 4
"""Number of times the starting point is moved for arrays without a comparable point."""


def relative_error(analytic: float, numeric: float, floor: float) -> float:
    """Return ``|a − n| / max(|a|, |n|, floor)``.

    The central difference of a value of about 1 has rounding noise of about 10⁻¹¹, so a gradient that is exactly 0
    (that of a bias before batch norm) would be compared with noise. The floor is a lower bound of the denominator.
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
    """Compare the gradients of ``problem`` with central differences, and check its contract.

    Parameters
    ----------
    name : str
        Name in the report.
    problem : Problem
    tolerance : float
        Largest relative error that passes, relative to at least 1 % of the array's largest gradient and 10⁻⁴ of all.
    eps : float
        Step size of the differences.
    most : int
        Maximum number of elements checked per array; larger arrays are sampled.
    directions : int
        Number of random directions checked per array.
    seed : int
        Seed of the upstream gradient, the sample and the directions.

    Returns
    -------
    Report
        One finding per array and fault. An array fails if all differences from :data:`MOVES` + 1 points cross a kink.

    Raises
    ------
    ValueError
        If an array is not writeable, contiguous float64, or a gradient is missing or has another shape.
    """
    _check_inputs(name, problem.inputs)
    with np.errstate(invalid="ignore", over="ignore"):  # NaN and infinite values are reported
        return _report(name, problem, tolerance, eps, most, directions, seed)


def _report(name: str, problem: Problem, tolerance: float, eps: float, most: int, directions: int, seed: int) -> Report:
    begin = {key: array.copy() for key, array in problem.inputs.items()}
    faults: dict[str, None] = {}
    found: dict[str, Finding] = {}
    upstream = np.zeros(0)
    for attempt in range(MOVES + 1):
        pending = [key for key in begin if key not in found or not found[key].checked]
        if not pending or (attempt and not _move_start(problem, begin, attempt, seed)):
            break
        used, gradients = _gradients(name, problem, seed, faults)
        upstream = upstream if attempt else used
        floors = _floors(gradients)
        for key in pending:
            moves = _moves(key, problem.inputs[key].shape, most, directions, seed)
            earlier = found[key].skipped if key in found else 0
            found[key] = _check_moves(problem, used, key, gradients[key].ravel(), moves, eps, floors[key], tolerance)
            found[key].skipped += earlier
    for key, array in problem.inputs.items():
        array[...] = begin[key]
        if not found[key].checked:
            found[key].where = f"{key}: nothing was compared, all {found[key].skipped} differences cross a kink"
            found[key].error = nan
    if problem.contract is not None:
        faults |= dict.fromkeys(problem.contract(upstream, tolerance))
    return Report(name, tolerance, [*found.values(), *(Finding(text, inf, nan, nan, 0, 0) for text in faults)])


def check_jointly(problem: Problem, upstream: Array, tolerance: float, eps: float = 2e-6, seed: int = 0) -> str:
    """Check the derivative along one random direction of all arrays together, which takes two forward passes.

    Returns
    -------
    str
        A description of the disagreement; empty if there is none or every difference crosses a kink.
    """
    problem.forward()
    gradients = problem.backward(upstream.copy())
    begin = {key: array.copy() for key, array in problem.inputs.items()}
    for attempt in range(3):
        rng = generator(seed, "joint", attempt)
        moves = {key: _unit(rng.standard_normal(array.shape)) for key, array in begin.items()}
        parts = [float((gradients[key] * moves[key]).sum()) for key in moves]
        floor = max(*map(abs, parts), 1e-12) / 100
        finding = Finding("all arrays along a direction", 0.0, 0.0, 0.0, 0, 0)

        def place(step: float, moves: dict[str, Array] = moves) -> None:
            for key, array in problem.inputs.items():
                array[...] = begin[key] + step * moves[key]

        _compare(problem, upstream, place, sum(parts), eps, floor, tolerance, finding)
        if finding.checked:
            return "" if finding.error < tolerance else str(finding)
    return ""


def imprecise(problem: Problem, upstream: Array, step: float = 4e-3, seed: int = 0) -> list[str]:
    """Find gradients with only float32's precision, which plain central differences are too coarse to detect.

    Differences over three long steps are extrapolated to step 0 (Richardson), which leaves an error of about 10⁻¹² for
    smooth functions. If the last two extrapolations differ, or a step crosses a kink, nothing is reported.
    """
    problem.forward()
    gradients = problem.backward(upstream.copy())
    found = []
    for key, array in problem.inputs.items():
        begin = array.copy()
        move = _unit(generator(seed, "precise", key).standard_normal(array.shape))
        slopes, decided = [], []
        for h in (step, step / 2, step / 4):
            outputs = []
            for sign in (1, -1):
                array[...] = begin + sign * h * move
                output, decisions = problem.forward()
                outputs.append(output.copy())
                decided.append(decisions)
            slopes.append(float((upstream * (outputs[0] - outputs[1])).sum()) / (2 * h))
        array[...] = begin
        if not all(np.array_equal(a, b) for other in decided[1:] for a, b in zip(decided[0], other, strict=True)):
            continue
        first, second = (4 * slopes[1] - slopes[0]) / 3, (4 * slopes[2] - slopes[1]) / 3
        numeric = (16 * second - first) / 15
        products = gradients[key] * move
        analytic, scale = float(products.sum()), float(np.linalg.norm(products))
        if abs(numeric - second) < 2e-10 * scale and abs(numeric - analytic) > 2e-9 * scale:
            error = abs(numeric - analytic) / scale
            cause = ", as if backward rounded something to float32" if error < 1e-5 else ""
            found.append(f"the gradient of {key} is off by {error:.0e}{cause}")
    return found


def _check_inputs(name: str, inputs: dict[str, Array]) -> None:
    """Raise a ValueError if an array cannot be perturbed in place."""
    for key, array in inputs.items():
        if array.dtype != np.float64:
            raise ValueError(f"{name}: the array {key} is {array.dtype}; expected float64, use x.astype(np.float64)")
        if not np.shares_memory(array.reshape(-1), array) and array.size:
            raise ValueError(f"{name}: the array {key} must be contiguous; use np.ascontiguousarray(x)")
        if not array.flags.writeable:
            raise ValueError(f"{name}: the array {key} is read-only; it must be writeable, use x.copy()")


def _move_start(problem: Problem, begin: dict[str, Array], attempt: int, seed: int) -> bool:
    """Multiply all values by factors around 1, which preserves signs and zeros; return whether any value changed."""
    for key, array in problem.inputs.items():
        array[...] = begin[key] * generator(seed, "start", attempt, key).uniform(0.7, 1.3, array.shape)
    return any(bool(array.any()) for array in begin.values())


def _gradients(name: str, problem: Problem, seed: int, faults: dict[str, None]) -> tuple[Array, dict[str, Array]]:
    """Run one pass; return the upstream gradient and the gradients, and add violations to ``faults``."""
    before = {key: array.copy() for key, array in problem.inputs.items()}
    output, _ = problem.forward()
    if output.dtype != np.float64:
        faults[f"the output is {output.dtype} for float64 inputs; expected float64"] = None
    if not np.isfinite(output).all():
        faults["the output holds NaN or infinite values"] = None
    _note_changes(problem.inputs, before, "forward", faults)
    upstream = generator(seed, "upstream").standard_normal(output.shape)
    given = upstream.copy()
    gradients = {key: np.array(gradient) for key, gradient in problem.backward(given).items()}
    if not np.array_equal(given, upstream):
        faults["backward changes its dy in place, which other layers may use"] = None
    _note_changes(problem.inputs, before, "backward", faults)
    for key, array in problem.inputs.items():
        if key not in gradients:
            raise ValueError(f"{name}: backward returned no gradient of {key}, only of {', '.join(gradients)}")
        gradient = gradients[key]
        if gradient.shape != array.shape:
            raise ValueError(f"{name}: the gradient of {key} has shape {gradient.shape}, expected {array.shape}")
        if gradient.dtype != np.float64:
            faults[f"the gradient of {key} is {gradient.dtype} for float64 inputs; expected float64"] = None
        if not np.isfinite(gradient).all():
            faults[f"the gradient of {key} holds NaN or infinite values"] = None
    return upstream, gradients


def _note_changes(inputs: dict[str, Array], before: dict[str, Array], which: str, faults: dict[str, None]) -> None:
    for key, array in inputs.items():
        if not np.array_equal(array, before[key], equal_nan=True):
            faults[f"{which} changes its input {key} in place, which other layers may use"] = None
            array[...] = before[key]


def _floors(gradients: dict[str, Array]) -> dict[str, float]:
    """Return the floor of the relative errors of each array."""
    peaks = {key: float(np.abs(gradient).max(initial=0)) for key, gradient in gradients.items()}
    largest = max(peaks.values(), default=0.0)
    return {key: max(1e-12, largest / 1e4, peak / 100) for key, peak in peaks.items()}


def _moves(key: str, shape: tuple[int, ...], most: int, directions: int, seed: int) -> list[tuple[Array | int, str]]:
    """Return the perturbations of an array, a flat index of one element or a unit vector, each with its name."""
    rng, size = generator(seed, "sample", key), int(np.prod(shape))
    picks: list[tuple[Array | int, str]] = [
        (int(i), f"{key}{_index(int(i), shape)}") for i in rng.permutation(size)[:most]
    ]
    return picks + [(_unit(rng.standard_normal(size)), f"{key} along a direction") for _ in range(directions)]


def _check_moves(
    problem: Problem,
    upstream: Array,
    key: str,
    gradient: Array,
    moves: list[tuple[Array | int, str]],
    eps: float,
    floor: float,
    tolerance: float,
) -> Finding:
    """Perturb one array in all the given ways; return the worst disagreement."""
    flat = problem.inputs[key].reshape(-1)  # a view: changes apply to the problem
    start = flat.copy()
    worst = Finding(moves[0][1] if moves else key, 0.0, 0.0, 0.0, 0, 0)
    for move, where in moves:
        direction = np.eye(1, start.size, move)[0] if isinstance(move, int) else move

        def place(step: float, direction: Array = direction) -> None:
            flat[...] = start + step * direction

        one = Finding(where, 0.0, 0.0, 0.0, 0, 0)
        _compare(problem, upstream, place, float(gradient @ direction), eps, floor, tolerance, one)
        if one.error > worst.error or isnan(one.error):  # a NaN stays: no error is greater
            worst.where, worst.error, worst.analytic, worst.numeric = where, one.error, one.analytic, one.numeric
        worst.checked, worst.skipped = worst.checked + one.checked, worst.skipped + one.skipped
    return worst


def _compare(
    problem: Problem,
    upstream: Array,
    place: Callable[[float], None],
    analytic: float,
    eps: float,
    floor: float,
    tolerance: float,
    finding: Finding,
) -> None:
    """Compare one derivative with its difference; retry with shorter steps, in case the step crosses a kink."""
    for step in (eps, eps / 4, eps / 16):
        place(step)
        above, decided_above = problem.forward()
        above = above.copy()  # it may be a view of the array that is perturbed next
        place(-step)
        below, decided_below = problem.forward()
        numeric = float((upstream * (above - below)).sum()) / (2 * step)
        place(0.0)
        if not all(np.array_equal(a, b) for a, b in zip(decided_above, decided_below, strict=True)):
            continue
        error = relative_error(analytic, numeric, floor)
        if not finding.checked or error < finding.error:
            finding.checked, finding.error, finding.analytic, finding.numeric = 1, error, analytic, numeric
        if not error >= tolerance:  # agrees, or is NaN at every step
            return
    finding.skipped = 1 - finding.checked


def _unit(vector: Array) -> Array:
    """Scale to length 1."""
    unit: Array = vector / max(float(np.linalg.norm(vector)), 1e-300)
    return unit


def _index(flat: int, shape: tuple[int, ...]) -> str:
    """Write a flat index as [i, j, …]."""
    return "[" + ", ".join(str(int(i)) for i in np.unravel_index(flat, shape)) + "]"
