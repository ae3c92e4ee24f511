"""Focal loss, smoothed labels and the Tversky loss: twins in PyTorch, limits, ignored pixels, ranks."""

import numpy as np
import pytest

from scratchnet.losses import PixelLoss
from tests.compare import numbers
from tests.ranks import together

WEIGHTS = (0.5, 2.0, 1.0)
LOSSES = {
    "focal": {"name": "focal"},
    "focal, small γ": {"name": "focal", "focal_gamma": 0.3},
    "focal, γ = 0": {"name": "focal", "focal_gamma": 0.0},
    "smoothing": {"label_smoothing": 0.2},
    "smoothing+dice": {"name": "cross-entropy+dice", "label_smoothing": 0.2},
    "tversky": {"name": "tversky"},
    "tversky, Dice": {"name": "tversky", "tversky_alpha": 0.5, "tversky_beta": 0.5},
}


def sample(channels, factor=3.0, dtype=np.float64):
    logits = (factor * numbers(2, 4, 5, channels, seed=1)).astype(dtype)
    target = np.random.default_rng(2).integers(0, max(2, channels), (2, 4, 5)).astype(np.uint8)
    target[0, :2] = 255
    return logits, target


def twin(torch, loss, z, target):
    """Return the loss by PyTorch's functions and autograd, from its formula."""
    if z.shape[-1] == 1:
        z = torch.cat([torch.zeros_like(z), z], -1)
    binary, counted = z.shape[-1] == 2 and loss.classes == 2, torch.tensor(target != 255)
    t = torch.tensor(np.where(target == 255, 0, target).astype(np.int64))
    logp = torch.log_softmax(z, -1)
    onehot = torch.nn.functional.one_hot(t, z.shape[-1]).to(z.dtype)
    weights = (
        torch.ones(z.shape[-1], dtype=z.dtype)
        if loss.class_weights is None
        else torch.tensor(loss.class_weights, dtype=z.dtype)
    )
    factor = weights[t] * counted
    factor = factor / (factor.sum() if loss.normalization == "weights" else counted.sum())
    ce = -(logp * onehot).sum(-1)
    mask = counted[..., None].to(z.dtype)
    p, y = logp.exp() * mask, onehot * mask
    if binary:
        p, y = p[..., 1:], y[..., 1:]

    def overlap(alpha, beta, smooth):
        hits, fp, fn = (p * y).sum((0, 1, 2)), (p * (mask - y)).sum((0, 1, 2)), ((mask - p) * y).sum((0, 1, 2))
        return 1 - ((hits + smooth) / (hits + alpha * fp + beta * fn + smooth)).mean()

    if loss.name == "focal":
        return (factor * (1 - (logp * onehot).sum(-1).exp()) ** loss.focal_gamma * ce).sum()
    if loss.name == "tversky":
        return overlap(loss.tversky_alpha, loss.tversky_beta, 1.0)
    smooth = loss.label_smoothing
    entropy = (factor * ((1 - smooth) * ce - smooth * logp.mean(-1))).sum()
    return entropy + (overlap(0.5, 0.5, 0.5) if "dice" in loss.name else 0)


@pytest.mark.parametrize("case", LOSSES)
@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_loss_and_gradient_are_those_of_autograd(case, channels, weighted):
    torch = pytest.importorskip("torch")
    more = {"class_weights": WEIGHTS[: max(2, channels)], "normalization": "weights"} if weighted else {}
    loss = PixelLoss(max(2, channels), **LOSSES[case], **more)
    if channels == 2 and ("tversky" in case or "dice" in case):
        pytest.skip("two channels are averaged over both classes, the twin scores one")
    logits, target = sample(channels)
    z = torch.tensor(logits, requires_grad=True)
    expected = twin(torch, loss, z, target)
    expected.backward()
    value, gradient = loss(logits, target)
    assert value == pytest.approx(expected.item(), rel=1e-12)
    np.testing.assert_allclose(gradient, z.grad.numpy(), rtol=1e-9, atol=1e-14)


def test_smoothing_is_pytorchs():
    torch = pytest.importorskip("torch")
    logits, target = sample(3)
    expected = torch.nn.functional.cross_entropy(
        torch.tensor(logits).permute(0, 3, 1, 2),
        torch.tensor(target.astype(np.int64)),
        ignore_index=255,
        label_smoothing=0.1,
    )
    assert PixelLoss(3, label_smoothing=0.1)(logits, target)[0] == pytest.approx(expected.item(), rel=1e-12)


def test_limits_are_known_losses():
    logits, target = sample(3)
    plain = PixelLoss(3)(logits, target)
    focal = PixelLoss(3, "focal", focal_gamma=0.0)(logits, target)
    assert focal[0] == pytest.approx(plain[0], rel=1e-12)
    np.testing.assert_allclose(focal[1], plain[1], rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("case", LOSSES)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extreme_logits_stay_finite(case, channels, dtype):
    loss = PixelLoss(max(2, channels), **LOSSES[case])
    logits, target = sample(channels, dtype=dtype)
    with np.errstate(all="raise", under="ignore"):
        for scale in (1000.0, 0.0):
            z = np.sign(logits) * dtype(scale)
            value, gradient = loss(z, target)
            assert np.isfinite(value)
            assert np.isfinite(gradient).all()
            assert gradient.dtype == dtype
            assert gradient.shape == z.shape
            assert not gradient[0, :2].any()


@pytest.mark.parametrize("case", LOSSES)
def test_ignored_pixels_do_not_count(case):
    loss = PixelLoss(3, **LOSSES[case])
    logits, target = sample(3)
    changed = logits.copy()
    changed[0, :2] += 5 * numbers(2, 5, 3, seed=9)
    value, gradient = loss(logits, target)
    assert loss(changed, target)[0] == pytest.approx(value, rel=1e-14)
    np.testing.assert_allclose(loss(changed, target)[1], gradient, rtol=1e-12, atol=1e-17)
    value, gradient = loss(logits, np.full_like(target, 255))
    assert value == pytest.approx(0, abs=1e-15)
    assert not gradient.any()


@pytest.mark.parametrize("channels", [1, 3])
def test_ranks_share_the_tversky_loss(channels):
    loss = PixelLoss(max(2, channels), "tversky")
    logits, target = sample(channels)
    expected = loss(logits, target)

    def part(ranks):
        own = slice(ranks.rank, ranks.rank + 1)
        if ranks.rank == 2:
            loss.without_images(ranks.allreduce, logits)
            return 0.0, logits[:0]
        return loss(logits[own], target[own], None, None, ranks.allreduce)

    found = together(3, part)
    assert sum(value for value, _ in found) == pytest.approx(expected[0], rel=1e-12)
    np.testing.assert_allclose(np.concatenate([g for _, g in found]), expected[1], rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"label_smoothing": 1.0}, "label_smoothing is 1.0"),
        ({"label_smoothing": 0.1, "name": "focal"}, "label_smoothing smooths the labels of cross-entropy"),
        ({"name": "focal", "focal_gamma": -1.0}, "focal_gamma is -1.0"),
        ({"name": "tversky", "tversky_alpha": 0.0, "tversky_beta": 0.0}, "not both 0"),
        ({"name": "tversky", "tversky_beta": float("nan")}, "tversky_beta is nan"),
    ],
)
def test_settings_out_of_range_are_refused(settings, text):
    with pytest.raises(ValueError, match=r"expected|smooths") as error:
        PixelLoss(3, **settings)
    assert text in str(error.value)
