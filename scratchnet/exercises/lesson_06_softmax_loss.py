"""Exercise of lesson 6: softmax cross-entropy over images, with ignored pixels and class weights."""

from collections.abc import Callable, Iterator

import numpy as np

from scratchnet.arrays import Array
from scratchnet.exercises.exercise import Case, Exercise, Mistake


def softmax_loss(z: Array, mask: Array, weights: Array, ignore: int) -> tuple[float, Array]:
    """Return the loss of logits z (n, h, w, K) for a mask (n, h, w), and its gradient with respect to z.

    The loss of a pixel of class t is weights[t] · (log Σ exp(z) − z_t). Pixels with the label ``ignore`` have no loss
    and no slope. The loss is the sum over the other pixels, divided by their number. If there are none, it is 0.
    """
    counted = mask != ignore
    labels = np.where(counted, mask, 0)
    factors = counted * weights[labels] / max(1, counted.sum())
    shifted = z - z.max(axis=-1, keepdims=True)
    log_sum = np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    truth = np.arange(z.shape[-1]) == labels[..., None]
    losses = log_sum[..., 0] - (shifted * truth).sum(axis=-1)
    return float((losses * factors).sum()), (np.exp(shifted - log_sum) - truth) * factors[..., None]


def _loss_cases(rng: np.random.Generator) -> Iterator[Case]:
    ones, weights = np.ones(3), np.array([0.5, 1, 3])
    hand = np.log(np.array([[1.0, 1, 2], [3, 1, 6]])).reshape(1, 1, 2, 3)
    yield Case("softmax_loss", (hand, np.array([[[2, 0]]]), ones, 255), "the case by hand")
    z, mask = rng.standard_normal((2, 3, 5, 3)), rng.integers(0, 3, (2, 3, 5))
    mask[0, 0, :3] = (0, 1, 2)
    partly = mask.copy()
    partly[1, :2] = 255
    yield Case("softmax_loss", (z, mask, ones, 255), "two images")
    yield Case("softmax_loss", (z, mask, weights, 255), "class weights")
    yield Case("softmax_loss", (z, partly, ones, 255), "ignored pixels")
    yield Case("softmax_loss", (z, np.where(mask == 1, 11, mask), weights, 11), "another ignored label")
    sure = np.array([[1000.0, 0, -3], [0, -1000, 2]]).reshape(1, 2, 1, 3)
    yield Case("softmax_loss", (sure, np.array([[[1], [1]]]), ones, 255), "logits of 1000")
    yield Case("softmax_loss", (z, np.full(mask.shape, 255), weights, 255), "only ignored pixels")


def _unweighted_gradient(z: Array, mask: Array, weights: Array, ignore: int) -> tuple[float, Array]:
    return softmax_loss(z, mask, weights, ignore)[0], softmax_loss(z, mask, np.ones(len(weights)), ignore)[1]


def _scaled(factor: Callable[[Array, Array, int], float], loss: bool = True) -> Callable[..., tuple[float, Array]]:
    """Return a softmax loss multiplied by a factor that depends on mask, weights and ignored label."""

    def wrong(z: Array, mask: Array, weights: Array, ignore: int) -> tuple[float, Array]:
        right, gradient = softmax_loss(z, mask, weights, ignore)
        scale = factor(mask, weights, ignore)
        return right * scale if loss else right, gradient * scale

    return wrong


def _share_counted(mask: Array, weights: Array, ignore: int) -> float:
    return float((mask != ignore).mean())


def _over_sum_of_weights(mask: Array, weights: Array, ignore: int) -> float:
    counted = mask[mask != ignore]
    return counted.size / weights[counted].sum() if counted.size else 1.0


def _ignored_as_zero(z: Array, mask: Array, weights: Array, ignore: int) -> tuple[float, Array]:
    return softmax_loss(z, np.where(mask == ignore, 0, mask), weights, -1)


def _slopes_everywhere(z: Array, mask: Array, weights: Array, ignore: int) -> tuple[float, Array]:
    loss, gradient = softmax_loss(z, mask, weights, ignore)
    filled = softmax_loss(z, np.where(mask == ignore, 0, mask), weights, -1)[1]
    filled = filled * mask.size / max(1, (mask != ignore).sum())
    return loss, np.where((mask == ignore)[..., None], filled, gradient)


def _zero_by_zero(z: Array, mask: Array, weights: Array, ignore: int) -> tuple[float, Array]:
    loss, gradient = softmax_loss(z, mask, weights, ignore)
    empty = (mask == ignore).all()
    return (np.nan, gradient * np.nan) if empty else (loss, gradient)


def _naive_softmax_loss(z: Array, mask: Array, weights: Array, ignore: int) -> tuple[float, Array]:
    p = np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)
    counted = mask != ignore
    labels = np.where(counted, mask, 0)
    truth = np.arange(z.shape[-1]) == labels[..., None]
    factors = counted * weights[labels] / max(1, counted.sum())
    losses = -np.log(p[truth].reshape(mask.shape))
    return float((losses * factors).sum()), (p - truth) * factors[..., None]


def _pixels(mask: Array, weights: Array, ignore: int) -> float:
    return float(max(1, (mask != ignore).sum()))


EXERCISES = (
    Exercise(
        "06_softmax_loss",
        "Softmax cross-entropy with ignored pixels and class weights",
        "Write the loss that trains every network here, and its gradient with respect to the logits. It is a mean "
        "over the pixels that count, in which every pixel has the weight of its class.",
        (softmax_loss,),
        _loss_cases,
        (
            Mistake(
                "Yours divides by the number of all pixels; divide by the number of those that are not ignored.",
                {"softmax_loss": _scaled(_share_counted)},
            ),
            Mistake(
                "Yours divides by the sum of the weights; the rule here is the number of pixels that count.",
                {"softmax_loss": _scaled(_over_sum_of_weights)},
            ),
            Mistake(
                "Your gradient is not divided by the number of pixels, but the loss is.",
                {"softmax_loss": _scaled(_pixels, loss=False)},
            ),
            Mistake(
                "Your gradient lacks the class weights, which the loss has.", {"softmax_loss": _unweighted_gradient}
            ),
            Mistake("Yours counts ignored pixels as class 0.", {"softmax_loss": _ignored_as_zero}),
            Mistake(
                "Ignored pixels have a gradient in yours; it must be 0 there.", {"softmax_loss": _slopes_everywhere}
            ),
            Mistake(
                "Your gradient is t − p; it is p − t.",
                {"softmax_loss": lambda *given: (softmax_loss(*given)[0], -softmax_loss(*given)[1])},
            ),
            Mistake(
                "Yours overflows for logits of 1000; subtract the largest logit of each pixel first.",
                {"softmax_loss": _naive_softmax_loss},
            ),
            Mistake(
                "If all pixels are ignored, yours is 0/0; the rule is a loss of 0 and a gradient of zeros.",
                {"softmax_loss": _zero_by_zero},
            ),
        ),
        (
            "Subtract the largest logit of each pixel from its logits first, as in the softmax.",
            "Give ignored pixels the label 0 and the factor 0: factors = counted * weights[labels] / counted.sum(). "
            "If no pixel counts, divide by 1 instead.",
            "truth = np.arange(K) == labels[..., None] is True at the true class; (z * truth).sum(axis=-1) is z_t.",
            "The gradient is (p − truth) * factors[..., None], with p = exp(z − log Σ exp(z)).",
        ),
        {"softmax_loss": ("loss", "dz")},
    ),
)
