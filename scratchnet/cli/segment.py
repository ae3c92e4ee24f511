"""``scratchnet segment``: masks for images of any size."""

import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np

from scratchnet.arrays import Array
from scratchnet.cli.flags import Positional
from scratchnet.cli.parsing import parse, say
from scratchnet.cli.prediction_arguments import PredictionArguments
from scratchnet.data import ValueRange, write_image, write_mask
from scratchnet.data.image_folders import SEARCHED_SUFFIXES, describe_unreadable, is_image_file, unreadable_files
from scratchnet.data.image_rows import ImageRows, open_rows
from scratchnet.data.mask_rows import write_mask_rows
from scratchnet.data.palette import palette_with
from scratchnet.inference import Predictor
from scratchnet.inference.by_rows import check_rows, mask_rows
from scratchnet.training.checkpoints import load_checkpoint
from scratchnet.utils.errors import UserError
from scratchnet.utils.progress import progress
from scratchnet.utils.signatures import check_replaceable
from scratchnet.utils.wording import pixels

MASK, OVERLAY = "mask", "overlay"
"""Kinds of the files."""

OVERLAY_PIXELS = 1 << 26
"""Larger images get an overlay only on request: it needs three times the memory of the image."""


@dataclass(frozen=True)
class SegmentArguments(PredictionArguments):
    """Segment images of any size. Writes NAME.png, a palette PNG with the classes as indices, and NAME-overlay.png."""

    checkpoint: Annotated[str, Positional("CHECKPOINT")]
    """Written by `scratchnet train` as RUN/checkpoint.npz."""
    images: Annotated[tuple[str, ...], Positional("IMAGE…")]
    """Image files, or folders of images."""
    out: str
    """Folder for the masks and overlays."""
    overlay: bool | None = None
    """Write NAME-overlay.png, the image with the classes in colour. Default: for images up to 64 megapixels; without
    it, memory is needed for the image and one row of tiles only."""


def main(words: Sequence[str]) -> int:
    """Run the command."""
    example = "scratchnet segment run/checkpoint.npz photo.jpg more-photos/ --out masks"
    arguments = parse(SegmentArguments, words, "segment", example)
    with arguments.computing():
        return _segment(arguments)


def _segment(arguments: SegmentArguments) -> int:
    checkpoint = load_checkpoint(arguments.checkpoint)
    predictor = arguments.predictor(checkpoint)
    out, paths = Path(arguments.out), _find(arguments.images)
    _check_outputs(paths, out)
    preprocessing = checkpoint.spec.preprocessing
    try:
        palette = palette_with(checkpoint.spec.data.get("colours"))
    except ValueError as error:
        raise UserError(f"{arguments.checkpoint}: {error}; train again") from error
    names = checkpoint.spec.classes
    _check_images(paths, predictor, preprocessing.range, len(names))
    overlays = 0
    for path in progress(paths, "segmenting"):
        image = open_rows(path, preprocessing.range)
        size = image.height, image.width
        with_overlay = size[0] * size[1] <= OVERLAY_PIXELS if arguments.overlay is None else arguments.overlay
        try:
            counts = (_write_both if with_overlay else _write)(path, out, image, predictor, palette)
        except (UserError, ValueError) as error:
            raise UserError(str(error) if str(path) in str(error) else f"{path}: {error}") from error
        overlays += with_overlay
        shares = ", ".join(f"{name} {100 * n / counts.sum():.1f} %" for name, n in zip(names, counts, strict=False))
        say(f"{path}: {pixels(*size)}, {shares}")
    say(f"wrote {len(paths)} mask{'' if len(paths) == 1 else 's'}{' and overlays' if overlays else ''} to {out}")
    if arguments.overlay is None and overlays < len(paths):
        say(f"no overlays of images above {OVERLAY_PIXELS >> 20} megapixels; --overlay writes them too")
    return 0


def _write(path: Path, out: Path, image: ImageRows, predictor: Predictor, palette: Array) -> Array:
    """Write an image's mask row by row; return the number of pixels of each class, (256,)."""
    counts = np.zeros(256, np.int64)

    def counted() -> Iterator[Array]:
        for rows in mask_rows(predictor, image, path.stem):
            counts[:] += np.bincount(rows.ravel(), minlength=256)
            yield rows

    write_mask_rows(_outputs(path, out)[0], counted(), (image.height, image.width), MASK, palette)
    return counts


def _write_both(path: Path, out: Path, image: ImageRows, predictor: Predictor, palette: Array) -> Array:
    """Write an image's mask and overlay; return the number of pixels of each class, (256,)."""
    from scratchnet.visualization.overlays import overlay

    mask = np.concatenate(list(mask_rows(predictor, image, path.stem)))
    mask_file, overlay_file = _outputs(path, out)
    write_mask(mask_file, mask, MASK, palette)
    write_image(overlay_file, overlay(image.read(), mask, palette=palette), OVERLAY)
    return np.bincount(mask.ravel(), minlength=256)


def _find(arguments: Sequence[str]) -> list[Path]:
    """Return the paths of the named images and of the images in the named folders."""
    if not arguments:
        raise UserError("no image given; name image files or folders of images")
    paths: list[Path] = []
    for word in arguments:
        path = Path(word)
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if is_image_file(p))
            rest = unreadable_files(path)
            if not inside:
                held = f"; it holds {describe_unreadable(rest)}" if rest else ""
                raise UserError(f"{path}: no images in this folder (looked for {SEARCHED_SUFFIXES}){held}")
            if rest:
                say(f"{path}: leaving out {describe_unreadable(rest)}")
            paths += inside
        else:
            paths.append(path)
    return paths


def _outputs(path: Path, out: Path) -> tuple[Path, Path]:
    """Return the paths of an image's mask and overlay."""
    return out / f"{path.stem}.png", out / f"{path.stem}-overlay.png"


def _check_outputs(paths: Sequence[Path], out: Path) -> None:
    """Refuse to write two results to one file, or a result over one of the images."""
    images = {identity for path in paths if (identity := _identity(path))}
    taken: dict[str, Path] = {}
    for path in paths:
        for output in _outputs(path, out):
            name = unicodedata.normalize("NFC", output.name).casefold()  # one file on a case-insensitive file system
            if name in taken:
                raise UserError(f"{path} and {taken[name]} would both be written as {output.name}; segment them apart")
            if _identity(output) in images:
                raise UserError(f"{output}: is one of the images and would be overwritten; choose another --out")
            check_replaceable(output, MASK if output == _outputs(path, out)[0] else OVERLAY)
            taken[name] = path


def _identity(path: Path) -> tuple[int, int] | None:
    """Return a file's device and inode, None if it does not exist; a.PNG and a.png may be one file."""
    with suppress(OSError):
        found = path.stat()
        return found.st_dev, found.st_ino
    return None


def _check_images(paths: Sequence[Path], predictor: Predictor, value_range: ValueRange | None, classes: int) -> None:
    """Check every image before anything is written, so that a bad one does not leave half of the results."""
    for path in paths:
        image = open_rows(path, value_range)
        try:
            check_rows(predictor, image, classes, path.stem)
        except UserError as error:
            raise UserError(f"{path}: {error}") from error
