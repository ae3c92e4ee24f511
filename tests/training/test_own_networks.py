"""Networks of one's own, saved and loaded."""

import json

import numpy as np
import pytest

from scratchnet import layers
from scratchnet.data import Preprocessing, write_image
from scratchnet.layers import BatchNorm2d, Conv2d, ConvTranspose2d, Layer, MaxPool2d, MaxUnpool2d, ReLU
from scratchnet.layers import initialization as starts
from scratchnet.layers.builtin import BUILTIN
from scratchnet.models import MODELS, build
from scratchnet.network import Network
from scratchnet.network.description import describe, rebuild
from scratchnet.training import Checkpoint, ModelSpec, load_checkpoint, load_network, save_checkpoint, save_network
from scratchnet.utils.errors import UserError
from tests.compare import numbers

ARGUMENTS = {
    "Conv2d": [
        (3, 4, 3),
        {"in_channels": 3, "out_channels": 6, "kernel_size": (3, 1), "stride": (2, 1), "padding": (1, 0), "groups": 3},
    ],
    "ConvTranspose2d": [
        (3, 4, 2, 2),
        {"in_channels": 4, "out_channels": 2, "kernel_size": 3, "stride": 2, "output_padding": 1},
    ],
    "BatchNorm2d": [(4,), {"channels": 4, "eps": 1e-3, "momentum": 0.2, "scale": 0.5, "shift": 0.1}],
    "LocalResponseNorm": [(), (3, 1e-3, 0.5)],
    "MaxPool2d": [(2,), {"kernel_size": (3, 2), "stride": 2, "padding": 1, "ceil_mode": True}],
    "MaxUnpool2d": [()],
    "ReLU": [()],
    "Dropout": [(), (0.25,)],
    "Scale": [(0.01,)],
    "Add": [()],
    "Concatenate": [()],
    "Crop": [(), (3,), {"offset": (2, 1), "margin": (1, 2)}, {"margin": 4}],
    "Pad": [(2,), ((1, 2),)],
    "UpsampleNearest": [(), ((2, 3),)],
    "BedOfNails": [(), (3,)],
    "UpsampleBilinear": [(), (4,)],
    "BilinearTranspose2d": [(2,)],
}
ARGUMENTS |= {kind.__name__: [kind.example] for kind in BUILTIN if kind.__name__ not in ARGUMENTS}
STARTS = [
    starts.constant(0.5),
    starts.gaussian(0.1),
    starts.he_normal,
    starts.bilinear,
    starts.identity,
    starts.he_normal_transposed,
]


class Leaky(Layer):
    """A layer of one's own, with a setting and a parameter."""

    def __init__(self, slope, inner=None):
        super().__init__()
        self.slope, self.inner = slope, inner
        self.parameters["by"] = layers.Parameter((1,), "scale", starts.constant(3))

    def forward(self, x):
        self.save_for_backward(x)
        return np.where(x > 0, x, x * self.slope) * self.parameters["by"].value

    def output_shape(self, x):
        return x


def own(extra=None):
    net = Network(3, stride=2)
    net.add("conv1", Conv2d(3, 4, 3, padding=1, initializer=starts.gaussian(0.1)))
    net.add("bn1", BatchNorm2d(4))
    net.add("relu1", ReLU())
    net.add("pool1", MaxPool2d(2))
    net.add("deconv1", ConvTranspose2d(4, 4, 3, padding=1))
    net.add("unpool1", MaxUnpool2d(), "deconv1", "pool1.switches")
    if extra is not None:
        net.add("extra", extra)
    net.add("score", Conv2d(4, 2, 3, padding=1))
    return net


def filled(net, dtype=np.float32):
    net.allocate(3, dtype)
    for index, buffer in enumerate(net.state().values()):
        buffer.value[...] = abs(numbers(*buffer.value.shape, seed=index))
    return net


def assert_same(found, net):
    assert describe(found) == describe(net)
    assert found.frozen() == net.frozen()
    np.testing.assert_array_equal(found.flat().values, net.flat().values)
    assert found.flat().values.dtype == net.flat().values.dtype
    for name, buffer in net.state().items():
        np.testing.assert_array_equal(found.state()[name].value, buffer.value)


def changed(path, change):
    """Write a file again after ``change(header)``."""
    with np.load(path) as stored:
        arrays = dict(stored)
    header = json.loads(arrays["header"].tobytes())
    change(header)
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    np.savez(path, **arrays)


