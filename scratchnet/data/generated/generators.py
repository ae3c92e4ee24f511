"""Generated data sets, as images in memory or as a folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from PIL import Image

from scratchnet.arrays import Array, generator
from scratchnet.data.generated.cells import CELL_CLASSES, CellTask, make_cell_objects
from scratchnet.data.generated.shapes import SHAPE_CLASSES, Scene, make_shapes
from scratchnet.data.generated.squares import SQUARE_CLASSES, make_square
from scratchnet.data.images import write_image
from scratchnet.data.masks import write_mask
from scratchnet.data.objects.box_annotations import BOXES_FILE, ObjectBox, write_boxes
from scratchnet.data.objects.components import bounding_boxes
from scratchnet.utils.errors import UserError
from scratchnet.utils.files import atomic_write

GeneratedKind: TypeAlias = Literal["squares", "cells", "shapes"]

MIN_SIZE = 16
"""Minimum side of a generated image in pixels."""

_DEFAULT_SIZE: dict[GeneratedKind, int] = {"squares": 512, "cells": 128, "shapes": 160}


def generate(
    kind: GeneratedKind,
    index: int,
    seed: int,
    size: int | None = None,
    task: CellTask = "stained",
    magnification: float = 1.0,
    plain: bool = False,
) -> tuple[Array, Array]:
    """Return image and mask of index ``index`` in a generated data set; they do not depend on its length.

    Parameters
    ----------
    kind : {"squares", "cells", "shapes"}
        See `make_square`, `make_cells` and `make_shapes`.
    index, seed : int
    size : int or None
        Side of the image in pixels; None: 512 for squares, 128 for cells, 160 for shapes.
    task, magnification
        Foreground and magnification of the cells, see `make_cells`.
    plain : bool
        Shapes without textures, see `make_shapes`.
    """
    if kind == "shapes":
        scene = generate_scene(index, seed, size, plain)
        return scene.image, scene.mask
    image, mask, _ = _draw(kind, index, seed, size, task, magnification)
    return image, mask


def generate_scene(index: int, seed: int, size: int | None = None, plain: bool = False) -> Scene:
    """Return the image of index ``index`` in a generated data set of shapes, with its objects."""
    return make_shapes(generator(seed, "shapes", index), size or _DEFAULT_SIZE["shapes"], plain)


def write_generated(
    kind: GeneratedKind,
    directory: Path | str,
    count: int,
    seed: int,
    size: int | None = None,
    task: CellTask = "stained",
    val_fraction: float = 0.2,
    magnification: float = 1.0,
    plain: bool = False,
    objects: bool = False,
) -> None:
    """Write a generated data set in the layout ``folder``: images, palette PNG masks, class names and two splits.

    Shapes also get instance masks in ``objects/`` and ``boxes.csv``. The same seed gives the same files, and a larger
    data set begins with the images of a smaller one.

    Parameters
    ----------
    kind, seed, size, task, magnification, plain
        As in `generate`.
    directory : Path or str
        A new or empty folder.
    val_fraction : float
        Fraction of the images, the last ones, in ``splits/val.txt``.
    objects : bool
        Write ``objects/`` for cells too (16 bits).
    """
    directory = Path(directory)
    held_out = _check_arguments(directory, count, size, val_fraction, magnification)
    names, boxes = [f"{kind}-{index:04d}" for index in range(count)], list[ObjectBox]()
    for index, name in enumerate(names):
        if kind == "shapes":
            boxes += _write_scene(directory, name, generate_scene(index, seed, size, plain))
            continue
        image, mask, numbers = _draw(kind, index, seed, size, task, magnification)
        _write_pair(directory, name, image, mask)
        if objects and numbers is not None:
            _write_numbers(directory / "objects" / f"{name}.png", numbers)
    _write_lists(directory, names, held_out, classes_of(kind, task), boxes)


def _write_scene(directory: Path, name: str, scene: Scene) -> list[ObjectBox]:
    """Write an image of shapes with its mask and object numbers; return the boxes of its objects."""
    write_mask(directory / "objects" / f"{name}.png", scene.objects)
    _write_pair(directory, name, scene.image, scene.mask)
    return _visible_boxes(name, scene)


def _write_pair(directory: Path, name: str, image: Array, mask: Array) -> None:
    """Write an image and its mask."""
    write_image(directory / "images" / f"{name}.png", image)
    write_mask(directory / "masks" / f"{name}.png", mask)


def _draw(
    kind: GeneratedKind, index: int, seed: int, size: int | None, task: CellTask, magnification: float
) -> tuple[Array, Array, Array | None]:
    """Return image, mask and object numbers of squares or cells; None for squares, which have no numbers."""
    rng, side = generator(seed, kind, index), size or _DEFAULT_SIZE[kind]
    return (*make_square(rng, side), None) if kind == "squares" else make_cell_objects(rng, side, task, magnification)


def classes_of(kind: GeneratedKind, task: CellTask = "stained") -> tuple[str, ...]:
    """Return the class names of a generated data set."""
    return {"squares": SQUARE_CLASSES, "cells": CELL_CLASSES[task], "shapes": SHAPE_CLASSES}[kind]


def _check_arguments(directory: Path, count: int, size: int | None, val_fraction: float, magnification: float) -> int:
    """Return the number of validation images; a UserError for invalid arguments or a folder that is not empty."""
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise UserError(f"{directory}: is not an empty folder; choose a new name, nothing is overwritten")
    if size is not None and size < MIN_SIZE:
        raise UserError(f"image size {size}: too small to draw on; choose at least {MIN_SIZE}")
    if not 0.25 <= magnification <= 4:
        raise UserError(f"magnification {magnification}: expected a number from 0.25 to 4")
    if not 0 < val_fraction < 1:
        raise UserError(f"validation fraction {val_fraction}: expected a number between 0 and 1, for example 0.2")
    held_out = max(round(count * val_fraction), 1)
    if held_out >= count:
        raise UserError(f"{count} images, {held_out} of them for validation, leave none to train on; make more")
    return held_out


def _write_lists(
    directory: Path, names: Sequence[str], held_out: int, classes: Sequence[str], boxes: Sequence[ObjectBox]
) -> None:
    """Write the class names, the splits and, if there are any, the boxes."""
    if boxes:
        write_boxes(directory / BOXES_FILE, boxes, classes)
    _write_lines(directory / "classes.txt", classes)
    _write_lines(directory / "splits" / "train.txt", names[:-held_out])
    _write_lines(directory / "splits" / "val.txt", names[-held_out:])


def _write_numbers(path: Path, numbers: Array) -> None:
    """Write object numbers (h, w) as a 16-bit grey PNG."""
    with atomic_write(path) as file:
        Image.fromarray(numbers.astype(np.uint16)).save(file, format="PNG")


def _visible_boxes(name: str, scene: Scene) -> list[ObjectBox]:
    """Return the bounding boxes of the visible parts of all objects."""
    return [
        ObjectBox(name, scene.labels[number - 1], box, scene.sizes[number - 1])
        for number, box in bounding_boxes(scene.objects).items()
    ]


def _write_lines(path: Path, lines: Sequence[str]) -> None:
    """Write a text file of one item per line."""
    with atomic_write(path) as file:
        file.write("".join(f"{line}\n" for line in lines).encode())
