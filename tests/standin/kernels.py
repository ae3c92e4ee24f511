"""CUDA kernels and cuBLAS for the stand-in: both run on the CPU, on the memory behind its arrays."""

import types

from scratchnet.engine import dispatch
from scratchnet.engine.cuda import compiled
from tests.engine.cuda import cublas, shim
from tests.standin.array import launched, unwrap


class RawModule:
    """``cupy.RawModule``: compiled by g++ in the place of NVIDIA's compiler."""

    def __init__(self, code=None, *, path=None, options=(), backend="nvrtc", name_expressions=None):
        self._module = shim.compile(code, tuple(options))

    def get_function(self, name):
        kernel = self._module.get_function(name)

        def call(grid, block, args, *, shared_mem=0):
            launched()
            kernel(grid, block, tuple(map(unwrap, args)), shared_mem)

        return call


def multiply(*args):
    """``cupy.cuda.cublas.gemmStridedBatchedEx``."""
    launched()
    cublas.gemmStridedBatchedEx(*args)


def find_no_kernel(device, *names, find=dispatch.find_fast_form):
    """Find the fast forms of the CPU, and none on a GPU: what ``dispatch.find_fast_form`` is without kernels."""
    return None if device == "cuda" else find(device, *names)


def install(cupy, monkeypatch):
    """Give the stand-in kernels and cuBLAS until the test ends."""
    monkeypatch.setattr(cupy, "RawModule", RawModule, raising=False)
    monkeypatch.setattr(compiled, "_kernel", compiled._kernel.__wrapped__)  # a real GPU must not find these in a cache
    monkeypatch.setattr(cupy.cuda, "cublas", types.SimpleNamespace(gemmStridedBatchedEx=multiply), raising=False)
    monkeypatch.setattr(cupy.cuda, "get_cublas_handle", cublas.get_cublas_handle, raising=False)
