"""``scratchnet data import``: turn the export of a labelling tool into a data set."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from scratchnet.cli.flags import Metavar, Positional
from scratchnet.cli.output import OutputArguments
from scratchnet.cli.parsing import parse, say
from scratchnet.data.importing import read_export, shown, unpacked, write_export
from scratchnet.utils.progress import progress

SHOWN = 3
"""Number of entries left out that are listed."""


@dataclass(frozen=True)
class ImportArguments(OutputArguments):
    """Turn the export of a labelling tool (labelme, CVAT, COCO, Label Studio, masks) into a data set."""

    source: Annotated[str, Positional("SOURCE")]
    """File, folder or zip archive; its contents decide which format it is. JSON files of labelme, COCO or Label Studio,
    CVAT's XML file, folders of images and masks."""
    out: Annotated[str, Metavar("DIR")]
    """New or empty folder."""
    classes: tuple[str, ...] | None = None
    """Names of the classes, background first. Default: background, then labelme's by name, COCO's by id,
    colours by their list."""
    images: Annotated[str | None, Metavar("DIR")] = None
    """Folder of the images, if they are not where the export names them."""


def run(words: Sequence[str]) -> int:
    """Run the command; return 1 if some entries were left out."""
    a = parse(ImportArguments, words, "data import", "scratchnet data import annotations.json --out mydata")
    with a.output():
        return _import(a)


def _import(a: ImportArguments) -> int:
    with unpacked(a.source) as folder:
        export = read_export(folder, a.classes, a.images)
        say(f"{export.summary}; {len(export.classes)} classes")
        report = write_export(export, a.out, lambda entries: progress(entries, "importing"))
        problems = [shown(problem, a.source, folder) for problem in report.problems]
    say("classes: " + ", ".join(f"{index} {name}" for index, name in enumerate(export.classes)))
    say(f"wrote {report.written} image{'s' * (report.written != 1)} and masks to {a.out}")
    for remark in report.remarks:
        say(remark)
    lines = [f"left out: {problem}" for problem in problems[:SHOWN]]
    if len(problems) > SHOWN:
        lines.append(f"left out: {len(problems) - SHOWN} more, {len(problems)} in all")
    if lines and a.quiet:
        print("\n".join(lines), file=sys.stderr, flush=True)
    for line in lines:
        say(line)
    found = {"format": export.summary, "classes": list(export.classes), "out": a.out, "images": report.written}
    a.print_json({**found, "remarks": list(report.remarks), "left_out": problems})
    return 1 if problems else 0
