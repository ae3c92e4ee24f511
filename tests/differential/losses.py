"""Random losses over pixels: cross-entropy of both kinds, Dice, weights, ignored pixels, and all normalisations."""

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from scratchnet.losses import PixelLoss
from tests.differential.arrays import array_words, make
from tests.differential.convolutions import BATCH, CORES, DTYPES
from tests.differential.judging import agree, unchanged, working
from tests.differential.torch_side import gradient, maps, planes, tensor

LOGITS = array_words(
    ("zeros", "constant", "ties", "negative zeros", "shifted", "minus infinity", "minus infinity but one")
)


@st.composite
def loss_cases(draw):
    """Draw logits, labels (some ignored, or all) and a loss."""
    channels = draw(st.sampled_from([1, 2, 3, 5, 8, 9, 13]))
    classes = max(2, channels)
    return {
        "n": draw(BATCH), "size": draw(st.lists(st.integers(1, 9), min_size=2, max_size=2)), "channels": channels,
        "name": draw(st.sampled_from(["cross-entropy", "cross-entropy", "dice", "cross-entropy+dice"])),
        "class_weights": draw(st.none() | st.lists(st.sampled_from([0.0, 0.5, 1.0, 3.0]), min_size=classes,
                                                   max_size=classes)),
        "pixel_weights": draw(st.none() | array_words()), "ignored": draw(st.sampled_from([0, 0, 0.3, 1])),
        "ignore_index": draw(st.sampled_from([255, 0, None])), "labels": draw(st.integers(0, 10**6)),
        "normalization": draw(st.sampled_from(["pixels", "weights", "sum"])),
        "dtype": draw(DTYPES), "mode": draw(st.sampled_from(["plain", "textbook"])), "cores": draw(CORES),
        "logits": draw(LOGITS),
    }  # fmt: skip


def check_loss(case):
    """Compare a loss and its gradient with PyTorch's."""
    dtype, shape = np.dtype(case["dtype"]), (case["n"], *case["size"])
    logits = make(case["logits"], (*shape, case["channels"]), dtype)
    assume(case["channels"] == 1 or np.isfinite(logits).any(axis=3).all())
    classes, rng = max(2, case["channels"]), np.random.default_rng(case["labels"])
    target = rng.integers(0, classes, shape)
    if case["ignore_index"] is not None:
        target[rng.random(shape) < case["ignored"]] = case["ignore_index"]
    weights = None if case["pixel_weights"] is None else np.abs(make(case["pixel_weights"], shape, dtype))
    class_weights = None if case["class_weights"] is None else tuple(case["class_weights"])
    loss = PixelLoss(classes, case["name"], class_weights, case["ignore_index"], case["normalization"])
    with working(case["mode"], case["cores"]), unchanged(logits, target):
        value, dlogits = loss(logits, target, weights)
    expected, slopes = _reference(case, logits, target, weights, class_weights)
    agree("loss", np.array(value, dtype), expected, dtype, np.abs(np.nan_to_num(expected, posinf=0)) + 1)
    agree("dlogits", dlogits, slopes, dtype, max(1, np.abs(slopes).max(initial=0)))


def _reference(case, logits, target, pixel_weights, class_weights):
    """Return the loss and its gradient by PyTorch's functions on single pixels, summed as the names say."""
    import torch

    z, labels = planes(logits), torch.tensor(target)
    counts = torch.ones_like(labels, dtype=torch.bool)
    if case["ignore_index"] is not None:
        counts = labels != case["ignore_index"]
    labels = torch.where(counts, labels, 0)
    factors = counts.double()
    if class_weights is not None:
        factors = factors * torch.tensor(class_weights, dtype=torch.float64)[labels]
    if pixel_weights is not None:
        factors = factors * tensor(pixel_weights, learn=False)
    divisor = {"pixels": counts.sum(), "weights": factors.sum(), "sum": torch.tensor(1)}[case["normalization"]].double()
    used = counts & (factors != 0)
    total = z.new_zeros(())
    if "cross-entropy" in case["name"]:
        total = total + _cross_entropies(z, labels)[used].mul(factors[used]).sum() / (divisor if divisor else 1)
    if "dice" in case["name"]:
        total = total + _dice(z, labels, used)
    if total.requires_grad:
        total.backward()
    slopes = torch.where(used[:, None], gradient(z), 0.0)  # autograd: NaN where all logits are −∞
    return total.detach().numpy(), maps(slopes)


def _cross_entropies(z, labels):
    import torch

    if z.shape[1] > 1:
        return torch.nn.functional.cross_entropy(z, labels, reduction="none")
    softplus = torch.nn.functional.softplus
    return torch.where(labels == 1, softplus(-z[:, 0], threshold=40), softplus(z[:, 0], threshold=40))


def _dice(z, labels, used):
    import torch

    binary = z.shape[1] == 1
    p = torch.sigmoid(z) if binary else torch.softmax(z, 1)
    chosen = [1] if binary else list(range(z.shape[1]))
    overlaps = []
    for place, k in enumerate(chosen):
        t = ((labels == k) & used).double()
        counted = torch.where(used, p[:, place], 0.0)
        overlaps.append((2 * (counted * t).sum() + 1) / (counted.sum() + t.sum() + 1))
    return 1 - torch.stack(overlaps).mean()
