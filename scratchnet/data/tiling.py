"""Tiles of large images, and merging the results on overlapping tiles."""

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
        """Rows and columns, as an index into an image."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


def tile_grid(height: int, width: int, tile: int, overlap: int = 0) -> list[Window]:
    """Return windows that cover an image.

    Parameters
    ----------
    height, width : int
        Size of the image.
    tile : int
        Side of the square windows, limited by the sides of the image.
    overlap : int
        Minimum overlap of neighbouring windows. The last window of a row or column is moved inwards, so it overlaps
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
    """Merge tiles into one array; overlapping tiles are averaged with weights, see `stitched_rows`.

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
    """Merge tiles and yield the result from top to bottom, rows as soon as they are complete.

    The weight of a pixel decreases linearly towards the border of its tile (a pyramid), where a network sees the least
    context, so that tiles blend without seams. Equal tiles are reproduced exactly in float32, because the sums are
    integer multiples of the value in float64. The memory is that of one row of tiles.

    Parameters
    ----------
    tiles : iterable of (h, w) or (h, w, c) float arrays
        One for each window, consumed one at a time.
    windows : sequence of Window
        From `tile_grid`.
    height, width : int
        Size of the image.

    Yields
    ------
    (rows, width) or (rows, width, c) array of the tiles' dtype
    """
    merger: _TileMerger | None = None
    for tile, window in zip(tiles, windows, strict=True):
        if merger is None:
            merger = _TileMerger(tile, window, windows, height, width)
        yield from merger.finished_rows(window.top)
        merger.add(tile, window)
    if merger is not None:
        yield from merger.finished_rows(height)


_CHUNK_ROWS = 64
"""Number of rows that are yielded at a time."""


class _TileMerger:
    """Weighted sums of the unfinished rows, in the memory of one row of tiles."""

    def __init__(self, tile: Array, window: Window, windows: Sequence[Window], height: int, width: int) -> None:
        self._row_weights = _weight_sums({w.top: w.height for w in windows}, height)
        self._column_weights = _weight_sums({w.left: w.width for w in windows}, width)
        self._total: Array = np.zeros((window.height, width, *tile.shape[2:]))
        self._dtype = tile.dtype
        self._top = 0  # first unfinished row

    def add(self, tile: Array, window: Window) -> None:
        """Add a tile that begins at the first unfinished row."""
        weight = np.outer(_ramp(window.height), _ramp(window.width))
        self._total[:, window.left : window.left + window.width] += tile * _append_axes(weight, tile.ndim)

    def finished_rows(self, bottom: int) -> Iterator[Array]:
        """Yield the means of the unfinished rows above ``bottom``, and keep the sums of the rows below."""
        count = bottom - self._top
        if count <= 0:
            return
        total = self._total
        for start in range(0, count, _CHUNK_ROWS):
            end = min(start + _CHUNK_ROWS, count)
            weights = np.outer(self._row_weights[self._top + start : self._top + end], self._column_weights)
            yield (total[start:end] / _append_axes(weights, total.ndim)).astype(self._dtype)
        total[: len(total) - count] = total[count:]
        total[len(total) - count :] = 0
        self._top = bottom


def _append_axes(weights: Array, ndim: int) -> Array:
    """Return weights (h, w) with axes of length 1 appended, up to ``ndim`` axes."""
    return weights.reshape(*weights.shape, *[1] * (ndim - 2))


def _weight_sums(lengths: dict[int, int], whole: int) -> Array:
    """Return the sums of the weights of windows along one side of an image, given their lengths by start."""
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
    """A data set of tiles of another data set's images."""

    def __init__(self, source: SampleSource, tile: int, overlap: int = 0) -> None:
        super().__init__(source)
        self._tiles = [
            (index, window) for index in range(len(source)) for window in tile_grid(*source.size(index), tile, overlap)
        ]
        # Tiles of one image are often loaded one after another, and decoding costs far more than cropping.
        self._load_whole = lru_cache(maxsize=8)(source.load)

    @property
    def names(self) -> tuple[str, ...]:
        """The name of the image with the first row and column of the tile: ``smear-7@128,0``."""
        whole = self.source.names
        return tuple(f"{whole[index]}@{window.top},{window.left}" for index, window in self._tiles)

    def __len__(self) -> int:
        return len(self._tiles)

    def size(self, index: int) -> tuple[int, int]:
        """Return (height, width) of a tile."""
        _, window = self._tiles[index]
        return window.height, window.width

    def load(self, index: int) -> tuple[Array, Array]:
        """Return image (h, w, 3) and mask (h, w) of a tile."""
        source_index, window = self._tiles[index]
        image, mask = self._load_whole(source_index)
        return image[window.slices].copy(), mask[window.slices].copy()


def tiled(dataset: SampleSource, tile: int, overlap: int = 0) -> TiledDataset:
    """Return a data set of square tiles of the images of ``dataset``; parameters as in `tile_grid`."""
    return TiledDataset(dataset, tile, overlap)
