"""Blocks of a network: the boxes and lines of a drawing.

A block is a layer that makes a new map: a convolution, a pool, an unpooling, a sum. Pixelwise layers, padding and crops
belong to the block before them.
"""

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from scratchnet.layers.base import Shape
from scratchnet.layers.builtin import known_kind
from scratchnet.network import Network, Step
from scratchnet.ops.geometry import Pair
from scratchnet.visualization.graph.grouping import groups_of

BlockKind: TypeAlias = Literal["image", "learned", "switches", "fixed", "unknown", "result"]


@dataclass(frozen=True)
class Block:
    """A box of the drawing.

    Attributes
    ----------
    name : str
        Of its step, or "input".
    kind : str
        ``image``; ``learned``: it has weights; ``switches``: a pool whose switches are used, or an unpooling that uses
        them; ``unknown``: a layer that states no kind; ``fixed``: the rest; ``result``: the last one.
    shape : (n, h, w, c)
    value : str
        Name of the block's output value, after its batch norm and ReLU.
    """

    name: str
    kind: BlockKind
    shape: Shape
    value: str


@dataclass(frozen=True)
class Join:
    """A line of the drawing: the map of ``source``, or its switches, goes into ``target``; both count blocks."""

    source: int
    target: int
    switches: bool = False


def blocks_of(network: Network, size: Pair) -> tuple[list[Block], list[Join]]:
    """Return the blocks of a network in order, and their connections.

    Parameters
    ----------
    network : Network
        Need not be allocated.
    size : (h, w)
        Of the image.

    Raises
    ------
    ValueError
        If the size does not fit the network.
    """
    shapes = network.shapes(size)
    used = {name for step in network.steps for name in step.inputs}
    blocks, joins = [Block("input", "image", shapes["input"], "input")], []
    owner = {"input": 0}  # value → the block that it belongs to
    for group in groups_of(network, shapes):
        step, value, kind = group[0], group[-1].name, known_kind(group[0].layer)
        first = owner[step.inputs[0]]
        if _is_block(step, shapes, last=value == network.steps[-1].name):
            for name in step.inputs[: 1 if kind == "frame" else None]:  # its second input only gives the size
                joins.append(Join(owner[name], len(blocks), name.endswith(".switches")))
            first = len(blocks)
            owner |= dict.fromkeys(step.extra_values, first)
            blocks.append(Block(step.name, _kind(step, used), shapes[step.name], value))
        elif first == len(blocks) - 1:  # not the crop of a skip
            blocks[first] = replace(blocks[first], value=value)
        owner |= dict.fromkeys((one.name for one in group), first)
    blocks[-1] = replace(blocks[-1], kind="result")
    return blocks, joins


def _is_block(step: Step, shapes: dict[str, Shape], last: bool) -> bool:
    """Whether a layer that begins with ``step`` is more than the end of the block before it."""
    kind = known_kind(step.layer)
    if kind == "frame":
        return last and shapes[step.name] != shapes[step.inputs[0]]
    return kind != "pixelwise"


def _kind(step: Step, used: set[str]) -> BlockKind:
    kind = known_kind(step.layer)
    if kind == "unpool" or not used.isdisjoint(step.extra_values):
        return "switches"
    if kind == "unknown":
        return "unknown"
    return "learned" if kind in ("conv", "deconv") else "fixed"
