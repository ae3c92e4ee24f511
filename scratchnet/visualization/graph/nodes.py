"""Graph of a network for drawings: its nodes and edges.

A node is a layer that computes a new map: a convolution, a pooling, an unpooling, a sum. Pixelwise layers, padding and
crops belong to the node before them.
"""

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from scratchnet.layers.base import Shape
from scratchnet.layers.builtin import known_kind
from scratchnet.network import Network, Step
from scratchnet.ops.geometry import Pair
from scratchnet.visualization.graph.grouping import group_steps

NodeKind: TypeAlias = Literal["image", "learned", "switches", "fixed", "unknown", "result"]


@dataclass(frozen=True)
class Node:
    """A layer, drawn as a box.

    Attributes
    ----------
    name : str
        Name of its first step, or "input".
    kind : str
        ``image``; ``learned``: has weights; ``switches``: a pooling whose switches are used, or an unpooling that uses
        them; ``unknown``: a layer that states no kind; ``fixed``: any other; ``result``: the last node.
    shape : (n, h, w, c)
        Shape of its map.
    value : str
        Name of the node's output value, after its batch norm and ReLU.
    """

    name: str
    kind: NodeKind
    shape: Shape
    value: str


@dataclass(frozen=True)
class Edge:
    """A connection, drawn as a line: node ``target`` takes the map of node ``source``, or its switches, as input."""

    source: int
    target: int
    switches: bool = False


def network_graph(network: Network, size: Pair) -> tuple[list[Node], list[Edge]]:
    """Return the nodes of a network in order, and the edges between them.

    Parameters
    ----------
    network : Network
        Its parameters need not be allocated.
    size : (h, w)
        Size of the image.

    Raises
    ------
    ValueError
        If the size does not fit the network.
    """
    shapes = network.shapes(size)
    used = {name for step in network.steps for name in step.inputs}
    nodes, edges = [Node("input", "image", shapes["input"], "input")], []
    owner = {"input": 0}  # value → index of its node
    for group in group_steps(network, shapes):
        step, value, kind = group[0], group[-1].name, known_kind(group[0].layer)
        first = owner[step.inputs[0]]
        if _is_node(step, shapes, last=value == network.steps[-1].name):
            for name in step.inputs[: 1 if kind == "frame" else None]:  # its second input only provides the size
                edges.append(Edge(owner[name], len(nodes), name.endswith(".switches")))
            first = len(nodes)
            owner |= dict.fromkeys(step.extra_values, first)
            nodes.append(Node(step.name, _kind(step, used), shapes[step.name], value))
        elif first == len(nodes) - 1:  # not the crop of a skip
            nodes[first] = replace(nodes[first], value=value)
        owner |= dict.fromkeys((one.name for one in group), first)
    nodes[-1] = replace(nodes[-1], kind="result")
    return nodes, edges


def _is_node(step: Step, shapes: dict[str, Shape], last: bool) -> bool:
    """Return whether a layer that begins with ``step`` is a node, rather than part of the node before it."""
    kind = known_kind(step.layer)
    if kind == "frame":
        return last and shapes[step.name] != shapes[step.inputs[0]]
    return kind != "pixelwise"


def _kind(step: Step, used: set[str]) -> NodeKind:
    kind = known_kind(step.layer)
    if kind == "unpool" or not used.isdisjoint(step.extra_values):
        return "switches"
    if kind == "unknown":
        return "unknown"
    return "learned" if kind in ("conv", "deconv") else "fixed"
