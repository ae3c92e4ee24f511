"""Upsampling without learned parameters: nearest neighbour, bed of nails and two forms of bilinear interpolation.

Every function here is linear, so its backward pass multiplies by the transposed matrix. For nearest neighbour that
sums the gradients of a pixel's copies, for a bed of nails it reads the gradient at the nails, and for interpolation it
applies the transposed weights.

    map    nearest    bed of nails    bilinear
    0 4    0 0 4 4    0 0 4 0         0 1 3 4
           0 0 4 4    0 0 0 0         0 1 3 4
"""

from scratchnet.arrays import Array, get_array_module
from scratchnet.engine.dispatch import operation
from scratchnet.ops.geometry import Pair, integer, pair


@operation(x="n h w c")
def upsample_nearest(x: Array, scale: int | Pair) -> Array:
    """Repeat every pixel ``scale`` times in both directions: (n, h, w, c) → (n, h·sh, w·sw, c).

    >>> import numpy as np
    >>> upsample_nearest(np.array([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 2, 2, 1), 2)[0, :, :, 0]
    array([[1., 1., 2., 2.],
           [1., 1., 2., 2.],
           [3., 3., 4., 4.],
           [3., 3., 4., 4.]])
    """
    xp = get_array_module(x)
    sh, sw = pair(scale, "scale", 1)
    y: Array = xp.repeat(xp.repeat(x, sh, axis=1), sw, axis=2)
    return y


def _check_scale(dy: Array, scale: int | Pair, name: str = "upsample_nearest_backward") -> None:
    sh, sw = pair(scale, "scale", 1)
    if dy.shape[1] % sh or dy.shape[2] % sw:
        raise ValueError(f"{name}: the size of dy {dy.shape} is not a multiple of the scale ({sh}, {sw})")


