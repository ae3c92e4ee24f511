"""PyTorch as an independent judge of every operation, forward and backward."""

import numpy as np
import pytest

from scratchnet.interop.switches import to_torch
from scratchnet.losses import PixelLoss
from scratchnet.ops import activation, local_response_norm, normalization, resampling
from scratchnet.ops.convolution import conv2d, conv2d_backward
from scratchnet.ops.pooling import max_pool2d, max_pool2d_backward, max_unpool2d, max_unpool2d_backward
from scratchnet.ops.transposed import conv_transpose2d, conv_transpose2d_backward
from tests.compare import distinct, numbers
from tests.torch_layouts import kernels, maps, planes, tensor, weights

torch = pytest.importorskip("torch")
F = torch.nn.functional
torch.set_num_threads(1)  # on maps this small, threads only wait for each other


@pytest.fixture
def agree(dtype):
    """Compare with PyTorch: 1e-9 in float64, 1e-4 in float32, measured against the largest value."""

    def compare(actual, expected):
        assert actual.dtype == dtype
        bound = (1e-4 if dtype == np.float32 else 1e-9) * max(1.0, float(np.abs(expected).max()))
        np.testing.assert_allclose(actual, expected, rtol=0, atol=bound)

    return compare


CONVOLUTIONS = [
    ((2, 9, 8, 4), (3, 3, 4, 6), {"padding": 1}),
    ((2, 9, 8, 4), (3, 3, 4, 6), {"stride": 2, "padding": 1}),
    ((2, 9, 8, 4), (1, 1, 4, 6), {}),
    ((2, 9, 8, 4), (3, 3, 2, 6), {"groups": 2}),
    ((2, 9, 8, 4), (3, 3, 1, 8), {"groups": 4, "padding": 1, "stride": 2}),
    ((1, 11, 10, 3), (2, 4, 3, 2), {"stride": (1, 2), "padding": (2, 1), "dilation": (3, 2)}),
]


@pytest.mark.parametrize(("x_shape", "w_shape", "settings"), CONVOLUTIONS)
def test_conv2d(x_shape, w_shape, settings, dtype, agree):
    x, weight = numbers(*x_shape, dtype=dtype), numbers(*w_shape, seed=1, dtype=dtype)
    bias = numbers(w_shape[3], seed=2, dtype=dtype)
    tx, tw, tb = planes(x), kernels(weight), tensor(bias)
    ty = F.conv2d(tx, tw, tb, **settings)
    y = conv2d(x, weight, bias, **settings)
    agree(y, maps(ty))
    dy = numbers(*y.shape, seed=3, dtype=dtype)
    ty.backward(planes(dy, learn=False))
    for mine, theirs in zip(
        conv2d_backward(dy, x, weight, **settings), (maps(tx.grad), weights(tw.grad), tb.grad.numpy()), strict=True
    ):
        agree(mine, theirs)


TRANSPOSED = [
    ((2, 4, 5, 4), (3, 3, 3, 4), {"padding": 1}),
    ((2, 4, 5, 4), (4, 4, 3, 4), {"stride": 2, "padding": 1}),
    ((2, 4, 5, 4), (3, 3, 3, 4), {"stride": 2, "padding": 1, "output_padding": 1}),
    ((2, 4, 5, 4), (3, 3, 3, 4), {"groups": 2, "stride": 2}),
    ((2, 1, 1, 6), (5, 5, 4, 6), {}),
    ((1, 4, 3, 2), (2, 3, 2, 2), {"stride": (3, 2), "output_padding": (2, 0), "dilation": (1, 2)}),
]


