"""Random normalisations, activations, resamplings and arrangements, forward and backward."""

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from scratchnet.layers import Dropout
from scratchnet.ops import activation, local_response_norm, normalization, resampling
from scratchnet.ops import shape as ops_shape
from tests.differential.arrays import FINITE, NON_FINITE, array_words, make
from tests.differential.convolutions import BATCH, CORES, DTYPES, pairs
from tests.differential.judging import ROUNDING, agree, unchanged, working
from tests.differential.torch_side import gradient, maps, plain, planes, tensor

ANY = array_words((*FINITE, *NON_FINITE))
MODERATE = array_words(("zeros", "constant", "ties", "negative zeros"))
SIZES = st.lists(st.integers(1, 9), min_size=2, max_size=2)


def _common(**more):
    """Return a strategy for a map, a mode and what else an operation takes."""
    modes = st.sampled_from(["plain", "textbook"])
    map_ = {"n": BATCH, "size": SIZES, "c": st.integers(1, 9), "dtype": DTYPES, "mode": modes, "cores": CORES}
    return st.fixed_dictionaries(map_ | more)


def _map(case, name):
    return make(case[name], (case["n"], *case["size"], case["c"]), np.dtype(case["dtype"]))


# Batch norm -----------------------------------------------------------------------------------------------------------


def batch_norm_cases():
    """Draw a map, statistics (the batch's or given ones) and whether a ReLU follows."""
    values = array_words(("zeros", "constant", "ties", "negative zeros", "shifted", "first row apart"))
    return _common(
        x=values, dy=MODERATE, gamma=MODERATE, beta=MODERATE, mean=MODERATE, variance=MODERATE,
        training=st.booleans(), relu=st.booleans(), overwrite=st.booleans(), eps=st.sampled_from([1e-5, 1e-3, 1.0]),
    )  # fmt: skip


def check_batch_norm(case):
    """Compare batch norm, with and without the ReLU in the same passes, and its three gradients."""
    dtype, x = np.dtype(case["dtype"]), _map(case, "x")
    per_channel = {name: make(case[name], (case["c"],), dtype) for name in ("gamma", "beta", "mean", "variance")}
    gamma, beta, mean, variance = (
        per_channel["gamma"],
        per_channel["beta"],
        per_channel["mean"],
        per_channel["variance"],
    )
    variance = np.abs(variance)
    assume(not case["training"] or case["n"] == 0 or case["n"] * case["size"][0] * case["size"][1] > 1)
    overwrite = case["overwrite"] and case["training"]
    given = x.copy() if overwrite else x
    dy = _map(case, "dy")
    with working(case["mode"], case["cores"]), unchanged(gamma, beta, mean, variance, *([] if overwrite else [x])):
        if case["training"]:
            y, saved = normalization.batch_norm(given, gamma, beta, case["eps"], case["relu"], overwrite)
            dx, dgamma, dbeta = normalization.batch_norm_backward(dy.copy(), saved, gamma, overwrite)
        else:
            y, saved = normalization.batch_norm_fixed(given, gamma, beta, mean, variance, case["eps"], case["relu"])
            with unchanged(dy):
                dx, dgamma, dbeta = normalization.batch_norm_fixed_backward(dy, saved, gamma)
    if case["n"] == 0:
        for what, found, shape in (("y", y, x.shape), ("dx", dx, x.shape), ("dgamma", dgamma, gamma.shape)):
            agree(what, found, np.zeros(shape), dtype, 0)
        agree("dbeta", dbeta, np.zeros(gamma.shape), dtype, 0)
        return
    _compare_batch_norm(case, x, dy, per_channel | {"variance": variance}, (y, dx, dgamma, dbeta))


def _compare_batch_norm(case, x, dy, per_channel, found):
    import torch

    dtype, eps = np.dtype(case["dtype"]), float(np.dtype(case["dtype"]).type(case["eps"]))
    tx, (tg, tb) = planes(x), (tensor(per_channel[name]) for name in ("gamma", "beta"))
    statistics = [tensor(per_channel[name], False) for name in ("mean", "variance")]
    z = torch.nn.functional.batch_norm(tx, *statistics, tg, tb, case["training"], eps=eps)
    axes = (0, 1, 2)
    wide = np.asarray(x, np.float64)
    if case["training"]:
        statistics = [torch.tensor(wide.mean(axes)), torch.tensor(wide.var(axes))]
    inverse = 1 / np.sqrt(plain(statistics[1]) + eps)
    # y = a·x + b rounds in the size of a·x, not of the difference.
    rounding = 16 * np.finfo(dtype).eps / ROUNDING[dtype]
    largest = np.maximum(np.abs(wide).max(axes), np.abs(plain(statistics[0])))
    reach = 1 + inverse * np.abs(wide - plain(statistics[0])).max(axes) + rounding * inverse * largest
    gamma = np.abs(per_channel["gamma"].astype(np.float64))
    scale_y = (gamma * reach + np.abs(per_channel["beta"])).max()
    if case["relu"]:  # where the sign is rounding's, either slope is right
        near = np.abs(maps(z)) <= ROUNDING[dtype] * scale_y
        near &= maps(z) != 0
        dy = np.where(near, 0, dy)
        assume(not near.any())
        z = torch.relu(z)
    z.backward(planes(dy, learn=False))
    slopes = np.abs(dy).astype(np.float64)
    spread = gamma * inverse * (slopes.max(axes) + reach**2 * slopes.mean(axes))
    scales = scale_y, spread.max(), (reach * slopes.sum(axes)).max(), slopes.sum(axes).max()
    theirs = maps(z), maps(gradient(tx)), plain(gradient(tg)), plain(gradient(tb))
    for what, mine, expected, scale in zip(("y", "dx", "dgamma", "dbeta"), found, theirs, scales, strict=True):
        agree(what, mine, expected, dtype, scale)


