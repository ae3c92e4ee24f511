"""From gradients to new parameters.

Parameters, gradients and the optimiser's own arrays are flat buffers, so an update is a few array operations a kind of
parameter, done in pieces that stay in the cache. Weight decay pulls on weights alone: a bias or a batch-norm scale
that shrinks does not make a network simpler. Biases may learn at a rate of their own (Caffe's recipes double it).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ClassVar, Protocol

from scratchnet.arrays import Array, get_array_module, on_gpu
from scratchnet.engine.cpu.threads import OPERATIONS_PER_ELEMENT, parallel_for
from scratchnet.engine.memory.shared import shared_zeros
from scratchnet.layers.base import Kind
from scratchnet.network import FlatBuffers
from scratchnet.ops.updates import adam_update, average_update, nesterov_update, sgd_update, shrink
from scratchnet.utils.validation import flag, number

PIECE = 1 << 18
"""Numbers that are updated at a time: a megabyte of float32, small enough to stay in the cache."""


class Optimizer(Protocol):
    """What the training loop needs of an optimiser."""

    names: ClassVar[tuple[str, ...]]
    """Of the arrays that it remembers from step to step."""

    arrays: dict[str, Array]
    """Its memory by name, as long as the parameters; a checkpoint holds it."""

    steps: int
    """Updates made so far; a checkpoint holds it."""

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
        λ, on weights alone.
    bias_lr_multiplier : float
        Factor on the learning rate of biases.
    nesterov : bool
        Whether to take the gradient that momentum leads to (Sutskever, Martens, Dahl, Hinton 2013, section 2, in
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
        momentum = _memory(self.arrays, self.names[0], buffers.values)

        def update(piece: slice, kind: Kind) -> None:
            w, g, m = buffers.values[piece], buffers.grads[piece], momentum[piece]
            factor = self.bias_lr_multiplier if kind == "bias" else 1
            decay = self.weight_decay if kind == "weight" else 0.0
            (nesterov_update if self.nesterov else sgd_update)(w, g, m, rate * factor, self.momentum, decay)

        _for_pieces(buffers, update)
        self.steps += 1


class Adam:
    """Adam (Kingma and Ba 2015, algorithm 1): each number's step is scaled by its own recent gradients.

        m ← β₁·m + (1−β₁)·g      v ← β₂·v + (1−β₂)·g²      w ← w − rate · m̂ / (√v̂ + ε)

    with m̂ = m / (1 − β₁ᵗ), v̂ = v / (1 − β₂ᵗ) after t updates, and λ·w added to g of weights.

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
    """Whether weights decay by themselves and not through their gradient."""

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
        mean, square = (_memory(self.arrays, name, buffers.values) for name in self.names)
        beta1, beta2 = self.betas
        unbias1, unbias2 = 1 - beta1**self.steps, 1 - beta2**self.steps

        def update(piece: slice, kind: Kind) -> None:
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

    Weights shrink by themselves, w ← w − rate·λ·w, before Adam's step; their gradient stays as it is, so that every
    weight decays alike and not the less the larger its gradients are. Parameters as :class:`Adam`.
    """

    decoupled: ClassVar[bool] = True


class WeightAverage:
    """An exponential moving average of the parameters, which evaluates better than the last of them.

        a ← a + (1 − d)·(w − a),        d = min(decay, (1 + t) / (10 + t)) after t updates

    The growing d lets the average forget how the training started (Polyak and Juditsky 1992; the form is
    TensorFlow's ``ExponentialMovingAverage`` with ``num_updates``).

    Parameters
    ----------
    decay : float
        From 0 to under 1, such as 0.999.
    values : (count,)
        The parameters at the start; copied.
    """

    def __init__(self, decay: float, values: Array) -> None:
        self.decay = number(decay, "WeightAverage: decay", 0, 1, "[)")
        self.values = _memory({}, "average", values)
        self.values[...] = values

    def update(self, buffers: FlatBuffers, steps: int) -> None:
        """Take in the parameters after update number ``steps``, counted from 1."""
        decay = min(self.decay, (1 + steps) / (10 + steps))
        _for_pieces(buffers, lambda piece, _: average_update(self.values[piece], buffers.values[piece], decay))

    @contextmanager
    def used(self, values: Array) -> Iterator[None]:
        """Put the average in the place of the parameters ``values``, inside this block."""
        learned = values.copy()
        values[...] = self.values
        try:
            yield
        finally:
            values[...] = learned


def _memory(arrays: dict[str, Array], name: str, like: Array) -> Array:
    """Return an array of the optimiser, made of zeros at its first use.

    On the host it is shared with forked processes: of any other memory they would keep a copy as it was at the fork.
    """
    if name not in arrays:
        arrays[name] = get_array_module(like).zeros_like(like) if on_gpu(like) else shared_zeros(like.shape, like.dtype)
    return arrays[name]


def _for_pieces(buffers: FlatBuffers, update: Callable[[slice, Kind], None]) -> None:
    """Update piece after piece of every kind's segment, on all cores; a GPU takes a segment at once."""
    gpu = on_gpu(buffers.values)
    length = buffers.values.size if gpu else PIECE
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
