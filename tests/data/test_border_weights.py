import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from scratchnet.arrays import Array
from scratchnet.data import BorderWeights, connected_components
from scratchnet.data.border_weights import distance_to

INSIDE = nps.arrays(bool, nps.array_shapes(min_dims=2, max_dims=2, max_side=9))


def brute_force(inside: Array) -> Array:
    """Compare every pixel with every pixel that is inside."""
    places = np.argwhere(inside)
    pixels = np.argwhere(np.ones_like(inside))
    if not len(places):
        return np.full(inside.shape, np.inf)
    apart = np.sqrt(((pixels[:, None] - places[None]) ** 2).sum(axis=2))
    return apart.min(axis=1).reshape(inside.shape)


@given(INSIDE, st.integers(1, 12))
def test_distances_are_euclidean_up_to_their_reach(inside: Array, reach: int) -> None:
    expected = brute_force(inside)
    expected[expected > reach] = np.inf
    np.testing.assert_allclose(distance_to(inside, reach), expected, rtol=1e-6)


def test_the_formula_by_hand() -> None:
    """Two columns of pixels with a gap of three: distances 1 and 3 beside an object, 2 and 2 in the middle."""
    mask = np.zeros((1, 9), np.uint8)
    mask[0, 2], mask[0, 6] = 1, 1
    weights = BorderWeights(10, 5, (0.5, 2.0))(mask[None])[0, 0]
    between = 0.5 + 10 * np.exp(-(4**2) / 50)
    beside = 0.5 + 10 * np.exp(-((1 + 5) ** 2) / 50)
    assert weights[[2, 6]] == pytest.approx([2, 2])
    assert weights[3:6] == pytest.approx([between] * 3)
    assert weights[1] == pytest.approx(beside)
    assert weights.dtype == np.float32


def test_one_object_has_no_gap() -> None:
    mask = np.zeros((1, 12, 12), np.uint8)
    mask[0, 3:6, 3:6] = 1
    assert (BorderWeights()(mask) == 1).all()
    assert (BorderWeights()(np.zeros_like(mask)) == 1).all()


def test_ignored_pixels_are_no_object() -> None:
    mask = np.zeros((1, 1, 8), np.uint8)
    mask[0, 0, 1], mask[0, 0, 5] = 1, 255
    assert (BorderWeights()(mask) == 1).all()
    assert (BorderWeights(ignore_index=None)(mask) > 1).any()


def test_objects_of_different_classes_are_neighbours_too() -> None:
    mask = np.zeros((2, 6, 8), np.uint8)
    mask[0, 2, 1], mask[0, 2, 4] = 1, 2
    weights = BorderWeights()(mask)
    assert weights[0].max() > 5
    assert (weights[1] == 1).all()


def test_scipy_agrees() -> None:
    ndimage = pytest.importorskip("scipy.ndimage")
    rng = np.random.default_rng(0)
    mask = (ndimage.gaussian_filter(rng.standard_normal((60, 80)), 3) > 0.08).astype(np.uint8)
    numbers = connected_components(mask)
    assert numbers.max() > 5
    distances = np.sort([ndimage.distance_transform_edt(numbers != n) for n in range(1, numbers.max() + 1)], axis=0)
    expected = 1 + np.where(mask == 0, 10 * np.exp(-((distances[0] + distances[1]) ** 2) / 50), 0)
    np.testing.assert_allclose(BorderWeights()(mask[None])[0], expected, atol=1e-4)
