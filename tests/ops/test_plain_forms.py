"""The fast form of every operation against its plain form, over the table of all operations."""

import numpy as np
import pytest

from scratchnet import textbook
from scratchnet.engine.dispatch import find_fast_form
from scratchnet.ops.normalized import Normalized
from tests.ops.operation_cases import CASES, copied, leaves


def described(value):
    """Return the arrays of a result; of a :class:`Normalized`, what does not depend on whether x was overwritten."""
    if isinstance(value, tuple | list):
        return [array for part in value for array in described(part)]
    if isinstance(value, Normalized):
        return [value.mean, value.variance, value.inverse_std, value.x_hat, *described(value.positive())]
    if hasattr(value, "__dataclass_fields__"):
        return [array for name in value.__dataclass_fields__ for array in described(getattr(value, name))]
    return [] if value is None else [np.asarray(value)]


def outcome(case):
    """Return the results of a call, and its arguments, which may have been written to."""
    arguments = copied(case.arguments)
    result = described(case.call(arguments))
    may_change = {"x", "dy"} if arguments.get("overwrite") else set()
    return result + [array for path, array in leaves(arguments).items() if path not in may_change]


def has_fast_form(case):
    function = getattr(case.function, "__wrapped__", case.function)
    return find_fast_form("cpu", function.__module__, function.__name__) is not None


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if has_fast_form(case)])
def test_fast_and_plain_forms_agree(name):
    fast = outcome(CASES[name])
    with textbook():
        plain = outcome(CASES[name])
    for found, expected in zip(fast, plain, strict=True):
        if expected.dtype.kind == "f":
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11)
        else:
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("plain_first", [False, True])
def test_one_form_goes_back_from_what_the_other_saved(relu, overwrite, plain_first):
    case, back = CASES["batch norm relu" if relu else "batch norm"], CASES["batch norm backward"]
    x, dy, gamma = case.arguments["x"], back.arguments["dy"], case.arguments["gamma"]
    with textbook():
        _, saved = case.function(**case.arguments)
        expected = back.function(dy, saved, gamma)
    with textbook(plain_first):
        _, saved = case.function(**{**case.arguments, "x": x.copy()}, overwrite=overwrite)
    with textbook(not plain_first):
        found = back.function(dy.copy(), saved, gamma, overwrite)
    for mine, right in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, right, rtol=1e-9, atol=1e-11)
