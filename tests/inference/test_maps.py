import numpy as np
import pytest

from scratchnet.inference.maps import resize_map, resize_maps
from scratchnet.ops.resampling import upsample_bilinear


@pytest.mark.parametrize("size", [(10, 14), (11, 23), (5, 7), (40, 7)])
def test_enlarging_is_bilinear(size):
    maps = np.random.default_rng(0).standard_normal((2, 5, 7, 3)).astype(np.float32)
    np.testing.assert_allclose(resize_maps(maps, size), upsample_bilinear(maps, size), atol=1e-5)


def test_shrinking_averages():
    checks = (np.indices((8, 8)).sum(axis=0) % 2).astype(np.float32)
    np.testing.assert_allclose(resize_map(checks, (2, 2)), 0.5, atol=0.02)


@pytest.mark.parametrize("size", [(3, 4), (20, 9)])
def test_probabilities_still_sum_to_one(size):
    maps = np.random.default_rng(1).random((1, 9, 11, 4)).astype(np.float32)
    maps /= maps.sum(axis=-1, keepdims=True)
    resized = resize_maps(maps, size)
    assert resized.shape == (1, *size, 4)
    np.testing.assert_allclose(resized.sum(axis=-1), 1, atol=1e-5)


def test_the_same_size_is_left_alone():
    maps = np.zeros((1, 4, 5, 2), np.float32)
    assert resize_maps(maps, (4, 5)) is maps
