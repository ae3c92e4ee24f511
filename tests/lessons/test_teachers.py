"""The teachers' page agrees with the table of lessons and with the exercises."""

import re
from pathlib import Path

import pytest

from scratchnet.exercises import all_exercises

TEXT = (Path(__file__).parents[2] / "docs" / "teachers.md").read_text(encoding="utf-8")


def rows(heading):
    """Return the cells of the rows of the table below a heading."""
    section = TEXT.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    return lines[1:]


@pytest.mark.parametrize(("heading", "weeks"), [("Six weeks", 6), ("Twelve weeks", 12)])
def test_a_syllabus_has_every_lesson_after_those_that_it_needs(heading, weeks, table):
    plan = [(int(week), [*map(int, lessons.split(", "))], int(minutes)) for week, lessons, minutes, *_ in rows(heading)]
    assert [week for week, _, _ in plan] == list(range(1, weeks + 1))
    order = [number for _, lessons, _ in plan for number in lessons]
    assert sorted(order) == list(table.LESSONS)
    for number in order:
        assert all(order.index(needed) < order.index(number) for needed in table.LESSONS[number].needs)
    for _, lessons, minutes in plan:
        assert sum(table.LESSONS[number].minutes for number in lessons) == minutes


def test_the_short_course_has_all_that_deconvnet_needs(table):
    assert "leave out 10, 13, 14 and\n16 to 22" in TEXT
    left_out = {10, 13, 14} | {number for number in table.LESSONS if number >= 16}
    assert left_out == set(table.LESSONS) - table.ancestors(15) - {15}


def test_nothing_needs_the_lesson_that_can_be_left_out(table):
    assert not any(22 in lesson.needs for lesson in table.LESSONS.values())


def test_every_lesson_has_a_goal(table):
    assert [int(number) for number, _ in rows("Learning goals")] == list(table.LESSONS)


@pytest.mark.parametrize(("name", "cause"), rows("What students get wrong"))
def test_a_quoted_mistake_is_one_of_its_exercise(name, cause):
    exercise = all_exercises().get(name.strip("`"))
    assert exercise is not None, f"docs/teachers.md: no exercise {name}"
    assert cause in [mistake.cause for mistake in exercise.mistakes], f"docs/teachers.md: {name} has another wording"


def test_every_lesson_with_exercises_has_a_quoted_mistake():
    quoted = {int(re.search(r"\d+", name)[0]) for name, _ in rows("What students get wrong")}
    assert quoted == {exercise.lesson for exercise in all_exercises().values()}
