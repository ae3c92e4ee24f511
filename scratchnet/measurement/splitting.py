"""Split touching objects of one class at their necks: a watershed on the distance transform.

The distance transform d of a region is each pixel's distance to the nearest pixel outside. Two touching discs have two
maxima of d, one in each disc, and the saddle between them is half the width of the neck. The maxima of an elongated
object differ only by the roughness of its outline. So two maxima belong to different objects only if

    d(saddle) < neck · min(d(first maximum), d(second maximum)),

which does not depend on the scale. These are the maxima of log d whose dynamics exceed −log(neck), its h-maxima. The
watershed of −d from them cuts along the necks.

References
----------
Soille, "Morphological Image Analysis" (2nd edition, 2003), sections 6.3.4 (h-maxima) and 9.2 (watershed of the
distance function). The relative dynamics are this package's choice.
"""

import numpy as np

from scratchnet.arrays import Array
from scratchnet.data import Window, bounding_boxes, connected_components
from scratchnet.measurement.requirements import check_scikit_image

NECK = 0.85
"""Default of ``neck``: an object is split where it is narrower than this fraction of the narrower of its parts."""

SMOOTHING = 1.0
"""Default of ``smoothing``: standard deviation, in pixels, of the Gaussian that smooths the distance transform."""


def split_regions(regions: Array, neck: float = NECK, smoothing: float = SMOOTHING) -> Array:
    """Split numbered regions at their necks.

    Parameters
    ----------
    regions : (h, w) integers
        0 is no region.
    neck : float
        0 to 1; see the module's description. 0 splits nothing.
    smoothing : float
        Standard deviation, in pixels, of a Gaussian applied to the distance transform; the jagged outlines of small
        objects have spurious maxima without it.

    Returns
    -------
    (h, w) int32
        1, 2, … in reading order of the first pixels; 0 where ``regions`` is 0.

    Raises
    ------
    UserError
        If scikit-image is not installed.
    """
    check_scikit_image()
    parts: Array = np.zeros(regions.shape, np.int32)
    last = 0
    for number, box in bounding_boxes(regions).items():
        inside = regions[box.slices] == number
        found = _split(inside, box, regions.shape, neck, smoothing)
        parts[box.slices][inside] = found[inside] + last
        last += int(found.max())
    return connected_components(parts)


def _split(inside: Array, box: Window, shape: tuple[int, ...], neck: float, smoothing: float) -> Array:
    """Return the parts 1, 2, … of one region (h, w) bool, given in its box in an image of ``shape``."""
    from scipy.ndimage import distance_transform_edt, gaussian_filter
    from skimage.segmentation import watershed

    # The border of the image is no outline: the object may continue outside, and a cut disc must keep one maximum.
    margins = [(int(box.top > 0), int(box.top + box.height < shape[0]))]
    margins.append((int(box.left > 0), int(box.left + box.width < shape[1])))
    region = np.pad(inside, margins)
    if region.all() or neck <= 0:
        return inside.astype(np.int32)
    distance = distance_transform_edt(region)
    if smoothing > 0:
        distance = gaussian_filter(distance, smoothing, mode="nearest")
    parts: Array = watershed(-distance, _markers(distance, region, neck), mask=region)
    (top, bottom), (left, right) = margins
    return parts[top : len(parts) - bottom, left : parts.shape[1] - right]


def _markers(distance: Array, region: Array, neck: float) -> Array:
    """Return the numbered h-maxima of log distance, at least one."""
    from skimage.measure import label
    from skimage.morphology import local_maxima, reconstruction

    depth = -np.log(neck)
    height = np.log(np.maximum(distance, 1e-3))
    height[~region] = height[region].min() - depth - 1
    leveled = reconstruction(height - depth, height, method="dilation")
    markers: Array = label(local_maxima(leveled, connectivity=2) & region, connectivity=2)
    return markers
