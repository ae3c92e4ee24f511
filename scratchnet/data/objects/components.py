"""Connected regions of a mask, and bounding boxes of numbered regions."""

import numpy as np

from scratchnet.arrays import Array
from scratchnet.data.tiling import Window
from scratchnet.utils.shape_checks import check_mask


def connected_components(mask: Array) -> Array:
    """Number the connected regions of equal class; pixels that share an edge are connected.

    Parameters
    ----------
    mask : (h, w) integers
        0 is the background between the regions.

    Returns
    -------
    (h, w) int32
        1, 2, … in reading order of the regions' first pixels; 0 on the background.

    Examples
    --------
    >>> import numpy as np
    >>> connected_components(np.array([[1, 1, 0, 2], [0, 1, 2, 2], [1, 0, 0, 2]]))
    array([[1, 1, 0, 2],
           [0, 1, 2, 2],
           [3, 0, 0, 2]], dtype=int32)
    """
    check_mask("connected_components", mask)
    begins = np.ones(mask.shape, bool)  # the first pixels of the runs of one class along the rows
    begins[:, 1:] = mask[:, 1:] != mask[:, :-1]
    runs = np.cumsum(begins.ravel()).reshape(mask.shape) - 1
    touching = (mask[1:] == mask[:-1]) & (mask[1:] != 0)
    pairs = np.stack([runs[:-1][touching], runs[1:][touching]])
    pairs = pairs[:, np.r_[True, (pairs[:, 1:] != pairs[:, :-1]).any(axis=0)][: pairs.shape[1]]]  # each pair once
    root = _roots(pairs, int(runs[-1, -1]) + 1 if mask.size else 0)
    foreground = mask.ravel()[np.flatnonzero(begins)] != 0
    _, numbers = np.unique(root[foreground], return_inverse=True)
    number_of_run: Array = np.zeros(len(root), np.int32)
    number_of_run[foreground] = numbers + 1
    result: Array = number_of_run[runs]
    return result


def _roots(pairs: Array, count: int) -> Array:
    """Return, for each of ``count`` runs, the first run of its region, given the (2, n) pairs of touching runs.

    Every run points to the first run to which it is known to be connected, and all pairs are merged at once until
    nothing changes (Shiloach and Vishkin 1982, "An O(log n) parallel connectivity algorithm").
    """
    root = np.arange(count)
    while True:
        above, below = root[pairs[0]], root[pairs[1]]
        apart = above != below
        if not apart.any():
            return root
        root[np.maximum(above, below)[apart]] = np.minimum(above, below)[apart]
        while (further := root[root]).tobytes() != root.tobytes():
            root = further


def bounding_boxes(numbers: Array) -> dict[int, Window]:
    """Return the bounding box of every numbered region.

    Parameters
    ----------
    numbers : (h, w) integers
        0 is no region.

    Returns
    -------
    dict of int to Window
        Boxes by number, ascending; numbers that do not occur are omitted.
    """
    check_mask("bounding_boxes", numbers, "numbers")
    rows, columns = np.nonzero(numbers)
    if not rows.size:
        return {}
    found = numbers[rows, columns]
    order = np.argsort(found, kind="stable")  # reading order stays within a region: its rows ascend
    found, rows, columns = found[order], rows[order], columns[order]
    first = np.flatnonzero(np.r_[True, found[1:] != found[:-1]])
    top, bottom = rows[first], np.maximum.reduceat(rows, first) + 1
    left, right = np.minimum.reduceat(columns, first), np.maximum.reduceat(columns, first) + 1
    boxes = np.stack([top, left, bottom - top, right - left], axis=1).tolist()
    return {number: Window(*box) for number, box in zip(found[first].tolist(), boxes, strict=True)}
