"""Select values with a mask, correctly for infinity and NaN.

Multiplying by a mask of zeros and ones is fast but wrong for some values: ``inf · 0`` and ``nan · 0`` are NaN. NumPy's
``where`` and boolean indexing are correct but many times slower. Here the *bits* of the values, viewed as integers, are
multiplied by the integer 0 or 1. That is exact, needs no more passes than multiplying floats, and can be replayed.
"""

import numpy as np

from scratchnet.arrays import Array


def as_integers(array: Array) -> Array:
    """View an array as signed integers of the same size; booleans become int8."""
    bits: Array = array.view(f"i{array.dtype.itemsize}")
    return bits


def keep_where_positive(values: Array, y: Array, mask: Array, out: Array) -> None:
    """Write ``values`` to ``out`` where ``y > 0`` and zeros elsewhere.

    A NaN in ``y`` counts as positive unless its sign bit is set, so that the gradient of a ReLU passes NaN as in
    PyTorch.

    Parameters
    ----------
    values, mask, out : arrays of one shape and dtype
        ``mask`` is scratch memory; it may be ``out``, and ``out`` may be ``values``, but ``mask`` must not be
        ``values``.
    y : array of that shape
        Output, with the dtype of ``values`` or boolean.
    """
    ones = as_integers(mask)
    np.greater(as_integers(y), 0, out=ones, casting="unsafe")  # positive floats are positive integers
    np.multiply(ones, as_integers(values), out=as_integers(out))


def keep_where_equal(values: Array, index: Array, number: int | Array, mask: Array, out: Array) -> None:
    """Write ``values`` to ``out`` where ``index`` equals ``number`` and zeros elsewhere.

    Parameters
    ----------
    values, mask, out : arrays
        As in :func:`keep_where_positive`; ``values`` may be smaller if it broadcasts.
    index : array of integers
    number : integer or array
    """
    ones = as_integers(mask)
    np.equal(index, number, out=ones, casting="unsafe")
    np.multiply(ones, as_integers(values), out=as_integers(out))


def keep_where_negative(values: Array, y: Array, out: Array) -> None:
    """Write ``values`` to ``out`` where the sign bit of ``y`` is set, and zeros elsewhere.

    This takes two thirds of the time of :func:`keep_where_positive`: shifting an integer by all but one of its bits
    repeats the sign bit, which is the mask, and needs no comparison and no booleans.

    Parameters
    ----------
    values, y, out : arrays of one shape and dtype
        ``y`` is overwritten by the mask. ``out`` may be ``values``.
    """
    mask = as_integers(y)
    np.right_shift(mask, 8 * mask.dtype.itemsize - 1, out=mask)
    np.bitwise_and(mask, as_integers(values), out=as_integers(out))
