"""Views for a program that do not keep pooled memory alive, so that memory no longer needed is reused."""

from typing import Any

import numpy as np

from scratchnet.engine.memory.shared import SharedMemory


def detached(value: Any) -> Any:
    """Return an array on the same memory that does not keep a pooled array alive, so that its memory can be reused."""
    if isinstance(value, tuple):
        return tuple(map(detached, value))
    if not isinstance(value, np.ndarray):
        return value
    value = value.view(np.ndarray)
    owner: Any = value
    while isinstance(owner, np.ndarray) or type(owner).__name__ == "DummyArray":
        if owner.base is None:
            return value
        owner = owner.base
    if not isinstance(owner, memoryview) or not isinstance(owner.obj, SharedMemory):
        return value  # not from a recorder's arena: it must stay alive as long as the program
    memory: Any = owner.obj
    offset = value.ctypes.data - np.frombuffer(memory, np.uint8).ctypes.data
    return np.ndarray(value.shape, value.dtype, memory, offset, value.strides)


def detached_nested(value: Any) -> Any:
    """Return nested lists and tuples with their arrays detached."""
    return type(value)(map(detached_nested, value)) if isinstance(value, list | tuple) else detached(value)
