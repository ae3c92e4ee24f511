"""Declare what an operation expects of an array argument: ``@operation(x="n h w c", labels=labels("n h w"))``."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Role: TypeAlias = Literal["read", "view", "written", "overwritten", "target"]
"""How an operation uses an array argument.

``view``: the operation works with any strides and may return a view. ``overwritten``: its memory may be used for
results, which are returned. ``target``: results may be written to it, and are then returned; a strided target is not
used.
"""


@dataclass(frozen=True)
class Argument:
    """Expectation of an operation on one array argument.

    Attributes
    ----------
    axes : str
        Names of the axes, ``"n h w c"``; a name has the same size in all arguments of a call. ``"_c"`` fits any size.
        ``"*"`` alone is any shape (the same for all such arguments), and ``"..."`` alone is not checked.
    kind : "float", "integer", "label" or "any"
        ``label`` is an integer or a boolean. ``any`` leaves the dtype to the operation.
    role : Role
    dtype : dtype or None
        Dtype to which integers are converted.
    fields : mapping of str to Argument
        Expectations on the array attributes of an argument that is an object.
    """

    axes: str = "*"
    kind: Literal["float", "integer", "label", "any"] = "float"
    role: Role = "read"
    dtype: Any = None
    fields: Mapping[str, "Argument"] | None = None


def labels(axes: str, dtype: Any = None) -> Argument:
    """Expect labels of pixels: integers or booleans, which are converted to ``dtype`` if it is given."""
    return Argument(axes, "label", dtype=dtype)


def written(axes: str) -> Argument:
    """Expect an array that the operation changes."""
    return Argument(axes, role="written")


def overwritten(axes: str) -> Argument:
    """Expect an array whose memory may be used for a result."""
    return Argument(axes, role="overwritten")
