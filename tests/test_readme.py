"""The README's examples run, and the commands and files that it names exist."""

import doctest
import re
from pathlib import Path

import pytest

from scratchnet.cli.main import COMMANDS
from scratchnet.config import recipe_names

README = Path(__file__).parent.parent / "README.md"


def test_examples_print_what_the_readme_says():
    failed, tried = doctest.testfile(str(README), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert tried > 10
    assert failed == 0


def test_commands_exist():
    named = set(re.findall(r"scratchnet (\w+)", README.read_text().split("```sh", 1)[1])) - {"is"}
    assert {"demo", "train", "evaluate", "segment", "models", "gradcheck", "data"} <= named
    assert named <= set(COMMANDS)


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(((?!http)[^)]+)\)", README.read_text()))))
def test_links_lead_to_files(link):
    assert (README.parent / link).exists()


def test_recipes_exist():
    text = README.read_text()
    assert set(re.findall(r"--config ([\w-]+)`", text)) - {"NAME"} <= set(recipe_names())
    table = text.split("| recipes | purpose |")[1].split("\n\n")[0]
    assert set(re.findall(r"`([\w-]+)`", table)) == set(recipe_names())
