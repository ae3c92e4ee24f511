"""``scratchnet measure``: count and measure the objects in masks, or in images that a network segments."""

import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from scratchnet.arrays import Array
from scratchnet.cli.batch_statistics import warn_of_large_images
from scratchnet.cli.checkpoints import NetworkArguments, say_origin
from scratchnet.cli.flags import Positional, flag_name
from scratchnet.cli.image_arguments import find_images
from scratchnet.cli.measure_outputs import LABELS, OUTLINES, SUMMARY_FILE, Drawer, summary_text
from scratchnet.cli.measure_sources import MaskFiles, MaskReading, MaskSource, SegmentedImages, images_without_mask
from scratchnet.cli.output import OutputArguments
from scratchnet.cli.parsing import parse, say
from scratchnet.cli.prediction_arguments import PredictionArguments
from scratchnet.cli.separation_arguments import SeparationArguments
from scratchnet.cli.uncertainty import UNCERTAINTY
from scratchnet.config import DataSettings, check_data_settings
from scratchnet.data import MaskFormat
from scratchnet.measurement import measure_objects, separate_objects
from scratchnet.measurement.properties import columns
from scratchnet.measurement.requirements import check_scikit_image
from scratchnet.measurement.tables import SUMMARY, TABLE, Summary, csv_bytes, table_rows
from scratchnet.networks import is_in_the_box
from scratchnet.training.checkpoints import load_checkpoint
from scratchnet.utils.errors import UserError
from scratchnet.utils.files import atomic_write, check_writable
from scratchnet.utils.progress import progress
from scratchnet.utils.signatures import OVERLAY, check_replaceable, is_overwriting


@dataclass(frozen=True)
class MeasureArguments(PredictionArguments, NetworkArguments, SeparationArguments, OutputArguments):
    """Count and measure the objects in masks, or in images that a trained network segments.

    Objects are the connected regions of each class except class 0, the background; touching objects of one class are
    split at their necks. Needs scikit-image.
    """

    sources: Annotated[tuple[str, ...], Positional("[CHECKPOINT] FILE…")]
    """Mask files or folders of masks; after a checkpoint (.npz) or the name of a network in the box, or with --model,
    images or folders of images."""
    out: str
    """Table to write, a .csv file with a row for each object, or a folder for objects.csv. summary.csv (a row for each
    image and class) and the pictures go to the folder, or to one of the .csv file's name."""
    images: str | None = None
    """Folder with the images of the masks, by the same names: adds mean colours, and a background for the pictures."""
    pixel_size: float | None = None
    """Side of a pixel in µm: adds columns in µm and µm²."""
    split_objects: bool = True
    """Split touching objects of one class where they are narrow."""
    pictures: bool = True
    """Write NAME-objects.png, outlines and numbers of the objects, and NAME-labels.png, 16-bit object numbers."""
    verbose: bool = False
    """Print a line for each image."""
    classes: int | tuple[str, ...] | None = None
    """Number of classes, or their names. Default: those in masks of `scratchnet segment`, else classes.txt beside the
    masks or one folder above, else any value is a class."""
    mask_format: MaskFormat | None = None
    """Format of the masks, see `scratchnet train --help`. Default: index."""
    mask_threshold: int | None = None
    """Values of grey masks above this are class 1."""
    mask_values: tuple[str, ...] | None = None
    """Class of each mask value, for example 0=0 128=1 255=ignore; see `scratchnet train --help`."""
    ignore_index: int | None = None
    """Mask value of ignored pixels. Default: 255."""
    range: tuple[float, float] | None = None
    """Values of --images with more than 8 bits that become black and white, see `scratchnet train --help`."""


def main(words: Sequence[str]) -> int:
    """Run the command."""
    arguments = parse(MeasureArguments, words, "measure", "scratchnet measure masks --images images --out cells.csv")
    _check(arguments)
    with arguments.output(), arguments.computing():
        return _measure(arguments, _open(arguments))


def _measure(a: MeasureArguments, source: MaskSource) -> int:
    table, folder = _targets(a)
    drawer = Drawer(folder, source.palette) if a.pictures else None
    _check_outputs(a, source, table, folder)
    unnamed = len(source.classes) == 256
    summary = Summary(source.classes, None if unnamed else range(1, len(source.classes)), a.pixel_size)
    rules, small, excluded = a.separation(a.split_objects), list[int](), list[int]()
    with atomic_write(table, TABLE) as file:
        file.write(csv_bytes([["image", *columns(a.pixel_size, source.coloured)]]))
        for index in progress(range(len(source.paths)), "measuring"):
            path = source.paths[index]
            mask, image = source.load(index)
            with _naming(path):
                objects, few, cut = separate_objects(mask, rules, source.ignore_index)
                measured = measure_objects(objects, source.classes, image, a.pixel_size)
                if drawer is not None:
                    drawer.draw(path.stem, objects, image)
            file.write(csv_bytes(table_rows(path.name, measured)))
            summary.add(path.name, objects, _counted(mask, source.ignore_index))
            small.append(few)
            excluded.append(cut)
            if a.verbose:
                say(f"{path}: {len(objects.labels)} objects")
    with atomic_write(folder / SUMMARY_FILE, SUMMARY) as file:
        file.write(csv_bytes([summary.columns(), *summary.rows()]))
    say(summary_text(summary, sum(small), sum(excluded), rules))
    drawn = f", and two pictures for each image in {folder}" if drawer else ""
    say(f"\nwrote {table}, {folder / 'summary.csv'}{drawn}")
    a.print_json(_document(a, summary, small, excluded))
    return 0


