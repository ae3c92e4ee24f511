"""Random max-pooling and switch unpooling: maxima, switches, and both gradients."""

import numpy as np
from hypothesis import strategies as st

from scratchnet.interop.switches import to_torch
from scratchnet.ops.pooling import max_pool2d, max_pool2d_backward, max_unpool2d, max_unpool2d_backward
from tests.differential.arrays import FINITE, NON_FINITE, array_words, make
from tests.differential.convolutions import BATCH, CORES, DTYPES, pairs
from tests.differential.judging import agree, unchanged, working
from tests.differential.torch_side import maps, planes

ANY = array_words((*FINITE, *NON_FINITE))


@st.composite
def max_pool2d_cases(draw):
    """Draw a pooling; its output has at least one pixel."""
    kernel = draw(st.just([2, 2]) | pairs(1, 4) | st.just([3, 3]))
    padding = [draw(st.integers(0, k // 2)) for k in kernel]
    least = [max(1, k - 2 * p) for k, p in zip(kernel, padding, strict=True)]
    extra = draw(st.lists(st.integers(0, 9), min_size=2, max_size=2))
    return {
        "size": [a + b for a, b in zip(least, extra, strict=True)], "n": draw(BATCH), "c": draw(st.integers(1, 6)),
        "kernel": kernel, "stride": draw(st.none() | pairs(1, 4)), "padding": padding, "ceil_mode": draw(st.booleans()),
        "dtype": draw(DTYPES), "mode": draw(st.sampled_from(["plain", "textbook"])), "cores": draw(CORES),
        "x": draw(ANY), "dy": draw(ANY), "unpooled": draw(ANY), "slopes": draw(ANY),
    }  # fmt: skip


def check_max_pool2d(case):
    """Compare maxima, switches, unpooling and the gradients of both with PyTorch."""
    import torch

    dtype, settings = np.dtype(case["dtype"]), [case["kernel"], case["stride"] or case["kernel"], case["padding"]]
    x = make(case["x"], (case["n"], *case["size"], case["c"]), dtype)
    theirs, indices = _reference(x, settings, case["ceil_mode"])
    with working(case["mode"], case["cores"]):
        with unchanged(x):
            y, switches = max_pool2d(x, *map(tuple, settings), case["ceil_mode"])
        agree("y", y, maps(theirs), dtype, 0)
        mine = torch.tensor(to_torch(switches))
        of_nan = theirs.isnan()
        assert bool((mine == indices)[~of_nan].all()), f"switches: {mine.tolist()}, expected {indices.tolist()}"
        picked = planes(x, learn=False).flatten(2).gather(2, mine.flatten(2)).reshape(mine.shape)
        assert bool(picked[of_nan].isnan().all()), "a window's switch does not point to its NaN"
        dy, unpooled = make(case["dy"], y.shape, dtype), make(case["unpooled"], y.shape, dtype)
        slopes = make(case["slopes"], x.shape, dtype)
        with unchanged(dy, unpooled, slopes):
            dx = max_pool2d_backward(dy, switches)
            map_ = max_unpool2d(unpooled, switches)
            read = max_unpool2d_backward(slopes, switches)
    for what, found, values in (("dx of pooling", dx, dy), ("the unpooled map", map_, unpooled)):
        agree(what, found, _scattered(values, mine, x), dtype, _scattered(np.abs(values), mine, x, finite=True))
    gathered = planes(slopes, learn=False).flatten(2).gather(2, mine.flatten(2)).reshape(mine.shape)
    agree("dx of unpooling", read, maps(gathered), dtype, 0)


def _reference(x, settings, ceil_mode):
    """Return PyTorch's maxima and indices; it refuses empty batches."""
    import torch

    if len(x):
        return torch.nn.functional.max_pool2d(
            planes(x, learn=False), *settings, ceil_mode=ceil_mode, return_indices=True
        )
    y, indices = _reference(np.zeros((1, *x.shape[1:])), settings, ceil_mode)
    return y[:0], indices[:0]


def _scattered(values, indices, x, finite=False):
    """Put values where the indices say, sums where several meet."""
    n, h, w, c = x.shape
    given = planes(np.where(np.isfinite(values), values, 0) if finite else values, learn=False)
    y = given.new_zeros(n, c, h * w).scatter_add(2, indices.flatten(2), given.flatten(2))
    return maps(y.reshape(n, c, h, w))
