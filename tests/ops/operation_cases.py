"""A table of all operations with valid arguments, and the memory layouts that an array may come in.

A new operation needs its entry here (``test_arguments`` asks for it); every search over layouts, dtypes, shapes and
empty batches then covers it.
"""

from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np

from scratchnet.ops import (
    activation,
    channel_sums,
    convolution,
    dice,
    epilogue,
    focal,
    group_norm,
    local_response_norm,
    losses,
    normalization,
    pixel_factors,
    pooling,
    resampling,
    shape,
    switch_packing,
    synchronized,
    transposed,
    tversky,
    updates,
    upsampled_kernel,
)
from scratchnet.utils.random_stream import RandomStream
from tests.compare import distinct, numbers

X = (2, 6, 7, 4)


@dataclass(frozen=True)
class Case:
    """One call of an operation.

    Attributes
    ----------
    function : callable
    arguments : dict
        By name; a list for ``*maps``.
    free : dict of str to str
        Of array arguments, those axes (0 … 3) whose size may change without an error.
    """

    function: Any
    arguments: dict[str, Any]
    free: dict[str, str]

    def call(self, arguments=None):
        """Return what the operation returns, with copies of the arguments that it may change."""
        arguments = dict(self.arguments if arguments is None else arguments)
        maps = arguments.pop("maps", ())
        return self.function(*maps, **arguments)


def case(function, free=None, **arguments):
    return Case(function, arguments, free or {})


def conv(x, w, **settings):
    """Forward, backward and both gradients by themselves."""
    x, weight, bias = numbers(*x), numbers(*w, seed=1), numbers(w[3], seed=2)
    y = convolution.conv2d(x, weight, bias, **settings)
    dy = numbers(*y.shape, seed=3)
    forward = {"x": "012", "weight": "01"}
    after = epilogue.Epilogue(numbers(w[3], seed=4), numbers(w[3], seed=5), relu=True)
    return {
        "": case(convolution.conv2d, forward, x=x, weight=weight, bias=bias, **settings),
        " and more": case(convolution.conv2d, forward, x=x, weight=weight, bias=bias, **settings, after=after),
        " backward": case(convolution.conv2d_backward, dy=dy, x=x, weight=weight, **settings),
        " weight gradient": case(convolution.conv2d_weight_gradient, dy=dy, x=x, weight=weight, **settings),
        " input gradient": case(
            convolution.conv2d_input_gradient,
            {"dy": "0", "weight": "2"},
            dy=dy,
            weight=weight,
            size=x.shape[1:3],
            **settings,
        ),
    }


def deconv(x, w, output_padding=0, **settings):
    x, weight = numbers(*x), numbers(*w, seed=1)
    bias = numbers(w[2] * settings.get("groups", 1), seed=2)
    y = transposed.conv_transpose2d(x, weight, bias, output_padding=output_padding, **settings)
    dy = numbers(*y.shape, seed=3)
    more = {"output_padding": output_padding, **settings}
    after = epilogue.Epilogue(0.5 * bias, bias)
    free = {"x": "012", "weight": "01"}
    return {
        "": case(transposed.conv_transpose2d, free, x=x, weight=weight, bias=bias, **more),
        " and more": case(transposed.conv_transpose2d, free, x=x, weight=weight, **more, after=after),
        " backward": case(transposed.conv_transpose2d_backward, dy=dy, x=x, weight=weight, **settings),
    }


def pool(shape, *settings):
    x = distinct(*shape)
    names = dict(zip(("kernel", "stride", "padding", "ceil_mode"), settings, strict=False))
    y, switches = pooling.max_pool2d(x, **names)
    dy, tall = numbers(*y.shape, seed=1), numbers(*shape, seed=2)
    return {
        "": case(pooling.max_pool2d, {"x": "0123"}, x=x, **names),
        " backward": case(pooling.max_pool2d_backward, dy=dy, switches=switches, y=y),
        " unpool": case(pooling.max_unpool2d, x=y, switches=switches),
        " unpool backward": case(pooling.max_unpool2d_backward, dy=tall, switches=switches),
    }


