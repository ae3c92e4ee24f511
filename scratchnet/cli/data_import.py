"""``scratchnet data import``: turn the export of a labelling tool into a data set."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from scratchnet.cli.flags import Metavar, Positional
from scratchnet.cli.parsing import parse, say
from scratchnet.data.importing import read_export, shown, unpacked, write_export
from scratchnet.utils.progress import progress

SHOWN = 3
"""Number of entries left out that are listed."""


@dataclass(frozen=True)
class ImportArguments:
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
    with unpacked(a.source) as folder:
        export = read_export(folder, a.classes, a.images)
        say(f"{export.summary}; {len(export.classes)} classes")
        report = write_export(export, a.out, lambda entries: progress(entries, "importing"))
    say("classes: " + ", ".join(f"{index} {name}" for index, name in enumerate(export.classes)))
    say(f"wrote {report.written} image{'s' * (report.written != 1)} and masks to {a.out}")
    for problem in report.problems[:SHOWN]:
        say(f"left out: {shown(problem, a.source, folder)}")
    if len(report.problems) > SHOWN:
        say(f"left out: {len(report.problems) - SHOWN} more, {len(report.problems)} in all")
    return 1 if report.problems else 0