@operation(_check_scale, dy="n h w c")
def upsample_nearest_backward(dy: Array, scale: int | Pair) -> Array:
    """Return dx (n, h, w, c): the sum of the gradients of each pixel's copies."""
    sh, sw = pair(scale, "scale", 1)
    n, oh, ow, c = dy.shape
    dx: Array = dy.reshape(n, oh // sh, sh, ow // sw, sw, c).sum(axis=(2, 4))
    return dx


@operation(x="n h w c")
def bed_of_nails(x: Array, scale: int | Pair) -> Array:
    """Place every pixel in the upper left corner of a block of zeros: (n, h, w, c) → (n, h·sh, w·sw, c)."""
    sh, sw = pair(scale, "scale", 1)
    n, h, w, c = x.shape
    y: Array = get_array_module(x).zeros((n, h * sh, w * sw, c), x.dtype)
    y[:, ::sh, ::sw] = x
    return y


@operation(dy="n h w c")
def bed_of_nails_backward(dy: Array, scale: int | Pair) -> Array:
    """Return dx (n, h, w, c): the gradient at the nails."""
    _check_scale(dy, scale, "bed_of_nails_backward")
    sh, sw = pair(scale, "scale", 1)
    return dy[:, ::sh, ::sw].copy()


@operation(x="n h w c")
def upsample_bilinear(x: Array, size: Pair) -> Array:
    """Interpolate linearly in both directions to ``size`` (oh, ow).

    Pixels are squares with their values at the centres (PyTorch's ``align_corners=False``): output row o corresponds to
    input row ``(o + ½)·h/oh − ½``, and the border is repeated outwards. Rows and columns are interpolated separately,
    each by a matrix with at most two nonzero elements per row.

    Parameters
    ----------
    x : (n, h, w, c)
    size : (oh, ow)

    Returns
    -------
    (n, oh, ow, c)
    """
    size = pair(size, "size", 1)
    down = interpolation_matrix(x, x.shape[1], size[0])
    across = interpolation_matrix(x, x.shape[2], size[1])
    return _mix(x, down, across)


@operation(dy="n h w c")
def upsample_bilinear_backward(dy: Array, size: Pair) -> Array:
    """Return dx for an input of ``size`` (h, w): the transposed matrices, exactly."""
    size = pair(size, "size", 1)
    down = interpolation_matrix(dy, size[0], dy.shape[1])
    across = interpolation_matrix(dy, size[1], dy.shape[2])
    return _mix(dy, down.T, across.T)


def interpolation_matrix(like: Array, size: int, new: int) -> Array:
    """Return the (new, size) matrix of linear interpolation; every row sums to 1. Module and dtype follow ``like``."""
    xp = get_array_module(like)
    position = (xp.arange(new) + 0.5) * (size / new) - 0.5
    distance = xp.abs(xp.clip(position, 0, size - 1)[:, None] - xp.arange(size)[None, :])
    matrix: Array = xp.maximum(0, 1 - distance).astype(like.dtype)
    return matrix


def _mix(x: Array, down: Array, across: Array) -> Array:
    """Apply one matrix to the rows and one to the columns of every map."""
    n, h, w, c = x.shape
    tall = (down @ x.reshape(n, h, w * c)).reshape(n, len(down), w, c)
    y: Array = across @ tall  # matmul over (w, c) matrices
    return y


@operation(x="n h w c")
def bilinear_transpose(x: Array, factor: int) -> Array:
    """Upsample by FCN's bilinear deconvolution: a transposed convolution at stride f with a fixed kernel of size 2f.

        y[f·j + r] = t(r)·x[j] + t(r + f)·x[j − 1]        r = 0 … f − 1

    Along one axis the kernel is the tent ``t(i) = 1 − |i − f + ½| / f``, i = 0 … 2f − 1, and channels are not mixed.
    Output pixel ``f·j + r`` is covered by two tents, those of the inputs j and j − 1.

    Outside the map x is 0 (:func:`upsample_bilinear` repeats the border instead). Half a tent extends beyond each edge,
    so each side of the result is f pixels longer than f times that of the map; a crop usually follows.

    Parameters
    ----------
    x : (n, h, w, c)
    factor : int

    Returns
    -------
    (n, (h + 1)·f, (w + 1)·f, c)

    References
    ----------
    Long, Shelhamer, Darrell (2015), section 3.3.

    Examples
    --------
    >>> import numpy as np
    >>> bilinear_transpose(np.array([1.0, 3.0]).reshape(1, 1, 2, 1), 2)[0, 1, :, 0] / 0.75
    array([0.25, 0.75, 1.5 , 2.5 , 2.25, 0.75])
    """
    factor = integer(factor, "factor", 1)
    near, far = _tent(x, factor)
    n, h, w, c = x.shape
    xp, zeros_around = get_array_module(x), ((0, 0), (1, 1), (0, 0), (0, 0))
    rows = xp.pad(x.reshape(n, h, 1, w * c), zeros_around)
    tall = near[:, None] * rows[:, 1:] + far[:, None] * rows[:, :-1]  # (n, h + 1, f, w·c)
    columns = xp.pad(tall.reshape(-1, w, 1, c), zeros_around)
    y: Array = near[:, None] * columns[:, 1:] + far[:, None] * columns[:, :-1]  # (…, w + 1, f, c)
    return y.reshape(n, (h + 1) * factor, (w + 1) * factor, c)


@operation(dy="n h w c")
def bilinear_transpose_backward(dy: Array, factor: int) -> Array:
    """Return dx: each input pixel gathers the gradients under its tent, ``Σ t(r)·dy[f·j + r]``, along both axes."""
    factor = integer(factor, "factor", 1)
    near, far = _tent(dy, factor)
    n, oh, ow, c = dy.shape
    if oh % factor or ow % factor or min(oh, ow) < 2 * factor:
        raise ValueError(
            f"bilinear_transpose_backward: the size of dy {dy.shape} must be (h + 1, w + 1) times the factor {factor}"
        )
    h, w = oh // factor, ow // factor  # one more than the input has
    columns = dy.reshape(n * oh, w, factor, c)
    narrow = near @ columns[:, :-1] + far @ columns[:, 1:]  # (n·oh, w − 1, c)
    rows = narrow.reshape(n, h, factor, (w - 1) * c)
    dx: Array = near @ rows[:, :-1] + far @ rows[:, 1:]  # (n, h − 1, (w − 1)·c)
    return dx.reshape(n, h - 1, w - 1, c)


def _tent(like: Array, factor: int) -> tuple[Array, Array]:
    """Return the rising and the falling half of the tent, ``factor`` values each."""
    xp = get_array_module(like)
    rising = ((xp.arange(factor) + 0.5) / factor).astype(like.dtype)
    return rising, rising[::-1]
