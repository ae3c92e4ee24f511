"""How a result is compared with PyTorch's: shape, dtype, infinities and NaN exactly, numbers up to rounding."""

from contextlib import ExitStack, contextmanager

import numpy as np

from scratchnet.engine import modes
from scratchnet.engine.cpu import threads

ROUNDING = {np.dtype("float32"): 2e-5, np.dtype("float64"): 1e-9}
"""Largest difference, relative to the sum of the absolute terms; float32's is what Winograd's transform needs."""

MODES = ("plain", "precise", "textbook")


@contextmanager
def working(mode, cores):
    """Compute in a mode, with even the smallest work shared by a number of threads."""
    before = threads._cores, threads.MIN_SPLIT_OPERATIONS, threads.MIN_THREAD_OPERATIONS
    threads._cores, threads.MIN_SPLIT_OPERATIONS, threads.MIN_THREAD_OPERATIONS = (lambda: cores), 1000, 1000
    try:
        with ExitStack() as stack:
            if mode != "plain":
                stack.enter_context({"precise": modes.precise, "textbook": modes.textbook}[mode]())
            yield
    finally:
        threads._cores, threads.MIN_SPLIT_OPERATIONS, threads.MIN_THREAD_OPERATIONS = before


@contextmanager
def unchanged(*arrays):
    """Fail when a call changes its arguments."""
    copies = [a.copy() for a in arrays]
    yield
    for i, (a, copy) in enumerate(zip(arrays, copies, strict=True)):
        assert np.array_equal(a, copy, equal_nan=True), f"argument {i} was changed"


def agree(what, actual, expected, dtype, scale=None):
    """Assert that a result has the dtype asked for and PyTorch's numbers.

    Parameters
    ----------
    what : str
        Of messages.
    actual : array
    expected : array
        PyTorch's, in float64.
    dtype : dtype
    scale : array or float or None
        What rounding is measured against; the largest expected number when it is None, nothing when it is 0.
    """
    dtype = np.dtype(dtype).newbyteorder("=")  # of swapped bytes comes the machine's own order
    assert actual.dtype == dtype, f"{what}: dtype {actual.dtype}, expected {dtype}"
    assert actual.shape == expected.shape, f"{what}: shape {actual.shape}, expected {expected.shape}"
    actual = actual.astype(np.float64)
    with np.errstate(over="ignore"):
        expected = np.asarray(expected, dtype).astype(np.float64)
    finite = np.isfinite(expected)
    same = np.array_equal(np.where(finite, 0, expected), np.where(np.isfinite(actual), 0, actual), equal_nan=True)
    assert same, f"{what}: infinities and NaN differ:\n{actual}\nexpected\n{expected}"
    scale = np.abs(expected[finite]).max(initial=0) if scale is None else np.max(scale, initial=0)
    bound = ROUNDING[dtype] * scale + (0 if np.all(scale == 0) else 64 * np.finfo(dtype).tiny)
    difference = np.abs(np.where(finite, actual, 0) - np.where(finite, expected, 0))
    if difference.max(initial=0) > bound:
        place = np.unravel_index(difference.argmax(), difference.shape)
        raise AssertionError(
            f"{what}: {actual[place]} at {tuple(map(int, place))} of {actual.shape}, expected {expected[place]}; the "
            f"difference {difference[place]:.3g} is more than {bound:.3g}, in {int((difference > bound).sum())} places"
        )
