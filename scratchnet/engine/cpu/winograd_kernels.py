"""Transform kernels for Winograd's convolution, and their gradients back.

A transformed kernel has one matrix (c_in, c_out) for each frequency. A kernel larger than the r×r of the form is cut
into pieces of r×r, filled up with zeros at its end. Their matrices lie below each other, (pieces · c_in, c_out), in the
order of the rows and columns of pieces, so that one product multiplies the patches of all pieces (see ``winograd``).
"""

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.cpu.matmul import SMALL_PRODUCT
from scratchnet.engine.cpu.shape import contiguous_kernel
from scratchnet.engine.cpu.threads import parallel_for, thread_count
from scratchnet.engine.cpu.winograd_points import Matrices
from scratchnet.engine.memory.pool import pooled_empty, pooled_zeros
from scratchnet.ops.geometry import Pair

ALL = slice(None)

TOGETHER = 16
"""Small products that are one call, at most."""

EXCHANGED = 1 << 15
"""Numbers of a kernel's matrix up to which its channel axes are exchanged by a copy. A BLAS needs longer for a
small product with a transposed matrix; for a large one it makes that copy itself."""

GAP = 16
"""Unused elements between two frequencies. The matrices of 32, 64, 128, … channels are otherwise a multiple of 4096
bytes apart, where a cache can hold only a few of the 36 values that one pair of channels is transformed to."""


def taps_of(kernel: Pair) -> int:
    """Return r for a kernel: its size up to 5, else 4, that of its pieces."""
    return max(kernel) if max(kernel) in (2, 3, 5) else 4


def pieces_of(kernel: Pair, taps: int) -> Pair:
    """Return how many pieces of ``taps`` rows and columns a kernel consists of."""
    return -(-kernel[0] // taps), -(-kernel[1] // taps)


def transform_kernel(weight: Array, constants: Matrices, part: slice, flipped: bool) -> Array:
    """Return G g Gᵀ for every pair of channels: (frequencies, pieces · c_in, c_out).

    Frequencies are ordered (horizontal, vertical); ``part`` selects some of them. For ``flipped`` see
    :func:`~scratchnet.engine.cpu.winograd.convolve`.
    """
    r = constants.taps
    if weight.shape[:2] != (r, r):
        return _transform_pieces(_cut(weight, r, flipped), constants, part)
    rows = _kernel_rows(constants, part, flipped)
    exchange = flipped and weight[0, 0].size <= EXCHANGED
    if exchange:
        weight = contiguous_kernel(weight.swapaxes(2, 3))
    kernels = _with_gaps(weight, len(rows), weight[0, 0].size)
    _multiply(rows, weight.reshape(r * r, -1), kernels)
    kernels = kernels.reshape(len(rows), *weight.shape[2:])
    return kernels.swapaxes(1, 2) if flipped and not exchange else kernels


def kernel_gradient(totals: Array, constants: Matrices, kernel: Pair, flipped: bool) -> Array:
    """Transform the sums ``totals`` (pieces, frequencies, …) over all tiles back to the gradient ``(kh, kw, …)``."""
    r = constants.taps
    exact = kernel == (r, r)
    rows = _kernel_rows(constants, ALL, flipped and exact)
    gradients = pooled_empty(totals, (len(totals), r, r, *totals.shape[2:]))
    for total, gradient in zip(totals, gradients, strict=True):
        _multiply(rows.T, total.reshape(len(rows), -1), gradient.reshape(r * r, -1))
    if exact:
        whole: Array = gradients[0]
        return whole
    dweight = pooled_empty(totals, (*kernel, *totals.shape[2:]))
    target = dweight[::-1, ::-1] if flipped else dweight
    down, across = pieces_of(kernel, r)
    for i in range(down):
        for j in range(across):
            piece = target[i * r : (i + 1) * r, j * r : (j + 1) * r]
            piece[...] = gradients[i * across + j, : piece.shape[0], : piece.shape[1]]
    return dweight


def _with_gaps(like: Array, frequencies: int, size: int) -> Array:
    """Allocate (frequencies, size) with a gap after each row."""
    return pooled_empty(like, (frequencies, size + GAP))[:, :size]


def _cut(weight: Array, r: int, flipped: bool) -> Array:
    """Cut a kernel into pieces, filled up with zeros: (pieces, r·r, c_in, c_out)."""
    kernel = weight[::-1, ::-1].swapaxes(2, 3) if flipped else weight
    down, across = pieces_of(kernel.shape[:2], r)
    pieces = pooled_zeros(weight, (down, across, r, r, *kernel.shape[2:]))
    for i in range(down):
        for j in range(across):
            piece = kernel[i * r : (i + 1) * r, j * r : (j + 1) * r]
            pieces[i, j, : piece.shape[0], : piece.shape[1]] = piece
    cut: Array = pieces.reshape(down * across, r * r, *kernel.shape[2:])
    return cut


def _transform_pieces(pieces: Array, constants: Matrices, part: slice) -> Array:
    """Return the transformed pieces, (frequencies, pieces · c_in, c_out)."""
    rows = _kernel_rows(constants, part, flipped=False)
    count, taps, c, c_out = pieces.shape
    kernels = _with_gaps(pieces, len(rows), count * c * c_out)
    for p in range(count):
        _multiply(rows, pieces[p].reshape(taps, -1), kernels[:, p * c * c_out : (p + 1) * c * c_out])
    whole: Array = kernels.reshape(len(rows), count * c, c_out)
    return whole


def _multiply(matrix: Array, long: Array, out: Array) -> None:
    """Write ``matrix`` · ``long``, a few rows by very many columns, in small products and on all cores."""
    count = long.shape[1]
    step = min(count, max(1, SMALL_PRODUCT // matrix.size))
    whole = count - count % step

    def multiply(columns: slice) -> None:  # one call for several products
        width = min(step, columns.stop - columns.start)
        a, b = (x[:, columns].reshape(len(x), -1, width).swapaxes(0, 1) for x in (long, out))
        np.matmul(matrix, a, out=b)

    together = step * max(1, min(TOGETHER, whole // step // (2 * thread_count())))
    pieces = [slice(begin, min(begin + together, whole)) for begin in range(0, whole, together)]
    parallel_for(multiply, pieces + [slice(whole, count)] * (whole < count), matrix.size * count)


def _kernel_rows(constants: Matrices, part: slice, flipped: bool) -> Array:
    """Return the matrix that transforms an r×r kernel, written as a vector of r·r: (frequencies, r·r)."""
    g = constants.kernel
    both: Array = np.einsum("vi,hj->hvij", g, g).reshape(-1, constants.taps**2)[part]
    return np.ascontiguousarray(both[:, ::-1]) if flipped else both  # the taps in reverse order
