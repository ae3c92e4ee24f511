"""Every name of CuPy's that the package uses exists in CuPy itself, where it is installed (no GPU needed)."""

import ast
import importlib
from importlib.resources import files
from pathlib import Path

import pytest

ROOTS = {"cupy": "cupy", "xp": "cupy", "cublas": "cupy.cuda.cublas"}
"""What the package calls CuPy's modules."""

MAKERS = {"get_array_module", "cupy_module"}
"""Functions that return CuPy for a GPU's array."""


def names_used(tree):
    """Yield the dotted names below CuPy's modules in a source file, such as ``cupy.cuda.Event``."""
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and id(node) not in inner:
            parts, root = [], node
            while isinstance(root, ast.Attribute):
                parts.append(root.attr)
                root = root.value
            if isinstance(root, ast.Call) and isinstance(root.func, ast.Name) and root.func.id in MAKERS:
                yield ".".join(["cupy", *reversed(parts)])
            elif isinstance(root, ast.Name) and root.id in ROOTS:
                yield ".".join([ROOTS[root.id], *reversed(parts)])


def used_in_the_package():
    """Return the places of every name: {name: [file, …]}."""
    package, found = Path(str(files("scratchnet"))), {}
    for path in sorted(package.rglob("*.py")):
        for name in names_used(ast.parse(path.read_text(encoding="utf-8"))):
            found.setdefault(name, []).append(str(path.relative_to(package)))
    return found


def owner(name):
    """Return the module of CuPy's that a name is looked up in."""
    return max((root for root in ROOTS.values() if f"{name}.".startswith(f"{root}.")), key=len)


def exists(name):
    """Return whether a dotted name exists, attribute by attribute; modules are imported on the way."""
    root, *rest = name.split(".")
    value, path = importlib.import_module(root), root
    for part in rest:
        path += f".{part}"
        if not hasattr(value, part):
            try:
                importlib.import_module(path)
            except ModuleNotFoundError:
                return False
        value = getattr(value, part)
    return True


def test_the_names_are_found():
    used = used_in_the_package()
    assert {"cupy.RawModule", "cupy.cuda.cublas.gemmStridedBatchedEx", "cupy.maximum", "cupy.asnumpy"} <= set(used)
    assert len(used) > 40


@pytest.mark.filterwarnings("default")  # CuPy's own, on machines without CUDA
@pytest.mark.parametrize("module", sorted(set(ROOTS.values())))
def test_every_name_exists_in_cupy(module):
    pytest.importorskip("cupy", reason="no CuPy here: pip install cupy-cuda12x (no GPU needed)")
    used = used_in_the_package()
    names = {name: places for name, places in used.items() if module == owner(name)}
    assert names
    try:
        missing = {name: places for name, places in names.items() if not exists(name)}
    except ImportError as error:  # CuPy loads cuBLAS when it is first asked for
        pytest.skip(f"a library of CUDA's is missing: {error}")
    assert missing == {}
