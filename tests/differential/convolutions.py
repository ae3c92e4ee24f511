"""Random convolutions and transposed convolutions, forward and all gradients."""

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from scratchnet.ops.convolution import conv2d, conv2d_backward
from scratchnet.ops.transposed import conv_transpose2d, conv_transpose2d_backward
from tests.differential.arrays import array_words, make
from tests.differential.judging import MODES, agree, unchanged, working
from tests.differential.torch_side import gradient, kernels, maps, plain, planes, tensor, weights

DTYPES = st.sampled_from(["float32", "float64"])
BATCH = st.sampled_from([0, 1, 1, 2, 2, 3])
CORES = st.sampled_from([1, 2, 3])


def pairs(low, high):
    """Return a strategy for (vertical, horizontal), equal half of the time."""
    one = st.integers(low, high)
    return st.one_of(one.map(lambda v: [v, v]), st.lists(one, min_size=2, max_size=2))


@st.composite
def _channels(draw):
    """Draw groups and the channels of a group, in and out: few, depthwise, or enough for Winograd's form."""
    kind = draw(st.sampled_from(["few", "few", "depthwise", "groups", "many"]))
    if kind == "depthwise":
        return draw(st.integers(2, 9)), 1, 1
    if kind == "many":
        return 1, draw(st.sampled_from([8, 9, 32])), draw(st.sampled_from([8, 11, 32]))
    return draw(st.integers(2, 3)) if kind == "groups" else 1, draw(st.integers(1, 5)), draw(st.integers(1, 5))


ARRAYS = {"x": array_words(), "weight": array_words(), "bias": st.none() | array_words(), "dy": array_words()}


@st.composite
def conv2d_cases(draw):
    """Draw a convolution; its output has at least one pixel."""
    groups, c_in, c_out = draw(_channels())
    kernel, dilation = draw(pairs(1, 5) | st.just([3, 3])), draw(st.just([1, 1]) | pairs(1, 3))
    padding = draw(pairs(0, 3))
    least = [max(1, d * (k - 1) + 1 - 2 * p) for k, d, p in zip(kernel, dilation, padding, strict=True)]
    extra = draw(st.lists(st.integers(0, 22 if groups == 1 and c_in > 7 else 8), min_size=2, max_size=2))
    case = {
        "size": [a + b for a, b in zip(least, extra, strict=True)],
        "n": draw(BATCH), "groups": groups, "c_in": c_in * groups, "c_out": c_out * groups, "kernel": kernel,
        "stride": draw(st.just([1, 1]) | pairs(1, 3)), "padding": padding, "dilation": dilation,
        "dtype": draw(DTYPES), "mode": draw(st.sampled_from(MODES)), "cores": draw(CORES),
    }  # fmt: skip
    return case | {name: draw(words) for name, words in ARRAYS.items()}


def check_conv2d(case):
    """Compare a convolution and its three gradients with PyTorch's."""
    settings = {name: tuple(case[name]) for name in ("stride", "padding", "dilation")} | {"groups": case["groups"]}
    _check(case, conv2d, conv2d_backward, settings, {}, case["c_in"] // case["groups"], case["c_out"])


@st.composite
def conv_transpose2d_cases(draw):
    """Draw a transposed convolution; its output has at least one pixel."""
    groups, c_in, c_out = draw(_channels())
    case = {
        "size": draw(st.lists(st.integers(1, 9), min_size=2, max_size=2)),
        "n": draw(BATCH), "groups": groups, "c_in": c_in * groups, "c_out": c_out * groups,
        "kernel": draw(pairs(1, 5) | st.just([3, 3]) | st.just([4, 4])),
        "stride": draw(pairs(1, 3)), "padding": draw(pairs(0, 3)), "dilation": draw(st.just([1, 1]) | pairs(1, 3)),
        "dtype": draw(DTYPES), "mode": draw(st.sampled_from(MODES)), "cores": draw(CORES),
    }  # fmt: skip
    most = [s - 1 for s in case["stride"]]
    case["output_padding"] = [draw(st.integers(0, m)) for m in most]
    for axis in (0, 1):
        made = (
            (case["size"][axis] - 1) * case["stride"][axis] - 2 * case["padding"][axis] + case["output_padding"][axis]
        )
        assume(made + case["dilation"][axis] * (case["kernel"][axis] - 1) + 1 >= 1)
    return case | {name: draw(words) for name, words in ARRAYS.items()}


def check_conv_transpose2d(case):
    """Compare a transposed convolution and its three gradients with PyTorch's."""
    settings = {name: tuple(case[name]) for name in ("stride", "padding", "dilation")} | {"groups": case["groups"]}
    more = {"output_padding": tuple(case["output_padding"])}
    _check(
        case, conv_transpose2d, conv_transpose2d_backward, settings, more,
        case["c_out"] // case["groups"], case["c_in"],
    )  # fmt: skip


def _check(case, forward, backward, settings, more, between_in, between_out):
    dtype = np.dtype(case["dtype"])
    x = make(case["x"], (case["n"], *case["size"], case["c_in"]), dtype)
    weight = make(case["weight"], (*case["kernel"], between_in, between_out), dtype)
    bias = None if case["bias"] is None else make(case["bias"], (case["c_out"],), dtype)
    with working(case["mode"], case["cores"]):
        with unchanged(x, weight, *([] if bias is None else [bias])):
            y = forward(x, weight, bias, **settings, **more)
        expected = _reference(forward, settings | more, None, x, weight, bias)
        assert y.shape == expected[0].shape, f"y: {y.shape}, expected {expected[0].shape}"
        dy = make(case["dy"], y.shape, dtype)
        with unchanged(dy, x, weight):
            dx, dweight, dbias = backward(dy, x, weight, **settings)
    expected = _reference(forward, settings | more, dy, x, weight, bias)
    scales = _reference(forward, settings | more, *(None if a is None else np.abs(a) for a in (dy, x, weight, bias)))
    for what, mine, theirs, scale in zip(
        ("y", "dx", "dweight", "dbias"), (y, dx, dweight, dbias), expected, scales, strict=True
    ):
        if theirs is not None:
            agree(what, mine, theirs, dtype, scale)


def _reference(forward, settings, dy, x, weight, bias):
    """Return y, dx, dweight and dbias by PyTorch; y alone without a dy."""
    import torch

    tx, tw, tb = planes(x), kernels(weight), None if bias is None else tensor(bias)
    y = getattr(torch.nn.functional, forward.__name__)(tx, tw, tb, **settings)
    if dy is None:
        return (maps(y),)
    y.backward(planes(dy, learn=False))
    dbias = None if tb is None else plain(gradient(tb))
    return maps(y), maps(gradient(tx)), weights(gradient(tw)), dbias
