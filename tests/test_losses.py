import numpy as np
import pytest

from scratchnet.losses import PixelLoss, Share, check_logits, class_scores, probabilities
from scratchnet.ops.activation import softmax
from scratchnet.ops.dice import dice_loss
from scratchnet.ops.losses import sigmoid_cross_entropy, softmax_cross_entropy
from scratchnet.ops.pixel_factors import pixel_factors
from tests.compare import assert_close, numbers

SHAPE = (2, 3, 4)


def target(classes):
    labels = np.random.default_rng(0).integers(0, classes, SHAPE).astype(np.uint8)
    labels[0, 0] = 255
    return labels


@pytest.mark.parametrize("normalization", ["pixels", "weights", "sum"])
@pytest.mark.parametrize("channels", [1, 2])
def test_the_number_of_channels_chooses_sigmoid_or_softmax(channels, normalization, dtype):
    logits, labels = numbers(*SHAPE, channels, dtype=dtype), target(2)
    pixel_map = np.abs(numbers(*SHAPE, seed=1, dtype=dtype))
    loss = PixelLoss(2, class_weights=(0.5, 3.0), normalization=normalization)
    value, gradient = loss(logits, labels, pixel_map)
    factors = pixel_factors(labels, logits, 2, np.array([0.5, 3.0]), pixel_map, 255, normalization)
    expected, expected_gradient = (sigmoid_cross_entropy if channels == 1 else softmax_cross_entropy)(logits, *factors)
    assert value == expected
    assert_close(gradient, expected_gradient, dtype)


def test_a_sum_of_losses_has_the_sum_of_gradients():
    logits, labels = numbers(*SHAPE, 3), target(3)
    both = PixelLoss(3, "cross-entropy+dice")(logits, labels)
    parts = [PixelLoss(3, "cross-entropy")(logits, labels), PixelLoss(3, "dice")(logits, labels)]
    assert both[0] == pytest.approx(parts[0][0] + parts[1][0], rel=1e-12)
    assert_close(both[1], parts[0][1] + parts[1][1])
    factors = pixel_factors(labels, logits, 3)
    assert parts[1][0] == dice_loss(logits, *factors)[0]


def test_an_untrained_network_starts_at_log_k():
    """The first ritual before a training: logits of 0 cost log K a pixel."""
    for k in (2, 11, 21):
        value, _ = PixelLoss(k)(np.zeros((*SHAPE, k)), target(k))
        assert value == pytest.approx(np.log(k), rel=1e-12)


@pytest.mark.parametrize("name", ["cross-entropy", "dice", "cross-entropy+dice"])
def test_a_small_step_against_the_gradient_lowers_the_loss(name):
    logits, labels = numbers(*SHAPE, 3), target(3)
    loss = PixelLoss(3, name)
    before, gradient = loss(logits, labels)
    after, _ = loss(logits - 0.1 * gradient, labels)
    assert after < before


@pytest.mark.parametrize("normalization", ["pixels", "weights", "sum"])
@pytest.mark.parametrize("weights", [None, (0.5, 1.0, 3.0)])
@pytest.mark.parametrize("mapped", [False, True])
def test_shares_add_up_to_the_large_batch(normalization, weights, mapped):
    logits, labels = numbers(6, 3, 4, 3), np.random.default_rng(3).integers(0, 3, (6, 3, 4))
    labels[0], labels[1, :2], labels[4, 0, :3] = 255, 255, 255
    pixel_map = np.abs(numbers(6, 3, 4, seed=1)) if mapped else None
    loss = PixelLoss(3, class_weights=weights, normalization=normalization)
    whole, gradient = loss(logits, labels, pixel_map)
    parts = [slice(0, 1), slice(1, 2), slice(2, 6)]
    maps = [None if pixel_map is None else pixel_map[part] for part in parts]
    shares = loss.shares([labels[part] for part in parts], maps)
    found = [loss(logits[part], labels[part], m, share) for part, m, share in zip(parts, maps, shares, strict=True)]
    assert sum(value for value, _ in found) == pytest.approx(whole, rel=1e-12)
    assert_close(np.concatenate([dlogits for _, dlogits in found]), gradient)


