"""Fuse neighbouring layers of a network to save time and memory.

Layers are independent of each other, and each works as if its input, its output and every gradient were used elsewhere.
The network knows which values are. If no other step uses the value between two steps,

- a ReLU needs no separate pass: the preceding batch norm also computes the maximum with 0, or the ReLU overwrites the
  output of the preceding convolution;
- a 3×3 convolution after an upsampling by repeated pixels reads the small map, in fewer multiplications, and the large
  map is never computed;
- outside training, a convolution computes the batch norm and the ReLU that follow it, block by block;
- batch norm after a convolution subtracts the mean from the convolution's output in place;
- the bias of that convolution gets no gradient: batch norm subtracts any constant again, so Σ dx = 0;
- max-pooling after a ReLU passes a gradient where its *maximum* is positive, at a quarter of the pixels, and the ReLU's
  output need not be saved;
- an output of batch norm with ReLU is saved only if its consumer needs it: the ReLU's mask is recomputed;
- batch norm computes its gradient in place, in the array that it gets from a convolution or a pooling;
- the input of a convolution with many channels is not saved but recomputed in the backward pass, by the preceding batch
  norm and ReLU or by the preceding unpooling. That costs one pass over memory, which is cheap compared with the
  convolution, and saves half of the memory that a layer keeps.

:func:`plan` finds all of this in a list of steps and returns it as a value. Execution passes each step its part, and
the memory estimates and the summary read the same object.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scratchnet.engine.modes import is_textbook
from scratchnet.layers.activation import ReLU
from scratchnet.layers.base import Layer
from scratchnet.layers.builtin import is_builtin
from scratchnet.layers.convolution import Conv2d, ConvTranspose2d
from scratchnet.layers.normalization import BatchNorm2d
from scratchnet.layers.pooling import MaxPool2d, MaxUnpool2d
from scratchnet.layers.resampling import UpsampleBilinear, UpsampleNearest
from scratchnet.layers.shape import Add, Concatenate, Crop, Pad
from scratchnet.layers.step_plan import ALONE, StepPlan
from scratchnet.network.step import Step

MIN_CHANNELS_TO_RECOMPUTE = 64
"""From this number of channels on, a convolution takes far longer than recomputing its input."""

_SAVE_NO_INPUT = Add, Concatenate, Crop, MaxPool2d, MaxUnpool2d, Pad, UpsampleBilinear, UpsampleNearest
"""Layers that need no value of their input in the backward pass, unless they compute their output again."""


@dataclass(frozen=True)
class FusionPlan:
    """The fusions of a network.

    Attributes
    ----------
    steps : tuple of StepPlan
        One for every step, in order. Empty if nothing is fused.
    """

    steps: tuple[StepPlan, ...] = ()

    def __getitem__(self, number: int) -> StepPlan:
        """Return the plan of a step."""
        return self.steps[number] if self.steps else ALONE


UNFUSED = FusionPlan()
"""Every layer does everything itself."""


def plan(steps: Sequence[Step], recompute_inputs: bool, for_backward: bool = True, on_gpu: bool = False) -> FusionPlan:
    """Return everything that the steps can leave to each other.

    Parameters
    ----------
    steps : sequence of Step
    recompute_inputs : bool
        Whether wide convolutions may have their input recomputed, which costs time and saves memory.
    for_backward : bool
        Whether a backward pass may follow. If not, convolutions also compute what follows them.
    on_gpu : bool
        Whether convolutions compute nothing else, because their kernels do not.
    """
    found = _Fusions(steps, recompute_inputs)
    for number, step in enumerate(steps):
        if number not in found.consumers:
            continue
        if isinstance(step.layer, Conv2d | ConvTranspose2d):
            if for_backward or on_gpu or not found.extend_convolution(number):
                found.fuse_convolution(number)
        elif isinstance(step.layer, BatchNorm2d) and not found.is_skipped(number):
            found.fuse_batch_norm(number)
        elif isinstance(step.layer, ReLU) and not found.is_skipped(number):
            found.share_mask_with_pool(number, number)
        elif type(step.layer) is UpsampleNearest and not on_gpu:
            found.upsample_in_convolution(number)
        elif isinstance(step.layer, MaxUnpool2d):
            found.recompute_input_of_convolution(number, number)
    if recompute_inputs:
        found.find_unsaved_outputs()
    return found.plan()


def plan_in_use(
    steps: Sequence[Step], recompute_inputs: bool, for_backward: bool = True, on_gpu: bool = False
) -> FusionPlan:
    """Return the plan for a pass: nothing is fused in textbook mode."""
    return UNFUSED if is_textbook() else plan(steps, recompute_inputs, for_backward, on_gpu)


class _Fusions:
    """The settings of every step's plan while they are being collected."""

    def __init__(self, steps: Sequence[Step], recompute_inputs: bool) -> None:
        self._steps, self._recompute_inputs = steps, recompute_inputs
        self._settings: list[dict[str, Any]] = [{} for _ in steps]
        self.consumers = _only_consumers(steps)

    def plan(self) -> FusionPlan:
        """Return the settings as a plan."""
        return FusionPlan(tuple(StepPlan(**settings) if settings else ALONE for settings in self._settings))

    def is_skipped(self, number: int) -> bool:
        """Return whether an earlier step does the work of this one."""
        return "skip" in self._settings[number]

    def fuse_convolution(self, number: int) -> None:
        """Fuse a convolution with the batch norm or the ReLU that follows."""
        consumer, layer = self._consumer_of(number)
        if isinstance(layer, BatchNorm2d):
            self._settings[consumer]["overwrite_input"] = True
            if layer.uses_batch:
                self._settings[number]["skip_bias_gradient"] = True
        elif isinstance(layer, ReLU):
            self._settings[consumer]["in_place"] = True
            if isinstance(self._consumer_of(consumer)[1], MaxPool2d):  # which saves the mask of this ReLU
                self._settings[number]["output_unsaved"] = True

    def upsample_in_convolution(self, number: int) -> None:
        """Let the convolution that follows an upsampling repeat the pixels."""
        layer: Any = self._steps[number].layer
        consumer, after = self._consumer_of(number)
        if layer.scale == (2, 2) and isinstance(after, Conv2d | ConvTranspose2d) and after.can_upsample:
            self._settings[number]["skip"] = True
            self._settings[consumer]["upsamples"] = True

    def extend_convolution(self, number: int) -> bool:
        """Let a convolution compute the batch norm and the ReLU that follow; return whether there is either."""
        last, (consumer, layer) = number, self._consumer_of(number)
        if isinstance(layer, BatchNorm2d) and not layer.training and not layer.uses_batch:
            self._settings[number]["normalized_by"] = consumer
            self._settings[consumer]["skip"] = True
            last, (consumer, layer) = consumer, self._consumer_of(consumer)
        if isinstance(layer, ReLU):
            self._settings[number]["fuse_relu"] = True
            self._settings[consumer]["skip"] = True
            last = consumer
        return last != number

    def fuse_batch_norm(self, number: int) -> None:
        """Fuse batch norm with the ReLU that follows, and both with the layer after them."""
        consumer, layer = self._consumer_of(number)
        if not isinstance(layer, ReLU):
            self._reuse_gradient(number, layer)
            return
        self._settings[number]["fuse_relu"] = True
        self._settings[consumer]["skip"] = True
        self._reuse_gradient(number, self._consumer_of(consumer)[1])
        self.share_mask_with_pool(number, consumer)
        self.recompute_input_of_convolution(number, consumer)

    def share_mask_with_pool(self, number: int, relu: int) -> None:
        """Let a pooling after step ``relu`` apply the backward pass of the ReLU, which ``number`` computes."""
        consumer, layer = self._consumer_of(relu)
        if isinstance(layer, MaxPool2d):
            self._settings[number] |= {"leave_mask_to_pool": True, "output_unsaved": True}
            self._settings[consumer]["apply_relu_mask"] = True

    def recompute_input_of_convolution(self, number: int, value: int) -> None:
        """Let ``number`` recompute the value of step ``value`` for a convolution, if that is worthwhile."""
        consumer, layer = self._consumer_of(value)
        wide = isinstance(layer, Conv2d | ConvTranspose2d) and layer.channels[0] >= MIN_CHANNELS_TO_RECOMPUTE
        if wide and self._recompute_inputs:
            self._settings[number] |= {"recompute_output": True, "output_unsaved": True}
            self._settings[consumer]["input_from"] = number

    def find_unsaved_outputs(self) -> None:
        """Find outputs of batch norm with a ReLU that no consumer saves; batch norm recomputes the ReLU's mask."""
        for number, settings in enumerate(self._settings):
            if "fuse_relu" in settings and isinstance(self._steps[number].layer, BatchNorm2d):
                value = self._steps[self.consumers[number]].name
                takers = [i for i, step in enumerate(self._steps) if value in step.inputs]
                if takers and not any(map(self._saves_input, takers)):
                    settings["output_unsaved"] = True

    def _saves_input(self, number: int) -> bool:
        """Return whether a step, or a convolution that also does its work, saves the input."""
        layer = self._steps[number].layer
        without = is_builtin(layer) and isinstance(layer, _SAVE_NO_INPUT)
        return not without or self.is_skipped(number) or "recompute_output" in self._settings[number]

    def _reuse_gradient(self, norm: int, consumer: Layer | None) -> None:
        """Let batch norm overwrite its gradient if it comes from a layer whose dx is an array of its own."""
        if isinstance(consumer, Conv2d | ConvTranspose2d | MaxPool2d | MaxUnpool2d):
            self._settings[norm]["overwrite_gradient"] = True

    def _consumer_of(self, number: int) -> tuple[int, Layer | None]:
        """Return the number and the layer of the only consumer, or -1 and None."""
        consumer = self.consumers.get(number, -1)
        return consumer, None if consumer < 0 else self._steps[consumer].layer


def _only_consumers(steps: Sequence[Step]) -> dict[int, int]:
    """Return the step that consumes the value of each step, for values that are consumed exactly once.

    Both layers must be the package's own, of exactly these types with nothing replaced: a subclass may compute
    something else, save other values, or pass on a gradient that it still needs.
    """
    uses = Counter(name for step in steps for name in step.inputs)
    builtin = [number for number, step in enumerate(steps) if is_builtin(step.layer)]
    consumers = {name: number for number in builtin for name in steps[number].inputs if uses[name] == 1}
    return {number: consumers[steps[number].name] for number in builtin if steps[number].name in consumers}
