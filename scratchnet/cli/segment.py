"""``scratchnet segment``: masks for images of any size."""

import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np

from scratchnet.arrays import Array
from scratchnet.cli.batch_statistics import warn_of_large_images
from scratchnet.cli.checkpoints import NetworkArguments, say_origin
from scratchnet.cli.flags import Metavar, Positional
from scratchnet.cli.image_arguments import check_each, find_images
from scratchnet.cli.output import OutputArguments
from scratchnet.cli.parsing import parse, say
from scratchnet.cli.prediction_arguments import PredictionArguments
from scratchnet.cli.uncertainty import (
    UNCERTAINTY,
    Spread,
    check_uncertainty,
    sampled_predictor,
    spread_of,
    spread_summary,
    write_uncertainty,
)
from scratchnet.data import write_image, write_mask
from scratchnet.data.image_rows import ImageRows, open_rows
from scratchnet.data.mask_rows import write_mask_rows
from scratchnet.data.palette import palette_with
from scratchnet.inference import Predictor
from scratchnet.inference.by_rows import check_rows, mask_rows
from scratchnet.inference.segmentation import to_mask
from scratchnet.inference.uncertainty import SampledPredictor
from scratchnet.training.checkpoints import load_checkpoint
from scratchnet.training.contents import Checkpoint
from scratchnet.utils.errors import UserError
from scratchnet.utils.progress import progress
from scratchnet.utils.signatures import OVERLAY, check_replaceable
from scratchnet.utils.wording import pixels

MASK = "mask"
KINDS = MASK, OVERLAY, UNCERTAINTY
"""Kinds of the files."""

OVERLAY_PIXELS = 1 << 26
"""Larger images get an overlay only on request: it needs three times the memory of the image."""


FEW_IMAGES = 3
"""Number of images up to which each has a line."""


@dataclass(frozen=True)
class SegmentArguments(PredictionArguments, NetworkArguments, OutputArguments):
    """Segment images of any size. Writes NAME.png, a palette PNG with the classes as indices, and NAME-overlay.png."""

    sources: Annotated[tuple[str, ...], Positional("[CHECKPOINT] IMAGE…")]
    """A checkpoint, written by `scratchnet train` as RUN/checkpoint.npz, unless --model names it; then image files, or
    folders of images."""
    out: str
    """Folder for the masks and overlays."""
    verbose: bool = False
    """Print a line for each image. Default: for up to three images; of more, only the mean."""
    overlay: bool | None = None
    """Write NAME-overlay.png, the image with the classes in colour. Default: for images up to 64 megapixels; without
    it, memory is needed for the image and one row of tiles only."""
    uncertainty: Annotated[int | None, Metavar("N")] = None
    """Predict each image N times at random, with dropout, or flipped, scaled and shifted if the network has none. The
    mask is that of the mean, and NAME-uncertainty.png shows how much the N differ: a grey image of 16 bits, whose value
    v means a standard deviation of 0.5 · (v / 65535)² of the probability of the mask's class, so white is 0.5, the
    largest possible one."""


class MaskStyle(NamedTuple):
    """Colours (256, 3) and names of the classes in a mask file."""

    palette: Array
    classes: Sequence[str]


class SegmentedImage(NamedTuple):
    """An image, its height and width, the number of pixels of each class in its mask, (classes,), and its spread."""

    path: Path
    size: tuple[int, int]
    counts: Array
    spread: Spread | None


def main(words: Sequence[str]) -> int:
    """Run the command."""
    example = "scratchnet segment run/checkpoint.npz photo.jpg more-photos/ --out masks"
    arguments = parse(SegmentArguments, words, "segment", example)
    check_uncertainty(arguments, arguments.uncertainty)
    with arguments.output(), arguments.computing():
        return _segment(arguments)


