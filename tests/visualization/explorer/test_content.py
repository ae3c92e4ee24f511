import base64
import zlib

import numpy as np
import pytest

from scratchnet.data import Preprocessing
from scratchnet.inference import Segmenter
from scratchnet.models import MODELS, build
from scratchnet.utils.errors import UserError
from scratchnet.visualization.explorer import content, crop_image, explorer_page
from scratchnet.visualization.explorer.packing import Packer, quantize
from tests.visualization.explorer.nets import CLASSES, made, network


@pytest.fixture(scope="module")
def page():
    return made()


def arrays(content):
    """Unpack the arrays as the page's script does; return functions for bytes and floats."""
    everything = zlib.decompress(base64.b64decode(content["arrays"]))

    def cut(place):
        return everything[place[0] : place[0] + place[1]]

    return (
        lambda place: np.cumsum(np.frombuffer(cut(place), np.uint8), dtype=np.uint8),
        lambda place: np.frombuffer(cut(place), "<f4"),
    )


def test_a_convolution_and_what_follows_is_one_layer(page):
    found = [(layer["name"], layer["value"], layer["kind"]) for layer in page.content["layers"]]
    assert found[:7] == [
        ("input", "input", "input"),
        ("lrn", "lrn", "pixelwise"),
        ("conv1", "conv1_relu", "conv"),
        ("pool1", "pool1", "pool"),
        ("depthwise", "depthwise", "conv"),
        ("conv2", "conv2_drop", "conv"),
        ("pool2", "pool2", "pool"),
    ]
    assert found[-2:] == [("score", "score", "conv"), ("classes", "classes", "classes")]
    conv1 = page.content["layers"][2]
    assert (conv1["words"], conv1["after"], conv1["size"]) == ("conv 3×3, 8", ("batch norm", "ReLU"), (20, 24, 8))
    assert ("repeat_crop", "repeat_crop", "frame") in found


def test_a_crop_that_cuts_nothing_off_is_no_layer():
    net = build("unet-same", 3, width=0.05, depth=2).allocate(0).eval()
    names = [[layer["name"] for layer in made(net, size).content["layers"]] for size in ((16, 8), (15, 8))]
    assert [name for name in names[0] if "crop" in name] == []
    assert [name for name in names[1] if "crop" in name] == ["crop1"]


def test_the_hourglass(page):
    where = {layer["name"]: (layer["part"], layer["level"]) for layer in page.content["layers"]}
    assert where["input"] == where["conv1"] == ("down", 1)
    assert where["pool2"] == ("floor", 3)
    assert where["unpool1"] == where["score"] == ("up", 1)
    assert where["deconv1"] == ("up", 0)


def test_maps_are_within_half_a_step_and_zero_is_zero(page):
    unpack, _ = arrays(page.content)
    for layer in page.content["layers"][:-1]:
        h, w, _ = layer["size"]
        truth = page.values[layer["value"]][0][:, :, layer["channels"]].transpose(2, 0, 1)
        stored = unpack(layer["maps"]).reshape(-1, h, w).astype(np.float64)
        scale = np.array(layer["scale"])[:, None, None]
        found = (stored - layer["zero"]) * scale
        assert np.abs(found - truth).max() <= 0.501 * scale.max() + 1e-6
        assert (found[truth == 0] == 0).all()


def test_switches_and_weights(page):
    unpack, floats = arrays(page.content)
    layers = {layer["name"]: layer for layer in page.content["layers"]}
    channels = layers["pool2"]["channels"]
    stored = unpack(layers["pool2"]["switches"]).reshape(len(channels), *page.switches["pool2"].shape[:2])
    np.testing.assert_array_equal(stored, page.switches["pool2"][:, :, channels].transpose(2, 0, 1))
    weight = {name: p.value for name, p in page.net.parameters().items()}
    found = floats(layers["conv2"]["weights"]).reshape(len(layers["conv2"]["channels"]), -1, 3, 3)
    for m, c_out in enumerate(layers["conv2"]["channels"]):
        for n, c_in in enumerate(layers["depthwise"]["channels"]):
            np.testing.assert_array_equal(found[m, n], weight["conv2.weight"][:, :, c_in, c_out])
    found = floats(layers["deconv2"]["weights"]).reshape(len(layers["deconv2"]["channels"]), -1, 3, 3)
    for m, c_out in enumerate(layers["deconv2"]["channels"]):
        for n, c_in in enumerate(layers["both"]["channels"]):
            np.testing.assert_array_equal(found[m, n], weight["deconv2.weight"][:, :, c_out, c_in])
    found = floats(layers["depthwise"]["weights"]).reshape(len(layers["pool1"]["channels"]), -1, 3, 3)
    for m, c_out in enumerate(layers["depthwise"]["channels"]):
        for n, c_in in enumerate(layers["pool1"]["channels"]):
            expected = weight["depthwise.weight"][:, :, 0, c_out] if c_in == c_out else np.zeros((3, 3))
            np.testing.assert_array_equal(found[m, n], expected)


def test_a_value_can_be_followed_through_layers_that_hand_maps_on(page):
    layers = {layer["name"]: layer for layer in page.content["layers"]}
    assert layers["conv1"]["channels"] == layers["pool1"]["channels"] == layers["unpool1"]["channels"]
    assert layers["deconv2"]["channels"] == layers["unpool1"]["channels"]
    shared = layers["sum"]["channels"]
    assert layers["tent"]["channels"] == layers["conv2"]["channels"] == layers["pool2"]["channels"] == shared
    assert layers["both"]["channels"] == [*shared[:2], *(12 + c for c in shared[:2])]


