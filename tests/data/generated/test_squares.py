import numpy as np
import pytest

from scratchnet.data import make_square


@pytest.mark.parametrize("size", [512, 128])
def test_one_square_of_one_colour(size: int) -> None:
    for seed in range(10):
        image, mask = make_square(np.random.default_rng(seed), size)
        assert image.shape == (size, size, 3)
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        side = len(rows)
        assert 90 * size / 512 - 1 <= side <= 100 * size / 512 + 1
        assert mask.sum() == side * len(columns) == side * side
        ground, colour = image[mask == 0], image[mask == 1]
        assert (ground == ground[0]).all()
        assert (colour == colour[0]).all()
        assert np.linalg.norm(ground[0].astype(float) - colour[0]) >= 28


def test_brightness_says_nothing() -> None:
    brighter = []
    for seed in range(100):
        image, mask = make_square(np.random.default_rng(seed), 64)
        brighter.append(image[mask == 1].mean() > image[mask == 0].mean())
    assert 0.3 < np.mean(brighter) < 0.7
