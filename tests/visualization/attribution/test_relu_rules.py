import numpy as np
import pytest

from scratchnet.layers import LeakyReLU, ReLU
from scratchnet.visualization.attribution.relu_rules import METHODS, has_rule, relu_signal
from tests.compare import image

Y = image([[2.0, 0.0, 1.0, 0.0]])
G = image([[3.0, 4.0, -5.0, -6.0]])


@pytest.mark.parametrize(
    ("method", "expected"),
    [("gradient", [3, 0, -5, 0]), ("deconvnet", [3, 4, 0, 0]), ("guided", [3, 0, 0, 0])],
)
def test_by_hand(method, expected):
    np.testing.assert_array_equal(relu_signal(ReLU(), G, Y, method).ravel(), expected)


@pytest.mark.parametrize(
    ("method", "expected"),
    [("gradient", [3, 1, -5, -1.5]), ("deconvnet", [3, 4, -1.25, -1.5]), ("guided", [3, 1, -1.25, -0.375])],
)
def test_leaky_by_hand(method, expected):
    y = image([[2.0, -0.5, 1.0, -0.5]])
    np.testing.assert_allclose(relu_signal(LeakyReLU(0.25), G, y, method).ravel(), expected)


@pytest.mark.parametrize("layer", [ReLU(), LeakyReLU(0.3)], ids=["ReLU", "LeakyReLU"])
def test_the_gradient_is_the_layers_own(layer):
    x = image([[0.5, -1.0, 2.0, -3.0]])
    y = layer.forward(x)
    np.testing.assert_array_equal(relu_signal(layer, G, y, "gradient"), layer.backward(G))
    assert {"gradient", "guided", "deconvnet"} == set(METHODS)


def test_a_relu_of_another_formula_has_no_rule():
    class Capped(ReLU):
        kind = "pixelwise"

        def forward(self, x):
            return np.clip(x, 0, 6)

    class Named(ReLU):
        pass

    patched = ReLU()
    vars(patched)["forward"] = lambda x: x
    assert not has_rule(Capped())
    assert not has_rule(patched)
    assert has_rule(Named())
