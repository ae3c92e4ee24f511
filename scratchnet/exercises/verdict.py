"""Results of checking an answer."""

from dataclasses import dataclass
from enum import StrEnum

from scratchnet.arrays import Array


class State(StrEnum):
    """State of an answer."""

    RIGHT = "right"
    WRONG = "wrong"
    UNWRITTEN = "not written yet"


@dataclass(frozen=True)
class Picture:
    """Arrays to draw beside each other: what the student's function returned and what it should return."""

    found: Array
    expected: Array
    title: str


@dataclass(frozen=True)
class Verdict:
    """The result of checking one file.

    Attributes
    ----------
    exercise : str
    state : State
    sentences : tuple of str
        Description of the mistakes, and the likely cause if it is known.
    checked : int
        Number of calls that were compared.
    output : str
        Text printed by the student's code.
    picture : Picture or None
        For a wrong array.
    """

    exercise: str
    state: State
    sentences: tuple[str, ...] = ()
    checked: int = 0
    output: str = ""
    picture: Picture | None = None
