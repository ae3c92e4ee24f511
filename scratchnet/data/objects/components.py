"""Connected regions of a mask, and the boxes round numbered regions."""

import numpy as np

from scratchnet.arrays import Array
from scratchnet.data.tiling import Window
from scratchnet.utils.shape_checks import check_mask


def connected_components(mask: Array) -> Array:
    """Number the connected regions of equal class; pixels that share an edge are connected.

    Rows are cut into runs of one class first, and the runs that touch are joined, all at once and again until nothing
    changes: every run points to the lowest-numbered one that it is known to be connected with (Shiloach and Vishkin
    1982, "An O(log n) parallel connectivity algorithm").

    Parameters
    ----------
    mask : (h, w) integers
        0 is the ground between the regions.

    Returns
    -------
    (h, w) int32
        1, 2, … in reading order of the regions' first pixels; 0 on the ground.

    Examples
    --------
    >>> import numpy as np
    >>> connected_components(np.array([[1, 1, 0, 2], [0, 1, 2, 2], [1, 0, 0, 2]]))
    array([[1, 1, 0, 2],
           [0, 1, 2, 2],
           [3, 0, 0, 2]], dtype=int32)
    """
    check_mask("connected_components", mask)
    begins = np.ones(mask.shape, bool)
    begins[:, 1:] = mask[:, 1:] != mask[:, :-1]
    runs = np.cumsum(begins.ravel()).reshape(mask.shape) - 1
    touching = (mask[1:] == mask[:-1]) & (mask[1:] != 0)
    pairs = np.stack([runs[:-1][touching], runs[1:][touching]])
    pairs = pairs[:, np.r_[True, (pairs[:, 1:] != pairs[:, :-1]).any(axis=0)][: pairs.shape[1]]]  # once a pair of runs
    root = np.arange(int(runs[-1, -1]) + 1 if mask.size else 0)
    while True:
        above, below = root[pairs[0]], root[pairs[1]]
        apart = above != below
        if not apart.any():
            break
        root[np.maximum(above, below)[apart]] = np.minimum(above, below)[apart]
        while (further := root[root]).tobytes() != root.tobytes():
            root = further
    filled = mask.ravel()[np.flatnonzero(begins)] != 0
    _, numbers = np.unique(root[filled], return_inverse=True)
    number_of_run: Array = np.zeros(len(root), np.int32)
    number_of_run[filled] = numbers + 1
    result: Array = number_of_run[runs]
    return result


def bounding_boxes(numbers: Array) -> dict[int, Window]:
    """Return the smallest box round every numbered region.

    Parameters
    ----------
    numbers : (h, w) integers
        0 belongs to no region.

    Returns
    -------
    dict of int to Window
        By number, ascending; numbers that do not occur are left out.
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
