"""The name "scratchnet" on the package index is somebody else's: nothing here may send a reader there."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
INSTALLERS = r"pip3?\s+(?:install|download)|pipx\s+\w+|uvx|uv\s+(?:add|tool\s+\w+|pip\s+\w+)|--with|conda\s+install"
FROM_THE_INDEX = re.compile(rf"(?:{INSTALLERS})\b[^\n;|&#]*?[ \t'\"=]scratchnet(?![-\w./\\])")
"""A command that installs, and later in its line the bare name, with or without extras."""


def texts():
    for pattern in ("*.md", "*.toml", "*.py", "docs/**/*.md", "docs/**/*.py", "lessons/**/*.py", "scratchnet/**/*.py"):
        yield from ROOT.glob(pattern)
    for pattern in ("scratchnet/**/*.toml", "benchmarks/**/*.py", "benchmarks/**/*.md", "tests/**/*.py", ".ci/*"):
        yield from ROOT.glob(pattern)
    yield from (path for path in (ROOT / ".github").rglob("*") if path.is_file())


def advice(text):
    """Find the places where installing by the package's name is advised; commands may go on in the next line."""
    joined = re.sub(r"\\\n|\"\s*\n\s*[fr]?\"|'\s*\n\s*[fr]?'", " ", text)
    return [found.group() for found in FROM_THE_INDEX.finditer(joined)]


def test_nobody_is_told_to_install_the_package_of_that_name_from_an_index():
    own = Path(__file__).name
    found = {str(path): advice(path.read_text(encoding="utf-8")) for path in texts() if path.name != own}
    assert {path: lines for path, lines in found.items() if lines} == {}
    assert len(found) > 200


@pytest.mark.parametrize(
    "line",
    [
        "pip install scratchnet",
        'pip install "scratchnet[onnx]"',
        "pip install -U 'scratchnet[gpu,mpi]' nvidia-nccl-cu12",
        "python -m pip install scratchnet==0.1",
        "uv pip install scratchnet",
        "uv add scratchnet",
        "uvx scratchnet demo",
        "uv tool install scratchnet",
        "pipx run scratchnet demo",
        "uv run --with scratchnet python",
        "conda install numpy scratchnet",
        '"needs X; pip install "\n    "scratchnet[onnx]"',
    ],
)
def test_the_search_finds_such_advice(line):
    assert advice(line)


@pytest.mark.parametrize(
    "line", ['pip install -e ".[onnx]"', "uv run --extra test scratchnet demo", "pip install ./scratchnet"]
)
def test_and_nothing_else(line):
    assert not advice(line)


def test_the_distribution_has_a_name_of_its_own_and_the_command_keeps_its_name():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == "scratchnet-segmentation"
    assert list(project["scripts"]) == ["scratchnet"]


def test_the_wheel_holds_the_networks_in_the_box_with_their_cards():
    wheel = pytest.importorskip("hatchling.builders.wheel", reason="needs hatchling")
    held = {Path(file.path) for file in wheel.WheelBuilder(str(ROOT)).recurse_included_files()}
    box = [path for path in (ROOT / "scratchnet" / "networks").iterdir() if path.suffix in (".npz", ".md")]
    assert {path.suffix for path in box} == {".npz", ".md"}
    assert set(box) <= held


@pytest.mark.parametrize("page", ["README.md", "docs/index.md", "docs/guide.md"])
def test_a_clone_comes_before_the_commands(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    assert -1 < text.find("git clone ") < text.find("pip install -e")