# Descriptions ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ARGUMENTS)
def test_every_layer_is_described_by_plain_values(name):
    for given in ARGUMENTS[name]:
        words = given if isinstance(given, dict) else {}
        layer = getattr(layers, name)(*(() if words else given), **words)
        net = Network(3)
        net.add("a", layer)
        description = json.loads(json.dumps(describe(net)))
        again = rebuild(description)
        assert describe(again) == describe(net)
        other = again.steps[0].layer
        assert type(other) is (layer.saved_as or type(layer))
        plain = {
            key: value for key, value in vars(layer).items() if isinstance(value, bool | int | float | str | tuple)
        }
        for key, value in plain.items():
            assert key == "arguments" or getattr(other, key) == value, key
        assert [p.shape for p in other.parameters.values()] == [p.shape for p in layer.parameters.values()]


@pytest.mark.parametrize("start", STARTS, ids=lambda start: getattr(start, "__name__", str(start)))
def test_starting_values_are_drawn_alike_again(start):
    net = Network(4)
    net.add("a", Conv2d(4, 4, 3, initializer=start))
    again = rebuild(json.loads(json.dumps(describe(net))))
    np.testing.assert_array_equal(again.allocate(5).flat().values, net.allocate(5).flat().values)


@pytest.mark.parametrize("model", MODELS)
def test_every_model_is_described(model):
    net = build(model, 3)
    again = rebuild(json.loads(json.dumps(describe(net))))
    assert describe(again) == describe(net)
    assert [step.inputs for step in again.steps] == [step.inputs for step in net.steps]
    assert {n: p.shape for n, p in again.parameters().items()} == {n: p.shape for n, p in net.parameters().items()}


# Files ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_network_comes_back_with_all_its_numbers_and_settings(tmp_path, dtype):
    net = filled(own(layers.Dropout(np.float64(0.25))), dtype).freeze("conv1", "bn1", statistics=True)
    net.activation_checkpointing = True
    net.steps[-2].layer.rate = 0.75
    save_network(tmp_path / "net.npz", net)
    found = load_network(tmp_path / "net.npz")
    assert_same(found, net)
    assert found.activation_checkpointing
    assert found.steps[-2].layer.rate == 0.75
    assert found.batch_norms()["bn1"].frozen
    x = numbers(1, 8, 8, 3, dtype=dtype)
    np.testing.assert_array_equal(found.forward(x), net.eval().forward(x))


def test_after_a_pass_it_is_saved_alike(tmp_path):
    net = filled(own()).train()
    net.forward(numbers(2, 8, 8, 3, dtype=np.float32))
    save_network(tmp_path / "net.npz", net)
    assert_same(load_network(tmp_path / "net.npz"), net)


def test_layers_of_ones_own_are_passed_to_loading(tmp_path):
    net = filled(own(Leaky(slope=0.1)))
    save_network(tmp_path / "net.npz", net)
    assert_same(load_network(tmp_path / "net.npz", layers=[Leaky]), net)
    with pytest.raises(UserError) as error:
        load_network(tmp_path / "net.npz")
    assert "step 'extra': needs the layer class Leaky" in str(error.value)
    assert "load_network(path, layers=[Leaky])" in str(error.value)


def test_a_class_that_is_called_like_one_of_ours_is_not_ours(tmp_path):
    class ReLU(layers.ReLU):
        pass

    net = filled(own(ReLU()))
    save_network(tmp_path / "net.npz", net)
    with pytest.raises(UserError, match="needs the layer class ReLU"):
        load_network(tmp_path / "net.npz")
    assert type(load_network(tmp_path / "net.npz", layers=[ReLU]).steps[-2].layer) is ReLU


@pytest.mark.parametrize(
    ("extra", "text"),
    [
        (Leaky(np.arange(3)), "step 'extra': slope of Leaky: a ndarray cannot be saved"),
        (Leaky(lambda x: x), "is a function of your own, which a file cannot hold"),
        (
            Conv2d(4, 4, 1, initializer=lambda rng, shape: np.ones(shape)),
            "='<lambda>' of Conv2d is a function",
        ),
    ],
)
def test_what_cannot_be_described_is_refused_at_saving(tmp_path, extra, text):
    with pytest.raises(ValueError, match="step 'extra'") as error:
        save_network(tmp_path / "net.npz", own(extra).allocate())
    assert text in str(error.value)
    assert not (tmp_path / "net.npz").exists()


def test_a_subclass_of_network_is_refused(tmp_path):
    class Mine(Network):
        pass

    with pytest.raises(ValueError, match="a Mine cannot be saved, only a Network"):
        save_network(tmp_path / "net.npz", Mine().allocate())


