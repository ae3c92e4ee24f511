"""How well do the outlines fit? The boundary F1 score, and pixels in a band around the boundaries.

A thin object can be lost, or every outline can be soft, and the pixel accuracy hardly notices: most pixels lie far from
any boundary. The measures here look at nothing else.
"""

import math
from collections.abc import Sequence

import numpy as np

from scratchnet.arrays import Array
from scratchnet.shape_checks import check_mask, check_masks

TOLERANCE = 0.0075
"""Distance that still counts as a hit, as a share of the image's diagonal (the SegNet paper's 0.75 %)."""


def boundary(labels: Array) -> Array:
    """Return where (h, w) bool a pixel has another value above, below, to its left or to its right.

    Boundaries are two pixels wide, one on either side. The border of the image is none.
    """
    edge = np.zeros(labels.shape, bool)
    below, beside = labels[1:] != labels[:-1], labels[:, 1:] != labels[:, :-1]
    edge[1:] |= below
    edge[:-1] |= below
    edge[:, 1:] |= beside
    edge[:, :-1] |= beside
    return edge


def within(mask: Array, distance: float) -> Array:
    """Return where (h, w) bool the nearest True of ``mask`` is at most ``distance`` pixels away (Euclidean).

    The disc is a stack of horizontal bars: for every row of it, a running count tells where the bar meets a True, and
    the result is laid that many rows above and below.

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
    """Return the boundary F1 score of every class in one image.

    For class c, with the boundary pixels T of the true and S of the predicted region of c and the tolerance
    θ = ``tolerance`` · √(h² + w²):

        precision = share of S with a pixel of T at most θ away
        recall    = share of T with a pixel of S at most θ away
        F1        = 2 · precision · recall / (precision + recall)

    A pixel of the region is on its boundary when one of its four neighbours in the image is not of the region; the
    border of the image is no boundary. A neighbour that is ignored is not of the region, so that objects which touch
    nothing but an ignored line round them, as in Pascal VOC, have boundaries too. Predicted boundary pixels in an
    ignored place count where they hit, and are left out where they do not: nobody knows what is right there. Where
    neither region has a boundary (one class fills the image in both), F1 is 1; where only one has, it is 0.

    In an image with a diagonal under 134 pixels θ is less than one pixel: only what coincides counts.

    Parameters
    ----------
    truth, prediction : (h, w) integers
    classes : int
    ignore_index : int or None
        Value in ``truth`` of pixels that do not count.
    tolerance : float
        As a share of the diagonal.

    Returns
    -------
    (classes,) float64
        nan for classes that do not occur in ``truth``.

    References
    ----------
    Csurka, Larlus, Perronnin, "What is a good evaluation measure for semantic segmentation?" (BMVC 2013).
    Which classes count, and the tolerance: Badrinarayanan, Kendall, Cipolla, "SegNet" (2017), section 3.3.
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
    """Average `boundary_f1` over a set.

    Parameters
    ----------
    scores : sequence of (classes,)
        One an image.

    Returns
    -------
    bf : float
        The mean over the images of the mean over the classes that occur in the image, as SegNet's tables have it; nan
        without a class.
    per_class : (classes,)
        The mean over the images in which the class occurs; nan where it occurs in none.
    """
    table = np.stack(list(scores))  # (images, classes)
    images = [row[np.isfinite(row)].mean() for row in table if np.isfinite(row).any()]
    per_class = [column[np.isfinite(column)].mean() if np.isfinite(column).any() else np.nan for column in table.T]
    return float(np.mean(images)) if images else float("nan"), np.array(per_class)


def boundary_band(truth: Array, width: float, ignore_index: int | None = 255) -> Array:
    """Return the pixels (h, w) bool at most ``width`` away from a boundary in ``truth``, ignored ones left out.

    A segmentation measured on this band alone (a trimap's unknown part) shows how well it follows the outlines.

    References
    ----------
    Kohli, Ladický, Torr, "Robust higher order potentials for enforcing label consistency" (2009);
    Krähenbühl and Koltun, "Efficient inference in fully connected CRFs" (2011), section 6.
    """
    check_mask("boundary_band", truth)
    band = within(boundary(truth), width)
    return band if ignore_index is None else band & (truth != ignore_index)


def _f1(true: Array, found: Array, ignored: Array, distance: float) -> float:
    """Return F1 of two sets of boundary pixels; beyond the tolerance around both, nothing needs to be looked at."""
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
    """Return rows and columns of the smallest rectangle that holds every True."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
