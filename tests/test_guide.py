"""The guide's examples run, and the commands and recipes that it names exist."""

import doctest
import re
from pathlib import Path

from scratchnet.cli.main import COMMANDS
from scratchnet.config import recipe_names

GUIDE = Path(__file__).parent.parent / "docs" / "guide.md"
TEXT = GUIDE.read_text(encoding="utf-8")


def test_examples_print_what_the_guide_says():
    failed, tried = doctest.testfile(str(GUIDE), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert tried > 10
    assert failed == 0


def test_commands_exist():
    named = set(re.findall(r"scratchnet (\w+)", TEXT.split("```sh", 1)[1])) - {"is"}
    assert {"demo", "train", "evaluate", "segment", "models", "gradcheck", "data"} <= named
    assert named <= set(COMMANDS)


def test_recipes_exist():
    assert set(re.findall(r"--config ([\w-]+)`", TEXT)) - {"NAME"} <= set(recipe_names())
    table = TEXT.split("| recipes | purpose |")[1].split("\n\n")[0]
    assert set(re.findall(r"`([\w-]+)`", table)) == set(recipe_names())


def test_links_to_headings_lead_somewhere():
    """The links inside the page, and those of other pages, lead to a heading."""
    headings = {text.lower().replace(" ", "-") for text in re.findall(r"^##+ (.*)", TEXT, re.MULTILINE)}
    assert set(re.findall(r"\]\(#([\w-]+)\)", TEXT)) <= headings
    for name in ("../README.md", "../data/README.md", "index.md", "contributing.md", "teachers.md"):
        page = (GUIDE.parent / name).read_text(encoding="utf-8")
        assert set(re.findall(r"guide\.md#([\w-]+)\)", page)) <= headings, name
