"""Report of a data set's check."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scratchnet.data.checks.grouping import NAMED, summary_lines
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

    def text(self, verbose: bool = False) -> str:
        """Return the report as text; ``verbose`` names every file, else those with the same problem are grouped."""
        limit = None if verbose else NAMED
        lines = [f"{self.root}: {self.samples} images with masks"]
        lines += [f"split {name}: {count}" for name, count in self.splits.items()]
        lines += self._size_lines()
        lines += self._class_lines() + self.object_lines
        if self.empty_masks:
            names = self.empty_masks[:limit]
            more = ", …" if len(names) < len(self.empty_masks) else ""
            lines.append(f"masks with background only: {len(self.empty_masks)} ({', '.join(names)}{more})")
        shown = self.duplicates[:limit]
        lines += [f"same image: {', '.join(group)}" for group in shown]
        if len(shown) < len(self.duplicates):
            lines.append(f"same image: {len(self.duplicates) - len(shown)} more groups (--verbose lists them)")
        lines += self.remarks
        lines.append(f"problems: {len(self.problems) or 'none'}")
        return "\n".join([*lines, *self.problem_lines(verbose)])

    def problem_lines(self, verbose: bool = False) -> list[str]:
        """Return the problems as lines of text, all of them or those with the same problem as a group."""
        if verbose:
            return [f"  {problem}" for problem in self.problems]
        return summary_lines(self.problems, str(self.root))

    def to_dict(self) -> dict[str, Any]:
        """Return everything in the report, ready for JSON."""
        weights = self.counts.median_frequency_weights().tolist()
        return {
            "data": str(self.root),
            "ok": self.ok,
            "images": self.samples,
            "splits": self.splits,
            "sizes": [[h, w, count] for (h, w), count in self.sizes.most_common()],
            "classes": [
                {"name": name, "pixels": int(pixels), "images": int(images), "weight": weight}
                for name, pixels, images, weight in zip(
                    self.classes, self.counts.pixels, self.counts.images, weights, strict=False
                )
            ],
            "ignored_pixels": self.counts.ignored,
            "empty_masks": self.empty_masks,
            "same_images": [list(group) for group in self.duplicates],
            "objects": self.object_lines,
            "remarks": self.remarks,
            "problems": self.problems,
        }

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
