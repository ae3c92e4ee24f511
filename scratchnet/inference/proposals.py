"""Segmenting an image box by box: every object comes to the network in about the same size.

A network that looks at one fixed size breaks what is larger and overlooks what is smaller. DeconvNet therefore sees
object proposals: each box is brought to the network's size, its scores go back to their place in the image, and where
boxes overlap the scores are joined before the softmax (Noh et al. 2015, section 5.1).
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
    """A network that is shown the boxes of an image one by one.

    Attributes
    ----------
    segmenter : Segmenter
    proposals : callable
        (name, image) → boxes, the most promising first.
    aggregation : {"max", "sum", "released"}
        With G_i the scores of box i, 0 outside the box:
        ``max``: max_i G_i and ``sum``: Σ_i G_i, equations 1 and 2 of the paper. So with ``max``, 0 is among the
        candidates at every pixel that some box leaves out.
        ``released``: max(0, max_i G_i) over the boxes whose shorter side is at least half the network's, as in the
        paper's code, where that is 112 of 224 pixels.
    side : int or None
        Side that boxes are brought to, for networks that take any size; others take their fixed size, or the one to
        which their training images were resized.
    limit : int
        No more boxes than this are looked at, those that ``released`` skips not counted.

    Raises
    ------
    UserError
        When the network takes any size and ``side`` does not say which, or it takes one size and ``side`` is another.
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
                f"{option('proposals')}: this network takes images of any size; say with {side} what boxes become"
            )
        if own is not None and self.side is not None and own != (self.side, self.side):
            raise UserError(f"{side}: this network brings every box to {own[0]}×{own[1]}; leave {side} out")
        self.segmenter.check_size(*self._size())

    def probabilities(self, images: Array, names: Sequence[str] = ()) -> Array:
        """Return the softmax of the joined scores, (n, h, w, classes); ``names`` must be given for boxes of a file."""
        return softmax(self.scores(images, names))

    def scores(self, images: Array, names: Sequence[str] = ()) -> Array:
        """Return the joined scores, (n, h, w, classes)."""
        check_images("ProposalSegmenter", images)
        maps = [self._scores(image, name) for image, name in zip(images, names or [""] * len(images), strict=True)]
        return maps[0][None] if len(maps) == 1 else np.stack(maps)

    def check(self, image: Array, name: str = "") -> None:
        """Raise a UserError when the image has no boxes that can be used."""
        check_image("ProposalSegmenter.check", image)
        self._boxes(image, name)

    def _boxes(self, image: Array, name: str) -> list[Window]:
        boxes = list(self.proposals(name, image))
        if self.aggregation == "released":
            least = min(self._size()) / 2
            boxes = [box for box in boxes if min(box.height, box.width) >= least]
            if not boxes:
                raise UserError(
                    f"no box of the image has a shorter side of {least:g} pixels, half the network's, and the released "
                    f"rule skips smaller ones; use {for_caller('--aggregate', 'aggregation')} max, or enlarge the image"
                )
        return boxes[: self.limit]

    def _scores(self, image: Array, name: str) -> Array:
        boxes, size = self._boxes(image, name), self._size()
        together = 1 if self.segmenter.alone else max(1, MAX_UNTILED_SIDE**2 // (size[0] * size[1]))
        total: _Total | None = None
        for begin in range(0, len(boxes), together):
            group = boxes[begin : begin + together]
            crops = np.stack([resize_image(cut_out(image, box, fill=0), size) for box in group])
            for box, scores in zip(group, self.segmenter.crops(crops), strict=True):
                total = total or _Total(image.shape[0], image.shape[1], scores.shape[-1], self.aggregation)
                total.add(box, scores)
        assert total is not None
        return total.scores()

    def _own_size(self) -> tuple[int, int] | None:
        return self.segmenter.preprocessing.resize or self.segmenter.network.fixed_size

    def _size(self) -> tuple[int, int]:
        """Return the height and width that boxes are brought to."""
        own = self._own_size()
        if own is None:
            assert self.side is not None
            return self.side, self.side
        return own


class _Total:
    """The joined scores of an image's boxes so far; it holds one box's map at a time in the box's own size."""

    def __init__(self, h: int, w: int, classes: int, rule: Aggregation) -> None:
        self.rule = rule
        self.maps = np.full((h, w, classes), -np.inf if rule == "max" else 0, np.float32)
        self.boxes, self.covers = 0, np.zeros((h, w), np.int32)

    def add(self, box: Window, scores: Array) -> None:
        """Join the scores (sh, sw, classes) of one box."""
        rows, columns = visible_part(box, *self.covers.shape)
        inside = (
            slice(rows.start - box.top, rows.stop - box.top),
            slice(columns.start - box.left, columns.stop - box.left),
        )
        self.boxes += 1
        self.covers[rows, columns] += 1
        join = np.add if self.rule == "sum" else np.maximum
        for c in range(scores.shape[-1]):
            here = self.maps[rows, columns, c]
            join(here, resize_map(scores[..., c], (box.height, box.width))[inside], out=here)

    def scores(self) -> Array:
        """Return the scores (h, w, classes)."""
        if self.rule == "max":
            left_out = self.covers < self.boxes
            self.maps[left_out] = np.maximum(self.maps[left_out], np.float32(0))
        return self.maps
