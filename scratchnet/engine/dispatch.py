"""Entry point of every operation: check the array arguments and run on their device.

An operation is written in array code that runs on NumPy and CuPy arrays. :func:`operation` makes its arguments
contiguous and checks their dtypes and shapes (see ``arguments``). The optimisations for a CPU, cutting maps into blocks
that fit a cache and distributing them over threads, would only slow down a GPU, so on CuPy arrays

- the kernel of the same name is called if there is one: for ``ops.pooling.max_pool2d`` that is
  ``ops.cuda.pooling.max_pool2d``. It takes the same arguments and returns the same result, or ``NotImplemented`` for
  arguments that it does not support;
- otherwise the operation's own code runs on whole arrays (see ``modes.whole``).
"""

from collections.abc import Callable
from functools import cache, wraps
from importlib import import_module
from typing import Any, ParamSpec, TypeVar

from scratchnet.engine.arguments import Argument, Arguments, Call
from scratchnet.engine.modes import is_textbook, whole

P = ParamSpec("P")
R = TypeVar("R")

OPERATIONS: dict[str, Arguments] = {}
"""Every operation by module and name, with the expectations on its arrays."""


def operation(
    check: Callable[..., None] | None = None, **expected: Argument | str
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a function as an operation on NumPy and CuPy arrays.

    Parameters
    ----------
    check : callable or None
        Called with the same arguments before the operation; raises a ValueError if they are inconsistent.
    **expected : Argument or str
        Expectation on each array argument; a string names the axes of a float array.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        arguments = Arguments(function, expected)
        OPERATIONS[f"{function.__module__}.{function.__name__}"] = arguments

        @wraps(function)
        def run(*given: P.args, **settings: P.kwargs) -> R:
            call = arguments.admit(given, settings)
            if check is not None:
                check(*call.given, **call.settings)
            result = _on_gpu(function, call) if call.host is False else function(*call.given, **call.settings)
            return result if call.written is None else arguments.finish(result, call.written)

        return run

    return decorate


def _on_gpu(function: Callable[..., R], call: Call) -> R:
    """Call the operation's CUDA kernel if there is one, else the operation; kernels are not called on empty batches."""
    kernel = None if is_textbook() or call.empty else find_kernel(function.__module__, function.__name__)
    if kernel is not None:
        result: R = kernel(*call.given, **call.settings)
        if result is not NotImplemented:
            return result
    with whole():
        return function(*call.given, **call.settings)


@cache
def find_kernel(module: str, name: str) -> Callable[..., Any] | None:
    """Return the function of ``ops.cuda`` that implements an operation, or None."""
    place = f"{__package__}.cuda.{module.rpartition('.')[2]}"
    try:
        return getattr(import_module(place), name, None)
    except ModuleNotFoundError as error:
        if error.name is None or not place.startswith(error.name):  # something that the kernels need
            raise
        return None
