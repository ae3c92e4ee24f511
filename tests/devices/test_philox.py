import numpy as np
import pytest

from scratchnet.arrays import generator
from scratchnet.utils.philox import skip, uniform, words


@pytest.mark.parametrize("key", [(0, 0), (1, 2), (2**64 - 1, 2**63 + 5)])
def test_the_words_are_those_of_numpys_generator(key):
    own = np.random.Philox(counter=0, key=np.array(key, np.uint64)).random_raw(40)
    np.testing.assert_array_equal(words(key, 0, 10, np), own)
    np.testing.assert_array_equal(words(key, 7, 2, np), own[28:36])


def test_draws_of_any_length_follow_each_other_as_in_numpy():
    """Streams of two devices may even take turns: the state that is left is the same."""
    ours, numpys = generator(3, "x"), generator(3, "x")
    for count in (0, 1, 7, 8, 9, 3, 64, 1001, 2, 5):
        np.testing.assert_array_equal(uniform(ours, (count,), np), numpys.random(count, np.float32))
        assert ours.integers(1 << 62) == numpys.integers(1 << 62)
        np.testing.assert_array_equal(ours.random(3, np.float32), numpys.random(3, np.float32))


def test_skipping_is_drawing_and_not_looking():
    ours, numpys = generator(3, "x"), generator(3, "x")
    for count in (0, 1, 7, 8, 9, 3, 64, 1001):
        skip(ours, count)
        numpys.random(count, np.float32)
        np.testing.assert_array_equal(ours.random(5, np.float32), numpys.random(5, np.float32))


def test_numbers_are_laid_out_as_in_numpy_on_every_device(xp):
    found = uniform(generator(5), (2, 3, 5), xp)
    assert type(found) is type(xp.zeros(1))
    np.testing.assert_array_equal(found.get(), generator(5).random((2, 3, 5), np.float32))
