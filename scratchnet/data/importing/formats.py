"""Recognition of an export's format by its files."""

from collections.abc import Sequence
from pathlib import Path

from scratchnet.data.file_names import is_system_file
from scratchnet.data.importing.coco import is_coco, read_coco
from scratchnet.data.importing.colour_masks import find_colours, read_colour_masks
from scratchnet.data.importing.json_files import read_bounded_json
from scratchnet.data.importing.labelme import is_labelme, read_labelme
from scratchnet.data.importing.labels import Export
from scratchnet.utils.errors import UserError

KNOWN = "labelme's JSON files, a COCO JSON file, or masks/ or SegmentationClass/ with a list of colours"
"""Formats for messages."""


def read_export(source: Path | str, classes: Sequence[str] | None = None, images: Path | str | None = None) -> Export:
    """Read an export of a labelling tool, a folder or a file, in the format of its contents.

    Parameters
    ----------
    source : Path or str
        A folder with labelme's JSON files or with one COCO JSON file, one of these files, or a folder with
        coloured masks and a list of their colours.
    classes : sequence of str or None
        Names of the classes, background first; None: see the functions of the formats.
    images : Path or str or None
        Folder of the images, for exports that only name them.

    Raises
    ------
    UserError
        When there is nothing to import, or the format is unknown or ambiguous.
    """
    source, images = Path(source), None if images is None else Path(images)
    if not source.exists():
        raise UserError(f"{source}: no such file or folder; check the name")
    if images is not None and not images.is_dir():
        raise UserError(f"{images}: is no folder, expected the folder of the images")
    if source.suffix.lower() == ".zip":
        raise UserError(f"{source}: is an archive; unzip it and pass the folder")
    colours = find_colours(source) if source.is_dir() else None
    if colours is not None:
        return read_colour_masks(source, colours, classes, images)
    return _read_json(source, classes, images)


def _read_json(source: Path, classes: Sequence[str] | None, images: Path | None) -> Export:
    files = _json_files(source) if source.is_dir() else [source]
    if not files:
        raise UserError(f"{source}: holds no JSON file; expected {KNOWN}")
    kinds = {}
    for path in files:
        kind = _kind(path, strict=len(files) == 1)
        if kind == "labelme":
            return read_labelme(files, classes, images)
        kinds[path] = kind
    found = [path for path, kind in kinds.items() if kind == "COCO"]
    if len(found) > 1:
        raise UserError(f"{source}: {found[0].name} and {found[1].name} are both COCO files; import one file at a time")
    if not found:
        raise UserError(f"{source}: its JSON files are of no known format; expected {KNOWN}")
    return read_coco(found[0], classes, images)


def _json_files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix.lower() == ".json" and not is_system_file(p.name))


def _kind(path: Path, strict: bool) -> str | None:
    """Return the format of a JSON file; None for an unknown one, and without ``strict`` also for an unreadable one."""
    try:
        content = read_bounded_json(path, KNOWN)
    except UserError:
        if strict:
            raise
        return None
    if is_labelme(content):
        return "labelme"
    return "COCO" if is_coco(content) else None
