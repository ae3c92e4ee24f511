"""Max-pooling and unpooling on a GPU: one pass each (see ``pooling.cu``)."""

from scratchnet.arrays import Array
from scratchnet.engine.cuda.compiled import contiguous, launch, row_launch
from scratchnet.engine.memory.pool import pooled_empty
from scratchnet.engine.pooling_outputs import empty_outputs
from scratchnet.ops.geometry import Pair
from scratchnet.ops.switches import Switches


def max_pool2d(
    x: Array,
    kernel: int | Pair,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
    ceil_mode: bool = False,
) -> tuple[Array, Switches]:
    """Keep the maximum of every window and remember where it was."""
    (x,) = contiguous(x)
    y, switches = empty_outputs(x, kernel, stride, padding, ceil_mode)
    _launch("max_pool", y, switches, x, y, switches.index)
    return y, switches


def max_unpool2d(x: Array, switches: Switches) -> Array:
    """Put every value where its switch says, zeros elsewhere, sums where several windows chose one pixel."""
    x, index = contiguous(x, switches.index)
    y = pooled_empty(x, (len(x), *switches.size, x.shape[3]))
    _launch("max_unpool", y, switches, x, index, y)
    return y


def max_unpool2d_backward(dy: Array, switches: Switches) -> Array:
    """Read the gradient at each switch."""
    dy, index = contiguous(dy, switches.index)
    dx = pooled_empty(dy, index.shape)
    _launch("max_unpool_backward", dx, switches, dy, index, dx)
    return dx


def _launch(name: str, result: Array, switches: Switches, *arrays: Array) -> None:
    """Run a kernel with one thread for each element of ``result``."""
    n, rows, columns, c = result.shape
    grid, block = row_launch(n * rows, columns * c)
    sizes = (n * rows, *switches.size, c, *switches.index.shape[1:3])
    settings = (*switches.kernel, *switches.stride, *switches.padding)
    macros = [f"SWITCH_BYTES={switches.index.itemsize}"]
    launch("pooling", name, result.dtype, grid, block, *arrays, *sizes, *settings, macros=macros)
