"""``scratchnet data``: make, import or check a data set, compute class weights, or choose images to label."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from scratchnet.cli import data_import, data_suggest
from scratchnet.cli.datasets import open_split, recognized_masks, refuse_export
from scratchnet.cli.flags import Positional
from scratchnet.cli.output import OutputArguments
from scratchnet.cli.parsing import HELP, given_names, parse, say
from scratchnet.config import DataSettings, check_data_settings
from scratchnet.config.sizes import Side
from scratchnet.data import GeneratedKind, Layout, MaskFormat, available_splits, check_dataset, write_generated
from scratchnet.data.frequencies import count_classes
from scratchnet.utils.errors import UserError
from scratchnet.utils.progress import progress
from scratchnet.utils.spelling import closest_name


@dataclass(frozen=True)
class MakeArguments:
    """Draw a data set: squares on a plain background, blood cells, or textured shapes of very different sizes."""

    kind: Annotated[GeneratedKind, Positional("KIND")]
    """squares: one square per image; cells: a blood smear; shapes: several objects of five kinds, scales 1:10."""
    directory: Annotated[str, Positional("DIR")]
    """New or empty folder."""
    count: int = 200
    """Number of images."""
    seed: int = 0
    """The same seed gives the same images."""
    size: Side | None = None
    """Height and width of the images in pixels. Default: 512 for squares, 128 for cells, 160 for shapes."""
    task: Literal["stained", "red"] = "stained"
    """cells: the foreground, either the stained nucleated cells or the red cells."""
    magnification: float = 1.0
    """cells: factor on their usual size."""
    objects: bool = False
    """cells: also write objects/, the number of the cell at every pixel, for counting."""
    plain: bool = False
    """shapes: one colour per object and one for the background, no textures; far easier to learn."""
    val_fraction: float = 0.2
    """Fraction of the images that is listed in splits/val.txt."""


@dataclass(frozen=True)
class FolderArguments:
    """Location of a data set, and the format of its masks."""

    directory: Annotated[str, Positional("DIR")]
    """Folder of the data set."""
    layout: Layout = "folder"
    """folder: images/ and masks/; camvid: NAME/ and NAMEannot/; voc: JPEGImages/ and SegmentationClass/."""
    split: str | None = None
    """Read this split only."""
    classes: int | tuple[str, ...] | None = None
    """Number of classes, or their names, for folders without classes.txt."""
    mask_format: MaskFormat = "index"
    """Format of the masks; `scratchnet train --help` explains the formats."""
    mask_threshold: int | None = None
    """Values of grey masks above this are class 1."""
    mask_values: tuple[str, ...] | None = None
    """Class of each mask value, for example 0=0 128=1 255=ignore; see `scratchnet train --help`."""
    ignore_index: int = 255
    """Mask value of ignored pixels."""
    range: tuple[float, float] | None = None
    """Values of images with more than 8 bits that become black and white; see `scratchnet train --help`."""

    def settings(self) -> DataSettings:
        """Return the arguments as data settings, checked."""
        settings = DataSettings(
            data=self.directory,
            layout=self.layout,
            classes=self.classes,
            mask_format=self.mask_format,
            mask_threshold=self.mask_threshold,
            mask_values=self.mask_values,
            ignore_index=self.ignore_index,
            range=self.range,
        )
        check_data_settings(settings)
        return settings


@dataclass(frozen=True)
class CheckArguments(FolderArguments, OutputArguments):
    """Read all images and masks of a data set, and report its contents and its errors."""

    verbose: bool = False
    """Name every file. Default: for each kind of problem the first file, three others and their number."""


@dataclass(frozen=True)
class WeightsArguments(FolderArguments, OutputArguments):
    """Count the pixels of each class and print median-frequency class weights for the loss."""


USAGE = """usage: scratchnet data make squares|cells|shapes DIR --count N --seed S
       scratchnet data check DIR
       scratchnet data weights DIR
       scratchnet data import SOURCE --out DIR
       scratchnet data suggest CHECKPOINT IMAGE…

