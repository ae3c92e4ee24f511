import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from scratchnet.arrays import Array
from scratchnet.data import bounding_boxes, connected_components

MASKS = nps.arrays(np.uint8, nps.array_shapes(min_dims=2, max_dims=2, max_side=14), elements=st.integers(0, 3))


def flooded(mask: Array) -> Array:
    """Number the regions pixel by pixel."""
    numbers = np.zeros(mask.shape, int)
    for start in np.ndindex(mask.shape):
        if mask[start] == 0 or numbers[start]:
            continue
        numbers[start] = number = numbers.max() + 1
        waiting = [start]
        while waiting:
            y, x = waiting.pop()
            for place in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                inside = 0 <= place[0] < mask.shape[0] and 0 <= place[1] < mask.shape[1]
                if inside and not numbers[place] and mask[place] == mask[start]:
                    numbers[place] = number
                    waiting.append(place)
    return numbers


@given(MASKS)
def test_regions_are_those_of_a_flood(mask: Array) -> None:
    np.testing.assert_array_equal(connected_components(mask), flooded(mask))


@given(MASKS)
def test_boxes_are_tight(mask: Array) -> None:
    boxes = bounding_boxes(mask)
    assert list(boxes) == np.unique(mask[mask > 0]).tolist()
    for number, box in boxes.items():
        inside = mask == number
        assert inside[box.slices].sum() == inside.sum()
        for edge in (
            inside[box.slices][0],
            inside[box.slices][-1],
            inside[box.slices][:, 0],
            inside[box.slices][:, -1],
        ):
            assert edge.any()


def test_a_snake_is_one_region() -> None:
    """The worst case for joining runs two by two: every row is joined at one end only."""
    mask = np.zeros((101, 60), np.uint8)
    mask[::2] = 1
    mask[1::4, 0] = mask[3::4, -1] = 1
    assert connected_components(mask).max() == 1


def test_corners_do_not_connect() -> None:
    assert connected_components(np.eye(4, dtype=np.uint8)).max() == 4


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (1, 1)])
def test_nothing_to_number(shape: tuple[int, int]) -> None:
    assert connected_components(np.zeros(shape, np.uint8)).shape == shape
    assert bounding_boxes(np.zeros(shape, np.uint8)) == {}


def test_scipy_agrees() -> None:
    ndimage = pytest.importorskip("scipy.ndimage")
    mask = (np.random.default_rng(0).random((80, 120)) < 0.6).astype(np.uint8)
    labels, _ = ndimage.label(mask)
    np.testing.assert_array_equal(connected_components(mask), labels)
    assert [box.slices for box in bounding_boxes(labels).values()] == ndimage.find_objects(labels)
