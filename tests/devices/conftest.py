"""The same tests three times: on a stand-in for CuPy by array code, on it by the kernels, and on a GPU if there is one.

``pytest -m gpu`` chooses the last.
"""

import sys

import pytest

from scratchnet.engine import dispatch
from scratchnet.engine.device import array_module
from scratchnet.utils.errors import UserError
from tests.engine.cuda import shim
from tests.standin import kernels
from tests.standin.module import cupy as standin


@pytest.fixture(params=["array code", "kernels", pytest.param("gpu", marks=pytest.mark.gpu)])
def xp(request, monkeypatch):
    """A module of device arrays."""
    if request.param == "gpu":
        try:
            return array_module("gpu")
        except UserError as error:
            pytest.skip(str(error))
    monkeypatch.setitem(sys.modules, "cupy", standin)
    if request.param == "array code":
        monkeypatch.setattr(dispatch, "find_fast_form", kernels.find_no_kernel)
        return standin
    if not shim.has_compiler():
        pytest.skip("no g++ to compile the kernels with")
    kernels.install(standin, monkeypatch)
    return standin
