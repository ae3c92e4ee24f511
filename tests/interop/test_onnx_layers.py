"""Every kind of layer in ONNX, judged by onnxruntime and by ONNX's own reference program."""

from types import SimpleNamespace

import numpy as np
import pytest

from scratchnet.interop.layouts import maps_to_channels_first, maps_to_channels_last
from scratchnet.interop.onnx_graph import Graph, Port, to_model
from scratchnet.interop.onnx_layers import translate
from scratchnet.layers import ReLU
from scratchnet.utils.errors import UserError
from tests.compare import distinct, numbers
from tests.layer_cases import CASES, EVEN, ODD, C, prepared, single

onnx = pytest.importorskip("onnx")
reference = pytest.importorskip("onnx.reference")
# Errors of ONNX's reference program (1.23): it counts indices in the size that it infers, not in the one that it is
# told, and writes only one channel of every group of a transposed convolution.
MISTAKEN = {
    *[("unpool", ODD), ("unpool, padded", ODD), ("unpool, padded", EVEN), ("unpool, gaps", EVEN)],
    *[("deconv, everything uneven", ODD), ("deconv, everything uneven", EVEN)],
}


def exported(net, size):
    """The network alone as a model (n, c, h, w) → (n, c, oh, ow)."""
    graph = Graph()
    y, _ = translate(graph, net, "x", net.shapes(size))
    graph.node("Identity", y, output="y")
    free = ("n", "c", "h", "w")
    return to_model(graph, "case", [Port("x", np.float32, free)], [Port("y", np.float32, free)], "", {})


def assert_agrees(actual, expected):
    assert actual.shape == expected.shape
    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual, expected, rtol=0, atol=2e-5 * max(1, np.abs(expected).max()))


@pytest.mark.parametrize("size", [EVEN, ODD])
@pytest.mark.parametrize("case", CASES)
def test_onnxruntime_agrees(case, size):
    runtime = pytest.importorskip("onnxruntime")
    net = prepared(CASES[case], np.float32)
    x = distinct(2, *size, C, dtype=np.float32)
    model = exported(net, EVEN).SerializeToString()
    session = runtime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {"x": maps_to_channels_first(x)})
    assert_agrees(maps_to_channels_last(y), net.forward(x))


@pytest.mark.parametrize(
    ("case", "size"), [(case, size) for case in CASES for size in (EVEN, ODD) if (case, size) not in MISTAKEN]
)
def test_the_reference_program_agrees(case, size):
    net = prepared(CASES[case], np.float32)
    x = distinct(C, *size, C, dtype=np.float32)  # its LRN stops at as many channels as there are images
    (y,) = reference.ReferenceEvaluator(exported(net, EVEN)).run(None, {"x": maps_to_channels_first(x)})
    assert_agrees(maps_to_channels_last(y), net.forward(x))


@pytest.mark.parametrize("judge", ["onnxruntime", "reference"])
def test_batch_statistics_are_each_image_s_own(judge):
    net = prepared(CASES["batch norm"], np.float32).use_statistics("batch")
    x = numbers(2, 5, 6, C, dtype=np.float32)
    model = exported(net, (5, 6))
    if judge == "reference":
        (y,) = reference.ReferenceEvaluator(model).run(None, {"x": maps_to_channels_first(x)})
    else:
        runtime = pytest.importorskip("onnxruntime")
        session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        (y,) = session.run(None, {"x": maps_to_channels_first(x)})
    alone = np.concatenate([net.forward(one[None]) for one in x])
    assert_agrees(maps_to_channels_last(y), alone)


def test_unpooling_is_true_max_unpool_and_its_size_is_always_given():
    model = exported(prepared(CASES["unpool"], np.float32), EVEN)
    (node,) = [node for node in model.graph.node if node.op_type == "MaxUnpool"]
    assert len(node.input) == 3
    assert {node.op_type for node in model.graph.node} == {"MaxPool", "Conv", "Shape", "MaxUnpool", "Identity"}


def test_dropout_leaves_no_trace():
    assert [node.op_type for node in exported(prepared(CASES["dropout"], np.float32), EVEN).graph.node] == ["Identity"]


def test_a_layer_without_translation_is_named():
    class Odd(ReLU):
        """Of the reader's own making."""

    with pytest.raises(UserError, match="step 'step': Odd cannot be exported to ONNX"):
        exported(prepared(lambda: single(Odd()), np.float32), EVEN)


def test_more_than_a_file_can_hold():
    graph = Graph()
    graph.constants["weight"] = SimpleNamespace(nbytes=2**31)
    with pytest.raises(UserError, match=r"model 'huge' has 2.15 GB of weights; an ONNX file holds at most 2"):
        to_model(graph, "huge", [], [], "", {})
