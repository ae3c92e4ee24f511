"""Look up the module that an array belongs to: NumPy or CuPy."""

from types import ModuleType

import numpy as np

from scratchnet.engine.array_types import Array


def get_array_module(array: Array) -> ModuleType:
    """Return the module (NumPy or CuPy) whose functions work on ``array``."""
    return np if isinstance(array, np.ndarray) else cupy_module()


def on_gpu(array: Array) -> bool:
    """Return whether ``array`` is on a GPU."""
    return not isinstance(array, np.ndarray)


def cupy_module() -> ModuleType:
    """Return CuPy, which is imported only when it is needed."""
    import cupy

    module: ModuleType = cupy
    return module