@pytest.mark.parametrize(("x_shape", "w_shape", "settings"), TRANSPOSED)
def test_conv_transpose2d(x_shape, w_shape, settings, dtype, agree):
    x, weight = numbers(*x_shape, dtype=dtype), numbers(*w_shape, seed=1, dtype=dtype)
    bias = numbers(w_shape[2] * settings.get("groups", 1), seed=2, dtype=dtype)
    tx, tw, tb = planes(x), kernels(weight), tensor(bias)
    ty = F.conv_transpose2d(tx, tw, tb, **settings)
    y = conv_transpose2d(x, weight, bias, **settings)
    agree(y, maps(ty))
    dy = numbers(*y.shape, seed=3, dtype=dtype)
    ty.backward(planes(dy, learn=False))
    back = {key: value for key, value in settings.items() if key != "output_padding"}
    for mine, theirs in zip(
        conv_transpose2d_backward(dy, x, weight, **back),
        (maps(tx.grad), weights(tw.grad), tb.grad.numpy()),
        strict=True,
    ):
        agree(mine, theirs)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize(
    "settings", [(2, 2, 0, False), (2, 2, 0, True), (3, 2, 1, False), (3, 2, 1, True), ((2, 3), (3, 1), (1, 0), True)]
)
def test_max_pool2d_and_its_indices(settings, ties, dtype, agree):
    x = distinct(2, 9, 7, 3, dtype=dtype)
    if ties:
        x = np.maximum(np.round(x / 4), 0)  # like a ReLU's output: many zeros, many equal numbers
    tx = planes(x)
    ty, indices = F.max_pool2d(tx, *settings[:3], ceil_mode=settings[3], return_indices=True)
    y, switches = max_pool2d(x, *settings)
    agree(y, maps(ty))
    np.testing.assert_array_equal(to_torch(switches), indices.numpy())
    dy = numbers(*y.shape, seed=1, dtype=dtype)
    ty.backward(planes(dy, learn=False))
    agree(max_pool2d_backward(dy, switches), maps(tx.grad))


@pytest.mark.parametrize("settings", [(2, 2, 0, False), (2, 2, 0, True), ((3, 2), (3, 2), (1, 0), False)])
def test_max_unpool2d(settings, dtype, agree):
    pooled, switches = max_pool2d(distinct(2, 9, 7, 3, dtype=dtype), *settings)
    x = numbers(*pooled.shape, dtype=dtype)
    tx = planes(x)
    ty = F.max_unpool2d(tx, torch.tensor(to_torch(switches)), *settings[:3], output_size=(9, 7))
    y = max_unpool2d(x, switches)
    agree(y, maps(ty))
    dy = numbers(*y.shape, seed=1, dtype=dtype)
    ty.backward(planes(dy, learn=False))
    agree(max_unpool2d_backward(dy, switches), maps(tx.grad))


def test_upsample_nearest(dtype, agree):
    x = numbers(2, 3, 4, 2, dtype=dtype)
    tx = planes(x)
    ty = F.interpolate(tx, scale_factor=(2, 3), mode="nearest")
    y = resampling.upsample_nearest(x, (2, 3))
    agree(y, maps(ty))
    dy = numbers(*y.shape, seed=1, dtype=dtype)
    ty.backward(planes(dy, learn=False))
    agree(resampling.upsample_nearest_backward(dy, (2, 3)), maps(tx.grad))


