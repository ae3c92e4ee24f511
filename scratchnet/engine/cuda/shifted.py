"""Convolution at stride 1 as matrix products of the map itself, without a matrix of columns.

With channels last, the kw pixels in one row of a window are adjacent: a run of kw·c values in memory. The map itself is
therefore a matrix of such runs, one starting at every pixel, and one product with all kernel rows side by side
multiplies every run with each of them. It remains to add, for every pixel, the products of kh runs in consecutive rows:

    Z[p, i] = run(p) · W[i]        y[p] = Σ_i Z[p + i rows, i]

There are two difficulties.

*Borders.* The run of a pixel at the right edge continues in the next row of pixels. The map is therefore copied once to
a grid with zeros between the rows and images (``shifted.cu``). The products are computed at all positions of that grid,
and those at the zeros are ignored in the sums, which also add the bias.

*Overlap.* Runs of neighbouring pixels overlap, which cuBLAS does not allow for the rows of a matrix: the row stride
must be at least the length of a row. But the runs of every kw-th pixel do not overlap. So a batch of kw products is
computed, the s-th of them for the pixels s, s + kw, s + 2·kw, …, and each writes to its pixels of the result:

    pixels     0 1 2 3 4 5 6 7 8 …
    product 0  └─0─┘ └─3─┘ └─6─┘
    product 1    └─1─┘ └─4─┘ └─7─┘
    product 2      └─2─┘ └─5─┘ └─8─┘

The gradient with respect to the weight is the transpose: the output gradients are placed at the positions of the
products that they belong to, and multiplied with the runs. The gradient with respect to the input is a convolution with
the flipped kernel.
"""

from dataclasses import dataclass

from scratchnet.arrays import Array, get_array_module
from scratchnet.engine.cuda.compiled import bias_or_placeholder, contiguous, launch, row_launch, split_batch
from scratchnet.engine.cuda.gemm import Matrices, multiply, split_rows, sum_parts
from scratchnet.engine.memory.pool import pooled_empty
from scratchnet.ops.geometry import ConvSpec, Pair

WORKSPACE_BYTES = 1 << 30
"""Maximum bytes of products in memory at a time; larger batches are processed in parts."""


def fits(conv: ConvSpec) -> bool:
    """Return whether this algorithm applies: stride 1, kernel rows in one run, every window overlaps the map."""
    reach = tuple(d * (k - 1) for k, d in zip(conv.kernel, conv.dilation, strict=True))
    padded = conv.padding[0] <= reach[0] and conv.padding[1] <= reach[1]
    return conv.groups == 1 and conv.stride == (1, 1) and conv.dilation[1] == 1 and padded


