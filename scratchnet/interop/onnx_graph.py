"""ONNX graph, built node by node; the package onnx is needed only to write the file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scratchnet.arrays import Array
from scratchnet.utils.errors import UserError

OPSET, IR_VERSION = 17, 8
"""Of the year 2022: new enough for all that is needed, and read by every runtime since."""

MAX_BYTES = 2**31 - 2**24
"""Bytes of numbers that an ONNX file can hold, with some room for the graph."""


@dataclass(frozen=True)
class Node:
    """One operation: its name in ONNX, what it takes and makes, its attributes."""

    operation: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]


@dataclass
class Graph:
    """Nodes in the order in which they are computed, and constants.

    Attributes
    ----------
    nodes : list of Node
    constants : dict of str to Array
    """

    nodes: list[Node] = field(default_factory=list)
    constants: dict[str, Array] = field(default_factory=dict)

    def node(
        self, operation: str, *inputs: str, output: str | None = None, more: Sequence[str] = (), **attributes: Any
    ) -> str:
        """Append a node and return the name of what it makes.

        Parameters
        ----------
        operation : str
            Such as "Conv".
        *inputs : str
            Names of values made before, or of constants.
        output : str or None
            The result's name; None makes one up.
        more : sequence of str
            Names of the results behind the first.
        **attributes
            As ONNX names them.
        """
        name = output or f"{operation}_{len(self.nodes)}"
        self.nodes.append(Node(operation, inputs, (name, *more), attributes))
        return name

    def constant(self, array: Array, name: str | None = None) -> str:
        """Add a constant and return its name; None makes one up."""
        name = name or f"constant_{len(self.constants)}"
        self.constants[name] = array
        return name

    def integers(self, *values: int) -> str:
        """Add a constant vector of whole numbers, as shapes are."""
        return self.constant(np.array(values, np.int64))

    def size(self, value: str) -> str:
        """Return height and width of a value (n, c, h, w), known only when the graph runs."""
        return self.node("Shape", value, start=2, end=4)

    def cut(self, value: str, begin: str, end: str, axes: tuple[int, int] = (2, 3)) -> str:
        """Return rows and columns from ``begin`` to before ``end``, both (row, column)."""
        return self.node("Slice", value, begin, end, self.integers(*axes))


@dataclass(frozen=True)
class Port:
    """What goes in or comes out: name, type, and a number or a name for each axis."""

    name: str
    dtype: Any
    shape: tuple[int | str, ...]


def check_that_onnx_is_installed() -> None:
    """Raise a UserError when the package onnx is missing."""
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise UserError(
            'exporting needs the package onnx; install it in scratchnet\'s clone: pip install -e ".[onnx]"'
        ) from error


def to_model(
    graph: Graph, name: str, inputs: Sequence[Port], outputs: Sequence[Port], about: str, metadata: Mapping[str, str]
) -> Any:
    """Return the graph as an ``onnx.ModelProto`` that ONNX's own checker accepts.

    Raises
    ------
    UserError
        If onnx is missing or the numbers are more than an ONNX file can hold.
    """
    check_that_onnx_is_installed()
    import onnx
    from onnx import helper, numpy_helper

    held = sum(array.nbytes for array in graph.constants.values())
    if held > MAX_BYTES:
        raise UserError(f"model '{name}' has {held / 1e9:.2f} GB of weights; an ONNX file holds at most 2")

    def port(p: Port) -> Any:
        return helper.make_tensor_value_info(p.name, helper.np_dtype_to_tensor_dtype(np.dtype(p.dtype)), p.shape)

    made = helper.make_graph(
        [helper.make_node(n.operation, n.inputs, n.outputs, n.outputs[0], **n.attributes) for n in graph.nodes],
        name,
        [port(p) for p in inputs],
        [port(p) for p in outputs],
        [numpy_helper.from_array(array, key) for key, array in graph.constants.items()],
        about,
    )
    model = helper.make_model(
        made,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="scratchnet",
        doc_string=about,
    )
    helper.set_model_props(model, dict(metadata))
    onnx.checker.check_model(model)
    return model
