"""The launchers of the GPU's kernels, run on NumPy arrays: CuPy's compiler is replaced by the stand."""

import numpy as np
import pytest

from scratchnet.engine.cuda import compiled, gemm
from scratchnet.engine.memory import pool as pool_module
from tests.engine.cuda import cublas, sanitizer, shim


class Guarded(pool_module.Pool):
    """Memory with a border of NaN on both sides, which must not be written, and NaN inside until it is."""

    border = 64

    def __init__(self):
        super().__init__()
        self.blocks = []

    def array(self, shape, dtype):
        """Return an array in the middle of a new block."""
        size = int(np.prod(shape)) * dtype.itemsize
        if shim.SANITIZED:  # it has borders of its own
            return np.full(size, 255, np.uint8).view(dtype).reshape(shape)
        block = np.full(size + 2 * self.border, 255, np.uint8)
        self.blocks.append(block)
        return block[self.border : self.border + size].view(dtype).reshape(shape)

    def check(self):
        """Fail when something was written outside an array."""
        for block in self.blocks:
            assert (block[: self.border] == 255).all(), "written in front of an array"
            assert (block[-self.border :] == 255).all(), "written behind an array"


@pytest.fixture(params=["ascending", "descending"])
def kernels(request, monkeypatch):
    """Let the launchers run their kernels on NumPy arrays, the threads in both orders."""
    if not shim.has_compiler():
        pytest.skip("no g++ to compile the kernels with")

    def kernel(file, name, options):
        module = shim.compile(compiled.source(file), options, request.param == "descending")
        return module.get_function(name)

    monkeypatch.setattr(compiled, "_kernel", kernel)
    monkeypatch.setattr(gemm, "_address", lambda array: array.ctypes.data)
    monkeypatch.setattr(gemm, "_cublas", lambda: (cublas, cublas.get_cublas_handle()))
    guarded = Guarded()
    with pool_module.allocate_from(guarded):
        yield
    guarded.check()


@pytest.fixture(scope="session", autouse=True)
def sanitized_tests(request):
    """The run under the address sanitizer: on another core, while the tests before the one that asks for it go on."""
    chosen = any(item.name == "test_no_kernel_leaves_its_arrays" for item in request.session.items)
    process = sanitizer.start_tests() if chosen and not shim.SANITIZED and sanitizer.library() else None
    yield process
    if process and process.returncode is None:
        process.kill()
        process.communicate()
