"""The label and the factor of every pixel in chunks that stay in a core's cache, on all cores."""

from typing import Any

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.cpu.threads import OPERATIONS_PER_ELEMENT, parallel_for
from scratchnet.engine.memory.pool import pooled_empty

CHUNK_PIXELS = 1 << 15
"""Pixels of a chunk: a quarter of a megabyte of labels."""

ACCESSES = 5
"""Number of times that each pixel, its label or its factor is accessed, at least."""


def pixel_factors(
    target: Array,
    like: Array,
    classes: int,
    class_weights: Any = None,
    pixel_weights: Any = None,
    ignore_index: int | None = 255,
    normalization: str = "pixels",
) -> tuple[Array, Array]:
    """Return labels and factors; as :func:`scratchnet.ops.pixel_factors.pixel_factors`, for unweighted pixels alone."""
    unweighted = class_weights is None and pixel_weights is None and normalization in ("pixels", "weights", "sum")
    if not unweighted or target.dtype.kind not in "iu" or not target.size:
        return NotImplemented  # type: ignore[no-any-return]
    labels, factors = (pooled_empty(like, target.shape, dtype) for dtype in (np.int64, like.dtype))
    maps = target.reshape(-1), labels.reshape(-1), factors.reshape(-1)
    chunks = [slice(begin, begin + CHUNK_PIXELS) for begin in range(0, target.size, CHUNK_PIXELS)]
    counted, in_range = np.zeros(len(chunks), np.int64), np.zeros(len(chunks), bool)

    def read(indexed: tuple[int, slice]) -> None:
        index, chunk = indexed
        part, label, factor = (m[chunk] for m in maps)
        counted[index], in_range[index] = _read(part, label, factor, classes, ignore_index)

    operations = OPERATIONS_PER_ELEMENT * ACCESSES * target.size
    parallel_for(read, list(enumerate(chunks)), operations)
    if not in_range.all():  # an error, which the plain form raises
        return NotImplemented  # type: ignore[no-any-return]
    divisor = like.dtype.type(1 if normalization == "sum" else max(1, int(counted.sum())))
    parallel_for(lambda chunk: np.divide(maps[2][chunk], divisor, out=maps[2][chunk]), chunks, operations)
    return labels, factors


def _read(target: Array, label: Array, factor: Array, classes: int, ignore_index: int | None) -> tuple[int, bool]:
    """Write labels, with 0 for ignored pixels, and 1 or 0 as factors; return the number of ones and if all are classes.

    Parameters
    ----------
    target, label, factor : (p,)
    """
    np.copyto(label, target, casting="unsafe")
    number = label.size
    if ignore_index is None:
        factor.fill(1)
    else:
        counts = np.not_equal(label, ignore_index)
        np.copyto(factor, counts)
        number = int(np.count_nonzero(counts))
        if number < label.size:
            np.multiply(label, counts, out=label)
    return number, bool(label.min() >= 0 and label.max() < classes)
