"""Convolution at stride 1 as matrix products of the map itself, without a matrix of columns.

With channels last, the kw pixels that one row of a kernel sees are neighbours: kw·c numbers in one run of memory. So
the map *is* a matrix of such runs, one that starts at every pixel, and one product with all kernel rows side by side
gives every run's product with each of them. What is left is to add, for every pixel, the products of kh runs that
start one below the other:

    Z[p, i] = run(p) · W[i]        y[p] = Σ_i Z[p + i rows, i]

Two things stand in the way.

*Borders.* The run of a pixel at the right edge goes on in the next row of pixels. So the map is copied once to a grid
with zeros between the rows and images (``shifted.cu``). The products run over all places of that grid, and what they
give at the zeros is left out when the sums are taken; the bias is added on that way.

*Overlap.* Runs of neighbouring pixels overlap, which cuBLAS does not allow for the rows of a matrix: its rows must be
at least as far apart as they are long. But the runs of every kw-th pixel do not overlap. So a batch of kw products is
asked for, the s-th of them with the pixels s, s + kw, s + 2·kw, …, and each writes to its pixels of the result:

    pixels     0 1 2 3 4 5 6 7 8 …
    product 0  └─0─┘ └─3─┘ └─6─┘
    product 1    └─1─┘ └─4─┘ └─7─┘
    product 2      └─2─┘ └─5─┘ └─8─┘

The gradient by the weight is the transpose of all this: the gradients are put at the places whose products they
belong to, and multiplied with the runs. That by the input is a convolution with the turned kernel.
"""

from dataclasses import dataclass

from scratchnet.arrays import Array, get_array_module
from scratchnet.engine.cuda.compiled import bias_or, contiguous, in_turns, launch, rows_and_numbers
from scratchnet.engine.cuda.gemm import Matrices, add_parts, cut_rows, multiply
from scratchnet.engine.memory.pool import pooled_empty
from scratchnet.ops.geometry import ConvSpec, Pair

WORKSPACE = 1 << 30
"""Bytes of products that are held at one time; more images than fit are done in turns."""


def fits(conv: ConvSpec) -> bool:
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
    start : int
        Where the run of the first pixel of the result begins.
    runs : int
        Products that each of the kw parts of a batch computes.
    rows : int
        All rows of places, those in front and behind included.
    """

    height: int
    width: int
    front: int
    start: int
    runs: int
    rows: int

    @classmethod
    def of(cls, shape: tuple[int, ...], conv: ConvSpec, parts: int = 1) -> "Grid":
        """Lay out a map of ``shape`` (n, h, w, c); the runs come in so many equal parts."""
        n, h, w, _ = shape
        kw, (ph, pw) = conv.kernel[1], conv.padding
        height, width = h + ph, w + pw
        front = ph + (pw > 0)
        start = (front - ph) * width - pw
        runs = -(-(n * height + ph) * width // kw)  # those of the last row of pixels end in the last row of zeros
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
    for images in _turns(x, conv, c_out):
        part, target = x[images], y[images]
        grid = Grid.of(part.shape, conv)
        runs = Matrices(_put_border(part, grid), grid.runs, kw * c, offset=grid.start * c, apart=c)
        products = pooled_empty(x, (grid.runs * kw, kh * c_out))
        out = Matrices(products, grid.runs, kh * c_out, step=kw * kh * c_out, apart=kh * c_out)
        multiply(runs, Matrices(side_by_side, kw * c, kh * c_out), out, kw)
        rows = len(part) * output[0]
        sizes = rows, grid.height, grid.width, *output, c_out, kh, conv.dilation[0], bias is not None
        arrays = products, bias_or(bias, products), target
        launch("shifted", "add_kernel_rows", x.dtype, *rows_and_numbers(rows, output[1] * c_out), *arrays, *sizes)
    return y


def weight_gradient(dy: Array, x: Array, weight: Array, conv: ConvSpec) -> Array:
    """Return dW as ``weight``, of which only the shape is used.

    The sum goes over all places, so it is cut into a batch of parts, which are added in the end.
    """
    x, dy = contiguous(x, dy)
    c, (kh, kw) = x.shape[3], conv.kernel
    c_out = weight.shape[3]
    width = kh * c_out
    total = None
    for images in _turns(x, conv, c_out):
        parts, _ = cut_rows(Grid.of(x[images].shape, conv).runs, kw * c, width)
        grid = Grid.of(x[images].shape, conv, parts)
        bordered, slopes = _put_border(x[images], grid), _stack(dy[images], grid, conv)
        sums = pooled_empty(x, (parts, kw * c, width))
        size = grid.runs // parts
        for s in range(kw):
            runs = Matrices(bordered, size, kw * c, offset=(grid.start + s) * c, apart=size * kw * c)
            places = Matrices(slopes, size, width, step=kw * width, offset=s * width, apart=size * kw * width)
            multiply(runs, places, Matrices(sums, kw * c, width, apart=kw * c * width), parts, turn_a=True, add=s > 0)
        term = add_parts(sums, 0)
        total = term if total is None else total + term
    assert total is not None  # there is an image
    dweight: Array = get_array_module(x).ascontiguousarray(total.reshape(kw, c, kh, c_out).transpose(2, 0, 1, 3))
    return dweight


def _turns(x: Array, conv: ConvSpec, c_out: int) -> list[slice]:
    """Cut a batch so that the products of so many images fit into the workspace."""
    n, h, w, _ = x.shape
    places = (h + conv.padding[0]) * (w + conv.padding[1])
    return in_turns(n, places * conv.kernel[0] * c_out * x.itemsize, WORKSPACE)


def _put_border(x: Array, grid: Grid) -> Array:
    """Return the places of the grid with the map on it: (rows · width, c)."""
    n, h, w, c = x.shape
    bordered = pooled_empty(x, (grid.rows * grid.width, c))
    sizes = grid.rows, grid.front, grid.height, grid.width, n, h, w, c
    launch("shifted", "put_border", x.dtype, *rows_and_numbers(grid.rows, grid.width * c), x, bordered, *sizes)
    return bordered


def _stack(dy: Array, grid: Grid, conv: ConvSpec) -> Array:
    """Return the gradients at the places whose products they belong to: (places, kh · c_out)."""
    (n, h, w, c), kh = dy.shape, conv.kernel[0]
    rows = -(-grid.runs * conv.kernel[1] // grid.width)
    stacked = pooled_empty(dy, (rows * grid.width, kh * c))
    sizes = rows, grid.height, grid.width, n, h, w, c, kh, conv.dilation[0]
    shape = rows_and_numbers(rows, grid.width * kh * c)
    launch("shifted", "stack_kernel_rows", dy.dtype, *shape, dy, stacked, *sizes)
    return stacked
