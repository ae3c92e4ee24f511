"""One source for CPU and GPU: the one place where an operation finds out where its arrays are.

An operation is written in array code that runs on NumPy and on CuPy arrays. What it does for a CPU's sake, cutting maps
into blocks that fit a cache and handing them to threads, would only make a GPU wait, so on CuPy arrays

- the kernel of the same name is called if there is one: ``ops.pooling.max_pool2d`` becomes
  ``ops.cuda.pooling.max_pool2d``, a function that takes the same arguments and returns the same, or
  ``NotImplemented`` where it does not serve such arguments;
- otherwise the operation's own code runs on whole arrays (see ``modes.whole``).

NumPy arrays never notice.
"""

from collections.abc import Callable
from functools import cache, wraps
from importlib import import_module
from typing import Any, ParamSpec, TypeVar

import numpy as np

from scratchnet.modes import is_textbook, whole

P = ParamSpec("P")
R = TypeVar("R")


def on_any_device(operation: Callable[P, R]) -> Callable[P, R]:
    """Let an operation take CuPy arrays too; its first argument tells where it works."""

    @wraps(operation)
    def run(*arguments: P.args, **settings: P.kwargs) -> R:
        first = arguments[0] if arguments else next(iter(settings.values()))
        if isinstance(first, np.ndarray):
            return operation(*arguments, **settings)
        kernel = None if is_textbook() else find_kernel(operation.__module__, operation.__name__)
        if kernel is not None:
            result: R = kernel(*arguments, **settings)
            if result is not NotImplemented:
                return result
        with whole():
            return operation(*arguments, **settings)

    return run


@cache
def find_kernel(module: str, name: str) -> Callable[..., Any] | None:
    """Return the function of ``ops.cuda`` that does an operation's work, or None."""
    place = f"{__package__}.cuda.{module.rpartition('.')[2]}"
    try:
        return getattr(import_module(place), name, None)
    except ModuleNotFoundError as error:
        if error.name is None or not place.startswith(error.name):  # something that the kernels need
            raise
        return None
