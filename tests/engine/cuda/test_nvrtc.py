"""Every kernel compiles for every GPU generation, without a message. No GPU and no CUDA toolkit are needed.

``SCRATCHNET_ALL_GPUS=1`` compiles for all generations from 2018 (sm_75) to 2025 (sm_120); the default is the oldest,
the H100's and the newest.
"""

import os
import re
from importlib.resources import files
from itertools import product

import numpy as np
import pytest

from scratchnet.engine.cuda import compiled, implicit
from tests.engine.cuda import nvrtc

pytestmark = pytest.mark.skipif(
    nvrtc.library() is None, reason="no NVRTC here: pip install nvidia-cuda-nvrtc-cu12 (no GPU needed)"
)

ALL = os.environ.get("SCRATCHNET_ALL_GPUS") == "1"
GPUS = ("sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120") if ALL else ("sm_75", "sm_90", "sm_120")
KERNEL = re.compile(r'extern\s+"C"\s+__global__\s+void\s+(?:__launch_bounds__\([^)]*\)\s*)?(\w+)\s*\(')


def macros_of(file, dtype):
    """Return the sets of macros with which a file's kernels are launched."""
    if file == "pooling":
        return [["SWITCH_BYTES=1"], ["SWITCH_BYTES=2"]]
    if file != "implicit":
        return [[]]
    found = []
    for kernel, tensor_cores in product((1, 3, 7), (0, 1)):
        blocking = implicit.Blocking.of((kernel, kernel), 64 if kernel > 1 else 16, dtype.itemsize)
        if blocking is not None and not (tensor_cores and dtype == np.float64):
            sizes = f"KH={kernel}", f"KW={kernel}", f"OUT={blocking.out}", f"GROUP={blocking.group}"
            found.append([*sizes, f"TENSOR_CORES={tensor_cores}"])
    return found


FILES = sorted(p.name.removesuffix(".cu") for p in files("scratchnet.engine.cuda").iterdir() if p.name.endswith(".cu"))


@pytest.mark.parametrize("file", FILES)
def test_every_kernel_compiles_without_a_message(file, dtype):
    source = compiled.source(file)
    kernels = KERNEL.findall(source)
    assert kernels
    for macros in macros_of(file, dtype):
        for gpu in GPUS:
            options = [f"--gpu-architecture={gpu}", *compiled.options(dtype, macros)]
            cubin, log = nvrtc.compile_to_cubin(f"{file}.cu", source, options)
            assert log == "", options
            assert [name for name in kernels if name.encode() not in cubin] == [], options


def test_an_error_is_reported_with_file_and_line():
    with pytest.raises(nvrtc.CompileError, match=r"broken.cu\(2\): error"):
        nvrtc.compile_to_cubin("broken.cu", "\nnonsense;\n", ["--gpu-architecture=sm_90"])
