"""Say in words how a result differs from the expected one."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from scratchnet.arrays import Array


def difference(found: Any, expected: Any, tolerance: float, names: Sequence[str] = ()) -> str | None:
    """Return a sentence about the first difference, or None if there is none.

    Parameters
    ----------
    found, expected : array, number, str, or tuple, list or dict of these
    tolerance : float
        Largest accepted difference, relative to the largest expected magnitude.
    names : sequence of str
        Names of the parts of a tuple.
    """
    if isinstance(expected, tuple | list):
        return _parts_difference(found, expected, tolerance, names)
    name = names[0] if names else "the result"
    if isinstance(expected, dict):
        return _dict_difference(found, expected, tolerance, name)
    if isinstance(expected, str | bool) or expected is None:
        if isinstance(found, np.ndarray):
            return f"{name} is an array of shape {found.shape}, expected {expected!r}"
        return None if found == expected else f"{name} is {found!r}, expected {expected!r}"
    if isinstance(found, tuple | list | dict | str) or found is None:
        return f"{name} is a {type(found).__name__}, expected {_kind(np.asarray(expected))}"
    return _array_difference(np.asarray(found), np.asarray(expected), tolerance, name)


def _parts_difference(found: Any, expected: Sequence[Any], tolerance: float, names: Sequence[str]) -> str | None:
    named = list(names) if len(names) == len(expected) else [f"result {i + 1}" for i in range(len(expected))]
    if not isinstance(found, tuple | list) or len(found) != len(expected):
        count = f"{len(found)} values" if isinstance(found, tuple | list) else "one value"
        return f"the function returns {count}, expected {len(expected)}: {', '.join(named)}"
    for name, part, right in zip(named, found, expected, strict=True):
        inner = [f"{name}[{i}]" for i in range(len(right))] if isinstance(right, tuple | list) else [name]
        if (sentence := difference(part, right, tolerance, inner)) is not None:
            return sentence
    return None


def _dict_difference(found: Any, expected: dict[str, Any], tolerance: float, name: str) -> str | None:
    if not isinstance(found, dict) or set(found) != set(expected):
        keys = sorted(found) if isinstance(found, dict) else type(found).__name__
        return f"{name} has the keys {keys}, expected {sorted(expected)}"
    for key, right in expected.items():
        if (sentence := difference(found[key], right, tolerance, [f"{name}['{key}']"])) is not None:
            return sentence
    return None


def _array_difference(found: Array, expected: Array, tolerance: float, name: str) -> str | None:
    if found.dtype.kind not in "biufc":
        return f"{name} is no number that fits into 64 bits, expected {_kind(expected)}"
    if found.shape != expected.shape:
        swapped = found.ndim == expected.ndim and sorted(found.shape) == sorted(expected.shape)
        more = "; are two axes exchanged?" if swapped else ""
        return f"{name} has shape {found.shape}, expected {expected.shape}{more}"
    if expected.dtype.kind in "biu" and found.dtype.kind == "f" and (found == np.rint(found)).all():
        found = found.astype(expected.dtype)
    wrong = ~agreement(found, expected, tolerance)
    if not wrong.any():
        return None
    at = tuple(int(i) for i in np.unravel_index(int(np.argmax(wrong)), wrong.shape))
    between = " at " if " " in name else ""  # "dx[0, 1]", but "the result at [0, 1]"
    entry = f"{name}{between}[{', '.join(map(str, at))}]" if at else name
    count = f" ({int(wrong.sum())} of {wrong.size} entries differ)" if wrong.size > 1 else ""
    return f"{entry} is {shown(found[at])}, expected {shown(expected[at])}{count}"


def agreement(found: Array, expected: Array, tolerance: float) -> Array:
    """Return for every entry whether it is right; NaN is right where NaN is expected."""
    finite = np.abs(expected[np.isfinite(expected)]) if expected.dtype.kind in "fc" else np.abs(expected)
    margin = tolerance * max(1.0, float(finite.max(initial=0)))
    with np.errstate(invalid="ignore", over="ignore"):
        theirs, ours = found.astype(float), expected.astype(float)
        right: Array = (np.abs(theirs - ours) <= margin) | (theirs == ours) | (np.isnan(theirs) & np.isnan(ours))
    return right


def shown(value: Any) -> str:
    """Return a number in up to six digits."""
    number = value.item() if isinstance(value, np.generic | np.ndarray) else value
    digits = f"{number + 0.0:.6g}" if isinstance(number, float) else str(number)  # −0 + 0 is 0
    return digits.replace("-", "−")


def _kind(array: Array) -> str:
    return f"an array of shape {array.shape}" if array.ndim else "a number"
