"""Array basics: the module an array belongs to, copies between host and device, and seeded random streams."""

from scratchnet.engine.array_module import get_array_module, on_gpu
from scratchnet.engine.array_types import AllReduce, Array
from scratchnet.engine.transfer import constants, read_scalars, to_device_of, to_host, to_scalar
from scratchnet.utils.seeding import generator

__all__ = [
    "AllReduce",
    "Array",
    "constants",
    "generator",
    "get_array_module",
    "on_gpu",
    "read_scalars",
    "to_device_of",
    "to_host",
    "to_scalar",
]
