"""DeconvNet's two training stages: easy examples first, then all boxes (Noh, Hong, Han 2015, section 4.2).

DeconvNet segments one object at a time, in a box that makes all objects about equally large. Learning this for all
positions and sizes at once needs many examples, so the paper begins with easy ones:

1. every object in the middle of its own box, enlarged 1.2 times; only this object is labelled, everything else is
   background;
2. proposed boxes that overlap an object enough, with whole or partial objects anywhere in them; all classes are
   labelled, and examples of rare classes are repeated until all classes are equally frequent.

In both stages, boxes are resized to a square slightly larger than the network's input (250 : 224), from which the
augmentation crops at random. Pixels outside the image are black and ignored. The paper uses edge boxes as proposals and
does not state the required overlap. Here the proposals are random variations of the objects' boxes and a grid of three
scales, and the required intersection over union is 0.5 by default.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from scratchnet.arrays import Array, generator
from scratchnet.data.folders import Dataset
from scratchnet.data.objects.box_annotations import ObjectBox
from scratchnet.data.objects.box_sampling import cut_out, enlarged, grid_windows, jittered, pairwise_iou
from scratchnet.data.objects.separation import Objects, find_objects
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
    """One training box.

    Attributes
    ----------
    image : int
        Index of the image.
    number : int
        Number of the object in the image.
    label : int
        Class of the object.
    window : Window
        The box, which may extend beyond the image.
    """

    image: int
    number: int
    label: int
    window: Window


class BoxDataset(SourceWrapper):
    """A data set of boxes of another data set's images, resized to one size.

    Parameters
    ----------
    source : Dataset
    examples : sequence of Example
    size : int
        Side of the samples.
    single_object : bool
        Whether only the object of the example is labelled.
    boxes : mapping of str to sequence of ObjectBox
        Boxes of the objects by image name, which separate objects in images without instance masks.
    """

    def __init__(
        self,
        source: Dataset,
        examples: Sequence[Example],
        size: int,
        single_object: bool,
        boxes: Mapping[str, Sequence[ObjectBox]],
    ) -> None:
        super().__init__(source)
        self.examples, self.side, self.single_object = tuple(examples), size, single_object

        # Decoding an image and separating its objects costs far more than cropping a box.
        @lru_cache(maxsize=8)
        def load_whole(index: int) -> tuple[Array, Array, Array]:
            image, mask = source.load(index)
            return image, mask, objects_of(source, index, mask, boxes).instances

        self._load_whole = load_whole

    @property
    def names(self) -> tuple[str, ...]:
        """The name of the image with the first pixel and the size of the box: ``smear-7@12,-3+40x50``."""
        whole = self.source.names
        return tuple(
            f"{whole[e.image]}@{e.window.top},{e.window.left}+{e.window.height}x{e.window.width}" for e in self.examples
        )

    def __len__(self) -> int:
        return len(self.examples)

    def size(self, index: int) -> tuple[int, int]:
        """Return (height, width), the same for all samples."""
        return self.side, self.side

    def load(self, index: int) -> tuple[Array, Array]:
        """Return image (side, side, 3) and mask (side, side) of a box."""
        example = self.examples[index]
        image, mask, instances = self._load_whole(example.image)
        ignored = 0 if self.ignore_index is None else self.ignore_index
        if self.single_object:
            others = (instances != example.number) & (mask != ignored)
            mask = np.where(others, 0, mask).astype(np.uint8)
        size = (self.side, self.side)
        piece, labels = cut_out(image, example.window, 0), cut_out(mask, example.window, ignored)
        return resize_image(piece, size), resize_mask(labels, size)


def objects_of(source: Dataset, index: int, mask: Array, boxes: Mapping[str, Sequence[ObjectBox]]) -> Objects:
    """Separate an image's objects using the data set's annotations."""
    given = boxes.get(source.names[index], ()) if boxes else None
    return find_objects(mask, source.ignore_index, source.load_instances(index), given)


def training_boxes(
    source: Dataset,
    curriculum: Curriculum,
    boxes: Mapping[str, Sequence[ObjectBox]],
    seed: int,
    indices: Iterable[int] | None = None,
) -> BoxDataset:
    """Return the training boxes of a stage.

    Parameters
    ----------
    source : Dataset
        The training images.
    curriculum : Curriculum
        Its stage is not None.
    boxes : mapping of str to sequence of ObjectBox
        See :class:`BoxDataset`; may be empty.
    seed : int
        Seed of the random boxes.
    indices : iterable of int or None
        Indices of all images, for a progress bar.

    Raises
    ------
    UserError
        When there are no objects.
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
    return BoxDataset(source, _non_empty(examples, curriculum), curriculum.box_size, curriculum.stage == 1, boxes)


def validation_boxes(
    source: Dataset, curriculum: Curriculum, size: int, boxes: Mapping[str, Sequence[ObjectBox]]
) -> BoxDataset:
    """Return the validation boxes: one around every object, in the network's input size, labelled as in training."""
    examples: list[Example] = []
    for index in range(len(source)):
        objects = objects_of(source, index, source.load_mask(index), boxes)
        examples += _centred(index, _large_enough(objects, curriculum.min_object_size), curriculum.box_context)
    return BoxDataset(source, _non_empty(examples, curriculum), size, curriculum.stage == 1, boxes)


def balanced(examples: Sequence[Example]) -> list[Example]:
    """Repeat the examples of rare classes in turn until all classes that occur are equally frequent."""
    groups: dict[int, list[Example]] = {}
    for example in examples:
        groups.setdefault(example.label, []).append(example)
    most = max((len(group) for group in groups.values()), default=0)
    return [group[i % len(group)] for _, group in sorted(groups.items()) for i in range(most)]


def _large_enough(objects: Objects, min_size: int) -> Objects:
    """Return the objects whose box has a side of at least ``min_size`` pixels."""
    kept = {number: box for number, box in objects.boxes.items() if max(box.height, box.width) >= min_size}
    return objects._replace(boxes=kept)


def _centred(index: int, objects: Objects, context: float) -> list[Example]:
    """Return one box around every object."""
    return [
        Example(index, number, objects.labels[number], enlarged(box, context)) for number, box in objects.boxes.items()
    ]


def _proposed(
    index: int, objects: Objects, size: tuple[int, int], curriculum: Curriculum, rng: np.random.Generator
) -> list[Example]:
    """Return the random and grid boxes that overlap an object enough, each with the object of largest overlap."""
    candidates = grid_windows(*size)
    for box in objects.boxes.values():
        candidates += [box, *jittered(box, curriculum.boxes_per_object, rng)]
    ious = pairwise_iou(candidates, list(objects.boxes.values()))
    numbers = list(objects.boxes)
    examples = []
    for candidate, best, iou in zip(candidates, ious.argmax(axis=1), ious.max(axis=1), strict=True):
        if iou >= curriculum.min_iou:
            number = numbers[best]
            examples.append(Example(index, number, objects.labels[number], enlarged(candidate, curriculum.box_context)))
    return examples


def _non_empty(examples: list[Example], curriculum: Curriculum) -> list[Example]:
    """Return the examples; a UserError if there are none."""
    if not examples:
        stage = option("stage", curriculum.stage)
        raise UserError(
            f"{stage}: no image has an object, a region of a class other than 0, of at least "
            f"{curriculum.min_object_size} pixels; lower {option('min_object_size')} or leave out {option('stage')}"
        )
    return examples
