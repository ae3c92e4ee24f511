import tracemalloc

import numpy as np
import pytest

from scratchnet.data import Preprocessing, Window, resize_image
from scratchnet.data.objects.box_sampling import cut_out
from scratchnet.inference import ProposalSegmenter, Segmenter
from scratchnet.inference.boxes import proposals_from_grid
from scratchnet.inference.maps import resize_map
from scratchnet.layers import Conv2d
from scratchnet.network import Network
from scratchnet.ops.activation import softmax
from scratchnet.utils.errors import UserError
from tests.tiny import network, sample

PLAIN = Preprocessing("none")
IMAGE = sample(3, 60, 80)[0]
BOXES = [Window(0, 0, 60, 80), Window(10, 20, 30, 24), Window(-8, 50, 40, 50), Window(30, 5, 12, 12)]


def deconvnet():
    """Its scores are of either sign."""
    net = network("deconvnet-small", {"size": 32, "width": 2})
    net.parameters()["score.weight"].value[...] *= 50
    net.parameters()["score.bias"].value[...] = (-0.3, -0.05)
    return Segmenter(net, PLAIN)


def bright(threshold=0.5):
    """A network that takes 8×8 pixels and scores the red channel: 0 for class 0, red − threshold for class 1."""
    net = Network(3, fixed_size=(8, 8))
    net.add("score", Conv2d(3, 2, 1))
    net.allocate().eval()
    net.flat().values[...] = 0
    net.parameters()["score.weight"].value[0, 0, 0, 1] = 1
    net.parameters()["score.bias"].value[1] = -threshold
    return Segmenter(net, PLAIN)


def placed(segmenter, boxes, size):
    """The paper's G_i, one box at a time: (boxes, h, w, classes), 0 outside the box, and which pixels are inside."""
    h, w = IMAGE.shape[:2]
    maps, inside = [], []
    for box in boxes:
        crop = resize_image(cut_out(IMAGE, box, 0), size)
        scores = segmenter.scores(crop[None])[0]
        large = np.zeros((3 * h, 3 * w, scores.shape[-1]), np.float32)  # room for what sticks out
        rows, columns = (
            slice(box.top + h, box.top + h + box.height),
            slice(box.left + w, box.left + w + box.width),
        )
        for c in range(scores.shape[-1]):
            large[rows, columns, c] = resize_map(scores[..., c], (box.height, box.width))
        covered = np.zeros((3 * h, 3 * w), bool)
        covered[rows, columns] = True
        maps.append(large[h : 2 * h, w : 2 * w])
        inside.append(covered[h : 2 * h, w : 2 * w])
    return np.stack(maps), np.stack(inside)


def scores_of(rule, boxes=BOXES, segmenter=None, **settings):
    found = ProposalSegmenter(segmenter or deconvnet(), lambda name, image: boxes, rule, **settings)
    return found.scores(IMAGE[None])[0]


def test_the_maximum_of_the_paper():
    maps, _ = placed(deconvnet(), BOXES, (32, 32))
    np.testing.assert_allclose(scores_of("max"), maps.max(axis=0), atol=1e-5)


def test_the_sum_of_the_paper():
    maps, _ = placed(deconvnet(), BOXES, (32, 32))
    np.testing.assert_allclose(scores_of("sum"), maps.sum(axis=0), atol=1e-5)


def test_the_released_rule():
    """Boxes with a side under half the network's 32 are skipped; 0 is always among the candidates."""
    maps, _ = placed(deconvnet(), BOXES[:3], (32, 32))
    np.testing.assert_allclose(scores_of("released"), np.maximum(maps.max(axis=0), 0), atol=1e-5)
    np.testing.assert_allclose(scores_of("released", BOXES[:1]), np.maximum(maps[0], 0), atol=1e-5)
    assert (maps[0] < 0).any()


def test_one_box_over_everything_is_the_network_on_the_shrunk_image():
    """Nothing is outside this box, so the paper's maximum has no 0 in it: negative scores stay."""
    maps, _ = placed(deconvnet(), BOXES[:1], (32, 32))
    found = scores_of("max", BOXES[:1])
    np.testing.assert_allclose(found, maps[0], atol=1e-5)
    assert (found < 0).any()


def test_scores_go_back_to_their_place():
    image = np.zeros((20, 30, 3), np.uint8)
    image[4:12, 16:24] = 255
    boxes = [Window(4, 16, 8, 8), Window(0, 0, 8, 8)]
    found = ProposalSegmenter(bright(), lambda name, image: boxes).scores(image[None])[0]
    expected = np.zeros((20, 30))
    expected[4:12, 16:24] = 0.5
    np.testing.assert_allclose(found[..., 1], expected, atol=1e-6)


