import numpy as np
import pytest

from scratchnet.engine.cpu import updates
from scratchnet.ops import updates as plain
from tests.compare import numbers


def arrays(count, dtype):
    return [np.abs(numbers(1000, seed=i, dtype=dtype)) for i in range(count)]


@pytest.mark.parametrize("decay", [0.0, 0.01])
@pytest.mark.parametrize(
    ("name", "count", "settings"),
    [
        ("sgd_update", 3, (0.1, 0.9)),
        ("nesterov_update", 3, (0.1, 0.9)),
        ("adam_update", 4, (0.1, 0.9, 0.999, 0.3, 1e-8)),
    ],
)
def test_updates_have_the_bits_of_the_plain_form(name, count, settings, decay, dtype):
    mine, expected = arrays(count, dtype), arrays(count, dtype)
    getattr(updates, name)(*mine, *settings, decay)
    getattr(plain, name).__wrapped__(*expected, *settings, decay)
    for a, b in zip(mine, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_averages_have_the_bits_of_the_plain_form(dtype):
    (mine, w), (expected, _) = arrays(2, dtype), arrays(2, dtype)
    updates.average_update(mine, w, 0.99)
    plain.average_update.__wrapped__(expected, w, 0.99)
    np.testing.assert_array_equal(mine, expected)


@pytest.mark.parametrize("name", ["add_to", "copy_to"])
def test_only_weights_of_four_axes_are_split_over_the_cores(name):
    function = getattr(updates, name)
    total, term = numbers(2, 3, 4, 5), numbers(2, 3, 4, 5, seed=1)
    expected = total + term if name == "add_to" else term
    function(total, term)
    np.testing.assert_array_equal(total, expected)
    assert function(total[0], term[0]) is NotImplemented
