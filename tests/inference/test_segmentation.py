import tracemalloc

import numpy as np
import pytest

from scratchnet.data import Preprocessing, stitch, tile_grid
from scratchnet.data.image_rows import ImageRows
from scratchnet.inference import Segmenter, segmentation, to_mask
from scratchnet.layers import Conv2d, MaxPool2d, UpsampleNearest
from scratchnet.losses import probabilities
from scratchnet.network import Network
from scratchnet.ops.activation import softmax
from scratchnet.utils.errors import UserError
from tests.tiny import network, sample

PLAIN = Preprocessing("none")
DECONVNET = {"size": 32, "width": 2}
SEES = 12
"""How far `local` sees, at most, in pixels."""


def photos(count, height, width):
    return np.stack([sample(index, height, width)[0] for index in range(count)])


def local(classes=3):
    """A network of stride 4 whose every output depends on pixels nearer than SEES; it has no bias to hide behind."""
    net = Network(3, stride=4)
    net.add("conv1", Conv2d(3, 4, 3, padding=1))
    net.add("pool", MaxPool2d(4))
    net.add("conv2", Conv2d(4, 4, 3, padding=1))
    net.add("up", UpsampleNearest(4))
    net.add("score", Conv2d(4, classes, 1))
    return net.allocate(1).eval()


@pytest.mark.parametrize("size", [(16, 16), (17, 16), (31, 50), (100, 16), (33, 129)])
@pytest.mark.parametrize("model", ["bloodcell", "deconvnet-small", "squares", "segnet", "unet", "fcn8s"])
def test_the_result_has_the_size_of_the_image(model, size):
    options = {
        "deconvnet-small": DECONVNET,
        "squares": {"width": 2},
        "segnet": {"width": 1 / 32},
        "unet": {"width": 1 / 32, "depth": 2},
        "fcn8s": {"width": 1 / 64, "padding": "same"},
    }.get(model)
    segmenter = Segmenter(network(model, options), PLAIN)
    p = segmenter.probabilities(photos(2, *size))
    assert p.shape == (2, *size, 2)
    assert p.dtype == np.float32
    np.testing.assert_allclose(p.sum(axis=-1), 1, atol=1e-5)
    mask = segmenter.segment(photos(2, *size)[1])
    assert mask.shape == size
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, p[1].argmax(axis=-1))