@pytest.mark.parametrize("size", [(6, 10), (9, 5), (2, 3), (7, 1)])
def test_upsample_bilinear(size, dtype, agree):
    x = numbers(2, 3, 5, 2, dtype=dtype)
    tx = planes(x)
    ty = F.interpolate(tx, size=size, mode="bilinear", align_corners=False)
    y = resampling.upsample_bilinear(x, size)
    agree(y, maps(ty))
    dy = numbers(*y.shape, seed=1, dtype=dtype)
    ty.backward(planes(dy, learn=False))
    agree(resampling.upsample_bilinear_backward(dy, (3, 5)), maps(tx.grad))


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm(training, dtype, agree):
    x = 2 * numbers(3, 4, 5, 6, dtype=dtype) + dtype.type(1)
    gamma, beta = numbers(6, seed=1, dtype=dtype), numbers(6, seed=2, dtype=dtype)
    mean, variance = numbers(6, seed=3, dtype=dtype), np.abs(numbers(6, seed=4, dtype=dtype)) + dtype.type(0.5)
    tx, tg, tb = planes(x), tensor(gamma), tensor(beta)
    ty = F.batch_norm(tx, tensor(mean, False), tensor(variance, False), tg, tb, training, eps=1e-3)
    if training:
        y, normalized = normalization.batch_norm(x, gamma, beta, 1e-3)
        back = normalization.batch_norm_backward
    else:
        y, normalized = normalization.batch_norm_fixed(x, gamma, beta, mean, variance, 1e-3)
        back = normalization.batch_norm_fixed_backward
    agree(y, maps(ty))
    dy = numbers(*y.shape, seed=5, dtype=dtype)
    ty.backward(planes(dy, learn=False))
    for mine, theirs in zip(
        back(dy, normalized, gamma), (maps(tx.grad), tg.grad.numpy(), tb.grad.numpy()), strict=True
    ):
        agree(mine, theirs)


def test_local_response_norm(dtype, agree):
    x = 2 * numbers(2, 3, 4, 8, dtype=dtype)
    tx = planes(x)
    ty = F.local_response_norm(tx, 5, alpha=0.7, beta=0.75, k=1.5)
    y, scale = local_response_norm.local_response_norm(x, 5, 0.7, 0.75, 1.5)
    agree(y, maps(ty))
    dy = numbers(*y.shape, seed=1, dtype=dtype)
    ty.backward(planes(dy, learn=False))
    agree(local_response_norm.local_response_norm_backward(dy, x, scale, 5, 0.7, 0.75), maps(tx.grad))


def test_activations(dtype, agree):
    x = 4 * numbers(2, 3, 4, 5, dtype=dtype)
    tx = planes(x)
    ty = F.relu(tx)
    y = activation.relu(x)
    agree(y, maps(ty))
    dy = numbers(*y.shape, seed=1, dtype=dtype)
    ty.backward(planes(dy, learn=False))
    agree(activation.relu_backward(dy, y), maps(tx.grad))
    agree(activation.sigmoid(x), maps(torch.sigmoid(planes(x))))
    agree(activation.softmax(x), maps(torch.softmax(planes(x), dim=1)))


@pytest.mark.parametrize("class_weights", [None, (0.5, 2.0, 1.25)])
def test_cross_entropy(class_weights, dtype, agree):
    logits = 5 * numbers(2, 4, 5, 3, dtype=dtype)
    target = np.random.default_rng(0).integers(0, 3, (2, 4, 5))
    target[0, :2] = 255
    loss, dlogits = PixelLoss(3, class_weights=class_weights, normalization="weights")(logits, target)
    tz = planes(logits)
    tw = None if class_weights is None else torch.tensor(class_weights, dtype=tz.dtype)
    tloss = F.cross_entropy(tz, torch.tensor(target), tw, ignore_index=255)
    tloss.backward()
    agree(np.array(loss, dtype), tloss.detach().numpy())
    agree(dlogits, maps(tz.grad))


def test_binary_cross_entropy(dtype, agree):
    logits = 5 * numbers(2, 4, 5, 1, dtype=dtype)
    target = np.random.default_rng(0).integers(0, 2, (2, 4, 5))
    weights_map = np.abs(numbers(2, 4, 5, seed=1, dtype=dtype))
    loss, dlogits = PixelLoss(2, normalization="sum")(logits, target, weights_map)
    tz = planes(logits)
    tloss = F.binary_cross_entropy_with_logits(
        tz[:, 0], torch.tensor(target, dtype=tz.dtype), torch.tensor(weights_map), reduction="sum"
    )
    tloss.backward()
    agree(np.array(loss, dtype), tloss.detach().numpy())
    agree(dlogits, maps(tz.grad))
