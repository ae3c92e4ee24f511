"""Everything that belongs to a layer, an operation, a model or a lesson is there.

A failing test names the file that still lacks something. ``docs/contributing.md`` says what to write there.
"""

import inspect
import re
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import get_args

import numpy as np
import pytest

from benchmarks.harness.torch_network import TORCH_LAYERS
from scratchnet import layers, models, ops
from scratchnet.engine.arguments import Arguments
from scratchnet.engine.dispatch import OPERATIONS
from scratchnet.gradcheck import all_cases
from scratchnet.interop.onnx_layers import LAYERS, UNTRANSLATABLE
from scratchnet.layers import Layer
from scratchnet.layers.builtin import BUILTIN, known_kind
from scratchnet.layers.description import LayerKind
from scratchnet.models import MODELS
from scratchnet.network import Network
from scratchnet.training import load_network, save_network
from tests.compare import numbers
from tests.layer_cases import CASES, EVEN, SETTINGS, TORCH, C, prepared
from tests.models.test_models import SMALL
from tests.models.test_overfitting import PICTURES
from tests.ops.operation_cases import CASES as OPERATION_CASES

ROOT = Path(__file__).parent.parent

for _info in iter_modules(ops.__path__):  # also a file that no layer imports yet
    import_module(f"scratchnet.ops.{_info.name}")


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def names_of(cases):
    """Return the name of the function that each case calls, under its own decorators or a wrapper of the table."""
    functions = [f for case in cases for f in (case.function, getattr(case.function, "__wrapped__", case.function))]
    return {f"{f.__module__}.{f.__name__}" for f in functions}


def all_hold(*facts):
    """Fail with the message of every fact that does not hold, so that everything missing is reported at once."""
    missing = [message for holds, message in facts if not holds]
    assert not missing, "\n".join(["", *missing])


# Layers ---------------------------------------------------------------------------------------------------------------


def defined_layers():
    """Return the layer classes in the files of ``scratchnet/layers``, exported or not."""
    found = {}
    for info in iter_modules(layers.__path__):
        module = import_module(f"scratchnet.layers.{info.name}")
        for name, value in vars(module).items():
            own = isinstance(value, type) and issubclass(value, Layer) and value.__module__ == module.__name__
            if own and not name.startswith("_") and value is not Layer:
                found[name] = value
    return found


DEFINED = defined_layers()
CHECKED = {re.split(r"[ ,]", case.name.partition("/")[2])[0] for case in all_cases()}


def test_the_search_finds_all_layers():
    assert set(BUILTIN) <= set(DEFINED.values())
    assert len(DEFINED) > 16


@pytest.mark.parametrize("name", DEFINED)
def test_a_layer_is_exported(name):
    assert name in layers.__all__, f"scratchnet/layers/__init__.py: import {name} and add it to __all__"
    assert f"`{name}`" in read("docs/public.md"), "python -m tests.test_public writes docs/public.md again"


@pytest.mark.parametrize("name", DEFINED)
def test_a_layer_states_what_drawings_and_captures_need(name):
    kind, file = DEFINED[name], inspect.getsourcefile(DEFINED[name])
    try:
        layer = kind(*kind.example)
    except (TypeError, ValueError) as error:
        pytest.fail(f"{file}: {name}(*example) fails ({error}); set example, the arguments for maps of four channels")
    assert known_kind(layer) != "unknown", f"{file}: {name} has a forward of its own; state its kind beside it"
    assert "capturable" in vars(kind), f"{file}: state whether {name} is capturable, see docs/contributing.md"
    assert kind.__doc__, f"{file}: {name} has no docstring"
    assert layer.describe(), f"{file}: {name}.describe() returns nothing for tables"


@pytest.mark.parametrize("kind", sorted(set(get_args(LayerKind)) - {"unknown"}))
def test_the_explorer_tells_a_story_of_every_kind(kind):
    path = "scratchnet/visualization/explorer/assets/steps.js"
    assert re.search(rf"^  {kind}\(", read(path), re.MULTILINE), f"{path}: stories has no function {kind}"


