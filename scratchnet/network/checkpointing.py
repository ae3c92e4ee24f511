"""Gradient checkpointing: choose the activations that a training step keeps and those that it recomputes.

A backward pass needs the activations of the forward pass, from the last to the first. Keeping them all takes

    M = Σ mᵢ

bytes for steps whose outputs have mᵢ bytes. Instead, cut the list of steps into segments. The forward pass keeps only
the values that a segment uses from earlier segments (s_k bytes, including switches, one byte each). The backward pass
runs each segment k forward once more and then backward, which takes

    s₁ + … + s_k  +  Σ mᵢ over the segment  +  gradients

bytes; the peak is the maximum over k. For n equal steps in √n segments that is about 2·√n values instead of n. The
price is that every segment but the last runs forward twice. A training step costs 1 for the forward and 2 for the
backward pass (gradients with respect to input and weight), so it takes up to a third longer, (1 + 1 + 2) / (1 + 2), for
any number of segments.

That leaves the cuts. Maps shrink and grow in a segmentation network by a factor of two at a time, so equal numbers of
steps are poor segments; :func:`choose_segments` finds the cuts with the smallest maximum, from the shapes alone. For a
limit of B bytes it computes the smallest number of bytes that can be stored before every step without exceeding the
limit,

    S(c) = min over p < c of S(p) + s(p, c),   where S(p) + s(p, c) + Σ m + gradients ≤ B

and bisection finds the smallest B for which the last step can be reached.

Reference: Chen, Xu, Zhang, Guestrin, "Training deep nets with sublinear memory cost" (2016), sections 3 and 4.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from math import prod
from typing import Any

from scratchnet.layers.base import Shape
from scratchnet.network.fusion import FusionPlan
from scratchnet.network.step import Step


@dataclass(frozen=True)
class StepMemory:
    """The memory that one step needs in a training step.

    Attributes
    ----------
    outputs : tuple of (name, bytes, bytes of its gradient)
        The values that it produces; none if it overwrites its input.
    inputs : tuple of str
        Names of the values that it uses.
    may_start_segment : bool
    recomputed_bytes : int
        Size of its inputs that are not saved but recomputed for its backward pass.
    """

    outputs: tuple[tuple[str, int, int], ...]
    inputs: tuple[str, ...]
    may_start_segment: bool
    recomputed_bytes: int = 0


@dataclass
class SegmentInputs:
    """A segment whose layers have saved nothing: its steps, and the values of earlier segments that it uses."""

    steps: range
    inputs: dict[str, Any]


@dataclass(frozen=True)
class _SegmentMemory:
    """Bytes of one segment: its inputs from earlier segments, and everything in memory during its backward pass."""

    inputs: int
    total: int


def step_memory(
    steps: Sequence[Step], shapes: Mapping[str, Shape], itemsize: int, fusion: FusionPlan
) -> tuple[StepMemory, ...]:
    """Return the memory that each step needs in a training step.

    Parameters
    ----------
    steps : sequence of Step
    shapes : mapping of str to Shape
        The shape of every value.
    itemsize : int
        Bytes of an element.
    fusion : FusionPlan
        Values that fused steps do not save are not counted.
    """
    found: list[StepMemory] = []
    same_array: dict[str, str] = {}
    for number, step in enumerate(steps):
        plan, inputs = fusion[number], tuple(same_array.get(name, name) for name in step.inputs)
        if plan.makes_no_array:
            same_array[step.name] = inputs[0]
            found.append(StepMemory((), inputs, may_start_segment=False))
            continue
        count = prod(shapes[step.name])
        value = (step.name, 0 if plan.output_unsaved else count * itemsize, count * itemsize)
        extra_bytes = step.layer.extra_bytes(*(shapes[name] for name in step.inputs))
        extras = [(value, extra_bytes, 0) for value in step.extra_values]
        may_start_segment = not plan.overwrite_input and not plan.apply_relu_mask
        recomputed = 0 if plan.input_from is None else prod(shapes[step.inputs[0]]) * itemsize
        found.append(StepMemory((value, *extras), inputs, may_start_segment, recomputed))
    return tuple(found)


@lru_cache(maxsize=32)
def choose_segments(steps: tuple[StepMemory, ...]) -> tuple[range, ...]:
    """Return the segments that need the least memory.

    >>> chain = tuple(StepMemory(((str(i), 1, 0),), (str(i - 1) if i else "input",), True) for i in range(9))
    >>> choose_segments(chain)
    (range(0, 4), range(4, 7), range(7, 9))
    >>> peak_bytes(chain, choose_segments(chain)), peak_bytes(chain, (range(9),))
    (4, 9)
    """
    memory = _memory_of_segments(steps)
    low, high = 0, memory[0][len(steps)].total
    while low < high:
        middle = (low + high) // 2
        if _fits(memory, len(steps), middle):
            high = middle
        else:
            low = middle + 1
    found = _fits(memory, len(steps), high)
    assert found  # one segment of all steps fits into the highest limit
    return found


def peak_bytes(steps: Sequence[StepMemory], segments: Sequence[range]) -> int:
    """Return the peak memory of values and gradients in a training step.

    A value that several segments use counts once for each of them, although it is in memory only once.
    """
    memory, stored, peak = _memory_of_segments(steps), 0, 0
    for segment in segments:
        need = memory[segment.start][segment.stop]
        peak = max(peak, stored + need.total)
        stored += need.inputs
    return peak


def _fits(memory: dict[int, dict[int, _SegmentMemory]], count: int, limit: int) -> tuple[range, ...] | None:
    """Return segments that never need more than ``limit`` bytes, or None."""
    least, before = {0: 0}, {}
    for begin in sorted(memory):
        if begin not in least:
            continue
        for end, need in memory[begin].items():
            stored = least[begin] + need.inputs
            better = end not in least or (stored < least[end] and end < count)  # the last segment is made long
            if better and least[begin] + need.total <= limit:
                least[end], before[end] = stored, begin
    if count not in least:
        return None
    cuts = [count]
    while cuts[0]:
        cuts.insert(0, before[cuts[0]])
    return tuple(range(begin, end) for begin, end in pairwise(cuts))


def _memory_of_segments(steps: Sequence[StepMemory]) -> dict[int, dict[int, _SegmentMemory]]:
    """Return the memory of every possible segment, by its first step and the step after its last."""
    cuts = [i for i, step in enumerate(steps) if step.may_start_segment and i] + [len(steps)]
    size = {name: (bytes_, gradient) for step in steps for name, bytes_, gradient in step.outputs}
    size["input"] = 0, 0  # the caller's memory
    made = {name: i for i, step in enumerate(steps) for name, _, _ in step.outputs} | {"input": -1}
    last_use = {name: i for i, step in enumerate(steps) for name in step.inputs}
    last_use |= {name: len(steps) for name, _, _ in steps[-1].outputs}  # by the loss
    # Gradients that steps after a cut have computed for values before it.
    waiting = {c: sum(size[n][1] for n, i in made.items() if i < c <= last_use.get(n, -1)) for c in cuts}
    memory: dict[int, dict[int, _SegmentMemory]] = {}
    for begin in [0, *cuts[:-1]]:
        inputs, inside, working = set[str](), 0, 0
        memory[begin] = {}
        for i in range(begin, len(steps)):
            inputs |= {name for name in steps[i].inputs if made[name] < begin}
            inside += sum(bytes_ for _, bytes_, _ in steps[i].outputs)
            gradients = sum(size[name][1] for name in steps[i].inputs)  # dx; dy is waiting, or was a dx
            working = max(working, gradients + steps[i].recomputed_bytes)
            if i + 1 in waiting:
                stored = sum(size[name][0] for name in inputs)
                memory[begin][i + 1] = _SegmentMemory(stored, stored + inside + waiting[i + 1] + working)
    return memory
