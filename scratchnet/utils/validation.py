"""Checks of single settings: layers, losses, optimisers and schedules refuse what makes no sense when they are made.

Every function takes the value, the name under which an error speaks of it ("Conv2d: stride"), and what is allowed. It
returns the value as a plain Python number, so that ``np.int64(2)`` and ``2`` are the same setting, or raises a
ValueError that says what came and what was expected.
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
    """Return whatever counts as an integer in indexing, None for anything else, for booleans and arrays."""
    if isinstance(value, bool | np.ndarray):
        return None
    try:
        return index(value)
    except TypeError:
        return None


def number(value: Any, name: str, low: float = -inf, high: float = inf, include: str = "[]") -> float:
    """Return a finite real number between ``low`` and ``high``; ``include`` tells whether these are allowed: ``[``.

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
    """Return True or False; nothing else counts as one of them."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name} is {value!r}; expected True or False")
    return bool(value)


def choice(value: Any, name: str, options: tuple[str, ...]) -> None:
    """Check that ``value`` is one of the ``options``."""
    if not isinstance(value, str) or value not in options:
        raise ValueError(f"{name} is {value!r}; expected {', '.join(map(repr, options[:-1]))} or {options[-1]!r}")


def function(value: Any, name: str) -> Callable[..., Any]:
    """Check that ``value`` can be called."""
    if not callable(value):
        raise ValueError(f"{name} is {value!r}; expected a function")
    checked: Callable[..., Any] = value
    return checked
