"""What is public: the modules that ``scratchnet`` names, what each exports, and the page that lists it."""

import ast
import inspect
import pkgutil
import re
import subprocess
import sys
from importlib import import_module
from operator import attrgetter
from pathlib import Path

import pytest

import scratchnet

PAGE = Path(__file__).parent.parent / "docs" / "public.md"


def public_names(module):
    """Return what a module exports: its ``__all__``, or what it defines itself without an underscore."""
    if hasattr(module, "__all__"):
        return sorted(module.__all__)
    own = {n for n, v in vars(module).items() if getattr(v, "__module__", None) == module.__name__}
    tree = ast.parse(inspect.getsource(module))
    own |= {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    return sorted(name for name in own if not name.startswith("_"))


def page():
    """Return the page that should be there."""
    lines = ["# What is public", "", "Everything else may change without notice.", ""]
    for name in ("", *scratchnet.PUBLIC):
        module = import_module(f"scratchnet.{name}".rstrip("."))
        names = public_names(module)
        lines += [f"## {module.__name__}", "", (inspect.getdoc(module) or "").split("\n")[0], ""]
        if not names and hasattr(module, "__path__"):  # a package whose modules are public
            names = sorted(found.name for found in pkgutil.iter_modules(module.__path__))
        lines += [", ".join(f"`{n}`" for n in names), ""]
    return "\n".join(lines).rstrip() + "\n"


def test_the_page_lists_what_is_public():
    """``python -m tests.test_public`` writes the page again."""
    assert PAGE.read_text(encoding="utf-8") == page(), (
        "public names changed: python -m tests.test_public writes the page"
    )


@pytest.mark.parametrize("name", scratchnet.PUBLIC)
def test_public_modules_have_what_they_export(name):
    module = attrgetter(name)(scratchnet)
    assert module is import_module(f"scratchnet.{name}")
    assert name.partition(".")[0] in dir(scratchnet)
    for exported in public_names(module):
        assert hasattr(module, exported)
    assert module.__doc__


def test_importing_the_package_alone_imports_no_module_of_it_until_asked():
    code = (
        "import sys, scratchnet; assert not {'scratchnet.layers', 'scratchnet.training', 'PIL'} & set(sys.modules); "
        "print(scratchnet.layers.Conv2d.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "Conv2d\n"


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match=re.escape("has no attribute 'layer'; its modules are")):
        _ = scratchnet.layer


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
