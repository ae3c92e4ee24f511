"""What holds for every lesson: it runs, keeps a picture, and its exercises are solved."""

import re
import runpy

import pytest
from PIL import Image

from tests.conftest import group_of
from tests.lessons.conftest import FOLDER

LESSONS = sorted(FOLDER.glob("[0-9]*.py"))


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_keeps_a_picture(path, lesson):
    pictures = lesson(int(path.stem[:2])).pictures
    assert pictures, "a lesson keeps at least one picture"
    for picture in pictures:
        assert picture.stem.startswith(path.stem[:2])
        with Image.open(picture) as image:
            assert min(image.size) >= 100
            low, high = image.convert("L").getextrema()
            assert low < high


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_says_what_every_picture_shows(path, lesson):
    texts = lesson(int(path.stem[:2])).alts
    assert len(set(texts)) == len(texts)
    for text in texts:
        assert 60 <= len(text) <= 300, f'save_figure(…, alt="…"): one or two sentences that say what is seen: {text!r}'
        assert text.endswith(".")


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_solutions_hold(path, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(FOLDER / "solutions" / path.name), run_name="__main__")


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_has_the_parts_of_a_lesson(path):
    text = path.read_text(encoding="utf-8")
    for part in ("**The question.**", "prediction", "What breaks if", "Exercises", "FAST = start_lesson()"):
        assert part in text, f"{path.name} lacks {part!r}"
    assert f"``lessons/solutions/{path.name}``" in text, "the pages make it a link"
    exercises = re.findall(r"^# (\d)\. ", text[text.rindex("# Exercises") :], re.MULTILINE)
    assert 2 <= len(exercises) <= 4


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_headings_stand_above_lines_of_their_length(path):
    text = path.read_text(encoding="utf-8")
    for heading in ("Write your prediction down first", "What breaks if …", "Exercises"):
        assert f"# {heading}\n# {'-' * len(heading)}\n" in text, f"{path.name} lacks the heading {heading!r}"
    for heading, line in re.findall(r"^# (.*)\n# .*?(-{4,})", text, re.MULTILINE):
        assert f"# {heading}\n# {line}\n" in text, f"{path.name}: {line} does not stand in a line of its own"
        assert len(heading) == len(line), f"{path.name}: {heading!r} and the line below differ in length"


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_needs_no_name_of_its_own_file(path):
    # Notebooks and the gallery have none.
    assert "__file__" not in path.read_text(encoding="utf-8")


def test_all_tests_of_a_lesson_run_in_one_process():
    """A lesson takes seconds; a process runs it once."""
    group = group_of("tests/lessons/test_12_assembling_a_network.py::test_one_image_is_learned_by_heart")
    assert group == group_of("tests/lessons/test_all.py::test_keeps_a_picture[12_assembling_a_network]")
    assert group != group_of("tests/lessons/test_all.py::test_keeps_a_picture[11_batch_norm]")
    assert group_of("tests/cli/test_main.py::test_x[a::b]") == "tests/cli/test_main.py"
