"""A network: a list of named steps, walked forwards and backwards.

    net = Network(channels=3)
    net.add("conv1", Conv2d(3, 32, 3, padding=1))
    net.add("relu1", ReLU())
    net.add("pool1", MaxPool2d(2))
    net.add("deconv1", ConvTranspose2d(32, 32, 3, padding=1))
    net.add("unpool1", MaxUnpool2d(), "deconv1", "pool1.switches")
    net.add("score", Conv2d(32, 2, 1))

Each step makes a value with its own name. It takes the value of the step before it unless others are named;
``"input"`` is the image. A pooling step makes a second value, ``NAME.switches``. The gradient of a value that several
steps used is the sum of what they send back: that is all there is to skips and concatenations.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import prod
from types import ModuleType
from typing import Any, Literal

import numpy as np

from scratchnet.arrays import Array, generator, namespace, on_gpu, to_host
from scratchnet.layers.activation import Dropout, ReLU
from scratchnet.layers.base import Buffer, Kind, Layer, Parameter, Shape
from scratchnet.layers.convolution import Conv2d, ConvTranspose2d
from scratchnet.layers.normalization import BatchNorm2d
from scratchnet.layers.pooling import MaxPool2d
from scratchnet.modes import is_textbook
from scratchnet.ops.arrangement import add
from scratchnet.ops.geometry import Pair
from scratchnet.recomputing import Held, Stored, plan
from scratchnet.recycling import shared_zeros
from scratchnet.threads import one_blas_thread

KINDS: tuple[Kind, ...] = ("weight", "bias", "scale", "shift")


@dataclass(frozen=True)
class Step:
    """One line of the list: a layer, the name of the value it makes and the names of those it takes."""

    name: str
    layer: Layer
    inputs: tuple[str, ...]


@dataclass
class FlatBuffers:
    """All parameters of a network in one array, all gradients in another, ordered by kind.

    Attributes
    ----------
    values, grads : (count,)
    segments : dict
        The slice of each kind of parameter, so that an update with one rate and decay a kind is a few array operations.
    """

    values: Array
    grads: Array
    segments: dict[Kind, slice] = field(default_factory=dict)


class Network:
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
    border : int
        By how many pixels the output is smaller than the input on every side, where convolutions are not padded
        (U-Net: 92). Training and inference continue an image by reflection, so that its every pixel is labelled.
    """

    def __init__(self, channels: int = 3, stride: int = 1, fixed_size: Pair | None = None, border: int = 0) -> None:
        self.channels, self.stride, self.fixed_size, self.border = channels, stride, fixed_size, border
        self.steps: list[Step] = []
        self.training = False
        self.buffers: FlatBuffers | None = None
        self._made: set[str] = {"input"}
        self.recompute = False
        """Whether training keeps few values and computes the others again in the backward pass (:mod:`recomputing
        <scratchnet.recomputing>`): the same bits, less memory, up to a third more time."""
        self._stored: dict[int, Stored] = {}
        """What is to be computed again, by the number of a segment's last step."""
        self._skipped: set[Layer] = set()
        self._output: Shape | None = None

    def add(self, name: str, layer: Layer, *inputs: str) -> str:
        """Append a step and return its name.

        Raises
        ------
        ValueError
            When the name is taken or an input does not exist yet.
        """
        if name in self._made:
            raise ValueError(f"step '{name}' exists already")
        if any(step.layer is layer for step in self.steps):
            raise ValueError(
                f"step '{name}': this layer object is already in the list; every step needs one of its own"
            )
        if "." in name:
            raise ValueError(f"step '{name}': a name must not contain a dot")
        inputs = inputs or (self.steps[-1].name if self.steps else "input",)
        for missing in (i for i in inputs if i not in self._made):
            raise ValueError(f"step '{name}' takes '{missing}', which no step before it makes")
        self.steps.append(Step(name, layer, inputs))
        self._made.add(name)
        if isinstance(layer, MaxPool2d):
            self._made.add(f"{name}.switches")
        return name

    # Memory -------------------------------------------------------------------------------------------------------

    def parameters(self) -> dict[str, Parameter]:
        """Return every parameter as ``step.name``, in the order of the flat buffers: by kind, then by step."""
        named = {f"{s.name}.{key}": p for s in self.steps for key, p in s.layer.parameters.items()}
        return {name: p for kind in KINDS for name, p in named.items() if p.kind == kind}

    def state(self) -> dict[str, Buffer]:
        """Return what layers keep without learning it, as ``step.name``."""
        return {f"{s.name}.{key}": b for s in self.steps for key, b in s.layer.buffers.items()}

    def parameter_count(self) -> int:
        """Return how many numbers are learned."""
        return sum(p.size for p in self.parameters().values())

    def allocate(self, seed: int = 0, dtype: Any = np.float32) -> "Network":
        """Give every parameter its memory and starting values; return the network.

        A parameter's values depend on the seed and its name alone, not on the rest of the network.
        """
        named = self.parameters()
        values, grads = (shared_zeros((self.parameter_count(),), dtype) for _ in range(2))
        self.buffers = FlatBuffers(values, grads)
        begin = 0
        for name, parameter in named.items():
            end = begin + parameter.size
            parameter.place(values[begin:end], grads[begin:end])
            parameter.value[...] = parameter.start(generator(seed, "start", name), parameter.shape)
            first = self.buffers.segments.get(parameter.kind, slice(begin, begin)).start
            self.buffers.segments[parameter.kind] = slice(first, end)
            begin = end
        for buffer in self.state().values():
            buffer.value = np.full(buffer.value.shape, buffer.start, dtype)
        return self

    def to(self, xp: ModuleType) -> "Network":
        """Move all numbers into the memory of a module's device, NumPy's or CuPy's; return the network.

        What layers keep for a backward pass is forgotten.
        """
        flat = self.flat()
        if namespace(flat.values) is xp:
            return self
        values, grads = (_moved(array, xp) for array in (flat.values, flat.grads))
        self.buffers = FlatBuffers(values, grads, flat.segments)
        begin = 0
        for parameter in self.parameters().values():
            end = begin + parameter.size
            parameter.place(values[begin:end], grads[begin:end])
            begin = end
        for buffer in self.state().values():
            buffer.value = _moved(buffer.value, xp)
        for step in self.steps:
            step.layer.release()
        self._stored = {}
        return self

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
            step.layer.training = training
        return self

    def eval(self) -> "Network":
        """Switch training off; return the network."""
        return self.train(False)

    def batch_norms(self) -> dict[str, BatchNorm2d]:
        """Return the batch norm layers by step name."""
        return {s.name: s.layer for s in self.steps if isinstance(s.layer, BatchNorm2d)}

    def use_statistics(self, which: Literal["running", "batch"]) -> "Network":
        """Choose the statistics that batch norm uses outside training; return the network."""
        for layer in self.batch_norms().values():
            layer.statistics = which
        return self

    def freeze_batch_norm(self, frozen: bool = True) -> "Network":
        """Make batch norm use its running statistics, unchanged, in training too; return the network."""
        for layer in self.batch_norms().values():
            layer.frozen = frozen
        return self

    def reseed(self, seed: int, *key: int | str, first: int = 0) -> None:
        """Give every layer that draws at random a stream that depends on ``seed``, ``key`` and its name alone.

        The next images are those of a batch from its image ``first`` on: they get what they would in the whole batch.
        """
        for step in self.steps:
            if isinstance(step.layer, Dropout):
                step.layer.seed(generator(seed, step.name, *key), first)

    # Passes -------------------------------------------------------------------------------------------------------

    def forward(self, x: Array, keep: bool | None = None) -> Array:
        """Run the list and return the last value.

        A ReLU is done by the batch norm in front of it, or overwrites its input, where nothing else takes that value.

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
        output = x
        keep = self.training if keep is None else keep
        with self._fused() as skipped, one_blas_thread():
            for _, value in self._run(x, keep, skipped, keep and self.recompute):
                output = value
        return output

    @contextmanager
    def _fused(self) -> Iterator[set[Layer]]:
        """Join every ReLU to the step before it inside this block; yield those that are left with nothing to do."""
        skipped: set[Layer] = set()
        joined: list[BatchNorm2d | ReLU] = []
        for relu, first in self._joins() if not is_textbook() else ():
            joined.append(first if isinstance(first, BatchNorm2d) else relu)
            if isinstance(first, BatchNorm2d):
                skipped.add(relu)
        for layer in joined:
            layer.joined = True
        try:
            yield skipped
        finally:
            for layer in joined:
                layer.joined = False

    def _joins(self) -> list[tuple[ReLU, Layer]]:
        """Return every ReLU that can be joined to the step before it, and that step's layer."""
        takers = Counter(name for step in self.steps for name in step.inputs)
        before = {step.name: step.layer for step in self.steps}
        return [
            (step.layer, before[step.inputs[0]])
            for step in self.steps
            if isinstance(step.layer, ReLU)
            and takers[step.inputs[0]] == 1
            and isinstance(before.get(step.inputs[0]), BatchNorm2d | Conv2d | ConvTranspose2d)
        ]

    def walk(self, x: Array, keep: bool = False) -> Iterator[tuple[str, Array]]:
        """Run the list and yield (name, value) after every step, for looking at activations; nothing is joined."""
        return self._run(x, keep, set())

    def _run(self, x: Array, keep: bool, skipped: set[Layer], recompute: bool = False) -> Iterator[tuple[str, Array]]:
        """Run the list, passing by the layers whose work the one before them did."""
        if x.ndim != 4 or x.shape[3] != self.channels:
            raise ValueError(f"network: expected input (n, h, w, {self.channels}), got {x.shape}")
        if x.dtype != self.flat().values.dtype:
            raise ValueError(f"network: expected {self.flat().values.dtype} input, got {x.dtype}; use x.astype(…)")
        if on_gpu(x) != on_gpu(self.flat().values):
            here, there = ("a GPU", "the CPU") if on_gpu(x) else ("the CPU", "a GPU")
            raise ValueError(f"network: the input is on {here}, but the network on {there}; use to_device_of or net.to")
        self._skipped, self._stored = skipped, {}
        *segments, last = plan(self.held(x.shape[1:3], len(x))) if recompute else [range(len(self.steps))]
        values: dict[str, Any] = {"input": x}
        last_use = {name: i for i, step in enumerate(self.steps) for name in step.inputs}
        for segment in (*segments, last):
            if segment is not last:
                wanted = {name for i in segment for name in self.steps[i].inputs}
                self._stored[segment[-1]] = Stored(segment, {n: v for n, v in values.items() if n in wanted})
            for i in segment:
                self._compute(self.steps[i], values)
                if not keep or segment is not last:
                    self.steps[i].layer.release()
                self._forget(values, i, last_use)
                self._output = values[self.steps[i].name].shape
                yield self.steps[i].name, values[self.steps[i].name]

    def _compute(self, step: Step, values: dict[str, Any], again: bool = False) -> None:
        """Make a step's values from those that it takes."""
        taken = [values[name] for name in step.inputs]
        forward = step.layer.forward_again if again else step.layer.forward
        values[step.name] = taken[0] if step.layer in self._skipped else forward(*taken)
        if isinstance(step.layer, MaxPool2d):
            values[f"{step.name}.switches"] = step.layer.switches

    def _forget(self, values: dict[str, Any], i: int, last_use: dict[str, int]) -> None:
        """Drop the values that no step behind step ``i`` takes, but not its own."""
        for name in [name for name in values if last_use.get(name, -1) <= i]:
            if name.partition(".")[0] != self.steps[i].name:
                del values[name]

    def _compute_again(self, stored: Stored) -> None:
        """Run a segment forward once more, keeping what its backward pass needs."""
        values = stored.inputs
        last_use = {name: i for i in stored.steps for name in self.steps[i].inputs}
        with self._fused() as self._skipped:
            for i in stored.steps:
                self._compute(self.steps[i], values, again=True)
                self._forget(values, i, last_use)

    def backward(self, dy: Array, need_dx: bool = False) -> Array | None:
        """Walk the list in reverse, adding to every parameter's gradient.

        Parameters
        ----------
        dy : as the last forward's output
            Gradient of the loss by the output.
        need_dx : bool
            Whether the gradient by the image is wanted.

        Returns
        -------
        dx : (n, h, w, channels) or None
        """
        if self._output is not None and dy.shape != self._output:
            raise ValueError(f"network: the gradient {dy.shape} must have the shape of the last output {self._output}")
        learns = self._learns(need_dx)
        gradients: dict[str, Array] = {self.steps[-1].name: dy}
        with one_blas_thread():
            for i, step in reversed(list(enumerate(self.steps))):
                stored = self._stored.pop(i, None)
                if stored is not None and any(learns[self.steps[k].name] for k in stored.steps):
                    self._compute_again(stored)
                del stored
                gradient = gradients.pop(step.name, None)
                if gradient is None or not learns[step.name]:
                    step.layer.release()
                    continue
                step.layer.need_dx = any(learns[name] for name in step.inputs)
                sent = gradient if step.layer in self._skipped else step.layer.backward(gradient)
                del gradient
                for name, part in zip(step.inputs, sent if isinstance(sent, tuple) else (sent,), strict=True):
                    if part is not None and learns[name]:
                        gradients[name] = add(gradients[name], part) if name in gradients else part
                del sent, part
        return gradients.get("input")

    def _learns(self, need_dx: bool) -> dict[str, bool]:
        """Say for each value whether its gradient is of use: whether anything up to it learns."""
        learns = {"input": need_dx}
        for step in self.steps:
            learns[step.name] = bool(step.layer.parameters) or any(learns[name] for name in step.inputs)
            learns[f"{step.name}.switches"] = False
        return learns

    def held(self, size: Pair, n: int = 1) -> tuple[Held, ...]:
        """Return what every step holds of a training step on ``n`` images of ``size`` (h, w), for :func:`plan`."""
        shapes, joins = self.shapes(size, n), {relu for relu, _ in self._joins()}
        itemsize = 4 if self.buffers is None else self.buffers.values.dtype.itemsize
        held: list[Held] = []
        same: dict[str, str] = {}
        for step in self.steps:
            takes = tuple(same.get(name, name) for name in step.inputs)
            if step.layer in joins:  # the same memory
                same[step.name] = takes[0]
                held.append(Held((), takes, begins=False))
                continue
            count = prod(shapes[step.name])
            value = (step.name, count * itemsize, count * itemsize)
            switches = [(f"{step.name}.switches", count, 0)] if isinstance(step.layer, MaxPool2d) else []
            held.append(Held((value, *switches), takes, begins=True))
        return tuple(held)

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
            if isinstance(step.layer, MaxPool2d):
                shapes[f"{step.name}.switches"] = taken[0]  # the size that they restore
        return shapes


def _moved(array: Array, xp: ModuleType) -> Array:
    """Return an array in a module's memory; on the host in memory that forked processes share."""
    if xp is not np:
        moved: Array = xp.asarray(array)
        return moved
    host = shared_zeros(array.shape, array.dtype)
    host[...] = to_host(array)
    return host
