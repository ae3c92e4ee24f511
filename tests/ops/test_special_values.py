"""Infinite numbers, NaN, negative zeros and ties: operations select, they do not multiply by zero."""

import numpy as np
import pytest

from scratchnet.engine.capture.captured_network import CapturedNetwork
from scratchnet.engine.modes import textbook
from scratchnet.interop.switches import to_torch
from scratchnet.layers import Conv2d, MaxPool2d
from scratchnet.losses import PixelLoss
from scratchnet.network import Network
from scratchnet.ops.activation import dropout_backward, relu, relu_backward
from scratchnet.ops.normalization import batch_norm_fixed, batch_norm_fixed_backward
from scratchnet.ops.pooling import max_pool2d, max_pool2d_backward, max_unpool2d, max_unpool2d_backward
from tests.compare import special
from tests.torch_layouts import maps, planes, tensor

pytestmark = pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")  # sums of ∞ and −∞

POOLS = [
    ((2, 8, 6, 3), 2, 2, 0, False),  # windows that tile the map
    ((1, 7, 9, 2), 2, 2, 0, True),
    ((2, 9, 8, 3), 3, 2, 1, False),
    ((1, 11, 10, 2), (3, 2), (2, 3), (1, 0), True),
    ((1, 8, 8, 4), 2, 3, 1, False),
    ((1, 6, 5, 2), 5, 1, 2, False),
]


def finite(*shape, dtype=np.float64):
    return np.random.default_rng(7).standard_normal(shape).astype(dtype)


def pool_by_loops(x, switches):
    """Return maxima and switches as PyTorch chooses them: the first maximum, or the last NaN."""
    (kh, kw), (sh, sw), (ph, pw) = switches.kernel, switches.stride, switches.padding
    y, index = np.empty(switches.index.shape, x.dtype), np.empty(switches.index.shape, int)
    for n, o, q, c in np.ndindex(*y.shape):
        window = [
            (i * kw + j, x[n, o * sh - ph + i, q * sw - pw + j, c])
            for i in range(kh)
            for j in range(kw)
            if 0 <= o * sh - ph + i < x.shape[1] and 0 <= q * sw - pw + j < x.shape[2]
        ]
        best = window[0]
        for place, value in window[1:]:
            if value > best[1] or np.isnan(value):
                best = place, value
        index[n, o, q, c], y[n, o, q, c] = best
    return y, index


@pytest.mark.parametrize("book", [False, True])
@pytest.mark.parametrize(("shape", "kernel", "stride", "padding", "ceil_mode"), POOLS)
def test_pooling(dtype, shape, kernel, stride, padding, ceil_mode, book):
    x = special(*shape, dtype=dtype)
    with textbook(book):
        y, switches = max_pool2d(x, kernel, stride, padding, ceil_mode)
        dy = special(*y.shape, dtype=dtype, seed=1)
        dx, read = max_unpool2d(dy, switches), max_unpool2d_backward(special(*shape, dtype=dtype), switches)
    expected, index = pool_by_loops(x, switches)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(switches.index, index)
    there = np.zeros(shape, dtype)
    (_, kw), (sh, sw), (ph, pw) = switches.kernel, switches.stride, switches.padding
    for n, o, q, c in np.ndindex(*y.shape):
        v, u = o * sh - ph + index[n, o, q, c] // kw, q * sw - pw + index[n, o, q, c] % kw
        there[n, v, u, c] += dy[n, o, q, c]
        np.testing.assert_array_equal(read[n, o, q, c], x[n, v, u, c])
    if stride < kernel if isinstance(kernel, int) else stride[0] < kernel[0] or stride[1] < kernel[1]:
        np.testing.assert_allclose(dx, there, rtol=1e-5)
    else:
        np.testing.assert_array_equal(dx, there)


@pytest.mark.parametrize(("shape", "kernel", "stride", "padding", "ceil_mode"), POOLS)
def test_pooling_as_in_pytorch(shape, kernel, stride, padding, ceil_mode):
    torch = pytest.importorskip("torch")
    x = special(*shape)
    y, switches = max_pool2d(x, kernel, stride, padding, ceil_mode)
    given = planes(x)
    theirs, index = torch.nn.functional.max_pool2d(given, kernel, stride, padding, 1, ceil_mode, return_indices=True)
    np.testing.assert_array_equal(y, maps(theirs))
    np.testing.assert_array_equal(to_torch(switches), index.numpy())
    dy = special(*y.shape, seed=1)
    theirs.backward(planes(dy, learn=False))
    np.testing.assert_allclose(max_pool2d_backward(dy, switches), maps(given.grad), rtol=1e-12)


def test_pooling_a_map_of_minus_infinity_keeps_the_whole_gradient():
    x = np.full((1, 4, 4, 1), -np.inf)
    y, switches = max_pool2d(x, 3, 2, 1)
    assert max_pool2d_backward(np.ones_like(y), switches).sum() == 4


@pytest.mark.parametrize("padding", [0, 1])
def test_a_pooling_that_does_a_relus_backward(dtype, padding):
    y, switches = max_pool2d(relu(finite(2, 8, 8, 3, dtype=dtype)), 2, 2, padding)
    dy = special(*y.shape, dtype=dtype)
    expected = max_unpool2d(np.where(y > 0, dy, 0), switches)
    np.testing.assert_array_equal(max_pool2d_backward(dy, switches, y), expected)


def test_relu_passes_gradients_as_pytorch_does(dtype):
    torch = pytest.importorskip("torch")
    x, dy = special(2, 9, 7, 5, dtype=dtype), special(2, 9, 7, 5, dtype=dtype, seed=1)
    given = tensor(x)
    theirs = given.relu()
    theirs.backward(torch.tensor(dy))
    y = relu(x)
    np.testing.assert_array_equal(y, theirs.detach().numpy())
    np.testing.assert_array_equal(relu_backward(dy, y), given.grad.numpy())
    np.testing.assert_array_equal(relu_backward(dy, x), given.grad.numpy())