def _segment(arguments: SegmentArguments) -> int:
    named, images = arguments.checkpoint_and_rest(arguments.sources)
    checkpoint = load_checkpoint(named)
    samples = arguments.uncertainty
    predictor = (
        arguments.predictor(checkpoint) if samples is None else sampled_predictor(arguments, checkpoint, samples)
    )
    out, paths = Path(arguments.out), find_images(images)
    _check_outputs(paths, out, samples is not None)
    preprocessing = checkpoint.spec.preprocessing
    names = checkpoint.spec.classes
    style = MaskStyle(_palette(named, checkpoint), names)
    check_images(paths, predictor, checkpoint, arguments.bn_statistics)
    say_origin(named, arguments.ensemble)
    overlays, results = 0, list[SegmentedImage]()
    for path in progress(paths, "segmenting"):
        image = open_rows(path, preprocessing.range)
        size = image.height, image.width
        with_overlay = size[0] * size[1] <= OVERLAY_PIXELS if arguments.overlay is None else arguments.overlay
        spread: Spread | None = None
        try:
            if isinstance(predictor, SampledPredictor):
                counts, spread = _write_sampled(path, out, image, predictor, style, with_overlay)
            else:
                counts = (_write_both if with_overlay else _write)(path, out, image, predictor, style)
        except (UserError, ValueError) as error:
            raise UserError(str(error) if str(path) in str(error) else f"{path}: {error}") from error
        overlays += with_overlay
        results.append(SegmentedImage(path, size, counts[: len(names)], spread))
        if arguments.verbose or len(paths) <= FEW_IMAGES:
            end = spread.text() if spread else ""
            say(f"{path}: {pixels(*size)}, {shares_text(names, results[-1].counts)}{end}")
    _say_results(arguments, predictor, names, results, overlays)
    arguments.print_json(_document(arguments, named, names, results))
    return 0


def _say_results(
    arguments: SegmentArguments,
    predictor: Predictor,
    names: Sequence[str],
    results: Sequence[SegmentedImage],
    overlays: int,
) -> None:
    """Print the lines on all images together."""
    count = len(results)
    if count > FEW_IMAGES:
        say(f"mean: {shares_text(names, sum(result.counts / result.counts.sum() for result in results))}")
    say(f"wrote {count} mask{'' if count == 1 else 's'}{' and overlays' if overlays else ''} to {arguments.out}")
    if isinstance(predictor, SampledPredictor):
        say(spread_summary({result.path: result.spread for result in results if result.spread}))
        say(f"uncertainty: {predictor.sampling.words(predictor.samples)}")
    if arguments.overlay is None and overlays < count:
        say(f"no overlays of images above {OVERLAY_PIXELS >> 20} megapixels; --overlay writes them too")


def shares_text(names: Sequence[str], counts: Array) -> str:
    """Return the share of each class in per cent, given the number of its pixels."""
    return ", ".join(f"{name} {100 * n / counts.sum():.1f} %" for name, n in zip(names, counts, strict=True))


def _document(
    a: SegmentArguments, checkpoint: str, names: Sequence[str], results: Sequence[SegmentedImage]
) -> dict[str, Any]:
    """Return the results for --json."""
    return {
        "checkpoint": checkpoint,
        "out": a.out,
        "prediction": a.chosen(),
        "images": [
            {
                "image": str(path),
                "mask": str(_outputs(path, Path(a.out))[0]),
                "size": list(size),
                "pixels": dict(zip(names, counts.tolist(), strict=True)),
                **({"standard_deviation": spread._asdict()} if spread else {}),
            }
            for path, size, counts, spread in results
        ],
    }


def _palette(path: str, checkpoint: Checkpoint) -> Array:
    """Return the colours of a checkpoint's classes."""
    try:
        return palette_with(checkpoint.spec.data.get("colours"))
    except ValueError as error:
        raise UserError(f"{path}: {error}; train again") from error


