"""The list itself: adding steps, their memory and modes, the passes over them, their shapes."""

from collections.abc import Iterator
from types import ModuleType
from typing import Any, Literal

import numpy as np

from scratchnet.arrays import Array, generator, get_array_module
from scratchnet.engine.cpu.blas import one_blas_thread
from scratchnet.engine.modes import is_textbook
from scratchnet.layers.base import Layer, Shape
from scratchnet.layers.normalization import BatchNorm2d
from scratchnet.layers.parameter import Buffer, Parameter
from scratchnet.layers.pooling import MaxPool2d
from scratchnet.network.checkpointing import StepMemory, choose_segments, step_memory
from scratchnet.network.execution import Pass
from scratchnet.network.fingerprints import Fingerprints
from scratchnet.network.freezing import matching, set_frozen
from scratchnet.network.fusion import UNFUSED, plan
from scratchnet.network.inputs import check_input
from scratchnet.network.ownership import Owner, check_unowned, claim, disown, layers_of
from scratchnet.network.parameters import PARAMETER_KINDS, FlatBuffers, moved
from scratchnet.network.step import Step
from scratchnet.ops.geometry import Pair


class Network(Owner):
    """A list of named steps.

    Parameters
    ----------
    channels : int
        Of the input image.
    stride : int
        Input sizes must be multiples of it; inference pads to it.
    fixed_size : (h, w) or None
        The only input size that makes sense, where there is one (DeconvNet's fully connected layers see the whole
        image); inference cuts larger images into tiles of it.
    valid_margin : int
        By how many pixels the output is smaller than the input on every side, where convolutions are not padded
        (U-Net: 92). Training and inference continue an image by reflection, so that its every pixel is labelled.
    """

    def __init__(
        self, channels: int = 3, stride: int = 1, fixed_size: Pair | None = None, valid_margin: int = 0
    ) -> None:
        self.channels, self.stride, self.fixed_size, self.valid_margin = channels, stride, fixed_size, valid_margin
        self.steps: list[Step] = []
        self.training = False
        self.buffers: FlatBuffers | None = None
        self._made: set[str] = {"input"}
        self.activation_checkpointing = False
        """Whether training keeps few values and computes the others again in the backward pass (:mod:`recomputing
        <scratchnet.network.checkpointing>`): the same bits, less memory, up to a third more time."""
        self._last = Pass(self.steps)
        """The last forward pass; at first one that has seen nothing."""

    def add(self, name: str, layer: Layer, *inputs: str) -> str:
        """Append a step and return its name.

        Raises
        ------
        ValueError
            When the name is taken, an input does not exist yet, or the layer or one of its parameters already belongs
            to another step or another network.
        """
        if name in self._made:
            raise ValueError(f"step '{name}' exists already")
        if any(step.layer is layer for step in self.steps):
            raise ValueError(
                f"step '{name}': this layer object is already in the list; every step needs one of its own"
            )
        check_unowned(self, name, layer)
        if "." in name:
            raise ValueError(f"step '{name}': a name must not contain a dot")
        inputs = inputs or (self.steps[-1].name if self.steps else "input",)
        for missing in (i for i in inputs if i not in self._made):
            raise ValueError(f"step '{name}' takes '{missing}', which no step before it makes")
        self.steps.append(Step(name, layer, inputs))
        claim(self, self.steps[-1])
        self._made.add(name)
        self._made.update(self.steps[-1].extra_values)
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
        if (layer.parameters, layer.buffers) != (old.layer.parameters, old.layer.buffers):
            raise ValueError(f"step '{name}': the new layer must have the parameters and buffers of the old one")
        self.steps[number] = Step(name, layer, old.inputs)
        disown(self, old.layer)
        claim(self, self.steps[number])
        self._last = Pass(self.steps)

    def __repr__(self) -> str:
        """Say in a line what the network is."""
        return f"<Network: {len(self.steps)} steps, {self.parameter_count():,} parameters>"

    def __str__(self) -> str:
        """Return the table of the steps, for an input of a small size that fits."""
        from scratchnet.network.summary import table  # which imports networks

        return table(self)

    # Memory -------------------------------------------------------------------------------------------------------

    def parameters(self) -> dict[str, Parameter]:
        """Return every parameter as ``step.name``, in the order of the flat buffers: by kind, then by step."""
        named = {f"{s.name}.{key}": p for s in self.steps for key, p in s.layer.parameters.items()}
        return {name: p for kind in PARAMETER_KINDS for name, p in named.items() if p.kind == kind}

    def state(self) -> dict[str, Buffer]:
        """Return what layers keep without learning it, as ``step.name``."""
        return {f"{s.name}.{key}": b for s in self.steps for key, b in s.layer.buffers.items()}

    def parameter_count(self) -> int:
        """Return how many numbers are learned."""
        return sum(p.size for p in self.parameters().values())

    def allocate(self, seed: int = 0, dtype: Any = np.float32) -> "Network":
        """Give every parameter its memory and starting values; return the network.

        A parameter's values depend on the seed and its name alone, not on the rest of the network.

        Raises
        ------
        TypeError
            When ``dtype`` is neither float32 nor float64.
        ValueError
            When a parameter also belongs to another step or another network.
        """
        named = self.parameters()
        for step in self.steps:
            claim(self, step)
        self.buffers = FlatBuffers.zeros(named, dtype)
        for name, parameter in named.items():
            parameter.value[...] = parameter.initializer(generator(seed, "start", name), parameter.shape)
        for buffer in self.state().values():
            buffer.bind(np.full(buffer.value.shape, buffer.initial_value, dtype))
        return self

    def to(self, xp: ModuleType) -> "Network":
        """Move all numbers into the memory of a module's device, NumPy's or CuPy's; return the network.

        What layers keep for a backward pass is forgotten.
        """
        if get_array_module(self.flat().values) is xp:
            return self
        self.buffers = self.flat().to(xp)
        self.buffers.bind(self.parameters())
        for buffer in self.state().values():
            buffer.bind(moved(buffer.value, xp))
        for step in self.steps:
            step.layer.release()
        self._last = Pass(self.steps)
        return self

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Make a copy whose parameters live in its own flat buffers."""
        vars(self).update(state)
        self._last = Pass(self.steps)
        if self.buffers is not None:
            self.buffers = self.buffers.to(get_array_module(self.buffers.values))
            self.buffers.bind(self.parameters())
        for step in self.steps:
            claim(self, step)

    def flat(self) -> FlatBuffers:
        """Return the flat buffers.

        Raises
        ------
        RuntimeError
            When the network has no memory yet.
        """
        if self.buffers is None:
            raise RuntimeError("this network has no memory yet: call allocate() first")
        return self.buffers

    def zero_grad(self) -> None:
        """Set all gradients to 0."""
        self.flat().grads[...] = 0

    # Modes --------------------------------------------------------------------------------------------------------

    def train(self, training: bool = True) -> "Network":
        """Switch to training (dropout drops, batch norm uses the batch) or, with False, back; return the network."""
        self.training = training
        for step in self.steps:
            for layer in layers_of(step.layer):
                layer.set_training(training)
        return self

    def eval(self) -> "Network":
        """Switch training off; return the network."""
        return self.train(False)

    def batch_norms(self) -> dict[str, BatchNorm2d]:
        """Return the batch norm layers by step name."""
        return {s.name: s.layer for s in self.steps if isinstance(s.layer, BatchNorm2d)}

    def pools(self) -> dict[str, MaxPool2d]:
        """Return the layers that make switches by step name."""
        return {s.name: s.layer for s in self.steps if isinstance(s.layer, MaxPool2d)}

    def use_statistics(self, which: Literal["running", "batch"]) -> "Network":
        """Choose the statistics that batch norm uses outside training; return the network."""
        for layer in self.batch_norms().values():
            layer.use_statistics(which)
        return self

    def freeze_batch_norm(self, frozen: bool = True) -> "Network":
        """Make batch norm use its running statistics, unchanged, in training too; return the network."""
        for layer in self.batch_norms().values():
            layer.freeze_statistics(frozen)
        return self

    def reseed(self, seed: int, *key: int | str, first: int = 0) -> None:
        """Give every layer that draws at random a stream that depends on ``seed``, ``key`` and its name alone.

        The next images are those of a batch from its image ``first`` on: they get what they would in the whole batch.
        """
        for step in self.steps:
            for number, layer in enumerate(layers_of(step.layer)):
                if type(layer).seed is not Layer.seed:
                    name = f"{step.name}/{number}" if number else step.name
                    layer.seed(generator(seed, name, *key), first)

    def freeze(self, *patterns: str, statistics: bool = False) -> "Network":
        """Stop learning the parameters that the patterns match; return the network.

        A frozen parameter is not updated and does not decay, an optimiser's memory of it stays as it is, and no
        gradient is computed for it, nor with respect to any value below the lowest step that learns.

        Parameters
        ----------
        *patterns : str
            Compared with the names of parameters (``"conv1.weight"``) and of steps (``"conv1"``); ``*``, ``?`` and
            ``[…]`` as in a shell.
        statistics : bool
            Whether batch norm layers whose parameters are all frozen also stop moving their running statistics, and
            normalise with those in training too. Without it they go on as in PyTorch: freezing parameters does not
            freeze statistics.

        Raises
        ------
        ValueError
            When a pattern matches no parameter; nothing is frozen then.
        """
        set_frozen(self, matching(self.parameters(), patterns), True, statistics)
        return self

    def unfreeze(self, *patterns: str) -> "Network":
        """Learn the parameters that the patterns match again, all of them without a pattern; return the network.

        The statistics of their batch norm layers move again as well.
        """
        set_frozen(self, matching(self.parameters(), patterns or ("*",)), False, True)
        return self

    def frozen(self) -> list[str]:
        """Return the names of the frozen parameters, in the order of the flat buffers."""
        return [name for name, parameter in self.parameters().items() if parameter.frozen]

    # Passes -------------------------------------------------------------------------------------------------------

    def forward(self, x: Array, keep: bool | None = None) -> Array:
        """Run the steps and return the last value.

        Neighbouring layers are fused where possible, see :mod:`scratchnet.network.fusion`.

        Parameters
        ----------
        x : (n, h, w, channels)
        keep : bool or None
            Whether to keep what :meth:`backward` needs. None: in training only. Values that no later step takes are
            freed at once in any case.

        Raises
        ------
        ValueError
            When ``x`` does not have the network's channels or dtype.
        """
        check_input(x, self.channels, self.flat().values)
        output = x
        keep = self.training if keep is None else keep
        checkpointing = keep and self.activation_checkpointing
        segments = choose_segments(self.step_memory(x.shape[1:3], len(x))) if checkpointing else None
        fusion = UNFUSED if is_textbook() else plan(self.steps, recompute_inputs=keep and not checkpointing)
        with one_blas_thread():
            self._last = Pass(self.steps, fusion, segments)
            for _, value in self._last.forward(x, keep):
                output = value
        self._last.seen = Fingerprints.of(x, output, self.flat()) if keep else None
        return output

    def walk(self, x: Array, keep: bool = False) -> Iterator[tuple[str, Array]]:
        """Run the list and yield (name, value) after every step, for inspecting activations; nothing is fused."""
        check_input(x, self.channels, self.flat().values)
        self._last = Pass(self.steps)
        return self._last.forward(x, keep)

    def backward(self, dy: Array, needs_input_grad: bool = False, add: bool = True) -> Array | None:
        """Walk the list in reverse, adding to every parameter's gradient.

        Parameters
        ----------
        dy : as the last forward's output
            Gradient of the loss by the output.
        needs_input_grad : bool
            Whether the gradient by the image is wanted.
        add : bool
            False puts the gradients in the place of those that are there. That is what :meth:`zero_grad` and adding
            come to, but takes two passes over memory less.

        Returns
        -------
        dx : (n, h, w, channels) or None

        Raises
        ------
        RuntimeError
            When the input, the output or parameters were changed in place since the forward pass, and a step kept them.
            This is noticed by a sample of their values, on the CPU.
        """
        parameters = [parameter for step in self.steps for parameter in step.layer.parameters.values()]
        for parameter in parameters:
            parameter.mark_grad_stale(not add)
        try:
            with one_blas_thread():
                dx = self._last.backward(dy, needs_input_grad)
            for parameter in parameters:
                parameter.clear_stale_grad()  # of those that nothing came to
        finally:  # after an error, too, nothing later may be taken for this pass's
            for parameter in parameters:
                parameter.mark_grad_stale(False)
        return dx

    # Shapes -------------------------------------------------------------------------------------------------------

    def shapes(self, size: Pair, n: int = 1) -> dict[str, Shape]:
        """Return the shape of every value for an input of ``size`` (h, w), without computing anything.

        Raises
        ------
        ValueError
            When a step cannot take what it is given; the message names the step.
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