See `scratchnet data make --help` and so on."""


def main(words: Sequence[str]) -> int:
    """Run the command."""
    if not words or words[0] in HELP:
        say(USAGE)
        return 0
    actions = {
        "make": _make,
        "check": _check,
        "weights": _weights,
        "import": data_import.run,
        "suggest": data_suggest.run,
    }
    if words[0] not in actions:
        guess = closest_name(words[0], actions)
        raise UserError(f"'data {words[0]}' is no command{guess}; choose one of: {', '.join(actions)}")
    return actions[words[0]](words[1:])


def _make(words: Sequence[str]) -> int:
    a = parse(MakeArguments, words, "data make", "scratchnet data make cells cells --count 200 --seed 1")
    if not 0 <= a.seed < 1 << 63:
        raise UserError(f"--seed {a.seed}: expected 0 to 2⁶³ − 1")
    for flag, value, good, expected in (
        ("count", a.count, 2 <= a.count <= 1_000_000, "2 to 1000000"),
        ("size", a.size, a.size is None or 16 <= a.size <= 10_000, "16 to 10000"),
        ("val-fraction", a.val_fraction, 0 < a.val_fraction < 1, "a number between 0 and 1, for example 0.2"),
        ("magnification", a.magnification, 0.25 <= a.magnification <= 4, "a number from 0.25 to 4"),
    ):
        if not good:
            raise UserError(f"--{flag} {value}: expected {expected}")
    pictures = a.kind, a.directory, a.count, a.seed, a.size, a.task, a.val_fraction, a.magnification, a.plain
    write_generated(*pictures, objects=a.objects)
    say(f"wrote {a.count} images and masks to {a.directory}")
    return 0


def _check(words: Sequence[str]) -> int:
    arguments = parse(CheckArguments, words, "data check", "scratchnet data check cells --mask-threshold 127")
    settings = arguments.settings()
    refuse_export(settings)
    available_splits(settings.data, settings.layout)  # a missing folder is a mistyped name, not a faulty set
    reading = recognized_masks(settings, given_names(CheckArguments, words, "data check"), arguments.split)
    settings = reading.data
    with arguments.output():
        report = check_dataset(
            settings.data,
            layout=settings.layout,
            split=arguments.split,
            classes=settings.classes,
            progress=lambda numbers: progress(numbers, "checking"),
            value_range=settings.range,
            **settings.masks,
        )
        report.remarks[:0] = reading.remarks
        say(report.text(arguments.verbose))
    if arguments.quiet and not report.ok:
        print("\n".join(report.problem_lines(arguments.verbose)), file=sys.stderr, flush=True)
    arguments.print_json(report.to_dict())
    return 0 if report.ok else 1


def _weights(words: Sequence[str]) -> int:
    arguments = parse(WeightsArguments, words, "data weights", "scratchnet data weights cells --mask-threshold 127")
    with arguments.output():
        reading = recognized_masks(arguments.settings(), given_names(WeightsArguments, words, "data weights"), None)
        for remark in reading.remarks:
            say(remark)
        return _count(arguments, reading.data)


def _count(arguments: WeightsArguments, settings: DataSettings) -> int:
    split = arguments.split
    if split is None and "train" in available_splits(settings.data, settings.layout):
        split = "train"
    dataset = open_split(settings, split)
    counts = count_classes(dataset)
    rows = list(zip(dataset.classes, counts.frequencies(), counts.median_frequency_weights(), strict=True))
    width = max(len(name) for name in dataset.classes)
    say(f"{len(dataset)} masks" + (f" of split {split}" if split else ""))
    say(f"{'class':<{width}}  frequency  weight")
    for name, frequency, weight in rows:
        say(f"{name:<{width}}  {frequency:9.4f}  {weight:.4f}")
    say(f"\n--class-weights {' '.join(f'{weight:.4f}' for _, _, weight in rows)}")
    classes = [{"name": name, "frequency": float(share), "weight": float(weight)} for name, share, weight in rows]
    arguments.print_json({"masks": len(dataset), "split": split, "classes": classes})
    return 0
