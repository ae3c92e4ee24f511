"""Optimisers: from gradients to new parameters.

Parameters, gradients and the optimiser's own arrays are flat buffers, so an update is a few array operations for each
kind of parameter, done in pieces that stay in the cache. Weight decay applies to weights alone: shrinking a bias or a
batch-norm scale does not make a network simpler. Biases may have a learning rate of their own (Caffe's recipes double
it).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ClassVar, Protocol

from scratchnet.arrays import Array, get_array_module, on_gpu
from scratchnet.engine.cpu.threads import OPERATIONS_PER_ELEMENT, parallel_for
from scratchnet.engine.memory.shared import shared_zeros
from scratchnet.layers.parameter import ParameterKind
from scratchnet.network import FlatBuffers, Network
from scratchnet.ops.updates import adam_update, average_update, nesterov_update, sgd_update, shrink
from scratchnet.utils.validation import flag, number

CHUNK_ELEMENTS = 1 << 17
"""Elements that are updated at a time: half a megabyte in float32 of each array, so that all stay in the cache."""


class Optimizer(Protocol):
    """Interface between the training loop and an optimiser."""

    names: ClassVar[tuple[str, ...]]
    """Names of the arrays that it keeps from step to step."""

    arrays: dict[str, Array]
    """Those arrays, each as long as the parameters; stored in checkpoints."""

    steps: int
    """Number of updates made so far; stored in checkpoints."""

    def step(self, buffers: FlatBuffers, rate: float) -> None:
        """Update ``buffers.values`` from ``buffers.grads`` at the learning rate ``rate``."""


class SGD:
    """Stochastic gradient descent with momentum.

        m ← μ·m + g + λ·w        w ← w − rate·m

    Parameters
    ----------
    momentum : float
        μ
    weight_decay : float
        λ, applied to weights alone.
    bias_lr_multiplier : float
        Factor on the learning rate of biases.
    nesterov : bool
        Whether to use Nesterov momentum (Sutskever, Martens, Dahl, Hinton 2013, section 2, in
        PyTorch's form): with d = g + λ·w and m ← μ·m + d, w ← w − rate·(d + μ·m). Needs momentum.
    """

    names: ClassVar[tuple[str, ...]] = ("momentum",)

    def __init__(
        self, momentum: float = 0.9, weight_decay: float = 0.0, bias_lr_multiplier: float = 1.0, nesterov: bool = False
    ) -> None:
        self.momentum = number(momentum, "SGD: momentum", 0, 1, "[)")
        self.weight_decay = number(weight_decay, "SGD: weight_decay", 0)
        self.bias_lr_multiplier = number(bias_lr_multiplier, "SGD: bias_lr_multiplier", 0)
        self.nesterov = flag(nesterov, "SGD: nesterov")
        if self.nesterov and self.momentum == 0:
            raise ValueError(f"SGD: nesterov needs a momentum above 0, got {momentum}")
        self.arrays: dict[str, Array] = {}
        self.steps = 0

    def step(self, buffers: FlatBuffers, rate: float) -> None:
        """Update in place."""
        rate = number(rate, f"{type(self).__name__}: rate", 0)
        momentum = _state(self.arrays, self.names[0], buffers.values)

        def update(piece: slice, kind: ParameterKind) -> None:
            w, g, m = buffers.values[piece], buffers.grads[piece], momentum[piece]
            factor = self.bias_lr_multiplier if kind == "bias" else 1
            decay = self.weight_decay if kind == "weight" else 0.0
            (nesterov_update if self.nesterov else sgd_update)(w, g, m, rate * factor, self.momentum, decay)

        _for_pieces(buffers, update)
        self.steps += 1


class Adam:
    """Adam (Kingma and Ba 2015, algorithm 1): each parameter's step is scaled by its own recent gradients.

        m ← β₁·m + (1−β₁)·g      v ← β₂·v + (1−β₂)·g²      w ← w − rate · m̂ / (√v̂ + ε)

    with m̂ = m / (1 − β₁ᵗ), v̂ = v / (1 − β₂ᵗ) after t updates, and λ·w added to the gradient of weights.

    Parameters
    ----------
    weight_decay : float
        λ
    bias_lr_multiplier : float
        Factor on the learning rate of biases.
    betas : (float, float)
    eps : float
    """

    names: ClassVar[tuple[str, ...]] = ("mean", "square")
    decoupled: ClassVar[bool] = False
    """Whether weight decay is separate from the gradient."""

    def __init__(
        self,
        weight_decay: float = 0.0,
        bias_lr_multiplier: float = 1.0,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        name = type(self).__name__
        self.weight_decay = number(weight_decay, f"{name}: weight_decay", 0)
        self.bias_lr_multiplier = number(bias_lr_multiplier, f"{name}: bias_lr_multiplier", 0)
        if not isinstance(betas, tuple | list) or len(betas) != 2:
            raise ValueError(f"{name}: betas are {betas!r}; expected two numbers")
        beta1, beta2 = (number(beta, f"{name}: beta", 0, 1, "[)") for beta in betas)
        self.betas, self.eps = (beta1, beta2), number(eps, f"{name}: eps", 0, include="(]")
        self.arrays: dict[str, Array] = {}
        self.steps = 0

    def step(self, buffers: FlatBuffers, rate: float) -> None:
        """Update in place."""
        rate = number(rate, f"{type(self).__name__}: rate", 0)
        self.steps += 1
        mean, square = (_state(self.arrays, name, buffers.values) for name in self.names)
        beta1, beta2 = self.betas
        unbias1, unbias2 = 1 - beta1**self.steps, 1 - beta2**self.steps

        def update(piece: slice, kind: ParameterKind) -> None:
            w, g, m, v = buffers.values[piece], buffers.grads[piece], mean[piece], square[piece]
            factor = self.bias_lr_multiplier if kind == "bias" else 1
            decay = self.weight_decay if kind == "weight" else 0.0
            if self.decoupled and decay:
                shrink(w, rate * decay)
                decay = 0.0
            adam_update(w, g, m, v, rate / unbias1 * factor, beta1, beta2, unbias2, self.eps, decay)

        _for_pieces(buffers, update)


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019, "Decoupled weight decay regularization").

    Weights shrink, w ← w − rate·λ·w, before Adam's step, and λ does not enter their gradient. So all weights decay
    alike; with Adam, weights with larger gradients decay less. Parameters as for :class:`Adam`.
    """

    decoupled: ClassVar[bool] = True


class WeightAverage:
    """An exponential moving average of a network, which often evaluates better than its last state.

        a ← a + (1 − d)·(w − a),        d = min(decay, (1 + t) / (10 + t)) after t updates

    The growing d lets the average forget how the training started (Polyak and Juditsky 1992; the form is
    TensorFlow's ``ExponentialMovingAverage`` with ``num_updates``). Batch norm's running statistics are averaged like
    the parameters: those of the last few batches fit the last parameters, not the average of hundreds.

    Parameters
    ----------
    decay : float
        From 0 to below 1, for example 0.999.
    network : Network
        As it is at the start.

    Attributes
    ----------
    values : (count,)
        The averaged parameters.
    statistics : (number,)
        The averaged running means and variances of all batch norms.
    """

    def __init__(self, decay: float, network: Network) -> None:
        self.decay = number(decay, "WeightAverage: decay", 0, 1, "[)")
        self.values = _state({}, "average", network.flat().values)
        self.values[...] = network.flat().values
        self.statistics = running_statistics(network)

    @property
    def arrays(self) -> dict[str, Array]:
        """The arrays by the names that they have in a checkpoint."""
        return dict(zip(self.names, (self.values, self.statistics), strict=True))

    names: ClassVar[tuple[str, str]] = ("average", "average_statistics")

    def restore(self, arrays: dict[str, Array], network: Network) -> None:
        """Take the arrays of a checkpoint out of ``arrays``; an earlier version stored no statistics."""
        values, statistics = self.names
        self.values = arrays.pop(values)
        self.statistics = arrays.pop(statistics, running_statistics(network))

    def update(self, network: Network, steps: int) -> None:
        """Include the network as it is after update number ``steps``, counted from 1."""
        decay, buffers = min(self.decay, (1 + steps) / (10 + steps)), network.flat()
        _for_pieces(buffers, lambda piece, _: average_update(self.values[piece], buffers.values[piece], decay))
        self.statistics += self.statistics.dtype.type(1 - decay) * (running_statistics(network) - self.statistics)

    @contextmanager
    def used(self, network: Network) -> Iterator[None]:
        """Replace the network's parameters and running statistics by their averages inside this block."""
        values = network.flat().values
        learned, statistics = values.copy(), running_statistics(network)
        values[...] = self.values
        _set_statistics(network, self.statistics)
        try:
            yield
        finally:
            values[...] = learned
            _set_statistics(network, statistics)


def running_statistics(network: Network) -> Array:
    """Return the running means and variances of all batch norms, one after the other: (number,)."""
    values = network.flat().values
    running = [buffer.value for norm in network.batch_norms().values() for buffer in norm.buffers.values()]
    together: Array = get_array_module(values).concatenate([values[:0], *running])
    return together


def _set_statistics(network: Network, values: Array) -> None:
    """Set the running means and variances of all batch norms; ``values`` as from :func:`running_statistics`."""
    begin = 0
    for norm in network.batch_norms().values():
        for buffer in norm.buffers.values():
            buffer.value[...] = values[begin : begin + buffer.value.size]
            begin += buffer.value.size


def _state(arrays: dict[str, Array], name: str, like: Array) -> Array:
    """Return an array of the optimiser, zeros when it is first used.

    On the host its memory is shared with forked processes, which would otherwise keep a copy from before the fork.
    """
    if name not in arrays:
        arrays[name] = get_array_module(like).zeros_like(like) if on_gpu(like) else shared_zeros(like.shape, like.dtype)
    return arrays[name]


def _for_pieces(buffers: FlatBuffers, update: Callable[[slice, ParameterKind], None]) -> None:
    """Call ``update`` on the pieces of every kind's segment, on all cores; on a GPU a segment is one piece."""
    gpu = on_gpu(buffers.values)
    length = buffers.values.size if gpu else CHUNK_ELEMENTS
    pieces = [
        (slice(begin, min(begin + length, segment.stop)), kind)
        for segment, kind in buffers.learned
        for begin in range(segment.start, segment.stop, length)
    ]

    if gpu:
        for piece in pieces:
            update(*piece)
    else:
        parallel_for(lambda piece: update(*piece), pieces, OPERATIONS_PER_ELEMENT * buffers.values.size)
