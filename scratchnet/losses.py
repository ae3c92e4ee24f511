"""The training objective: the loss, its weights and the ignored pixels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple, TypeAlias, get_args

import numpy as np

from scratchnet.arrays import AllReduce, Array, constants, get_array_module
from scratchnet.ops.activation import sigmoid, softmax
from scratchnet.ops.dice import dice_loss
from scratchnet.ops.focal import focal_loss, smoothed_cross_entropy
from scratchnet.ops.losses import sigmoid_cross_entropy, softmax_cross_entropy
from scratchnet.ops.pixel_factors import Normalization, check_labels, pixel_factors
from scratchnet.ops.tversky import tversky_loss
from scratchnet.utils.validation import choice, integer, number

LossName: TypeAlias = Literal["cross-entropy", "dice", "cross-entropy+dice", "focal", "tversky"]


class Share(NamedTuple):
    """A batch's share of an update accumulated over several batches: factors on its loss and gradient."""

    cross_entropy: float = 1.0
    dice: float = 1.0


@dataclass(frozen=True)
class PixelLoss:
    """A loss over pixels, sigmoid for networks with one output channel and softmax for those with several.

    Attributes
    ----------
    classes : int
        Labels run from 0 to ``classes − 1``; a network with one output channel distinguishes two classes.
    name : "cross-entropy", "dice", "cross-entropy+dice", "focal" or "tversky"
    class_weights : tuple of float or None
        One weight per class.
    ignore_index : int or None
        The label of ignored pixels.
    normalization : "pixels", "weights" or "sum"
        The divisor of the summed cross-entropy or focal loss, see :mod:`scratchnet.ops.pixel_factors`.
    label_smoothing : float
        ε of the smoothed labels of cross-entropy, in [0, 1); see :mod:`scratchnet.ops.focal`.
    focal_gamma : float
        γ of the focal loss.
    tversky_alpha, tversky_beta : float
        Weights of false positives and false negatives in the Tversky loss, see :mod:`scratchnet.ops.tversky`.
    """

    classes: int
    name: LossName = "cross-entropy"
    class_weights: tuple[float, ...] | None = None
    ignore_index: int | None = 255
    normalization: Normalization = "pixels"
    label_smoothing: float = 0.0
    focal_gamma: float = 2.0
    tversky_alpha: float = 0.3
    tversky_beta: float = 0.7

    def __post_init__(self) -> None:
        set_ = partial(object.__setattr__, self)  # the object is frozen
        set_("classes", integer(self.classes, "PixelLoss: classes", 2))
        choice(self.name, "PixelLoss: name", get_args(LossName))
        choice(self.normalization, "PixelLoss: normalization", get_args(Normalization))
        if self.ignore_index is not None:
            set_("ignore_index", integer(self.ignore_index, "PixelLoss: ignore_index"))
        if self.class_weights is not None:
            if np.ndim(self.class_weights) != 1:
                raise ValueError(
                    f"PixelLoss: class_weights are {self.class_weights!r}; expected a number for each class"
                )
            set_("class_weights", tuple(number(w, "PixelLoss: a class weight", 0) for w in self.class_weights))
            if len(self.class_weights) != self.classes:
                given = len(self.class_weights)
                raise ValueError(f"PixelLoss: {given} class weights were given for {self.classes} classes")
        set_("label_smoothing", number(self.label_smoothing, "PixelLoss: label_smoothing", 0, 1, "[)"))
        if self.label_smoothing and "cross-entropy" not in self.name:
            raise ValueError(f"label_smoothing smooths the labels of cross-entropy, but the loss is {self.name}")
        for name in ("focal_gamma", "tversky_alpha", "tversky_beta"):
            set_(name, number(getattr(self, name), f"PixelLoss: {name}", 0))
        if self.tversky_alpha + self.tversky_beta == 0:
            raise ValueError("PixelLoss: tversky_alpha and tversky_beta are 0; expected not both 0")

    def __call__(
        self,
        logits: Array,
        target: Array,
        pixel_weights: Array | None = None,
        share: Share | None = None,
        allreduce: AllReduce | None = None,
    ) -> tuple[float, Array]:
        """Return the loss and its gradient with respect to the logits.

        Parameters
        ----------
        logits : (n, h, w, classes), or (n, h, w, 1) for two classes
        target : (n, h, w) integers
            On the device of ``logits``, like all arrays.
        pixel_weights : (n, h, w) or None
        share : Share or None
            From :meth:`shares`, if the update accumulates several batches; None if the batch is the only one.
        allreduce : AllReduce or None
            Given if processes share the batch. Dice is then computed over the whole batch, and the returned losses add
            up to its loss.

        Raises
        ------
        ValueError
            If the shapes do not match or a label is out of range.
        """
        _check_arrays(logits, target)
        check_logits(logits, self.classes)
        if target.shape != logits.shape[:3]:
            raise ValueError(f"loss: logits {logits.shape} and target {target.shape} differ in (n, h, w)")
        weights = None if self.class_weights is None else constants(self.class_weights, logits)
        labels, factors = pixel_factors(
            target, logits, self.classes, weights, pixel_weights, self.ignore_index, self.normalization
        )
        (loss, dlogits), *others = self._terms(logits, labels, factors, share or Share(), allreduce)
        for more, dmore in others:
            loss, dlogits = loss + more, dlogits + dmore
        return loss, dlogits

    def _terms(
        self, logits: Array, labels: Array, factors: Array, share: Share, allreduce: AllReduce | None
    ) -> Iterator[tuple[float, Array]]:
        """Yield the terms of the loss, each with its gradient."""
        given = logits, labels, factors
        if self.name == "focal":
            yield _scaled(focal_loss(*given, self.focal_gamma), share.cross_entropy)
        elif self.name == "tversky":
            weights = self.tversky_alpha, self.tversky_beta
            yield _scaled(tversky_loss(*given, *weights, allreduce=allreduce), share.dice)
        elif self.label_smoothing:
            yield _scaled(smoothed_cross_entropy(*given, self.label_smoothing), share.cross_entropy)
        elif "cross-entropy" in self.name:
            function = sigmoid_cross_entropy if logits.shape[3] == 1 else softmax_cross_entropy
            yield _scaled(function(*given), share.cross_entropy)
        if "dice" in self.name:
            yield _scaled(dice_loss(*given, allreduce=allreduce), share.dice)

    def check(self, target: Array) -> None:
        """Raise a ValueError if a label is out of range; labels on a GPU are checked nowhere else."""
        check_labels(target, self.classes, self.ignore_index)

    def without_images(self, allreduce: AllReduce, like: Array) -> None:
        """Take part in the sums over processes, on the device of ``like``, in a batch without an image for it."""
        if "dice" in self.name:
            allreduce(get_array_module(like).zeros((3, self.classes), np.float64))
        elif self.name == "tversky":
            allreduce(get_array_module(like).zeros((4, self.classes), np.float64))

    def shares(
        self,
        targets: Sequence[Array],
        pixel_weights: Sequence[Array | None],
        allreduce: AllReduce | None = None,
    ) -> list[Share]:
        """Return the shares with which the losses of several batches add up to the loss of one large batch.

        A batch's cross-entropy is a sum over pixels divided by N, the number of its counted pixels (or the sum of
        their weights); for the large batch the divisor is ΣN. So the share of a batch is N / ΣN, which differs from
        1/k if the k batches have unequal numbers of ignored pixels. With ``"sum"`` there is no division and every share
        is 1. Dice is a ratio over a whole batch, for which no such identity holds, so the batches' losses are averaged.

        Parameters
        ----------
        targets : sequence of (n, h, w)
        pixel_weights : sequence of (n, h, w) or None
            One for each target.
        allreduce : AllReduce or None
            Given if processes share each of the batches.
        """
        if self.normalization == "sum":
            return [Share(1.0, 1 / len(targets)) for _ in targets]
        sizes = [self._divisor(target, weights) for target, weights in zip(targets, pixel_weights, strict=True)]
        whole = np.array([sum(sizes)])
        if allreduce is not None:
            allreduce(whole)
        return [Share(size / (float(whole[0]) or 1), 1 / len(targets)) for size in sizes]

    def _divisor(self, target: Array, pixel_weights: Array | None) -> float:
        """Return the divisor of the sum over a batch's pixels."""
        xp = get_array_module(target)
        counts = xp.ones(target.shape, bool) if self.ignore_index is None else target != self.ignore_index
        if self.normalization == "pixels":
            return float(counts.sum())
        weights = counts.astype(xp.float64)
        if self.class_weights is not None:
            weights *= xp.asarray(self.class_weights, xp.float64)[xp.where(counts, target, 0)]
        return float((weights if pixel_weights is None else weights * pixel_weights).sum())


