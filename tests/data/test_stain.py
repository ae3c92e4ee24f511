import numpy as np
import pytest

from scratchnet.data.stain import COLOUR, EXPOSURE, vary_stain


def picture(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (9, 12, 3)).astype(np.uint8)


def density(image):
    return -np.log((image.astype(float) + 1) / 256)


class Fixed:
    """A generator that draws the given values."""

    def __init__(self, matrix, light, exposure=0.0):
        self.draws = [np.array(matrix, float), np.array(light, float)]
        self.exposure = exposure

    def uniform(self, low, high, size=None):
        if size is None:
            assert (low, high) == EXPOSURE
            return self.exposure
        values = self.draws.pop(0)
        assert (low, high, values.shape) == (-1, 1, np.zeros(size).shape)
        return values


def test_a_value_by_hand():
    # Red has the density log 2, green log 4; half of green's change of +0.5 · red is added to it.
    image = np.array([[[127, 63, 255]]], np.uint8)
    matrix = np.zeros((3, 3))
    matrix[0, 1] = 1
    varied = vary_stain(image, Fixed(matrix, np.zeros(3)), 0.5)
    expected = np.array([127, 256 * np.exp(-(np.log(4) + 0.5 * np.log(2))) - 1, 255])
    assert varied[0, 0].tolist() == np.rint(expected).tolist()


def test_amounts_and_absorbances_of_any_stains_are_such_a_matrix():
    rng = np.random.default_rng(1)
    stains, others = rng.uniform(0.2, 1, (3, 3)), rng.uniform(0.2, 1, (3, 3))
    factors = np.array([0.7, 1.3, 1.1])
    amounts = rng.uniform(0, 0.5, (5, 6, 3))
    image = np.rint(256 * np.exp(-amounts @ stains) - 1).clip(0, 255).astype(np.uint8)
    matrix = np.linalg.inv(stains) @ np.diag(factors) @ others
    varied = vary_stain(image, Fixed(matrix - np.eye(3), np.zeros(3)), 1.0)
    expected = 256 * np.exp(-(amounts * factors) @ others) - 1
    dark = density(image).max(axis=2) < 2.5  # rounding to bytes changes the density of darker pixels
    assert abs(varied - expected.clip(0, 255))[dark].max() < 6


def test_white_stays_white_without_a_change_of_the_light():
    white = np.full((4, 5, 3), 255, np.uint8)
    matrix = np.random.default_rng(2).uniform(-1, 1, (3, 3))
    assert (vary_stain(white, Fixed(matrix, np.zeros(3)), 0.5) == 255).all()


def test_light_is_a_factor_per_colour():
    image = picture() // 2
    varied = vary_stain(image, Fixed(np.zeros((3, 3)), [1, 0, -1]), 0.4)
    factors = np.exp(np.array([-1, 0, 1]) * 0.4 * COLOUR)
    assert abs(varied - ((image + 1.0) * factors - 1).clip(0, 255)).max() <= 0.51


@pytest.mark.parametrize("exposure", EXPOSURE)
def test_exposure_is_one_factor_for_all_colours(exposure):
    image = picture() // 2
    varied = vary_stain(image, Fixed(np.zeros((3, 3)), np.zeros(3), exposure), 0.4)
    assert abs(varied - ((image + 1.0) * np.exp(-0.4 * exposure) - 1).clip(0, 255)).max() <= 0.51


def test_light_may_change_alone_and_stay_alone():
    image = picture() // 2
    matrix, colours = np.random.default_rng(4).uniform(-1, 1, (3, 3)), np.array([0.5, -0.2, 1.0])
    lit = vary_stain(image, Fixed(matrix, colours, 1.0), 0.0, 0.3)
    assert np.array_equal(lit, vary_stain(image, Fixed(np.zeros((3, 3)), colours, 1.0), 0.3))
    stained = vary_stain(image, Fixed(matrix, colours, 1.0), 0.3, 0.0)
    assert np.array_equal(stained, vary_stain(image, Fixed(matrix, np.zeros(3)), 0.3))


def test_photographs_become_darker_more_often_than_brighter():
    image = picture()
    darker = [vary_stain(image, np.random.default_rng(seed), 0.3).mean() < image.mean() for seed in range(60)]
    assert 36 < sum(darker) < 58


@pytest.mark.parametrize("strength", [0.0, 0.1, 0.3, 1.0])
def test_strength_bounds_the_change(strength):
    image = picture()
    for seed in range(20):
        varied = vary_stain(image, np.random.default_rng(seed), strength)
        assert (varied.dtype, varied.shape) == (np.uint8, image.shape)
        x, y = density(image), density(varied)
        bound = strength * (x.sum(axis=2, keepdims=True) + COLOUR + max(EXPOSURE))
        rounded = np.abs(np.log((varied + 1.5) / (varied + 0.5)))
        inside = (varied > 0) & (varied < 255)
        assert (np.abs(y - x) <= bound + rounded + 1e-6)[inside].all()
    if strength == 0:
        assert (varied == image).all()
