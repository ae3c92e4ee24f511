"""The comparison itself is tested: errors planted in a file must show, and ties must not."""

import numpy as np
import pytest

from scratchnet.data import Preprocessing
from scratchnet.interop import onnx_check
from scratchnet.interop.onnx_check import Comparison, compare
from scratchnet.interop.onnx_export import export_onnx
from scratchnet.models import MODELS
from tests.interop.onnx_cases import CLASSES, DATASET, network, photos
from tests.models.test_models import SMALL

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def exported(name="bloodcell", on=(32, 48), preprocessing=DATASET, **options):
    net = network(name, on, preprocessing, **(options or {"width": 0.3, "unpool": "switches"}))
    return export_onnx(net, preprocessing, CLASSES, name, on), net


@pytest.mark.parametrize("name", MODELS)
def test_every_model_agrees(name):
    for options, size in SMALL[name]:
        made, net = exported(name, size, **options)
        images = photos(*size)
        found = compare(made, net, DATASET, images)
        assert found.agrees, found
        assert found.windows == sum(2 * np.prod(net.shapes(size)[key.partition(".")[0]][1:]) for key in made.pools)


def test_images_that_need_continuing_agree():
    made, net = exported()
    assert compare(made, net, DATASET, photos(37, 50)).agrees


def test_a_size_to_which_images_are_brought_is_left_to_the_caller():
    preprocessing = Preprocessing("none", resize=(32, 32))
    made, net = exported(preprocessing=preprocessing)
    assert compare(made, net, preprocessing, photos(48, 64)).agrees


def initializer(made, name):
    (found,) = [i for i in made.model.graph.initializer if i.name == name]
    return found


def change_weight(made, net):
    values = onnx.numpy_helper.to_array(initializer(made, "deconv2.weight")).copy()
    values[1, 0, 2, 2] += 0.5
    initializer(made, "deconv2.weight").CopyFrom(onnx.numpy_helper.from_array(values, "deconv2.weight"))


def lose_a_number(made, net):
    net.parameters()["score.weight"].value[...] = np.nan


def move_padding(made, net):
    (node,) = [n for n in made.model.graph.node if n.op_type == "ConvTranspose" and n.output[0] == "deconv1"]
    (pads,) = [a for a in node.attribute if a.name == "pads"]
    pads.CopyFrom(onnx.helper.make_attribute("pads", [0, 0, 2, 2]))


def swap_classes(made, net):
    (node,) = [n for n in made.model.graph.node if n.output[0] == "probabilities"]
    node.input[0], node.input[1] = node.input[1], node.input[0]


def other_windows(made, net):
    """Pool every second pixel: the indices then point outside the windows."""
    (node,) = [n for n in made.model.graph.node if n.op_type == "MaxPool" and n.output[0] == "pool1"]
    node.attribute.append(onnx.helper.make_attribute("dilations", [2, 2]))
    (pads,) = [a for a in node.attribute if a.name == "pads"]
    pads.CopyFrom(onnx.helper.make_attribute("pads", [0, 0, 1, 1]))


@pytest.mark.parametrize("plant", [change_weight, lose_a_number, move_padding, swap_classes])
def test_planted_errors_show(plant):
    made, net = exported()
    plant(made, net)
    assert not compare(made, net, DATASET, photos(32, 48)).agrees


def test_switches_of_other_windows_show():
    made, net = exported()
    other_windows(made, net)
    with pytest.raises(ValueError, match="point outside their windows"):
        compare(made, net, DATASET, photos(32, 48))


def test_another_maximum_shows():
    """The runtime pools the negated map: its switches point at minima."""
    made, net = exported()
    nodes = made.model.graph.node
    (index,) = [i for i, n in enumerate(nodes) if n.op_type == "MaxPool" and n.output[0] == "pool1"]
    nodes.insert(index, onnx.helper.make_node("Neg", [nodes[index].input[0]], ["turned"]))
    nodes[index + 1].input[0] = "turned"
    found = compare(made, net, DATASET, photos(32, 48))
    assert found.gap > 0.01
    assert not found.agrees


def test_ties_are_told_and_forgiven(monkeypatch):
    """Where all values of a window are equal, a program that takes the last of them is as right.

    They are made equal by a convolution of weight 0, not by a flat image: equal rows of one product may differ in the
    last bit, and which do depends on the processor. Later poolings may see such rows, so differences are counted.
    """
    made, net = exported()
    for name, value in (("conv1.weight", 0), ("conv1.bias", 0.5)):
        initial = onnx.numpy_helper.from_array(np.full_like(net.parameters()[name].value, value), name)
        net.parameters()[name].value[...] = value
        shape = initializer(made, name).dims
        initializer(made, name).CopyFrom(onnx.helper.make_tensor(name, 1, shape, initial.raw_data, raw=True))
    images = photos(32, 32, n=1)
    before = compare(made, net, DATASET, images)
    assert before.agrees
    said = onnx_check._run(made, images)
    indices = made.pools["pool1.switches"].indices
    flat = said[indices].copy()
    flat[:, :, 4:8, 4:8] += 33  # one row and one column further, in a map 32 columns wide
    changed = said | {indices: flat}
    monkeypatch.setattr(onnx_check, "_run", lambda *arguments: changed)
    found = compare(made, net, DATASET, images)
    assert found.differing - before.differing == 16 * net.shapes((32, 32))["pool1"][3]
    assert found.gap < 1e-6
    assert found.scores > 1e-4  # the scores that were told belong to the first maxima
    alone = Comparison(windows=4, differing=2, gap=1e-6)
    assert alone.agrees


@pytest.mark.parametrize("field", ["scores", "probabilities", "gap"])
@pytest.mark.parametrize("value", [2e-4, float("nan")])
def test_what_does_not_pass(field, value):
    assert not Comparison(**{field: value}).agrees
    assert Comparison(**{field: 0.9e-4}).agrees


def test_the_model_is_left_as_it_was():
    made, net = exported()
    before = made.model.SerializeToString()
    compare(made, net, DATASET, photos(32, 48))
    assert made.model.SerializeToString() == before