@pytest.mark.parametrize("name", DEFINED)
def test_a_layer_is_checked_against_numerical_gradients(name):
    assert name in CHECKED, (
        f"scratchnet/gradcheck/cases.py: export {name} (its example is then checked), or add a row to LAYERS"
    )


@pytest.mark.parametrize("name", DEFINED)
def test_a_layer_is_exported_to_onnx(name):
    stated = (DEFINED[name] in LAYERS) + (DEFINED[name] in UNTRANSLATABLE)
    assert stated == 1, f"scratchnet/interop/onnx_layers.py: put {name} into LAYERS, or into UNTRANSLATABLE"


@pytest.mark.parametrize("name", DEFINED)
def test_a_layer_is_in_the_table_of_layer_tests(name):
    kind, file = DEFINED[name], "tests/layer_cases.py"
    used = {type(step.layer) for make in CASES.values() for step in make().steps}
    all_hold(
        (kind in used, f"{file}: CASES has no network with {name}"),
        (kind in SETTINGS, f"{file}: SETTINGS has no row of {name}, the values that it must refuse"),
        (kind in TORCH_LAYERS or kind in TORCH, f"{file}: TORCH has no row of {name}, PyTorch's form of it"),
    )


@pytest.mark.parametrize("case", CASES)
def test_a_layer_survives_a_saved_network(case, tmp_path):
    net = CASES[case]().allocate(0)
    save_network(tmp_path / "net.npz", net)
    again = load_network(tmp_path / "net.npz")
    for step, other in zip(net.steps, again.steps, strict=True):
        said = f"scratchnet/layers: {type(step.layer).__name__} is not rebuilt from its constructor's arguments"
        assert type(other.layer) is (step.layer.saved_as or type(step.layer)), said
        assert other.layer.describe() == step.layer.describe(), said
    assert again.shapes((8, 10)) == net.shapes((8, 10))
    np.testing.assert_array_equal(again.flat().values, net.flat().values)


def test_a_forgotten_entry_is_reported_with_its_file(monkeypatch):
    """A layer without any entry fails every check above, with the name of a file."""

    class Forgotten(Layer):
        def __init__(self, rate):
            super().__init__()

        def forward(self, x):
            return x

    monkeypatch.setitem(DEFINED, "Forgotten", Forgotten)
    for check, file in {
        test_a_layer_is_exported: "scratchnet/layers/__init__.py",
        test_a_layer_states_what_drawings_and_captures_need: "test_complete.py",
        test_a_layer_is_checked_against_numerical_gradients: "scratchnet/gradcheck/cases.py",
        test_a_layer_is_exported_to_onnx: "scratchnet/interop/onnx_layers.py",
        test_a_layer_is_in_the_table_of_layer_tests: "tests/layer_cases.py",
    }.items():
        with pytest.raises((AssertionError, pytest.fail.Exception), match=re.escape(file)):
            check("Forgotten")


# Operations -----------------------------------------------------------------------------------------------------------

COMPARED_ELSEWHERE = {
    "normalization.subtract_per_channel": "tests/ops/test_batch_statistics.py",
    "updates.nesterov_update": "tests/training/test_newer_methods.py",
    "updates.shrink": "tests/training/test_newer_methods.py",
    "updates.average_update": "tests/training/test_newer_methods.py",
    "focal.focal_loss": "tests/ops/test_newer_losses.py",
    "focal.smoothed_cross_entropy": "tests/ops/test_newer_losses.py",
    "tversky.tversky_loss": "tests/ops/test_newer_losses.py",
    "pixel_factors.check_labels": "tests/test_losses.py",
}
"""Operations that no test of ``tests/ops`` calls by name, and the file with the tests of what calls them."""


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_in_the_table_of_operations(name):
    known = names_of(OPERATION_CASES.values())
    assert name in known, f"tests/ops/operation_cases.py: no case calls {name}"


@contextmanager
def noted_operations():
    """Collect the names of the operations that are called inside this block."""
    names = {id(arguments): name for name, arguments in OPERATIONS.items()}
    called, check = set(), Arguments.check

    def spy(self, given, settings):
        called.add(names.get(id(self)))
        return check(self, given, settings)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Arguments, "check", spy)
        yield called


