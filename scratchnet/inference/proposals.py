"""Segmentation of an image box by box, so that the network sees every object in about the same size.

A network with one fixed input size fragments larger objects and misses smaller ones. DeconvNet is therefore applied to
object proposals: each box is resized to the network's size, its scores are resized back to the box, and where boxes
overlap, the scores are combined before the softmax (Noh et al. 2015, section 5.1).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from scratchnet.arrays import Array
from scratchnet.data import Window, resize_image
from scratchnet.data.objects.box_sampling import cut_out
from scratchnet.inference.boxes import Proposals, visible_part
from scratchnet.inference.maps import resize_map
from scratchnet.inference.segmentation import MAX_UNTILED_SIDE, Segmenter
from scratchnet.ops.activation import softmax
from scratchnet.utils.errors import UserError
from scratchnet.utils.options import for_caller, option
from scratchnet.utils.shape_checks import check_image, check_images

Aggregation: TypeAlias = Literal["max", "sum", "released"]


@dataclass(frozen=True)
class ProposalSegmenter:
    """A network applied to each box of an image.

    Attributes
    ----------
    segmenter : Segmenter
    proposals : callable
        Function (name, image) → boxes, the most promising first.
    aggregation : {"max", "sum", "released"}
        The scores G_i of box i are 0 outside the box.
        ``max``: max_i G_i, and ``sum``: Σ_i G_i (equations 1 and 2 of the paper). So ``max`` includes 0 at every pixel
        outside some box.
        ``released``: max(0, max_i G_i) over the boxes whose shorter side is at least half the network's, as in the
        paper's code, where that is 112 of 224 pixels.
    side : int or None
        Side to which boxes are resized, for networks that accept any size. Other networks use their fixed size, or the
        size to which their training images were resized.
    limit : int
        Maximum number of boxes, not counting those that ``released`` skips.

    Raises
    ------
    UserError
        If the network accepts any size and ``side`` is None, or it has one size and ``side`` is another.
    """

    segmenter: Segmenter
    proposals: Proposals
    aggregation: Aggregation = "max"
    side: int | None = None
    limit: int = 50

    def __post_init__(self) -> None:
        own = self._own_size()
        side = for_caller("--box-size", "side")
        if own is None and self.side is None:
            raise UserError(
                f"{option('proposals')}: this network takes images of any size; set the size of its boxes with {side}"
            )
        if own is not None and self.side is not None and own != (self.side, self.side):
            raise UserError(f"{side}: this network resizes every box to {own[0]}×{own[1]}; leave {side} out")
        self.segmenter.check_size(*self._size())

    def probabilities(self, images: Array, names: Sequence[str] = ()) -> Array:
        """Return the softmax of the combined scores, (n, h, w, classes); boxes from a file require ``names``."""
        return softmax(self.scores(images, names))

    def scores(self, images: Array, names: Sequence[str] = ()) -> Array:
        """Return the combined scores, (n, h, w, classes)."""
        check_images("ProposalSegmenter", images)
        maps = [self._scores(image, name) for image, name in zip(images, names or [""] * len(images), strict=True)]
        return maps[0][None] if len(maps) == 1 else np.stack(maps)

    def check(self, image: Array, name: str = "") -> None:
        """Raise a UserError if the image has no usable boxes."""
        check_image("ProposalSegmenter.check", image)
        self._boxes(image, name)

    def _boxes(self, image: Array, name: str) -> list[Window]:
        boxes = list(self.proposals(name, image))
        if self.aggregation == "released":
            min_side = min(self._size()) / 2
            boxes = [box for box in boxes if min(box.height, box.width) >= min_side]
            if not boxes:
                rule = for_caller("--aggregate", "aggregation")
                raise UserError(
                    f"no box of the image has a shorter side of {min_side:g} pixels, half the network's, and the "
                    f"released rule skips smaller ones; use {rule} max, or enlarge the image"
                )
        return boxes[: self.limit]

    def _scores(self, image: Array, name: str) -> Array:
        boxes, size = self._boxes(image, name), self._size()
        batch_size = 1 if self.segmenter.one_by_one else max(1, MAX_UNTILED_SIDE**2 // (size[0] * size[1]))
        total: _Total | None = None
        for begin in range(0, len(boxes), batch_size):
            group = boxes[begin : begin + batch_size]
            crops = np.stack([resize_image(cut_out(image, box, fill=0), size) for box in group])
            for box, scores in zip(group, self.segmenter.crops(crops), strict=True):
                total = total or _Total(image.shape[0], image.shape[1], scores.shape[-1], self.aggregation)
                total.add(box, scores)
        assert total is not None
        return total.scores()

    def _own_size(self) -> tuple[int, int] | None:
        return self.segmenter.preprocessing.resize or self.segmenter.network.fixed_size

    def _size(self) -> tuple[int, int]:
        """Return the height and width to which boxes are resized."""
        own = self._own_size()
        if own is None:
            assert self.side is not None
            return self.side, self.side
        return own


class _Total:
    """The combined scores of an image's boxes so far; one channel of a box is resized at a time."""

    def __init__(self, h: int, w: int, classes: int, rule: Aggregation) -> None:
        self.rule = rule
        self.maps = np.full((h, w, classes), -np.inf if rule == "max" else 0, np.float32)
        self.boxes, self.covers = 0, np.zeros((h, w), np.int32)

    def add(self, box: Window, scores: Array) -> None:
        """Add the scores (sh, sw, classes) of one box."""
        rows, columns = visible_part(box, *self.covers.shape)
        inside = (
            slice(rows.start - box.top, rows.stop - box.top),
            slice(columns.start - box.left, columns.stop - box.left),
        )
        self.boxes += 1
        self.covers[rows, columns] += 1
        combine = np.add if self.rule == "sum" else np.maximum
        for c in range(scores.shape[-1]):
            here = self.maps[rows, columns, c]
            combine(here, resize_map(scores[..., c], (box.height, box.width))[inside], out=here)

    def scores(self) -> Array:
        """Return the scores (h, w, classes)."""
        if self.rule == "max":
            outside = self.covers < self.boxes  # of at least one box
            self.maps[outside] = np.maximum(self.maps[outside], np.float32(0))
        return self.maps
