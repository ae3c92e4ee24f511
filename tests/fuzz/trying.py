"""One input, and what became of it."""

import contextlib
import io
import os
import sys
import tempfile
import traceback
from pathlib import Path

from scratchnet.cli.main import main
from scratchnet.utils.errors import UserError, explain
from scratchnet.utils.signatures import seal_is_intact
from tests.fuzz.kinds import KINDS, RAN, seed_of

GOOD = ("accepted", "refused in one line")
BAD = (
    *("tracebacks", "other messages", "wrong-size masks", "files lost", "programs run", "memory over 4 GB"),
    *("hangs over 60 s", "crashes"),
)


def attempt(kind, seed, number, seeds, box):
    """Make an input in the empty folder ``box`` and use it; return one of `GOOD` or `BAD` and words about it."""
    here, variables = Path.cwd(), dict(os.environ)
    (box / "keep.txt").write_text("somebody's file")
    trial = KINDS[kind](seed_of(seed, kind, number), seeds, box)
    (box / "words.txt").write_text(repr(trial.words) + "\n", errors="surrogatepass")
    before = _contents(box)
    os.chdir(box)
    try:
        outcome, message = _judged(trial)
        lost = [str(path) for path, content in before.items() if _content(path) != content and not _ours(path, content)]
        if outcome == "accepted":
            lost = [path for path in lost if box / trial.own not in Path(path).parents]
        left = [str(path) for path in _files(box) if path.name.endswith(".part") and path not in before]
        if outcome in GOOD and (lost or left):
            outcome, message = "files lost", f"changed: {lost}, left: {left}"
        if (box / RAN).exists():
            outcome, message = "programs run", "a pickle wrote a file"
        return outcome, message
    finally:
        os.chdir(here)
        os.environ.clear()
        os.environ.update(variables)


def _judged(trial):
    """Use an input and judge what came of it."""
    try:
        with _captured() as said:
            code = _run(trial)
    except MemoryError:
        return "memory over 4 GB", "MemoryError"
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return "tracebacks", "".join(traceback.format_exception(error))[-3000:]
    return _judged_messages(code, said[1]) or _judged_results(trial, code)


def _judged_messages(code, err):
    """Judge what a command printed; None where nothing is wrong with it and it did its work."""
    if "not enough memory" in err:
        return "memory over 4 GB", err
    if code == 2 and err.startswith("scratchnet: error: ") and err.count("\n") == 1:
        return "refused in one line", err
    if code not in (0, 1) or not all(line.startswith(PROGRESS) for line in err.splitlines()):
        return "other messages", f"exit code {code}: {err!r}"
    return None


def _judged_results(trial, code):
    problem = trial.judge() if code == 0 else ""
    return ("wrong-size masks", problem) if problem else ("accepted", "")


PROGRESS = ("segmenting:", "checking:", "evaluating:", "looking for objects:", "training", "scratchnet: ")


def _run(trial):
    """Return the exit code that the command line has, or would have."""
    try:
        if trial.call is None:
            return main(trial.words)
        trial.call()
    except SystemExit as leave:  # after --help
        return leave.code or 0
    except UserError as error:
        sys.stderr.write(f"scratchnet: error: {explain(error)}\n")
        return 2
    return 0


@contextlib.contextmanager
def _captured():
    """Catch what is printed by Python and by libraries below it; yields a list of the two texts, filled at the end."""
    said = []
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        kept = [(number, os.dup(number)) for number in (1, 2)]
        streams = sys.stdout, sys.stderr
        for file, number in ((out, 1), (err, 2)):
            os.dup2(file.fileno(), number)
        sys.stdout, sys.stderr = (
            io.TextIOWrapper(io.FileIO(number, "w", closefd=False), "utf-8", "replace", write_through=True)
            for number in (1, 2)
        )
        try:
            yield said
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            sys.stdout, sys.stderr = streams
            for number, saved in kept:
                os.dup2(saved, number)
                os.close(saved)
            for file in (out, err):
                file.seek(0)
                said.append(file.read().decode("utf-8", "replace"))


def _files(folder):
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]


def _contents(folder):
    return {path: path.read_bytes() for path in _files(folder)}


def _ours(path, content):
    """Whether the file was settings as a training writes them, that nobody has edited; resuming may renew them."""
    return path.name == "config.toml" and seal_is_intact(content)


def _content(path):
    return path.read_bytes() if path.is_file() else None
