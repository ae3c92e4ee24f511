"""Check the input of a network."""

from scratchnet.arrays import Array, on_gpu


def check_input(x: Array, channels: int, values: Array) -> None:
    """Refuse an input with other channels than the network's, or another dtype or device than its parameters."""
    if not hasattr(x, "dtype"):
        raise TypeError(f"network: expected an array, got a {type(x).__name__}; use numpy.asarray(x, numpy.float32)")
    if x.ndim != 4 or x.shape[3] != channels:
        raise ValueError(f"network: expected input (n, h, w, {channels}), got {x.shape}")
    if x.dtype != values.dtype:
        raise ValueError(f"network: expected {values.dtype} input, got {x.dtype}; use x.astype(numpy.{values.dtype})")
    if on_gpu(x) != on_gpu(values):
        here, there = ("a GPU", "the CPU") if on_gpu(x) else ("the CPU", "a GPU")
        raise ValueError(f"network: the input is on {here}, but the network on {there}; use to_device_of or net.to")
