"""Checks of single settings: layers, losses, optimisers and schedules reject invalid values in their constructors.

Every function takes the value, its name for error messages ("Conv2d: stride"), and the allowed values. It returns the
value as a plain Python number, so that ``np.int64(2)`` and ``2`` are the same setting, or raises a ValueError with the
value and what was expected.
"""

from collections.abc import Callable
from math import inf, isfinite
from numbers import Real
from operator import index
from typing import Any

import numpy as np


def integer(value: Any, name: str, minimum: int | None = None) -> int:
    """Return an integer of at least ``minimum``; NumPy's integers are accepted, booleans and floats are not."""
    number = _index(value)
    if number is None or (minimum is not None and number < minimum):
        bound = "" if minimum is None else f", at least {minimum}"
        raise ValueError(f"{name} is {value!r}; expected an integer{bound}")
    return number


def pair(value: Any, name: str, minimum: int) -> tuple[int, int]:
    """Return an integer or a pair of integers, each at least ``minimum``, as (vertical, horizontal)."""
    both = tuple(value) if isinstance(value, tuple | list) else (value, value)
    numbers = [_index(v) for v in both]
    if len(numbers) != 2 or any(v is None or v < minimum for v in numbers):
        raise ValueError(f"{name} is {value!r}; expected an integer or a pair of integers, each at least {minimum}")
    return numbers[0], numbers[1]  # type: ignore[return-value]


def _index(value: Any) -> int | None:
    """Return a value that is valid as an index as an integer, None for anything else, including booleans and arrays."""
    if isinstance(value, bool | np.ndarray):
        return None
    try:
        return index(value)
    except TypeError:
        return None


def number(value: Any, name: str, low: float = -inf, high: float = inf, include: str = "[]") -> float:
    """Return a finite real number between ``low`` and ``high``; ``[`` and ``]`` in ``include`` include them.

    >>> number(0.5, "Dropout: rate", 0, 1, "[)")
    0.5
    """
    real = isinstance(value, Real) and not isinstance(value, bool)
    if real and isfinite(value):
        above = value >= low if include[0] == "[" else value > low
        below = value <= high if include[1] == "]" else value < high
        if above and below:
            return float(value)
    left = "" if low == -inf else f"{low:g} {'≤' if include[0] == '[' else '<'} "
    right = "" if high == inf else f" {'≤' if include[1] == ']' else '<'} {high:g}"
    bounds = f"{left}{name.rpartition(' ')[2]}{right}"
    expected = bounds if left and right else f"a finite number with {bounds}" if left or right else "a finite number"
    raise ValueError(f"{name} is {value!r}; expected {expected}")


def flag(value: Any, name: str) -> bool:
    """Return a boolean; raise a ValueError for anything else."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name} is {value!r}; expected True or False")
    return bool(value)


def choice(value: Any, name: str, options: tuple[str, ...]) -> None:
    """Check that ``value`` is one of the ``options``."""
    if not isinstance(value, str) or value not in options:
        raise ValueError(f"{name} is {value!r}; expected {', '.join(map(repr, options[:-1]))} or {options[-1]!r}")


def function(value: Any, name: str) -> Callable[..., Any]:
    """Return ``value`` if it is callable, else raise a ValueError."""
    if not callable(value):
        raise ValueError(f"{name} is {value!r}; expected a function")
    checked: Callable[..., Any] = value
    return checked
