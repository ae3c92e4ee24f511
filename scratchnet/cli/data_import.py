"""``scratchnet data import``: turn the export of a labelling tool into a data set."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from scratchnet.cli.flags import Metavar, Positional
from scratchnet.cli.parsing import parse, say
from scratchnet.data.importing import read_export, write_export
from scratchnet.utils.progress import progress

SHOWN = 3
"""Number of entries left out that are listed."""


@dataclass(frozen=True)
class ImportArguments:
    """Turn the export of a labelling tool (labelme, COCO's JSON format, coloured masks) into a data set."""

    source: Annotated[str, Positional("SOURCE")]
    """Folder with labelme's JSON files or one COCO JSON file, one such file, or a folder with coloured masks and a list
    of their colours; the contents decide which."""
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
    export = read_export(a.source, a.classes, a.images)
    say(f"{export.summary}, {len(export.classes) - 1} class{'es' * (len(export.classes) != 2)} and background")
    report = write_export(export, a.out, lambda entries: progress(entries, "importing"))
    say("classes: " + ", ".join(f"{index} {name}" for index, name in enumerate(export.classes)))
    say(f"wrote {report.written} image{'s' * (report.written != 1)} and masks to {a.out}")
    for problem in report.problems[:SHOWN]:
        say(f"left out: {problem}")
    if len(report.problems) > SHOWN:
        say(f"left out: {len(report.problems) - SHOWN} more, {len(report.problems)} in all")
    return 1 if report.problems else 0
