"""The page's scripts under Node.js, compared with the library."""

import base64
import csv
import io

import numpy as np
import pytest
from PIL import Image

from scratchnet.data import Preprocessing, resize_image, tile_grid
from scratchnet.inference import Segmenter
from scratchnet.inference.maps import resize_map
from scratchnet.layers import Conv2d
from scratchnet.network import Network
from scratchnet.visualization.web_app import web_settings
from tests import node

CLASSES = ("ground", "cell", "dust")


def run(scripts, code, **data):
    return node.run([f"web_app/assets/{name}.js" for name in scripts], code, **data)


def blobs(height, width, classes=3, seed=0):
    """A mask of ragged regions."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, classes, (-(-height // 3), -(-width // 3)), np.uint8)
    mask = np.kron(small, np.ones((3, 3), np.uint8))[:height, :width]
    mask[rng.random(mask.shape) < 0.2] = 0
    return mask


@pytest.mark.parametrize("shape", [(37, 53), (1, 9), (8, 1)])
def test_objects_are_those_of_scipy(shape):
    ndimage = pytest.importorskip("scipy.ndimage")
    mask = blobs(*shape)
    found = run(["objects"], "return findObjects(mask, h, w)", mask=mask.ravel().tolist(), h=shape[0], w=shape[1])
    expected = []
    for label in (1, 2):
        regions, count = ndimage.label(mask == label)
        for number, (rows, columns) in enumerate(ndimage.find_objects(regions), 1):
            inside = regions == number
            row, column = ndimage.center_of_mass(inside)
            box = (rows.start, columns.start, rows.stop - rows.start, columns.stop - columns.start)
            expected.append((label, int(inside.sum()), row, column, *box))
        assert sum(one["class"] == label for one in found) == count
    keys = ("class", "area", "row", "column", "top", "left", "height", "width")
    np.testing.assert_allclose(sorted(tuple(one[key] for key in keys) for one in found), sorted(expected))


def test_small_objects_are_left_out_of_the_counts_and_not_of_the_area():
    mask = [1, 1, 0, 1, 0, 2, 2, 2]
    code = "return summarize(mask, findObjects(mask, 1, 8), 3, 2)"
    assert run(["objects"], code, mask=mask) == [
        {"pixels": 2, "objects": 0, "area": 0},
        {"pixels": 3, "objects": 1, "area": 2},
        {"pixels": 3, "objects": 1, "area": 3},
    ]


def test_the_table():
    objects = [
        {"class": 1, "area": 3, "row": 1 / 3, "column": 20, "top": 0, "left": 19, "height": 2, "width": 3},
        {"class": 2, "area": 1, "row": 5, "column": 6, "top": 5, "left": 6, "height": 1, "width": 1},
    ]
    code = "return objectTable(name, objects, classes)"
    text = run(["table"], code, name='a "b", c.png', objects=objects, classes=["ground", "=cell", "dust"])
    head, *rows = csv.reader(io.StringIO(text, newline=""))
    assert head[:6] == ["image", "object", "class", "area_px", "centroid_row_px", "centroid_column_px"]
    assert head[6:] == ["box_top_px", "box_left_px", "box_height_px", "box_width_px"]
    assert rows == [
        ['a "b", c.png', "1", "'=cell", "3", "0.33333333", "20", "0", "19", "2", "3"],
        ['a "b", c.png', "2", "dust", "1", "5", "6", "5", "6", "1", "1"],
    ]


def test_the_mask_as_png():
    mask, colours = blobs(11, 7), [[0, 0, 0], [230, 159, 0], [86, 180, 233]]
    code = "return Buffer.from(await maskPng(Uint8Array.from(mask), 11, 7, colours)).toString('base64')"
    image = Image.open(io.BytesIO(base64.b64decode(run(["png"], code, mask=mask.ravel().tolist(), colours=colours))))
    assert image.mode == "P"
    assert image.getpalette()[:9] == [part for colour in colours for part in colour]
    np.testing.assert_array_equal(np.asarray(image), mask)


@pytest.mark.parametrize("size", [(20, 31), (61, 44), (7, 90)])
def test_resizing_is_that_of_pillow(size):
    rng = np.random.default_rng(1)
    image, shape = rng.integers(0, 256, (40, 43, 3), np.uint8), [40, 43, 3]
    values = rng.random((40, 43)).astype(np.float32)
    code = """
    const bytes = resize(Uint8Array.from(image), shape, size);
    return [[...bytes], [...resize(Float32Array.from(values), [shape[0], shape[1], 1], size)]];"""
    found = run(
        ["resize"], code, image=image.ravel().tolist(), values=values.ravel().tolist(), shape=shape, size=list(size)
    )
    difference = np.abs(np.reshape(found[0], (*size, 3)) - resize_image(image, size).astype(int))
    assert difference.max() <= 1  # Pillow rounds between two passes, whose order depends on the sizes
    np.testing.assert_allclose(np.reshape(found[1], size), resize_map(values, size), atol=1e-6)


@pytest.mark.parametrize(("length", "side", "overlap"), [(100, 40, 12), (40, 40, 12), (17, 40, 12), (101, 30, 0)])
def test_tiles_begin_where_the_library_begins_them(length, side, overlap):
    expected = [window.left for window in tile_grid(1, length, side, overlap)]
    assert run(["tiles"], f"return tileStarts({length}, {side}, {overlap})") == expected


def network(margin=0, fixed=None):
    """Scores that depend on the neighbours and on nothing else."""
    net = Network(3, stride=4, fixed_size=fixed, valid_margin=margin)
    net.add("score", Conv2d(3, 3, 2 * margin + 1 if margin else 5, padding=0 if margin else 2))
    parameters = net.allocate(4).steps[0].layer.parameters
    parameters["bias"].value[...] = -0.5 * parameters["weight"].value.sum((0, 1, 2))  # scores of grey are 0
    return net


TILED = """
const { kernel, bias, radius } = net;
// The network of the test on reflected surroundings, as its ONNX model computes them.
async function pass(pixels, height, width) {
  const maps = new Float32Array(height * width * 3), side = 2 * radius + 1;
  const around = (length) => (net.padded ? reflected(length, -radius, length + radius) : null);
  const rows = around(height), columns = around(width);
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
    const scores = [...bias];
    for (let i = 0; i < side; i++) for (let j = 0; j < side; j++) {
      const row = rows ? rows[y + i] : y + i - radius, column = columns ? columns[x + j] : x + j - radius;
      if (row < 0 || column < 0 || row >= height || column >= width) continue;
      for (let c = 0; c < 3; c++) for (let k = 0; k < 3; k++) {
        scores[k] += (pixels[(row * width + column) * 3 + c] / 255) * kernel[((i * side + j) * 3 + c) * 3 + k];
      }
    }
    const most = Math.max(...scores), powers = scores.map((score) => Math.exp(score - most));
    const sum = powers.reduce((a, b) => a + b);
    for (let k = 0; k < 3; k++) maps[(y * width + x) * 3 + k] = powers[k] / sum;
  }
  return maps;
}
let last = 0;
const image = { pixels: Uint8Array.from(pixels), height: size[0], width: size[1] };
const mask = await tiledMask(image, settings, 3, pass, (share) => {
  if (share <= last) throw new Error("backwards");
  last = share;
});
return [[...mask], last];
"""


@pytest.mark.parametrize(("margin", "fixed"), [(0, None), (3, None), (0, (16, 16))])
def test_tiled_masks_are_those_of_the_segmenter(margin, fixed):
    net, size = network(margin, fixed), (41, 30)
    image = np.random.default_rng(2).integers(0, 256, (*size, 3), np.uint8)
    preprocessing = Preprocessing("none")
    segmenter = Segmenter(net, preprocessing, **({} if fixed else {"tile": 16, "overlap": 6}))
    settings = web_settings(net, preprocessing, CLASSES) | {"untiled": 16, "tile": 16, "overlap": 6}
    layer = net.steps[0].layer.parameters
    data = {
        "kernel": layer["weight"].value.ravel().tolist(),
        "bias": layer["bias"].value.tolist(),
        "radius": margin or 2,
        "padded": margin > 0,
    }
    found, last = run(["tiles"], TILED, net=data, settings=settings, pixels=image.ravel().tolist(), size=list(size))
    assert last == 1
    expected = segmenter.segment(image)
    assert len(np.unique(expected)) == 3
    np.testing.assert_array_equal(np.reshape(found, size), expected)
