"""The prose of the package, the lessons and the pages: phrases that read as a literal translation do not come back."""

import ast
import io
import re
import tokenize
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CODE = sorted(path for folder in ("scratchnet", "lessons", "benchmarks") for path in (ROOT / folder).rglob("*.py"))
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "benchmarks").glob("*.md")])

VARIABLES = r"(x|y|w|z|dx|dy|(input|output|weight|kernel|logit|parameter|element|score|pixel)s?|bias)"

PHRASES = {
    r"(?<!lag )(?<!lags )(?<!lagging )\bbehind\b": "after, next, following",
    rf"\b(gradients?|slopes?|derivatives?) by (the |its |each )?{VARIABLES}\b": "with respect to",
    r"\b(its|their|these|those|equal|float32|float64|normal|million|billion|row of|counted in) numbers\b(?! of)": (
        "values, parameters, elements"
    ),
    r"\bthe numbers\b(?! (of|in|from|with|\d|\w+ (quotes?|prints?|gives?)))": "values, parameters, elements",
    r"\b(made|computed|done) (again|anew)\b": "recomputed, repeated",
    r"\btak(en|es|e|ing) off\b": "subtract, remove",
    r"\b(is|are|was|were|be|been) told\b": "is given, is set",
    r"\btold (apart|by|from)\b": "distinguished",
    r"\bnobody else": "no other",
    r"\bso many\b(?! \w+ that)": "this many, n",
    r"\bso much as\b": "even",
    r"\b(let|lets|letting) go of\b": "free, release",
    r"\b[Oo]nly so\b": "only then, this way",
    r"\b(cannot|can not|is not|are not) (be|to be) had\b": "is not available",
    r"\bone's own\b": "your own, user-defined",
    r"\b(in|at) the places? of\b": "instead of, at the position of",
    r"\bby hand of\b": "by means of",
    r"\bsent home\b": "copied back, returned",
    r"\b(is|are|was|were) to be (found|seen|done|made|read|written)\b": "must be, can be",
    r"\bin a moment\b|\bby and by\b": "later, gradually",
    r"\b(as it|as they) (was|were) (before|made|given)\b": "unchanged",
}
"""Phrases, and what to write instead."""

HEADLESS = re.compile(r"(Of|From|To be|For|By|At|As|In|With|Out of|What|Whose|How|Where|Which|Who|That) ")
"""First words of a docstring that has no subject and verb."""

TEXT = {tokenize.STRING, tokenize.COMMENT, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}


def prose(path):
    """Yield (line number, text) of each line of every docstring, string and comment, or of a page."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        yield from enumerate(text.splitlines(), 1)
        return
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in TEXT:
            yield from enumerate(token.string.split("\n"), token.start[0])


def without_code(line):
    """Remove code in backticks, replaced fields, and links."""
    return re.sub(r"`[^`]*`|\{[^{}]*\}|\]\([^)]*\)|https?://\S+", "", line)


@cache
def lines():
    """Return (path, line number, line, line without code) of all prose."""
    return [(path, n, line, without_code(line)) for path in (*CODE, *PAGES) for n, line in prose(path)]


def found(pattern):
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path, number, line, text in lines()
        if re.search(pattern, text)
    ]


@pytest.mark.parametrize("phrase", PHRASES)
def test_phrases_that_read_as_translated(phrase):
    assert found(phrase) == [], f"write: {PHRASES[phrase]}"


def test_docstrings_begin_with_a_sentence():
    headless = []
    for path in CODE:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
                first = (ast.get_docstring(node) or "").split("\n")[0]
                if HEADLESS.match(first) and not first.endswith("?"):
                    headless.append(f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}: {first}")
    assert headless == []


@pytest.mark.parametrize(
    ("text", "bad"),
    [
        ("one value behind another", True),
        ("running averages lag behind the weights", False),
        ("its gradient by the weights", True),
        ("multiplies the gradient by the derivative", False),
        ("offsets are counted in numbers", True),
        ("expected two numbers, the smaller one first", False),
        ("draws the same random numbers on both devices", False),
        ("the block is told which rows to take", True),
        ("in so many windows that its direction is lost", False),
        ("process `behind` the other", False),
    ],
)
def test_the_phrases_are_recognised(text, bad):
    assert any(re.search(phrase, without_code(text)) for phrase in PHRASES) == bad