def norm(relu):
    x, gamma, beta, dy = numbers(*X), numbers(4, seed=1), numbers(4, seed=2), numbers(*X, seed=3)
    by, ranks = {"gamma": gamma, "beta": beta}, {"allreduce": lambda sums: None}
    _, kept = normalization.batch_norm(x, gamma, beta, relu=relu)
    _, fixed = normalization.batch_norm_fixed(x, gamma, beta, 0.1 * gamma, beta * beta, relu=relu)
    free = {"x": "012"}
    back = {"dy": dy, "normalized": kept, "gamma": gamma}
    return {
        "": case(normalization.batch_norm, free, x=x, **by, relu=relu),
        " over x": case(normalization.batch_norm, free, x=x, **by, relu=relu, overwrite=True),
        " backward": case(normalization.batch_norm_backward, **back),
        " backward over dy": case(normalization.batch_norm_backward, **back, overwrite=True),
        " fixed": case(
            normalization.batch_norm_fixed, free, x=x, **by, mean=0.1 * gamma, variance=beta * beta, relu=relu
        ),
        " fixed backward": case(normalization.batch_norm_fixed_backward, dy=dy, normalized=fixed, gamma=gamma),
        " shared": case(synchronized.shared_batch_norm, free, x=x, **by, **ranks, relu=relu),
        " shared backward": case(synchronized.shared_batch_norm_backward, **back, count=np.array([84.0]), **ranks),
    }


def resampled(name, shape, **settings):
    forward, backward = getattr(resampling, name), getattr(resampling, f"{name}_backward")
    x = numbers(*shape)
    dy = numbers(*forward(x, **settings).shape, seed=1)
    free = "0123"
    settings_back = {"size": shape[1:3]} if "size" in settings else settings
    return {
        "": case(forward, {"x": free}, x=x, **settings),
        " backward": case(backward, {"dy": free}, dy=dy, **settings_back),
    }


def loss(function, channels):
    logits = numbers(2, 4, 5, channels)
    classes = max(2, channels)
    labels, factors = pixel_factors.pixel_factors(np.arange(40).reshape(2, 4, 5) % classes, logits, classes)
    free = "" if function is losses.sigmoid_cross_entropy else "3"
    return {"": case(function, {"logits": free}, logits=logits, labels=labels, factors=factors)}


def updated(function, names, **settings):
    arrays = {name: np.abs(numbers(30, seed=i)) + 0.1 for i, name in enumerate(names)}
    return {"": case(function, {"w": "0"} if len(arrays) == 1 else {}, **arrays, **settings)}


def simple():
    x, dy, lrn_scale = numbers(*X), numbers(*X, seed=1), np.abs(numbers(*X, seed=2)) + 1
    _, switches = pooling.max_pool2d(distinct(1, 6, 10, 3), 2)
    anyhow = {"x": "0123"}
    target = np.arange(24).reshape(2, 3, 4) % 3
    return {
        "relu": case(activation.relu, anyhow, x=x),
        "relu, out": case(activation.relu, x=x, out=dy.copy()),
        "relu backward": case(activation.relu_backward, dy=dy, y=activation.relu(x)),
        "leaky relu": case(activation.leaky_relu, anyhow, x=x, slope=0.1),
        "leaky relu backward": case(activation.leaky_relu_backward, dy=dy, y=x, slope=0.1),
        "group norm": case(
            group_norm.group_norm, {"x": "012"}, x=x, gamma=numbers(4), beta=numbers(4, seed=1), groups=2
        ),
        "group norm backward": case(
            group_norm.group_norm_backward,
            dy=dy,
            x=x,
            mean=numbers(2, 2),
            inverse_std=numbers(2, 2, seed=1) ** 2,
            gamma=numbers(4),
        ),
        "sigmoid": case(activation.sigmoid, anyhow, x=x),
        "softmax": case(activation.softmax, anyhow, x=x),
        "dropout": case(_dropout, anyhow, x=x),
        "dropout backward": case(activation.dropout_backward, dy=x, mask=2.0 * (dy > 0)),
        "crop": case(shape.crop2d, anyhow, x=x, offset=1, size=(3, 4)),
        "crop backward": case(shape.crop2d_backward, {"dy": "0123"}, dy=dy, offset=1, size=(9, 9)),
        "pad": case(shape.pad2d, anyhow, x=x, padding=(1, 2)),
        "pad backward": case(shape.pad2d_backward, {"dy": "0123"}, dy=dy, padding=(1, 2)),
        "concatenate": case(shape.concatenate, {"maps": "3"}, maps=[x, numbers(2, 6, 7, 3)]),
        "concatenate backward": case(shape.concatenate_backward, {"dy": "012"}, dy=dy, channels=[1, 3]),
        "add": case(shape.add, maps=[x, dy, numbers(*X, seed=2)]),
        "subtract per channel": case(
            normalization.subtract_per_channel, {"x": "012"}, x=x.copy(), values=numbers(4)
        ),
        "statistics": case(normalization.batch_statistics, anyhow, x=x),
        "lrn": case(local_response_norm.local_response_norm, anyhow, x=x, size=3),
        "lrn backward": case(local_response_norm.local_response_norm_backward, dy=dy, x=x, scale=lrn_scale, size=3),
        "channel sums": case(channel_sums.channel_sums, anyhow, x=x),
        "add to": case(updates.add_to, total=x.copy(), term=dy),
        "add to, one axis": case(updates.add_to, total=numbers(5), term=numbers(5, seed=1)),
        "copy to": case(updates.copy_to, total=x.copy(), term=dy),
        "upsampled kernel": case(
            upsampled_kernel.upsampled_kernel, {"weight": "0123"}, weight=numbers(3, 2, 4, 5)
        ),
        "upsampled kernel backward": case(
            upsampled_kernel.upsampled_kernel_backward, {"dkernel": "0123"}, dkernel=numbers(4, 3, 4, 5)
        ),
        "pack": case(switch_packing.pack_switches, {"switches.index": "03"}, switches=switches),
        "unpack": case(
            switch_packing.unpack_switches, {}, stored=switch_packing.pack_switches(switches)
        ),
        "check labels": case(pixel_factors.check_labels, {"target": "012"}, target=target, classes=3, ignore_index=255),
        "pixel factors": case(
            pixel_factors.pixel_factors, {"target": "012", "like": "0123"}, target=target, like=x, classes=3
        ),
    }  # fmt: skip


