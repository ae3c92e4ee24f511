import numpy as np
import pytest

from scratchnet.data.border import FRINGE, MAX_BLACK, cover_border


def covered(seed, height=48, width=64, value=1):
    image = np.full((height, width, 3), 220, np.uint8)
    return cover_border(image, np.full((height, width), value, np.uint8), np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(40))
def test_covered_pixels_are_black_background_and_most_of_the_image_stays(seed):
    image, mask = covered(seed)
    assert (image.dtype, mask.dtype, image.shape, mask.shape) == (np.uint8, np.uint8, (48, 64, 3), (48, 64))
    assert set(np.unique(mask)) == {0, 1}
    assert mask.mean() > 0.35
    darkest, brightest = 220 * 0.5 ** np.exp(FRINGE), 220 * 0.5 ** np.exp(-FRINGE) + MAX_BLACK
    assert image[mask == 1].min() >= darkest - 1
    assert image[mask == 0].max(initial=0) <= brightest + 1
    assert (image[mask == 0].min() <= MAX_BLACK) or (mask == 0).mean() < 0.1


def test_edges_are_straight_on_every_side_or_round():
    sides, rounds = set(), 0
    for seed in range(80):
        mask = covered(seed)[1]
        rows, columns = mask.any(axis=1), mask.any(axis=0)
        if np.array_equal(mask, rows[:, None] & columns):
            sides |= {("top", bool(rows[0])), ("bottom", bool(rows[-1])), ("left", bool(columns[0])),
                      ("right", bool(columns[-1]))}  # fmt: skip
        else:
            rounds += 1
    assert len(sides) == 8
    assert 20 < rounds < 60


def test_edges_are_sharp_or_soft():
    """A sharp edge has few pixels between black and white; a soft one fades over many."""
    between = [((image > MAX_BLACK) & (image < 220)).mean() for image, _ in map(covered, range(40))]
    assert min(between) < 0.02
    assert max(between) > 0.06


def test_inputs_stay_and_ignored_pixels_outside_the_border_stay_ignored():
    image, mask = np.full((32, 32, 3), 90, np.uint8), np.full((32, 32), 255, np.uint8)
    result = cover_border(image, mask, np.random.default_rng(3))
    assert (image == 90).all()
    assert (mask == 255).all()
    assert set(np.unique(result[1])) == {0, 255}


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 2)])
def test_small_images(size):
    for seed in range(20):
        image, mask = covered(seed, *size)
        assert image.shape == (*size, 3)
        assert mask.shape == size