# Local response norm --------------------------------------------------------------------------------------------------


def local_response_norm_cases():
    """Draw a map and the settings of a local response norm."""
    return _common(
        x=MODERATE, dy=MODERATE, window=st.sampled_from([1, 3, 5, 7]), alpha=st.sampled_from([1e-4, 0.5]),
        beta=st.sampled_from([0.5, 0.75]), k=st.sampled_from([1.0, 2.0]),
    )  # fmt: skip


def check_local_response_norm(case):
    """Compare local response normalisation and its gradient."""
    import torch

    x, dy = _map(case, "x"), _map(case, "dy")
    settings = case["window"], case["alpha"], case["beta"]
    with working(case["mode"], case["cores"]), unchanged(x, dy):
        y, scale = local_response_norm.local_response_norm(x, *settings, case["k"])
        dx = local_response_norm.local_response_norm_backward(dy, x, scale, *settings)
    tx = planes(x)
    if case["n"]:
        ty = torch.nn.functional.local_response_norm(tx, *settings, case["k"])
        ty.backward(planes(dy, learn=False))
    else:
        ty = tx
    agree("y", y, maps(ty), x.dtype)
    agree("dx", dx, maps(gradient(tx)), x.dtype, 1 + np.abs(maps(gradient(tx))).max(initial=0))


# Activations ----------------------------------------------------------------------------------------------------------


def activation_cases():
    """Draw a map for ReLU, sigmoid, softmax and dropout."""
    return _common(x=ANY, dy=ANY, rate=st.sampled_from([0.0, 0.3, 0.9]), finite=array_words())


def check_activation(case):
    """Compare ReLU and its gradient, sigmoid and softmax; check dropout against its own mask."""
    import torch

    x, dy = _map(case, "x"), _map(case, "dy")
    with working(case["mode"], case["cores"]), unchanged(x, dy), np.errstate(invalid="ignore"):
        y, sigmoid, softmax = activation.relu(x), activation.sigmoid(x), activation.softmax(x)
        dx = activation.relu_backward(dy, y)
    tx = planes(x, learn=False)
    agree("relu", y, maps(torch.relu(tx)), x.dtype, 0)
    agree("relu's dx", dx, np.where(y <= 0, 0, dy), x.dtype, 0)
    agree("sigmoid", sigmoid, maps(torch.sigmoid(tx)), x.dtype, 1)
    if case["n"]:
        agree("softmax", softmax, maps(torch.softmax(tx, 1)), x.dtype, 1)
    _check_dropout(case)


def _check_dropout(case):
    x, layer = _map(case, "finite"), Dropout(case["rate"])
    layer.training = True
    with working(case["mode"], case["cores"]), unchanged(x):
        y = layer.forward(x)
        mask = layer.saved[0]
        dx = layer.backward(x)
    kept = np.array(1 / (1 - case["rate"]), case["dtype"])
    assert np.isin(mask, [0, kept]).all()
    agree("dropout", y, np.asarray(x, np.float64) * mask, x.dtype)
    agree("dropout's dx", dx, np.asarray(x, np.float64) * mask, x.dtype)


# Resampling -----------------------------------------------------------------------------------------------------------


def resampling_cases():
    """Draw a map, and the scale and the size that it is brought to."""
    return _common(x=ANY, dy=ANY, finite=array_words(), slopes=array_words(), scale=pairs(1, 4), to=SIZES)