def _dropout(x):
    return activation.dropout(x, 0.3, RandomStream(np.random.Generator(np.random.Philox(1))))


_dropout.__wrapped__ = activation.dropout

GROUPS = {
    "conv 3×3": conv(X, (3, 3, 4, 9), padding=1),
    "conv 5×5 over rows": conv(X, (5, 5, 4, 9), padding=2),
    "conv 1×1": conv(X, (1, 1, 4, 9)),
    "conv few": conv((2, 6, 7, 8), (3, 3, 8, 2), padding=1),
    "conv stride": conv(X, (3, 3, 4, 5), stride=2, padding=1),
    "conv dilation": conv(X, (3, 3, 4, 5), dilation=2, padding=2),
    "conv groups": conv(X, (3, 3, 2, 6), groups=2, padding=1),
    "conv depthwise": conv(X, (3, 3, 1, 4), groups=4, padding=1),
    "conv depthwise stride": conv((2, 7, 9, 4), (3, 3, 1, 4), groups=4, padding=1, stride=2),
    "conv uneven": conv(X, (2, 4, 4, 3), stride=(2, 3), padding=(0, 2), dilation=(2, 1)),
    "conv whole map": conv((3, 4, 5, 2), (4, 5, 2, 6)),
    "deconv 3×3": deconv(X, (3, 3, 5, 4), padding=1),
    "deconv stride": deconv(X, (3, 3, 5, 4), 1, stride=2, padding=1),
    "deconv 2×2": deconv(X, (2, 2, 5, 4), stride=2),
    "deconv groups": deconv(X, (3, 3, 3, 4), groups=2, stride=2),
    "pool 2×2": pool((2, 6, 8, 4), 2),
    "pool odd": pool((2, 7, 9, 4), 2),
    "pool ceil": pool((2, 7, 9, 4), 2, 2, 0, True),
    "pool overlapping": pool((2, 7, 9, 4), 3, 2, 1),
    "batch norm": norm(False),
    "batch norm relu": norm(True),
    "nearest": resampled("upsample_nearest", X, scale=(2, 3)),
    "nails": resampled("bed_of_nails", X, scale=2),
    "bilinear": resampled("upsample_bilinear", X, size=(9, 14)),
    "bilinear deconv": resampled("bilinear_transpose", X, factor=3),
    "softmax loss": loss(losses.softmax_cross_entropy, 3),
    "sigmoid loss": loss(losses.sigmoid_cross_entropy, 1),
    "dice": loss(dice.dice_loss, 3),
    "dice binary": loss(dice.dice_loss, 1),
    "focal loss": loss(focal.focal_loss, 3),
    "focal loss binary": loss(focal.focal_loss, 1),
    "smoothed loss": loss(focal.smoothed_cross_entropy, 3),
    "tversky loss": loss(tversky.tversky_loss, 3),
    "nesterov": updated(updates.nesterov_update, "wgm", rate=0.1, momentum=0.9, decay=0.01),
    "shrink": updated(updates.shrink, "w", rate=0.1),
    "average": updated(updates.average_update, ("average", "w"), decay=0.9),
    "momentum": updated(updates.sgd_update, "wgm", rate=0.1, momentum=0.9, decay=0.01),
    "Adam": updated(
        updates.adam_update, "wgmv", rate=0.1, beta1=0.9, beta2=0.999, unbias2=0.3, eps=1e-8, decay=0.01
    ),
    "": simple(),
}  # fmt: skip
CASES = {group + kind: made for group, cases in GROUPS.items() for kind, made in cases.items()}


