"""DeconvNet's two stages: easy examples first, then the boxes that it will meet (Noh, Hong, Han 2015, section 4.2).

DeconvNet segments one object at a time, in a box that makes every object about as large as every other. To learn that
for all places and sizes at once takes many examples, so the paper begins with few kinds of them:

1. every object in the middle of its own box, made 1.2 times larger; this object alone is labelled, all else is
   background;
2. proposed boxes that overlap an object enough, with objects anywhere in them, whole or in part; all classes are
   labelled, and examples of rare classes are repeated until all classes are as frequent.

In both, boxes are resized to a square a little larger than the network's input (250 : 224), from which the augmentation
crops at random. What a box shows beyond the image is black and ignored. The paper takes its boxes from edge boxes and
does not say which overlap is enough; here they are the objects' boxes, moved and stretched at random, and a grid of
three scales, and 0.5 is enough unless something else is asked for.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from scratchnet.arrays import Array, generator
from scratchnet.data.folders import Dataset
from scratchnet.data.objects.box_sampling import cut_out, enlarged, grid_windows, jittered, pairwise_iou
from scratchnet.data.objects.separation import ObjectBox, Objects, find_objects
from scratchnet.data.resizing import resize_image, resize_mask
from scratchnet.data.sample_source import SourceWrapper
from scratchnet.data.tiling import Window
from scratchnet.utils.errors import UserError
from scratchnet.utils.options import option

Stage: TypeAlias = Literal[1, 2]


@dataclass(frozen=True)
class Curriculum:
    """Training on boxes around objects instead of whole images: DeconvNet's two stages. Class 0 is the background."""

    stage: Stage | None = None
    """1: boxes with a single object in the middle; 2: boxes that overlap objects. Default: whole images."""
    box_size: int = 250
    """Side to which boxes are resized, before --crop."""
    box_context: float = 1.2
    """Factor on height and width of the boxes, to include the surroundings of objects."""
    min_iou: float = 0.5
    """Stage 2: minimum intersection over union of a box with an object's box (before --box-context)."""
    boxes_per_object: int = 8
    """Stage 2: number of random boxes tried around each object, in addition to the grid."""
    min_object_size: int = 8
    """Leave out objects whose box is smaller than this in both height and width, in pixels."""


class Example(NamedTuple):
    """One box to learn from.

    Attributes
    ----------
    image : int
        Number of the image in its set.
    number : int
        Of the object in the image.
    label : int
        Class of the object.
    window : Window
        May reach beyond the image.
    """

    image: int
    number: int
    label: int
    window: Window


class BoxDataset(SourceWrapper):
    """A set whose samples are boxes of another set's images, all of one size.

    Parameters
    ----------
    source : Dataset
    examples : sequence of Example
    size : int
        Side of the samples.
    alone : bool
        Whether an example's object is the only one that is labelled.
    boxes : mapping of str to sequence of ObjectBox
        Of every image by its name; objects are told apart by them where there are no numbered objects.
    """

    def __init__(
        self,
        source: Dataset,
        examples: Sequence[Example],
        size: int,
        alone: bool,
        boxes: Mapping[str, Sequence[ObjectBox]],
    ) -> None:
        super().__init__(source)
        self.examples, self.side, self.alone = tuple(examples), size, alone

        # Decoding an image and telling its objects apart costs far more than cutting out a box.
        @lru_cache(maxsize=8)
        def load_whole(index: int) -> tuple[Array, Array, Array]:
            image, mask = source.load(index)
            return image, mask, objects_of(source, index, mask, boxes).instances

        self._load_whole = load_whole

    @property
    def names(self) -> tuple[str, ...]:
        """The image's name with the box's first pixel and its size: ``smear-7@12,-3+40x50``."""
        whole = self.source.names
        return tuple(
            f"{whole[e.image]}@{e.window.top},{e.window.left}+{e.window.height}x{e.window.width}" for e in self.examples
        )

    def __len__(self) -> int:
        return len(self.examples)

    def size(self, index: int) -> tuple[int, int]:
        """Return (height, width), the same for all."""
        return self.side, self.side

    def load(self, index: int) -> tuple[Array, Array]:
        """Return image (side, side, 3) and mask (side, side) of a box."""
        example = self.examples[index]
        image, mask, numbers = self._load_whole(example.image)
        ignored = 0 if self.ignore_index is None else self.ignore_index
        if self.alone:
            others = (numbers != example.number) & (mask != ignored)
            mask = np.where(others, 0, mask).astype(np.uint8)
        size = (self.side, self.side)
        piece, labels = cut_out(image, example.window, 0), cut_out(mask, example.window, ignored)
        return resize_image(piece, size), resize_mask(labels, size)


