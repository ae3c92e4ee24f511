"""Making a map larger without learning anything: repeat, bed of nails, bilinear.

Every function here is linear, so its backward is multiplication by the transposed matrix: repeating a value is undone
by summing the gradients of its copies, a bed of nails by reading the nails, interpolation by the transposed weights.
"""

from scratchnet.arrays import Array, namespace
from scratchnet.ops.geometry import Pair, pair
from scratchnet.recycling import empty, zeros


def upsample_nearest(x: Array, scale: int | Pair) -> Array:
    """Repeat every pixel ``scale`` times in both directions: (n, h, w, c) → (n, h·sh, w·sw, c).

    >>> import numpy as np
    >>> upsample_nearest(np.array([[1, 2], [3, 4]]).reshape(1, 2, 2, 1), 2)[0, :, :, 0]
    array([[1, 1, 2, 2],
           [1, 1, 2, 2],
           [3, 3, 4, 4],
           [3, 3, 4, 4]])
    """
    sh, sw = pair(scale, "scale", 1)
    n, h, w, c = x.shape
    y = empty(x, (n, h, sh, w, sw, c))
    y[...] = x[:, :, None, :, None]
    return y.reshape(n, h * sh, w * sw, c)


def upsample_nearest_backward(dy: Array, scale: int | Pair) -> Array:
    """Sum the gradients of the copies of each pixel."""
    sh, sw = pair(scale, "scale", 1)
    dx: Array = dy[:, ::sh, ::sw].copy()
    for i in range(sh):
        for j in range(sw):
            if i or j:
                dx += dy[:, i::sh, j::sw]
    return dx


def bed_of_nails(x: Array, scale: int | Pair) -> Array:
    """Put every pixel in the upper left corner of a block of zeros: (n, h, w, c) → (n, h·sh, w·sw, c)."""
    sh, sw = pair(scale, "scale", 1)
    n, h, w, c = x.shape
    y = zeros(x, (n, h * sh, w * sw, c))
    y[:, ::sh, ::sw] = x
    return y


def bed_of_nails_backward(dy: Array, scale: int | Pair) -> Array:
    """Read the gradient at the nails."""
    sh, sw = pair(scale, "scale", 1)
    return dy[:, ::sh, ::sw].copy()


def upsample_bilinear(x: Array, size: Pair) -> Array:
    """Interpolate linearly in both directions to ``size`` (oh, ow).

    Pixels are squares whose values sit at their centres (PyTorch's ``align_corners=False``): output row o lies at input
    row ``(o + ½)·h/oh − ½``, and the border is repeated outwards. Rows and columns are mixed one after the other, each
    by a matrix with at most two numbers in a row.

    Parameters
    ----------
    x : (n, h, w, c)
    size : (oh, ow)

    Returns
    -------
    (n, oh, ow, c)
    """
    down = interpolation_matrix(x, x.shape[1], size[0])
    across = interpolation_matrix(x, x.shape[2], size[1])
    return _mix(x, down, across)


def upsample_bilinear_backward(dy: Array, size: Pair) -> Array:
    """Return dx for an input of ``size`` (h, w): the transposed matrices, exactly."""
    down = interpolation_matrix(dy, size[0], dy.shape[1])
    across = interpolation_matrix(dy, size[1], dy.shape[2])
    return _mix(dy, down.T, across.T)


def interpolation_matrix(like: Array, size: int, new: int) -> Array:
    """Return the (new, size) matrix of linear interpolation; every row sums to 1. Module and dtype follow ``like``."""
    xp = namespace(like)
    position = (xp.arange(new) + 0.5) * (size / new) - 0.5
    distance = xp.abs(xp.clip(position, 0, size - 1)[:, None] - xp.arange(size)[None, :])
    matrix: Array = xp.maximum(0, 1 - distance).astype(like.dtype)
    return matrix


def _mix(x: Array, down: Array, across: Array) -> Array:
    """Apply one matrix to the rows and one to the columns of every map."""
    n, h, w, c = x.shape
    tall = (down @ x.reshape(n, h, w * c)).reshape(n, -1, w, c)
    y: Array = across @ tall  # matmul over (w, c) matrices
    return y
