import numpy as np
import pytest

from scratchnet.data import Preprocessing
from scratchnet.inference import Segmenter
from scratchnet.inference.sampling import DropoutSampling, TransformSampling, choose_sampling
from scratchnet.inference.uncertainty import SampledPredictor
from scratchnet.layers import BatchNorm2d, Conv2d, Dropout
from scratchnet.models import build
from scratchnet.network import Network

PREPROCESSING = Preprocessing(mean=(0.5, 0.5, 0.5))


def picture(h=20, w=24, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (h, w, 3), dtype=np.uint8)


def linear(rate=0.5):
    """A network whose logit is linear in the image: dropout changes its sample, not its mean."""
    net = Network(3)
    net.add("drop", Dropout(rate))
    net.add("score", Conv2d(3, 1, 1))
    net.allocate(0)
    net.flat().values[...] = [0.3, -0.2, 0.1, 0.05]
    return net.eval()


def dropping(seed=1):
    net = build("unet-same", 2, 3, width=1 / 16, depth=2, batch_norm=True)
    return net.allocate(seed).eval()


def sampled(net, samples=4, seed=0, **settings):
    segmenter = Segmenter(net, PREPROCESSING, **settings)
    return SampledPredictor(choose_sampling(segmenter, segmenter, seed), samples)


def test_the_mean_score_of_a_linear_network_approaches_that_without_dropout():
    net, image = linear(), picture()[None]
    segmenter = Segmenter(net, PREPROCESSING)
    exact = segmenter.scores(image)
    net.use_dropout()
    total, errors = np.zeros_like(exact), []
    for number in range(400):
        net.reseed(0, "uncertainty", number)
        total += segmenter.scores(image)
        errors.append(np.abs(total / (number + 1) - exact).mean())
    assert errors[399] < errors[24] / 2.5  # like 1/√N: a quarter
    assert errors[399] < 0.01 < errors[0]


def test_the_same_image_and_seed_give_the_same_maps_in_any_order():
    predictor = sampled(dropping())
    first = predictor.maps(picture())
    predictor.maps(picture(33, 20, 1))
    again = sampled(dropping()).maps(picture())
    for name in ("mean", "variance", "entropy", "mutual_information"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert (predictor.maps(picture()).mean == first.mean).all()
    assert (sampled(dropping(), seed=1).maps(picture()).mean != first.mean).any()
    assert first.variance.max() > 1e-6


def test_dropout_is_off_again_afterwards_and_batch_norm_stays_in_evaluation_mode():
    net = dropping()
    before = Segmenter(net, PREPROCESSING).probabilities(picture()[None])
    buffers = [buffer.value.copy() for norm in net.batch_norms().values() for buffer in norm.buffers.values()]
    modes = []
    sampling = sampled(net).sampling
    original = sampling.predictor.probabilities

    class Watching:
        def probabilities(self, images, names=()):
            modes.append(
                (
                    all(d.training for d in net.dropouts().values()),
                    any(norm.training for norm in net.batch_norms().values()),
                )
            )
            return original(images, names)

    DropoutSampling(Watching(), net).sample(picture(), 0)
    assert modes == [(True, False)]
    assert not any(layer.training for layer in net.dropouts().values())
    np.testing.assert_array_equal(Segmenter(net, PREPROCESSING).probabilities(picture()[None]), before)
    after = [buffer.value for norm in net.batch_norms().values() for buffer in norm.buffers.values()]
    assert all((a == b).all() for a, b in zip(buffers, after, strict=True))


def test_dropout_is_off_again_after_an_error():
    net = dropping()

    class Failing:
        def probabilities(self, images, names=()):
            raise MemoryError

    with pytest.raises(MemoryError):
        DropoutSampling(Failing(), net).sample(picture(), 0)
    assert not any(layer.training for layer in net.dropouts().values())


def test_a_network_without_dropout_gets_transforms():
    net = linear(rate=0)
    assert net.dropouts() == {}
    assert isinstance(sampled(net).sampling, TransformSampling)
    assert "no dropout" in sampled(net).sampling.words(4)
    with pytest.raises(ValueError, match="no dropout"):
        DropoutSampling(Segmenter(net, PREPROCESSING), net)


def test_flips_and_shifts_are_undone():
    """A network that looks at single pixels gives the same map however the image is moved."""
    net = linear(rate=0)
    sampling = TransformSampling(Segmenter(net, PREPROCESSING))
    image = picture(40, 30)
    exact = Segmenter(net, PREPROCESSING).probabilities(image[None])[0]
    np.testing.assert_array_equal(sampling.sample(image, 0), exact)
    kinds = {sampling.transform(number, 40, 30)[1:] for number in range(1, 12)}
    assert len(kinds) > 8
    assert {mirrored for *_, mirrored in kinds} == {True, False}
    resized = TransformSampling(Segmenter(net, Preprocessing(resize=(40, 30), mean=(0.5, 0.5, 0.5))))
    assert all(resized.transform(number, 40, 30).scale == 1 for number in range(8))
    smooth = np.linspace(0, 255, 40 * 30 * 3).reshape(40, 30, 3).astype(np.uint8)
    exact = Segmenter(net, PREPROCESSING).probabilities(smooth[None])[0]
    for number in range(1, 6):
        assert np.abs(sampling.sample(smooth, number) - exact).max() < 0.02


@pytest.mark.parametrize("size", [(4, 4), (5, 33), (90, 70)])
def test_images_of_any_size_and_tiles(size):
    for net in (dropping(), build("bloodcell", 2, 3, width=0.1).allocate(0).eval()):
        if min(size) < net.stride:
            continue
        settings = {"tile": 32} if max(size) > 64 else {}
        found = sampled(net, 2, **settings).maps(picture(*size))
        assert found.mean.shape == (*size, 2)
        assert found.entropy.shape == found.deviation().shape == size
        np.testing.assert_allclose(found.mean.sum(axis=-1), 1, atol=1e-5)


def test_a_network_of_a_fixed_size_is_sampled_too():
    net = build("deconvnet-small", 2, 3, width=2, size=32).allocate(0).eval()
    assert sampled(net, 3).maps(picture(40, 32)).mean.shape == (40, 32, 2)


def test_use_dropout_leaves_a_network_in_training_alone():
    net = Network(3)
    net.add("bn", BatchNorm2d(3))
    net.add("drop", Dropout(0.5))
    net.allocate(0).train().use_dropout(False)
    assert net.dropouts()["drop"].training
    assert not net.eval().dropouts()["drop"].training
