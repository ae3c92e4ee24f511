"""im2col and col2im on a GPU (see ``columns.cu``)."""

from scratchnet.arrays import Array
from scratchnet.engine.cuda.compiled import contiguous, launch, row_launch, split_batch
from scratchnet.engine.memory.pool import pooled_empty
from scratchnet.ops.geometry import ConvSpec, Pair

WORKSPACE_BYTES = 1 << 30
"""Maximum bytes of columns in memory at a time; larger batches are processed in parts."""


def im2col(x: Array, conv: ConvSpec, output: Pair) -> Array:
    """Return the window of each output pixel as a row: (n·oh·ow, kh·kw·c) for an ``output`` of (oh, ow) pixels."""
    (x,) = contiguous(x)
    n, h, w, c = x.shape
    columns = pooled_empty(x, (n * output[0] * output[1], conv.kernel[0] * conv.kernel[1] * c))
    grid, block = row_launch(*columns.shape)
    launch("columns", "im2col", x.dtype, grid, block, x, columns, len(columns), h, w, c, *output, *_settings(conv))
    return columns


def col2im(columns: Array, conv: ConvSpec, output: Pair, dx: Array) -> None:
    """Write to each element of ``dx`` (n, h, w, c) the sum of all ``columns`` that :func:`im2col` copies it to."""
    n, h, w, c = dx.shape
    grid, block = row_launch(n * h, w * c)
    launch("columns", "col2im", dx.dtype, grid, block, columns, dx, n * h, h, w, c, *output, *_settings(conv))


def _settings(conv: ConvSpec) -> tuple[int, ...]:
    return (*conv.kernel, *conv.stride, *conv.padding, *conv.dilation)


def split_columns(x: Array, conv: ConvSpec, output: Pair) -> list[slice]:
    """Split a batch ``x`` so that the columns of each part fit into :data:`WORKSPACE_BYTES`."""
    row = conv.kernel[0] * conv.kernel[1] * x.shape[3] * x.itemsize
    return split_batch(len(x), output[0] * output[1] * row, WORKSPACE_BYTES)
