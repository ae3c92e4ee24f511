"""Gaussian filtering in five dimensions, in time linear in the number of pixels.

To sum, for every pixel, all pixels weighted by their distance in position *and* colour takes N² steps. The
permutohedral lattice takes about N: the space of (x, y, r, g, b) is filled with simplices, every pixel adds its value
to the corners of the simplex that contains it (splat), the corners are averaged with their neighbours along every axis
of the lattice (blur), and every pixel interpolates between its corners (slice). Only corners with pixels are stored.

Adams, Baek, Davis, "Fast high-dimensional filtering using the permutohedral lattice" (2010). The names splat, blur,
slice and rank are theirs.
"""

import numpy as np

from scratchnet.arrays import Array, generator
from scratchnet.engine.cpu.threads import parallel_for


class PermutohedralLattice:
    """Filters maps with ``exp(−½·|f_i − f_j|²)``, approximately and up to a constant factor.

    Parameters
    ----------
    features : (N, d) float
        Position of every pixel in feature space, in standard deviations.
    """

    def __init__(self, features: Array) -> None:
        nearest, rank, rest = _simplices(_on_the_plane(features))
        self._weights = _barycentric(rank, rest)
        self._corners, self._neighbours = _stored_corners(nearest, rank)

    def filter(self, maps: Array) -> Array:
        """Return ``Σ_j exp(−½·|f_i − f_j|²)·maps[:, j]``, (k, N) float32, times an unknown constant.

        Dividing by a filtered map of ones cancels the constant. Each thread filters one map at a time.
        """
        filtered = np.empty(maps.shape, np.float32)

        def work(row: int) -> None:
            filtered[row] = self._filter_one(maps[row])

        parallel_for(work, range(len(maps)), len(maps) * self._weights.size * 64)
        return filtered

    def _filter_one(self, values: Array) -> Array:
        count = self._neighbours.shape[2]
        corners = np.zeros(count + 1, np.float32)  # the last element represents all corners that are not stored
        splat = (self._weights * values).reshape(-1)
        corners[:count] = np.bincount(self._corners.reshape(-1), splat, minlength=count)
        for before, after in self._neighbours:
            mixed = corners.take(before)
            mixed += corners.take(after)
            mixed *= np.float32(0.5)
            corners[:count] += mixed
        sliced: Array = (self._weights * corners.take(self._corners)).sum(axis=0)
        return sliced


def _on_the_plane(features: Array) -> Array:
    """Map (N, d) positions to (N, d + 1) coordinates that sum to 0, in which the lattice points are integers.

    The scale gives splat, blur and slice together a standard deviation of 1.
    """
    n, d = features.shape
    along = np.arange(1, d + 1)
    scaled = features * ((2 / 3) ** 0.5 * (d + 1) / np.sqrt(along * (along + 1)))
    elevated = np.zeros((n, d + 1), np.float32)
    elevated[:, :d] = np.cumsum(scaled[:, ::-1], axis=1)[:, ::-1]
    elevated[:, 1:] -= along * scaled
    return elevated


def _simplices(elevated: Array) -> tuple[Array, Array, Array]:
    """Find the simplex that contains each pixel.

    Returns
    -------
    nearest : (N, d + 1) int32
        One of its corners: the lattice point of remainder 0, whose coordinates are all multiples of d + 1.
    rank : (N, d + 1)
        Rank of every coordinate by its distance from that corner, in descending order.
    rest : (N, d + 1)
        That distance in units of d + 1.
    """
    period = elevated.shape[1]
    nearest = np.rint(elevated / period).astype(np.int32)
    excess = nearest.sum(axis=1, keepdims=True)
    order = np.argsort(nearest * period - elevated, axis=1, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(period)[None], axis=1)
    # Rounding leaves a sum that is not 0: the coordinates that were rounded furthest go back by one period.
    rank += excess
    step = np.where(rank < 0, period, np.where(rank >= period, -period, 0))
    rank += step
    nearest = nearest * period + step.astype(np.int32)
    return nearest, rank, (elevated - nearest) / np.float32(period)


def _barycentric(rank: Array, rest: Array) -> Array:
    """Return the weight (d + 1, N) of every corner of a pixel's simplex; they sum to 1."""
    n, period = rest.shape
    falling = np.empty_like(rest)
    np.put_along_axis(falling, rank, rest, axis=1)
    weights = np.empty((period, n), np.float32)
    weights[0] = 1 + falling[:, -1] - falling[:, 0]
    weights[1:] = (falling[:, :-1] - falling[:, 1:])[:, ::-1].T
    return weights


def _stored_corners(nearest: Array, rank: Array) -> tuple[Array, Array]:
    """Number all corners of simplices that contain a pixel.

    A corner is identified by a key, a linear combination of its coordinates with large odd factors, modulo 2⁶⁴. A
    neighbour's key is then the corner's plus a constant. Two of a million corners share one with probability 10⁻⁷.

    Returns
    -------
    corners : (d + 1, N)
        Indices of the corners of every pixel's simplex.
    neighbours : (d + 1, 2, count)
        The corners before and after every corner along every axis; ``count`` if it is not stored.
    """
    n, period = rank.shape
    factors = generator(0, "lattice").integers(0, 1 << 62, period - 1, np.uint64) * np.uint64(2) + np.uint64(1)

    def hashed(coordinates: Array) -> Array:
        result: Array = coordinates[..., :-1].astype(np.int64).view(np.uint64) @ factors
        return result

    keys = np.empty((period, n), np.uint64)
    for k in range(period):  # the corner of remainder k
        keys[k] = hashed(nearest + np.where(rank < period - k, k, k - period))
    stored, corners = np.unique(keys, return_inverse=True)
    neighbours = np.empty((period, 2, len(stored)), np.int64)
    for axis, step in enumerate(hashed(period * np.eye(period, dtype=np.int64) - 1)):
        for side, sought in enumerate((stored - step, stored + step)):
            place = np.minimum(np.searchsorted(stored, sought), len(stored) - 1)
            neighbours[axis, side] = np.where(stored[place] == sought, place, len(stored))
    return corners.reshape(period, n), neighbours
