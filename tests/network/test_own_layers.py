"""Layers that are not the package's own: nothing is assumed of them, and nobody else's numbers change for them."""

import copy
import gc
import pickle
from dataclasses import dataclass

import numpy as np
import pytest

from scratchnet.engine.modes import textbook
from scratchnet.interop.onnx_graph import Graph
from scratchnet.interop.onnx_layers import translate
from scratchnet.layers import BatchNorm2d, Conv2d, ConvTranspose2d, Dropout, MaxPool2d, MaxUnpool2d, ReLU
from scratchnet.layers.base import Layer
from scratchnet.layers.builtin import known_kind
from scratchnet.layers.step_plan import StepPlan
from scratchnet.layers.window import Window
from scratchnet.network import Network, fusion
from scratchnet.network.summary import summarize
from scratchnet.utils.errors import UserError
from scratchnet.visualization.graph.architecture import architecture_figure
from scratchnet.visualization.graph.connectivity import connections
from scratchnet.visualization.graph.nodes import network_graph
from scratchnet.visualization.graph.receptive_field import receptive_fields
from tests.compare import assert_close, numbers

# Fusing ---------------------------------------------------------------------------------------------------------------


def leaky(layer, x):
    layer.save_for_backward(x)
    return np.where(x > 0, x, 0.1 * x)


def leaky_back(layer, dy):
    (x,) = layer.take_saved()
    return np.where(x > 0, dy, 0.1 * dy)


class Leaky(ReLU):
    capturable = True
    forward, backward = leaky, leaky_back


class Keeping(Conv2d):
    """Keeps its output, which a ReLU behind it would overwrite."""

    capturable = True

    def forward(self, x):
        self.output = super().forward(x)
        return self.output

    def backward(self, dy):
        return super().backward(dy * (self.output > -0.1))


class Renamed(ReLU):
    capturable = True


def patched(layer, **methods):
    for name, method in methods.items():
        setattr(layer, name, method.__get__(layer))
    return layer


def chain(conv, norm, relu, last):
    net = Network(3)
    for name, layer in (("conv", conv), ("norm", norm), ("relu", relu), ("pool", MaxPool2d(2)), ("last", last)):
        net.add(name, layer)
    net.allocate(0, np.float64)
    net.flat().values[...] += 0.1 * numbers(net.parameter_count())
    return net.train()


CASES = {
    "a leaky subclass of ReLU": lambda: chain(Conv2d(3, 4, 3), BatchNorm2d(4), Leaky(), Conv2d(4, 2, 1)),
    "a leaky subclass behind a convolution": lambda: chain(BatchNorm2d(3), Conv2d(3, 4, 3), Leaky(), Conv2d(4, 2, 1)),
    "a patched object": lambda: chain(
        Conv2d(3, 4, 3), BatchNorm2d(4), patched(ReLU(), forward=leaky, backward=leaky_back), Conv2d(4, 2, 1)
    ),
    "a convolution that keeps its output": lambda: chain(BatchNorm2d(3), Keeping(3, 4, 3), ReLU(), Conv2d(4, 2, 1)),
    "such a convolution before batch norm": lambda: chain(Keeping(3, 4, 3), BatchNorm2d(4), ReLU(), Conv2d(4, 2, 1)),
    "a wide patched convolution": lambda: chain(
        Conv2d(3, 64, 3), BatchNorm2d(64), ReLU(), patched(Keeping(64, 2, 1), describe=lambda self: "own")
    ),
    "a class that was patched": lambda: chain(Conv2d(3, 4, 3), BatchNorm2d(4), ReLU(), Conv2d(4, 2, 1)),
}


