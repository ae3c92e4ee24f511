"""ONNX graph, built node by node; the package onnx is needed only to write the file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scratchnet.arrays import Array
from scratchnet.utils.errors import UserError

OPSET, IR_VERSION = 17, 8
"""Versions of 2022: they have every operation used here, and every later runtime reads them."""

MAX_BYTES = 2**31 - 2**24
"""Largest size of the constants in an ONNX file, in bytes; the rest of 2 GiB is left for the graph."""


@dataclass(frozen=True)
class Node:
    """One operation: its name in ONNX, the names of its inputs and outputs, and its attributes."""

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
        """Append a node and return the name of its first output.

        Parameters
        ----------
        operation : str
            Such as "Conv".
        *inputs : str
            Names of outputs of earlier nodes, or of constants.
        output : str or None
            Name of the first output; None generates one.
        more : sequence of str
            Names of further outputs.
        **attributes
            Attributes under ONNX's names.
        """
        name = output or f"{operation}_{len(self.nodes)}"
        self.nodes.append(Node(operation, inputs, (name, *more), attributes))
        return name

    def constant(self, array: Array, name: str | None = None) -> str:
        """Add a constant and return its name; None generates one."""
        name = name or f"constant_{len(self.constants)}"
        self.constants[name] = array
        return name

    def integers(self, *values: int) -> str:
        """Add a constant vector of integers, for shapes and axes."""
        return self.constant(np.array(values, np.int64))

    def size(self, value: str) -> str:
        """Return height and width of a value (n, c, h, w), known only when the graph runs."""
        return self.node("Shape", value, start=2, end=4)

    def cut(self, value: str, begin: str, end: str, axes: tuple[int, int] = (2, 3)) -> str:
        """Return rows and columns from ``begin`` to before ``end``, both (row, column)."""
        return self.node("Slice", value, begin, end, self.integers(*axes))


@dataclass(frozen=True)
class Port:
    """An input or output of the model: its name, data type and shape; a free axis has a name instead of a size."""

    name: str
    dtype: Any
    shape: tuple[int | str, ...]


def check_that_onnx_is_installed() -> None:
    """Raise a UserError if the package onnx is missing."""
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
        If onnx is missing or the constants exceed :data:`MAX_BYTES`.
    """
    check_that_onnx_is_installed()
    import onnx
    from onnx import helper, numpy_helper

    size = sum(array.nbytes for array in graph.constants.values())
    if size > MAX_BYTES:
        raise UserError(f"model '{name}' has {size / 1e9:.2f} GB of weights; an ONNX file holds at most 2")

    def port(p: Port) -> Any:
        return helper.make_tensor_value_info(p.name, helper.np_dtype_to_tensor_dtype(np.dtype(p.dtype)), p.shape)

    onnx_graph = helper.make_graph(
        [helper.make_node(n.operation, n.inputs, n.outputs, n.outputs[0], **n.attributes) for n in graph.nodes],
        name,
        [port(p) for p in inputs],
        [port(p) for p in outputs],
        [numpy_helper.from_array(array, key) for key, array in graph.constants.items()],
        about,
    )
    model = helper.make_model(
        onnx_graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="scratchnet",
        doc_string=about,
    )
    helper.set_model_props(model, dict(metadata))
    onnx.checker.check_model(model)
    return model
