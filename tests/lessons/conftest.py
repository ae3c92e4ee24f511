"""Lessons and solutions, run once each in their fast mode, with their variables and their prose to look at."""

import io
import re
import runpy
import sys
import tokenize
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from scratchnet.visualization import saving

FOLDER = Path(__file__).parents[2] / "lessons"


@dataclass
class Lesson:
    """What a lesson left behind.

    ``values`` are its variables by name, ``prose`` its text in one line, ``pictures`` the files that it kept,
    ``alts`` their alternative texts.
    """

    values: dict
    prose: str
    pictures: list[Path] = field(default_factory=list)
    alts: list[str] = field(default_factory=list)

    def says(self, text, *values):
        """Assert that the prose has ``text``, with the values in place of {}: ``says("{:.2f} of it", share)``."""
        wanted = text.format(*values)
        assert wanted in self.prose, f"the prose does not say {wanted!r}"


def prose_of(path):
    """Return the docstring and the whole-line comments of a script as one line of text."""
    source = path.read_text(encoding="utf-8")
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    words = [token.string.lstrip("# %") for token in tokens if token.type == tokenize.COMMENT]
    docstring = re.match(r'r?"""(.*?)"""', source, re.DOTALL)
    return " ".join(" ".join([docstring.group(1) if docstring else "", *words]).split())


def stored_rows(number):
    """Return the rows "name  mean ± spread  …" of the tables in a lesson's text: the means and the spreads by name."""
    (path,) = FOLDER.glob(f"{number:02d}_*.py")
    rows = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        pairs = re.findall(r"(\d+\.\d+)(?: %)? ± (\d+\.\d+)", line)
        if found := re.match(r"# (\S.*?)  +\d", line) if pairs else None:
            rows[found[1]] = tuple([float(value) for value in column] for column in zip(*pairs, strict=True))
    return rows


@pytest.fixture(scope="session")
def lesson(tmp_path_factory):
    """Run a lesson by its number, once."""
    done = {}

    def run(number):
        if number not in done:
            (path,) = FOLDER.glob(f"{number:02d}_*.py")
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(tmp_path_factory.mktemp(path.stem))
                patch.setattr("sys.argv", [str(path), "--fast"])
                before = len(saving.saved_figures)
                values = runpy.run_path(str(path), run_name="__main__")
                saved = saving.saved_figures[before:]
                pictures = [picture.path.resolve() for picture in saved]
            done[number] = Lesson(values, prose_of(path), pictures, [picture.alt for picture in saved])
        return done[number]

    return run


@pytest.fixture(scope="module")
def table():
    """Return the module with the table of lessons."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER.parent / "docs" / "_ext"))
        import lesson_map

        yield lesson_map
    sys.modules.pop("lesson_map")
