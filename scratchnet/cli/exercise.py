"""``scratchnet exercise``: exercises of the lessons, with stubs to start from and a referee that explains mistakes."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from scratchnet.cli.flags import Metavar, Positional
from scratchnet.cli.parsing import HELP, parse, say
from scratchnet.exercises.catalogue import all_exercises, find_exercise
from scratchnet.exercises.drawing import draw_difference
from scratchnet.exercises.exercise import Exercise
from scratchnet.exercises.grading import grade_folder, write_marks
from scratchnet.exercises.progress import Progress
from scratchnet.exercises.referee import check_file
from scratchnet.exercises.stubs import solution_file, stub_file
from scratchnet.exercises.verdict import State, Verdict
from scratchnet.utils.errors import UserError
from scratchnet.utils.files import atomic_write
from scratchnet.utils.spelling import closest_name

PAUSE = 0.3
"""Seconds between two looks at a file with ``--watch``."""


@dataclass(frozen=True)
class ListArguments:
    """List the exercises with your progress."""

    work: Annotated[str, Metavar("DIR")] = "work"
    """Folder of your answers."""


@dataclass(frozen=True)
class StartArguments:
    """Write stubs to complete: a file for each exercise, with signatures and formulas. Existing files are kept."""

    names: Annotated[tuple[str, ...], Positional("LESSON|NAME…")]
    """Numbers of lessons, or names of exercises."""
    work: Annotated[str, Metavar("DIR")] = "work"
    """Folder of your answers."""


@dataclass(frozen=True)
class CheckArguments:
    """Check your answers on a case worked out by hand and on random data, and explain what is wrong.

    The exit code is 1 if an answer is wrong or not written yet.
    """

    names: Annotated[tuple[str, ...], Positional("[LESSON|NAME|FILE…]")] = ()
    """Numbers of lessons, names of exercises, or files. Default: every answer in the folder."""
    work: Annotated[str, Metavar("DIR")] = "work"
    """Folder of your answers."""
    hint: bool = False
    """Print a hint for each wrong answer; every further check prints one more."""
    watch: bool = False
    """Check a file again whenever it is saved, until Ctrl-C."""
    solution: bool = False
    """Print the solution instead, after at least one check."""
    seed: int = 0
    """Seed of the random data."""


@dataclass(frozen=True)
class GradeArguments:
    """Check the answers of a class and write a table of marks."""

    folder: Annotated[str, Positional("FOLDER")]
    """Folder that holds a folder for each student, with files such as 07_switches.py."""
    out: Annotated[str, Metavar("FILE")] = "marks.csv"
    """CSV table to write: a row for each student; a column for each exercise, the total and remarks."""
    lessons: tuple[int, ...] = ()
    """Grade the exercises of these lessons only."""
    seed: int = 0
    """Seed of the random data."""


USAGE = """usage: scratchnet exercise [--work DIR]                        list the exercises and your progress
       scratchnet exercise start LESSON|NAME…                write stubs to the folder work/
       scratchnet exercise check [LESSON|NAME|FILE…] [--hint] [--watch] [--solution]
                                                             check your answers
       scratchnet exercise grade FOLDER [--out FILE]         check the answers of a class