@pytest.mark.parametrize("case", CASES)
def test_a_layer_of_ones_own_computes_what_it_says(case, monkeypatch):
    if case == "a class that was patched":
        monkeypatch.setattr(ReLU, "forward", leaky)
        monkeypatch.setattr(ReLU, "backward", leaky_back)
    x, found = numbers(2, 8, 10, 3), []
    for mode in (False, True):
        net = CASES[case]()
        dy = numbers(*net.shapes((8, 10), 2)["last"], seed=1)
        if mode:
            with textbook():
                y, dx = net.forward(x).copy(), net.backward(dy, needs_input_grad=True)
        else:
            y, dx = net.forward(x).copy(), net.backward(dy, needs_input_grad=True)
        found.append((y, dx, net.flat().grads.copy()))
    for fast, plain in zip(*found, strict=True):
        assert_close(fast, plain)


@pytest.mark.parametrize("kind", [ReLU, BatchNorm2d, Conv2d, ConvTranspose2d, MaxPool2d, MaxUnpool2d])
@pytest.mark.parametrize("how", ["subclass", "object"])
def test_only_exact_types_are_fused(kind, how):
    """A subclass or a patched object takes part in no fusion."""
    own = type(kind.__name__, (kind,), {"capturable": True}) if how == "subclass" else kind

    def made(cls, *arguments, **settings):
        layer = (own if cls is kind else cls)(*arguments, **settings)
        if cls is kind and how == "object":
            layer.forward = layer.forward
        return layer

    net = Network(3)
    net.add("conv", made(Conv2d, 3, 64, 3, padding=1))
    net.add("norm", made(BatchNorm2d, 64))
    net.add("relu", made(ReLU))
    net.add("pool", made(MaxPool2d, 2))
    net.add("deconv", made(ConvTranspose2d, 64, 64, 3, padding=1))
    net.add("relu2", made(ReLU))
    net.add("unpool", made(MaxUnpool2d), "relu2", "pool.switches")
    net.add("last", made(Conv2d, 64, 2, 1))
    net.allocate().train()
    plan = fusion.plan(net.steps, recompute_inputs=True)
    odd = [number for number, step in enumerate(net.steps) if isinstance(step.layer, kind)]
    assert all(plan[number] == StepPlan() for number in odd)
    assert not {part.input_from for part in plan.steps} & set(odd)
    assert sum(row.activation_bytes for row in summarize(net, (8, 8)).rows) > 0


@pytest.mark.parametrize("layer", [Leaky, Renamed, lambda: patched(ReLU(), forward=leaky)])
def test_an_onnx_file_never_holds_another_function(layer):
    net = Network(3)
    net.add("odd", layer())
    net.allocate()
    with pytest.raises(UserError, match=r"step 'odd': .*cannot be exported to ONNX"):
        translate(Graph(), net, "input", net.shapes((8, 8)))


class Blur(Layer):
    def output_shape(self, x):
        return x


class Conv3x3(Conv2d):
    def __init__(self, c):
        super().__init__(c, c, 3, padding=1)


class Shifted(ReLU):
    kind = "frame"

    def forward(self, x):
        return x

    def windows(self, x):
        return [Window(padding=(1, 0))]


class Doubled(ReLU):
    def forward(self, x):
        return x


def test_which_pixels_a_layer_sees_is_not_guessed():
    net = Network(3)
    net.add("conv", Conv3x3(3))
    net.add("blur", Blur())
    with pytest.raises(ValueError, match="step 'blur': it is not known which pixels a Blur sees"):
        connections(net, (8, 8))
    with pytest.raises(ValueError, match="a Blur sees"):
        receptive_fields(net, (8, 8), "blur", (0, 0))


def test_a_layer_of_unknown_kind_is_drawn_as_such():
    net = Network(3)
    net.add("conv", Conv3x3(3))
    net.add("blur", Blur())
    net.add("relu", ReLU())
    net.add("last", Conv2d(3, 2, 1))
    found, edges = network_graph(net, (8, 8))
    assert [(node.name, node.kind) for node in found[1:]] == [
        ("conv", "learned"),
        ("blur", "unknown"),
        ("last", "result"),
    ]
    assert len(edges) == 3
    legend = architecture_figure(net, (8, 8)).legends[0]
    assert "unknown kind" in [text.get_text() for text in legend.get_texts()]


