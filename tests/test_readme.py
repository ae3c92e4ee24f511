"""The README is a front door: short, with commands that exist and links that lead somewhere."""

import re
from pathlib import Path

import pytest

from scratchnet.cli.exercise import USAGE
from scratchnet.cli.main import COMMANDS

README = Path(__file__).parent.parent / "README.md"
TEXT = README.read_text(encoding="utf-8")


def test_the_readme_is_short():
    assert len(TEXT.split()) <= 700, "move details to docs/guide.md"


def test_commands_exist():
    named = set(re.findall(r"^scratchnet (\w+)|[`/]scratchnet (\w+)", TEXT, re.MULTILINE))
    named = {word for pair in named for word in pair if word}
    assert {"demo", "data", "train", "evaluate", "segment", "explain", "exercise"} <= named <= set(COMMANDS)
    for action in re.findall(r"scratchnet exercise (\w+)", TEXT):
        assert f"scratchnet exercise {action}" in USAGE


def test_the_two_commands_are_those_of_the_pages():
    commands = TEXT.split("```sh\n")[1].split("```")[0]
    assert len(commands.splitlines()) == 3
    for page, lines in (("guide.md", 3), ("index.md", 2)):
        assert "\n".join(commands.splitlines()[:lines]) in (README.parent / "docs" / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(((?!http)[^)]+)\)", TEXT))))
def test_links_lead_to_files(link):
    path, _, heading = link.partition("#")
    assert (README.parent / path).exists()
    if heading:
        headings = re.findall(r"^#+ (.*)", (README.parent / path).read_text(encoding="utf-8"), re.MULTILINE)
        assert heading in [text.lower().replace(" ", "-") for text in headings]