CHANGES = {
    "an unknown layer": (
        lambda h: h["network"]["steps"][0]["layer"].update(layer="Conv9d"),
        "scratchnet has no layer Conv9d",
    ),
    "code for a layer": (lambda h: h["network"]["steps"][0]["layer"].update(layer="__import__"), "no layer __import__"),
    "a base class": (lambda h: h["network"]["steps"][0]["layer"].update(layer="Layer"), "no layer Layer"),
    "a wrong argument": (lambda h: h["network"]["steps"][0]["layer"]["arguments"].update(colour=3), "colour"),
    "an argument too few": (lambda h: h["network"]["steps"][0]["layer"]["arguments"].pop("in_channels"), "in_channels"),
    "another size": (lambda h: h["network"]["steps"][0]["layer"]["arguments"].update(out_channels=8), "parameters"),
    "another initializer": (
        lambda h: h["network"]["steps"][0]["layer"]["arguments"].update(initializer={"initializer": "eval"}),
        "no initializer 'eval'",
    ),
    "an unknown setting": (lambda h: h["network"]["steps"][2]["layer"].update(changed={"forward": 1}), "no setting"),
    "an unknown input": (lambda h: h["network"]["steps"][1].update(inputs=["nothing"]), "nothing"),
    "steps of another form": (lambda h: h["network"].update(steps=["a", "b"]), "cannot be rebuilt"),
    "no steps": (lambda h: h["network"].pop("steps"), "cannot be rebuilt"),
    "frozen names": (lambda h: h.update(frozen=["conv9.weight"]), "conv9.weight"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_files_that_do_not_fit_are_told_in_one_line(tmp_path, case):
    change, text = CHANGES[case]
    save_network(tmp_path / "net.npz", own().allocate())
    changed(tmp_path / "net.npz", change)
    with pytest.raises(UserError) as error:
        load_network(tmp_path / "net.npz")
    assert text in str(error.value)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(str(tmp_path / "net.npz"))


# Checkpoints ----------------------------------------------------------------------------------------------------------


def test_save_checkpoint_never_writes_what_nothing_can_load(tmp_path):
    net = filled(own())
    made = ModelSpec("mine", {}, ("ground", "square"), Preprocessing("none"))
    save_checkpoint(tmp_path / "a.npz", Checkpoint(made, net))
    found = load_checkpoint(tmp_path / "a.npz")
    assert_same(found.network, net)
    assert found.spec.model == "mine"
    changed_model = build("squares", 2, width=2)
    changed_model.add("more", ReLU())
    save_checkpoint(
        tmp_path / "b.npz", Checkpoint(ModelSpec("squares", {"width": 2}, *_about()), changed_model.allocate())
    )
    assert load_checkpoint(tmp_path / "b.npz").network.steps[-1].name == "more"


def _about():
    return ("ground", "square"), Preprocessing("none")


def test_the_commands_take_a_network_of_ones_own(tmp_path, capsys):
    from scratchnet.cli.main import main

    write_image(tmp_path / "a.png", np.arange(32 * 32 * 3, dtype=np.uint8).reshape(32, 32, 3))
    save_network(tmp_path / "net.npz", own().allocate(), *_about())
    assert main(["segment", str(tmp_path / "net.npz"), str(tmp_path / "a.png"), "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "a.png").exists()
    page = ["explain", str(tmp_path / "net.npz"), str(tmp_path / "a.png"), "--out", str(tmp_path / "a.html")]
    assert main(page) == 0
    save_network(tmp_path / "bare.npz", own().allocate())
    assert main(["models", str(tmp_path / "bare.npz"), "--size", "64x64"]) == 0
    assert "unpool1" in capsys.readouterr().out
    assert main(["models", str(tmp_path / "bare.npz"), "--width", "2"]) == 2
    assert "--width" in capsys.readouterr().err
    capsys.readouterr()
    assert main(["segment", str(tmp_path / "bare.npz"), str(tmp_path / "a.png"), "--out", str(tmp_path / "out2")]) == 2
    assert "without class names and preprocessing" in capsys.readouterr().err
    save_network(tmp_path / "leaky.npz", own(Leaky(0.1)).allocate(), *_about())
    assert main(["segment", str(tmp_path / "leaky.npz"), str(tmp_path / "a.png"), "--out", str(tmp_path / "out2")]) == 2
    assert "needs the layer class Leaky" in capsys.readouterr().err
