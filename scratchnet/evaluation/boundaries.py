"""Boundary metrics: the boundary F1 score, and the pixels in a band around the boundaries.

A lost thin object or blurred outlines hardly change the pixel accuracy, since most pixels are far from any boundary.
These metrics consider only the boundaries.

For class c, with the boundary pixels T of the true and S of the predicted region of c and the tolerance
θ = ``tolerance`` · √(h² + w²):

    precision = fraction of S with a pixel of T at most θ away
    recall    = fraction of T with a pixel of S at most θ away
    F1        = 2 · precision · recall / (precision + recall)

A pixel is on the boundary of a region if one of its four neighbours is outside the region; the image border is not a
boundary. Ignored neighbours are outside, so that objects surrounded by an ignored line, as in Pascal VOC, have
boundaries too. Predicted boundary pixels in ignored areas count as hits if they are near a true boundary and are
excluded otherwise, because the truth is unknown there. If neither region has a boundary (one class fills the image in
both), F1 is 1; if only one has, it is 0. For an image diagonal under 134 pixels θ is less than one pixel, so only
coinciding pixels count.

References
----------
Csurka, Larlus, Perronnin, "What is a good evaluation measure for semantic segmentation?" (BMVC 2013).
Which classes count, and the tolerance: Badrinarayanan, Kendall, Cipolla, "SegNet" (2017), section 3.3.
"""

import math
from collections.abc import Sequence

import numpy as np

from scratchnet.arrays import Array
from scratchnet.utils.shape_checks import check_mask, check_masks

TOLERANCE = 0.0075
"""Maximum distance of a hit, as a fraction of the image's diagonal (the SegNet paper's 0.75 %)."""


def boundary(labels: Array) -> Array:
    """Return the pixels (h, w) bool with a 4-neighbour of another value.

    Boundaries are two pixels wide, one on either side. The image border is not a boundary.
    """
    edge = np.zeros(labels.shape, bool)
    below, beside = labels[1:] != labels[:-1], labels[:, 1:] != labels[:, :-1]
    edge[1:] |= below
    edge[:-1] |= below
    edge[:, 1:] |= beside
    edge[:, :-1] |= beside
    return edge


def within(mask: Array, distance: float) -> Array:
    """Return the pixels (h, w) bool at most ``distance`` pixels (Euclidean) from a True of ``mask``.

    The disc is a stack of horizontal bars: for each row of it, cumulative counts show where the bar covers a True, and
    the result is shifted up and down by that row's offset.

    >>> import numpy as np
    >>> within(np.eye(1, 7, 3) > 0, 2).astype(int)
    array([[0, 1, 1, 1, 1, 1, 0]])
    """
    check_mask("within", mask)
    if distance < 1:
        return mask.copy()
    h, w = mask.shape
    counts = np.zeros((h, w + 1), np.int32)
    np.cumsum(mask, axis=1, out=counts[:, 1:])
    near = np.zeros(mask.shape, bool)
    columns = np.arange(w)
    for dy in range(min(int(distance), h - 1) + 1):
        half = int(math.sqrt(distance * distance - dy * dy))
        bar = counts[:, np.minimum(columns + half + 1, w)] > counts[:, np.maximum(columns - half, 0)]
        near[dy:] |= bar[: h - dy]
        near[: h - dy] |= bar[dy:]
    return near


def boundary_f1(
    truth: Array,
    prediction: Array,
    classes: int,
    ignore_index: int | None = 255,
    tolerance: float = TOLERANCE,
) -> Array:
    """Return the boundary F1 score of every class in one image; see the module's description.

    Parameters
    ----------
    truth, prediction : (h, w) integers
    classes : int
    ignore_index : int or None
        Value in ``truth`` of ignored pixels.
    tolerance : float
        Fraction of the diagonal.

    Returns
    -------
    (classes,) float64
        nan for classes that do not occur in ``truth``.
    """
    check_masks("boundary_f1", truth, prediction)
    distance = tolerance * math.hypot(*truth.shape)
    ignored = np.zeros(truth.shape, bool) if ignore_index is None else truth == ignore_index
    true_edges, found_edges = boundary(truth), boundary(prediction)
    scores = np.full(classes, np.nan)
    for c in range(classes):
        region = truth == c
        if c == ignore_index or not region.any():
            continue
        scores[c] = _f1(region & true_edges, (prediction == c) & found_edges, ignored, distance)
    return scores


def mean_boundary_f1(scores: Sequence[Array]) -> tuple[float, Array]:
    """Average `boundary_f1` over a data set.

    Parameters
    ----------
    scores : sequence of (classes,)
        One per image.

    Returns
    -------
    bf : float
        Mean over the images of the mean over the classes that occur in the image, as in SegNet's tables; nan without
        any class.
    per_class : (classes,)
        Mean over the images in which the class occurs; nan if it occurs in none.
    """
    table = np.stack(list(scores))  # (images, classes)
    images = [row[np.isfinite(row)].mean() for row in table if np.isfinite(row).any()]
    per_class = [column[np.isfinite(column)].mean() if np.isfinite(column).any() else np.nan for column in table.T]
    return float(np.mean(images)) if images else float("nan"), np.array(per_class)


def boundary_band(truth: Array, width: float, ignore_index: int | None = 255) -> Array:
    """Return the pixels (h, w) bool at most ``width`` away from a boundary in ``truth``, without ignored pixels.

    Metrics on this band alone (the unknown part of a trimap) show how well a segmentation follows the outlines.

    References
    ----------
    Kohli, Ladický, Torr, "Robust higher order potentials for enforcing label consistency" (2009);
    Krähenbühl and Koltun, "Efficient inference in fully connected CRFs" (2011), section 6.
    """
    check_mask("boundary_band", truth)
    band = within(boundary(truth), width)
    return band if ignore_index is None else band & (truth != ignore_index)


def _f1(true: Array, found: Array, ignored: Array, distance: float) -> float:
    """Return F1 of two sets of boundary pixels, computed in the smallest rectangle around both."""
    if not true.any() or not found.any():
        return float(true.any() == (found & ~ignored).any())
    window = _around(true | found)
    true, found, ignored = true[window], found[window], ignored[window]
    recalled, hits = true & within(found, distance), found & within(true, distance)
    counted = int((hits | (found & ~ignored)).sum())
    precision = int(hits.sum()) / counted if counted else 0.0
    recall = int(recalled.sum()) / int(true.sum())
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _around(mask: Array) -> tuple[slice, slice]:
    """Return the rows and columns of the bounding box of all True values."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
