"""Gradient checkpointing: choose the activations that a training step keeps and those that it recomputes.

A backward pass needs the activations of the forward pass, from the last to the first. Keeping them all takes

    M = Σ mᵢ

bytes for steps whose outputs have mᵢ bytes. Instead, cut the list of steps into segments. The forward pass keeps only
the values that a segment takes from earlier segments (s_k bytes, including switches, one byte each). The backward pass
runs each segment k forward once more and then backward, which takes

    s₁ + … + s_k  +  Σ mᵢ over the segment  +  gradients

bytes; the peak is the maximum over k. For n equal steps in √n segments that is about 2·√n values instead of n. The
price is that every segment but the last runs forward twice. A training step costs 1 for the forward and 2 for the
backward pass (gradients with respect to input and weight), so it takes up to a third longer, (1 + 1 + 2) / (1 + 2), for
any number of segments.

That leaves the cuts. Maps shrink and grow in a segmentation network by a factor of two at a time, so equal numbers of
steps are poor segments; :func:`plan` finds the cuts with the smallest maximum, from the shapes alone. For a given limit
B it looks for the least that can have been stored in front of every step without ever being over B,

    S(c) = min over p < c of S(p) + s(p, c),   where S(p) + s(p, c) + Σ m + gradients ≤ B

and B is halved down to the smallest that leads to the end.

Reference: Chen, Xu, Zhang, Guestrin, "Training deep nets with sublinear memory cost" (2016), sections 3 and 4.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from math import prod
from typing import Any

from scratchnet.layers.activation import ReLU
from scratchnet.layers.base import Shape
from scratchnet.network.fusion import find, not_kept
from scratchnet.network.step import Step


@dataclass(frozen=True)
class StepMemory:
    """One step, as far as memory is concerned.

    Attributes
    ----------
    makes : tuple of (name, bytes, bytes of its gradient)
        The values that it produces; none if it overwrites its input.
    takes : tuple of str
        Names of the values that it takes.
    begins : bool
        Whether a segment may start with it.
    again : int
        Bytes of its inputs that are not kept but recomputed for its backward pass.
    """

    makes: tuple[tuple[str, int, int], ...]
    takes: tuple[str, ...]
    begins: bool
    again: int = 0


@dataclass
class SegmentInputs:
    """A segment whose steps have forgotten what they saw: its steps, and the values that it takes."""

    steps: range
    inputs: dict[str, Any]


@dataclass(frozen=True)
class _Need:
    """Bytes of one segment: taken from segments before it, and all that are needed in its backward pass."""

    taken: int
    whole: int


def held(
    steps: Sequence[Step], shapes: Mapping[str, Shape], itemsize: int, again: bool = False
) -> tuple[StepMemory, ...]:
    """Return what every step holds, given the shapes of all values and the bytes of a number.

    What steps leave out because of their neighbours is left out here too; ``again`` as in :func:`joining.find
    <scratchnet.network.fusion.find>`.
    """
    joins = find(steps, again)
    told, free = {(id(layer), what) for layer, what in joins.told}, not_kept(steps, again)
    made_again = {id(layer) for layer in joins.again}
    found: list[StepMemory] = []
    same: dict[str, str] = {}
    for step in steps:
        layer, takes = step.layer, tuple(same.get(name, name) for name in step.inputs)
        if joins.skips(layer) or (isinstance(layer, ReLU) and (id(layer), "joined") in told):
            same[step.name] = takes[0]
            found.append(StepMemory((), takes, begins=False))
            continue
        count = prod(shapes[step.name])
        value = (step.name, 0 if step.name in free else count * itemsize, count * itemsize)
        extra_bytes = layer.extra_bytes(*(shapes[name] for name in step.inputs))
        extras = [(value, extra_bytes, 0) for value in step.extra_values]
        begins = (id(layer), "overwrites_input") not in told and (id(layer), "masks") not in told
        again_bytes = prod(shapes[step.inputs[0]]) * itemsize if id(layer) in made_again else 0
        found.append(StepMemory((value, *extras), takes, begins, again_bytes))
    return tuple(found)


@lru_cache(maxsize=32)
def plan(steps: tuple[StepMemory, ...]) -> tuple[range, ...]:
    """Return the segments that need the least memory.

    >>> chain = tuple(StepMemory(((str(i), 1, 0),), (str(i - 1) if i else "input",), True) for i in range(9))
    >>> plan(chain)
    (range(0, 4), range(4, 7), range(7, 9))
    >>> peak_bytes(chain, plan(chain)), peak_bytes(chain, (range(9),))
    (4, 9)
    """
    needs = _needs(steps)
    low, high = 0, needs[0][len(steps)].whole
    while low < high:
        middle = (low + high) // 2
        if _fits(needs, len(steps), middle):
            high = middle
        else:
            low = middle + 1
    found = _fits(needs, len(steps), high)
    assert found  # one segment of all steps fits into the highest limit
    return found


def peak_bytes(steps: Sequence[StepMemory], segments: Sequence[range]) -> int:
    """Return the bytes of values and gradients at the worst moment of a training step.

    A value that several segments take counts for each of them; in memory it is there once.
    """
    needs, stored, peak = _needs(steps), 0, 0
    for segment in segments:
        need = needs[segment.start][segment.stop]
        peak = max(peak, stored + need.whole)
        stored += need.taken
    return peak


def _fits(needs: dict[int, dict[int, _Need]], count: int, limit: int) -> tuple[range, ...] | None:
    """Return segments that never need more than ``limit`` bytes, or None."""
    least, before = {0: 0}, {}
    for begin in sorted(needs):
        if begin not in least:
            continue
        for end, need in needs[begin].items():
            stored = least[begin] + need.taken
            better = end not in least or (stored < least[end] and end < count)  # the last one as long as it may be
            if better and least[begin] + need.whole <= limit:
                least[end], before[end] = stored, begin
    if count not in least:
        return None
    cuts = [count]
    while cuts[0]:
        cuts.insert(0, before[cuts[0]])
    return tuple(range(begin, end) for begin, end in pairwise(cuts))


def _needs(steps: Sequence[StepMemory]) -> dict[int, dict[int, _Need]]:
    """Return the bytes of every possible segment, by its first step and by the step behind its last."""
    cuts = [i for i, step in enumerate(steps) if step.begins and i] + [len(steps)]
    size = {name: (bytes_, gradient) for step in steps for name, bytes_, gradient in step.makes}
    size["input"] = 0, 0  # the caller's
    made = {name: i for i, step in enumerate(steps) for name, _, _ in step.makes} | {"input": -1}
    last = {name: i for i, step in enumerate(steps) for name in step.takes}
    last |= {name: len(steps) for name, _, _ in steps[-1].makes}  # for the loss
    # Gradients that have come from behind a cut, for the values in front of it.
    waiting = {c: sum(size[n][1] for n, i in made.items() if i < c <= last.get(n, -1)) for c in cuts}
    needs: dict[int, dict[int, _Need]] = {}
    for begin in [0, *cuts[:-1]]:
        taken, inside, working = set[str](), 0, 0
        needs[begin] = {}
        for i in range(begin, len(steps)):
            taken |= {name for name in steps[i].takes if made[name] < begin}
            inside += sum(bytes_ for _, bytes_, _ in steps[i].makes)
            slopes = sum(size[name][1] for name in steps[i].takes)  # dx; dy waits, or was a dx
            working = max(working, slopes + steps[i].again)
            if i + 1 in waiting:
                border = sum(size[name][0] for name in taken)
                needs[begin][i + 1] = _Need(border, border + inside + waiting[i + 1] + working)
    return needs
