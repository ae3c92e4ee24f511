"""The student's process: import the file, answer calls until the stream ends.

Run as ``python -m scratchnet.exercises.child EXERCISE FILE``. Messages arrive on the standard input and leave on the
standard output. The student's code prints to the standard error stream, and ``input()`` finds an empty stream.
"""

import importlib.util
import os
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

import numpy as np

from scratchnet.exercises.catalogue import all_exercises
from scratchnet.exercises.exercise import Exercise
from scratchnet.exercises.wire import NotSendable, encode, read_message

MEMORY = 4 << 30
"""Bytes that a student's process may allocate."""


def main(name: str, file: str) -> None:
    """Answer the referee's calls."""
    requests, answers = _separate_streams()
    _limit_memory()
    path = Path(file)
    module: ModuleType | None = None
    try:
        module = _imported(path)
        answers.write(encode({"ready": True}))
    except BaseException as error:
        answers.write(encode({"failed": describe(error, path)}))
    answers.flush()
    while module is not None:
        try:
            function, arguments = read_message(requests)
        except EOFError:
            return
        answers.write(encode(_answer(all_exercises()[name], module, path, function, arguments)))
        answers.flush()


def _separate_streams() -> tuple[BinaryIO, BinaryIO]:
    """Return the streams for messages, and let the student's code have others."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    return requests, answers


def _limit_memory() -> None:
    with suppress(ImportError, ValueError, OSError):  # Windows has no such limits
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))


def _imported(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("answer", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["answer"] = module
    sys.path.insert(0, str(path.resolve().parent))
    spec.loader.exec_module(module)
    return module


def _answer(
    exercise: Exercise, module: ModuleType, path: Path, name: str, arguments: tuple[Any, ...]
) -> dict[str, Any]:
    """Call a function and return what it returned, or a sentence about what went wrong."""
    try:
        return {"result": _called(exercise, module, name, arguments)}
    except _Refused as error:
        return {"failed": str(error)}
    except NotImplementedError as error:
        return {"unwritten": True} if str(error) == "write this function" else {"failed": describe(error, path)}
    except BaseException as error:
        return {"failed": describe(error, path)}


class _Refused(Exception):
    """The answer breaks a rule; the message is for the student."""


def _called(exercise: Exercise, module: ModuleType, name: str, arguments: tuple[Any, ...]) -> Any:
    """Call a function and check that it follows the rules."""
    if not callable(getattr(module, name, None)):
        raise _Refused(f"the file defines no function {name}; keep the names and arguments of the stub")
    before = encode(arguments)
    result = exercise.call(module, name, arguments)
    if encode(arguments) != before:
        raise _Refused(f"{name} changes its arguments; work on a copy, for example x = x.copy()")
    if result is None:
        raise _Refused(f"{name} returns None; is a return statement missing?")
    try:
        encode(result)
    except NotSendable as error:
        raise _Refused(f"{name} returns {error}; expected arrays or numbers") from error
    return result


def describe(error: BaseException, path: Path) -> str:
    """Return one line: the line of the student's file at which an error arose, and the error."""
    kind = type(error).__name__
    if isinstance(error, SyntaxError):
        return f"line {error.lineno}: {kind}: {error.msg}"
    if isinstance(error, SystemExit):
        return f"the file ends the program ({kind}); remove exit() or sys.exit()"
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    place = f"line {own[-1].lineno}, in {own[-1].name}: " if own else ""
    if isinstance(error, RecursionError):
        return f"{place}{kind}: the function calls itself without end"
    words = " ".join(str(error).split())
    return f"{place}{kind}{': ' if words else ''}{words[:300]}"


if __name__ == "__main__":
    with np.errstate(all="ignore"):
        main(sys.argv[1], sys.argv[2])
