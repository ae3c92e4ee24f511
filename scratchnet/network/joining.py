"""A ReLU needs no pass of its own: the step before it can do its work, or lend it the memory.

Behind batch norm, whose last pass over the map takes the maximum with 0 as well, nothing is left of it; behind a
convolution it overwrites the map. Both want that no other step takes what is between the two.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from scratchnet.layers.activation import ReLU
from scratchnet.layers.base import Layer
from scratchnet.layers.convolution import Conv2d, ConvTranspose2d
from scratchnet.layers.normalization import BatchNorm2d
from scratchnet.modes import is_textbook
from scratchnet.network.step import Step


def joins(steps: Sequence[Step]) -> list[tuple[ReLU, Layer]]:
    """Return every ReLU that can be joined to the step before it, and that step's layer."""
    takers = Counter(name for step in steps for name in step.inputs)
    before = {step.name: step.layer for step in steps}
    return [
        (step.layer, before[step.inputs[0]])
        for step in steps
        if isinstance(step.layer, ReLU)
        and takers[step.inputs[0]] == 1
        and isinstance(before.get(step.inputs[0]), BatchNorm2d | Conv2d | ConvTranspose2d)
    ]


@contextmanager
def joined(steps: Sequence[Step]) -> Iterator[set[Layer]]:
    """Join every ReLU to the step before it inside this block; yield those that are left with nothing to do."""
    skipped: set[Layer] = set()
    told: list[BatchNorm2d | ReLU] = []
    for relu, first in joins(steps) if not is_textbook() else ():
        told.append(first if isinstance(first, BatchNorm2d) else relu)
        if isinstance(first, BatchNorm2d):
            skipped.add(relu)
    for layer in told:
        layer.joined = True
    try:
        yield skipped
    finally:
        for layer in told:
            layer.joined = False
