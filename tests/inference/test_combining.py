import numpy as np
import pytest

from scratchnet.data import Preprocessing, resize_image
from scratchnet.inference import DenseCrf, Ensemble, MultiScale, Refined, Segmenter
from scratchnet.inference.maps import resize_maps
from scratchnet.ops.activation import softmax
from scratchnet.utils.errors import UserError
from tests.tiny import network, sample

PLAIN = Preprocessing("none")


def photos(count, height, width):
    return np.stack([sample(index, height, width)[0] for index in range(count)])


class Fixed:
    """A predictor that knows the answer."""

    def __init__(self, scores):
        self.given = np.asarray(scores, np.float32)
        self.names = []

    def scores(self, images, names=()):
        self.names += names
        return np.broadcast_to(self.given, (*images.shape[:3], len(self.given))).copy()

    def probabilities(self, images, names=()):
        return softmax(self.scores(images, names))

    def check(self, image, name=""):
        if name == "bad":
            raise UserError("this one is bad")


def test_scores_and_probabilities_are_the_mean_over_scales():
    segmenter, images = Segmenter(network(), PLAIN), photos(2, 40, 48)
    many = MultiScale(segmenter, (0.5, 1.0, 1.5))
    for kind in ("scores", "probabilities"):
        parts = []
        for h, w in ((20, 24), (40, 48), (60, 72)):
            scaled = np.stack([resize_image(image, (h, w)) for image in images])
            parts.append(resize_maps(getattr(segmenter, kind)(scaled), (40, 48)))
        np.testing.assert_allclose(getattr(many, kind)(images), np.mean(parts, axis=0), atol=1e-6)


def test_scale_one_is_the_network_itself():
    segmenter, images = Segmenter(network(), PLAIN), photos(1, 32, 32)
    np.testing.assert_array_equal(MultiScale(segmenter, (1.0,)).probabilities(images), segmenter.probabilities(images))


def test_too_small_at_one_scale():
    many = MultiScale(Segmenter(network(), PLAIN), (1.0, 0.25))
    with pytest.raises(UserError, match=r"at scale 0\.25, the image is 10×12 pixels.*at least 16×16"):
        many.probabilities(photos(1, 40, 48))
    with pytest.raises(UserError, match=r"at scale 0\.25"):
        many.check(photos(1, 40, 48)[0])
    many.check(photos(1, 64, 64)[0])


def test_the_mean_of_an_ensemble():
    one, other = Fixed([0, 1, 2]), Fixed([3, 0, 0])
    found = Ensemble(one, other).probabilities(photos(2, 4, 5), ["a", "b"])
    assert found.shape == (2, 4, 5, 3)
    np.testing.assert_allclose(found[1, 2, 3], (softmax(one.given) + softmax(other.given)) / 2, rtol=1e-6)
    assert one.names == other.names == ["a", "b"]


def test_the_product_of_an_ensemble():
    """Negative scores of the second count as 0, those of the first stay."""
    found = Ensemble(Fixed([-2, 1, 2]), Fixed([3, -5, 0.5]), "product").probabilities(photos(1, 4, 4))
    np.testing.assert_allclose(found[0, 0, 0], softmax(np.array([-6, 0, 1.0])), rtol=1e-5)


@pytest.mark.parametrize("rule", ["mean", "product"])
def test_an_ensemble_of_real_networks(rule):
    one, other = network("bloodcell"), network("squares", {"width": 2}, seed=1)
    images = photos(2, 32, 32)
    parts = [Segmenter(net, PLAIN) for net in (one, other)]
    found = Ensemble(*parts, rule).probabilities(images)
    if rule == "mean":
        expected = np.mean([part.probabilities(images) for part in parts], axis=0)
    else:
        expected = softmax(parts[0].scores(images) * np.maximum(parts[1].scores(images), 0))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_both_of_an_ensemble_are_asked():
    image = photos(1, 4, 4)[0]
    for pair in ((Fixed([0, 1]), Segmenter(network(), PLAIN)), (Segmenter(network(), PLAIN), Fixed([0, 1]))):
        with pytest.raises(UserError):
            Ensemble(*pair).check(np.zeros((32, 32, 3), np.uint8), "bad")
        with pytest.raises(UserError, match="16×16"):
            Ensemble(*pair).check(image)


def test_a_field_on_top():
    segmenter, images, field = Segmenter(network(), PLAIN), photos(2, 32, 40), DenseCrf(bilateral=(5, 20, 4))
    found = Refined(segmenter, field).probabilities(images)
    before = segmenter.probabilities(images)
    for i in range(2):
        np.testing.assert_array_equal(found[i], field.refine(images[i], before[i]))
    with pytest.raises(UserError, match="bad"):
        Refined(Fixed([0, 1]), field).check(images[0], "bad")
