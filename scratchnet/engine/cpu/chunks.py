"""Element-wise passes over feature maps, in chunks of rows that fit into a core's cache."""

from collections.abc import Callable
from typing import Any

from scratchnet.engine.cpu.threads import OPERATIONS_PER_ELEMENT, parallel_for

CHUNK_BYTES = 1 << 19
"""Approximate size of a chunk: small enough to stay in a core's cache between two passes."""


MIN_CHUNKS, MIN_CHUNK_BYTES = 4, 1 << 17
"""Smaller maps are cut into this many chunks, which the cores share, but not into chunks of fewer bytes."""


def row_chunks(x: Any) -> list[slice]:
    """Split the ``n·h`` rows of a map (n, h, w, c) into chunks of at most :data:`CHUNK_BYTES`.

    The chunks do not depend on the number of threads.
    """
    n, h, w, c = x.shape
    row = max(1, w * c * x.dtype.itemsize)
    step = max(1, min(CHUNK_BYTES, max(MIN_CHUNK_BYTES, n * h * row // MIN_CHUNKS)) // row)
    return [slice(begin, min(begin + step, n * h)) for begin in range(0, n * h, step)]


def parallel_rows(function: Callable[..., Any], *maps: Any) -> None:
    """Call ``function`` on matching chunks of maps, on all cores.

    Parameters
    ----------
    function : ``(*chunks)``
        Each chunk is a matrix (rows, w·c): some rows of pixels.
    maps : arrays (n, h, w, c) of one shape
        Those that are written to must be contiguous.
    """
    parallel_indexed_rows(lambda _, *chunks: function(*chunks), *maps)


def parallel_indexed_rows(function: Callable[..., None], *maps: Any) -> None:
    """Like :func:`parallel_rows`, but pass the index of the chunk in :func:`row_chunks` as the first argument."""
    n, h, w, c = maps[0].shape
    views = [m.reshape(n * h, w * c) for m in maps]

    def run(indexed: tuple[int, slice]) -> None:
        index, rows = indexed
        function(index, *(view[rows] for view in views))

    parallel_for(run, list(enumerate(row_chunks(maps[0]))), OPERATIONS_PER_ELEMENT * n * h * w * c)