def _scaled(found: tuple[float, Array], factor: float) -> tuple[float, Array]:
    """Multiply a loss and its gradient."""
    loss, gradient = found
    return (loss, gradient) if factor == 1 else (loss * factor, gradient * gradient.dtype.type(factor))


def _check_arrays(logits: Array, target: Array) -> None:
    """Raise a TypeError for arguments that are not arrays and for logits that are not floats."""
    for name, array in (("logits", logits), ("target", target)):
        if not hasattr(array, "dtype"):
            raise TypeError(f"loss: {name} is a {type(array).__name__}; expected an array, use numpy.asarray({name})")
    if logits.dtype.type not in (np.float32, np.float64):
        raise TypeError(
            f"loss: logits are {logits.dtype}; expected float32 or float64, use logits.astype(numpy.float32)"
        )


def check_logits(logits: Array, classes: int) -> None:
    """Raise a ValueError if the network's output channels do not match the number of classes."""
    channels = logits.shape[-1]
    if channels != classes and not (channels == 1 and classes == 2):
        raise ValueError(f"loss: the network has {channels} output channels, but there are {classes} classes")


def class_scores(logits: Array) -> Array:
    """Return (…, classes) scores whose softmax gives the probabilities; one channel z becomes two, 0 and z."""
    if logits.shape[-1] > 1:
        return logits
    xp = get_array_module(logits)
    both: Array = xp.concatenate([xp.zeros_like(logits), logits], axis=-1)
    return both


def probabilities(logits: Array) -> Array:
    """Return (…, classes) probabilities; one channel becomes two."""
    if logits.shape[-1] > 1:
        return softmax(logits)
    p = sigmoid(logits)
    both: Array = get_array_module(logits).concatenate([1 - p, p], axis=-1)
    return both