def _open(a: MeasureArguments) -> MaskSource:
    """Return the masks to measure."""
    if _has_checkpoint(a):
        named, words = a.checkpoint_and_rest(a.sources)
        checkpoint = load_checkpoint(named)
        images = SegmentedImages(find_images(words), checkpoint, a.predictor(checkpoint))
        warn_of_large_images(checkpoint, a.bn_statistics, images.sizes)
        say_origin(named, a.ensemble)
        return images
    paths = find_images(a.sources, "mask", (OVERLAY, UNCERTAINTY, OUTLINES, LABELS))
    settings = DataSettings(
        data="masks",
        classes=a.classes,
        mask_format=a.mask_format or "index",
        mask_threshold=a.mask_threshold,
        mask_values=a.mask_values,
        ignore_index=255 if a.ignore_index is None else a.ignore_index,
        range=a.range,
    )
    check_data_settings(settings)
    reading = MaskReading(**settings.masks)
    source = MaskFiles(paths, reading, a.classes, None if a.images is None else Path(a.images), a.range)
    if a.images is not None and (alone := images_without_mask(source, Path(a.images))):
        shown = ", ".join(alone[:3]) + (", …" if len(alone) > 3 else "")
        say(f"{a.images}: {len(alone)} without a mask, not measured: {shown}")
    return source


def _has_checkpoint(a: MeasureArguments) -> bool:
    first = a.sources[0]
    if a.model is None and is_in_the_box(first) and Path(first).exists():
        raise UserError(f"{first}: is a network in the box and exists here; write ./{first}, or --model {first}")
    return a.model is not None or is_in_the_box(first) or Path(first).suffix.lower() == ".npz"


def _check(a: MeasureArguments) -> None:
    """Check the arguments before any file is read."""
    a.check_separation(a.split_objects, "with --no-split-objects")
    if a.pixel_size is not None and not 1e-6 <= a.pixel_size <= 1e6:
        raise UserError(f"--pixel-size {a.pixel_size:g}: expected the side of a pixel in µm, 1e-6 to 1e6")
    if _has_checkpoint(a):
        for name in ("images", "classes", "mask_format", "mask_threshold", "mask_values", "ignore_index", "range"):
            if getattr(a, name) is not None:
                raise UserError(
                    f"--{name.replace('_', '-')}: is for masks; a checkpoint states how its images are read"
                )
    else:
        chosen = [*a.chosen(), *(["bn_statistics"] if a.bn_statistics != "running" else [])]
        if chosen:
            raise UserError(
                f"{flag_name(chosen[0])}: has no effect on masks; to segment images, name a checkpoint first"
            )
        if a.range is not None and a.images is None:
            raise UserError("--range: has no effect without --images")
    check_scikit_image()


def _targets(a: MeasureArguments) -> tuple[Path, Path]:
    """Return the table's path and the folder of the other files."""
    out = Path(a.out)
    return (out, out.with_suffix("")) if out.suffix.lower() == ".csv" else (out / "objects.csv", out)


def _check_outputs(a: MeasureArguments, source: MaskSource, table: Path, folder: Path) -> None:
    """Refuse two results in one file, and results over files that are not scratchnet's, before any work is done."""
    if folder.resolve() in {path.resolve().parent for path in source.paths}:
        raise UserError(f"{folder}: holds the masks or images, and would also get the results; choose another --out")
    if folder != Path(a.out) and not is_overwriting() and (other := Drawer.other_file(folder)) is not None:
        raise UserError(
            f"--out {a.out}: its pictures and summary.csv would go to the folder {folder}, which holds other files "
            f"({other}); choose another name"
        )
    taken: dict[str, Path] = {}
    for path in source.paths:
        name = unicodedata.normalize("NFC", path.stem).casefold()  # one file on a case-insensitive file system
        if name in taken:
            raise UserError(f"{path} and {taken[name]} have the same name; measure them apart")
        taken[name] = path
        if a.pictures:
            for file, kind in Drawer.files(folder, path.stem).items():
                check_replaceable(file, kind)
    check_writable(table, TABLE)
    check_writable(folder / SUMMARY_FILE, SUMMARY)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Add the file's name to errors."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def _counted(mask: Array, ignore_index: int | None) -> int:
    """Return the number of pixels that are not ignored."""
    return int(mask.size if ignore_index is None else (mask != ignore_index).sum())


def _document(a: MeasureArguments, summary: Summary, small: Sequence[int], excluded: Sequence[int]) -> dict[str, Any]:
    """Return the results for --json."""
    table, folder = _targets(a)
    names = summary.columns()
    return {
        "table": str(table),
        "summary": str(folder / SUMMARY_FILE),
        "pictures": str(folder) if a.pictures else None,
        "separation": a.separation(a.split_objects)._asdict(),
        "pixel_size_um": a.pixel_size,
        "classes": summary.totals(),
        "images": [
            {"image": name, "objects": summary.count(i), "small": small[i], "excluded": excluded[i]}
            for i, name in enumerate(summary.images)
        ],
        "by_image_and_class": [dict(zip(names, row, strict=True)) for row in summary.rows()],
    }
