import numpy as np
import pytest

from scratchnet.measurement import split_regions

pytest.importorskip("skimage")


def disc(shape, row, column, radius):
    y, x = np.mgrid[: shape[0], : shape[1]]
    return (y - row) ** 2 + (x - column) ** 2 <= radius**2


def ellipse(a, b, angle):
    y, x = np.mgrid[-60:61, -60:61]
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    return (u / a) ** 2 + (v / b) ** 2 <= 1


def test_two_touching_discs_are_cut_at_the_neck():
    both = disc((40, 70), 20, 20, 12) | disc((40, 70), 20, 42, 12)
    parts = split_regions(both.astype(np.int32))
    assert parts.max() == 2
    assert ((parts > 0) == both).all()
    assert abs(int((parts == 1).sum()) - int((parts == 2).sum())) < 10
    assert parts[20, 20] == 1
    assert parts[20, 42] == 2
    assert (parts[:, :30] != 2).all()
    assert (parts[:, 33:] != 1).all()


@pytest.mark.parametrize("radius", [3, 5, 9, 14])
def test_elongated_and_bent_objects_stay_whole(radius):
    long, angles = min(5 * radius, 55), np.linspace(0, 3, 5)
    for shape in [ellipse(long, radius, angle) for angle in angles]:
        assert split_regions(shape.astype(np.uint8)).max() == 1
    ring = disc((121, 121), 60, 60, 3 * radius + radius) & ~disc((121, 121), 60, 60, 3 * radius - radius)
    ring[60:] = False  # half of it, a banana
    assert split_regions(ring.astype(np.uint8)).max() == 1


def test_scale_makes_no_difference():
    for scale in (1, 2, 4):
        shape = (40 * scale, 70 * scale)
        touching = disc(shape, 20 * scale, 20 * scale, 10 * scale) | disc(shape, 20 * scale, 39 * scale, 10 * scale)
        merged = disc(shape, 20 * scale, 20 * scale, 10 * scale) | disc(shape, 20 * scale, 26 * scale, 10 * scale)
        assert split_regions(touching.astype(np.uint8), smoothing=scale).max() == 2
        assert split_regions(merged.astype(np.uint8), smoothing=scale).max() == 1


def test_a_wider_neck_needs_a_larger_fraction():
    overlapping = (disc((50, 80), 25, 25, 14) | disc((50, 80), 25, 45, 14)).astype(np.uint8)
    assert [split_regions(overlapping, neck).max() for neck in (0.5, 0.95)] == [1, 2]


def test_the_border_of_the_image_is_no_outline():
    """A disc of which the border shows less than half has one part, and so has an image without background."""
    cut = disc((30, 40), -6, 20, 14)
    assert split_regions(cut.astype(np.uint8)).max() == 1
    assert split_regions(np.ones((20, 30), np.uint8)).max() == 1
    assert split_regions(np.zeros((20, 30), np.uint8)).max() == 0
    assert split_regions(np.ones((1, 1), np.uint8)).max() == 1


def test_other_regions_do_not_matter():
    regions = np.zeros((40, 90), np.int32)
    regions[disc((40, 90), 20, 20, 12)] = 7
    regions[disc((40, 90), 20, 42, 12) & (regions == 0)] = 3
    assert split_regions(regions).max() == 2
