"""A fully connected conditional random field, which refines a network's prediction along edges of colour.

A network's score map is smooth even where the image has an edge. The CRF uses the network's probabilities as the unary
term of each pixel, and adds a penalty for every pair of pixels with different labels, larger for pixels that are close
and similar in colour:

    E(x) = Σ_i −log p_i(x_i) + Σ_{i<j} [x_i ≠ x_j] · k(i, j)
    k(i, j) = w₁·exp(−|s_i − s_j|² / 2θ₁²) + w₂·exp(−|s_i − s_j|² / 2θ₂² − |c_i − c_j|² / 2θ₃²)

with positions s in pixels and colours c from 0 to 255. Mean field inference finds the product of independent
distributions Q_i closest to exp(−E): in each iteration, every pixel is updated with the current beliefs of the others.

Krähenbühl and Koltun, "Efficient inference in fully connected CRFs with Gaussian edge potentials" (2011). As in the
authors' released code, each kernel is divided by its sum over all pixels, the pixel itself included, so a weight bounds
the votes from its kernel.
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
"""Side and overlap, in pixels, of the tiles of larger images; votes from beyond the overlap are small."""

_MIN_PROBABILITY = 1e-8
"""Lower bound of the network's probabilities, so that the votes can change even a certain pixel."""


@dataclass(frozen=True)
class DenseCrf:
    """A fully connected random field; the defaults are those of DeconvNet's released code.

    Attributes
    ----------
    gaussian : (float, float)
        θ₁ in pixels and w₁ of the smoothness kernel.
    bilateral : (float, float, float)
        θ₂ in pixels, θ₃ in grey levels and w₂ of the appearance kernel.
    iterations : int
        Number of mean field iterations.
    """

    gaussian: tuple[float, float] = (3.0, 3.0)
    bilateral: tuple[float, float, float] = (20.0, 3.0, 5.0)
    iterations: int = 10

    def refine(self, image: Array, probabilities: Array) -> Array:
        """Return the field's probabilities.

        The appearance kernel is filtered with a permutohedral lattice, the smoothness kernel exactly. On crops of
        56×56 pixels from street scenes with 12 classes and the default parameters, the probabilities differ from those
        of exact sums by 0.002 on average, and the labels of 1 % of the pixels differ, where the field changes 9 %.

        Parameters
        ----------
        image : (h, w, 3) uint8
        probabilities : (h, w, classes)
            The network's probabilities.

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
        unary = np.log(np.maximum(probabilities, _MIN_PROBABILITY), dtype=np.float32).reshape(h * w, classes)
        kernels = [_smoothness(h, w, *self.gaussian), _appearance(image, *self.bilateral)]
        belief = softmax(unary)
        for _ in range(self.iterations):
            votes = unary.copy()
            for kernel in kernels:
                votes += kernel(np.ascontiguousarray(belief.T)).T
            belief = softmax(votes)
        return belief.reshape(h, w, classes)


def _smoothness(h: int, w: int, pixels: float, weight: float) -> Kernel:
    """Return the smoothness kernel, (classes, h·w) beliefs → votes: an exact, separable Gaussian of the position."""
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
    matrix[matrix < 1e-12] = 0  # subnormal float32 values make a product five times slower
    return matrix.astype(np.float32)


def _appearance(image: Array, pixels: float, levels: float, weight: float) -> Kernel:
    """Return the appearance kernel, (classes, h·w) beliefs → votes: a Gaussian of position and colour."""
    h, w = image.shape[:2]
    features = np.empty((h, w, 5), np.float32)
    features[..., 0], features[..., 1] = np.arange(w) / pixels, np.arange(h)[:, None] / pixels
    features[..., 2:] = image / levels
    lattice = PermutohedralLattice(features.reshape(-1, 5))
    share = np.float32(weight) / lattice.filter(np.ones((1, h * w), np.float32))
    return lambda belief: lattice.filter(belief) * share
