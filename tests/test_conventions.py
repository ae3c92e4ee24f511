"""Rules that hold in every file of the package, found by reading the source."""

import ast
import inspect
import re
import textwrap
from graphlib import CycleError, TopologicalSorter
from math import inf
from pathlib import Path

import pytest

from scratchnet.layers import Buffer, Layer, Parameter
from scratchnet.layers.builtin import BUILTIN

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
    lines = {name: [call.lineno for call in calls(path) if name_of(call) == name] for name in ("start_lesson", "print")}
    assert lines["start_lesson"], f"{path}: begin with FAST = start_lesson()"
    assert min(lines["start_lesson"]) < min(lines["print"], default=inf), f"{path}: start_lesson() must come first"


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


# Sizes ----------------------------------------------------------------------------------------------------------------

MAX_FILE_LINES, MAX_FUNCTION_LINES = 350, 40
"""Limits for the package; docstrings count."""


def test_files_are_short():
    lines = {module: len(path.read_text(encoding="utf-8").splitlines()) for module, path in MODULES.items()}
    found = {module: count for module, count in lines.items() if count > MAX_FILE_LINES}
    assert found == {}, f"over {MAX_FILE_LINES} lines: divide the file by ideas"


def test_functions_are_short():
    functions = {
        (module, node.name): node.end_lineno - node.lineno + 1
        for module, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    found = {name: count for name, count in functions.items() if count > MAX_FUNCTION_LINES}
    assert found == {}, f"over {MAX_FUNCTION_LINES} lines with the docstring: give a part of it a name"


# Layers and the engine ------------------------------------------------------------------------------------------------


def assigned_attributes(node):
    """Find the attributes that a statement assigns to, also in a tuple; not their elements."""
    targets = getattr(node, "targets", [node.target] if isinstance(node, ast.AugAssign | ast.AnnAssign) else [])
    parts = [part for target in targets for part in ast.walk(target)]
    return [part for part in parts if isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store)]


def own_attributes(cls):
    """Return the attributes that a class sets on its objects."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    found = [target for node in ast.walk(tree) for target in assigned_attributes(node)]
    return {target.attr for target in found if getattr(target.value, "id", "") == "self"}


BASES = {base for cls in (*BUILTIN, Layer, Parameter, Buffer) for base in cls.__mro__[:-1]}
GUARDED = {name for cls in BASES for name in own_attributes(cls)}
"""Attributes of layers, parameters and buffers."""

OTHER_OBJECTS = {
    ("scratchnet.engine.capture.captured_network", "needs_input_grad"),  # of a capture
    ("scratchnet.engine.capture.traced_array", "setattr"),  # methods of its own class
    ("scratchnet.engine.capture.worker_processes", "value"),  # of a C variable
    ("scratchnet.engine.cpu.blas", "saved"),  # of a thread
    ("scratchnet.visualization.graph.fields", "buffers"),  # of a network
}
"""Modules and attributes of the same names that belong to something else than a layer."""


def foreign_assignments(module):
    """Find the attributes of layers and parameters that a module sets where it should call a method."""
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        for target in assigned_attributes(node):
            if target.attr in GUARDED and getattr(target.value, "id", "") not in ("self", "cls"):
                yield target.attr
        if isinstance(node, ast.Call) and name_of(node) == "setattr" and getattr(node.args[0], "id", "") != "self":
            yield "setattr"


def test_layers_and_parameters_are_changed_by_their_own_methods_alone():
    assert {"training", "frozen", "needs_input_grad", "grad_is_stale", "statistics", "value"} <= GUARDED
    modules = [module for module in MODULES if not module.startswith("scratchnet.layers")]
    found = {(module, name) for module in modules for name in foreign_assignments(module)}
    assert found - OTHER_OBJECTS == set(), "call a method of the layer (or name the object in OTHER_OBJECTS)"
    assert OTHER_OBJECTS - found == set(), "no longer needed"


FREE_OF_THE_ENGINE = r"scratchnet\.(models|layers|ops|losses|network\.(network|memory|modes|step))\b"
MAY_IMPORT = {"scratchnet.engine", "scratchnet.engine.dispatch"}


def test_operations_layers_models_and_networks_import_nothing_of_the_engine_but_the_decorator():
    """The mathematics can be read without threads, memory pools and captures."""
    engine = {name for name in MODULES if name.startswith("scratchnet.engine")} - MAY_IMPORT
    readable = {name for name in MODULES if re.match(FREE_OF_THE_ENGINE, name)}
    found = {name: imported_modules(name) & engine for name in sorted(readable)}
    assert {name: modules for name, modules in found.items() if modules} == {}


def open_emphasis(text):
    """Find lines with an asterisk that reStructuredText would take for the beginning of an emphasis without end."""
    for line in re.sub("``.*?``", "", text, flags=re.DOTALL).splitlines():
        without = re.sub(r"\*\*?[^\s*][^*]*\*\*?", "", line)
        is_parameter = re.match(r"\*+\w+ : ", line)
        if re.search(r"(^|[\s(,])\*\w", without) and not is_parameter and not line.lstrip().startswith((">>>", "...")):
            yield line


def docstrings():
    """Return (file, docstring) of every module, class and function of the package."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    return [
        (str(path.relative_to(ROOT)), ast.get_docstring(node) or "")
        for path in SOURCES
        if path.is_relative_to(ROOT / "scratchnet")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, kinds)
    ]


def test_asterisks_in_docstrings_are_code_or_closed():
    """Otherwise the pages cannot be built without warnings."""
    assert list(open_emphasis("the gradient (*kernel, c)")) == ["the gradient (*kernel, c)"]
    assert list(open_emphasis("``(*kernel, c)`` is *not* emphasis")) == []
    assert [(path, line) for path, text in docstrings() for line in open_emphasis(text)] == []


ENTRIES = {
    "Parameters": r"\*{0,2}\w+(, \*{0,2}\w+)*( : .+)?",
    "Attributes": r"\w+(, \w+)*( : .+)?",
    "Raises": r"\w+(, \w+)*",
}
"""What the first line of an entry of a section is; examples and remarks after a section need a heading of their own."""


def misplaced(text):
    """Find lines of a section that the pages would show as the name of a parameter or an error."""
    for section, body in re.findall(r"^(\w+)\n-+\n(.*?)(?=^\w+\n-+\n|\Z)", text, flags=re.DOTALL | re.MULTILINE):
        for line in body.splitlines():
            if section in ENTRIES and line[:1].strip() and not re.fullmatch(ENTRIES[section], line):
                yield f"{section}: {line}"


def test_sections_of_docstrings_have_entries_alone():
    right = "Raises\n------\nValueError\n    Never.\n\nExamples\n--------\n>>> 1\n1\n"
    assert list(misplaced(right)) == []
    assert list(misplaced(right.replace("Examples\n--------\n", ""))) == ["Raises: >>> 1"]
    assert [(path, line) for path, text in docstrings() for line in misplaced(text)] == []
