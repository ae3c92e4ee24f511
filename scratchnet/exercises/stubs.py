"""Stubs: a solution's signatures and docstrings without its bodies."""

import ast
import inspect
import textwrap
from collections.abc import Callable
from typing import Any

from scratchnet.exercises.exercise import Exercise

BODY = 'raise NotImplementedError("write this function")'


def stub_file(exercise: Exercise) -> str:
    """Return the text of the file that a student starts from."""
    lines = textwrap.wrap(f"Exercise {exercise.name}: {exercise.title}.", 116, break_on_hyphens=False)
    task = [wrapped for part in exercise.task.strip().split("\n\n") for wrapped in (*_wrapped(part), "")]
    how = [f"Check it with `scratchnet exercise check {exercise.name}`."]
    head = "\n".join([*lines, "", *task, *how])
    stubs = "".join(f"\n\n\n{stub_of(function)}" for function in exercise.functions)
    imports = f"import numpy as np\n\n{exercise.imports.strip()}\n" if exercise.imports else "import numpy as np\n"
    return f'"""{head}\n"""\n\n{imports}\nArray = np.ndarray{stubs}\n'


def stub_of(function: Callable[..., Any]) -> str:
    """Return a function's signature and docstring with a body that raises NotImplementedError."""
    source = textwrap.dedent(inspect.getsource(function))
    (node,) = ast.parse(source).body
    assert isinstance(node, ast.FunctionDef)
    docstring = node.body[0]
    assert isinstance(docstring, ast.Expr)  # every function of an exercise has one
    head = "\n".join(source.splitlines()[node.lineno - 1 : docstring.end_lineno])
    return f"{head}\n    {BODY}"


def solution_file(exercise: Exercise) -> str:
    """Return the source of the solution's functions."""
    return (
        "\n\n\n".join(textwrap.dedent(inspect.getsource(function)).rstrip() for function in exercise.functions) + "\n"
    )


def _wrapped(paragraph: str) -> list[str]:
    """Wrap a paragraph of prose; keep indented lines (formulas) as they are."""
    if paragraph.startswith((" ", "-")):
        return paragraph.splitlines()
    return textwrap.wrap(" ".join(paragraph.split()), 116, break_on_hyphens=False)