def test_a_kind_belongs_to_the_forward_beside_which_it_is_stated(monkeypatch):
    assert known_kind(Conv3x3(3)) == "conv"
    assert known_kind(Blur()) == "unknown"
    assert known_kind(Doubled()) == "unknown"
    assert known_kind(Shifted()) == "frame"
    assert known_kind(patched(ReLU(), forward=leaky)) == "unknown"
    net = Network(3)
    net.add("shifted", Shifted())
    assert connections(net, (8, 8))["shifted"][0].window.padding == (1, 0)
    monkeypatch.setattr(ReLU, "forward", leaky)
    assert known_kind(ReLU()) == "unknown"


def test_a_stated_kind_without_windows_is_not_guessed():
    class Odd(Blur):
        kind = "pool"

    net = Network(3)
    net.add("odd", Odd())
    with pytest.raises(ValueError, match="which pixels a Odd sees"):
        connections(net, (8, 8))


def test_a_layer_of_ones_own_gets_its_random_stream():
    class Noise(Layer):
        def seed(self, rng, first=0):
            self.drawn = rng.random(3).tolist()

    found = []
    for seed in (1, 1, 2):
        net = Network(3)
        net.add("noise", Noise())
        net.reseed(seed)
        found.append(net.steps[0].layer.drawn)
    assert found[0] == found[1] != found[2]


# Owning ---------------------------------------------------------------------------------------------------------------


def network(layer, name="conv"):
    net = Network(3)
    net.add(name, layer)
    return net.allocate()


class Block(Layer):
    """Holds a convolution, and learns with its parameters."""

    def __init__(self, conv):
        super().__init__()
        self.inner = {"convs": [conv]}
        self.parameters = dict(conv.parameters)


def sharing(other):
    layer = Conv2d(3, 4, 3)
    layer.parameters["weight"] = other.parameters["weight"]
    return layer


@pytest.mark.parametrize("taker", [lambda conv: conv, Block, sharing], ids=["layer", "inner layer", "parameter"])
def test_a_layer_belongs_to_one_network(taker):
    conv = Conv2d(3, 4, 3)
    net, other = network(conv), Network(3)
    with pytest.raises(ValueError, match=r"step 'own'.* already belongs to step 'conv' of another network"):
        other.add("own", taker(conv))
    assert not other.steps
    other.add("own", taker(copy.deepcopy(conv)))
    assert net.parameters()["conv.weight"].value is not None


def test_a_parameter_belongs_to_one_step():
    conv = Conv2d(3, 4, 3)
    net = network(conv)
    for taker in (Block(conv), sharing(conv)):
        with pytest.raises(ValueError, match="step 'own': its parameter already belongs to step 'conv'"):
            net.add("own", taker)


def test_a_parameter_that_is_shared_later_is_found_when_memory_is_given():
    net, late = network(Conv2d(3, 4, 3)), Network(3)
    late.add("late", Conv2d(3, 4, 3))
    late.steps[0].layer.parameters["weight"] = net.parameters()["conv.weight"]
    with pytest.raises(ValueError, match=r"step 'late': a parameter .* belongs to step 'conv' of another network"):
        late.allocate()


