"""The kernels compile for the GPUs of 2020 and 2022 (A100, H100), without warnings and within the registers."""

import re
import shutil
import subprocess
from importlib.resources import files

import numpy as np
import pytest

from scratchnet.engine.cuda import compiled, implicit

SOURCES = sorted(path.name for path in files("scratchnet.engine.cuda").iterdir() if path.name.endswith(".cu"))
SOURCES.remove("implicit.cu")  # compiled for each size of kernel

needs_nvcc = pytest.mark.skipif(shutil.which("nvcc") is None, reason="no nvcc here")


def compile_for_gpus(folder, code, options):
    (folder / "kernels.cu").write_text(code)
    targets = [f"-gencode=arch=compute_{arch},code=sm_{arch}" for arch in (80, 90)]
    words = ["--fatbin", "--threads", "2", *options, "-Werror=all-warnings", "-Xptxas=-v"]
    done = subprocess.run(
        ["nvcc", *words, *targets, "kernels.cu", "-o", "fatbin"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    spills = re.findall(r"Compiling entry function '(\w+)'.*?(\d+) bytes spill stores", done.stderr, re.DOTALL)
    assert spills
    assert [name for name, count in spills if count != "0"] == []
    return done.stderr


@needs_nvcc
def test_kernels_compile_for_gpus(tmp_path, dtype):
    code = "\n".join(f'#line 1 "{name}"\n{compiled.source(name.removesuffix(".cu"))}' for name in SOURCES)
    compile_for_gpus(tmp_path, code, compiled.options(dtype, ["SWITCH_BYTES=1"]))


@needs_nvcc
@pytest.mark.parametrize(
    ("dtype", "kernel", "tensor_cores"),
    [("float32", 3, 0), ("float32", 7, 1), ("float64", 3, 0)],
)
def test_the_implicit_product_compiles_and_two_blocks_fit(tmp_path, dtype, kernel, tensor_cores):
    dtype = np.dtype(dtype)
    blocking = implicit.Blocking.of((kernel, kernel), 64, dtype.itemsize)
    sizes = f"KH={kernel}", f"KW={kernel}", f"OUT={blocking.out}", f"GROUP={blocking.group}"
    options = compiled.options(dtype, [*sizes, f"TENSOR_CORES={tensor_cores}"])
    output = compile_for_gpus(tmp_path, compiled.source("implicit"), options)
    shared = {int(number) for number in re.findall(r"(\d+) bytes smem", output)}
    assert shared == {implicit._shared_elements((kernel, kernel), blocking.out, blocking.group) * dtype.itemsize}
    if dtype.itemsize == 4:
        assert max(int(number) for number in re.findall(r"Used (\d+) registers", output)) <= 128  # of 65536