@pytest.mark.parametrize("size", [(30, 47), (64, 64)])
def test_a_padded_image_is_the_reflected_image_cut_back(size):
    net = local()
    images = photos(1, *size)
    height, width = (-(-side // 4) * 4 for side in size)
    reflected = np.pad(images, [(0, 0), (0, height - size[0]), (0, width - size[1]), (0, 0)], mode="symmetric")
    expected = Segmenter(net, PLAIN).probabilities(reflected)[:, : size[0], : size[1]]
    np.testing.assert_array_equal(Segmenter(net, PLAIN).probabilities(images), expected)


@pytest.mark.parametrize(("tile", "overlap"), [(64, 48), (64, 40), (67, 35), (40, None)])
@pytest.mark.parametrize("size", [(96, 96), (70, 131), (150, 20)])
def test_tiles_agree_with_the_whole(size, tile, overlap):
    """Further than the receptive field from the borders between tiles nothing differs; nearer, little."""
    net, images = local(), photos(1, *size)
    whole = Segmenter(net, PLAIN).probabilities(images)[0]
    tiles = Segmenter(net, PLAIN, tile=tile, overlap=overlap).probabilities(images)[0]
    assert whole.std() > 0.02
    height, width = (-(-length // 4) * 4 for length in size)
    side = tile // 4 * 4
    told = np.ones((height, width), bool)
    for window in tile_grid(
        height, width, side, min(-(-(side // 4 if overlap is None else overlap) // 4) * 4, side - 4)
    ):
        for begin, length, end, axis in ((window.top, window.height, height, 0), (window.left, window.width, width, 1)):
            near = np.moveaxis(told[window.slices], axis, 0)
            near[: SEES if begin else 0] = False
            near[length - (SEES if begin + length < end else 0) :] = False
    told = told[: size[0], : size[1]]
    assert told.mean() > 0.15
    np.testing.assert_allclose(tiles[told], whole[told], atol=1e-6)
    assert np.abs(tiles - whole).mean() < 0.03


def test_an_image_is_framed_by_its_reflection():
    net = network("unet", {"width": 1 / 16, "depth": 1})
    images = photos(2, 21, 30)
    framed = np.pad(images, [(0, 0), (8, 8), (8, 8), (0, 0)], mode="symmetric")
    expected = probabilities(net.forward(PLAIN.apply(framed)))
    assert expected.shape == (2, 21, 30, 2)
    np.testing.assert_array_equal(Segmenter(net, PLAIN).probabilities(images), expected)


@pytest.mark.parametrize("size", [(60, 60), (40, 90), (90, 30)])
@pytest.mark.parametrize(
    ("model", "options"), [("unet", {"width": 1 / 16, "depth": 1}), ("sliding-window", {"width": 1 / 16})]
)
def test_overlap_tiles_see_their_true_surroundings(model, options, size):
    """Without padding inside, a tile with its border gives exactly what the whole image gives; no seams to hide."""
    net, images = network(model, options), photos(1, *size)
    whole = Segmenter(net, PLAIN).probabilities(images)
    tiles = Segmenter(net, PLAIN, tile=30, overlap=0).probabilities(images)
    assert whole.std() > 0.003
    np.testing.assert_allclose(tiles, whole, rtol=0, atol=1e-6)


def test_large_images_are_cut_without_being_asked(monkeypatch):
    monkeypatch.setattr(segmentation, "MAX_UNTILED_SIDE", 40)
    monkeypatch.setattr(segmentation, "TILE", 32)
    monkeypatch.setattr(segmentation, "OVERLAP", 16)
    net, seen = local(), []
    forward = net.forward
    monkeypatch.setattr(net, "forward", lambda x, keep=None: seen.append(x.shape) or forward(x, keep))
    Segmenter(net, PLAIN).probabilities(photos(2, 40, 40))
    assert seen == [(2, 40, 40, 3)]
    seen.clear()
    Segmenter(net, PLAIN).probabilities(photos(1, 41, 20))
    assert seen == [(1, 32, 20, 3)] * 2
    seen.clear()
    Segmenter(net, PLAIN, tile=70).probabilities(photos(1, 41, 69))  # 70 is no multiple of 4: tiles of 68
    assert seen == [(1, 44, 68, 3)] * 2


@pytest.mark.parametrize("size", [(32, 32), (20, 32), (16, 16), (40, 70), (33, 20)])
def test_a_network_of_one_size_always_gets_that_size(size, monkeypatch):
    net, seen = network("deconvnet-small", DECONVNET), []
    forward = net.forward
    monkeypatch.setattr(net, "forward", lambda x, keep=None: seen.append(x.shape[1:3]) or forward(x, keep))
    assert Segmenter(net, PLAIN).segment(photos(1, *size)[0]).shape == size
    assert set(seen) == {(32, 32)}


@pytest.mark.parametrize("size", [(32, 32), (48, 40)])
@pytest.mark.parametrize("options", [{"width": 0.1, "batch_norm": True}])
def test_statistics_of_an_image_do_not_depend_on_its_neighbours(size, options):
    net = network("bloodcell", options).use_statistics("batch")
    images = photos(3, *size)
    images[1] //= 4
    together = Segmenter(net, PLAIN).probabilities(images)
    for index in range(3):
        np.testing.assert_array_equal(
            together[index], Segmenter(net, PLAIN).probabilities(images[index : index + 1])[0]
        )


def test_running_statistics_do_not_depend_on_neighbours_either():
    net = network("bloodcell", {"width": 0.1, "batch_norm": True})
    images = photos(3, 32, 32)
    together = Segmenter(net, PLAIN).probabilities(images)
    for index in range(3):
        alone = Segmenter(net, PLAIN).probabilities(images[index : index + 1])[0]
        np.testing.assert_allclose(together[index], alone, atol=1e-6)


@pytest.mark.parametrize(("size", "resize"), [((40, 24), (32, 48)), ((100, 90), (32, 32)), ((5, 7), (16, 16))])
def test_resizing_comes_back_in_the_image_s_size(size, resize):
    preprocessing = Preprocessing("dataset", (0.1, 0.1, 0.1), (0.5, 0.5, 0.5), resize)
    p = Segmenter(network(), preprocessing).probabilities(photos(2, *size))
    assert p.shape == (2, *size, 2)
    np.testing.assert_allclose(p.sum(axis=-1), 1, atol=1e-5)


def test_an_image_smaller_than_the_stride_is_refused():
    with pytest.raises(UserError, match=r"the image is 15×40 pixels.*at least 16×16 pixels; enlarge the image"):
        Segmenter(network(), PLAIN).probabilities(photos(1, 15, 40))


@pytest.mark.parametrize(
    ("tile", "overlap", "words"),
    [
        (0, None, "tile=0: this network needs tiles of at least 16 pixels"),
        (-64, None, "tile=-64: this network needs"),
        (15, None, "tile=15"),
        (64, 64, "overlap=64: expected 0 to 63, less than the tiles' side of 64"),
        (70, 64, "overlap=64: expected 0 to 63"),  # the tiles' side is a multiple of the stride
        (64, -1, "overlap=-1"),
        (None, 16, "overlap=16: needs tile"),
    ],
)
def test_tiles_that_make_no_sense_are_refused(tile, overlap, words):
    with pytest.raises(UserError, match=words):
        Segmenter(network(), PLAIN, tile, overlap)


def test_a_network_of_one_size_takes_no_other_tiles():
    net = network("deconvnet-small", DECONVNET)
    for settings in ({"tile": 64}, {"overlap": 3}, {"tile": 32, "overlap": 8}):
        with pytest.raises(UserError, match="32×32 tiles only"):
            Segmenter(net, PLAIN, **settings)


@pytest.mark.parametrize(
    ("model", "size"), [("bloodcell", (33, 50)), ("deconvnet-small", (40, 70)), ("local", (90, 70))]
)
def test_the_softmax_of_scores(model, size):
    """Where one pass sees the whole image, the scores' softmax are the probabilities; tiles average either."""
    net = local() if model == "local" else network(model, DECONVNET if model == "deconvnet-small" else None)
    segmenter, images = Segmenter(net, PLAIN), photos(2, *size)
    scores, p = segmenter.scores(images), segmenter.probabilities(images)
    assert scores.shape == p.shape
    assert np.abs(softmax(scores) - p).max() < (0.1 if model == "deconvnet-small" else 1e-5)
    if model == "bloodcell":  # one channel
        assert not scores[..., 0].any()
        assert scores[..., 1].any()


@pytest.mark.parametrize(("size", "tile"), [((32, 48), None), ((56, 56), 32)])
def test_mirroring_makes_the_result_symmetric(size, tile):
    segmenter, images = Segmenter(local(), PLAIN, tile=tile, flip=True), photos(2, *size)
    plain = Segmenter(local(), PLAIN, tile=tile)
    for kind in ("scores", "probabilities"):
        found = getattr(segmenter, kind)(images)
        flipped = getattr(segmenter, kind)(np.ascontiguousarray(images[:, :, ::-1]))
        np.testing.assert_allclose(found, flipped[:, :, ::-1], atol=1e-5)
        both = getattr(plain, kind)(images), getattr(plain, kind)(np.ascontiguousarray(images[:, :, ::-1]))[:, :, ::-1]
        np.testing.assert_allclose(found, (both[0] + both[1]) / 2, atol=1e-5)
        assert np.abs(found - both[0]).max() > 1e-3


def test_crops_pass_together():
    segmenter, images = Segmenter(network("deconvnet-small", DECONVNET), PLAIN), photos(3, 32, 32)
    np.testing.assert_allclose(segmenter.crops(images), segmenter.scores(images), atol=1e-6)


def test_ties_go_to_the_first_class():
    assert to_mask(np.array([[0.5, 0.5], [0.1, 0.9]])).tolist() == [0, 1]


@pytest.mark.parametrize("size", [(418, 1505), (1500, 2000)])
def test_memory_grows_with_the_result_not_with_the_activations(size):
    """16 filters on the whole photograph would be 64 bytes a pixel for every layer of the first block."""
    net = Network(3, stride=2)
    net.add("conv", Conv2d(3, 16, 1))
    net.add("pool", MaxPool2d(2))
    net.add("up", UpsampleNearest(2))
    net.add("score", Conv2d(16, 1, 1))
    segmenter = Segmenter(net.allocate().eval(), PLAIN)
    image = np.zeros((*size, 3), np.uint8)
    segmenter.segment(image[:448, :448])  # what is made once stays out of the measurement
    tracemalloc.start()
    mask = segmenter.segment(image)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert mask.shape == size
    pixels = size[0] * size[1]
    # The mask twice; of a row of tiles bytes, sums, weights, means and probabilities; and one tile's maps.
    assert peak < 2 * pixels + 448 * size[1] * (3 + 5 * 16) + 4 * 16 * 6 * 448**2


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("size", [(64, 64), (61, 45), (17, 90)])
@pytest.mark.parametrize("model", ["bloodcell", "unet"])
def test_rows_are_the_whole_result_bit_for_bit(model, size, flip):
    options = {"unet": {"width": 0.05}}.get(model)
    segmenter = Segmenter(network(model, options), Preprocessing("dataset", (0.4,) * 3, (0.2,) * 3), 32, 16, flip)
    image = photos(1, *size)[0]
    rows = list(segmenter.probability_rows(ImageRows.from_array(image)))
    assert len(rows) > 1 or size[0] <= 32
    np.testing.assert_array_equal(np.concatenate(rows), segmenter.probabilities(image[None])[0])
    x = segmenter.preprocessing.apply(image[None])  # as if the tiles were cut out of the whole preprocessed image
    b, (h, w) = segmenter.network.valid_margin, segmenter._multiples(*size)
    x = segmenter.framed(np.pad(x, ((0, 0), (0, h - size[0]), (0, w - size[1]), (0, 0)), mode="symmetric"))
    windows = tile_grid(h, w, *segmenter._tile_size(*size))
    maps = [segmenter._run(x[:, t : t + r + 2 * b, c : c + k + 2 * b], probabilities)[0] for t, c, r, k in windows]
    np.testing.assert_array_equal(np.concatenate(rows), stitch(maps, windows, h, w)[: size[0], : size[1]])


def test_what_depends_on_the_whole_image_is_not_done_by_rows():
    net = network("bloodcell")
    assert Segmenter(net, PLAIN, tile=16).takes_rows(64, 64)
    assert not Segmenter(net, PLAIN).takes_rows(64, 64)
    assert not Segmenter(net, Preprocessing("image"), tile=16).takes_rows(64, 64)
    assert not Segmenter(net, Preprocessing("none", resize=(32, 32)), tile=16).takes_rows(64, 64)
