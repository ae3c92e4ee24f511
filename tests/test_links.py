"""Names, files and links in prose lead somewhere: in docstrings, comments, messages, lessons and pages."""

import inspect
import io
import re
import tokenize
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import scratchnet

ROOT = Path(__file__).parent.parent
FOLDERS = ("scratchnet", "benchmarks", "lessons", "tests")
PROGRAMS = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py") if path != Path(__file__))
PAGES = sorted(
    path
    for folder in (".", "docs", "benchmarks", "data")
    for path in (ROOT / folder).glob("*.*")
    if path.suffix in (".md", ".rst") and path.name != "CHANGELOG.md"  # which names what has gone
)
PACKAGES = "|".join(module.name for module in iter_modules(scratchnet.__path__))
FILE_SUFFIX = r"\.(py|md|cu|css|txt|toml)$"

INVENTED = {"scratchnet.ops.nothing", "scratchnet.plain"}
"""Names that are no modules: a test makes one up, and one is a handler of encoding errors."""

WRITTEN = {"config.toml", "run/config.toml"}
"""Files that programs write."""


@cache
def prose(path):
    """Return the text of a page, or the comments and strings of a program."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        return text
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return "\n".join(token.string for token in tokens if token.type in (tokenize.COMMENT, tokenize.STRING))


def lost(paths, search):
    """Return what ``search(path)`` yields for each file, without the files that yield nothing."""
    found = {str(path.relative_to(ROOT)): sorted(set(search(path))) for path in paths}
    return {path: names for path, names in found.items() if names}


@cache
def leads_somewhere(name):
    """Return whether a dotted name is that of a module, or of something in a module."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found = import_module(".".join(parts[:end]))
        except ImportError:
            continue
        return has(found, parts[end:])
    return False


def has(found, names):
    """Return whether an object has the first attribute, that one the second and so on."""
    for name in names:
        if not hasattr(found, name) and not sets_attribute(found, name):
            return False
        found = getattr(found, name, None)
    return True


def sets_attribute(kind, name):
    """Return whether a class of the repository annotates an attribute, or sets it on its objects."""
    own = inspect.isclass(kind) and kind.__module__.partition(".")[0] in FOLDERS
    return own and (name in inspect.get_annotations(kind) or f"self.{name}" in inspect.getsource(kind))


def names_that_do_not_exist(path):
    """Find the names ``scratchnet.…`` and, in backticks, ``layers.…`` and the like, without a module or function."""
    dotted = r"(?:\.[A-Za-z_]\w*)+"
    names = re.findall(rf"(?<![\w/.-])(?:scratchnet|benchmarks){dotted}(?![\w-]*/)", prose(path))
    names += [f"scratchnet.{name}" for name in re.findall(rf"`((?:{PACKAGES}){dotted})`", prose(path))]
    for name in names:
        if name not in INVENTED and not re.search(FILE_SUFFIX, name) and not leads_somewhere(name):
            yield name


def test_names_of_modules_and_functions_exist():
    assert lost([*PROGRAMS, *PAGES], names_that_do_not_exist) == {}


def references_that_lead_nowhere(path):
    """Find the cross-references, ``:func:`name``` or ``:meth:`text <name>```, whose target does not exist."""
    for role, text in re.findall(r":(func|class|meth|attr|data|mod|exc):`([^`]+)`", prose(path)):
        name = text.rpartition("<")[2].strip("~>. ").removesuffix("()")
        if not leads_somewhere(name) and not is_known_in(path, name):
            yield f"{role} {text}"


def is_known_in(path, name):
    """Return whether a module has something of this name: itself, in one of its classes, or next to it."""
    module = import_module(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))
    holders = [module, *(value for value in vars(module).values() if inspect.isclass(value))]
    public = [import_module(f"scratchnet.{package}") for package in scratchnet.PUBLIC]
    parts = name.split(".")
    return any(has(holder, parts) for holder in (*holders, *public)) or leads_somewhere(f"{module.__package__}.{name}")


def test_cross_references_lead_somewhere():
    assert lost(PROGRAMS, references_that_lead_nowhere) == {}


@cache
def defined_names():
    """Return the names of all modules, functions, classes and constants of the repository's programs."""
    names = {path.stem for path in PROGRAMS}
    for path in PROGRAMS:
        text = path.read_text(encoding="utf-8")
        names.update(re.findall(r"^ *(?:def|class) (\w+)", text, re.MULTILINE))
        names.update(re.findall(r"^(\w+)(?:: .*)? = ", text, re.MULTILINE))
    return names


def names_that_are_not_defined(path):
    """Find the names after "see", in backticks without a role, that nothing in the repository has."""
    for name in re.findall(r"\bsee `{1,2}([A-Za-z_]\w+)`", prose(path)):
        if name not in defined_names():
            yield name


def test_names_after_see_are_defined():
    assert lost(PROGRAMS, names_that_are_not_defined) == {}


def files_that_do_not_exist(path):
    """Find the files in backticks that are not in the repository; a name without a folder may be in any."""
    roots = ROOT, path.parent, ROOT / "scratchnet", ROOT / "tests"
    for name in re.findall(r"`((?:[\w.-]+/)*[\w-]+\.(?:py|md|cu|toml))`", prose(path)):
        exists = any((root / name).exists() for root in roots) or name in file_names()
        if not exists and name not in WRITTEN and "NN" not in name:
            yield name


@cache
def file_names():
    """Return the names of all files of the repository's own folders, without their folders."""
    folders = [ROOT / folder for folder in (*FOLDERS, "docs")]
    return {path.name for folder in folders for path in folder.rglob("*.*") if "_build" not in path.parts}


def test_files_in_prose_exist():
    assert lost([*PROGRAMS, *PAGES], files_that_do_not_exist) == {}


def links_that_lead_nowhere(page):
    """Find the links to files that do not exist; a lesson and the index of lessons are pages as well."""
    for link in re.findall(r"\]\((?!https?:)([^)#\s]+)(?:#[^)]*)?\)", prose(page)):
        places = (
            page.parent / link,
            page.parent / f"{link}.rst",
            ROOT / f"{link}.py",
            ROOT / link.removesuffix("/index"),
        )
        if not any(place.exists() for place in places):
            yield link


def test_links_of_pages_lead_to_files():
    assert lost(PAGES, links_that_lead_nowhere) == {}


def links_that_pages_cannot_show(page):
    """Find the links of a page to folders, and to Markdown files outside the documentation."""
    for link in re.findall(r"\]\((?!https?:)([^)#\s]+)(?:#[^)]*)?\)", prose(page)):
        if (page.parent / link).is_dir() or (link.startswith("../") and link.endswith(".md")):
            yield link


def test_links_of_the_documentation_can_be_built():
    assert lost([page for page in PAGES if page.parent.name == "docs"], links_that_pages_cannot_show) == {}
