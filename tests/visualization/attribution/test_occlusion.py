"""Occlusion compared with a loop over positions and a case by hand."""

import numpy as np
import pytest

from scratchnet.layers import BatchNorm2d, Conv2d
from scratchnet.network import Network
from scratchnet.visualization.attribution import Unit, occlusion, occlusion_grid
from scratchnet.visualization.attribution import occlusion as function
from tests.compare import image, numbers
from tests.visualization.attribution.nets import hourglass


def naive(net, x, unit, patch, stride, colour):
    """One position at a time, in loops."""
    _, h, w, _ = x.shape
    total, count, first = np.zeros((h, w)), np.zeros((h, w)), -((patch - stride) // 2)
    for top in range(first, first + stride * -(-h // stride), stride):
        for left in range(first, first + stride * -(-w // stride), stride):
            pixels = [(i, j) for i in range(top, top + patch) for j in range(left, left + patch)]
            inside = [(i, j) for i, j in pixels if 0 <= i < h and 0 <= j < w]
            covered = x.copy()
            for i, j in inside:
                covered[0, i, j] = colour
            fall = unit.values(net.forward(x))[0] - unit.values(net.forward(covered))[0]
            for i, j in inside:
                total[i, j] += fall
                count[i, j] += 1
    return total / count


@pytest.mark.parametrize(("patch", "stride"), [(4, 2), (3, 3), (3, 1), (5, 2), (20, 7)])
def test_as_a_loop(patch, stride):
    net, x, unit = hourglass(), numbers(1, 6, 8, 2, seed=2), Unit(3, 2, 1)
    found = occlusion(net, x, unit, occlusion_grid((6, 8), patch, stride), np.array([0.5, -0.25]))
    np.testing.assert_allclose(found, naive(net, x, unit, patch, stride, [0.5, -0.25]), rtol=0, atol=1e-12)


def test_by_hand():
    """A network that adds a pixel and twice its right neighbour; covering one with 0 takes its part away."""
    net = Network(1)
    net.add("conv", Conv2d(1, 1, (1, 2), bias=False))
    net.allocate(0, np.float64).parameters()["conv.weight"].value = np.array([1.0, 2.0]).reshape(1, 2, 1, 1)
    found = occlusion(net, image([[5.0, 3.0, 4.0]]), Unit(0, 1, 0), occlusion_grid((1, 3), 1, 1), np.zeros(1))
    np.testing.assert_array_equal(found, [[0, 3, 8]])


def test_an_activation_and_the_mean_colour():
    net, x, unit = hourglass(), numbers(1, 6, 8, 2, seed=2), Unit(1, 0, 3, "relu2")
    found = occlusion(net, x, unit)
    grid = occlusion_grid((6, 8))
    np.testing.assert_array_equal(found, occlusion(net, x, unit, grid, x.mean(axis=(0, 1, 2))))
    assert not found[:, 6:].any()  # outside of its receptive field
    assert np.abs(found).max() > 0.01


@pytest.mark.parametrize("size", [(1, 1), (16, 16), (17, 16), (128, 128), (100, 333), (544, 544), (16, 5000)])
def test_the_number_of_passes_is_bounded_and_every_pixel_is_covered(size):
    grid = occlusion_grid(size)
    windows = grid.windows()
    assert len(windows) <= 256
    covered = np.zeros(size, int)
    for window in windows:
        assert covered[window].size > 0
        covered[window] += 1
    assert covered.min() >= 1
    assert covered.max() <= 4


def test_the_documented_size():
    grid = occlusion_grid((128, 128))
    assert (grid.patch, grid.stride, len(grid.windows())) == (16, 8, 256)
    assert occlusion_grid((128, 128), patch=4).stride == 2
    with pytest.raises(ValueError, match="stride 5 exceeds the patch of 4 pixels"):
        occlusion_grid((16, 16), 4, 5)
    with pytest.raises(ValueError, match="the grid is for images of"):
        occlusion(hourglass(), numbers(1, 6, 8, 2), Unit(0, 0, 0), grid)


@pytest.mark.parametrize("pixels", [1, 3 * 48, 1 << 18])
def test_the_size_of_a_batch_has_no_effect(monkeypatch, pixels):
    import sys

    net, x, unit = hourglass(), numbers(1, 6, 8, 2, seed=2), Unit(3, 2, 1)
    expected = occlusion(net, x, unit)
    monkeypatch.setattr(sys.modules[function.__module__], "BATCH_PIXELS", pixels)
    np.testing.assert_allclose(occlusion(net, x, unit), expected, rtol=0, atol=1e-13)


def test_statistics_of_the_batch_are_those_of_one_image():
    net = Network(1)
    net.add("conv", Conv2d(1, 2, 3, padding=1))
    net.add("bn", BatchNorm2d(2))
    net.allocate(0, np.float64).eval().use_statistics("batch")
    x, unit, grid = numbers(1, 4, 5, 1), Unit(1, 1, 1), occlusion_grid((4, 5), 2, 2)
    np.testing.assert_allclose(occlusion(net, x, unit, grid, np.zeros(1)), naive(net, x, unit, 2, 2, 0), atol=1e-12)


def test_the_network_does_not_change():
    net, x = hourglass().train(), numbers(1, 6, 8, 2)
    before = {name: buffer.value.copy() for name, buffer in net.state().items()}
    one = occlusion(net, x, Unit(3, 2, 1))
    assert net.training
    for name, buffer in net.state().items():
        np.testing.assert_array_equal(buffer.value, before[name])
    np.testing.assert_array_equal(one, occlusion(net.eval(), x, Unit(3, 2, 1)))
