import numpy as np
import pytest

from scratchnet.arrays import generator
from scratchnet.utils.random_stream import RandomStream


def test_draws_follow_each_other_and_the_last_can_be_repeated():
    stream, plain = RandomStream(generator(1)), generator(1)
    for shape in ((2, 3), (4,)):
        drawn = stream.uniform(shape, np)
        np.testing.assert_array_equal(drawn, plain.random(shape, np.float32))
        np.testing.assert_array_equal(stream.uniform(shape, np, again=True), drawn)


def test_the_images_of_other_processes_are_skipped_once():
    whole = RandomStream(generator(1)).uniform((5, 2, 3), np)
    stream = RandomStream(generator(0))
    stream.seed(generator(1), first=2)
    np.testing.assert_array_equal(stream.uniform((2, 2, 3), np), whole[2:4])
    np.testing.assert_array_equal(stream.uniform((1, 2, 3), np), whole[4:])


def test_a_state_can_be_restored():
    stream = RandomStream(generator(1))
    stream.seed(generator(2), first=1)
    state = stream.state
    drawn = stream.uniform((3, 5), np)
    stream.seed(generator(3))
    stream.state = state
    np.testing.assert_array_equal(stream.uniform((3, 5), np), drawn)


def test_there_must_be_a_draw_to_repeat():
    with pytest.raises(RuntimeError, match="no draw to repeat"):
        RandomStream(generator(1)).uniform((2,), np, again=True)