For example: `scratchnet exercise start 7` writes the stubs of lesson 7, and `scratchnet exercise check 7` checks them.
`scratchnet exercise check --help` lists the options of check; start and grade have a help as well."""


def main(words: Sequence[str]) -> int:
    """Run the command; exit 1 if an answer is wrong."""
    actions = {"list": _list, "start": _start, "check": _check, "grade": _grade}
    if not words or words[0].startswith("--work"):
        return _list(words)
    if words[0] in HELP:
        say(USAGE)
        return 0
    if words[0] not in actions:
        guess = closest_name(words[0], actions)
        raise UserError(f"'exercise {words[0]}' is no command{guess}; choose one of: {', '.join(actions)}")
    return actions[words[0]](words[1:])


def _list(words: Sequence[str]) -> int:
    a = parse(ListArguments, words, "exercise list", "scratchnet exercise list")
    progress = Progress(Path(a.work))
    width = max(len(name) for name in all_exercises())
    for name, exercise in all_exercises().items():
        attempt = progress.attempts.get(name)
        state = "" if attempt is None else attempt.state + (f", {attempt.tries} tries" if attempt.tries > 1 else "")
        say(f"{name:<{width}}  {exercise.title}{f'  [{state}]' if state else ''}")
    right = sum(attempt.state == State.RIGHT for attempt in progress.attempts.values())
    say(f"\n{right} of {len(all_exercises())} right; begin with `scratchnet exercise start 1`")
    return 0


def _start(words: Sequence[str]) -> int:
    a = parse(StartArguments, words, "exercise start", "scratchnet exercise start 7")
    for exercise in _named(a.names):
        path = Path(a.work) / f"{exercise.name}.py"
        if path.exists():
            say(f"{path}: exists and is kept")
            continue
        with atomic_write(path, "stub") as file:
            file.write(stub_file(exercise).encode())
        say(f"{path}: {exercise.title}")
    say("\nedit the files, then run `scratchnet exercise check`")
    return 0


def _named(names: Sequence[str]) -> list[Exercise]:
    return list({exercise.name: exercise for name in names for exercise in find_exercise(name)}.values())


def _check(words: Sequence[str]) -> int:
    a = parse(CheckArguments, words, "exercise check", "scratchnet exercise check 7 --hint")
    files = _files(a)
    if a.solution:
        return _show_solutions(a, files)
    wrong = sum([not _check_one(a, exercise, path) for exercise, path in files])
    while a.watch:
        seen = {path: _time(path) for _, path in files}
        while all(_time(path) == seen[path] for path in seen):
            time.sleep(PAUSE)
        for exercise, path in files:
            if _time(path) != seen[path] and path.exists():
                say("")
                _check_one(a, exercise, path)
    return 1 if wrong else 0


def _time(path: Path) -> float:
    return path.stat().st_mtime if path.exists() else 0.0


def _files(a: CheckArguments) -> list[tuple[Exercise, Path]]:
    """Return the exercises to check, each with the student's file."""
    if not a.names:
        found = [(e, path) for e in all_exercises().values() if (path := Path(a.work) / f"{e.name}.py").exists()]
        if not found:
            raise UserError(
                f"{a.work}: holds no answers; begin with `scratchnet exercise start 1`, or name a folder: --work"
            )
        return found
    files: list[tuple[Exercise, Path]] = []
    for name in a.names:
        if name.endswith(".py"):
            files.append((find_exercise(Path(name).stem)[0], Path(name)))
        else:
            files += [(exercise, Path(a.work) / f"{exercise.name}.py") for exercise in find_exercise(name)]
    for exercise, path in files:
        if not path.exists():
            raise UserError(f"{path}: no such file; `scratchnet exercise start {exercise.name}` writes the stub")
    return files


def _check_one(a: CheckArguments, exercise: Exercise, path: Path) -> bool:
    """Check one file, print the verdict and keep it; return whether the answer is right."""
    verdict = check_file(exercise, path, a.seed)
    say(f"{path}: {verdict.state.value}{f' ({verdict.checked} cases)' if verdict.state is State.RIGHT else ''}")
    for sentence in verdict.sentences:
        say(f"  {sentence}")
    if verdict.picture is not None:
        drawing = path.with_suffix(".png")
        where = draw_difference(verdict.picture, drawing, exercise.tolerance)
        say(f"  {drawing} shows both results{f' at {where}' if where else ''}")
    if verdict.output:
        say("  your code printed:\n    " + "\n    ".join(verdict.output.splitlines()[-10:]))
    progress = Progress(path.parent)
    progress.record(verdict)
    progress.save()
    if a.hint and verdict.state is not State.RIGHT:
        _give_hint(exercise, progress)
    return verdict.state is State.RIGHT


def _give_hint(exercise: Exercise, progress: Progress) -> None:
    tries = max(1, progress.of(exercise.name).tries)
    for hint in exercise.hints[:tries]:
        say(f"  hint: {hint}")
    if not exercise.hints:
        say("  no hints for this exercise; read its docstrings and the lesson again")


def _show_solutions(a: CheckArguments, files: Sequence[tuple[Exercise, Path]]) -> int:
    for exercise, path in files:
        progress = Progress(path.parent)
        attempt = progress.of(exercise.name)
        if attempt.tries == 0:
            raise UserError(
                f"{exercise.name}: not tried yet; check an answer first (--hint helps), then --solution shows one"
            )
        attempt.solution_shown = True
        progress.save()
        say(f"# {exercise.name}: a solution\n\n{solution_file(exercise)}")
    return 0


def _grade(words: Sequence[str]) -> int:
    a = parse(GradeArguments, words, "exercise grade", "scratchnet exercise grade submissions --out marks.csv")
    exercises = [e for e in all_exercises().values() if not a.lessons or e.lesson in a.lessons]

    def tell(student: str, verdicts: dict[str, Verdict]) -> None:
        right = sum(verdict.state is State.RIGHT for verdict in verdicts.values())
        say(f"{student}: {right} right of {len(verdicts)} handed in")

    marks = grade_folder(Path(a.folder), exercises, a.seed, tell)
    write_marks(Path(a.out), exercises, marks)
    say(f"\nwrote {a.out}: {len(marks)} students")
    return 0