@pytest.mark.parametrize("overwrite", [False, True])
def test_batch_norm_with_a_relu_drops_infinite_gradients(dtype, overwrite):
    x, one = finite(2, 5, 4, 3, dtype=dtype), np.ones(3, dtype)
    y, normalized = batch_norm_fixed(x, one, 0 * one, 0 * one, one, 0.0, relu=True)
    dy = special(*x.shape, dtype=dtype)
    expected = np.where(y > 0, dy, 0)
    dx, _, dbeta = batch_norm_fixed_backward(dy.copy(), normalized, one, overwrite)
    np.testing.assert_array_equal(dx, expected)
    np.testing.assert_allclose(dbeta, expected.sum(axis=(0, 1, 2)), rtol=1e-5)


@pytest.mark.parametrize("book", [False, True])
def test_dropped_numbers_are_zero_whatever_they_were(dtype, book):
    x = special(2, 4, 4, 3, dtype=dtype)
    mask = np.where(finite(*x.shape) > 0, 2, 0).astype(dtype)
    with textbook(book):
        np.testing.assert_array_equal(dropout_backward(x, mask), np.where(mask > 0, 2 * x, 0))


def logits_and_target(classes):
    """Return logits of −∞ in places, and NaN and ∞ at ignored pixels."""
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((2, 5, 6, classes))
    target = rng.integers(0, classes, logits.shape[:3])
    if classes > 2:
        logits[(rng.random(logits.shape) < 0.2) & (target[..., None] != np.arange(classes))] = -np.inf
    target[rng.random(target.shape) < 0.4] = 255
    ignored = target == 255
    logits[ignored] = rng.choice([np.nan, np.inf, -np.inf, 1.0], (ignored.sum(), classes))
    return logits, target, ignored


@pytest.mark.filterwarnings("error")
def test_a_class_of_logit_minus_infinity_has_probability_zero():
    logits = np.array([2, -np.inf, 1]).reshape(1, 1, 1, 3)
    loss, dlogits = PixelLoss(3)(logits, np.zeros((1, 1, 1), int))
    assert loss == pytest.approx(0.3132617, abs=1e-7)
    np.testing.assert_allclose(dlogits.ravel(), [-0.26894142, 0, 0.26894142], atol=1e-8)
    assert PixelLoss(3)(logits, np.ones((1, 1, 1), int))[0] == np.inf


@pytest.mark.parametrize("normalization", ["pixels", "weights", "sum"])
@pytest.mark.parametrize("classes", [2, 3, 21])
def test_cross_entropy_as_in_pytorch(classes, normalization):
    torch = pytest.importorskip("torch")
    logits, target, ignored = logits_and_target(classes)
    weights = np.linspace(0, 1, classes)
    loss = PixelLoss(classes, class_weights=tuple(weights), normalization=normalization)
    ours, dlogits = loss(logits, target)
    given = planes(np.where(ignored[..., None], 0, logits))
    theirs = torch.nn.functional.cross_entropy(
        given,
        tensor(target, learn=False),
        tensor(weights, learn=False),
        ignore_index=255,
        reduction="mean" if normalization == "weights" else "sum",
    )
    if normalization == "pixels":
        theirs = theirs / (~ignored).sum()
    theirs.backward()
    assert ours == pytest.approx(theirs.item(), rel=1e-12)
    np.testing.assert_allclose(dlogits, maps(given.grad), atol=1e-12)


@pytest.mark.parametrize("name", ["cross-entropy", "dice", "cross-entropy+dice"])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_what_the_logits_of_ignored_pixels_are_does_not_matter(name, channels, dtype):
    logits, target, ignored = logits_and_target(channels)
    classes = max(2, channels)
    loss = PixelLoss(classes, name, class_weights=(0.0,) + (1.0,) * (classes - 1))
    pixel_weights = np.where(ignored, np.nan, 1.5)
    found = loss(logits.astype(dtype), target, pixel_weights)
    plain = loss(np.where(ignored[..., None], 0, logits).astype(dtype), target, np.where(ignored, 1, pixel_weights))
    assert found[0] == pytest.approx(plain[0], rel=1e-5)
    np.testing.assert_allclose(found[1], plain[1], rtol=1e-5)
    assert not found[1][ignored].any()


def test_a_certain_and_right_pixel_costs_nothing():
    logits = np.array([np.inf, -np.inf]).reshape(1, 1, 2, 1)
    loss, dlogits = PixelLoss(2)(logits, np.array([[[1, 0]]]))
    assert loss == 0
    assert not dlogits.any()
    assert PixelLoss(2)(logits, np.array([[[0, 1]]]))[0] == np.inf


@pytest.mark.parametrize("pool", [(2,), (3, 2, 1)])
def test_a_replay_finds_nan_that_was_not_there_when_it_was_recorded(pool):
    def network():
        net = Network(4)
        net.add("pool", MaxPool2d(*pool))
        net.add("conv", Conv2d(4, 2, 1))
        return net.allocate(0).train()

    plain, fast = network(), network()
    replay = CapturedNetwork(fast)
    for x in (finite(2, 8, 8, 4, dtype=np.float32),) * 4 + (special(2, 8, 8, 4, dtype=np.float32),):
        expected, found = plain.forward(x.copy()), replay.forward(x.copy())
        np.testing.assert_array_equal(found, expected)
        dy = np.ones_like(expected)
        plain.backward(dy.copy())
        replay.backward(dy.copy())
