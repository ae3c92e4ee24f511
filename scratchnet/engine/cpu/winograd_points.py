"""The constant matrices of Winograd's convolution F(m×m, r×r), computed from its points.

Take the values of a piece of kernel, g_0 … g_{r−1}, as the coefficients of a polynomial g(z) = Σ g_k z^k, and those of
a tile of m numbers likewise. The product of the two polynomials has a = m + r − 1 coefficients, so its values at a
points determine it: a multiplications instead of m·r, one for each point. The point ∞ stands for the leading
coefficient. This is Toom's and Cook's multiplication; reading it backwards (transposing it) turns the product into the
sliding sum y_i = Σ_k d_{i+k} g_k:

    Aᵀ[i, j] = z_j^i            G[j, k] = z_j^k / N_j            Bᵀ[j, k] = the coefficient of z^k in Π_{l≠j} (z − z_l)
    N_j = Π_{l≠j} (z_j − z_l)   the last row for ∞: Bᵀ has the coefficients of Π_l (z − z_l), A and G only a last 1

More points save more multiplications, but their powers grow, and rounding errors with them. A point p and −1/p go
well together: for F(4×4, 3×3), ½ and −2 instead of the usual ±2 round with a third of the error.

References
----------
Lavin and Gray, "Fast algorithms for convolutional neural networks" (2016). Barabasz, Anderson, Soodhalter and Gregg,
"Error analysis and improving the accuracy of Winograd convolution for deep neural networks" (2020), for the points.
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import prod

import numpy as np

from scratchnet.arrays import Array

POINTS: dict[int, tuple[float, ...]] = {
    4: (0, 1, -1),
    5: (0, 1, -1, 2),
    6: (0, 1, -1, 0.5, -2),
    7: (0, 1, -1, -0.5, -2, 1.5),
    8: (0, 1, -1, 2, -2, 0.5, -0.5),
}
"""The points besides ∞, by a = m + r − 1; the second is 1."""


@dataclass(frozen=True)
class Matrices:
    """The constants of F(m×m, r×r): ``input`` is Bᵀ (a, a), ``kernel`` G (a, r), ``output`` Aᵀ (m, a)."""

    input: Array
    kernel: Array
    output: Array

    @property
    def tile(self) -> int:
        """The m of F(m×m, r×r): rows of output pixels in a tile."""
        return len(self.output)

    @property
    def taps(self) -> int:
        """The r of F(m×m, r×r): rows of kernel elements."""
        taps: int = self.kernel.shape[1]
        return taps

    @property
    def patch(self) -> int:
        """Rows of input pixels that a tile depends on, a = m + r − 1."""
        return len(self.input)


def matrices(tile: int, taps: int, like: Array) -> Matrices:
    """Return the constants of F(tile×tile, taps×taps), in the dtype of ``like``."""
    return _in_dtype(tile, taps, like.dtype.str)


@cache
def _in_dtype(tile: int, taps: int, dtype: str) -> Matrices:
    points = [Fraction(z) for z in POINTS[tile + taps - 1]]
    others = [[w for w in points if w != z] for z in points]
    scale = [prod((z - w for w in rest), start=Fraction(1)) for z, rest in zip(points, others, strict=True)]
    inputs = [[*_coefficients(rest), Fraction(0)] for rest in others] + [_coefficients(points)]
    kernels = [[z**k / n for k in range(taps)] for z, n in zip(points, scale, strict=True)] + [_last(taps)]
    outputs = [[z**i for z in points] + [_last(tile)[i]] for i in range(tile)]
    return Matrices(*(np.array([[float(v) for v in row] for row in m], dtype) for m in (inputs, kernels, outputs)))


def _coefficients(roots: list[Fraction]) -> list[Fraction]:
    """Return the coefficients of Π (z − root), the constant one first."""
    found = [Fraction(1)]
    for root in roots:
        found = [up - root * c for up, c in zip([Fraction(0), *found], [*found, Fraction(0)], strict=True)]
    return found


def _last(count: int) -> list[Fraction]:
    """Return ``count`` numbers: zeros and a last 1."""
    return [Fraction(int(i == count - 1)) for i in range(count)]
