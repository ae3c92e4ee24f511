"""The parts of an exercise."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Case:
    """One call of a student's function.

    Attributes
    ----------
    function : str
    arguments : tuple
        Arrays, numbers, strings, booleans, None, and tuples, lists and dicts of these.
    description : str
        Words that complete "wrong for …": "the case by hand", "two images", "stride 2".
    truth : object
        For a judge; it stays in the referee's process.
    """

    function: str
    arguments: tuple[Any, ...]
    description: str
    truth: Any = None


@dataclass(frozen=True)
class Mistake:
    """A known wrong answer.

    Attributes
    ----------
    cause : str
        A sentence for the student: "Here the last of equal maxima wins; the rule is the first."
    functions : mapping of str to callable
        The functions that are wrong, by the name in the stub.
    """

    cause: str
    functions: Mapping[str, Callable[..., Any]]


@dataclass(frozen=True)
class GradientCheck:
    """A student's backward pass compared with numerical gradients of the student's own forward pass.

    Attributes
    ----------
    forward, backward : str
        Names of functions: ``forward(*arguments) -> y`` and ``backward(dy, *arguments) -> gradient or tuple of them``.
    arguments : callable
        Makes the arguments from a random generator, float64.
    moved : tuple of int
        Positions of the arguments whose gradients ``backward`` returns, in its order.
    names : tuple of str
        Names of these gradients, for messages.
    """

    forward: str
    backward: str
    arguments: Callable[[np.random.Generator], tuple[Any, ...]]
    moved: tuple[int, ...] = (0,)
    names: tuple[str, ...] = ("dx",)


@dataclass(frozen=True)
class Exercise:
    """Functions for a student to write.

    Attributes
    ----------
    name : str
        Number of the lesson and a word, ``07_switches``: the name of the student's file.
    title : str
        A few words for the list.
    task : str
        Text of the exercise, with the rules that the answer must follow.
    functions : tuple of callable
        The solution. A stub has their signatures and docstrings.
    cases : callable
        Makes the calls from a random generator, the case by hand first. Data must be asymmetric: more than one image
        and channel, height and width different.
    mistakes : tuple of Mistake
        At least three.
    hints : tuple of str
        From a nudge to nearly the answer.
    results : mapping of str to tuple of str
        Names of the values that a function returns, if it returns more than one.
    gradients : tuple of GradientCheck
    tolerance : float
        Largest accepted difference, relative to the largest expected magnitude.
    inside : mapping of str to callable
        Functions that run in the student's process, for answers that are not arrays, such as networks:
        ``inside[name](module, *arguments)`` is called instead of the student's function of that name.
    judges : mapping of str to callable
        For answers with many right results, such as a trained network: ``judges[name](result, truth)`` replaces the
        comparison with the solution and returns a sentence about the fault, or None. ``truth`` is that of the case.
    imports : str
        Import statements that the stub needs besides NumPy.
    time_limit : float
        Seconds for one call.
    """

    name: str
    title: str
    task: str
    functions: tuple[Callable[..., Any], ...]
    cases: Callable[[np.random.Generator], Iterator[Case]]
    mistakes: tuple[Mistake, ...] = ()
    hints: tuple[str, ...] = ()
    results: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    gradients: tuple[GradientCheck, ...] = ()
    tolerance: float = 1e-9
    inside: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    judges: Mapping[str, Callable[[Any, Any], str | None]] = field(default_factory=dict)
    imports: str = ""
    time_limit: float = 10.0

    @property
    def lesson(self) -> int:
        """The number of its lesson."""
        return int(self.name.partition("_")[0])

    @property
    def solution(self) -> dict[str, Callable[..., Any]]:
        """The solution's functions by name."""
        return {function.__name__: function for function in self.functions}

    def call(self, module: Any, name: str, arguments: tuple[Any, ...]) -> Any:
        """Return the result of a module's function, or what ``inside`` makes of it."""
        inside = self.inside.get(name)
        return getattr(module, name)(*arguments) if inside is None else inside(module, *arguments)

    def call_solution(self, name: str, arguments: tuple[Any, ...], **exchanged: Callable[..., Any]) -> Any:
        """Return the result of the solution's function, with some functions exchanged."""
        return self.call(SimpleNamespace(**self.solution | exchanged), name, arguments)
