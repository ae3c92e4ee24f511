"""Pictures and the printed summary of ``scratchnet measure``."""

from pathlib import Path

import numpy as np
from PIL import Image

from scratchnet.arrays import Array
from scratchnet.data import Objects
from scratchnet.data.images import png_text
from scratchnet.measurement import Separation
from scratchnet.measurement.tables import Summary
from scratchnet.utils.errors import UserError
from scratchnet.utils.files import atomic_write

OUTLINES, LABELS = "picture of objects", "object numbers"
"""Kinds of the files."""

SUMMARY_FILE = "summary.csv"

MAX_NUMBER = 65535
"""Largest object number in a 16-bit image."""


class Drawer:
    """Writes the pictures of the objects of one image after the other.

    Parameters
    ----------
    folder : Path
    palette : (256, 3) uint8
        Colours of the classes.
    """

    def __init__(self, folder: Path, palette: Array) -> None:
        self.folder, self.palette = folder, palette

    @staticmethod
    def files(folder: Path, name: str) -> dict[Path, str]:
        """Return the paths of an image's pictures, each with the kind of the file."""
        return {folder / f"{name}-objects.png": OUTLINES, folder / f"{name}-labels.png": LABELS}

    @staticmethod
    def other_file(folder: Path) -> str | None:
        """Return the name of an entry of a folder that is neither such a picture nor the summary; None without one."""
        names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        own = ("-objects.png", "-labels.png")
        return next((name for name in names if not (name.endswith(own) or name == SUMMARY_FILE)), None)

    def draw(self, name: str, objects: Objects, image: Array | None) -> None:
        """Write the outlines over the image, or over the classes if there is none, and the object numbers.

        Raises
        ------
        UserError
            If there are more objects than a 16-bit image can number, or a file cannot be written.
        """
        from scratchnet.visualization.objects import draw_objects

        if len(objects.labels) > MAX_NUMBER:
            raise UserError(
                f"{len(objects.labels)} objects, but a 16-bit image numbers {MAX_NUMBER}; use --no-pictures, or a "
                "larger --min-area"
            )
        background = self._classes(objects) if image is None else image
        pictures = (
            draw_objects(background, objects, self.palette),
            Image.fromarray(objects.instances.astype(np.uint16)),
        )
        for picture, (path, kind) in zip(pictures, self.files(self.folder, name).items(), strict=True):
            with atomic_write(path, kind) as file:
                picture.save(file, format="PNG", pnginfo=png_text(kind))

    def _classes(self, objects: Objects) -> Array:
        """Return a dim picture (h, w, 3) uint8 of the objects in the colours of their classes."""
        lookup = np.zeros((int(objects.instances.max(initial=0)) + 1, 3), np.uint8)
        for number, label in objects.labels.items():
            lookup[number] = self.palette[label] // 3
        picture: Array = lookup[objects.instances]
        return picture


def summary_text(summary: Summary, small: int, excluded: int, rules: Separation) -> str:
    """Return a table of the classes over all images, and what was left out."""
    totals, images = summary.totals(), len(summary.images)
    count = sum(row["objects"] for row in totals)
    lines = [f"{count} object{'' if count == 1 else 's'} in {images} image{'' if images == 1 else 's'}"]
    if small:
        lines.append(f"left out: {small} of fewer than {rules.min_area} pixels (--min-area)")
    if excluded:
        lines.append(f"left out: {excluded} that touch the border (--exclude-border)")
    if not totals:
        return "\n".join(lines)
    unit = "px" if summary.pixel_size is None else "µm²"
    width = max(len("class"), *(len(row["class"]) for row in totals))
    lines += ["", f"{'class':<{width}}  objects  per image  {f'mean area ({unit})':>15}  coverage"]
    for row in totals:
        mean = row["mean_area_px" if unit == "px" else "mean_area_um2"]
        cells = (
            f"{row['class']:<{width}}",
            f"{row['objects']:>7}",
            f"{row['objects'] / images:>9.1f}",
            f"{'–' if mean is None else f'{mean:.1f}' if mean >= 10 else f'{mean:.4g}':>15}",
            f"{'–' if row['coverage'] is None else format(row['coverage'], '.2%'):>8}",
        )
        lines.append("  ".join(cells))
    return "\n".join(lines)
