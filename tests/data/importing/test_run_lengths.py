import numpy as np
import pytest

from scratchnet.data.importing.run_lengths import decode_runs, unpack_runs
from scratchnet.utils.errors import UserError


def slow_runs(mask):
    """Return the lengths of the runs, walking down the columns."""
    runs, value = [0], False
    for pixel in mask.T.ravel():
        if pixel != value:
            runs.append(0)
            value = not value
        runs[-1] += 1
    return runs


def pack(runs):
    """Return COCO's compressed form, bit by bit."""
    text = ""
    for index, run in enumerate(runs):
        number = run - (runs[index - 2] if index > 2 else 0)
        while True:
            bits, number = number & 31, number >> 5
            more = number != (-1 if bits & 16 else 0)
            text += chr(48 + bits + (32 if more else 0))
            if not more:
                break
    return text


def test_runs_go_down_the_columns():
    wanted = np.array([[0, 1, 0], [1, 1, 0]], bool)
    assert (decode_runs([1, 3, 2], 2, 3) == wanted).all()


def test_random_masks():
    rng = np.random.default_rng(0)
    for chance in (0.0, 0.02, 0.5, 1.0):
        mask = rng.random((37, 53)) < chance
        runs = slow_runs(mask)
        assert unpack_runs(pack(runs)) == runs
        assert (decode_runs(runs, 37, 53) == mask).all()


def test_numbers_of_several_characters():
    runs = [0, 15, 16, 100_000, 1, 31, 32]
    assert unpack_runs(pack(runs)) == runs


@pytest.mark.parametrize("runs", [[5], [7], [-1, 7], [2.0, 4], [1 << 62, 1]])
def test_wrong_runs(runs):
    with pytest.raises(UserError, match="run length"):
        decode_runs(runs, 2, 3)


@pytest.mark.parametrize("text", ["ü", "!", "P", "o" * 30])
def test_wrong_characters(text):
    with pytest.raises(UserError, match="compressed run lengths"):
        unpack_runs(text)
