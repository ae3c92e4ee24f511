import builtins

import numpy as np
import pytest

from scratchnet.data import Window
from scratchnet.inference.boxes import (
    grid_boxes,
    proposals_from_grid,
    proposals_from_segments,
    segment_boxes,
    visible_part,
)
from scratchnet.utils.errors import UserError


def inside(box, h, w):
    return box.top >= 0 and box.left >= 0 and box.top + box.height <= h and box.left + box.width <= w


@pytest.mark.parametrize("limit", [1, 2, 10, 50, 200])
@pytest.mark.parametrize("size", [(160, 160), (360, 480), (480, 360), (100, 900), (3, 2), (1, 1)])
def test_a_grid_has_the_image_and_whole_levels(size, limit):
    boxes = grid_boxes(*size, limit)
    assert boxes[0] == Window(0, 0, *size)
    assert len(boxes) <= limit
    assert len(set(boxes)) == len(boxes)
    for side in {box.height for box in boxes[1:]}:
        level = [box for box in boxes if box.height == box.width == side]
        covered = np.zeros(size, bool)
        for box in level:
            assert inside(box, *size)
            covered[box.slices] = True
        assert covered.all()


def test_levels_halve_and_neighbours_overlap_by_half():
    boxes = grid_boxes(200, 300, 60)
    assert list(dict.fromkeys(box.height for box in boxes)) == [200, 141, 100]
    lefts = sorted({box.left for box in boxes if box.height == 100})
    assert lefts == [0, 50, 100, 150, 200]


def test_a_square_image_is_listed_once():
    assert len(grid_boxes(64, 64, 5)) == 5
    assert grid_boxes(64, 64, 5)[1].height == 45
    assert proposals_from_grid(5)("a", np.zeros((64, 64, 3), np.uint8)) == grid_boxes(64, 64, 5)


def scene():
    image = np.full((90, 120, 3), 200, np.uint8)
    image[20:50, 30:60] = (200, 30, 30)
    image[60:80, 80:110] = (20, 40, 220)
    return image


def test_segments_find_coloured_things():
    pytest.importorskip("skimage")
    boxes = segment_boxes(scene(), 50)
    assert boxes[0] == Window(0, 0, 90, 120)
    assert all(inside(box, 90, 120) for box in boxes)
    for top, left, tall, wide in ((20, 30, 30, 30), (60, 80, 20, 30)):  # enlarged by a fifth
        assert any(
            abs(box.top + box.height / 2 - top - tall / 2) < 4
            and abs(box.left + box.width / 2 - left - wide / 2) < 4
            and 1 <= box.height / tall < 1.5
            and 1 <= box.width / wide < 1.5
            for box in boxes
        )


def test_too_many_segments_keep_every_size():
    pytest.importorskip("skimage")
    rng = np.random.default_rng(0)
    image = np.kron(rng.integers(0, 256, (9, 12, 3)), np.ones((12, 12, 1))).astype(np.uint8)
    many, few = segment_boxes(image, 500), segment_boxes(image, 12)
    assert len(many) > 30
    assert len(few) == 12
    assert few == [box for box in many if box in few]
    areas = [box.height * box.width for box in many[1:]]
    assert areas == sorted(areas, reverse=True)
    assert few[-1] == many[-1]


def test_large_images_are_looked_at_small(monkeypatch):
    skimage = pytest.importorskip("skimage.segmentation")
    seen = []
    felzenszwalb = skimage.felzenszwalb
    monkeypatch.setattr(
        skimage, "felzenszwalb", lambda image, **rest: seen.append(image.shape) or felzenszwalb(image, **rest)
    )
    image = np.kron(scene(), np.ones((10, 10, 1))).astype(np.uint8)
    boxes = segment_boxes(image, 50)
    assert set(seen) == {(300, 400, 3)}
    assert all(inside(box, 900, 1200) for box in boxes)
    assert any(abs(box.top - 170) < 15 and abs(box.left - 270) < 15 for box in boxes)


def test_without_the_library(monkeypatch):
    importing = builtins.__import__

    def refuse(name, *rest):
        if name.startswith("skimage"):
            raise ImportError(name)
        return importing(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(UserError, match=r"needs scikit-image.*pip install scikit-image"):
        proposals_from_segments(50)


def test_the_visible_part():
    assert visible_part(Window(-1, 3, 3, 4), 4, 5) == (slice(0, 2), slice(3, 5))
    assert visible_part(Window(1, 0, 2, 2), 4, 5) == (slice(1, 3), slice(0, 2))
