"""Kernels under the address sanitizer, in a process of their own that has its library preloaded."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cuda import shim

ROOT = Path(__file__).parents[2]

OUTSIDE = """
import sys
import numpy as np
from tests.cuda import shim
source = '''
extern "C" __global__ void outside(double* x, int n) {
    __shared__ double tile[8];
    tile[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    x[threadIdx.x] = tile[(threadIdx.x + n) % 9];
}
'''
size, shift = map(int, sys.argv[1:])
x = np.zeros(size)
shim.compile(source).get_function("outside")((1,), (8,), (x, np.int32(shift)))
print("nothing found")
"""


def run(*arguments):
    """Run Python under the sanitizer; skip where there is none."""
    if not shim.has_compiler():
        pytest.skip("no g++ to compile the kernels with")
    found = subprocess.run(["g++", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    library = found.stdout.strip()
    if not Path(library).is_file():
        pytest.skip("g++ has no address sanitizer here")
    environment = {
        **os.environ,
        "LD_PRELOAD": library,
        "ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=0",  # Python keeps much until it ends
        "PYTHONPATH": str(ROOT),
        "SCRATCHNET_SANITIZED": "1",
        "SCRATCHNET_THREADS": "1",
    }
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("size", "shift", "report"),
    [(8, 0, "nothing found"), (7, 0, "heap-buffer-overflow"), (8, 1, "global-buffer-overflow")],
)
def test_the_sanitizer_sees_a_number_outside_an_array(size, shift, report):
    done = run("-c", OUTSIDE, str(size), str(shift))
    assert report in done.stdout + done.stderr


def test_no_kernel_leaves_its_arrays():
    chosen = "-m", "sanitized", "-k", "ascending and not float64"
    done = run("-m", "pytest", "-q", "-x", *chosen, "-p", "no:cacheprovider", "tests/cuda")
    assert done.returncode == 0, done.stdout + done.stderr
