"""The objective of a training: a :class:`~scratchnet.losses.PixelLoss`, or any function of logits and truth."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np

from scratchnet.arrays import AllReduce, Array
from scratchnet.losses import Share

LossFunction: TypeAlias = Callable[[Array, Array], tuple[float, Array]]
"""(logits (n, h, w, classes), truth (n, h, w)) → (loss, gradient with respect to the logits)."""


class Objective(Protocol):
    """Interface between the training loop and a loss; see :class:`~scratchnet.losses.PixelLoss`."""

    @property
    def ignore_index(self) -> int | None:
        """The label of ignored pixels."""

    def __call__(
        self,
        logits: Array,
        target: Array,
        pixel_weights: Array | None = None,
        share: Share | None = None,
        allreduce: AllReduce | None = None,
    ) -> tuple[float, Array]:
        """Return the loss and its gradient with respect to the logits."""

    def check(self, target: Array) -> None:
        """Raise a ValueError when a label is out of range."""

    def without_images(self, allreduce: AllReduce, like: Array) -> None:
        """Take part in the sums over processes for a batch in which this process has no image."""

    def shares(
        self, targets: Sequence[Array], pixel_weights: Sequence[Array | None], allreduce: AllReduce | None = None
    ) -> list[Share]:
        """Return the shares of several batches in one update."""


@dataclass(frozen=True)
class AnyLoss:
    """A function of logits and truth as an objective.

    The function is taken as a mean over images: if several batches or processes make one update, each is weighted by
    its number of images. That is exact for a mean over images, and an approximation for a mean over pixels.

    Attributes
    ----------
    function : callable
        (logits, truth) → (loss, gradient).
    ignore_index : int or None
        The label of the padding that masks get if the network needs larger images.
    """

    function: LossFunction
    ignore_index: int | None = 255

    def __call__(
        self,
        logits: Array,
        target: Array,
        pixel_weights: Array | None = None,
        share: Share | None = None,
        allreduce: AllReduce | None = None,
    ) -> tuple[float, Array]:
        """Return the loss and its gradient with respect to the logits, times the share.

        Raises
        ------
        TypeError, ValueError
            When the function does not return a number and an array of the logits' shape.
        """
        found = self.function(logits, target)
        if not (isinstance(found, tuple) and len(found) == 2):
            raise TypeError(f"the loss returned {type(found).__name__}; expected a tuple (loss, gradient)")
        loss, gradient = found
        if getattr(gradient, "shape", None) != logits.shape:
            raise ValueError(
                f"the loss returned a gradient of shape {getattr(gradient, 'shape', None)}; expected that of the "
                f"logits, {logits.shape}"
            )
        factor = 1.0 if share is None else share.cross_entropy
        return loss * factor, (gradient * factor).astype(logits.dtype, copy=False)

    def check(self, target: Array) -> None:
        """Accept all labels."""

    def without_images(self, allreduce: AllReduce, like: Array) -> None:
        """Do nothing: the function computes no sums over processes."""

    def shares(
        self, targets: Sequence[Array], pixel_weights: Sequence[Array | None], allreduce: AllReduce | None = None
    ) -> list[Share]:
        """Return each batch's share of the images."""
        whole = np.array([float(sum(len(target) for target in targets))])
        if allreduce is not None:
            allreduce(whole)
        return [Share(len(target) / (float(whole[0]) or 1.0)) for target in targets]
