"""The head of each lesson: prerequisites, time and terms agree with the table of lessons and the page of terms."""

import re
from pathlib import Path

import pytest
from PIL import Image

from tests.lessons.conftest import FOLDER, prose_of
from tests.lessons.test_terms import terms

ROOT = FOLDER.parent
LESSONS = sorted(FOLDER.glob("[0-9]*.py"))


def head_of(path):
    """Return the docstring of a lesson in one line."""
    return " ".join(path.read_text(encoding="utf-8").split('"""')[1].split())


def test_the_table_has_every_lesson(table):
    assert list(table.LESSONS) == [int(path.name[:2]) for path in LESSONS]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for path, (number, lesson) in zip(LESSONS, table.LESSONS.items(), strict=True):
        assert f"[{number} {lesson.title}](lessons/{path.name}) {lesson.minutes} |" in readme


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_prerequisites_are_those_of_the_table(path, table):
    found = re.search(r"You need (lessons? .*?)\. ", re.sub(r"\(.*?\)", "", head_of(path)))
    needed = tuple(int(number) for number in re.findall(r"\d+", found[1])) if found else ()
    assert needed == table.LESSONS[int(path.name[:2])].needs
    assert all(number < int(path.name[:2]) for number in needed)


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_the_head_says_what_is_built_how_long_it_takes_and_which_terms_are_new(path, table):
    number, head = int(path.name[:2]), head_of(path)
    assert "**What you will build.**" in head
    assert f"**Time.** About {table.LESSONS[number].minutes} minutes, and as long again for the exercises." in head
    new = ", ".join(term for lesson, term in terms() if lesson == number)
    assert f"**New terms**, one line each on :doc:`the page of terms </terms>`: {new}." in head


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_the_time_fits_the_length(path, table):
    """40 words of text and ten lines of code each take a minute."""
    lines = path.read_text(encoding="utf-8").splitlines()
    code = sum(bool(line.strip()) and not line.startswith("#") for line in lines)
    estimate = len(prose_of(path).split()) / 40 + code / 10
    assert abs(table.LESSONS[int(path.name[:2])].minutes - estimate) < 12


def test_the_course_is_as_long_as_its_page_says(table):
    hours = round(sum(lesson.minutes for lesson in table.LESSONS.values()) / 60)
    page = " ".join((FOLDER / "GALLERY_HEADER.rst").read_text(encoding="utf-8").split())
    assert f"about {hours} hours" in page


def test_the_picture_is_up_to_date(table, tmp_path):
    with Image.open(table.PICTURE) as image:
        assert image.text["Description"] == table.description(), "run: python docs/_ext/lesson_map.py"
    table.draw(tmp_path / "map.png")
    assert (tmp_path / "map.png").stat().st_size > 10_000


def test_an_arrow_is_drawn_only_where_no_other_lesson_implies_it(table):
    drawn = table.arrows()
    assert (4, 5) in drawn
    assert (3, 8) not in drawn  # lesson 8 needs 7, and 7 needs 3
    for number, lesson in table.LESSONS.items():
        assert set(lesson.needs) <= table.ancestors(number)
        reached = {number}
        for earlier, later in sorted(drawn, reverse=True, key=lambda arrow: arrow[1]):
            reached |= {earlier} if later in reached else set()
        assert reached - {number} == table.ancestors(number)


def test_the_page_of_the_lessons_shows_the_picture(table):
    page = (FOLDER / "GALLERY_HEADER.rst").read_text(encoding="utf-8")
    assert f".. image:: /{Path(table.PICTURE).relative_to(ROOT / 'docs').as_posix()}" in page
