"""Every operation on device arrays: NumPy's results, nothing copied, nobody waiting."""

import numpy as np
import pytest

from scratchnet.arrays import generator
from scratchnet.engine import dispatch
from scratchnet.engine.modes import textbook
from scratchnet.ops import (
    activation,
    channel_sums,
    dice,
    local_response_norm,
    losses,
    normalization,
    pixel_factors,
    resampling,
    shape,
    updates,
)
from scratchnet.ops.convolution import conv2d, conv2d_backward
from scratchnet.ops.pooling import max_pool2d, max_pool2d_backward, max_unpool2d, max_unpool2d_backward
from scratchnet.ops.switch_packing import pack_switches, unpack_switches
from scratchnet.ops.synchronized import shared_batch_norm, shared_batch_norm_backward
from scratchnet.ops.transposed import conv_transpose2d, conv_transpose2d_backward
from scratchnet.utils.random_stream import RandomStream
from tests.compare import distinct, numbers
from tests.devices.compare import assert_same, down, up
from tests.standin.array import counted

X = (2, 6, 7, 4)


def conv(x_shape, w_shape, **settings):
    """A convolution, forward and backward, as a function of arrays."""
    x, weight, bias = numbers(*x_shape), numbers(*w_shape, seed=1), numbers(w_shape[3], seed=2)

    def both(x, weight, bias, dy):
        return conv2d(x, weight, bias, **settings), conv2d_backward(dy, x, weight, **settings)

    return both, (x, weight, bias, numbers(*conv2d(x, weight, bias, **settings).shape, seed=3))


def deconv(x_shape, w_shape, output_padding=0, **settings):
    x, weight = numbers(*x_shape), numbers(*w_shape, seed=1)
    bias = numbers(w_shape[2] * settings.get("groups", 1), seed=2)

    def both(x, weight, bias, dy):
        y = conv_transpose2d(x, weight, bias, output_padding=output_padding, **settings)
        return y, conv_transpose2d_backward(dy, x, weight, **settings)

    y = conv_transpose2d(x, weight, bias, output_padding=output_padding, **settings)
    return both, (x, weight, bias, numbers(*y.shape, seed=3))


def pool(shape, *settings):
    """Pooling and its gradient, unpooling and its gradient."""

    def all_four(x, other):
        y, switches = max_pool2d(x, *settings)
        return (
            y,
            switches,
            max_pool2d_backward(2 * y, switches),
            max_unpool2d(y, switches),
            max_unpool2d_backward(other, switches),
        )

    return all_four, (distinct(*shape), numbers(*shape))


def norm(relu):
    def both(x, gamma, beta, dy):
        y, normalized = normalization.batch_norm(x, gamma, beta, relu=relu)
        fixed, by_given = normalization.batch_norm_fixed(x, gamma, beta, 0.1 * gamma, beta * beta, relu=relu)
        return (
            y,
            normalized.mean,
            normalized.variance,
            normalized.inverse_std,
            normalized.positive(),
            normalization.batch_norm_backward(dy, normalized, gamma),
            fixed,
            normalization.batch_norm_fixed_backward(dy, by_given, gamma),
        )

    return both, (numbers(*X), numbers(4, seed=1), numbers(4, seed=2), numbers(*X, seed=3))


def shared_norm(relu):
    """Batch norm of a share of a batch; the other process has the same images."""

    def double(sums):
        sums *= 2

    def both(x, gamma, beta, dy):
        y, normalized, count = shared_batch_norm(x, gamma, beta, double, relu=relu)
        back = shared_batch_norm_backward(dy, normalized, gamma, count, double)
        return y, normalized.mean, normalized.variance, normalized.positive(), count, back

    return both, (numbers(*X), numbers(4, seed=1), numbers(4, seed=2), numbers(*X, seed=3))


def linear(forward, backward, shape, *settings):
    """Something without parameters, and its gradient."""

    def both(x, dy):
        return forward(x, *settings), backward(dy, *settings)

    return both, (numbers(*shape), numbers(*forward(numbers(*shape), *settings).shape, seed=1))


def lrn():
    def both(x, dy):
        y, scale = local_response_norm.local_response_norm(x, 3, 0.5)
        return y, local_response_norm.local_response_norm_backward(dy, x, scale, 3, 0.5)

    return both, (numbers(*X), numbers(*X, seed=1))


def relu():
    def both(x, dy):
        y = activation.relu(x)
        return y, activation.relu_backward(dy, y), activation.relu(x.copy(), x)

    return both, (numbers(*X), numbers(*X, seed=1))


def loss(function, channels, **settings):
    labels = generator(3, "labels").integers(0, max(2, channels), (2, 4, 5)).astype(np.uint8)
    labels[0, 0, :3] = 255
    weights = np.linspace(0.5, 2, max(2, channels))

    def both(logits, labels, weights, per_pixel):
        counted, factors = pixel_factors.pixel_factors(
            labels, logits, max(2, channels), weights, per_pixel, normalization=settings.get("normalization", "pixels")
        )
        return counted, factors, function(logits, counted, factors)

    return both, (numbers(2, 4, 5, channels), labels, weights, np.abs(numbers(2, 4, 5, seed=2)))


