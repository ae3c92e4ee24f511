"""Projections compared with finite differences, the network's own backward pass, and cases by hand."""

from copy import deepcopy

import numpy as np
import pytest

from scratchnet.layers import Conv2d, Layer, LeakyReLU, MaxPool2d, MaxUnpool2d, ReLU, Scale
from scratchnet.layers.builtin import BUILTIN
from scratchnet.models import build
from scratchnet.network import Network
from scratchnet.utils.errors import UserError
from scratchnet.visualization.attribution import METHODS, Unit, project, projections, unknown_steps
from tests.compare import assert_close, image, numbers
from tests.layer_cases import CASES, EVEN, C, prepared
from tests.visualization.attribution.nets import hourglass


@pytest.mark.parametrize("unit", [Unit(3, 2, 1), Unit(3, 2, 1, sign=-1), Unit(1, 2, 3, "relu2"), Unit(4, 1, 7, "both")])
def test_the_gradient_equals_finite_differences(unit):
    net, x, h = hourglass(), numbers(1, 6, 8, 2, seed=2), 1e-6

    def value(x):
        name = unit.step_of(net)
        return next(unit.values(maps)[0] for step, maps in net.walk(x) if step == name)

    found = project(net, x, unit, "gradient")
    numeric = np.zeros_like(found)
    for place in np.ndindex(*found.shape):
        moved = np.zeros_like(x)
        moved[0][place] = h
        numeric[place] = (value(x + moved) - value(x - moved)) / (2 * h)
    assert np.abs(found).max() > 0.01
    np.testing.assert_allclose(found, numeric, rtol=0, atol=1e-7)