@pytest.fixture(scope="module")
def called_by_layers():
    """Names of the operations that layers call in ``tests/layers/test_torch.py``."""
    with noted_operations() as called:
        for make in CASES.values():
            net = prepared(make, np.float64).train()
            y = net.forward(numbers(2, *EVEN, C))
            net.backward(np.ones_like(y), needs_input_grad=True)
    return called


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_compared_with_a_reference(name, called_by_layers):
    module, function = name.split(".")[-2:]
    if (elsewhere := COMPARED_ELSEWHERE.get(f"{module}.{function}")) is not None:
        assert (ROOT / elsewhere).exists()
        return
    files = [*(ROOT / "tests/ops").glob("test_*.py"), *(ROOT / "tests/engine").rglob("test_*.py")]
    texts = [file.read_text(encoding="utf-8") for file in files]
    assert name in called_by_layers or any(re.search(rf"\b{function}\b", text) for text in texts), (
        f"tests/ops/test_{module}.py: compare {function} with a loop in tests/naive.py or a formula"
    )


@pytest.fixture(scope="module")
def differentiated():
    """Names of the operations that the gradient checker's cases of operations, layers and losses call."""
    with noted_operations() as called:
        for case in all_cases():
            if not case.name.startswith("model/"):
                problem = case.make()
                output, _ = problem.forward()
                problem.backward(np.ones_like(output))
    return called


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name.endswith("_backward")])
def test_a_backward_pass_is_checked_against_numerical_gradients(name, differentiated):
    if "shared" in name:
        pytest.skip("sums over processes; tests/training/distributed compare it with one process")
    assert name in differentiated, f"scratchnet/gradcheck/cases.py: no row of OPS or LAYERS calls {name}"


# Models ---------------------------------------------------------------------------------------------------------------


def builders():
    """Return the functions in the files of ``scratchnet/models`` that take a number of classes and return a network."""
    found = {}
    for info in iter_modules(models.__path__):
        module = import_module(f"scratchnet.models.{info.name}")
        for name, function in inspect.getmembers(module, inspect.isfunction):
            own = function.__module__ == module.__name__ and not name.startswith("_")
            if own and inspect.signature(function).return_annotation is Network:
                found[name] = function
    return found


@pytest.mark.parametrize("builder", builders())
def test_a_model_is_registered(builder):
    known, file = {model.builder.__name__ for model in MODELS.values()}, "scratchnet/models/__init__.py"
    all_hold(
        (builder in known, f"{file}: MODELS has no entry of {builder}"),
        (builder in models.__all__, f"{file}: add {builder} to __all__"),
    )


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_documented_and_checked(name):
    table = read("docs/guide.md").split("## The models")[1].split("\n## ")[0]
    all_hold(
        (f"`{name}`" in table, f"docs/guide.md: the table of models has no row of {name}"),
        (name in CHECKED, f"scratchnet/gradcheck/cases.py: MODELS has no row of {name}"),
        (name in SMALL, f"tests/models/test_models.py: SMALL has no row of {name}"),
        (
            name in {key.partition(",")[0] for key in PICTURES},
            f"tests/models/test_overfitting.py: PICTURES has no row of {name}",
        ),
    )


# Lessons --------------------------------------------------------------------------------------------------------------

LESSONS = sorted((ROOT / "lessons").glob("[0-9]*.py"))


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_is_listed_solved_and_tested(path):
    solutions, tests = f"lessons/solutions/{path.name}", f"tests/lessons/test_{path.name}"
    all_hold(
        (f"(lessons/{path.name})" in read("README.md"), f"README.md: the table of lessons has no link to {path.name}"),
        ((ROOT / solutions).exists(), f"{solutions} is missing"),
        ((ROOT / tests).exists(), f"{tests} is missing"),
        (f"(lessons/{path.stem})" in read("docs/terms.md"), f"docs/terms.md: no section for {path.stem}"),
    )
