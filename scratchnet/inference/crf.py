"""A fully connected conditional random field on top of a network: neighbours of like colour get like labels.

A network's score map is smooth where the photograph has an edge. The CRF takes the network's probabilities as its
opinion of every single pixel, and lets every pair of pixels in the image ask for the same label, the more so the nearer
they are and the more alike in colour:

    E(x) = Σ_i −log p_i(x_i) + Σ_{i<j} [x_i ≠ x_j] · k(i, j)
    k(i, j) = w₁·exp(−|s_i − s_j|² / 2θ₁²) + w₂·exp(−|s_i − s_j|² / 2θ₂² − |c_i − c_j|² / 2θ₃²)

with places s in pixels and colours c from 0 to 255. Mean field looks for the product of independent distributions Q_i
that is nearest to exp(−E): each pixel is told, again and again, what the others currently think.

Krähenbühl and Koltun, "Efficient inference in fully connected CRFs with Gaussian edge potentials" (2011). As in the
authors' released code, each kernel is divided by its sum over all pixels, so a weight is the largest vote that a pixel
can get through it, and a pixel's own opinion is part of that sum.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from scratchnet.arrays import Array
from scratchnet.data import stitch, tile_grid
from scratchnet.inference.permutohedral import PermutohedralLattice
from scratchnet.ops.activation import softmax
from scratchnet.utils.shape_checks import check_image, check_maps

Kernel: TypeAlias = Callable[[Array], Array]

TILE, OVERLAP = 640, 128
"""Larger images are refined in tiles, in pixels; the votes from further away than the overlap are small."""

_NEVER = 1e-8
"""A smaller probability is taken for this one: no pixel is so sure that the others cannot be heard."""


@dataclass(frozen=True)
class DenseCrf:
    """The field's parameters; those of DeconvNet's released code.

    Attributes
    ----------
    gaussian : (float, float)
        θ₁ in pixels and w₁ of the smoothness kernel.
    bilateral : (float, float, float)
        θ₂ in pixels, θ₃ in grey levels and w₂ of the appearance kernel.
    iterations : int
        Of mean field.
    """

    gaussian: tuple[float, float] = (3.0, 3.0)
    bilateral: tuple[float, float, float] = (20.0, 3.0, 5.0)
    iterations: int = 10

    def refine(self, image: Array, probabilities: Array) -> Array:
        """Return the field's probabilities.

        The appearance kernel is filtered with a permutohedral lattice, the smoothness kernel exactly. On cuttings of
        56×56 pixels from street scenes with 12 classes and the default parameters, the probabilities differ from those
        of exact sums by 0.002 on average, and the labels of 1 % of the pixels differ, where the field changes 9 %.

        Parameters
        ----------
        image : (h, w, 3) uint8
        probabilities : (h, w, classes)
            The network's.

        Returns
        -------
        (h, w, classes) float32
        """
        check_image("DenseCrf.refine", image)
        check_maps("DenseCrf.refine", probabilities, image.shape[:2])
        h, w = image.shape[:2]
        if max(h, w) <= TILE:
            return self._refine(image, probabilities)
        windows = tile_grid(h, w, TILE, OVERLAP)
        parts = (self._refine(image[window.slices], probabilities[window.slices]) for window in windows)
        return stitch(parts, windows, h, w)

    def _refine(self, image: Array, probabilities: Array) -> Array:
        """Return the field's probabilities of an image that is small enough for one field."""
        h, w, classes = probabilities.shape
        opinion = np.log(np.maximum(probabilities, _NEVER), dtype=np.float32).reshape(h * w, classes)
        kernels = [_smoothness(h, w, *self.gaussian), _appearance(image, *self.bilateral)]
        belief = softmax(opinion)
        for _ in range(self.iterations):
            votes = opinion.copy()
            for kernel in kernels:
                votes += kernel(np.ascontiguousarray(belief.T)).T
            belief = softmax(votes)
        return belief.reshape(h, w, classes)


def _smoothness(h: int, w: int, pixels: float, weight: float) -> Kernel:
    """Return (classes, h·w) beliefs → votes by place: a Gaussian down and across, exactly."""
    down, across = _gaussian(h, pixels), _gaussian(w, pixels)
    share = np.float32(weight) / np.outer(down.sum(axis=0), across.sum(axis=0))

    def votes(belief: Array) -> Array:
        maps: Array = down @ belief.reshape(-1, h, w) @ across * share
        return maps.reshape(belief.shape)

    return votes


def _gaussian(length: int, pixels: float) -> Array:
    """Return the symmetric matrix (length, length) of exp(−distance² / 2·pixels²)."""
    distance = np.subtract.outer(np.arange(length), np.arange(length))
    matrix: Array = np.exp(-0.5 * (distance / pixels) ** 2)
    matrix[matrix < 1e-12] = 0  # numbers too small for float32's usual form make a product five times slower
    return matrix.astype(np.float32)


def _appearance(image: Array, pixels: float, levels: float, weight: float) -> Kernel:
    """Return (classes, h·w) beliefs → votes by place and colour."""
    h, w = image.shape[:2]
    features = np.empty((h, w, 5), np.float32)
    features[..., 0], features[..., 1] = np.arange(w) / pixels, np.arange(h)[:, None] / pixels
    features[..., 2:] = image / levels
    lattice = PermutohedralLattice(features.reshape(-1, 5))
    share = np.float32(weight) / lattice.filter(np.ones((1, h * w), np.float32))
    return lambda belief: lattice.filter(belief) * share
