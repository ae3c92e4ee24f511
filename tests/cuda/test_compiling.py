"""The kernels compile for the GPUs of 2020 and 2022 (A100, H100), without warnings and within the registers."""

import re
import shutil
import subprocess
from importlib.resources import files

import pytest

from scratchnet.ops.cuda import compiled

SOURCES = sorted(path.name for path in files("scratchnet.ops.cuda").iterdir() if path.name.endswith(".cu"))


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="no nvcc here")
def test_kernels_compile_for_gpus(tmp_path, dtype):
    code = "\n".join(f'#line 1 "{name}"\n{compiled.source(name.removesuffix(".cu"))}' for name in SOURCES)
    (tmp_path / "kernels.cu").write_text(code)
    targets = [f"-gencode=arch=compute_{arch},code=sm_{arch}" for arch in (80, 90)]
    options = [*compiled.options(dtype, ["SWITCH_BYTES=1"]), "-Werror=all-warnings", "-Xptxas=-v", *targets]
    done = subprocess.run(
        ["nvcc", "--fatbin", *options, "kernels.cu", "-o", "kernels.fatbin"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    spills = re.findall(r"Compiling entry function '(\w+)'.*?(\d+) bytes spill stores", done.stderr, re.DOTALL)
    assert spills
    assert [name for name, count in spills if count != "0"] == []