def test_a_network_that_is_gone_owns_nothing():
    conv = Conv2d(3, 4, 3)
    net = network(conv)
    net.itself = net  # a cycle
    del net
    gc.disable()
    try:
        assert network(conv).parameter_count() == 112
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))], ids=["deepcopy", "pickle"]
)
def test_a_copy_is_a_network_of_its_own(copied):
    net = Network(3)
    net.add("conv", Conv2d(3, 4, 3))
    net.add("norm", BatchNorm2d(4))
    net.add("relu", ReLU())
    net.add("drop", Dropout(0.0))
    net.allocate().train()
    x = numbers(2, 6, 6, 3, dtype=np.float32)
    y = net.forward(x).copy()
    twin = copied(net)
    np.testing.assert_array_equal(twin.forward(x), y)
    twin.backward(y)
    twin.flat().values[...] -= twin.flat().grads  # an update reaches the layers
    assert np.abs(twin.forward(x) - y).max() > 1e-3
    np.testing.assert_array_equal(net.forward(x), y)
    with pytest.raises(ValueError, match="of another network"):
        Network(3).add("conv", twin.steps[0].layer)


# Number types ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float16, np.int32, np.int64, bool, np.complex64, ">f4", object])
def test_parameters_are_float32_or_float64(dtype):
    net = Network(3)
    net.add("conv", Conv2d(3, 4, 3))
    with pytest.raises(TypeError, match="network: parameters are float32 or float64, not "):
        net.allocate(dtype=dtype)
    for right in (np.float32, "float64", float, np.dtype("<f4")):
        assert net.allocate(dtype=right).flat().values.dtype == np.dtype(right)


# Equality and hashes --------------------------------------------------------------------------------------------------


@dataclass(eq=True)
class Compared(ReLU):
    """Equal to any other with the same settings, and so without a hash."""

    slope: float = 0.1

    def __post_init__(self):
        super().__init__()

    forward, backward = leaky, leaky_back


class Alike(Leaky):
    """Equal to everything, in no way that may be used as a truth value."""

    __hash__ = None

    def __eq__(self, other):
        return np.array([True, False])


@pytest.mark.parametrize("make", [Compared, Alike])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_layers_are_told_apart_by_identity(make, checkpointing):
    def gradients(make):
        net = Network(3)
        for i in range(3):
            net.add(f"conv{i}", Conv2d(3, 3, 3, padding=1))
            net.add(f"norm{i}", BatchNorm2d(3))
            net.add(f"own{i}", make())
        net.allocate(0, np.float64).train().activation_checkpointing = checkpointing
        net.backward(net.forward(numbers(2, 6, 8, 3)))
        summarize(net, (6, 8))
        return net.flat().grads

    np.testing.assert_array_equal(gradients(make), gradients(Leaky))


@pytest.mark.parametrize("name", ["forward_again", "output_shape", "save_for_backward", "take_saved"])
def test_a_class_with_any_method_replaced_is_not_fused(monkeypatch, name):
    net = Network(3)
    net.add("norm", BatchNorm2d(3))
    net.add("relu", ReLU())
    assert fusion.plan(net.steps, recompute_inputs=False)[1].skip
    monkeypatch.setattr(ReLU, name, lambda *_: None)
    assert not fusion.plan(net.steps, recompute_inputs=False)[1].skip


class Regularised(Layer):
    """A layer of one's own that holds a Dropout and hands everything on to it."""

    def __init__(self):
        super().__init__()
        self.inner = [Dropout(0.5)]

    def forward(self, x):
        return self.inner[0].forward(x)

    def backward(self, dy):
        return self.inner[0].backward(dy)

    def output_shape(self, x):
        return x


def test_layers_inside_a_layer_are_switched_and_reseeded():
    net, x = Network(2), np.ones((2, 6, 6, 2), np.float32)
    net.add("a", Regularised())
    net.add("b", Regularised())
    net.allocate().train().reseed(3)
    first = net.forward(x).copy()
    assert 0 < (first == 0).mean() < 1
    net.reseed(3)
    np.testing.assert_array_equal(net.forward(x), first)
    net.reseed(4)
    assert not np.array_equal(net.forward(x), first)
    assert not np.array_equal(net.steps[0].layer.inner[0].saved[0], net.steps[1].layer.inner[0].saved[0])
    np.testing.assert_array_equal(net.eval().forward(x), x)
