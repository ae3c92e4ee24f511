"""Occlusion: cover a part of the image, and see how much a value of the network falls.

A patch of one colour slides over the image in equal steps; for each position the network runs once. The map shows at
each pixel the mean, over the positions that cover it, of

    value without the patch − value with the patch,

so it is positive where the image supports the value. Unlike a gradient, which describes infinitely small changes, this
is the effect of a large one. It includes everything that the change causes, such as switches that jump, and also what
the patch itself looks like to the network.

References
----------
Zeiler, Fergus, "Visualizing and understanding convolutional networks" (2014), sections 2.2 and 4.2.
"""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from itertools import count

import numpy as np

from scratchnet.arrays import Array, get_array_module, to_host
from scratchnet.network import Network
from scratchnet.ops.geometry import Pair
from scratchnet.utils.validation import integer
from scratchnet.visualization.attribution.unit import Unit

MAX_POSITIONS = 256
"""Maximum number of positions of the patch, and so of forward passes, unless a stride is given."""

BATCH_PIXELS = 1 << 18
"""Maximum number of pixels of the images that run together, so that their activations fit into memory."""


@dataclass(frozen=True)
class OcclusionGrid:
    """The positions of a square patch.

    Attributes
    ----------
    size : (h, w)
        Size of the image.
    patch, stride : int
        Side of the patch, and the distance between neighbouring positions, in pixels.
    """

    size: Pair
    patch: int
    stride: int

    def windows(self) -> list[tuple[slice, slice]]:
        """Return the rows and columns of each position; the patch is cut off at the edges of the image.

        The first patch reaches out of the image by half of its overlap, so the positions are symmetric if the size is a
        multiple of the stride.
        """
        first = -((self.patch - self.stride) // 2)
        rows, columns = ([first + i * self.stride for i in range(-(-length // self.stride))] for length in self.size)
        return [(self._span(top), self._span(left)) for top in rows for left in columns]

    def _span(self, first: int) -> slice:
        return slice(max(0, first), first + self.patch)


def occlusion_grid(size: Pair, patch: int | None = None, stride: int | None = None) -> OcclusionGrid:
    """Return a grid for images of ``size`` (h, w) that covers every pixel.

    Parameters
    ----------
    size : (h, w)
    patch : int or None
        Side of the patch in pixels; None: twice the stride.
    stride : int or None
        None: the smallest stride with at most 256 positions, or with a given patch at most half of it; for 128×128
        pixels it is 8, with a patch of 16×16.

    Raises
    ------
    ValueError
        If the stride exceeds the patch, so that pixels would never be covered.
    """
    if stride is None:
        stride = next(s for s in count(1) if -(-size[0] // s) * -(-size[1] // s) <= MAX_POSITIONS)
        stride = stride if patch is None else min(stride, max(1, integer(patch, "occlusion: patch", 1) // 2))
    stride = integer(stride, "occlusion: stride", 1)
    patch = integer(2 * stride if patch is None else patch, "occlusion: patch", 1)
    if stride > patch:
        raise ValueError(f"occlusion: stride {stride} exceeds the patch of {patch} pixels, so some are never covered")
    return OcclusionGrid(size, patch, stride)


def occlusion(
    network: Network, x: Array, unit: Unit, grid: OcclusionGrid | None = None, colour: Array | None = None
) -> Array:
    """Return how much the value of a unit falls where the image is covered.

    The network runs in evaluation mode, as a copy, and does not change. The cost is one forward pass for each position
    of the patch, in batches.

    Parameters
    ----------
    network : Network
        Allocated.
    x : (1, h, w, channels)
        Preprocessed image.
    unit : Unit
    grid : OcclusionGrid or None
        None: that of :func:`occlusion_grid`, at most 256 positions.
    colour : (channels,) or None
        Colour of the patch, preprocessed like the image; None: the image's mean colour. For a photograph, mid-grey is
        another common choice.

    Returns
    -------
    (h, w)
        In the dtype of ``x``, on the host.
    """
    if len(x) != 1:
        raise ValueError(f"occlusion: expected one image (1, h, w, channels), got {x.shape}")
    h, w = x.shape[1:3]
    grid = occlusion_grid((h, w)) if grid is None else grid
    if grid.size != (h, w):
        raise ValueError(f"occlusion: the grid is for images of {grid.size}, got {x.shape}")
    step = unit.step_of(network)
    copy = deepcopy(network).eval()
    fill = x.mean(axis=(0, 1, 2)) if colour is None else get_array_module(x).asarray(colour, x.dtype)
    windows = grid.windows()
    whole = _values(copy, x, unit, step)[0]
    batches = list(_batches(len(windows), 1 if _mixes_images(copy) else max(1, BATCH_PIXELS // (h * w))))
    drops = [whole - _values(copy, _covered(x, [windows[i] for i in part], fill), unit, step) for part in batches]
    return _mean_over_windows((h, w), windows, np.concatenate(drops))


def _covered(x: Array, windows: list[tuple[slice, slice]], fill: Array) -> Array:
    """Return the image once for each window, with that window covered."""
    images: Array = x.repeat(len(windows), axis=0)
    for image, (rows, columns) in zip(images, windows, strict=True):
        image[rows, columns] = fill
    return images


def _values(network: Network, images: Array, unit: Unit, step: str) -> Array:
    """Return the unit's value (n,) for each image, on the host."""
    if step == network.steps[-1].name:
        return to_host(unit.values(network.forward(images, keep=False)))
    maps = next(value for name, value in network.walk(images) if name == step)
    return to_host(unit.values(maps))


def _mixes_images(network: Network) -> bool:
    """Return whether a value of one image depends on the others of its batch."""
    return any(step.layer.mixes_images for step in network.steps)


def _batches(total: int, size: int) -> Iterator[range]:
    return (range(first, min(total, first + size)) for first in range(0, total, size))


def _mean_over_windows(size: Pair, windows: list[tuple[slice, slice]], values: Array) -> Array:
    """Return at each pixel the mean of the values of the windows that contain it."""
    total, covered = np.zeros(size, np.float64), np.zeros(size, np.int64)
    for window, value in zip(windows, values, strict=True):
        total[window] += value
        covered[window] += 1
    mean: Array = (total / covered).astype(values.dtype)
    return mean
