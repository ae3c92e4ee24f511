"""Recognition of an export's format by its files."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from scratchnet.data.file_names import is_system_file
from scratchnet.data.importing.cityscapes import is_cityscapes, read_cityscapes
from scratchnet.data.importing.coco import INSTANCES, is_coco, read_coco, read_coco_splits
from scratchnet.data.importing.colour_masks import find_colour_masks, read_colour_masks
from scratchnet.data.importing.cvat import is_cvat, read_cvat, read_cvat_splits
from scratchnet.data.importing.index_masks import find_masks, read_index_masks
from scratchnet.data.importing.json_files import read_bounded_json
from scratchnet.data.importing.label_studio import is_label_studio, read_label_studio
from scratchnet.data.importing.labelme import is_labelme, read_labelme
from scratchnet.data.importing.labels import Export
from scratchnet.data.importing.splits import by_split
from scratchnet.utils.errors import UserError

KNOWN = (
    "labelme's, COCO's or Label Studio's JSON files, CVAT's XML file, Cityscapes' folders, images/ and masks/ (or "
    "JPEGImages/ and SegmentationClass/), or train/ and trainannot/ with label_colors.txt"
)
"""Formats for messages."""


def read_export(source: Path | str, classes: Sequence[str] | None = None, images: Path | str | None = None) -> Export:
    """Read an export of a labelling tool, a folder or a file, in the format of its contents.

    Parameters
    ----------
    source : Path or str
        A file or a folder; for an archive see :func:`scratchnet.data.importing.archives.unpacked`.
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
    if source.is_file():
        return read_cvat(source, classes, images) if is_cvat(source) else _read_json([source], source, classes, images)
    return _read_folder(source, classes, images)


def _read_folder(source: Path, classes: Sequence[str] | None, images: Path | None) -> Export:
    if (coloured := find_colour_masks(source, images)) is not None:
        return read_colour_masks(source, coloured, classes)
    if is_cityscapes(source):
        return read_cityscapes(source, classes)
    described = [path for path in _files(source, ".xml") if is_cvat(path)]
    if described:
        return _read_xml(described, source, classes, images)
    files = _find_json(source)
    if not any(_kind(path, strict=False) for path in files) and (masks := find_masks(source, images)) is not None:
        return read_index_masks(source, masks, classes)
    return _read_json(files, source, classes, images)


def _read_xml(files: list[Path], source: Path, classes: Sequence[str] | None, images: Path | None) -> Export:
    if len(files) == 1:
        return read_cvat(files[0], classes, images)
    if (splits := by_split(files)) is None:
        one, other = files[:2]
        raise UserError(
            f"{source}: {one.name} and {other.name} are both CVAT's, of no split or of the same one; name them "
            "train.xml and val.xml, or import one at a time"
        )
    return read_cvat_splits(splits, classes, images)


def _find_json(source: Path) -> list[Path]:
    """Return the JSON files of a folder, of ``annotations/`` in it, or one COCO file for each of its folders."""
    nested = [path for folder in _folders(source) for path in _files(folder, ".json")]
    annotations = source / "annotations"
    return _files(source, ".json") or (_files(annotations, ".json") if annotations.is_dir() else []) or nested


def _read_json(files: list[Path], source: Path, classes: Sequence[str] | None, images: Path | None) -> Export:
    if not files:
        raise UserError(f"{source}: nothing to import in it; expected {KNOWN}")
    kinds = {}
    for path in files:
        kind = _kind(path, strict=len(files) == 1)
        if kind == "labelme":
            return read_labelme(files, classes, images)
        kinds[path] = kind
    studio = [path for path, kind in kinds.items() if kind == "Label Studio"]
    coco = [path for path, kind in kinds.items() if kind == "COCO"]
    if len(studio) > 1 or (studio and coco):
        one, other = [*studio, *coco][:2]
        raise UserError(f"{source}: {one.name} and {other.name} may both be the export; import one file at a time")
    if studio:
        return read_label_studio(studio[0], classes, images)
    left_out = [path for path in coco if not path.stem.startswith(INSTANCES)] if by_split(coco) is None else []
    coco = [path for path in coco if path not in left_out] or coco
    splits = by_split(coco)
    if splits is None:
        one, other = coco[:2]
        raise UserError(
            f"{source}: {one.name} and {other.name} are both COCO files, of no split or of the same one; name them "
            "train.json and val.json, or import one at a time"
        )
    if not coco:
        raise UserError(f"{source}: its JSON files are of no known format; expected {KNOWN}")
    export = read_coco(coco[0], classes, images) if len(coco) == 1 else read_coco_splits(splits, classes, images)
    if not left_out:
        return export
    named = f"{left_out[0].name}{f' and {len(left_out) - 1} more' * (len(left_out) > 1)}"
    return replace(export, summary=f"{export.summary} (of the files {INSTANCES}*, without {named})")


def _files(folder: Path, suffix: str) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix.lower() == suffix and not is_system_file(p.name))


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not is_system_file(path.name))


def _kind(path: Path, strict: bool) -> str | None:
    """Return the format of a JSON file; None for an unknown one, and without ``strict`` also for an unreadable one."""
    try:
        content = read_bounded_json(path, KNOWN)
    except UserError:
        if strict:
            raise
        return None
    known = {"labelme": is_labelme, "COCO": is_coco, "Label Studio": is_label_studio}
    return next((name for name, matches in known.items() if matches(content)), None)
