"""Notebooks of the lessons: they install scratchnet, show every picture, one per cell, and no path."""

import ast
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lessons.conftest import FOLDER

LESSONS = sorted(FOLDER.glob("[0-9]*.py"))


@pytest.fixture(scope="module")
def notebooks():
    """Return the module that changes the notebooks of the documentation."""
    pytest.importorskip("sphinx_gallery", exc_type=ImportError)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER.parent / "docs" / "_ext"))
        import notebooks

        yield notebooks
    sys.modules.pop("notebooks")


def cells(path):
    """Return the code cells of a script."""
    return [ast.parse(cell) for cell in re.split(r"^# %%.*$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)]


def calls(tree, name):
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == name]


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_cell_saves_one_picture_at_most(path):
    for cell in cells(path):
        assert len(calls(cell, "save_figure")) <= 1
        for loop in ast.walk(cell):
            assert not isinstance(loop, ast.For | ast.While) or not calls(loop, "save_figure")


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_cell_ends_with_nothing_that_a_notebook_would_display(path):
    silent = {"print", "save_figure", *functions_without_result(path)}
    for cell in cells(path):
        last = cell.body[-1] if cell.body else None
        if isinstance(last, ast.Expr) and isinstance(last.value, ast.Call):
            name = ast.unparse(last.value.func)
            assert name in silent or name.endswith((".cleanup", ".append")), ast.unparse(last)


def functions_without_result(path):
    """Return the functions of a script that are annotated with ``-> None``."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef)]
    return [node.name for node in functions if node.returns is not None and ast.unparse(node.returns) == "None"]


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_the_text_of_a_notebook_is_plain(path, notebooks):
    for site in ("", "https://example.org/course/"):
        for cell in notebook_of(path, notebooks, site)["cells"]:
            if cell["cell_type"] == "markdown":
                text = re.sub(r"``.+?``", "", "".join(cell["source"]))
                assert not re.search(r":\w+:`|^\.\. ", text, re.MULTILINE)


def notebook_of(path, notebooks, site=""):
    """Return the notebook of a script as the documentation builds it."""
    from sphinx_gallery import gen_gallery, notebook
    from sphinx_gallery.py_source_parser import split_code_and_text_blocks

    conf = {**gen_gallery.DEFAULT_GALLERY_CONF, "first_notebook_cell": notebooks.install_cell("<URL>")}
    with pytest.MonkeyPatch.context() as patch:
        markdown = notebooks.convert
        patch.setattr(notebook, "rst2md", lambda *words: notebooks.plain_markdown(markdown(*words), site))
        return notebook.jupyter_notebook(split_code_and_text_blocks(str(path))[1], conf, str(path.parent))


def test_pages_become_links_or_words(notebooks):
    text = "one line on :doc:`the page\nof terms </terms>`: 10\\ :sup:`40`"
    assert notebooks.plain_markdown(text, "") == "one line on the page of terms: 10\\ <sup>40</sup>"
    assert "[the page of terms](https://a.org/b/terms.html)" in notebooks.plain_markdown(text, "https://a.org/b/")
    text = "Before.\n\n.. widget:: convolution\n\n   Move the\n   kernel.\n\nAfter.\n"
    assert notebooks.plain_markdown(text, "") == "Before.\n\n*Move the kernel.*\nAfter.\n"


def run_first_cell(notebooks, monkeypatch, tmp_path, found, repository="https://a.org/b.git"):
    """Run the cell that installs and return the commands that it gave."""
    commands = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(subprocess, "run", lambda words, check: commands.append(words))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: found)
    monkeypatch.setattr(sys, "path", list(sys.path))
    exec(notebooks.install_cell(repository), {})
    return commands


def test_the_first_cell_installs_a_clone(notebooks, monkeypatch, tmp_path):
    clone, install = run_first_cell(notebooks, monkeypatch, tmp_path, None)
    assert clone[:2] == ["git", "clone"]
    assert clone[-2:] == ["https://a.org/b.git", "scratchnet-course"]
    assert install == [sys.executable, "-m", "pip", "install", "--quiet", "--editable", "scratchnet-course"]
    with pytest.raises(SystemExit, match="Write the address"):
        run_first_cell(notebooks, monkeypatch, tmp_path, None, "<URL of this repository>")


def test_the_first_cell_does_nothing_where_scratchnet_is_installed(notebooks, monkeypatch, tmp_path):
    assert run_first_cell(notebooks, monkeypatch, tmp_path, importlib.util.find_spec("scratchnet")) == []


@pytest.mark.parametrize("number", [3, 7, 9])
def test_a_notebook_shows_every_picture_that_the_script_saves(number, notebooks, monkeypatch, tmp_path):
    client = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    import nbformat

    monkeypatch.setenv("SCRATCHNET_LESSONS", "fast")
    monkeypatch.setenv("PYTHONPATH", str(FOLDER.parent))
    (path,) = FOLDER.glob(f"{number:02d}_*.py")
    book = nbformat.reads(json.dumps(notebook_of(path, notebooks)), as_version=4)
    client.NotebookClient(book, timeout=60, resources={"metadata": {"path": tmp_path}}).execute()
    outputs = [cell.outputs for cell in book.cells if cell.cell_type == "code"]
    pictures = [[kind for output in cell for kind in output.get("data", {}) if "image" in kind] for cell in outputs]
    saved = list(Path(tmp_path, "lesson-figures").iterdir())
    assert max(map(len, pictures)) == 1
    assert sorted(kind for cell in pictures for kind in cell) == sorted(f"image/{file.suffix[1:]}" for file in saved)
    assert len(saved) == path.read_text(encoding="utf-8").count("save_figure(")
    shown = "".join(str(output) for cell in outputs for output in cell)
    assert "Path(" not in shown
    assert not [output for cell in outputs for output in cell if output.output_type == "execute_result"]
