"""Statements of layers about themselves, compared with what their passes do."""

import numpy as np
import pytest

from scratchnet.layers import (
    BilinearTranspose2d,
    Conv2d,
    ConvTranspose2d,
    InputInfo,
    Layer,
    LeakyReLU,
    MaxPool2d,
    MaxUnpool2d,
    ReLU,
    UpsampleBilinear,
    Window,
)
from scratchnet.layers.builtin import BUILTIN
from scratchnet.network import Network
from tests.compare import numbers
from tests.layer_cases import CASES, EVEN, C, prepared


def test_a_layer_that_states_nothing():
    class Silent(Layer):
        pass

    layer = Silent()
    assert (layer.kind, layer.describe(), layer.extra_outputs) == ("unknown", "Silent", ())
    assert layer.decisions([np.ones(3)], np.ones(3)) == []
    assert layer.weights_between([0], [0]) is None
    assert layer.multiply_adds((1, 2, 2, 4)) == layer.extra_bytes((1, 2, 2, 4)) == 0
    with pytest.raises(NotImplementedError, match=r"Silent must define windows\(\)"):
        layer.windows(InputInfo((1, 2, 2, 4)))


@pytest.mark.parametrize(
    "layer",
    [
        Conv2d(4, 6, (2, 3)),
        Conv2d(4, 6, 3, groups=2),
        Conv2d(4, 4, 3, groups=4),
        ConvTranspose2d(4, 6, (2, 3), 2),
        ConvTranspose2d(4, 6, 3, 2, groups=2),
        UpsampleBilinear((2, 3)),
        UpsampleBilinear(3),
        BilinearTranspose2d(2),
        BilinearTranspose2d(3),
    ],
    ids=lambda layer: layer.describe(),
)
def test_weights_between_channels_are_those_that_an_impulse_meets(layer):
    """One pixel of one channel spreads over the output by the weights of its window; a convolution turns them round."""
    net = Network(4)
    net.add("step", layer)
    net.allocate(0, np.float64).eval()
    x = np.zeros((1, 7, 7, 4))
    x[0, 3, 3, 2] = 1
    y = net.forward(x)[0]
    (window,) = layer.windows(InputInfo(x.shape))
    weights = layer.weights_between(range(y.shape[2]), [2])
    kh, kw = window.kernel
    assert weights.shape == ((y.shape[2], 1, kh, kw) if layer.parameters else (1, 1, kh, kw))
    expected = np.zeros_like(y)
    for i, j in np.ndindex(kh, kw):
        row, column = (3 * window.stride[0] + i, 3 * window.stride[1] + j) if window.transposed else (3 - i, 3 - j)
        row, column = row - window.padding[0], column - window.padding[1]
        expected[row, column, :] += (
            weights[:, 0, i, j] if layer.parameters else (np.arange(4) == 2) * weights[0, 0, i, j]
        )
    np.testing.assert_allclose(y, expected, atol=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_channels_mix_where_it_is_stated(case):
    net = prepared(CASES[case], np.float64)
    if len(net.steps) > 1:
        pytest.skip("of several steps")
    x, mixes = numbers(1, *EVEN, C), False
    for channel in range(C):
        other = x.copy()
        other[..., channel] += numbers(1, *EVEN, seed=1)
        changed = (net.forward(x) != net.forward(other)).any(axis=(0, 1, 2))
        mixes |= bool(np.delete(changed, channel).any())
    assert net.steps[0].layer.mixes_channels == mixes


@pytest.mark.parametrize("layer", [ReLU(), LeakyReLU(0.1)], ids=lambda layer: layer.describe())
def test_decisions_of_an_activation_have_the_sign_of_its_input(layer):
    x = numbers(1, 3, 4, 2)
    (quantity,) = layer.decisions([x], layer.forward(x))
    np.testing.assert_array_equal(quantity > 0, x > 0)


def test_decisions_of_a_pool_are_all_positions_of_the_maximum():
    pool = MaxPool2d(2)
    x = np.array([[1, 1, 0, 2], [0, 1 - 1e-15, 2, 1]], np.float64).reshape(1, 2, 4, 1)
    (found,) = pool.decisions([x], pool.forward(x))
    assert found[0, 0, :, :, 0].astype(int).tolist() == [[1, 1, 0, 1], [0, 1, 1, 0]]  # 1 − 10⁻¹⁵ counts as 1


def test_an_unpooling_mirrors_the_window_of_its_pool():
    (window,) = MaxPool2d(3, 2, 1).windows(InputInfo((1, 8, 8, 4)))
    assert window == Window((3, 3), (2, 2), (1, 1))
    both = MaxUnpool2d().windows(InputInfo((1, 4, 4, 4)), InputInfo((1, 8, 8, 4), window))
    assert both == [Window((3, 3), (2, 2), (1, 1), transposed=True)] * 2
    assert window.mirrored().mirrored() == window


@pytest.mark.parametrize("kind", BUILTIN, ids=lambda kind: kind.__name__)
def test_the_bytes_of_extra_outputs_are_stated(kind):
    layer = kind(*kind.example)
    assert (layer.extra_bytes((2, 8, 8, 4)) > 0) == bool(layer.extra_outputs)
