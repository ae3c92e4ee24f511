"""Call a student's functions in a process of their own, with limits on time, memory and output."""

import os
import queue
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from io import BufferedReader
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from scratchnet.exercises.exercise import Exercise
from scratchnet.exercises.wire import encode, read_message

START_LIMIT = 30.0
"""Seconds in which the file must be imported."""

PATIENCE = 2.0
"""Seconds to wait for the end of the streams of a process that was killed."""

MAX_OUTPUT = 10_000
"""Characters of printed text that are kept."""


class Unwritten(Exception):
    """The function still has the stub's body."""


class StudentError(Exception):
    """The function could not be tried; the message is a sentence for the student."""


class StudentProcess:
    """A student's file in a process of its own.

    Parameters
    ----------
    exercise : Exercise
    path : Path
        The student's file.

    Raises
    ------
    StudentError
        On entering the context, if the file cannot be imported.
    """

    def __init__(self, exercise: Exercise, path: Path) -> None:
        self.exercise, self.path = exercise, path
        self.output = ""
        """Text that the code has printed."""
        self._answers: queue.Queue[Any] = queue.Queue()

    def __enter__(self) -> "StudentProcess":
        """Start the process and import the file."""
        command = [sys.executable, "-B", "-m", "scratchnet.exercises.child", self.exercise.name, str(self.path)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)
        self._readers = [
            threading.Thread(target=self._read_answers, args=(self._process.stdout,), daemon=True),
            threading.Thread(target=self._read_output, args=(self._process.stderr,), daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        try:
            answer = self._next(START_LIMIT, "importing the file")
            if "failed" in answer:
                raise StudentError(answer["failed"])
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process."""
        self._end()
        self._process.wait()
        for reader in self._readers:
            reader.join(timeout=PATIENCE)
        if any(reader.is_alive() for reader in self._readers):  # a process that got away still holds the streams
            return
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            with suppress(OSError):  # what was not sent is lost
                stream.close()  # type: ignore[union-attr]

    def call(self, function: str, *arguments: Any) -> Any:
        """Return the result of one of the student's functions.

        Raises
        ------
        Unwritten
            If the function still has the stub's body.
        StudentError
            If it raises an error, takes too long, ends the process, changes its arguments or returns something else
            than arrays and numbers.
        """
        try:
            assert self._process.stdin is not None  # it is a pipe
            self._process.stdin.write(encode((function, arguments)))
            self._process.stdin.flush()
        except (OSError, ValueError) as error:
            raise StudentError(self._ended()) from error
        answer = self._next(self.exercise.time_limit, function)
        if "unwritten" in answer:
            raise Unwritten(function)
        if "failed" in answer:
            raise StudentError(answer["failed"])
        return answer["result"]

    def _next(self, limit: float, what: str) -> dict[str, Any]:
        """Return the next answer."""
        try:
            answer: dict[str, Any] | None = self._answers.get(timeout=limit)
        except queue.Empty:
            self._end()
            raise StudentError(f"{what} took longer than {limit:g} s; is there a loop that does not end?") from None
        if answer is None:
            raise StudentError(self._ended())
        return answer

    def _end(self) -> None:
        """Kill the process, and those that it has started."""
        if sys.platform == "win32":
            self._process.kill()
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _ended(self) -> str:
        code = self._process.wait()
        return f"the process of the file ended (exit code {code}), perhaps because it ran out of memory"

    def _read_answers(self, stream: BinaryIO) -> None:
        """Read messages until the stream ends."""
        try:
            while True:
                self._answers.put(read_message(stream))
        except Exception:  # the stream has ended, or holds something else than messages
            self._answers.put(None)

    def _read_output(self, stream: BufferedReader) -> None:
        while part := stream.read1(1 << 16):  # not by lines: one may have no end
            if len(self.output) < MAX_OUTPUT:
                self.output += part.decode("utf-8", "replace")[:MAX_OUTPUT]
