"""CUDA C kernels on a CPU: their unchanged source, compiled by g++ over ``cuda_on_cpu.hpp``, run on NumPy arrays.

:func:`compile` stands in for ``cupy.RawModule``. What a GPU would let pass in silence is refused here: arguments whose
types are not the kernel's, arrays that are not contiguous, grids that are too large, a barrier that some threads skip.
"""

import ctypes
import functools
import hashlib
import math
import os
import re
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

import numpy as np

HEADER = Path(__file__).with_name("cuda_on_cpu.hpp")

SANITIZED = "SCRATCHNET_SANITIZED" in os.environ
"""Whether to compile with the address sanitizer; the process must have its library preloaded."""

LARGEST_GRID = (2**31 - 1, 65535, 65535)
LARGEST_BLOCK = (1024, 1024, 64)

_NAMES = ("bool", "float32", "float64", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)))
DTYPES = {name: np.dtype(name) for name in _NAMES}

LOCK = threading.Lock()
"""Kernels run one at a time, as their state is global."""

KERNEL = re.compile(r'extern\s+"C"\s+__global__\s+void\s+(?:__launch_bounds__\([^)]*\)\s*)?(\w+)\s*\(')

LAUNCHER = """
extern "C" bool launch_{0}(void** a, const unsigned* g, const unsigned* b, bool barriers, bool descending) {{
    return cpu::launch({0}, a, g, b, barriers, descending);
}}
extern "C" void describe_{0}(char* text) {{ cpu::describe({0}, text); }}
"""


def has_compiler():
    """Return whether kernels can be compiled here."""
    return shutil.which("g++") is not None


class Module:
    """The kernels of one source file.

    Parameters
    ----------
    source : str
    options : sequence of str
        As given to CuPy; only macros (``-D…``) mean something here.
    descending : bool
        Whether threads and blocks run from the last to the first.
    """

    def __init__(self, source, options=(), descending=False):
        self.descending = descending
        self.library = ctypes.CDLL(str(_build(source, tuple(o for o in options if o.startswith("-D")))))
        waiting = _with_barriers(source)
        self.kernels = {name: Kernel(self, name, name in waiting) for name in KERNEL.findall(source)}

    def get_function(self, name):
        """Return the kernel of that name."""
        return self.kernels[name]


class Kernel:
    """One kernel; calling it runs it, as a ``cupy.RawKernel`` is called."""

    def __init__(self, module, name, barriers):
        self.module, self.name, self.barriers = module, name, barriers
        text = ctypes.create_string_buffer(4096)
        getattr(module.library, f"describe_{name}")(text)
        self.types = text.value.decode().split()
        self.launch = getattr(module.library, f"launch_{name}")
        self.launch.restype = ctypes.c_bool

    def __call__(self, grid, block, args, shared_mem=0):
        """Run all threads of all blocks."""
        grid, block = ((*size, 1, 1)[:3] for size in (grid, block))
        for size, largest, what in ((grid, LARGEST_GRID, "grid"), (block, LARGEST_BLOCK, "block")):
            if not all(1 <= a <= b for a, b in zip(size, largest, strict=True)):
                raise ValueError(f"{self.name}: a {what} of {size}; the largest is {largest}")
        if math.prod(block) > 1024 or shared_mem:
            raise ValueError(f"{self.name}: blocks have at most 1024 threads, and no dynamic shared memory here")
        if len(args) != len(self.types):
            raise TypeError(f"{self.name}: {len(args)} arguments were given for {len(self.types)} parameters")
        values = [self._value(i, *pair) for i, pair in enumerate(zip(args, self.types, strict=True))]
        pointers = (ctypes.c_void_p * len(values))(*(ctypes.addressof(v) for v in values))
        sizes = [(ctypes.c_uint * 3)(*size) for size in (grid, block)]
        with LOCK:
            finished = self.launch(pointers, *sizes, self.barriers, self.module.descending)
        if not finished:
            raise RuntimeError(f"{self.name}: some threads of a block wait at a barrier that others never reach")

    def _value(self, i, given, wanted):
        """Return an argument as the C value that the kernel reads."""
        if isinstance(given, bool | int | float):
            given = np.dtype(type(given)).type(given)  # as CuPy: bool, 64-bit integer, double
        is_array = isinstance(given, np.ndarray)
        if is_array != wanted.startswith("*") or given.dtype != DTYPES[wanted.lstrip("*")]:
            found = f"*{given.dtype}" if is_array else given.dtype
            raise TypeError(f"{self.name}: argument {i} is {found}, the kernel's parameter {wanted}")
        if not is_array:
            return (ctypes.c_char * given.nbytes).from_buffer_copy(given.tobytes())
        if not given.flags.c_contiguous:
            raise ValueError(f"{self.name}: argument {i}, {given.shape}, is not contiguous")
        return ctypes.c_void_p(given.ctypes.data)


def compile(source, options=(), descending=False):
    """Return the module of a CUDA C source; ``module.get_function(name)(grid, block, args)`` runs a kernel of it."""
    return _module(source, tuple(options), descending)


@functools.cache
def _module(source, options, descending):
    return Module(source, options, descending)


def _with_barriers(source):
    """Return the names of the functions in which threads wait for each other, or that call such a function."""
    found = {"__syncthreads"}
    source = re.sub(r"__launch_bounds__\([^)]*\)", "", source)
    for function in re.split(r"^(?=__device__|extern)", source, flags=re.MULTILINE):  # callers stand below
        if re.search(rf"\b({'|'.join(found)})\s*\(", function):
            found |= set(re.findall(r"^[^(]*\b(\w+)\s*\(", function))
    return found


def _build(source, macros):
    """Compile once: the shared library is kept in the folder for temporary files under a name made of its content."""
    # -Bsymbolic: a kernel that is called like a function of the C library (index, say) is still the kernel.
    flags = ["-std=c++17", "-shared", "-fPIC", "-Wl,-Bsymbolic", "-O1", "-U_FORTIFY_SOURCE", "-w"]
    if SANITIZED:
        flags += ["-g", "-fsanitize=address"]
    launchers = "".join(LAUNCHER.format(name) for name in KERNEL.findall(source))
    text = f'#include "{HEADER.name}"\n#line 1 "kernels.cu"\n{source}\n{launchers}'
    key = hashlib.sha256("\0".join([text, HEADER.read_text(), *flags, *macros]).encode()).hexdigest()[:20]
    folder = Path(tempfile.gettempdir()) / f"scratchnet-kernels-{os.getuid()}"
    library = folder / f"{key}.so"
    if not library.exists():
        folder.mkdir(mode=0o700, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as work:
            (Path(work) / "kernels.cpp").write_text(text)
            command = ["g++", *flags, *macros, f"-I{HEADER.parent}", f"{work}/kernels.cpp", "-o", f"{work}/kernels.so"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(f"g++ does not compile the kernels:\n{done.stderr}")
            Path(f"{work}/kernels.so").replace(library)
    return library
