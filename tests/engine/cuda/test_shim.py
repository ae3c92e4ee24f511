"""The stand for CUDA kernels itself: it must run right kernels right, and show the usual mistakes."""

import numpy as np
import pytest

from tests.engine.cuda import shim

pytestmark = pytest.mark.skipif(not shim.has_compiler(), reason="no g++ to compile the kernels with")

REVERSE = """
extern "C" __global__ void reverse(const REAL* __restrict__ x, REAL* __restrict__ y, int n) {
    __shared__ REAL tile[64];
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    tile[threadIdx.x] = i < n ? x[i] : REAL(0);
    BARRIER
    if (i < n) y[i] = tile[min((int)blockDim.x, n - (int)(blockIdx.x * blockDim.x)) - 1 - threadIdx.x];
}
"""

INDEX = """
extern "C" __global__ void index(long long* out) {
    const int block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    const int thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
    out[block * blockDim.x * blockDim.y * blockDim.z + thread] = 1000 * block + thread;
}
"""

LAST = """
extern "C" __global__ void last(int* out) { *out = blockIdx.x * blockDim.x + threadIdx.x; }
"""

STALE = """
extern "C" __global__ void stale(double* out) {
    __shared__ double kept[4];
    out[blockIdx.x * 4 + threadIdx.x] = kept[threadIdx.x];
    kept[threadIdx.x] = 1;
}
"""

SKIPPED = """
extern "C" __global__ void skipped(int n) {
    if (threadIdx.x < n) return;
    __syncthreads();
}
"""


@pytest.mark.parametrize("descending", [False, True])
def test_threads_meet_at_a_barrier(dtype, descending):
    x = np.arange(40, dtype=dtype)
    y = np.full_like(x, np.nan)
    source = REVERSE.replace("BARRIER", "__syncthreads();")
    options = (f"-DREAL={'float' if dtype == np.float32 else 'double'}",)
    shim.compile(source, options, descending).get_function("reverse")((3,), (16,), (x, y, np.int32(40)))
    np.testing.assert_array_equal(y, np.concatenate([x[15::-1], x[31:15:-1], x[:31:-1]]))


def test_a_missing_barrier_shows_in_one_order():
    x, found = np.arange(1.0, 17.0), []
    for descending in (False, True):
        y = np.zeros_like(x)
        kernel = shim.compile(REVERSE.replace("BARRIER", ""), ("-DREAL=double",), descending).get_function("reverse")
        kernel((1,), (16,), (x, y, np.int32(16)))
        found.append(np.array_equal(y, x[::-1]))
    assert found != [True, True]


def test_indices_run_through_all_three_axes():
    out = np.full(4 * 24, -1)
    shim.compile(INDEX).get_function("index")((2, 1, 2), (2, 3, 4), (out,))
    np.testing.assert_array_equal(out, [1000 * b + t for b in range(4) for t in range(24)])


def test_the_order_turns_threads_and_blocks():
    out = np.zeros(1, np.int32)
    for descending, last in ((False, 5), (True, 0)):
        shim.compile(LAST, (), descending).get_function("last")((2,), (3,), (out,))
        assert out[0] == last


@pytest.mark.skipif(shim.SANITIZED, reason="the sanitizer guards shared memory instead")
def test_shared_memory_is_not_what_the_last_block_left():
    out = np.zeros(8)
    shim.compile(STALE).get_function("stale")((2,), (4,), (out,))
    assert np.isnan(out).all()


def test_a_barrier_that_some_threads_skip_is_an_error():
    with pytest.raises(RuntimeError, match="barrier that others never reach"):
        shim.compile(SKIPPED).get_function("skipped")((1,), (8,), (np.int32(2),))


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((np.zeros(4, np.float32), np.zeros(4), np.int32(4)), r"argument 0 is \*float32"),
        ((np.zeros(4), np.zeros(4), 4), "argument 2 is int64"),
        ((np.zeros(4), np.zeros(4)), "2 arguments"),
        ((np.zeros(8)[::2], np.zeros(4), np.int32(4)), "not contiguous"),
    ],
)
def test_wrong_arguments_are_refused(args, message):
    kernel = shim.compile(REVERSE.replace("BARRIER", "__syncthreads();"), ("-DREAL=double",)).get_function("reverse")
    with pytest.raises((TypeError, ValueError), match=message):
        kernel((1,), (16,), args)


@pytest.mark.parametrize(("grid", "block"), [((1, 65536), (32,)), ((1,), (2048,)), ((0,), (32,)), ((1,), (64, 32))])
def test_sizes_that_a_gpu_refuses_are_refused(grid, block):
    with pytest.raises(ValueError, match=r"grid|block"):
        shim.compile(LAST).get_function("last")(grid, block, (np.zeros(1, np.int32),))
