"""Check of a data set before training, which reports all problems at once."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from scratchnet.data.checks.objects import ObjectFindings
from scratchnet.data.checks.report import CheckReport
from scratchnet.data.folders import Dataset, read_classes
from scratchnet.data.frequencies import ClassCounts
from scratchnet.data.image_files import inspect_image
from scratchnet.data.image_folders import describe_unreadable, unreadable_files
from scratchnet.data.images import ValueRange
from scratchnet.data.layouts import Layout, Sample, available_splits, find_samples
from scratchnet.data.mask_values import MaskValues, listed_values, proposed_values
from scratchnet.data.masks import MaskFormat
from scratchnet.utils.errors import UserError

ANY_CLASSES = tuple(f"class {index}" for index in range(256))
"""Classes of a data set that does not name them: any value may be a class, and the rest can still be checked."""


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
    mask_values: MaskValues | None = None,
    progress: Callable[[Sequence[int]], Iterable[int]] = iter,
) -> CheckReport:
    """Read every file of a data set and report its contents and problems.

    Parameters
    ----------
    root, layout, split, mask_format, mask_threshold, ignore_index, classes, value_range, mask_values
        As in `open_dataset`; ``split=None`` checks the whole folder and every split.
    progress : callable
        Wraps the sequence of sample indices, to show a progress bar.

    Returns
    -------
    CheckReport
        The errors of `open_dataset` are among its ``problems``.
    """
    report = CheckReport(Path(root))
    try:
        report.classes = read_classes(report.root, mask_format, classes, layout, mask_values)
    except UserError as error:
        report.problems.append(str(error))
    members = _find_members(report, layout, split)
    samples = tuple({sample.image: sample for _, sample in members}.values())
    names = report.classes or ANY_CLASSES
    dataset = Dataset(samples, names, mask_format, mask_threshold, ignore_index, value_range, None, mask_values)
    _check_samples(report, dataset, split is None, progress)
    _find_duplicates(report, members)
    report.remarks = [*_unreadable_lines(samples), *_orientation_lines(samples)]
    return report


def _check_samples(
    report: CheckReport, dataset: Dataset, whole: bool, progress: Callable[[Sequence[int]], Iterable[int]]
) -> None:
    """Add all samples and their object annotations to the report; ``whole`` if they are the whole data set."""
    report.samples = len(dataset)
    report.counts = ClassCounts(len(dataset.classes), dataset.ignore_index)
    objects = ObjectFindings(report.root, dataset.classes, dataset.names)
    for index in progress(range(len(dataset))):
        _check_sample(report, dataset, index, objects)
    if whole:
        objects.compare_names(dataset.names)
    report.problems += objects.problems
    if whole and len(dataset) and not report.problems and (reason := report.counts.why_untrainable(dataset.classes)):
        report.problems.append(f"{report.root}: {reason}")
    report.object_lines = objects.lines()
    if not report.classes:
        _propose_values(report, dataset.ignore_index)


def _propose_values(report: CheckReport, ignore_index: int | None) -> None:
    """Put a map of the values first if the classes are unknown and the values are not 0, 1, 2, …."""
    found = report.counts.pixels > 0
    if ignore_index is not None:
        found[ignore_index] |= report.counts.ignored > 0
    values = found.nonzero()[0].tolist()
    if (proposed := proposed_values(values)) and values[-1] > 4 * len(values):
        report.problems.insert(
            0, f"{report.root}: the masks hold the values {listed_values(values)}; use {proposed} if each is a class"
        )


def _unreadable_lines(samples: Sequence[Sample]) -> list[str]:
    """Return a line for every folder of images or masks that contains other files."""
    folders = sorted({path.parent for sample in samples for path in (sample.image, sample.mask)})
    return [
        f"{folder}: leaving out {describe_unreadable(rest)}" for folder in folders if (rest := unreadable_files(folder))
    ]


def _orientation_lines(samples: Sequence[Sample]) -> list[str]:
    """Return a line of the photos whose EXIF orientation differs from that of their mask."""
    names = []
    for sample in samples:
        if sample.image.suffix.lower() in _WITHOUT_ORIENTATION:
            continue
        with suppress(UserError):
            if inspect_image(sample.image).orientation != inspect_image(sample.mask).orientation:
                names.append(sample.name)
    if not names:
        return []
    shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
    return [f"rotated by an EXIF orientation: {len(names)} ({shown}); their masks must fit the upright photo"]


_WITHOUT_ORIENTATION = {".png", ".bmp", ".gif", ".ppm", ".pgm", ".pbm"}
"""Suffixes of files in which cameras write no orientation."""


def _find_members(report: CheckReport, layout: Layout, split: str | None) -> list[tuple[str, Sample]]:
    """Return the pairs of split name and sample; a sample in two splits occurs twice."""
    members: list[tuple[str, Sample]] = []
    try:
        splits = available_splits(report.root, layout) if split is None else [split]
    except UserError as error:
        report.problems.append(str(error))
        return []
    whole = [None] if split is None and not (splits and layout == "camvid") else []
    for name in [*splits, *whole]:
        try:
            samples, problems = find_samples(report.root, layout, name)
        except UserError as error:
            samples, problems = [], [str(error)]
        report.problems += [problem for problem in problems if problem not in report.problems]
        if name is not None:
            report.splits[name] = len(samples)
        # Pascal VOC's third list is the union of the other two, so it does not count for duplicates.
        part = "" if name is None or (layout == "voc" and name == "trainval") else name
        members += [(part, sample) for sample in samples]
    return members


def _check_sample(report: CheckReport, dataset: Dataset, index: int, objects: ObjectFindings) -> None:
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
    """Report identical image files; images in both training and validation set falsify the result."""
    digests: dict[bytes, set[Path]] = {}
    splits: dict[Path, set[str]] = {}
    for split, sample in members:
        if sample.image not in splits:
            try:
                content = sample.image.read_bytes()
            except OSError:  # already reported when it was read as an image
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
