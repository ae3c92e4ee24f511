import numpy as np
import pytest

from scratchnet.utils.seeding import generator


def draw(*args):
    return generator(*args).integers(0, 2**62, 4).tolist()


def test_the_same_key_gives_the_same_stream():
    assert draw(0, "augment", 3, 17) == draw(0, "augment", 3, 17)


@pytest.mark.parametrize(
    "other", [(1, "a", 2), (0, "b", 2), (0, "a", 3), (0, "a"), (0,), (0, 2, "a"), (0, "a", 2, 1), (0, "a", 2, 0)]
)
def test_another_seed_or_key_gives_another_stream(other):
    assert draw(0, "a", 2) != draw(*other)


def test_a_trailing_zero_makes_another_stream():
    assert draw(0, "a", 2) != draw(0, "a", 2, 0)


def test_streams_do_not_change_from_version_to_version():
    """A seed in a paper or a log must mean the same numbers tomorrow."""
    assert generator(0, "start", "conv1.weight").integers(0, 1000, 5).tolist() == [336, 739, 388, 126, 693]


def test_neighbouring_streams_are_independent():
    a, b = (generator(0, "x", i).standard_normal(20_000) for i in (0, 1))
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.03
