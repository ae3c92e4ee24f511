"""NVIDIA's run-time compiler, called through ctypes: it compiles CUDA C to machine code, and needs no GPU for that.

CuPy compiles with the same library. It comes alone in the wheel ``nvidia-cuda-nvrtc-cu12``.
"""

import ctypes
import importlib.util
from functools import cache
from pathlib import Path


class CompileError(RuntimeError):
    """The compiler refused the source; the message is its log."""


@cache
def library():
    """Return the loaded library, or None where the wheel is not installed."""
    for name in ("nvidia.cuda_nvrtc", "nvidia.cu13"):
        try:
            spec = importlib.util.find_spec(name)
        except ModuleNotFoundError:
            continue
        for folder in spec.submodule_search_locations if spec else ():
            found = [f for f in sorted(Path(folder).glob("lib/libnvrtc.so.*")) if ".alt." not in f.name]
            if found:
                return ctypes.CDLL(str(found[0]))
    return None


def compile_to_cubin(name, source, options):
    """Compile a source file and return the machine code and the compiler's messages.

    Parameters
    ----------
    name : str
        Of the file, as messages show it.
    source : str
    options : sequence of str
        Such as ``--gpu-architecture=sm_90`` and ``-DREAL=float``.

    Raises
    ------
    CompileError
        When the source does not compile.
    """
    nvrtc, program = library(), ctypes.c_void_p()
    _check(nvrtc.nvrtcCreateProgram(ctypes.byref(program), source.encode(), name.encode(), 0, None, None))
    try:
        words = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
        status = nvrtc.nvrtcCompileProgram(program, len(options), words)
        log = _read(program, nvrtc.nvrtcGetProgramLogSize, nvrtc.nvrtcGetProgramLog).rstrip(b"\0\n ").decode()
        if status:
            raise CompileError(f"{name} {' '.join(options)}:\n{log}")
        return _read(program, nvrtc.nvrtcGetCUBINSize, nvrtc.nvrtcGetCUBIN), log
    finally:
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))


def _read(program, get_size, get):
    size = ctypes.c_size_t()
    _check(get_size(program, ctypes.byref(size)))
    text = ctypes.create_string_buffer(size.value)
    _check(get(program, text))
    return text.raw


def _check(status):
    if status:
        raise RuntimeError(f"NVRTC returned the error {status}")
