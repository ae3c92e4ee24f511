import math
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from scratchnet.data import Preprocessing, open_dataset, write_image
from scratchnet.evaluation import confusion_matrix
from scratchnet.inference import Segmenter, evaluate, evaluating
from scratchnet.inference.evaluating import image_score
from scratchnet.layers import Conv2d
from scratchnet.network import Network
from scratchnet.utils.errors import UserError
from tests.tiny import Source, network, sample, write_set

PLAIN = Preprocessing("none")
SIZES = [(16, 16), (16, 16), (20, 31), (16, 16), (48, 17), (48, 17), (48, 17)]


def mixed():
    pairs = [sample(index, *size) for index, size in enumerate(SIZES)]
    pairs[0][1][:3] = 255
    return Source(pairs)


def close(one, other):
    np.testing.assert_array_equal(one.confusion, other.confusion)
    assert one.loss == pytest.approx(other.loss, rel=1e-6)
    assert one.scores == pytest.approx(other.scores, abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("model", ["bloodcell", "squares"])
def test_groups_of_mixed_sizes_are_the_images_one_by_one(model, monkeypatch):
    segmenter = Segmenter(network(model, {"width": 2} if model == "squares" else None), PLAIN)
    shapes = []
    probabilities = Segmenter.probabilities
    monkeypatch.setattr(
        Segmenter,
        "probabilities",
        lambda self, images, names: shapes.append(images.shape[:3]) or probabilities(self, images, names),
    )
    grouped = evaluate(segmenter, mixed())
    assert shapes == [(2, 16, 16), (1, 20, 31), (1, 16, 16), (3, 48, 17)]
    monkeypatch.setattr(evaluating, "MAX_PIXELS", 1)
    alone = evaluate(segmenter, mixed())
    close(grouped, alone)
    monkeypatch.setattr(evaluating, "MAX_PIXELS", 2 * 48 * 17)
    shapes.clear()
    close(evaluate(segmenter, mixed()), grouped)
    assert shapes[-2:] == [(2, 48, 17), (1, 48, 17)]


def test_every_number_by_hand():
    segmenter, source = Segmenter(network(), PLAIN), mixed()
    found = evaluate(segmenter, source)
    total, losses, scores = np.zeros((2, 2), int), [], []
    for image, mask in source.pairs:
        p = segmenter.probabilities(image[None])[0].astype(float)
        matrix = confusion_matrix(mask, p.argmax(-1), 2)
        total += matrix
        union = matrix[1].sum() + matrix[0, 1]
        scores.append(matrix[1, 1] / union)
        counted = mask != 255
        losses += (-np.log(np.where(mask == 1, p[..., 1], p[..., 0])))[counted].tolist()
    np.testing.assert_array_equal(found.confusion, total)
    assert found.confusion.sum() == sum(h * w for h, w in SIZES) - 3 * 16
    assert found.loss == pytest.approx(np.mean(losses), rel=1e-5)
    assert found.scores == pytest.approx(scores)
    assert found.metrics.accuracy == pytest.approx(np.trace(total) / total.sum())


def test_an_ignored_class_that_the_set_names_does_not_count():
    """CamVid's void is class 11 of 12; neither the confusion nor the loss may see it."""
    segmenter = Segmenter(network("squares", {"width": 2}), PLAIN)
    pairs = [sample(0)]
    void = Source(pairs, ignore_index=1)
    hidden = Source([(pairs[0][0], np.where(pairs[0][1] == 1, 255, 0).astype(np.uint8))])
    one, other = evaluate(segmenter, void), evaluate(segmenter, hidden)
    np.testing.assert_array_equal(one.confusion, other.confusion)
    assert one.loss == other.loss


def test_without_an_ignore_label_every_pixel_counts():
    source = replace(mixed(), ignore_index=None, pairs=mixed().pairs[1:])
    assert evaluate(Segmenter(network(), PLAIN), source).confusion.sum() == sum(h * w for h, w in SIZES[1:])


def test_all_ignored():
    nothing = Source([(sample(0)[0], np.full((16, 16), 255, np.uint8))])
    found = evaluate(Segmenter(network(), PLAIN), nothing)
    assert (found.loss, found.confusion.sum()) == (0, 0)
    assert math.isnan(found.scores[0])
    assert math.isnan(found.metrics.mean_iou)


def test_impossible_predictions_have_a_finite_loss():
    net = network()
    net.flat().values[...] = 0
    net.parameters()["score.bias"].value[...] = 1e4  # probability of class 0: exactly 0
    found = evaluate(Segmenter(net, PLAIN), Source([sample(0)]))
    assert math.isfinite(found.loss)
    assert found.loss > 5


@pytest.mark.parametrize(
    ("confusion", "score"),
    [
        ([[5, 1], [2, 4]], 4 / 7),
        ([[9, 0], [0, 0]], 1.0),  # nothing to find, nothing found
        ([[8, 1], [0, 0]], 0.0),
        ([[3, 0, 0], [0, 2, 2], [0, 0, 0]], (1 + 0.5) / 2),
    ],
)
def test_the_score_of_an_image(confusion, score):
    assert image_score(np.array(confusion)) == pytest.approx(score)


def test_statistics_of_each_image_come_from_itself():
    net = network("squares", {"width": 2}).use_statistics("batch")
    segmenter, source = Segmenter(net, PLAIN), mixed()
    found = evaluate(segmenter, source)
    for index in (0, 1):
        alone = evaluate(segmenter, Source([source.pairs[index]]))
        assert found.scores[index] == alone.scores[0]


def test_progress_sees_every_image():
    seen = []

    def progress(numbers):
        for number in numbers:
            seen.append(number)
            yield number

    evaluate(Segmenter(network(), PLAIN), mixed(), progress)
    assert seen == list(range(len(SIZES)))


def test_an_image_that_is_too_small_is_named():
    with pytest.raises(UserError, match="image-0: the image is 8×20 pixels"):
        evaluate(Segmenter(network(), PLAIN), Source([sample(0, 8, 20)]))


def test_a_mask_of_another_size_is_named(tmp_path):
    root = write_set(tmp_path, 3, split=False)
    write_image(root / "images" / "s1.png", np.zeros((16, 20, 3), np.uint8))
    with pytest.raises(UserError, match=r"s1\.png is 16×20 but its mask .*s1\.png is 16×16"):
        evaluate(Segmenter(network(), PLAIN), open_dataset(root))


class Whole:
    """A predictor that tells all probabilities at once."""

    def __init__(self, segmenter):
        self.probabilities = segmenter.probabilities


def test_tiles_are_evaluated_row_by_row_as_the_whole():
    segmenter = Segmenter(network("bloodcell"), PLAIN, tile=16, overlap=0)
    rows, whole = (evaluate(predictor, mixed()) for predictor in (segmenter, Whole(segmenter)))
    np.testing.assert_array_equal(rows.confusion, whole.confusion)
    assert (rows.loss, rows.scores) == (whole.loss, whole.scores)


def test_the_probabilities_of_many_classes_are_not_kept():
    net = Network(3)
    net.add("score", Conv2d(3, 21, 1))
    segmenter = Segmenter(net.allocate().eval(), PLAIN, tile=64, overlap=0)
    pairs = [(np.zeros((500, 500, 3), np.uint8), np.zeros((500, 500), np.uint8))]
    source = Source(pairs, classes=tuple(map(str, range(21))))
    evaluate(segmenter, Source([(pairs[0][0][:70], pairs[0][1][:70])], classes=source.classes))
    tracemalloc.start()
    evaluate(segmenter, source)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 21 * 500 * 500  # which the probabilities alone would take
