import numpy as np
import pytest

from scratchnet.arrays import Array, generator
from scratchnet.data import Augmentation, augment
from scratchnet.data.elastic import Deformation, _reflected, deform


def scene(height: int = 60, width: int = 80) -> tuple[Array, Array]:
    """Smooth blobs, and the mask where they are bright."""
    y, x = np.mgrid[:height, :width]
    bright = 127 + 100 * np.sin(y / 9) * np.cos(x / 11)
    image = np.repeat(bright[:, :, None], 3, axis=2).round().astype(np.uint8)
    return image, (image[:, :, 0] > 127).astype(np.uint8)


def test_no_displacement_changes_nothing() -> None:
    image, mask = scene()
    bent, labels = deform(image, mask, 0.0, generator(0))
    np.testing.assert_array_equal(bent, image)
    np.testing.assert_array_equal(labels, mask)


@pytest.mark.parametrize("shift", [(2.0, -3.0), (0.5, 0.25)])
def test_equal_displacements_move_the_whole_image(monkeypatch: pytest.MonkeyPatch, shift: tuple[float, float]) -> None:
    class Constant:
        def normal(self, mean: float, sigma: float, size: tuple[int, ...]) -> Array:
            return np.broadcast_to(np.array(shift)[:, None, None], size)

    y, x = np.mgrid[:20, :24]
    ramp = np.stack([4 * y, 4 * x, 4 * (x + y)], axis=2).astype(np.uint8)
    bent, _ = deform(ramp, ramp[:, :, 0], 1.0, Constant())  # type: ignore[arg-type]
    inside = (slice(4, -4), slice(4, -4))
    expected = np.stack([4 * (y + shift[0]), 4 * (x + shift[1]), 4 * (x + y + sum(shift))], axis=2)
    np.testing.assert_array_equal(bent[inside], expected[inside].round())


def test_image_and_mask_are_bent_alike() -> None:
    image, mask = scene()
    for seed in range(6):
        bent, labels = deform(image, mask, 6.0, generator(seed))
        assert (bent.shape, labels.shape) == (image.shape, mask.shape)
        assert ((bent[:, :, 0] > 127) == labels).mean() > 0.97
        assert (labels != mask).mean() > 0.02
        assert set(np.unique(labels)) <= {0, 1}


def test_displacements_are_smooth_and_as_large_as_asked() -> None:
    rows = np.repeat(np.arange(60, 150, dtype=np.uint8)[:, None], 90, axis=1)
    image = np.repeat(rows[:, :, None], 3, axis=2)
    moved = np.array([deform(image, rows, 5.0, generator(seed))[1].astype(float) - rows for seed in range(60)])
    inside = moved[:, 25:-25, 25:-25]
    assert 2.5 < inside.std() < 6
    assert np.abs(np.diff(inside, axis=2)).max() <= 2


@pytest.mark.parametrize("sigma", [2.0, 40.0])
def test_a_window_is_a_part_of_the_whole(sigma: float) -> None:
    image, mask = scene()
    whole, _ = deform(image, mask, sigma, generator(3))
    rows, columns = slice(11, 43), slice(50, 80)
    window = Deformation.draw(mask.shape, sigma, generator(3)).image(image, rows, columns)
    np.testing.assert_array_equal(window, whole[rows, columns])


def test_reflection() -> None:
    inside = np.arange(-4, 8)
    assert _reflected(inside, 4).tolist() == np.pad(np.arange(4), 4, mode="symmetric").tolist()
    positions = np.arange(-9, 12)
    assert _reflected(positions, 4).tolist() == np.pad(np.arange(4), (9, 8), mode="symmetric").tolist()


def test_as_an_augmentation() -> None:
    image, mask = scene()

    def nothing(rng: np.random.Generator) -> tuple[Array, Array]:
        raise AssertionError

    results = [augment(image, mask, generator(3), Augmentation(elastic=4.0), nothing) for _ in range(2)]
    np.testing.assert_array_equal(results[0][0], results[1][0])
    assert (results[0][1] != mask).any()
    assert results[0][0].shape == image.shape
