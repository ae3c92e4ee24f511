"""Types of arrays, and of functions on them, for annotations."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
"""A NumPy array, or a CuPy array with the same interface."""

AllReduce: TypeAlias = Callable[[Array], None]
"""Function that replaces an array in place by its sum over all processes (ranks) that share a batch.

The result is identical in every process. All must pass the same shape and dtype, on the same kind of device.
"""
