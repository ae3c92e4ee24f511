"""A student's progress: which exercises were tried, how often, and which are right."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from scratchnet.exercises.verdict import State, Verdict
from scratchnet.utils.errors import UserError
from scratchnet.utils.files import atomic_write
from scratchnet.utils.signatures import signature

FILE = "progress.json"
KIND = "exercise progress"


@dataclass
class Attempt:
    """The state of one exercise."""

    state: str = State.UNWRITTEN.value
    tries: int = 0
    solution_shown: bool = False


class Progress:
    """The attempts in one folder of answers.

    Raises
    ------
    UserError
        If the file of the folder is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self.attempts: dict[str, Attempt] = {}
        if self._path.is_file():
            try:
                content = json.loads(self._path.read_text(encoding="utf-8"))
                self.attempts = {name: Attempt(**values) for name, values in content["exercises"].items()}
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise UserError(f"{self._path}: is damaged ({error}); delete it to start again") from error

    def of(self, name: str) -> Attempt:
        """Return the attempt at an exercise."""
        return self.attempts.setdefault(name, Attempt())

    def record(self, verdict: Verdict) -> None:
        """Count a check; an exercise that was right once may become wrong again."""
        attempt = self.of(verdict.exercise)
        attempt.state = verdict.state.value
        attempt.tries += verdict.state is not State.UNWRITTEN

    def save(self) -> None:
        """Write the file."""
        content = {"note": signature(KIND), "exercises": {name: asdict(a) for name, a in self.attempts.items()}}
        with atomic_write(self._path, KIND) as file:
            file.write(json.dumps(content, indent=1).encode())