def test_the_strongest_maps_come_first(page):
    """Strength is the spread over the image, summed over the layers that show the same maps."""
    tied = [
        page.values[name][0].std(axis=(0, 1)) for name in ("conv1_relu", "pool1", "depthwise", "deconv2", "unpool1")
    ]
    strength = sum(spread / spread.max() for spread in tied)
    layers = {layer["name"]: layer for layer in page.content["layers"]}
    assert layers["conv1"]["channels"] == np.argsort(-strength)[:4].tolist()


def test_the_mask_is_that_of_segment(page):
    unpack, _ = arrays(page.content)
    classes = page.content["layers"][-1]
    image = page.crop.photo[:20, :24]
    segmenter = Segmenter(page.net, Preprocessing("dataset", (0.5, 0.5, 0.5), (0.3, 0.3, 0.3)))
    np.testing.assert_array_equal(unpack(classes["mask"]).reshape(20, 24), segmenter.segment(image))
    p = segmenter.probabilities(image[None])[0]
    np.testing.assert_allclose(unpack(classes["maps"]).reshape(3, 20, 24), 255 * p.transpose(2, 0, 1), atol=0.51)
    start = page.content["start"]
    assert p[start["y"], start["x"], start["class"]] == p[:, :, start["class"]].max()


def test_a_part_of_a_large_image():
    net = network()
    image = np.random.default_rng(1).integers(0, 256, (40, 61, 3), np.uint8)
    segmenter = Segmenter(net, Preprocessing("image"))
    crop = crop_image(segmenter, image, (16, 20), (30, 59))
    assert tuple(crop.part) == (20, 40, 36, 60)  # it begins at a multiple of 4, as the windows over the whole do
    np.testing.assert_array_equal(crop.photo, image[20:36, 40:60])
    np.testing.assert_array_equal(crop.x[0], Preprocessing("image").apply(image[None])[0, 20:36, 40:60])
    assert "rows 20–35 and columns 40–59" in crop.notes()[0]
    last = crop_image(segmenter, image, (16, 20), (30, 60))  # it contains the pixel, even in the last column
    assert tuple(last.part) == (20, 44, 36, 61)
    assert last.x.shape == (1, 16, 20, 3)
    assert crop_image(segmenter, image).notes() == ["The image is padded by reflection to 40×64 pixels."]


@pytest.mark.parametrize(
    ("size", "at", "said"),
    [
        ((2, 8), None, "--size 2x8: expected 4 to 544 pixels a side"),
        ((600, 8), None, "--size 600x8"),
        (None, (40, 0), "--at 40 0: the image has rows 0 to 39"),
    ],
)
def test_parts_that_there_are_not(size, at, said):
    with pytest.raises(UserError, match=said):
        crop_image(Segmenter(network(), Preprocessing()), np.zeros((40, 60, 3), np.uint8), size, at)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_has_a_page(name):
    options = MODELS[name].options()
    small = {key: value for key, value in {"width": 0.02, "size": 64}.items() if key in options}
    if isinstance(options.get("width"), int):
        small["width"] = 2
    net = build(name, 3, **small).allocate(0).eval()
    image = np.random.default_rng(0).integers(0, 256, (70, 65, 3), np.uint8)
    crop = crop_image(Segmenter(net, Preprocessing()), image, None if net.fixed_size else (32, 48))
    found = content(net, crop, CLASSES, 2)
    text = explorer_page(name, crop.notes(), found)
    assert len(text) < 1_000_000
    drawn = {layer["value"] for layer in found["layers"]}
    assert {"input", net.steps[-1].name, "classes"} <= drawn
    assert all(link["from"] < i for i, layer in enumerate(found["layers"]) for link in layer["links"])


def test_the_page_is_one_file_and_safe():
    text = explorer_page("<b>", ["a <note>"], made().content)
    assert "<b>" not in text.partition("</header>")[0]
    assert "&lt;note&gt;" in text
    assert "default-src 'none'" in text
    assert "http" not in text.replace("http-equiv", "")
    assert "[[" not in text.partition("<script type")[0]


def test_bytes_and_quantizing():
    packer = Packer()
    first = np.array([[3, 250], [7, 7]], np.uint8)
    places = [packer.add_bytes(first), packer.add_floats(np.array([0.25, -3])), packer.add_bytes(first.T)]
    unpack, floats = arrays({"arrays": packer.text()})
    assert places == [[0, 4], [4, 8], [12, 4]]
    assert unpack(places[0]).tolist() == [3, 250, 7, 7]
    assert floats(places[1]).tolist() == [0.25, -3]
    assert unpack(places[2]).tolist() == [3, 7, 250, 7]
    maps, scale, zero = quantize(np.array([[[0, -2.0], [4, 1]]]))
    assert (zero, scale) == (128, pytest.approx([4 / 127, 2 / 127], rel=1e-5))
    assert maps.tolist() == [[[128, 255]], [[1, 192]]]
    assert quantize(np.zeros((1, 1, 1)))[0].tolist() == [[[0]]]
