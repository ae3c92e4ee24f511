"""Entry point of every operation: check the array arguments, then run the fast form for their device or the plain one.

An operation in ``ops`` is plain array code, the textbook form of its formula on NumPy and CuPy arrays.
:func:`operation` makes its arguments contiguous, checks their dtypes and shapes (see ``arguments``), and looks up a
fast form with the same name and signature: ``engine.cpu.pooling.max_pool2d`` for ``ops.pooling.max_pool2d`` on NumPy
arrays, and ``engine.cuda.pooling.max_pool2d`` on CuPy arrays. The plain form runs

- if there is no fast form, or it returns ``NotImplemented`` for arguments that it does not support;
- in ``textbook()`` mode;
- on a GPU for batches without images, because a kernel cannot be launched with nothing to do.
"""

from collections.abc import Callable
from functools import cache, wraps
from importlib import import_module
from importlib.util import find_spec
from typing import Any, ParamSpec, TypeVar

from scratchnet.engine.argument import Argument, labels, overwritten, written
from scratchnet.engine.arguments import Arguments, CheckedCall
from scratchnet.engine.memory_layout import contiguous_copy
from scratchnet.engine.modes import is_textbook

__all__ = ["OPERATIONS", "Argument", "find_fast_form", "labels", "operation", "overwritten", "written"]

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
        views = any(argument.role == "view" for argument in arguments.expected.values())

        @wraps(function)
        def run(*given: P.args, **settings: P.kwargs) -> R:
            call = arguments.check(given, settings)
            if check is not None:
                check(*call.given, **call.settings)
            result = _compute(function, call, views)
            return result if call.written is None else arguments.write_back(result, call.written)

        return run

    return decorate


def _compute(function: Callable[..., R], call: CheckedCall, views: bool) -> R:
    """Call the fast form of an operation if there is one for these arguments, else the plain form.

    Later layers may work in place, so the plain form's results are made contiguous, unless they may be ``views``.
    """
    device = "cuda" if call.host is False else "cpu"
    if not is_textbook() and not (call.empty and device == "cuda"):
        fast = find_fast_form(device, function.__module__, function.__name__)
        if fast is not None:
            result: R = fast(*call.given, **call.settings)
            if result is not NotImplemented:
                return result
    result = function(*call.given, **call.settings)
    return result if views else _contiguous(result)


def _contiguous(result: Any) -> Any:
    """Return the result of a plain form with contiguous arrays."""
    if type(result) is tuple:
        return tuple(map(_contiguous, result))
    if hasattr(result, "flags") and not result.flags.c_contiguous:
        return contiguous_copy(result)
    return result


@cache
def find_fast_form(device: str, module: str, name: str) -> Callable[..., Any] | None:
    """Return the function of ``engine.cpu`` or ``engine.cuda`` that implements an operation, or None."""
    package, _, file = module.rpartition(".")
    if not package.endswith(".ops"):  # an operation of a user's own
        return None
    place = f"{__package__}.{device}.{file}"
    if find_spec(place) is None:
        return None
    return getattr(import_module(place), name, None)
