"""Three ways to pass a signal back through ReLU.

Let y be ReLU's output on the way forward and g the signal that arrives on the way back.

    method     passes on                   source
    gradient   g where y > 0               Simonyan et al. 2014
    deconvnet  max(g, 0)                   Zeiler & Fergus 2014, section 2.1: "rectify" on the way back
    guided     max(g, 0) where y > 0       Springenberg et al. 2015, section 3.4: both masks

Only the first is a derivative. The second does not read y at all: it applies to the signal what the network applied to
the values. Without a ReLU the three are equal.

A leaky ReLU has two slopes where ReLU has 1 and 0. The rules read alike: g is multiplied by the slope that y selects
(gradient), by the one that g itself selects (deconvnet), or by both (guided). The papers do not discuss this case.

References
----------
Simonyan, Vedaldi, Zisserman, "Deep inside convolutional networks" (2014), section 3.
Zeiler, Fergus, "Visualizing and understanding convolutional networks" (2014), section 2.1.
Springenberg, Dosovitskiy, Brox, Riedmiller, "Striving for simplicity" (2015), section 3.4 and figure 1.
"""

from typing import Literal, TypeAlias, get_args

from scratchnet.arrays import Array
from scratchnet.layers import LeakyReLU, ReLU
from scratchnet.layers.base import Layer
from scratchnet.layers.builtin import BUILTIN, is_patched
from scratchnet.ops.activation import leaky_relu, leaky_relu_backward, relu, relu_backward

Method: TypeAlias = Literal["gradient", "guided", "deconvnet"]
"""How a signal passes ReLU on its way back."""

METHODS: tuple[Method, ...] = get_args(Method)


_FORWARD = frozenset(cls.forward for cls in BUILTIN)


def is_known(layer: Layer) -> bool:
    """Return whether the ``forward`` of a layer is one of this package's; any other may contain a ReLU."""
    return type(layer).forward in _FORWARD and not is_patched(layer)


def has_rule(layer: Layer) -> bool:
    """Return whether a layer is a ReLU or leaky ReLU whose ``forward`` is this package's."""
    return isinstance(layer, ReLU | LeakyReLU) and is_known(layer)


def relu_signal(layer: Layer, g: Array, y: Array, method: Method) -> Array:
    """Return what the signal ``g`` becomes on its way back through a ReLU or leaky ReLU with output ``y``.

    Parameters
    ----------
    layer : ReLU or LeakyReLU
    g, y : (n, h, w, c)
    method : "gradient", "guided" or "deconvnet"
    """
    slope = layer.negative_slope if isinstance(layer, LeakyReLU) else None
    if method != "gradient":
        g = relu(g) if slope is None else leaky_relu(g, slope)
    if method != "deconvnet":
        g = relu_backward(g, y) if slope is None else leaky_relu_backward(g, y, slope)
    return g
