"""Looking a data set through before training on it: every problem at once, not one a run."""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from scratchnet.data.checks.objects import ObjectFindings
from scratchnet.data.folders import Dataset, read_classes
from scratchnet.data.frequencies import ClassCounts
from scratchnet.data.image_files import inspect_image
from scratchnet.data.images import ValueRange
from scratchnet.data.layouts import (
    Layout,
    Sample,
    available_splits,
    describe_unreadable,
    find_samples,
    unreadable_files,
)
from scratchnet.data.masks import MaskFormat
from scratchnet.utils.errors import UserError
from scratchnet.utils.wording import pixels


@dataclass
class CheckReport:
    """What `check_dataset` found.

    Attributes
    ----------
    root : Path
    classes : tuple of str
        Their names; empty where they are unknown.
    splits : dict of str to int
        Samples listed in every split; empty where there are none.
    samples : int
        Complete pairs of image and mask.
    sizes : Counter of (height, width)
    counts : ClassCounts
        Pixels and images of every class.
    empty_masks : list of str
        Names of samples with nothing but background.
    duplicates : list of tuple of str
        Groups of files with the same image bytes.
    problems : list of str
        One line for each thing that has to be put right.
    object_lines : list of str
        What there is in ``boxes.csv`` and in files of numbered objects.
    remarks : list of str
        What need not be wrong but should be known: files that are left out, photos that their camera turned.
    """

    root: Path
    classes: tuple[str, ...] = ()
    splits: dict[str, int] = field(default_factory=dict)
    samples: int = 0
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    counts: ClassCounts = field(default_factory=lambda: ClassCounts(0))
    empty_masks: list[str] = field(default_factory=list)
    duplicates: list[tuple[str, ...]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    object_lines: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing has to be put right."""
        return not self.problems

    def text(self) -> str:
        """Return the findings as lines to read."""
        lines = [f"{self.root}: {self.samples} images with masks"]
        lines += [f"split {name}: {count}" for name, count in self.splits.items()]
        lines += self._size_lines()
        lines += self._class_lines() + self.object_lines
        if self.empty_masks:
            names = ", ".join(self.empty_masks[:3]) + (", …" if len(self.empty_masks) > 3 else "")
            lines.append(f"masks with background only: {len(self.empty_masks)} ({names})")
        lines += [f"same image: {', '.join(group)}" for group in self.duplicates]
        lines += self.remarks
        lines.append(f"problems: {len(self.problems) or 'none'}")
        return "\n".join([*lines, *self._problem_lines()])

    def _problem_lines(self) -> list[str]:
        """Return one line per problem; files with the same problem share one, and the next three are named."""
        alike: dict[str, list[str]] = {}
        for problem in self.problems:
            path, colon, words = problem.partition(": ")
            alike.setdefault(words if colon else problem, []).append(path)
        lines = []
        for words, paths in alike.items():
            lines.append(f"  {paths[0]}: {words}" if paths[0] != words else f"  {words}")
            if len(paths) > 1:
                names = ", ".join(path.removeprefix(f"{self.root}{os.sep}") for path in paths[1:4])
                lines.append(f"    the same of {len(paths) - 1} more: {names}{', …' if len(paths) > 4 else ''}")
        return lines

    def _size_lines(self) -> list[str]:
        if not self.sizes:
            return []
        if len(self.sizes) == 1:
            ((height, width),) = self.sizes
            return [f"size: all {pixels(height, width)}"]
        heights, widths = [height for height, _ in self.sizes], [width for _, width in self.sizes]
        span = f"{min(heights)}×{min(widths)} to {max(heights)}×{max(widths)}"
        common = ", ".join(f"{height}×{width} ({count})" for (height, width), count in self.sizes.most_common(4))
        return [f"sizes: {len(self.sizes)} different (height × width), {span}; most often {common}"]

    def _class_lines(self) -> list[str]:
        if not self.classes:
            return []
        counts = self.counts
        column = max(len("(ignored)"), *(len(name) for name in self.classes))
        share = counts.pixels / max(counts.pixels.sum(), 1)
        weights = counts.median_frequency_weights()
        lines = [f"{'':>3} {'class':<{column}} {'pixels':>13} {'share':>8} {'images':>7} {'weight':>8}"]
        lines += [
            f"{index:>3} {name:<{column}} {counts.pixels[index]:>13,} {share[index]:>8.2%} "
            f"{counts.images[index]:>7} {weights[index]:>8.4f}"
            for index, name in enumerate(self.classes)
        ]
        missing = [name for name, images in zip(self.classes, counts.images, strict=True) if not images]
        if missing:
            lines.append(f"in no mask: {', '.join(missing)}")
        if counts.ignored:
            lines.append(f"{'':>3} {'(ignored)':<{column}} {counts.ignored:>13,}")
        return lines


def check_dataset(
    root: Path | str,
    *,
    layout: Layout = "folder",
    split: str | None = None,
    mask_format: MaskFormat = "index",
    mask_threshold: int = 127,
    ignore_index: int | None = 255,
    classes: int | Sequence[str] | None = None,
    value_range: ValueRange | None = None,
    progress: Callable[[Sequence[int]], Iterable[int]] = iter,
) -> CheckReport:
    """Read every file of a set and report what is there and what is wrong.

    Parameters
    ----------
    root, layout, split, mask_format, mask_threshold, ignore_index, classes, value_range
        As in `open_dataset`; ``split=None`` looks at the whole folder and at every split.
    progress : callable
        Wraps the sequence of sample numbers, to show a progress bar.

    Returns
    -------
    CheckReport
        Always: what would stop `open_dataset` is a line in ``problems`` here.
    """
    report = CheckReport(Path(root))
    try:
        report.classes = read_classes(report.root, mask_format, classes, layout)
    except UserError as error:
        report.problems.append(str(error))
    members = _find_members(report, layout, split)
    samples = tuple({sample.image: sample for _, sample in members}.values())
    # While the classes are unknown any value may be one, and the rest can still be looked through.
    names = report.classes or tuple(f"class {index}" for index in range(256))
    dataset = Dataset(samples, names, mask_format, mask_threshold, ignore_index, value_range)
    report.samples = len(samples)
    report.counts = ClassCounts(len(names), ignore_index)
    objects = ObjectFindings(report.root, names, dataset.names)
    for index in progress(range(len(samples))):
        _look_at(report, dataset, index, objects)
    if split is None:
        objects.compare_names(dataset.names)
    report.problems += objects.problems
    if split is None and samples and not report.problems and (reason := report.counts.why_untrainable(names)):
        report.problems.append(f"{report.root}: {reason}")
    report.object_lines = objects.lines()
    _find_duplicates(report, members)
    report.remarks = [*_left_out_lines(samples), *_turned_lines(samples)]
    return report


def _left_out_lines(samples: Sequence[Sample]) -> list[str]:
    """Name the files beside the images and masks that are not read."""
    folders = sorted({path.parent for sample in samples for path in (sample.image, sample.mask)})
    return [
        f"{folder}: leaving out {describe_unreadable(rest)}" for folder in folders if (rest := unreadable_files(folder))
    ]


def _turned_lines(samples: Sequence[Sample]) -> list[str]:
    """Name photos that stand upright only by their camera's note, where the mask has no such note."""
    names = []
    for sample in samples:
        if sample.image.suffix.lower() in _WITHOUT_NOTES:
            continue
        with suppress(UserError):
            turns = inspect_image(sample.image).orientation, inspect_image(sample.mask).orientation
            if turns[0] != turns[1]:
                names.append(sample.name)
    if not names:
        return []
    shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
    return [f"turned by the camera's note (EXIF): {len(names)} ({shown}); their masks must fit the upright photo"]


_WITHOUT_NOTES = {".png", ".bmp", ".gif", ".ppm", ".pgm", ".pbm"}
"""Endings of files in which cameras write no notes."""


def _find_members(report: CheckReport, layout: Layout, split: str | None) -> list[tuple[str, Sample]]:
    """Return all samples with the names of their splits; a sample in two splits comes twice."""
    members: list[tuple[str, Sample]] = []
    try:
        splits = available_splits(report.root, layout) if split is None else [split]
    except UserError as error:
        report.problems.append(str(error))
        return []
    whole = [] if splits and layout == "camvid" else [None]
    for name in [*splits, *(whole if split is None else [])]:
        try:
            samples, problems = find_samples(report.root, layout, name)
        except UserError as error:
            samples, problems = [], [str(error)]
        report.problems += [problem for problem in problems if problem not in report.problems]
        if name is not None:
            report.splits[name] = len(samples)
        # Pascal VOC's third list is the other two together: no image is in two parts because of it.
        part = "" if name is None or (layout == "voc" and name == "trainval") else name
        members += [(part, sample) for sample in samples]
    return members


def _look_at(report: CheckReport, dataset: Dataset, index: int, objects: ObjectFindings) -> None:
    """Add one sample to the report."""
    try:
        image, mask = dataset.load(index)
    except UserError as error:
        report.problems.append(str(error))
        return
    report.sizes[(image.shape[0], image.shape[1])] += 1
    report.counts.add(mask)
    objects.compare(dataset, index, mask)
    if not mask.any():
        report.empty_masks.append(dataset.names[index])


def _find_duplicates(report: CheckReport, members: list[tuple[str, Sample]]) -> None:
    """Compare the bytes of all image files: what is in training and validation makes the result too good."""
    digests: dict[bytes, set[Path]] = {}
    splits: dict[Path, set[str]] = {}
    for split, sample in members:
        if sample.image not in splits:
            try:
                content = sample.image.read_bytes()
            except OSError:  # is already in the report, from reading it as an image
                continue
            digests.setdefault(hashlib.sha256(content).digest(), set()).add(sample.image)
        splits.setdefault(sample.image, set()).update({split} - {""})
    for paths in digests.values():
        names = tuple(sorted(str(path.relative_to(report.root)) for path in paths))
        if len(names) > 1:
            report.duplicates.append(names)
        shared = sorted(set().union(*(splits[path] for path in paths)))
        if len(shared) > 1:
            report.problems.append(f"{', '.join(names)}: the same image is in the splits {', '.join(shared)}; keep one")