def update(function, count, *settings):
    def moved(*arrays):
        function(*arrays, *settings)
        return arrays

    return moved, tuple(np.abs(numbers(50, seed=i)) for i in range(count))


def dropped(x):
    y, mask = activation.dropout(x, 0.3, RandomStream(generator(1, "drop")))
    return y, mask, activation.dropout_backward(y, mask)


def packed_and_back(x):
    packed = pack_switches(max_pool2d(x, 2)[1])
    return packed, unpack_switches(packed)


CASES = {
    "conv 3×3": lambda: conv(X, (3, 3, 4, 9), padding=1),
    "conv 3×3, many tiles": lambda: conv((2, 24, 24, 8), (3, 3, 8, 8), padding=1),
    "conv 1×1": lambda: conv(X, (1, 1, 4, 9)),
    "conv to few channels": lambda: conv((2, 6, 7, 8), (3, 3, 8, 2), padding=1),
    "conv stride 2": lambda: conv(X, (3, 3, 4, 5), stride=2, padding=1),
    "conv dilation 2": lambda: conv(X, (3, 3, 4, 5), dilation=2, padding=2),
    "conv groups": lambda: conv(X, (3, 3, 2, 6), groups=2, padding=1),
    "conv depthwise": lambda: conv(X, (3, 3, 1, 4), groups=4, padding=1),
    "conv depthwise, stride 2": lambda: conv((2, 7, 9, 4), (3, 3, 1, 4), groups=4, padding=1, stride=2),
    "conv, everything uneven": lambda: conv(X, (2, 4, 4, 3), stride=(2, 3), padding=(0, 2), dilation=(2, 1)),
    "conv over the whole map": lambda: conv((3, 4, 5, 2), (4, 5, 2, 6)),
    "deconv 3×3": lambda: deconv(X, (3, 3, 5, 4), padding=1),
    "deconv stride 2": lambda: deconv(X, (3, 3, 5, 4), 1, stride=2, padding=1),
    "deconv 4×4 stride 2": lambda: deconv(X, (4, 4, 5, 4), stride=2, padding=1),
    "deconv groups": lambda: deconv(X, (3, 3, 3, 4), groups=2, stride=2),
    "deconv from one pixel": lambda: deconv((2, 1, 1, 6), (5, 5, 4, 6)),
    "pool 2×2": lambda: pool((2, 6, 8, 4), 2),
    "pool 2×2, odd": lambda: pool((2, 7, 9, 4), 2),
    "pool ceil mode": lambda: pool((2, 7, 9, 4), 2, 2, 0, True),
    "pool overlapping": lambda: pool((2, 7, 9, 4), 3, 2, 1),
    "pool gaps": lambda: pool((2, 7, 9, 4), 1, (2, 3), 0, True),
    "pool large window": lambda: pool((1, 34, 34, 2), 17),
    "batch norm": lambda: norm(False),
    "batch norm and ReLU": lambda: norm(True),
    "batch norm over ranks": lambda: shared_norm(False),
    "batch norm and ReLU over ranks": lambda: shared_norm(True),
    "local response norm": lrn,
    "relu": relu,
    "sigmoid": lambda: (activation.sigmoid, (numbers(*X),)),
    "softmax": lambda: (activation.softmax, (numbers(*X),)),
    "dropout": lambda: (dropped, (numbers(3, 5, 7, 3),)),
    "channel sums": lambda: (channel_sums.channel_sums, (numbers(*X),)),
    "softmax cross-entropy": lambda: loss(losses.softmax_cross_entropy, 3),
    "softmax cross-entropy, weights": lambda: loss(losses.softmax_cross_entropy, 3, normalization="weights"),
    "sigmoid cross-entropy, sum": lambda: loss(losses.sigmoid_cross_entropy, 1, normalization="sum"),
    "dice": lambda: loss(dice.dice_loss, 3),
    "dice, binary": lambda: loss(dice.dice_loss, 1),
    "nearest": lambda: linear(resampling.upsample_nearest, resampling.upsample_nearest_backward, X, (2, 3)),
    "bed of nails": lambda: linear(resampling.bed_of_nails, resampling.bed_of_nails_backward, X, 2),
    "bilinear": lambda: (
        lambda x, dy: (resampling.upsample_bilinear(x, (9, 14)), resampling.upsample_bilinear_backward(dy, (6, 7))),
        (numbers(*X), numbers(2, 9, 14, 4)),
    ),
    "bilinear deconv": lambda: linear(resampling.bilinear_transpose, resampling.bilinear_transpose_backward, X, 3),
    "crop": lambda: (
        lambda x, dy: (shape.crop2d(x, 1, (3, 4)), shape.crop2d_backward(dy, 1, (6, 7))),
        (numbers(*X), numbers(2, 3, 4, 4)),
    ),
    "pad": lambda: linear(shape.pad2d, shape.pad2d_backward, X, (1, 2)),
    "concatenate": lambda: (
        lambda a, b: (shape.concatenate(a, b), shape.concatenate_backward(b, [1, 2])),
        (numbers(*X), numbers(2, 6, 7, 3)),
    ),
    "add": lambda: (shape.add, (numbers(*X), numbers(*X, seed=1), numbers(*X, seed=2))),
    "packed switches": lambda: (
        packed_and_back,
        (distinct(1, 6, 10, 3),),
    ),
    "momentum": lambda: update(updates.sgd_update, 3, 0.1, 0.9, 0.01),
    "Adam": lambda: update(updates.adam_update, 4, 0.1, 0.9, 0.999, 0.3, 1e-8, 0.01),
}


