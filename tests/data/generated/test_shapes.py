import numpy as np
import pytest

from scratchnet.arrays import Array, generator
from scratchnet.data import SHAPE_CLASSES, Scene, make_shapes
from scratchnet.data.generated.drawing import patch_around
from scratchnet.data.generated.shapes import _RADIUS, _distance


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [make_shapes(generator(0, "test", index), 96) for index in range(150)]


def drawn(label: int, diameter: float, angle: float = 0.3) -> Array:
    """The pixels of one whole shape."""
    size = int(3 * diameter)
    radius = _RADIUS[label] * diameter
    return _distance(label, patch_around((size / 2, size / 2), size, size), radius, angle) < 0


@pytest.mark.parametrize("label", range(1, 6))
def test_size_is_the_diameter_of_a_disc_of_equal_area(label: int) -> None:
    assert drawn(label, 60).sum() == pytest.approx(np.pi / 4 * 60**2, rel=0.01)


@pytest.mark.parametrize(("label", "turns"), [(2, 4), (3, 3), (5, 5)])
def test_polygons_have_their_corners(label: int, turns: int) -> None:
    """A turn by one corner changes nothing, a turn by half of that does."""
    whole = drawn(label, 60)
    assert (drawn(label, 60, 0.3 + 2 * np.pi / turns) == whole).mean() > 0.999
    assert (drawn(label, 60, 0.3 + np.pi / turns) == whole).mean() < 0.99


def test_distances_are_in_pixels() -> None:
    """Beside the middle of an edge a step outwards is a step in distance (the outline is one pixel soft)."""
    patch = patch_around((40.0, 40.0), 60, 80)
    for label in (1, 2, 3, 4):
        distance = _distance(label, patch, 20, 0.0)
        steps = np.hypot(*np.gradient(distance))
        near = np.abs(distance) < 2
        assert np.median(steps[near]) == pytest.approx(1, abs=0.02)


def test_only_a_ring_has_a_hole_and_only_a_star_is_not_convex() -> None:
    for label in range(1, 6):
        shape = drawn(label, 40)
        assert shape[60, 60] == (label != 4)
        rows = np.diff(shape.astype(int), axis=1)
        starts = (rows == 1).sum(axis=1).max()
        assert (starts > 1) == (label in (4, 5))


def test_masks_and_objects_belong_together(scenes: list[Scene]) -> None:
    for scene in scenes:
        assert scene.image.shape == (96, 96, 3)
        assert (scene.image.dtype, scene.mask.dtype, scene.objects.dtype) == (np.uint8, np.uint8, np.uint8)
        assert len(scene.labels) == len(scene.sizes)
        assert np.unique(scene.objects[scene.objects > 0]).tolist() == list(range(1, len(scene.labels) + 1))
        assert np.array_equal(scene.mask, np.array([0, *scene.labels])[scene.objects])


def test_colours_change_where_the_mask_does(scenes: list[Scene]) -> None:
    across = inside = 0.0
    for scene in scenes[:20]:
        steps = np.abs(np.diff(scene.image.astype(float), axis=1)).sum(axis=2)
        border = np.diff(scene.objects.astype(int), axis=1) != 0
        across, inside = across + steps[border].mean(), inside + steps[~border].mean()
    assert across > 2 * inside


def test_enough_of_every_object_is_to_be_seen(scenes: list[Scene]) -> None:
    overlaps = 0
    for scene in scenes:
        for number, size in enumerate(scene.sizes, 1):
            seen = (scene.objects == number).sum()
            assert 0.6 * np.pi / 4 * size**2 <= seen <= 1.2 * np.pi / 4 * size**2 + 4
            overlaps += seen < 0.95 * np.pi / 4 * size**2
    assert overlaps > 50


def test_sizes_span_one_to_ten_evenly(scenes: list[Scene]) -> None:
    sizes = np.array([size for scene in scenes for size in scene.sizes]) / 96
    assert 0.06 <= sizes.min() < 0.066
    assert 0.5 < sizes.max() <= 0.6
    shares = np.histogram(np.log(sizes / 0.06) / np.log(10), bins=4, range=(0, 1))[0] / len(sizes)
    assert (shares > 0.1).all()
    assert (shares < 0.4).all()


def test_every_class_is_as_frequent_and_as_large(scenes: list[Scene]) -> None:
    labels = np.array([label for scene in scenes for label in scene.labels])
    sizes = np.array([size for scene in scenes for size in scene.sizes])
    counts = np.bincount(labels, minlength=len(SHAPE_CLASSES))[1:]
    assert (np.abs(counts / len(labels) - 0.2) < 0.06).all()
    means = [np.log(sizes[labels == label]).mean() for label in range(1, 6)]
    assert np.ptp(means) < 0.25


def test_neither_colour_nor_texture_tells_the_class(scenes: list[Scene]) -> None:
    """The mean colours and contrasts of a class's objects differ from another's by chance only."""
    rows = [
        [label, *scene.image[scene.objects == number].mean(axis=0), scene.image[scene.objects == number].std()]
        for scene in scenes
        for number, label in enumerate(scene.labels, 1)
    ]
    table = np.array(rows)
    for column in range(1, 5):
        groups = [table[table[:, 0] == label, column] for label in range(1, 6)]
        spread = np.std([group.mean() for group in groups])
        assert spread < 2.5 * table[:, column].std() / np.sqrt(len(table) / 5)


def test_plain_pictures_have_one_colour_an_object_and_one_for_the_ground() -> None:
    for index in range(20):
        scene = make_shapes(generator(1, "plain", index), 96, plain=True)
        for number in range(len(scene.labels) + 1):
            pixels = scene.image[scene.objects == number].astype(float)
            if len(pixels) >= 100:
                # What is left is slanting light and noise; outlines, where two colours blend, are under a quarter.
                low, high = np.percentile(pixels, (25, 75), axis=0)
                assert (high - low < 0.24 * pixels.mean(axis=0) + 12).all()


def test_everything_scales_with_the_picture() -> None:
    small, large = (make_shapes(generator(5, "scale"), size) for size in (64, 192))
    assert small.labels[0] == large.labels[0]
    assert 3 * small.sizes[0] == pytest.approx(large.sizes[0])
    for size in (16, 17):
        assert make_shapes(generator(5, "tiny"), size).mask.shape == (size, size)