# Arrays inside arguments ------------------------------------------------------------------------------------------


def leaves(arguments):
    """Return the array arguments by path: ``x``, ``switches.index``, ``maps.1``."""
    found = {}
    for name, value in arguments.items():
        if isinstance(value, np.ndarray):
            found[name] = value
        elif isinstance(value, list):
            found |= {f"{name}.{i}": v for i, v in enumerate(value) if isinstance(v, np.ndarray)}
        elif is_dataclass(value):
            found |= {
                f"{name}.{f.name}": v for f in fields(value) if isinstance(v := getattr(value, f.name), np.ndarray)
            }
    return found


def with_leaves(arguments, changed):
    """Return the arguments with other arrays in some places."""
    arguments = dict(arguments)
    for path, array in changed.items():
        name, _, part = path.partition(".")
        value = arguments[name]
        if not part:
            arguments[name] = array
        elif isinstance(value, list):
            arguments[name] = [array if i == int(part) else v for i, v in enumerate(value)]
        else:
            arguments[name] = replace(value, **{part: array})
    return arguments


def copied(arguments):
    """Return the arguments with copies of all arrays."""
    return with_leaves(arguments, {path: array.copy() for path, array in leaves(arguments).items()})


# Layouts ----------------------------------------------------------------------------------------------------------


def _in_larger(pad, step):
    """Lay an array out inside a larger one whose other elements are NaN (or 77)."""

    def lay(a):
        shape = tuple(s * n + 2 * p for n, p, s in zip(a.shape, pad(a.ndim), step(a.ndim), strict=True))
        big = np.full(shape, np.nan if a.dtype.kind == "f" else 77 if a.dtype.kind != "b" else True, a.dtype)
        key = tuple(slice(p, p + s * n, s) for n, p, s in zip(a.shape, pad(a.ndim), step(a.ndim), strict=True))
        big[key] = a
        return big[key]

    return lay


def _last(value, other):
    return lambda ndim: (*(other,) * (ndim - 1), value)


def _reversed(*which):
    def lay(a):
        key = tuple(slice(None, None, -1) if i - a.ndim in which or not which else slice(None) for i in range(a.ndim))
        return np.ascontiguousarray(a[key])[key]

    return lay


def _order(front):
    def lay(a):
        axes = front if a.ndim == 4 else tuple(range(a.ndim))[::-1]
        return np.ascontiguousarray(a.transpose(axes)).transpose(np.argsort(axes))

    return lay


def _broadcast(axis):
    def lay(a):
        first = a[:1] if axis == 0 else a[..., :1]
        return np.broadcast_to(np.ascontiguousarray(first), a.shape)

    return lay


def _unaligned(a):
    memory = np.zeros(a.nbytes + 1, np.uint8)
    view = memory[1:].view(a.dtype).reshape(a.shape)
    view[...] = a
    return view


def _read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


LAYOUTS = {
    "channel slice": _in_larger(_last(1, 0), _last(1, 1)),
    "crop": _in_larger(lambda ndim: (1,) * ndim, lambda ndim: (1,) * ndim),
    "steps": _in_larger(lambda ndim: (0,) * ndim, lambda ndim: (1, 2, 3, 1) if ndim == 4 else (2,) * ndim),
    "channel steps": _in_larger(_last(0, 0), _last(2, 1)),
    "BGR": _reversed(-1),
    "upside down": _reversed(-3, -2),
    "all reversed": _reversed(),
    "NCHW": _order((0, 3, 1, 2)),
    "Fortran": np.asfortranarray,
    "transposed": _order((0, 2, 1, 3)),
}
"""Layouts that slicing and transposing make; a GPU has them as well."""

HOST_LAYOUTS = {
    "broadcast images": _broadcast(0),
    "broadcast channels": _broadcast(-1),
    "read-only": _read_only,
    "unaligned": _unaligned,
    "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
}
