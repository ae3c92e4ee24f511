from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratchnet.data import Window, open_dataset, stitch, tile_grid, tiled
from scratchnet.utils.errors import UserError

sides = st.integers(1, 60)


@st.composite
def grids(draw: st.DrawFn) -> tuple[int, int, int, int]:
    """Draw height, width, tile, overlap."""
    tile = draw(sides)
    return draw(sides), draw(sides), tile, draw(st.integers(0, tile - 1))


@given(grids())
def test_tiles_cover_everything_and_stay_inside(grid: tuple[int, int, int, int]) -> None:
    height, width, tile, overlap = grid
    windows = tile_grid(height, width, tile, overlap)
    covered = np.zeros((height, width), int)
    for window in windows:
        assert (window.height, window.width) == (min(tile, height), min(tile, width))
        assert 0 <= window.top <= height - window.height
        assert 0 <= window.left <= width - window.width
        covered[window.slices] += 1
    assert covered.min() >= 1
    assert len(set(windows)) == len(windows)


@given(grids())
def test_neighbours_overlap_enough(grid: tuple[int, int, int, int]) -> None:
    height, width, tile, overlap = grid
    tops = sorted({window.top for window in tile_grid(height, width, tile, overlap)})
    assert all(0 < second - first <= tile - overlap for first, second in pairwise(tops))


@given(grids(), st.sampled_from([(), (3,)]))
def test_stitching_what_was_cut_gives_it_back_exactly(
    grid: tuple[int, int, int, int], channels: tuple[int, ...]
) -> None:
    height, width, tile, overlap = grid
    whole = np.random.default_rng(0).standard_normal((height, width, *channels)).astype(np.float32)
    windows = tile_grid(height, width, tile, overlap)
    result = stitch((whole[window.slices] for window in windows), windows, height, width)
    assert result.dtype == np.float32
    assert np.array_equal(result, whole)


def test_worked_examples() -> None:
    assert tile_grid(4, 10, 4, 1) == [Window(0, 0, 4, 4), Window(0, 3, 4, 4), Window(0, 6, 4, 4)]
    assert tile_grid(3, 5, 8) == [Window(0, 0, 3, 5)]
    assert [window.left for window in tile_grid(4, 11, 4)] == [0, 4, 7]


def test_no_seams() -> None:
    windows = tile_grid(16, 40, 16, 8)
    tiles = [np.full((16, 16), float(number)) for number in range(len(windows))]
    row = stitch(tiles, windows, 16, 40)[8]
    steps = np.diff(row)
    assert steps.min() >= 0
    assert steps.max() < 0.25  # a plain mean would step by a half, cutting by one


def test_wrong_settings() -> None:
    for tile, overlap in ((0, 0), (8, 8), (8, -1)):
        with pytest.raises(UserError, match=f"tile size {tile} with overlap {overlap}"):
            tile_grid(20, 20, tile, overlap)
    with pytest.raises(ValueError, match="no tiles"):
        stitch([], [], 4, 4)


def test_tiled_dataset(make_folder: Callable[..., Path]) -> None:
    source = open_dataset(make_folder("ab", size=(6, 8)))
    tiles = tiled(source, 4, 1)
    assert len(tiles) == 2 * 6
    assert tiles.names[4] == "a@2,3"
    assert (tiles.classes, tiles.ignore_index) == (source.classes, source.ignore_index)
    image, mask = tiles.load(10)
    assert mask.shape == tiles.size(10) == (4, 4)
    whole_image, whole_mask = source.load(1)
    assert np.array_equal(image, whole_image[2:6, 3:7])
    assert np.array_equal(mask, whole_mask[2:6, 3:7])
    image[:] = 0
    assert tiles.load(10)[0].any()
