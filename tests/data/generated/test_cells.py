from functools import cache

import numpy as np
import pytest

from scratchnet.arrays import Array, generator
from scratchnet.data import CellTask, make_cells
from scratchnet.data.generated.cells import _numbers, make_cell_objects


def threshold_scores(pairs: list[tuple[Array, Array]]) -> Array:
    """Foreground IoU of every threshold, (channel R G B grey, below or above, threshold)."""
    counts = np.zeros((4, 2, 256))
    for image, mask in pairs:
        grey = image.mean(axis=2, keepdims=True).astype(np.uint8)
        channels = np.concatenate([image, grey], axis=2)
        for channel in range(4):
            for value in (0, 1):
                counts[channel, value] += np.bincount(channels[mask == value, channel], minlength=256)
    below = counts.cumsum(axis=2)
    total = below[:, :, -1:]
    directions = [chosen[:, 1] / np.maximum(total[:, 1] + chosen[:, 0], 1) for chosen in (below, total - below)]
    return np.stack(directions, axis=1)


@cache
def stained(index: int) -> tuple[Array, Array]:
    """One of a row of pictures."""
    return make_cells(generator(1, index))


@pytest.mark.parametrize("task", ["stained", "red"])
def test_no_threshold_solves_it(task: CellTask) -> None:
    pictures = [
        stained(index) if task == "stained" else make_cells(generator(1, index), 128, task) for index in range(120)
    ]
    seen, unseen = threshold_scores(pictures[:80]), threshold_scores(pictures[80:])
    best = np.unravel_index(seen.argmax(), seen.shape)
    assert unseen[best] < 0.7
    assert unseen.max() < 0.7


@pytest.mark.parametrize("size", [32, 64, 128, 200])
def test_shapes_and_values(size: int) -> None:
    image, mask = make_cells(generator(0), size)
    assert image.shape == (size, size, 3)
    assert mask.shape == (size, size)
    assert image.dtype == mask.dtype == np.uint8
    assert mask.max() <= 1


def test_both_tasks_are_the_same_picture() -> None:
    for index in range(5):
        image, stained = make_cells(generator(index), task="stained")
        again, red = make_cells(generator(index), task="red")
        assert np.array_equal(image, again)
        assert not (stained & red).any()


def test_nuclei_are_dark_and_only_part_of_the_stained_cells() -> None:
    pictures = [stained(index) for index in range(50)]
    green = np.concatenate([image[mask == 1, 1] for image, mask in pictures])
    ground = np.concatenate([image[mask == 0, 1] for image, mask in pictures])
    assert 0.25 < (green < 80).mean() < 0.75
    assert (ground < 80).mean() < 0.1


def test_some_pictures_hold_no_stained_cell() -> None:
    masks = [stained(index)[1] for index in range(120)]
    assert 0.03 < np.mean([not mask.any() for mask in masks]) < 0.2
    assert 0.08 < np.mean([mask.mean() for mask in masks]) < 0.3


def test_large_fields_hold_more_cells() -> None:
    scipy_ndimage = pytest.importorskip("scipy.ndimage")
    small = np.mean([scipy_ndimage.label(make_cells(generator(index), 128, "red")[1])[1] for index in range(4)])
    large = np.mean([scipy_ndimage.label(make_cells(generator(index), 384, "red")[1])[1] for index in range(4)])
    assert large > 2 * small


def test_magnification_makes_cells_larger_and_the_field_smaller() -> None:
    scipy_ndimage = pytest.importorskip("scipy.ndimage")

    def seen(magnification: float) -> tuple[float, float]:
        masks = [make_cells(generator(4, index), 64, "red", magnification)[1] for index in range(8)]
        labels = [scipy_ndimage.label(mask)[1] for mask in masks]
        stained = [make_cells(generator(4, index), 64, "stained", magnification)[1].mean() for index in range(40)]
        return float(np.mean(labels)), float(np.mean(stained))

    (many, small), (few, large) = seen(1.0), seen(2.0)
    assert many > 1.5 * few
    assert large > 1.8 * small


def test_every_cell_has_a_number():
    scipy_ndimage = pytest.importorskip("scipy.ndimage")
    for task in ("stained", "red"):
        for index in range(4):
            image, mask, numbers = make_cell_objects(generator(1, index), 128, task)
            plain = make_cells(generator(1, index), 128, task)
            np.testing.assert_array_equal(image, plain[0])
            np.testing.assert_array_equal(mask, plain[1])
            np.testing.assert_array_equal(numbers > 0, mask > 0)
    cells = [number for number in np.unique(numbers) if number]
    areas = [scipy_ndimage.label(numbers == number)[1] for number in cells]
    assert len(cells) > scipy_ndimage.label(mask)[1]  # some overlap
    assert np.mean(areas) < 1.5  # a cell is one piece, except where another one crosses it


def test_no_cell_has_the_number_of_ignored_pixels():
    numbers = make_cell_objects(generator(0), 96, "red", 0.25)[2]
    assert 255 not in numbers
    assert [number for number, _ in zip(_numbers(), range(300), strict=False)][253:256] == [254, 256, 257]