@dataclass(frozen=True)
class Grid:
    """Positions of a map's pixels in memory with zeros around the map.

    Attributes
    ----------
    height, width : int
        Positions of an image.
    front : int
        Rows of zeros before the first image.
    start : int
        Position at which the run of the first pixel of the result begins.
    runs : int
        Number of products in each of the kw parts of a batch.
    rows : int
        Total number of rows, including those before and after the images.
    """

    height: int
    width: int
    front: int
    start: int
    runs: int
    rows: int

    @classmethod
    def of(cls, shape: tuple[int, ...], conv: ConvSpec, parts: int = 1) -> "Grid":
        """Lay out a map of ``shape`` (n, h, w, c), with the runs divided into ``parts`` equal parts."""
        n, h, w, _ = shape
        kw, (ph, pw) = conv.kernel[1], conv.padding
        height, width = h + ph, w + pw
        front = ph + (pw > 0)
        start = (front - ph) * width - pw
        runs = -(-(n * height + ph) * width // kw)  # runs of the last row of pixels end in the last row of zeros
        runs = -(-runs // parts) * parts
        last = start + kw * runs + kw - 1  # the end of the last run
        return cls(height, width, front, start, runs, -(-last // width))


def convolve(x: Array, weight: Array, bias: Array | None, conv: ConvSpec, output: Pair) -> Array:
    """Return the convolution, ``(n, *output, c_out)``."""
    (x,) = contiguous(x)
    c, (kh, kw) = x.shape[3], conv.kernel
    c_out = weight.shape[3]
    side_by_side = get_array_module(x).ascontiguousarray(weight.transpose(1, 2, 0, 3)).reshape(kw * c, kh * c_out)
    y = pooled_empty(x, (len(x), *output, c_out))
    for images in _split_batch(x, conv, c_out):
        part, target = x[images], y[images]
        grid = Grid.of(part.shape, conv)
        runs = Matrices(_put_border(part, grid), grid.runs, kw * c, offset=grid.start * c, batch_stride=c)
        products = pooled_empty(x, (grid.runs * kw, kh * c_out))
        out = Matrices(products, grid.runs, kh * c_out, row_stride=kw * kh * c_out, batch_stride=kh * c_out)
        multiply(runs, Matrices(side_by_side, kw * c, kh * c_out), out, kw)
        rows = len(part) * output[0]
        sizes = rows, grid.height, grid.width, *output, c_out, kh, conv.dilation[0], bias is not None
        arrays = products, bias_or_placeholder(bias, products), target
        launch("shifted", "add_kernel_rows", x.dtype, *row_launch(rows, output[1] * c_out), *arrays, *sizes)
    return y


def weight_gradient(dy: Array, x: Array, weight: Array, conv: ConvSpec) -> Array:
    """Return dW with the shape of ``weight``; its values are not used.

    The sum over all positions is split into a batch of parts, which are added at the end.
    """
    x, dy = contiguous(x, dy)
    c, (kh, kw) = x.shape[3], conv.kernel
    c_out = weight.shape[3]
    width = kh * c_out
    total = None
    for images in _split_batch(x, conv, c_out):
        parts, _ = split_rows(Grid.of(x[images].shape, conv).runs, kw * c, width)
        grid = Grid.of(x[images].shape, conv, parts)
        bordered, gradients = _put_border(x[images], grid), _stack(dy[images], grid, conv)
        sums = pooled_empty(x, (parts, kw * c, width))
        size = grid.runs // parts
        for s in range(kw):
            runs = Matrices(bordered, size, kw * c, offset=(grid.start + s) * c, batch_stride=size * kw * c)
            places = Matrices(
                gradients, size, width, row_stride=kw * width, offset=s * width, batch_stride=size * kw * width
            )
            multiply(
                runs,
                places,
                Matrices(sums, kw * c, width, batch_stride=kw * c * width),
                parts,
                transpose_a=True,
                add=s > 0,
            )
        term = sum_parts(sums, 0)
        total = term if total is None else total + term
    assert total is not None  # there is an image
    dweight: Array = get_array_module(x).ascontiguousarray(total.reshape(kw, c, kh, c_out).transpose(2, 0, 1, 3))
    return dweight


def _split_batch(x: Array, conv: ConvSpec, c_out: int) -> list[slice]:
    """Split a batch so that the products of each part fit into the workspace."""
    n, h, w, _ = x.shape
    positions = (h + conv.padding[0]) * (w + conv.padding[1])
    return split_batch(n, positions * conv.kernel[0] * c_out * x.itemsize, WORKSPACE_BYTES)


def _put_border(x: Array, grid: Grid) -> Array:
    """Return the map on the grid, with zeros around it: (rows · width, c)."""
    n, h, w, c = x.shape
    bordered = pooled_empty(x, (grid.rows * grid.width, c))
    sizes = grid.rows, grid.front, grid.height, grid.width, n, h, w, c
    launch("shifted", "put_border", x.dtype, *row_launch(grid.rows, grid.width * c), x, bordered, *sizes)
    return bordered


def _stack(dy: Array, grid: Grid, conv: ConvSpec) -> Array:
    """Return the gradients at the positions of the products that they belong to: (positions, kh · c_out)."""
    (n, h, w, c), kh = dy.shape, conv.kernel[0]
    rows = -(-grid.runs * conv.kernel[1] // grid.width)
    stacked = pooled_empty(dy, (rows * grid.width, kh * c))
    sizes = rows, grid.height, grid.width, n, h, w, c, kh, conv.dilation[0]
    shape = row_launch(rows, grid.width * kh * c)
    launch("shifted", "stack_kernel_rows", dy.dtype, *shape, dy, stacked, *sizes)
    return stacked
