"""Output arrays of max-pooling, which the CPU's form and the CUDA kernel fill."""

from scratchnet.arrays import Array
from scratchnet.engine.memory.pool import pooled_empty
from scratchnet.ops.geometry import Pair
from scratchnet.ops.switches import Switches, check_windows, switch_dtype


def empty_outputs(
    x: Array, kernel: int | Pair, stride: int | Pair | None, padding: int | Pair, ceil_mode: bool
) -> tuple[Array, Switches]:
    """Return uninitialised maxima and switches; raise a ValueError for invalid windows."""
    size, k, s, p = check_windows(x.shape, kernel, stride, padding, ceil_mode)
    shape = (len(x), *size, x.shape[3])
    return pooled_empty(x, shape), Switches(pooled_empty(x, shape, switch_dtype(k)), x.shape[1:3], k, s, p)