def test_shares_of_dice_are_equal():
    loss = PixelLoss(3, "cross-entropy+dice")
    shares = loss.shares([target(3)[:1], target(3)], [None, None])
    assert [share.dice for share in shares] == [0.5, 0.5]
    assert shares[0].cross_entropy == pytest.approx(8 / 28)
    logits = numbers(*SHAPE, 3)
    parts = [PixelLoss(3, name)(logits, target(3)) for name in ("cross-entropy", "dice")]
    value, gradient = loss(logits, target(3), share=Share(0.3, 0.5))
    assert value == pytest.approx(0.3 * parts[0][0] + 0.5 * parts[1][0], rel=1e-12)
    assert_close(gradient, 0.3 * parts[0][1] + 0.5 * parts[1][1])


def test_shares_of_ignored_batches_are_nothing():
    nothing = np.full(SHAPE, 255)
    assert PixelLoss(3).shares([nothing, nothing], [None, None]) == [Share(0, 0.5)] * 2


def test_another_ignore_label():
    logits, labels = numbers(*SHAPE, 3), np.where(target(2) == 255, 2, target(2))
    value, gradient = PixelLoss(3, ignore_index=2)(logits, labels)
    assert not gradient[labels == 2].any()
    assert value == PixelLoss(3)(logits, np.where(labels == 2, 255, labels))[0]


@pytest.mark.parametrize(
    ("loss", "logits", "labels", "text"),
    [
        (PixelLoss(3), (*SHAPE, 4), SHAPE, "the network has 4 output channels, but there are 3 classes"),
        (PixelLoss(3), (*SHAPE, 1), SHAPE, "the network has 1 output channels, but there are 3 classes"),
        (
            PixelLoss(3),
            (*SHAPE, 3),
            (2, 4, 3),
            r"logits \(2, 3, 4, 3\) and target \(2, 4, 3\) differ in \(n, h, w\)",
        ),
    ],
)
def test_shapes_that_do_not_fit_are_named(loss, logits, labels, text):
    with pytest.raises(ValueError, match=text):
        loss(np.zeros(logits), np.zeros(labels, int))


def test_labels_out_of_range_and_wrong_weights_are_named():
    with pytest.raises(ValueError, match=r"target holds the label 2; expected 0 … 1 or 255 \(ignored\)"):
        PixelLoss(2)(np.zeros((*SHAPE, 1)), np.full(SHAPE, 2))
    with pytest.raises(ValueError, match="2 class weights were given for 3 classes"):
        PixelLoss(3, class_weights=(1.0, 2.0))


def test_probabilities_of_one_channel_and_of_several():
    z = numbers(*SHAPE, 1)
    p = probabilities(z)
    assert p.shape == (*SHAPE, 2)
    assert_close(p[..., 1], 1 / (1 + np.exp(-z[..., 0])))
    np.testing.assert_allclose(p.sum(axis=-1), 1, rtol=1e-12)
    many = probabilities(numbers(*SHAPE, 4))
    np.testing.assert_allclose(many.sum(axis=-1), 1, rtol=1e-12)
    np.testing.assert_array_equal(many.argmax(axis=-1), numbers(*SHAPE, 4).argmax(axis=-1))


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_the_softmax_of_scores_are_the_probabilities(channels):
    logits = numbers(*SHAPE, channels)
    scores = class_scores(logits)
    assert scores.shape == (*SHAPE, max(channels, 2))
    np.testing.assert_allclose(softmax(scores), probabilities(logits), atol=1e-12)


def test_check_logits_allows_one_channel_for_two_classes_only():
    check_logits(np.zeros((1, 1, 1, 1)), 2)
    check_logits(np.zeros((1, 1, 1, 2)), 2)
    with pytest.raises(ValueError, match="1 output channels, but there are 3"):
        check_logits(np.zeros((1, 1, 1, 1)), 3)
