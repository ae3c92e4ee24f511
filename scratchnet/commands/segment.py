"""``scratchnet segment``: masks for images of any size."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from scratchnet.arrays import to_host
from scratchnet.commands.flags import Positional
from scratchnet.commands.parsing import parse, say
from scratchnet.commands.prediction import PredictionArguments
from scratchnet.data import ValueRange, read_image, write_image, write_mask
from scratchnet.data.layouts import ENDINGS, is_image_file, left_out, left_out_words
from scratchnet.data.masks import palette_with
from scratchnet.errors import UserError
from scratchnet.inference import Predictor, to_mask
from scratchnet.progress import progress
from scratchnet.signatures import check_replaceable
from scratchnet.training.checkpoints import load_checkpoint
from scratchnet.wording import pixels

MASK, OVERLAY = "mask", "overlay"
"""Kinds of the files."""


@dataclass(frozen=True)
class SegmentArguments(PredictionArguments):
    """Segment images of any size. Writes NAME.png, a palette PNG whose index is the class, and NAME-overlay.png."""

    checkpoint: Annotated[str, Positional("CHECKPOINT")]
    """Written by `scratchnet train` as RUN/checkpoint.npz."""
    images: Annotated[tuple[str, ...], Positional("IMAGE…")]
    """Image files, or folders of images."""
    out: str
    """Folder for the masks and overlays."""


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
    preprocessing = checkpoint.recipe.preprocessing
    try:
        palette = palette_with(checkpoint.recipe.data.get("colours"))
    except ValueError as error:
        raise UserError(f"{arguments.checkpoint}: {error}; train again") from error
    _check_images(paths, predictor, preprocessing.range)
    from scratchnet.viewing.overlays import overlay

    for path in progress(paths, "segmenting"):
        image = read_image(path, preprocessing.range)
        try:
            mask = to_host(to_mask(predictor.probabilities(image[None], (path.stem,))[0]))
        except (UserError, ValueError) as error:
            raise UserError(f"{path}: {error}") from error
        mask_file, overlay_file = _outputs(path, out)
        write_mask(mask_file, mask, MASK, palette)
        write_image(overlay_file, overlay(image, mask, palette=palette), OVERLAY)
        shares = ", ".join(
            f"{name} {100 * float((mask == i).mean()):.1f} %" for i, name in enumerate(checkpoint.recipe.classes)
        )
        say(f"{path}: {pixels(*image.shape[:2])}, {shares}")
    say(f"wrote {len(paths)} mask{'' if len(paths) == 1 else 's'} and overlays to {out}")
    return 0


def _find(arguments: Sequence[str]) -> list[Path]:
    """Return the images that are named, folders replaced by the images in them."""
    if not arguments:
        raise UserError("no image given; name image files or folders of images")
    paths: list[Path] = []
    for word in arguments:
        path = Path(word)
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if is_image_file(p))
            rest = left_out(path)
            if not inside:
                held = f"; it holds {left_out_words(rest)}" if rest else ""
                raise UserError(f"{path}: no images in this folder (looked for .png, .jpg, .tif{ENDINGS}{held}")
            if rest:
                say(f"{path}: leaving out {left_out_words(rest)}")
            paths += inside
        else:
            paths.append(path)
    return paths


def _outputs(path: Path, out: Path) -> tuple[Path, Path]:
    """Return where an image's mask and overlay go."""
    return out / f"{path.stem}.png", out / f"{path.stem}-overlay.png"


def _check_outputs(paths: Sequence[Path], out: Path) -> None:
    """Refuse to write two results to one file, or a result over an image that was given."""
    images = {identity for path in paths if (identity := _identity(path))}
    taken: dict[Path, Path] = {}
    for path in paths:
        for output in _outputs(path, out):
            if output in taken:
                raise UserError(
                    f"{path} and {taken[output]} would both be written as {output.name}; segment them apart"
                )
            if _identity(output) in images:
                raise UserError(f"{output}: is one of the images and would be overwritten; choose another --out")
            check_replaceable(output, MASK if output == _outputs(path, out)[0] else OVERLAY)
            taken[output] = path


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells an existing file from all others: where case does not count, a.PNG and a.png are one."""
    with suppress(OSError):
        found = path.stat()
        return found.st_dev, found.st_ino
    return None


def _check_images(paths: Sequence[Path], predictor: Predictor, value_range: ValueRange | None) -> None:
    """Look at every image before anything is written, so that a bad one at the end does not leave half a job."""
    for path in paths:
        image = read_image(path, value_range)
        try:
            predictor.check(image, path.stem)
        except UserError as error:
            raise UserError(f"{path}: {error}") from error
