"""U-Net's weight map: higher weights between neighbouring objects, so that the network learns to separate them.

    w(x) = w_c(x) + w₀ · exp( −(d₁(x) + d₂(x))² / 2σ² )

d₁ and d₂ are the distances to the nearest and to the second nearest object, w_c balances the classes (Ronneberger,
Fischer and Brox 2015, section 3, with w₀ = 10 and σ = 5 pixels). The second term is added to background pixels only.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scratchnet.arrays import Array
from scratchnet.data.objects.components import bounding_boxes, connected_components
from scratchnet.utils.shape_checks import check_mask

_MAX_SIGMAS = 5
"""Distances beyond this many σ count as infinite: exp(−5²/2) is 4·10⁻⁶."""


@dataclass(frozen=True)
class BorderWeights:
    """U-Net's weight maps of masks.

    Attributes
    ----------
    extra : float
        w₀.
    sigma : float
        σ in pixels.
    class_weights : sequence of float or None
        w_c of every class; None: 1.
    ignore_index : int or None
    """

    extra: float = 10.0
    sigma: float = 5.0
    class_weights: Sequence[float] | None = None
    ignore_index: int | None = 255

    def __call__(self, masks: Array) -> Array:
        """Return the weights of a batch: (n, h, w) uint8 classes → (n, h, w) float32.

        Objects are the connected regions of a class other than 0, which is the background between them.
        """
        for mask in masks:
            check_mask("BorderWeights", mask)
        balance = np.ones(256, np.float32)
        if self.class_weights is not None:
            balance[: len(self.class_weights)] = self.class_weights
        weights: Array = balance[masks]
        for i, mask in enumerate(masks):
            weights[i] += self._border_term(mask)
        return weights

    def _border_term(self, mask: Array) -> Array:
        """Return the second term of the formula for one mask, (h, w)."""
        objects = mask if self.ignore_index is None else np.where(mask == self.ignore_index, 0, mask)
        numbers = connected_components(objects)
        nearest, second = _two_distances(numbers, int(_MAX_SIGMAS * self.sigma) + 1)
        gap: Array = np.float32(self.extra) * np.exp(-((nearest + second) ** 2) / np.float32(2 * self.sigma**2))
        return np.where(mask == 0, gap, np.float32(0))


def _two_distances(numbers: Array, reach: int) -> tuple[Array, Array]:
    """Return the distances of every pixel to the nearest and second nearest object, infinite beyond ``reach``."""
    nearest, second = np.full(numbers.shape, np.inf, np.float32), np.full(numbers.shape, np.inf, np.float32)
    for number, (top, left, height, width) in bounding_boxes(numbers).items():
        rows = slice(max(top - reach, 0), top + height + reach)
        columns = slice(max(left - reach, 0), left + width + reach)
        away = distance_to(numbers[rows, columns] == number, reach)
        first, next_one = nearest[rows, columns], second[rows, columns]
        np.minimum(next_one, np.maximum(first, away), out=next_one)
        np.minimum(first, away, out=first)
    return nearest, second


def distance_to(inside: Array, reach: int) -> Array:
    """Return the Euclidean distance of every pixel to the nearest True of ``inside``.

    One pass along the columns finds the nearest such pixel above and below, a second one the minimum of the squared
    distances g²(y, x + s) + s² over all columns within reach (Felzenszwalb and Huttenlocher 2012, equation 3).

    Parameters
    ----------
    inside : (h, w) bool
    reach : int
        Larger distances become infinite.

    Returns
    -------
    (h, w) float32
    """
    height, width = inside.shape
    rows = np.arange(height, dtype=np.float32)[:, None]
    above = np.maximum.accumulate(np.where(inside, rows, -np.inf), axis=0)
    below = np.minimum.accumulate(np.where(inside, rows, np.inf)[::-1], axis=0)[::-1]
    down = np.minimum(rows - above, below - rows).astype(np.float32) ** 2
    squares = down.copy()
    for shift in range(1, min(reach, width - 1) + 1):
        np.minimum(squares[:, shift:], down[:, :-shift] + np.float32(shift**2), out=squares[:, shift:])
        np.minimum(squares[:, :-shift], down[:, shift:] + np.float32(shift**2), out=squares[:, :-shift])
    squares[squares > reach**2] = np.inf
    return np.sqrt(squares)