@pytest.mark.parametrize("case", CASES)
def test_every_layer_passes_the_gradient_of_its_backward_pass(case):
    net, x = prepared(CASES[case], np.float64), numbers(1, *EVEN, C)
    y = net.forward(x, keep=True)
    unit = Unit(y.shape[1] // 2, y.shape[2] // 2, 0)
    expected = net.backward(unit.seed(y), needs_input_grad=True)
    assert_close(project(net, x, unit, "gradient"), expected[0])


@pytest.mark.parametrize(
    "case",
    [name for name, make in CASES.items() if not any(isinstance(s.layer, ReLU | LeakyReLU) for s in make().steps)],
)
def test_without_relu_all_methods_agree(case):
    net, x = prepared(CASES[case], np.float64), numbers(1, *EVEN, C)
    y = net.forward(x, keep=False)
    found = projections(net, x, Unit(y.shape[1] // 2, y.shape[2] // 2, 0))
    for method in METHODS:
        np.testing.assert_array_equal(found[method], found["gradient"])


def test_with_relu_they_differ():
    found = projections(hourglass(), numbers(1, 6, 8, 2, seed=2), Unit(3, 2, 1))
    for one, other in (("gradient", "guided"), ("guided", "deconvnet"), ("deconvnet", "gradient")):
        assert np.abs(found[one] - found[other]).max() > 0.01


def by_hand(*steps):
    net = Network(1)
    for name, layer, *inputs in steps:
        net.add(name, layer, *inputs)
    return net.allocate(0, np.float64)


def test_an_encoder_by_hand():
    """Unpool at the switch, rectify, filter with the transposed kernel: Zeiler & Fergus on one window."""
    net = by_hand(("conv", Conv2d(1, 1, (1, 2), bias=False)), ("relu", ReLU()), ("pool", MaxPool2d((1, 2))))
    net.parameters()["conv.weight"].value = np.array([2.0, -1.0]).reshape(1, 2, 1, 1)
    x = image([[1.0, 3.0, 2.0]])  # conv: -1, 4; the second is the maximum
    for method in METHODS:
        np.testing.assert_array_equal(project(net, x, Unit(0, 0, 0), method)[:, :, 0], [[0, 2, -1]])
    assert not project(net, x, Unit(0, 0, 0, sign=-1), "deconvnet").any()  # a negative signal stops at the ReLU
    np.testing.assert_array_equal(project(net, x, Unit(0, 0, 0, sign=-1), "gradient")[:, :, 0], [[0, -2, 1]])


def test_a_decoder_by_hand():
    """On the way back the decoder's unpooling reads at the switch, and the encoder's pooling puts the value back."""
    net = by_hand(
        ("pool", MaxPool2d(2)),
        ("double", Scale(2.0)),
        ("unpool", MaxUnpool2d(), "double", "pool.switches"),
    )
    x = image([[1.0, 7.0, 0.0, 2.0], [3.0, 5.0, 9.0, 4.0]])  # maxima at (0, 1) and (1, 2)
    at_switch = project(net, x, Unit(0, 1, 0), "deconvnet")[:, :, 0]
    np.testing.assert_array_equal(at_switch, [[0, 2, 0, 0], [0, 0, 0, 0]])
    assert not project(net, x, Unit(0, 0, 0), "deconvnet").any()  # unpooling wrote 0 there


def test_the_network_does_not_change():
    net, x = hourglass(np.float32).train(), numbers(1, 6, 8, 2, dtype=np.float32)
    net.freeze("conv2")
    net.backward(np.ones_like(net.forward(x)))
    before = deepcopy(net)
    projections(net, x, Unit(3, 2, 1))
    np.testing.assert_array_equal(net.flat().grads, before.flat().grads)
    np.testing.assert_array_equal(net.flat().values, before.flat().values)
    for name, buffer in net.state().items():
        np.testing.assert_array_equal(buffer.value, before.state()[name].value)
    assert net.training
    assert all(step.layer.training for step in net.steps)
    assert net.frozen() == ["conv2.weight", "conv2.bias"]
    np.testing.assert_array_equal(net.forward(x), before.forward(x))  # dropout's random stream as well


def test_dropout_drops_nothing():
    net, x = hourglass(), numbers(1, 6, 8, 2)
    one, other = (project(net.train(mode), x, Unit(3, 2, 1), "gradient") for mode in (True, False))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("name", "options", "side"),
    [
        ("deconvnet-small", {"size": 32, "width": 2}, 32),
        ("unet", {"width": 1 / 16, "depth": 2}, 16),
        ("segnet-basic", {"width": 1 / 16}, 32),
        ("fcn8s", {"width": 1 / 64}, 32),
        ("mobile-unet", {"width": 1 / 16}, 32),
    ],
)
def test_models(name, options, side):
    net = build(name, classes=2, **options).allocate(1)
    side += 2 * net.valid_margin
    x = numbers(1, side, side, 3, dtype=np.float32)
    y = net.eval().forward(x, keep=True)
    unit = Unit(y.shape[1] // 2, y.shape[2] // 2, 0)
    expected = net.backward(unit.seed(y), needs_input_grad=True)[0]
    found = projections(net, x, unit)
    assert unknown_steps(net) == []
    np.testing.assert_allclose(found["gradient"], expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    assert all(np.isfinite(signal).all() for signal in found.values())


class Tanh(Layer):
    def forward(self, x):
        y = np.tanh(x)
        self.save_for_backward(y)
        return y

    def backward(self, dy):
        (y,) = self.take_saved()
        return dy * (1 - y * y)

    def output_shape(self, x):
        return x


def test_a_layer_of_ones_own_is_named_and_passed_with_its_gradient():
    net = by_hand(("conv", Conv2d(1, 1, 3, padding=1)), ("tanh", Tanh()))
    assert unknown_steps(net) == ["tanh"]
    found = projections(net, numbers(1, 4, 4, 1), Unit(1, 1, 0))
    np.testing.assert_array_equal(found["guided"], found["gradient"])
    assert unknown_steps(hourglass()) == []
    assert all(cls.__module__.startswith("scratchnet.layers") for cls in BUILTIN)


def test_a_layer_without_backward_pass_is_refused():
    class Forward(Layer):
        def forward(self, x):
            return x

        def output_shape(self, x):
            return x

    net = by_hand(("conv", Conv2d(1, 1, 1)), ("mine", Forward()))
    with pytest.raises(UserError, match="step 'mine': Forward has no backward pass"):
        project(net, numbers(1, 4, 4, 1), Unit(1, 1, 0), "guided")


def test_bad_arguments():
    net, x = hourglass(), numbers(1, 6, 8, 2)
    with pytest.raises(ValueError, match="no method 'magic'; choose from gradient, guided, deconvnet"):
        project(net, x, Unit(0, 0, 0), "magic")
    with pytest.raises(ValueError, match="expected one image"):
        project(net, numbers(2, 6, 8, 2), Unit(0, 0, 0), "guided")