def test_softmax_comes_after_the_aggregation():
    found = ProposalSegmenter(deconvnet(), lambda name, image: BOXES, "sum").probabilities(IMAGE[None])
    np.testing.assert_allclose(found[0], softmax(scores_of("sum")), atol=1e-6)


def test_what_lies_outside_the_image_is_black():
    boxes = [Window(-30, 0, 60, 80)]
    found = scores_of("max", boxes, bright(threshold=-0.25))
    padded = np.concatenate([np.zeros((30, 80, 3), np.uint8), IMAGE[:30]])
    expected = resize_map(resize_image(padded, (8, 8))[..., 0] / np.float32(255) + np.float32(0.25), (60, 80))[30:]
    np.testing.assert_allclose(found[:30, :, 1], expected, atol=1e-5)
    assert not found[30:, :, 1].any()


def test_the_first_boxes_are_looked_at():
    np.testing.assert_array_equal(scores_of("max", limit=2), scores_of("max", BOXES[:2]))
    few = [BOXES[3], *BOXES[:3]]  # a box that is skipped does not count
    np.testing.assert_array_equal(scores_of("released", few, limit=2), scores_of("released", BOXES[:2]))


def test_batch_statistics_come_from_each_box_alone():
    segmenter = Segmenter(network("bloodcell", {"width": 0.1, "batch_norm": True}).use_statistics("batch"), PLAIN)
    together = scores_of("sum", BOXES[:2], segmenter, side=32)
    apart = sum(scores_of("sum", [box], segmenter, side=32) for box in BOXES[:2])
    np.testing.assert_allclose(together, apart, atol=1e-5)


def test_many_boxes_pass_in_groups(monkeypatch):
    segmenter, seen = deconvnet(), []
    crops = Segmenter.crops
    monkeypatch.setattr(Segmenter, "crops", lambda self, images: seen.append(len(images)) or crops(self, images))
    monkeypatch.setattr("scratchnet.inference.proposals.MAX_UNTILED_SIDE", 46)  # 46² pixels are two of 32²
    scores_of("max", segmenter=segmenter)
    assert seen == [2, 2]
    scores_of("max", BOXES[:3], segmenter)
    assert seen[2:] == [2, 1]


def test_the_size_of_boxes():
    boxes = lambda name, image: BOXES  # noqa: E731
    any_size = Segmenter(network(), PLAIN)
    with pytest.raises(UserError, match="takes images of any size; set the size of its boxes with side"):
        ProposalSegmenter(any_size, boxes)
    with pytest.raises(UserError, match="at least 16×16"):
        ProposalSegmenter(any_size, boxes, side=8)
    with pytest.raises(UserError, match="resizes every box to 32×32; leave side out"):
        ProposalSegmenter(deconvnet(), boxes, side=64)
    found = ProposalSegmenter(any_size, boxes, side=48).scores(IMAGE[None])
    maps, _ = placed(any_size, BOXES, (48, 48))
    np.testing.assert_allclose(found[0], maps.max(axis=0), atol=1e-5)
    resizing = Segmenter(network(), Preprocessing("none", resize=(48, 48)))
    np.testing.assert_allclose(ProposalSegmenter(resizing, boxes).scores(IMAGE[None]), found, atol=1e-5)


def test_released_refuses_an_image_with_small_boxes_only():
    small = ProposalSegmenter(deconvnet(), lambda name, image: BOXES[3:], "released")
    for ask in (lambda: small.check(IMAGE, "a"), lambda: small.scores(IMAGE[None], ["a"])):
        with pytest.raises(UserError, match=r"no box of the image has a shorter side of 16 pixels.*aggregation max"):
            ask()


def test_boxes_are_asked_by_name():
    asked = []

    def proposals(name, image):
        asked.append((name, image.shape))
        return BOXES[:1]

    ProposalSegmenter(deconvnet(), proposals).probabilities(np.stack([IMAGE, IMAGE]), ["a", "b"])
    assert asked == [("a", IMAGE.shape), ("b", IMAGE.shape)]


def test_memory_is_that_of_the_result_and_one_box():
    """Two classes: 8 bytes a pixel of scores, 8 of probabilities and as many on the way, and the map of one box."""
    segmenter = bright()
    image = np.zeros((1500, 2000, 3), np.uint8)
    boxes = ProposalSegmenter(segmenter, proposals_from_grid(50))
    boxes.probabilities(image[None, :100, :100])  # what is made once stays out of the measurement
    tracemalloc.start()
    boxes.probabilities(image[None])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 45 * 1500 * 2000
