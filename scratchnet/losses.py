"""The objective of a training: which loss, which weights, which pixels count."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from scratchnet.arrays import Array, namespace
from scratchnet.ops.activation import sigmoid, softmax
from scratchnet.ops.dice import dice_loss
from scratchnet.ops.losses import Normalization, pixel_factors, sigmoid_cross_entropy, softmax_cross_entropy

LossName: TypeAlias = Literal["cross-entropy", "dice", "cross-entropy+dice"]


@dataclass(frozen=True)
class PixelLoss:
    """A loss over pixels, sigmoid for networks with one output channel and softmax for those with several.

    Attributes
    ----------
    classes : int
        Labels run from 0 to ``classes − 1``; a network with one output channel tells two classes apart.
    name : "cross-entropy", "dice" or "cross-entropy+dice"
    class_weights : tuple of float or None
        One weight a class.
    ignore_index : int or None
        The label of pixels that do not count.
    normalization : "pixels", "weights" or "sum"
        What the summed cross-entropy is divided by, see :mod:`scratchnet.ops.losses`.
    """

    classes: int
    name: LossName = "cross-entropy"
    class_weights: tuple[float, ...] | None = None
    ignore_index: int | None = 255
    normalization: Normalization = "pixels"

    def __post_init__(self) -> None:
        if self.class_weights is not None and len(self.class_weights) != self.classes:
            raise ValueError(f"{len(self.class_weights)} class weights were given for {self.classes} classes")

    def __call__(self, logits: Array, target: Array, pixel_weights: Array | None = None) -> tuple[float, Array]:
        """Return the loss and its gradient by the logits.

        Parameters
        ----------
        logits : (n, h, w, classes), or (n, h, w, 1) for two classes
        target : (n, h, w) integers
        pixel_weights : (n, h, w) or None

        Raises
        ------
        ValueError
            When the shapes do not fit or a label is out of range.
        """
        check_logits(logits, self.classes)
        if target.shape != logits.shape[:3]:
            raise ValueError(f"loss: logits {logits.shape} and target {target.shape} differ in (n, h, w)")
        xp = namespace(logits)
        weights = None if self.class_weights is None else xp.asarray(self.class_weights, logits.dtype)
        labels, factors = pixel_factors(
            target, logits, self.classes, weights, pixel_weights, self.ignore_index, self.normalization
        )
        parts = []
        if "cross-entropy" in self.name:
            parts.append(
                (sigmoid_cross_entropy if logits.shape[3] == 1 else softmax_cross_entropy)(logits, labels, factors)
            )
        if "dice" in self.name:
            parts.append(dice_loss(logits, labels, factors))
        loss, dlogits = parts[0]
        for more, dmore in parts[1:]:
            loss, dlogits = loss + more, dlogits + dmore
        return loss, dlogits


def check_logits(logits: Array, classes: int) -> None:
    """Raise a ValueError when the network's output channels do not fit the number of classes."""
    channels = logits.shape[-1]
    if channels != classes and not (channels == 1 and classes == 2):
        raise ValueError(f"loss: the network has {channels} output channels, but there are {classes} classes")


def probabilities(logits: Array) -> Array:
    """Return (…, classes) probabilities; one channel becomes two."""
    if logits.shape[-1] > 1:
        return softmax(logits)
    p = sigmoid(logits)
    both: Array = namespace(logits).concatenate([1 - p, p], axis=-1)
    return both


def predict(logits: Array) -> Array:
    """Return the most probable class of every pixel, (n, h, w) uint8."""
    xp = namespace(logits)
    mask: Array = logits[..., 0] > 0 if logits.shape[-1] == 1 else xp.argmax(logits, axis=-1)
    return mask.astype(xp.uint8)
