import json

import numpy as np
import pytest
from PIL import Image

import scratchnet
from scratchnet.data import Preprocessing, read_image
from scratchnet.data.preprocessing import FIXED_STATISTICS
from scratchnet.inference import Segmenter
from scratchnet.interop.onnx_export import export_onnx
from scratchnet.interop.onnx_graph import Graph, Port, to_model
from scratchnet.interop.onnx_images import preprocess
from tests.interop.onnx_cases import CLASSES, DATASET, network, photos

onnx = pytest.importorskip("onnx")
reference = pytest.importorskip("onnx.reference")

PREPROCESSINGS = {
    "none": Preprocessing("none"),
    "dataset": DATASET,
    "image": Preprocessing("image"),
    "torchvision": Preprocessing("torchvision", *FIXED_STATISTICS["torchvision"]),
    "caffe": Preprocessing("caffe", *FIXED_STATISTICS["caffe"]),
}


def run(exported, images):
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(exported.model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"image": images})


def assert_close(actual, expected):
    assert actual.shape == expected.shape
    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-4 * max(1, np.abs(expected).max()))


@pytest.mark.parametrize("judge", ["onnxruntime", "reference"])
@pytest.mark.parametrize("name", PREPROCESSINGS)
def test_pixels_are_prepared_in_the_graph(name, judge):
    images = photos(12, 9, n=3)
    images[0, :, :, 1] = 77  # a flat channel, which takes the mean of the others
    images[1] = 5
    graph = Graph()
    graph.node("Transpose", preprocess(graph, PREPROCESSINGS[name], "image"), perm=(0, 2, 3, 1), output="x")
    shape = ("n", "h", "w", 3)
    model = to_model(graph, "case", [Port("image", np.uint8, shape)], [Port("x", np.float32, shape)], "", {})
    if judge == "reference":
        (x,) = reference.ReferenceEvaluator(model).run(None, {"image": images})
    else:
        runtime = pytest.importorskip("onnxruntime")
        session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        (x,) = session.run(None, {"image": images})
    assert_close(x, PREPROCESSINGS[name].apply(images))


@pytest.mark.parametrize("size", [(32, 32), (45, 61), (16, 17)])
@pytest.mark.parametrize("classes", [2, 3])
def test_one_file_for_images_of_all_sizes_and_batches(size, classes):
    """As `scratchnet segment` sees them: continued by reflection to a multiple of the stride."""
    names = ("a", "b", "c")[:classes]
    net = network("bloodcell", (32, 32), classes=classes, width=0.2, batch_norm=True)
    exported = export_onnx(net, DATASET, names, "bloodcell", (32, 48))
    for n in (1, 3):
        images = photos(*size, n=n)
        scores, probabilities = run(exported, images)
        expected = Segmenter(net, DATASET).probabilities(images)
        assert expected.std() > 0.01
        assert_close(probabilities, expected)
        assert scores.shape == (n, *size, 1 if classes == 2 else 3)
        if classes == 2:
            assert_close(1 / (1 + np.exp(-scores[..., 0])), expected[..., 1])


def test_every_image_has_its_own_statistics():
    preprocessing = Preprocessing("image")
    net = network("squares", (24, 24), preprocessing, width=4).use_statistics("batch")
    exported = export_onnx(net, preprocessing, CLASSES, "squares", (24, 24))
    images = photos(25, 22)
    assert_close(run(exported, images)[1], Segmenter(net, preprocessing).probabilities(images))


def test_the_reference_program_as_a_second_judge():
    net = network("deconvnet-small", (32, 32), width=2, size=32)
    exported = export_onnx(net, DATASET, CLASSES, "deconvnet-small", (32, 32))
    images = photos(32, 32)
    scores, probabilities = reference.ReferenceEvaluator(exported.model).run(None, {"image": images})
    expected = Segmenter(net, DATASET).probabilities(images)
    assert expected.std() > 0.01
    assert_close(probabilities, expected)
    assert scores.shape == (2, 32, 32, 2)


def shape(value):
    return [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]