@pytest.mark.parametrize("case", CASES)
def test_an_operation_gives_on_a_device_what_it_gives_in_numpy(case, xp, dtype):
    function, arguments = CASES[case]()
    arguments = [a.astype(dtype) if a.dtype.kind == "f" else a for a in arguments]
    above = up(arguments, xp)
    with counted() as counts:
        result = function(*above)
    assert counts.copies == counts.synchronisations == []
    assert_same(down(result), function(*arguments))


def test_a_large_map_takes_no_more_calls_than_a_small_one(xp):
    """Blocks that fit a cache, and a share of them a core, are for CPUs."""
    launches = []
    for size, n in ((8, 1), (96, 3)):
        with counted() as counts:
            for make in (
                lambda size=size, n=n: conv((n, size, size, 16), (3, 3, 16, 16), padding=1),
                lambda size=size, n=n: pool((n, size, size, 64), 2),
            ):
                function, arguments = make()
                function(*up([a.astype(np.float32) for a in arguments], xp))
            maps = up([numbers(n, size, size, 16, dtype=np.float32) for _ in range(2)], xp)
            gamma = up(numbers(16, dtype=np.float32), xp)
            _, normalized = normalization.batch_norm(maps[0], gamma, gamma, relu=True)
            normalization.batch_norm_backward(maps[1], normalized, gamma)
            _, normalized, pixels = shared_batch_norm(maps[0], gamma, gamma, len, relu=True)
            shared_batch_norm_backward(maps[1], normalized, gamma, pixels, len)
        launches.append(counts.launches)
    assert launches[1] <= launches[0] + 5  # a sum in two steps, perhaps


def test_a_kernel_takes_over_where_there_is_one_and_it_can(xp, monkeypatch):
    x = numbers(*X)

    def kernel(x):
        return NotImplemented if x.dtype == np.float32 else "by the kernel"

    monkeypatch.setattr(dispatch, "find_fast_form", lambda device, module, name: kernel if name == "sigmoid" else None)
    assert activation.sigmoid(xp.asarray(x)) == "by the kernel"
    for y in (
        down(activation.sigmoid(xp.asarray(x.astype(np.float32)))),
        activation.sigmoid(x.astype(np.float32)),
    ):
        np.testing.assert_allclose(y, 1 / (1 + np.exp(-x)), rtol=1e-5)
    with textbook():
        np.testing.assert_allclose(down(activation.sigmoid(xp.asarray(x))), 1 / (1 + np.exp(-x)), rtol=1e-9)


def test_a_kernel_is_found_by_the_name_of_its_operation():
    assert dispatch.find_fast_form("cuda", "scratchnet.ops.nothing", "such_a_thing") is None


IN_PLACE = ("momentum", "Adam")


@pytest.mark.parametrize("case", [case for case in CASES if case not in IN_PLACE])
def test_gaps_between_numbers_are_not_read(case, xp):
    function, arguments = CASES[case]()
    wide = [xp.full((*array.shape, 2), 77, array.dtype) for array in arguments]
    for pairs, array in zip(wide, arguments, strict=True):
        pairs[..., 0] = xp.asarray(array)
    assert_same(down(function(*(pairs[..., 0] for pairs in wide))), function(*arguments))


NEED_NO_IMAGES = ("relu", "softmax", "softmax cross-entropy", "pool 2×2", "pool overlapping", "nearest", "pad", "add")


def test_no_images_at_all(xp):
    for case in NEED_NO_IMAGES:
        function, arguments = CASES[case]()
        none = [a[:0] if a.ndim > 1 else a for a in arguments]
        with np.errstate(invalid="ignore"):
            assert_same(down(function(*up(none, xp))), function(*none), case)
    x = up(numbers(0, 6, 7, 8), xp)
    assert conv2d(x, up(numbers(3, 3, 8, 2), xp), padding=1).shape == (0, 6, 7, 2)
    assert conv2d(x, up(numbers(3, 3, 1, 8), xp), groups=8).shape == (0, 4, 5, 8)
