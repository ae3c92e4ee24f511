"""Kernels under the address sanitizer, in a process of their own that has its library preloaded."""

import pytest

from tests.engine.cuda import sanitizer

pytestmark = pytest.mark.skipif(sanitizer.library() is None, reason="no g++ here, or none with an address sanitizer")

OUTSIDE = """
import sys
import numpy as np
from tests.engine.cuda import shim
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


@pytest.mark.parametrize(
    ("size", "shift", "report"),
    [(8, 0, "nothing found"), (7, 0, "heap-buffer-overflow"), (8, 1, "global-buffer-overflow")],
)
def test_the_sanitizer_sees_a_number_outside_an_array(size, shift, report):
    assert report in sanitizer.start("-c", OUTSIDE, str(size), str(shift)).communicate()[0]


def test_no_kernel_leaves_its_arrays(sanitized_tests):
    said, _ = sanitized_tests.communicate()
    assert sanitized_tests.returncode == 0, said
    assert " passed" in said
