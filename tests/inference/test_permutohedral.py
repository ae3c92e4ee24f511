import numpy as np
import pytest

from scratchnet.inference.permutohedral import PermutohedralLattice


def exact(features, maps):
    distance = ((features[:, None].astype(float) - features[None]) ** 2).sum(axis=-1)
    return maps @ np.exp(-0.5 * distance)


def grid(*sides):
    return np.stack(np.meshgrid(*map(np.arange, sides), indexing="ij"), axis=-1).reshape(-1, len(sides))


@pytest.mark.parametrize(
    ("places", "deviation", "bound"),
    [(grid(400), 8, 0.02), (grid(30, 30), 3, 0.02), (grid(24, 36), 6, 0.02), (grid(9, 9, 9), 3, 0.05)],
)
def test_normalised_filtering_of_noise_is_that_of_exact_sums(places, deviation, bound):
    """Noise between 0 and 1, whose exact result varies by 0.05 to 0.3 around a half."""
    rng = np.random.default_rng(0)
    features = (places / deviation).astype(np.float32)
    maps = rng.random((3, len(places))).astype(np.float32)
    ones = np.ones((1, len(places)), np.float32)
    lattice = PermutohedralLattice(features)
    found = lattice.filter(maps) / lattice.filter(ones)
    expected = exact(features, maps) / exact(features, ones)
    assert np.abs(found - expected).max() < bound
    assert np.abs(found - expected).mean() < bound / 5


def test_one_constant_for_all_places_inside():
    features = (grid(40, 40) / 4).astype(np.float32)
    ones = np.ones((1, 1600), np.float32)
    ratio = (PermutohedralLattice(features).filter(ones) / exact(features, ones)).reshape(40, 40)
    assert ratio[10:-10, 10:-10].std() < 0.02 * ratio.mean()


def test_it_is_linear_and_keeps_maps_apart():
    rng = np.random.default_rng(1)
    lattice = PermutohedralLattice(rng.random((500, 5)).astype(np.float32) * 4)
    one, other = rng.random((2, 1, 500)).astype(np.float32)
    both = lattice.filter(np.concatenate([one, other]))
    np.testing.assert_array_equal(both, np.concatenate([lattice.filter(one), lattice.filter(other)]))
    np.testing.assert_allclose(lattice.filter(one + 2 * other), both[:1] + 2 * both[1:], rtol=1e-4, atol=1e-4)


def test_it_is_nearly_symmetric():
    """⟨a, F b⟩ = ⟨F a, b⟩ but for the order in which the axes are blurred."""
    rng = np.random.default_rng(2)
    lattice = PermutohedralLattice(rng.random((800, 3)).astype(np.float32) * 5)
    one, other = rng.random((2, 1, 800)).astype(np.float32)
    assert (one * lattice.filter(other)).sum() == pytest.approx((lattice.filter(one) * other).sum(), rel=0.02)


def test_far_apart_nothing_is_shared():
    features = np.concatenate([np.zeros((5, 5)), np.full((5, 5), 50.0)]).astype(np.float32)
    maps = np.repeat([1.0, 3.0], 5)[None].astype(np.float32)
    lattice = PermutohedralLattice(features)
    np.testing.assert_allclose(lattice.filter(maps) / lattice.filter(np.ones_like(maps)), maps, rtol=1e-5)


@pytest.mark.parametrize("count", [1, 2])
def test_one_place(count):
    lattice = PermutohedralLattice(np.full((count, 5), 7.3, np.float32))
    maps = np.full((2, count), 0.25, np.float32)
    np.testing.assert_allclose(lattice.filter(maps) / lattice.filter(np.ones_like(maps)), maps, rtol=1e-5)


def test_negative_and_large_places():
    rng = np.random.default_rng(3)
    features = rng.random((300, 2)).astype(np.float32) * 3
    maps = rng.random((1, 300)).astype(np.float32)
    here = PermutohedralLattice(features)
    for shift in (-40, 1000):
        there = PermutohedralLattice(features + np.float32(shift))
        ratio = there.filter(maps) / there.filter(np.ones_like(maps))
        assert np.abs(ratio - here.filter(maps) / here.filter(np.ones_like(maps))).mean() < 0.02