def check_resampling(case):
    """Compare all enlargements and their gradients."""
    x, dtype, scale = _map(case, "x"), np.dtype(case["dtype"]), tuple(case["scale"])
    finite = _map(case, "finite")
    enlarged = (case["n"], x.shape[1] * scale[0], x.shape[2] * scale[1], case["c"])
    dy = make(case["dy"], enlarged, dtype)
    with working(case["mode"], case["cores"]), unchanged(x, dy, finite), np.errstate(invalid="ignore"):
        agree("nearest", resampling.upsample_nearest(x, scale), x.repeat(scale[0], 1).repeat(scale[1], 2), dtype, 0)
        back = resampling.upsample_nearest_backward(dy, scale)
        blocks = dy.astype(np.float64).reshape(case["n"], x.shape[1], scale[0], x.shape[2], scale[1], case["c"])
        sizes = np.where(np.isfinite(blocks), np.abs(blocks), 0).sum((2, 4))
        agree("nearest's dx", back, blocks.sum((2, 4)), dtype, sizes)
        nails = np.zeros(enlarged)
        nails[:, :: scale[0], :: scale[1]] = x
        agree("bed of nails", resampling.bed_of_nails(x, scale), nails, dtype, 0)
        read = resampling.bed_of_nails_backward(dy, scale)
        agree("bed of nails' dx", read, dy[:, :: scale[0], :: scale[1]], dtype, 0)
        _check_bilinear(case, finite, dtype)


def _check_bilinear(case, x, dtype):
    import torch

    tx, size, factor = planes(x), tuple(case["to"]), case["scale"][0]
    slopes = make(case["slopes"], (case["n"], *size, case["c"]), dtype)
    with unchanged(x, slopes):
        y = resampling.upsample_bilinear(x, size)
        dx = resampling.upsample_bilinear_backward(slopes, x.shape[1:3])
    if case["n"]:
        ty = torch.nn.functional.interpolate(tx, size=size, mode="bilinear", align_corners=False)
        ty.backward(planes(slopes, learn=False))
        agree("bilinear", y, maps(ty), dtype, np.abs(x).max())
        agree("bilinear's dx", dx, maps(gradient(tx)), dtype, np.abs(slopes).sum())
    tent = 1 - (torch.arange(2 * factor, dtype=torch.float64) - factor + 0.5).abs() / factor
    kernel = (tent[:, None] * tent).expand(case["c"], 1, -1, -1)
    tx = planes(x)
    ty = torch.nn.functional.conv_transpose2d(tx, kernel, stride=factor, groups=case["c"])
    wide = make(case["slopes"], maps(ty).shape, dtype)
    with unchanged(x, wide):
        y = resampling.bilinear_transpose(x, factor)
        dx = resampling.bilinear_transpose_backward(wide, factor)
    ty.backward(planes(wide, learn=False))
    agree("bilinear_transpose", y, maps(ty), dtype, 4 * np.abs(x).max(initial=0))
    agree("bilinear_transpose's dx", dx, maps(gradient(tx)), dtype, np.abs(wide).sum())


# Arrangement ----------------------------------------------------------------------------------------------------------


def arrangement_cases():
    """Draw two or three maps, a border and a cut."""
    return _common(maps=st.lists(ANY, min_size=2, max_size=3), padding=pairs(0, 3), cut=pairs(0, 8))


def check_arrangement(case):
    """Compare concatenation, sum, padding and crop, and their gradients."""
    shape, dtype = (case["n"], *case["size"], case["c"]), np.dtype(case["dtype"])
    xs = [make(words, shape, dtype) for words in case["maps"]]
    padding, (h, w) = tuple(case["padding"]), case["size"]
    border = ((0, 0), (padding[0],) * 2, (padding[1],) * 2, (0, 0))
    offset = case["cut"][0] % h, case["cut"][1] % w
    part = (slice(None), slice(offset[0], h), slice(offset[1], w))
    with working(case["mode"], case["cores"]), unchanged(*xs), np.errstate(invalid="ignore"):
        joined = ops_shape.concatenate(*xs)
        agree("concatenate", joined, np.concatenate(xs, 3), dtype, 0)
        for x, piece in zip(xs, ops_shape.concatenate_backward(joined, [case["c"]] * len(xs)), strict=True):
            agree("concatenate's dx", piece, x, dtype, 0)
        sizes = sum(np.where(np.isfinite(x), np.abs(x), 0).astype(np.float64) for x in xs)
        agree("add", ops_shape.add(*xs), sum(x.astype(np.float64) for x in xs), dtype, sizes)
        padded = ops_shape.pad2d(xs[0], padding)
        agree("pad", padded, np.pad(xs[0], border), dtype, 0)
        agree("pad's dx", ops_shape.pad2d_backward(padded, padding), xs[0], dtype, 0)
        cut = ops_shape.crop2d(xs[0], offset, (h - offset[0], w - offset[1]))
        agree("crop", cut, xs[0][part], dtype, 0)
        expected = np.zeros(shape)
        expected[part] = xs[0][part]
        agree("crop's dx", ops_shape.crop2d_backward(cut, offset, (h, w)), expected, dtype, 0)
