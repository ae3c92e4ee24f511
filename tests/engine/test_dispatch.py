"""Fast forms have the signatures of the operations that they implement."""

import inspect
from importlib import import_module
from pkgutil import iter_modules

import pytest

from scratchnet import ops
from scratchnet.engine.dispatch import OPERATIONS, find_fast_form

for _info in iter_modules(ops.__path__):
    import_module(f"scratchnet.ops.{_info.name}")


def fast_forms():
    """Return (device, module, name) of every fast form."""
    names = [name.rpartition(".") for name in OPERATIONS]
    return [
        (device, module, name)
        for device in ("cpu", "cuda")
        for module, _, name in names
        if find_fast_form(device, module, name) is not None
    ]


def test_both_devices_have_fast_forms():
    found = fast_forms()
    assert {device for device, _, _ in found} == {"cpu", "cuda"}
    assert len(found) > 40


@pytest.mark.parametrize(("device", "module", "name"), fast_forms())
def test_a_fast_form_has_the_signature_of_its_operation(device, module, name):
    def described(function):
        parameters = inspect.signature(function).parameters.values()
        return [(parameter.name, parameter.kind, parameter.default) for parameter in parameters]

    plain, fast = getattr(import_module(module), name), find_fast_form(device, module, name)
    assert described(fast) == described(plain), f"{inspect.getsourcefile(fast)}: {name}"