@pytest.mark.parametrize(
    ("name", "options", "size", "fixed", "expected"),
    [
        ("bloodcell", {"width": 0.1}, (32, 32), False, ["height", "width"]),
        ("bloodcell", {"width": 0.1}, (40, 32), True, [40, 32]),
        ("deconvnet-small", {"width": 2, "size": 32}, (32, 32), False, [32, 32]),
    ],
)
def test_the_file_says_what_it_takes(name, options, size, fixed, expected):
    net = network(name, (32, 32), **options)
    exported = export_onnx(net, DATASET, CLASSES, name, size, fixed)
    graph = exported.model.graph
    assert [(i.name, shape(i)) for i in graph.input] == [("image", ["n", *expected, 3])]
    channels = 1 if name == "bloodcell" else 2
    assert [(o.name, shape(o)) for o in graph.output] == [
        ("scores", ["n", *expected, channels]),
        ("probabilities", ["n", *expected, 2]),
    ]
    assert [port.shape for port in exported.outputs] == [tuple(shape(o)) for o in graph.output]


def test_a_network_that_labels_one_pixel():
    net = network("sliding-window", (61, 61), width=1 / 16, form="window")
    exported = export_onnx(net, DATASET, CLASSES, "sliding-window", (61, 61))
    assert [port.shape for port in exported.outputs] == [("n", 1, 1, 2)] * 2
    images = photos(61, 61)
    assert_close(run(exported, images)[0], net.forward(DATASET.apply(images)))


def test_the_file_tells_about_itself():
    net = network("bloodcell", (32, 32), width=0.1)
    preprocessing = Preprocessing("none", resize=(32, 48))
    model = export_onnx(net, preprocessing, ("a", "ü"), "bloodcell", (32, 48)).model
    told = {p.key: p.value for p in model.metadata_props}
    assert told["scratchnet"] == scratchnet.__version__
    assert told["model"] == "bloodcell"
    assert json.loads(told["classes"]) == ["a", "ü"]
    assert Preprocessing.from_dict(json.loads(told["preprocessing"])) == preprocessing
    assert "Resize images to 32x48 (height x width) first" in model.doc_string
    assert "Any size from 16 pixels on." in model.doc_string
    assert {o.domain: o.version for o in model.opset_import} == {"": 17}
    deconvnet = network("deconvnet-small", (32, 32), width=2, size=32)
    model = export_onnx(deconvnet, DATASET, CLASSES, "deconvnet-small", (32, 32)).model
    assert "one size" in model.doc_string


def test_a_size_that_the_network_cannot_take():
    net = network("deconvnet-small", (32, 32), width=2, size=32)
    with pytest.raises(ValueError, match="fc6"):
        export_onnx(net, DATASET, CLASSES, "deconvnet-small", (16, 16))


def test_an_image_as_pillow_reads_it(tmp_path):
    Image.fromarray(photos(20, 33)[0]).save(tmp_path / "a.png")
    net = network("bloodcell", (32, 32), width=0.2)
    exported = export_onnx(net, DATASET, CLASSES, "bloodcell", (32, 32))
    _, probabilities = run(exported, np.asarray(Image.open(tmp_path / "a.png"))[None])
    assert_close(probabilities[0], Segmenter(net, DATASET).probabilities(read_image(tmp_path / "a.png")[None])[0])


def test_the_statistics_of_a_large_image_keep_their_digits():
    """One float32 sum over all pixels would be wrong in the fourth digit."""
    runtime = pytest.importorskip("onnxruntime")
    images = np.random.default_rng(0).integers(4, 12, (1, 700, 900, 3), np.uint8)
    images[:, 300:340, 400:460] = 200
    graph, preprocessing = Graph(), Preprocessing("image")
    graph.node("Transpose", preprocess(graph, preprocessing, "image"), perm=(0, 2, 3, 1), output="x")
    ports = [Port("image", np.uint8, images.shape)], [Port("x", np.float32, images.shape)]
    model = to_model(graph, "case", *ports, "", {})
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(
        session.run(None, {"image": images})[0], preprocessing.apply(images), rtol=2e-6, atol=2e-6
    )
