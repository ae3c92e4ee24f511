"""Report of a data set's check."""

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from scratchnet.data.frequencies import ClassCounts
from scratchnet.utils.wording import pixels


@dataclass
class CheckReport:
    """Result of `check_dataset`.

    Attributes
    ----------
    root : Path
    classes : tuple of str
        Names of the classes; empty if they are unknown.
    splits : dict of str to int
        Number of samples of every split; empty without splits.
    samples : int
        Number of complete pairs of image and mask.
    sizes : Counter of (height, width)
    counts : ClassCounts
        Pixels and images of every class.
    empty_masks : list of str
        Names of samples with background only.
    duplicates : list of tuple of str
        Groups of identical image files.
    problems : list of str
        One message for every problem that must be corrected.
    object_lines : list of str
        Summary of ``boxes.csv`` and of the instance masks.
    remarks : list of str
        Other notes: files that are not read, photos with an EXIF orientation.
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
        """Whether there are no problems."""
        return not self.problems

    def text(self) -> str:
        """Return the report as text."""
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
        """Return one line per kind of problem, and a second one that names up to three further files with it."""
        files: dict[str, list[str]] = {}
        for problem in self.problems:
            path, colon, words = problem.partition(": ")
            files.setdefault(words if colon else problem, []).append(path)
        lines = []
        for words, paths in files.items():
            lines.append(f"  {paths[0]}: {words}" if paths[0] != words else f"  {words}")
            if len(paths) > 1:
                names = ", ".join(path.removeprefix(f"{self.root}{os.sep}") for path in paths[1:4])
                lines.append(f"    the same of {len(paths) - 1} more: {names}{', …' if len(paths) > 4 else ''}")
        return lines

    def _size_lines(self) -> list[str]:
        """Return the sizes of the images as at most one line."""
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
        """Return a table of the classes: pixels, share, images and weight of each."""
        if not self.classes:
            return []
        counts = self.counts
        width = max(len("(ignored)"), *(len(name) for name in self.classes))
        share = counts.pixels / max(counts.pixels.sum(), 1)
        weights = counts.median_frequency_weights()
        lines = [f"{'':>3} {'class':<{width}} {'pixels':>13} {'share':>8} {'images':>7} {'weight':>8}"]
        lines += [
            f"{index:>3} {name:<{width}} {counts.pixels[index]:>13,} {share[index]:>8.2%} "
            f"{counts.images[index]:>7} {weights[index]:>8.4f}"
            for index, name in enumerate(self.classes)
        ]
        missing = [name for name, images in zip(self.classes, counts.images, strict=True) if not images]
        if missing:
            lines.append(f"in no mask: {', '.join(missing)}")
        if counts.ignored:
            lines.append(f"{'':>3} {'(ignored)':<{width}} {counts.ignored:>13,}")
        return lines
