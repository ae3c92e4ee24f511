"""A network's list told in blocks: what a drawing of it shows as boxes and lines.

A block is a step that makes a map of another kind: a convolution, a pool, an unpooling, a sum. Batch norm, ReLU,
dropout, crops and the like belong to the block whose map they finish.
"""

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from scratchnet.layers import (
    Add,
    BedOfNails,
    BilinearTranspose2d,
    Concatenate,
    Conv2d,
    ConvTranspose2d,
    Crop,
    MaxPool2d,
    MaxUnpool2d,
    UpsampleBilinear,
    UpsampleNearest,
)
from scratchnet.layers.base import Shape
from scratchnet.network import Network, Step
from scratchnet.ops.geometry import Pair

BlockKind: TypeAlias = Literal["image", "learned", "switches", "fixed", "result"]

FIXED = (MaxPool2d, BedOfNails, UpsampleNearest, UpsampleBilinear, BilinearTranspose2d, Concatenate, Add)


@dataclass(frozen=True)
class Block:
    """A box of the drawing.

    Attributes
    ----------
    name : str
        Of its step, or "input".
    kind : str
        ``image``; ``learned``: it has weights; ``switches``: a pool whose switches are used, or an unpooling that uses
        them; ``fixed``: the rest; ``result``: the last one.
    shape : (n, h, w, c)
    value : str
        The value that the block ends in: behind its batch norm and ReLU.
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
    """Return the blocks of a network in their order, and what leads where.

    Parameters
    ----------
    network : Network
        Its memory need not be allocated.
    size : (h, w)
        Of the image.

    Raises
    ------
    ValueError
        When the size does not fit the network.
    """
    shapes = network.shapes(size)
    used = {name for step in network.steps for name in step.inputs}
    blocks, joins = [Block("input", "image", shapes["input"], "input")], []
    owner = {"input": 0}  # value → the block that it belongs to
    for step in network.steps:
        first = owner[step.inputs[0]]
        if not _starts_block(step, shapes, last=step is network.steps[-1]):
            owner[step.name] = first
            if first == len(blocks) - 1:  # not the crop of a skip
                blocks[first] = replace(blocks[first], value=step.name)
            continue
        for name in step.inputs[: 1 if isinstance(step.layer, Crop) else None]:  # a crop only looks how large
            joins.append(Join(owner[name], len(blocks), name.endswith(".switches")))
        owner[step.name] = owner[f"{step.name}.switches"] = len(blocks)
        blocks.append(Block(step.name, _kind(step, used), shapes[step.name], step.name))
    blocks[-1] = replace(blocks[-1], kind="result")
    return blocks, joins


def _starts_block(step: Step, shapes: dict[str, Shape], last: bool) -> bool:
    if isinstance(step.layer, Crop):
        return last and shapes[step.name] != shapes[step.inputs[0]]
    return isinstance(step.layer, (Conv2d, ConvTranspose2d, MaxUnpool2d, *FIXED))


def _kind(step: Step, used: set[str]) -> BlockKind:
    if isinstance(step.layer, MaxUnpool2d) or f"{step.name}.switches" in used:
        return "switches"
    return "fixed" if isinstance(step.layer, FIXED) else "learned"
