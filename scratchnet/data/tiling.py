"""Large images in pieces: where the tiles lie, and how results on them become one again."""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from scratchnet.arrays import Array
from scratchnet.data.sample_source import SampleSource, SourceWrapper
from scratchnet.utils.errors import UserError


class Window(NamedTuple):
    """A rectangle of an image, in pixels."""

    top: int
    left: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, to index an image with."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


def tile_grid(height: int, width: int, tile: int, overlap: int = 0) -> list[Window]:
    """Return windows that cover an image.

    Parameters
    ----------
    height, width : int
        Size of the image.
    tile : int
        Side of the square windows; along a side of the image that is shorter, the windows are as long as that side.
    overlap : int
        By how much neighbours overlap at least. The last window of a row or column is moved inwards, so it overlaps
        more.

    Returns
    -------
    list of Window
        Row by row.
    """
    if tile < 1 or not 0 <= overlap < tile:
        raise UserError(f"tile size {tile} with overlap {overlap}: the overlap must be at least 0 and under the size")
    return [
        Window(top, left, min(tile, height), min(tile, width))
        for top in _starts(height, tile, overlap)
        for left in _starts(width, tile, overlap)
    ]


def _starts(length: int, tile: int, overlap: int) -> list[int]:
    last = max(length - tile, 0)
    return [*range(0, last, tile - overlap), last]


def stitch(tiles: Iterable[Array], windows: Sequence[Window], height: int, width: int) -> Array:
    """Put tiles together; where they overlap the result is a weighted mean, see `stitched_rows`.

    Returns
    -------
    (height, width) or (height, width, c) array of the tiles' dtype
    """
    whole: Array | None = None
    top = 0
    for rows in stitched_rows(tiles, windows, height, width):
        if whole is None:
            whole = np.empty((height, *rows.shape[1:]), rows.dtype)
        whole[top : top + len(rows)] = rows
        top += len(rows)
    if whole is None:
        raise ValueError("stitch: no tiles")
    return whole


def stitched_rows(tiles: Iterable[Array], windows: Sequence[Window], height: int, width: int) -> Iterator[Array]:
    """Put tiles together and yield the result from top to bottom, rows as soon as they are complete.

    A pixel's weight falls off linearly towards its tile's border (a pyramid), where a network sees least of the
    surroundings: one tile fades into the next and no seams show. Tiles that agree are given back exactly in float32,
    because the sums are whole multiples of the value in float64. The memory is that of one row of tiles.

    Parameters
    ----------
    tiles : iterable of (h, w) or (h, w, c) float arrays
        One a window; they are used up one at a time, so a generator keeps the memory small.
    windows : sequence of Window
        As `tile_grid` gave them.
    height, width : int
        Size of the whole.

    Yields
    ------
    (rows, width) or (rows, width, c) array of the tiles' dtype
    """
    down, across = _sums({w.top: w.height for w in windows}, height), _sums({w.left: w.width for w in windows}, width)
    total: Array | None = None
    top = 0  # of what has not been given back yet

    def finished(bottom: int) -> Iterator[Array]:
        """Yield the mean of rows up to ``bottom``, and keep the sums of those below."""
        nonlocal top
        assert total is not None
        count, first = bottom - top, top
        for start in range(0, count, _ROWS):
            end = min(start + _ROWS, count)
            weights = np.outer(down[first + start : first + end], across)
            yield (total[start:end] / weights.reshape(*weights.shape, *[1] * (total.ndim - 2))).astype(dtype)
        total[: len(total) - count] = total[count:]
        total[len(total) - count :] = 0
        top = bottom

    for tile, window in zip(tiles, windows, strict=True):
        if total is None:
            total, dtype = np.zeros((window.height, width, *tile.shape[2:])), tile.dtype
        if window.top > top:
            yield from finished(window.top)
        weight = np.outer(_ramp(window.height), _ramp(window.width))
        total[:, window.left : window.left + window.width] += tile * weight.reshape(
            *weight.shape, *[1] * (tile.ndim - 2)
        )
    if total is not None:
        yield from finished(height)


_ROWS = 64
"""Rows that are given back at a time."""


def _sums(lengths: dict[int, int], whole: int) -> Array:
    """Return the sum of the ramps of windows, by their start, along one side of an image."""
    total = np.zeros(whole)
    for start, length in lengths.items():
        total[start : start + length] += _ramp(length)
    return total


def _ramp(length: int) -> Array:
    """Return 1, 2, 3, …, 3, 2, 1."""
    position = np.arange(1.0, length + 1)
    ramp: Array = np.minimum(position, position[::-1])
    return ramp


class TiledDataset(SourceWrapper):
    """A set whose samples are tiles of another set's images."""

    def __init__(self, source: SampleSource, tile: int, overlap: int = 0) -> None:
        super().__init__(source)
        self._tiles = [
            (index, window) for index in range(len(source)) for window in tile_grid(*source.size(index), tile, overlap)
        ]
        # Tiles of one image are often asked for one after the other, and decoding it costs far more than cutting.
        self._load_whole = lru_cache(maxsize=8)(source.load)

    @property
    def names(self) -> tuple[str, ...]:
        """The image's name with the tile's top and left pixel: ``smear-7@128,0``."""
        whole = self.source.names
        return tuple(f"{whole[index]}@{window.top},{window.left}" for index, window in self._tiles)

    def __len__(self) -> int:
        return len(self._tiles)

    def size(self, index: int) -> tuple[int, int]:
        """Return (height, width) of a tile."""
        _, window = self._tiles[index]
        return window.height, window.width

    def load(self, index: int) -> tuple[Array, Array]:
        """Return one tile's image (h, w, 3) and mask (h, w)."""
        source_index, window = self._tiles[index]
        image, mask = self._load_whole(source_index)
        return image[window.slices].copy(), mask[window.slices].copy()


def tiled(dataset: SampleSource, tile: int, overlap: int = 0) -> TiledDataset:
    """Return a set of square tiles of the images of ``dataset``; parameters as in `tile_grid`."""
    return TiledDataset(dataset, tile, overlap)
