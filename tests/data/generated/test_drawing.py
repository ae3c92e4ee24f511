import numpy as np
import pytest

from scratchnet.data.generated.drawing import bump, coverage, patch_around, relative_radius, smooth_noise


def test_circle_has_its_area() -> None:
    patch = patch_around((20.3, 19.8), 15, 40)
    relative = relative_radius(np.random.default_rng(0), patch.y, patch.x, 10.0, 1.0, 0.0)
    assert coverage(relative, 10.0).sum() == pytest.approx(np.pi * 100, rel=0.01)


def test_stretching_keeps_the_area() -> None:
    patch = patch_around((30, 30), 29, 60)
    relative = relative_radius(np.random.default_rng(0), patch.y, patch.x, 10.0, 2.0, 0.0)
    assert coverage(relative, 10.0).sum() == pytest.approx(np.pi * 100, rel=0.02)


def test_patches_end_at_the_picture() -> None:
    patch = patch_around((-1.0, 30.0), 5, 32)
    assert (patch.rows, patch.columns) == (slice(0, 6), slice(25, 32))
    assert patch.shape == (6, 7)
    assert patch.y[0, 0] == 1.0
    assert 0 in patch_around((-20.0, 0.0), 5, 32).shape


def test_ring_and_clouds() -> None:
    assert bump(np.array([0.9, 2.0], np.float32), 0.9, 0.1) == pytest.approx([1, 0])
    clouds = smooth_noise(np.random.default_rng(0), (64, 48), 4.0)
    assert clouds.shape == (64, 48)
    assert clouds.dtype == np.float32
    assert abs(clouds.mean()) < 0.3
    assert 0.4 < clouds.std() < 1.2