def _write(path: Path, out: Path, image: ImageRows, predictor: Predictor, style: MaskStyle) -> Array:
    """Write an image's mask row by row; return the number of pixels of each class, (256,)."""
    counts = np.zeros(256, np.int64)

    def counted() -> Iterator[Array]:
        for rows in mask_rows(predictor, image, path.stem):
            counts[:] += np.bincount(rows.ravel(), minlength=256)
            yield rows

    write_mask_rows(_outputs(path, out)[0], counted(), (image.height, image.width), MASK, *style)
    return counts


def _write_both(path: Path, out: Path, image: ImageRows, predictor: Predictor, style: MaskStyle) -> Array:
    """Write an image's mask and overlay; return the number of pixels of each class, (256,)."""
    from scratchnet.visualization.overlays import overlay

    mask = np.concatenate(list(mask_rows(predictor, image, path.stem)))
    mask_file, overlay_file = _outputs(path, out)[:2]
    write_mask(mask_file, mask, MASK, *style)
    write_image(overlay_file, overlay(image.read(), mask, palette=style.palette), OVERLAY)
    return np.bincount(mask.ravel(), minlength=256)


def _write_sampled(
    path: Path, out: Path, image: ImageRows, predictor: SampledPredictor, style: MaskStyle, with_overlay: bool
) -> tuple[Array, Spread]:
    """Write the mask of the mean and its uncertainty; return the pixels of each class, (256,), and the spread."""
    from scratchnet.visualization.overlays import overlay

    colours = image.read()
    maps = predictor.maps(colours, path.stem)
    mask = to_mask(maps.mean)
    mask_file, overlay_file, uncertainty_file = _outputs(path, out)
    write_mask(mask_file, mask, MASK, *style)
    if with_overlay:
        write_image(overlay_file, overlay(colours, mask, palette=style.palette), OVERLAY)
    write_uncertainty(uncertainty_file, maps)
    return np.bincount(mask.ravel(), minlength=256), spread_of(maps)


def _outputs(path: Path, out: Path) -> tuple[Path, Path, Path]:
    """Return the paths of an image's mask, overlay and uncertainty, in the order of `KINDS`."""
    mask, overlay, uncertainty = (out / f"{path.stem}{end}.png" for end in ("", f"-{OVERLAY}", f"-{UNCERTAINTY}"))
    return mask, overlay, uncertainty


def _check_outputs(paths: Sequence[Path], out: Path, with_uncertainty: bool) -> None:
    """Refuse to write two results to one file, or a result over one of the images."""
    kinds = KINDS if with_uncertainty else KINDS[:2]
    images = {identity for path in paths if (identity := _identity(path))}
    taken: dict[str, Path] = {}
    for path in paths:
        for output, kind in zip(_outputs(path, out), kinds, strict=False):
            name = unicodedata.normalize("NFC", output.name).casefold()  # one file on a case-insensitive file system
            if name in taken:
                raise UserError(f"{path} and {taken[name]} would both be written as {output.name}; segment them apart")
            if _identity(output) in images:
                raise UserError(f"{output}: is one of the images and would be overwritten; choose another --out")
            check_replaceable(output, kind)
            taken[name] = path


def _identity(path: Path) -> tuple[int, int] | None:
    """Return a file's device and inode, None if it does not exist; a.PNG and a.png may be one file."""
    with suppress(OSError):
        found = path.stat()
        return found.st_dev, found.st_ino
    return None


def check_images(paths: Sequence[Path], predictor: Predictor, checkpoint: Checkpoint, statistics: str) -> None:
    """Check every image before anything is written, so that a bad one does not leave half of the results.

    ``statistics`` is the value of ``--bn-statistics``.
    """
    sizes = list[tuple[int, int]]()

    def check(path: Path) -> None:
        image = open_rows(path, checkpoint.spec.preprocessing.range)
        sizes.append((image.height, image.width))
        check_rows(predictor, image, len(checkpoint.spec.classes), path.stem)

    check_each(paths, check)
    warn_of_large_images(checkpoint, statistics, sizes)
