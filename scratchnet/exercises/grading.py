"""Grade the answers of a class."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from scratchnet.exercises.exercise import Exercise
from scratchnet.exercises.referee import check_file
from scratchnet.exercises.verdict import State, Verdict
from scratchnet.utils.errors import UserError
from scratchnet.utils.files import atomic_write
from scratchnet.utils.signatures import signature
from scratchnet.utils.spreadsheet import harmless

KIND = "table of marks"


def grade_folder(
    folder: Path,
    exercises: Sequence[Exercise],
    seed: int = 0,
    report: Callable[[str, dict[str, Verdict]], None] | None = None,
) -> dict[str, dict[str, Verdict]]:
    """Check every student's files.

    Parameters
    ----------
    folder : Path
        A folder with a folder for each student; answers may be in subfolders, such as ``work/``.
    exercises : sequence of Exercise
    seed : int
    report : callable or None
        Called with the student's name and verdicts after each student.

    Returns
    -------
    dict of student to dict of exercise to Verdict
        Exercises that were not handed in are missing.

    Raises
    ------
    UserError
        If there is no such folder, or it holds no folders.
    """
    marks: dict[str, dict[str, Verdict]] = {}
    for student in _student_folders(folder):
        marks[student.name] = {
            exercise.name: check_file(exercise, files[0], seed)
            for exercise in exercises
            if (files := sorted(student.rglob(f"{exercise.name}.py")))
        }
        if report is not None:
            report(student.name, marks[student.name])
    return marks


def _student_folders(folder: Path) -> list[Path]:
    """Return the subfolders, sorted; raise a UserError if there are none."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; expected a folder that holds a folder for each student")
    students = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not students:
        raise UserError(f"{folder}: holds no folders; expected one for each student")
    return students


def write_marks(path: Path, exercises: Sequence[Exercise], marks: Mapping[str, Mapping[str, Verdict]]) -> None:
    """Write a CSV table: a row for each student, 1 or 0 for each exercise handed in, the total, and remarks.

    Raises
    ------
    UserError
        If the file cannot be written, or exists and is no table of marks.
    """
    handed_in = [e.name for e in exercises if any(e.name in verdicts for verdicts in marks.values())]
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["student", *handed_in, "total", "remarks", signature(KIND)])
    for student, verdicts in marks.items():
        points = [int(verdicts[name].state is State.RIGHT) if name in verdicts else "" for name in handed_in]
        remarks = "; ".join(f"{name}: {v.sentences[0]}" for name, v in verdicts.items() if v.sentences)
        table.writerow([harmless(student), *points, sum(p for p in points if p != ""), harmless(remarks), ""])
    with atomic_write(path, KIND) as file:
        file.write(text.getvalue().encode("utf-8-sig"))
