"""im2col and col2im kernels against the CPU's columns."""

import numpy as np
import pytest

from scratchnet.engine.cpu import im2col
from scratchnet.engine.cpu.blocks import Block
from scratchnet.engine.cuda import columns as cuda
from scratchnet.engine.cuda import compiled
from scratchnet.ops.geometry import ConvSpec
from tests.compare import assert_close, numbers
from tests.engine.cuda import shim

CASES = [
    ((2, 6, 7, 3), (3, 3), (1, 1), (1, 1), (1, 1)),
    ((1, 9, 8, 2), (4, 4), (2, 2), (1, 1), (1, 1)),
    ((1, 11, 12, 5), (3, 2), (2, 3), (0, 2), (3, 2)),
    ((2, 5, 5, 1), (1, 1), (2, 2), (0, 0), (1, 1)),
    ((1, 7, 7, 4), (7, 7), (1, 1), (0, 0), (1, 1)),
    pytest.param((1, 6, 6, 130), (3, 3), (3, 1), (1, 0), (2, 1), marks=pytest.mark.sanitized),
]


@pytest.mark.parametrize(("shape", "kernel", "stride", "padding", "dilation"), CASES)
def test_columns_and_their_adjoint(kernels, dtype, shape, kernel, stride, padding, dilation):
    conv = ConvSpec(kernel, stride, padding, dilation, 1)
    output = conv.output_size(*shape[1:3])
    x = numbers(*shape, dtype=dtype)
    found = cuda.im2col(x, conv, output)
    np.testing.assert_array_equal(found, im2col.columns(x, conv, Block(0, shape[0], 0, output[0], 0, output[1]))[0])
    upstream = numbers(*found.shape, seed=1, dtype=dtype)
    dx = np.full_like(x, np.nan)
    cuda.col2im(upstream, conv, output, dx)
    # col2im is the transposed matrix: with a weight of one it is the gradient by the input of "take these columns".
    weight = np.eye(found.shape[1], dtype=dtype).reshape(*kernel, shape[3], -1)
    gradients = upstream.reshape(shape[0], *output, -1)
    assert_close(dx, im2col.input_gradient(gradients, weight, shape[1:3], conv), dtype)


@pytest.mark.parametrize("rows", [0, 1, 7, 256, 70_000, compiled.MAX_ROWS])
@pytest.mark.parametrize("width", [0, 1, 3, 64, 1000, compiled.MAX_ROW_ELEMENTS])
def test_grids_reach_every_row_and_stay_within_what_a_gpu_starts_and_counts(rows, width):
    grid, block = compiled.row_launch(rows, width)
    assert np.prod(block) == compiled.THREADS
    assert all(size <= largest for size, largest in zip(grid, shim.LARGEST_GRID, strict=False))
    assert grid[0] * block[1] >= rows
    assert grid[0] * block[1] <= 2**31  # the last thread's row, counted in 32 bits
    assert (grid[1] > 0) == (width > 0)
    assert width + grid[1] * block[0] < 2**31  # where the last step ends


@pytest.mark.parametrize(("rows", "width"), [(compiled.MAX_ROWS + 1, 1), (1, compiled.MAX_ROW_ELEMENTS + 1)])
def test_more_than_a_kernel_counts_is_refused(rows, width):
    with pytest.raises(ValueError, match=r"larger than a GPU kernel can count \(2147483392 rows of 1073741824\)"):
        compiled.row_launch(rows, width)
