"""The network: a list of steps, its forward and backward pass, and the shapes of its values."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from scratchnet.arrays import Array, get_array_module
from scratchnet.layers.base import Layer, Shape
from scratchnet.network.checkpointing import StepMemory, choose_segments, step_memory
from scratchnet.network.execution import Pass
from scratchnet.network.fingerprints import PassFingerprints
from scratchnet.network.fusion import plan, plan_in_use
from scratchnet.network.inputs import check_input
from scratchnet.network.modes import NetworkModes
from scratchnet.network.ownership import check_unowned, claim, disown
from scratchnet.network.parameters import FlatBuffers
from scratchnet.network.step import Step
from scratchnet.ops.geometry import Pair


class Network(NetworkModes):
    """A list of named steps.

    Parameters
    ----------
    channels : int
        Channels of the input image.
    stride : int
        Input sizes must be multiples of it; inference pads images to such a size.
    fixed_size : (h, w) or None
        The only valid input size, if there is one (DeconvNet's fully connected layers see the whole image). Inference
        cuts larger images into tiles of this size.
    valid_margin : int
        Number of pixels by which the output is smaller than the input on each side, if convolutions are not padded
        (U-Net: 92). Training and inference extend images by reflection, so that every pixel gets a label.
    """

    def __init__(
        self, channels: int = 3, stride: int = 1, fixed_size: Pair | None = None, valid_margin: int = 0
    ) -> None:
        self.channels, self.stride, self.fixed_size, self.valid_margin = channels, stride, fixed_size, valid_margin
        self.steps: list[Step] = []
        self.buffers: FlatBuffers | None = None
        self._value_names: set[str] = {"input"}
        self.activation_checkpointing = False
        """Whether training saves only some of the values and recomputes the others in the backward pass
        (:mod:`scratchnet.network.checkpointing`). Results are bit-identical; it takes less memory and up to a third
        more time."""
        self._last = Pass(self.steps)
        """The last forward pass; initially one that has not run."""

    def add(self, name: str, layer: Layer, *inputs: str) -> str:
        """Append a step and return its name.

        Raises
        ------
        ValueError
            If the name is taken, an input does not exist yet, or the layer or one of its parameters already belongs to
            another step or another network.
        """
        if name in self._value_names:
            raise ValueError(f"step '{name}' exists already")
        if any(step.layer is layer for step in self.steps):
            raise ValueError(
                f"step '{name}': this layer object is already in the list; every step needs one of its own"
            )
        check_unowned(self, name, layer)
        if "." in name:
            raise ValueError(f"step '{name}': a name must not contain a dot")
        inputs = inputs or (self.steps[-1].name if self.steps else "input",)
        for missing in (i for i in inputs if i not in self._value_names):
            raise ValueError(f"step '{name}' takes '{missing}', which no step before it makes")
        self.steps.append(Step(name, layer, inputs))
        claim(self, self.steps[-1])
        self._value_names.add(name)
        self._value_names.update(self.steps[-1].extra_values)
        return name

    def replace_layer(self, name: str, layer: Layer) -> None:
        """Replace the layer of step ``name`` by one with the same parameters and buffers, which keep their memory.

        Raises
        ------
        ValueError
            If there is no such step, or ``layer`` has other parameters or buffers.
        """
        number = next((i for i, step in enumerate(self.steps) if step.name == name), None)
        if number is None:
            raise ValueError(f"the network has no step '{name}'")
        old = self.steps[number]
        for new_ones, old_ones in ((layer.parameters, old.layer.parameters), (layer.buffers, old.layer.buffers)):
            if {key: id(one) for key, one in new_ones.items()} != {key: id(one) for key, one in old_ones.items()}:
                raise ValueError(f"step '{name}': the new layer must have the parameters and buffers of the old one")
        self.steps[number] = Step(name, layer, old.inputs)
        disown(self, old.layer)
        claim(self, self.steps[number])
        self.release()

    def release(self) -> None:
        """Discard the values that layers saved for a backward pass, and the last forward pass."""
        super().release()
        self._last = Pass(self.steps)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the state of a copy, which has no forward pass yet."""
        super().__setstate__(state)
        self._last = Pass(self.steps)

    def __repr__(self) -> str:
        """Return a summary in one line."""
        return f"<Network: {len(self.steps)} steps, {self.parameter_count():,} parameters>"

    def __str__(self) -> str:
        """Return the table of the steps, for a small valid input size."""
        from scratchnet.network.summary import table  # it imports this module

        return table(self)

    # Passes -------------------------------------------------------------------------------------------------------

    def forward(self, x: Array, keep: bool | None = None) -> Array:
        """Run the steps and return the last value.

        Neighbouring layers are fused where possible, see :mod:`scratchnet.network.fusion`.

        Parameters
        ----------
        x : (n, h, w, channels)
        keep : bool or None
            Whether to save the values that :meth:`backward` needs; by default in training mode only. Values that no
            later step uses are freed at once in any case.

        Raises
        ------
        ValueError
            If ``x`` does not have the network's channels or dtype.
        """
        check_input(x, self.channels, self.flat().values)
        keep = self.training if keep is None else keep
        checkpointing = keep and self.activation_checkpointing
        segments = choose_segments(self.step_memory(x.shape[1:3], len(x))) if checkpointing else None
        fusion = plan_in_use(self.steps, keep and not checkpointing, keep, on_gpu=get_array_module(x) is not np)
        self._last = Pass(self.steps, fusion, segments)
        output = self._last.run(x, keep)
        self._last.seen = PassFingerprints.of(x, output, self.flat()) if keep else None  # to detect changes in place
        return output

    def walk(self, x: Array, keep: bool = False) -> Iterator[tuple[str, Array]]:
        """Run the steps and yield (name, value) after each, to inspect activations; no layers are fused."""
        check_input(x, self.channels, self.flat().values)
        self._last = Pass(self.steps)
        return self._last.forward(x, keep)

    def backward(self, dy: Array, needs_input_grad: bool = False, add: bool = True) -> Array | None:
        """Run the steps in reverse, adding to the gradient of every parameter.

        Parameters
        ----------
        dy : as the output of the last forward pass
            Gradient of the loss with respect to the output.
        needs_input_grad : bool
            Whether to return the gradient with respect to the image.
        add : bool
            False replaces the existing gradients. The result is that of :meth:`zero_grad` followed by adding, with
            two passes over memory fewer.

        Returns
        -------
        dx : (n, h, w, channels) or None

        Raises
        ------
        RuntimeError
            If the input, the output or parameters were changed in place since the forward pass, and a step saved them.
            This is detected from a sample of their values, on the CPU.
        """
        parameters = [parameter for step in self.steps for parameter in step.layer.parameters.values()]
        for parameter in parameters:
            parameter.mark_grad_stale(not add)
        try:
            dx = self._last.backward(dy, needs_input_grad)
            for parameter in parameters:
                parameter.clear_stale_grad()  # of parameters that got no gradient
        finally:  # also after an error: a later pass must not replace gradients
            for parameter in parameters:
                parameter.mark_grad_stale(False)
        return dx

    # Shapes -------------------------------------------------------------------------------------------------------

    def shapes(self, size: Pair, n: int = 1) -> dict[str, Shape]:
        """Return the shape of every value for an input of ``size`` (h, w), from shapes alone.

        Raises
        ------
        ValueError
            If an input does not fit a step; the message names the step.
        """
        shapes: dict[str, Shape] = {"input": (n, *size, self.channels)}
        for step in self.steps:
            taken = [shapes[name] for name in step.inputs]
            pooled = [shapes[name.partition(".")[0]] for name in step.inputs if name.endswith(".switches")]
            try:
                if pooled and taken[0] != pooled[0]:
                    raise ValueError(f"the map {taken[0]} and its switches {pooled[0]} must have the same shape")
                shapes[step.name] = step.layer.output_shape(*taken)
            except ValueError as error:
                raise ValueError(f"step '{step.name}': {error}") from error
            for value in step.extra_values:
                shapes[value] = taken[0]  # for switches, the size that they restore
        return shapes

    def step_memory(self, size: Pair, n: int = 1, recompute_inputs: bool = False) -> tuple[StepMemory, ...]:
        """Return the memory that each step needs in a training step on ``n`` images of ``size`` (h, w).

        ``recompute_inputs`` as in :func:`plan <scratchnet.network.fusion.plan>`: True for an ordinary step, False for
        one with activation checkpointing.
        """
        itemsize = 4 if self.buffers is None else self.buffers.values.dtype.itemsize
        return step_memory(self.steps, self.shapes(size, n), itemsize, plan(self.steps, recompute_inputs))