def objects_of(source: Dataset, index: int, mask: Array, boxes: Mapping[str, Sequence[ObjectBox]]) -> Objects:
    """Tell the objects of one image apart, by what the set says of them."""
    given = boxes.get(source.names[index], ()) if boxes else None
    return find_objects(mask, source.ignore_index, source.load_objects(index), given)


def training_boxes(
    source: Dataset,
    curriculum: Curriculum,
    boxes: Mapping[str, Sequence[ObjectBox]],
    seed: int,
    indices: Iterable[int] | None = None,
) -> BoxDataset:
    """Return the examples of a stage.

    Parameters
    ----------
    source : Dataset
        The training images.
    curriculum : Curriculum
        Whose stage is set.
    boxes : mapping of str to sequence of ObjectBox
        See :class:`BoxDataset`; may be empty.
    seed : int
        Of the random boxes.
    indices : iterable of int or None
        The numbers of all images, where a progress bar is to see them.

    Raises
    ------
    UserError
        When there are no objects to learn from.
    """
    examples: list[Example] = []
    for index in range(len(source)) if indices is None else indices:
        mask = source.load_mask(index)
        objects = _large_enough(objects_of(source, index, mask, boxes), curriculum.min_object_size)
        if curriculum.stage == 1:
            examples += _centred(index, objects, curriculum.box_context)
        elif objects.boxes:
            size = (mask.shape[0], mask.shape[1])
            examples += _proposed(index, objects, size, curriculum, generator(seed, "proposals", index))
    if curriculum.stage == 2:
        examples = balanced(examples)
    return BoxDataset(source, _some(examples, curriculum), curriculum.box_size, curriculum.stage == 1, boxes)


def validation_boxes(
    source: Dataset, curriculum: Curriculum, size: int, boxes: Mapping[str, Sequence[ObjectBox]]
) -> BoxDataset:
    """Return the boxes to validate on: one round every object, at the network's own size, labelled as in training."""
    examples: list[Example] = []
    for index in range(len(source)):
        objects = objects_of(source, index, source.load_mask(index), boxes)
        examples += _centred(index, _large_enough(objects, curriculum.min_object_size), curriculum.box_context)
    return BoxDataset(source, _some(examples, curriculum), size, curriculum.stage == 1, boxes)


def balanced(examples: Sequence[Example]) -> list[Example]:
    """Repeat the examples of rare classes, in turn, until every class that occurs has as many as the most frequent."""
    groups: dict[int, list[Example]] = {}
    for example in examples:
        groups.setdefault(example.label, []).append(example)
    most = max((len(group) for group in groups.values()), default=0)
    return [group[i % len(group)] for _, group in sorted(groups.items()) for i in range(most)]


def _large_enough(objects: Objects, least: int) -> Objects:
    kept = {number: box for number, box in objects.boxes.items() if max(box.height, box.width) >= least}
    return objects._replace(boxes=kept)


def _centred(index: int, objects: Objects, context: float) -> list[Example]:
    return [
        Example(index, number, objects.labels[number], enlarged(box, context)) for number, box in objects.boxes.items()
    ]


def _proposed(
    index: int, objects: Objects, size: tuple[int, int], curriculum: Curriculum, rng: np.random.Generator
) -> list[Example]:
    """Return the random boxes and those of the grid that overlap an object enough; they go by the nearest object."""
    candidates = grid_windows(*size)
    for box in objects.boxes.values():
        candidates += [box, *jittered(box, curriculum.boxes_per_object, rng)]
    shares = pairwise_iou(candidates, list(objects.boxes.values()))
    numbers = list(objects.boxes)
    examples = []
    for candidate, best, share in zip(candidates, shares.argmax(axis=1), shares.max(axis=1), strict=True):
        if share >= curriculum.min_iou:
            number = numbers[best]
            examples.append(Example(index, number, objects.labels[number], enlarged(candidate, curriculum.box_context)))
    return examples


def _some(examples: list[Example], curriculum: Curriculum) -> list[Example]:
    if not examples:
        stage = option("stage", curriculum.stage)
        raise UserError(
            f"{stage}: no image has an object, a region of a class other than 0, of at least "
            f"{curriculum.min_object_size} pixels; lower {option('min_object_size')} or leave out {option('stage')}"
        )
    return examples
