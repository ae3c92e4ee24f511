"""``scratchnet segment``: masks for images of any size."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from scratchnet.commands.parsing import parse, say
from scratchnet.data import IMAGE_SUFFIXES, image_size, read_image, write_image, write_mask
from scratchnet.errors import UserError
from scratchnet.inference import Segmenter
from scratchnet.progress import progress
from scratchnet.training.checkpoints import load_checkpoint


@dataclass(frozen=True)
class SegmentArguments:
    """Segment images of any size. Writes NAME.png, a palette PNG whose index is the class, and NAME-overlay.png."""

    checkpoint: Annotated[str, tyro.conf.Positional]
    """Written by `scratchnet train` as RUN/checkpoint.npz."""
    images: Annotated[tuple[str, ...], tyro.conf.Positional]
    """Image files, or folders of images."""
    out: str
    """Folder for the masks and overlays."""
    bn: Literal["running", "batch"] = "running"
    """Batch norm's statistics: the running averages, or every image's own."""
    tile: int | None = None
    """Cut images into tiles of this side. Default: whole up to 544 pixels, tiles of 448 above."""
    overlap: int | None = None
    """By how much tiles overlap. Default: a quarter of the side."""


def main(words: Sequence[str]) -> int:
    """Run the command."""
    example = "scratchnet segment run/checkpoint.npz photo.jpg more-photos/ --out masks"
    arguments = parse(SegmentArguments, words, "segment", example)
    checkpoint = load_checkpoint(arguments.checkpoint)
    paths = _find(arguments.images)
    _check(paths, checkpoint.network.stride)
    checkpoint.network.use_statistics(arguments.bn)
    segmenter = Segmenter(checkpoint.network, checkpoint.recipe.preprocessing, arguments.tile, arguments.overlap)
    from scratchnet.viewing.overlays import overlay

    out = Path(arguments.out)
    for path in progress(paths, "segmenting"):
        image = read_image(path)
        try:
            mask = segmenter.segment(image)
        except (UserError, ValueError) as error:
            raise UserError(f"{path}: {error}") from error
        write_mask(out / f"{path.stem}.png", mask)
        write_image(out / f"{path.stem}-overlay.png", overlay(image, mask))
        shares = ", ".join(
            f"{name} {100 * float((mask == i).mean()):.1f} %" for i, name in enumerate(checkpoint.recipe.classes)
        )
        say(f"{path}: {image.shape[1]}×{image.shape[0]}, {shares}")
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
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
            if not inside:
                raise UserError(f"{path}: no images in this folder")
            paths += inside
        else:
            paths.append(path)
    seen: dict[str, Path] = {}
    for path in paths:
        if path.stem in seen:
            raise UserError(
                f"{path} and {seen[path.stem]} would both be written as {path.stem}.png; segment them apart"
            )
        seen[path.stem] = path
    return paths


def _check(paths: Sequence[Path], stride: int) -> None:
    """Look at every image before anything is written, so that a bad one at the end does not leave half a job."""
    for path in paths:
        h, w = image_size(path)
        if min(h, w) < stride:
            raise UserError(
                f"{path}: the image is {w}×{h} pixels, but the network halves images down to 1/{stride}: it needs at "
                f"least {stride}×{stride} pixels; enlarge the image"
            )
        read_image(path)
