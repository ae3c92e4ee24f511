"""Rules that hold in every file of the package, found by reading the source."""

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted(path for folder in ("scratchnet", "benchmarks", "lessons") for path in (ROOT / folder).rglob("*.py"))
LESSONS = sorted((ROOT / "lessons").glob("[0-9]*.py"))


def calls(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


def name_of(call):
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def text_without_encoding(path):
    """Find calls that read or write text in the encoding of the machine, which is not the same everywhere."""
    for call in calls(path):
        keys = {keyword.arg for keyword in call.keywords}
        words = [word.value for word in call.args if isinstance(word, ast.Constant)]
        if name_of(call) in ("read_text", "write_text") and isinstance(call.func, ast.Attribute):
            needed = 2 if name_of(call) == "write_text" else 1
            if "encoding" not in keys and len(call.args) < needed:
                yield call.lineno
        modes = [word for word in words if isinstance(word, str) and re.fullmatch("[rwax]t?[+]?", word)]
        if name_of(call) == "open" and modes and "encoding" not in keys:
            yield call.lineno


def test_text_files_are_utf_8_everywhere():
    found = {str(path.relative_to(ROOT)): list(text_without_encoding(path)) for path in SOURCES}
    assert {path: lines for path, lines in found.items() if lines} == {}


WIDTH_FIRST = r"\{w(idth)?\}[×x]\{h|\{min\(widths\)\}[×x]|(mask|image|size)(\.shape)?\[1\]\}[×x]|fixed\[1\]\}[×x]"


def test_sizes_are_height_by_width_in_every_message():
    """As in the flags: ``--size HxW``."""
    found = [str(path) for path in SOURCES if re.search(WIDTH_FIRST, path.read_text(encoding="utf-8"))]
    assert found == []


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_lessons_begin_before_they_print(path):
    """``start_lesson`` lets a terminal without × or ≤ print what it can."""
    begin = min(call.lineno for call in calls(path) if name_of(call) == "start_lesson")
    assert begin < min(call.lineno for call in calls(path) if name_of(call) == "print")


def module_name(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_name(path): path for path in SOURCES if path.is_relative_to(ROOT / "scratchnet")}


def for_type_checkers(node):
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def imports_at_import(body):
    """Find the imports that run when a module is imported: not those of functions, nor those for type checkers."""
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif not isinstance(node, ast.FunctionDef) and not (
            isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        ):
            yield from imports_at_import(ast.iter_child_nodes(node))


def imported_modules(module):
    """Return the package's modules that a module imports, with the packages that they are in, but not its own."""
    found = set()
    for node in imports_at_import(ast.parse(MODULES[module].read_text(encoding="utf-8")).body):
        for alias in node.names:
            inner = alias.name if isinstance(node, ast.Import) else f"{node.module}.{alias.name}"
            name = inner if inner in MODULES or isinstance(node, ast.Import) else node.module
            parts = name.split(".")
            found |= {".".join(parts[:end]) for end in range(1, len(parts) + 1)}
    own = {parent for parent in MODULES if module == parent or module.startswith(f"{parent}.")}
    return (found & set(MODULES)) - own


def test_imports_form_no_cycle():
    try:
        TopologicalSorter({module: imported_modules(module) for module in MODULES}).prepare()
    except CycleError as error:
        pytest.fail(" → ".join(reversed(error.args[1])))
