import numpy as np
import pytest

from scratchnet.layers.initialization import bilinear, constant, gaussian, he_normal, he_normal_transposed, identity
from scratchnet.ops.convolution import conv2d
from scratchnet.ops.resampling import upsample_bilinear
from scratchnet.ops.transposed import conv_transpose2d
from tests.compare import assert_close, numbers


def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize(
    "start",
    [constant(0.5), gaussian(0.1), he_normal, he_normal_transposed, bilinear, identity],
    ids=["constant", "gaussian", "he_normal", "he_normal_transposed", "bilinear", "identity"],
)
def test_starts_have_the_shape_asked_for_in_float32(start):
    values = start(rng(), (4, 4, 3, 3))
    assert values.shape == (4, 4, 3, 3)
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, start(rng(), (4, 4, 3, 3)))


def test_constant_and_gaussian():
    assert (constant(0.001)(rng(), (5,)) == np.float32(0.001)).all()
    values = gaussian(0.01)(rng(), (3, 3, 64, 64))
    assert abs(values.std() / 0.01 - 1) < 0.02
    assert abs(values.mean()) < 1e-3


def test_msra_counts_what_one_output_sees():
    assert abs(he_normal(rng(), (3, 3, 32, 64)).std() / np.sqrt(2 / (9 * 32)) - 1) < 0.02
    assert abs(he_normal_transposed(rng(), (3, 3, 64, 32)).std() / np.sqrt(2 / (9 * 32)) - 1) < 0.02


def test_msra_keeps_the_energy_of_relu_layers_level():
    """x ≥ 0 has E[x²] = half the energy of what went into the ReLU, so weights of variance 2/fan-in restore it."""
    x = np.maximum(numbers(1, 24, 24, 32), 0)
    y = conv2d(x, he_normal(rng(), (3, 3, 32, 64)).astype(np.float64))
    assert 0.8 < (y**2).mean() / (2 * (x**2).mean()) < 1.2
    y = conv_transpose2d(x, he_normal_transposed(rng(), (3, 3, 64, 32)).astype(np.float64), padding=2)
    assert 0.8 < (y**2).mean() / (2 * (x**2).mean()) < 1.2


@pytest.mark.parametrize(
    ("k", "profile"), [(1, [1]), (3, [0.5, 1, 0.5]), (4, [0.25, 0.75, 0.75, 0.25]), (2, [0.5, 0.5])]
)
def test_bilinear_profiles_by_hand(k, profile):
    kernel = bilinear(rng(), (k, k, 1, 1))[:, :, 0, 0]
    np.testing.assert_allclose(kernel, np.outer(profile, profile), rtol=1e-6)


@pytest.mark.parametrize("factor", [2, 4])
def test_a_bilinear_start_interpolates(factor):
    """FCN's upsampling: kernel 2f, stride f, cropped by f/2, is bilinear interpolation away from the border."""
    x = numbers(1, 6, 7, 3)
    weight = bilinear(rng(), (2 * factor, 2 * factor, 3, 3)).astype(np.float64)
    y = conv_transpose2d(x, weight, stride=factor, padding=factor // 2)
    expected = upsample_bilinear(x, (6 * factor, 7 * factor))
    inner = slice(factor, -factor)
    assert_close(y[:, inner, inner], expected[:, inner, inner])


def test_bilinear_channels_feed_only_themselves():
    kernel = bilinear(rng(), (4, 4, 3, 3))
    for a, b in np.ndindex(3, 3):
        assert kernel[:, :, a, b].any() == (a == b)


def test_an_identity_start_passes_every_channel_on():
    x = numbers(1, 6, 7, 3)
    weight = identity(rng(), (3, 3, 3, 3)).astype(np.float64)
    assert_close(conv2d(x, weight, padding=2, dilation=2), x)
