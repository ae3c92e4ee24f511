"""Arrays on blocks of memory that are reclaimed when the array and all its views are freed."""

import weakref
from collections.abc import Callable
from math import prod
from typing import Any, Self

import numpy as np

from scratchnet.arrays import Array


class BlockOwner:
    """An owner of memory that places arrays on its blocks and is notified when a block is no longer in use."""

    def __init__(self) -> None:
        self.alive: dict[int, weakref.ref[Array]] = {}
        """Arrays in use, by the id of their block."""

    def array_on(
        self, block: memoryview, shape: tuple[int, ...], dtype: np.dtype[Any], reclaim: Callable[[Self], None]
    ) -> Array:
        """Return an array on ``block``; ``reclaim`` is called with the owner once the array and its views are freed."""
        whole: Array = np.frombuffer(block, dtype, prod(shape))  # its base is no array, so views refer to it directly

        owner = weakref.ref(self)  # not self: the idle memory of a discarded owner is freed at once

        def on_free(_: "weakref.ref[Array]") -> None:
            if (this := owner()) is not None:
                del this.alive[id(block)]
                reclaim(this)

        self.alive[id(block)] = weakref.ref(whole, on_free)
        return whole.reshape(shape)
