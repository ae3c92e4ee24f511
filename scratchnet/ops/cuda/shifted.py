"""Convolution at stride 1 as a few matrix products on the map itself, without a matrix of columns.

With channels last, the kw pixels that one row of a kernel sees are neighbours: kw·c numbers in one run of memory. So
the map *is* a matrix of such runs, one that starts at every pixel, and a kernel row is one matrix product with it. Two
things stand in the way.

*Borders.* The run of a pixel at the right edge goes on in the next row of pixels. So the map is copied once to a place
with zeros between the rows and images (``shifted.cu``). The products then run over all places of that grid, the zeros
too; what they give there is left behind when the result is copied out, and the bias is added on that way.

*Overlap.* Runs of neighbouring pixels overlap, which cuBLAS does not allow for the rows of a matrix: its rows must be
at least as far apart as they are long. But the runs of every kw-th pixel do not overlap. So a batch of kw products is
asked for, the s-th of them with the pixels s, s + kw, s + 2·kw, …, and each writes to its pixels of the result:

    pixels     0 1 2 3 4 5 6 7 8 …
    product 0  └─0─┘ └─3─┘ └─6─┘
    product 1    └─1─┘ └─4─┘ └─7─┘
    product 2      └─2─┘ └─5─┘ └─8─┘

One such batch a kernel row, each adding to the result of the one before: three calls make a 3×3 convolution. The
gradient by the weight is read off the same way, run by run, and that by the input is a convolution with the turned
kernel.
"""

from dataclasses import dataclass

from scratchnet.arrays import Array
from scratchnet.ops.cuda.compiled import contiguous, launch, rows_and_numbers
from scratchnet.ops.cuda.gemm import Matrices, add_parts, cut_rows, multiply
from scratchnet.ops.geometry import Convolution, Pair
from scratchnet.recycling import empty


def fits(conv: Convolution) -> bool:
    """Return whether a convolution can be computed so: stride 1, kernel rows in one run, every window over the map."""
    reach = tuple(d * (k - 1) for k, d in zip(conv.kernel, conv.dilation, strict=True))
    padded = conv.padding[0] <= reach[0] and conv.padding[1] <= reach[1]
    return conv.groups == 1 and conv.stride == (1, 1) and conv.dilation[1] == 1 and padded


@dataclass(frozen=True)
class Grid:
    """Where the pixels of a map lie that has zeros round it.

    Attributes
    ----------
    height, width : int
        Places of an image.
    front : int
        Rows of zeros in front of the first image.
    runs : int
        Products that each of the kw parts of a batch computes.
    rows : int
        All rows of places, those in front and behind included.
    starts : tuple of int
        For every kernel row, the place where the run of place 0 begins.
    """

    height: int
    width: int
    front: int
    runs: int
    rows: int
    starts: tuple[int, ...]

    @classmethod
    def of(cls, shape: tuple[int, ...], conv: Convolution, parts: int = 1) -> "Grid":
        """Lay out a map of ``shape`` (n, h, w, c); the runs come in so many equal parts."""
        n, h, w, _ = shape
        (kh, kw), (ph, pw), dh = conv.kernel, conv.padding, conv.dilation[0]
        height, width = h + ph, w + pw
        front = ph + (pw > 0)
        runs = -(-n * height * width // kw)
        runs = -(-runs // parts) * parts
        starts = tuple((front - ph + i * dh) * width - pw for i in range(kh))
        last = starts[-1] + kw * runs + kw - 1  # the end of the last run of the last kernel row
        return cls(height, width, front, runs, -(-last // width), starts)


def convolve(x: Array, weight: Array, bias: Array | None, conv: Convolution, output: Pair) -> Array:
    """Return the convolution, (n, *output, c_out)."""
    n, c = x.shape[0], x.shape[3]
    kw, c_out = weight.shape[1], weight.shape[3]
    grid = Grid.of(x.shape, conv)
    bordered = _put_border(x, grid, grid.front, grid.rows)
    (weight,) = contiguous(weight)
    wide = empty(x, (grid.runs * kw, c_out))
    out = Matrices(wide, grid.runs, c_out, step=kw * c_out, apart=c_out)
    for i, start in enumerate(grid.starts):
        runs = Matrices(bordered, grid.runs, kw * c, offset=start * c, apart=c)
        multiply(runs, Matrices(weight, kw * c, c_out, offset=i * kw * c * c_out), out, kw, add=i > 0)
    y = empty(x, (n, *output, c_out))
    launch_grid, block = rows_and_numbers(n * output[0], output[1] * c_out)
    sizes = n * output[0], grid.height, grid.width, *output, c_out, bias is not None
    given = wide, wide if bias is None else bias, y
    launch("shifted", "cut_border", x.dtype, launch_grid, block, *given, *sizes)
    return y


def weight_gradient(dy: Array, x: Array, weight: Array, conv: Convolution) -> Array:
    """Return dW as ``weight``, of which only the shape is used: every run multiplied with the gradient of its pixel.

    Zeros take the place of gradients where the grid has no output pixel. The sum goes over all pixels, so it is cut
    into a batch of parts, which are added in the end.
    """
    c = x.shape[3]
    kw, c_out = weight.shape[1], weight.shape[3]
    parts, _ = cut_rows(Grid.of(x.shape, conv).runs, kw * c, c_out)
    grid = Grid.of(x.shape, conv, parts)
    bordered = _put_border(x, grid, grid.front, grid.rows)
    slopes = _put_border(dy, grid, 0, -(-grid.runs * kw // grid.width))
    sums = empty(x, (parts, *weight.shape))
    size = grid.runs // parts
    for i, start in enumerate(grid.starts):
        out = Matrices(sums, kw * c, c_out, offset=i * kw * c * c_out, apart=weight.size)
        for s in range(kw):
            runs = Matrices(bordered, size, kw * c, offset=(start + s) * c, apart=size * kw * c)
            pixels = Matrices(slopes, size, c_out, step=kw * c_out, offset=s * c_out, apart=size * kw * c_out)
            multiply(runs, pixels, out, parts, turn_a=True, add=s > 0)
    return add_parts(sums, 0)


def _put_border(x: Array, grid: Grid, front: int, rows: int) -> Array:
    """Return the places of a grid, ``rows`` rows with ``front`` of them in front: (rows · width, c)."""
    (x,) = contiguous(x)
    n, h, w, c = x.shape
    bordered = empty(x, (rows * grid.width, c))
    launch_grid, block = rows_and_numbers(rows, grid.width * c)
    sizes = rows, front, grid.height, grid.width, n, h, w, c
    launch("shifted", "put_border", x.dtype, launch_grid, block, x, bordered, *sizes)
    return bordered
