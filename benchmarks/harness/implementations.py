"""The two sides, here and in PyTorch: the same images, labels, weights, loss and optimiser.

A *step* is forward, loss, backward and update; a *forward* is what segmenting an image takes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.harness.network_cases import NetworkCase
from benchmarks.harness.torch_network import TorchTwin, parameter_values
from scratchnet.arrays import Array, generator
from scratchnet.config import OptimizerName
from scratchnet.engine.capture.captured_network import CapturedNetwork
from scratchnet.losses import PixelLoss
from scratchnet.network import Network
from scratchnet.training.optimizers import SGD, Adam

RATE, MOMENTUM, DECAY = 1e-4, 0.9, 5e-4
"""Learning rate, so small that no step leaves the path of ordinary numbers; momentum and weight decay of the papers."""


@dataclass(frozen=True)
class Batch:
    """Images (n, h, w, c) and labels (n, oh, ow) uint8."""

    x: Array
    target: Array


def make_batch(case: NetworkCase, dtype: Any = np.float32) -> Batch:
    """Draw images of noise and random labels, as many as the network has outputs; the same for the same case."""
    network = case.network()
    rng = generator(0, "bench", case.batch, *case.size)
    x = rng.standard_normal((case.batch, *case.size, network.channels), dtype=np.float32)
    outputs = network.shapes(case.size, case.batch)[network.steps[-1].name]
    return Batch(x.astype(dtype), rng.integers(0, case.classes, outputs[:3]).astype(np.uint8))


def started(case: NetworkCase, dtype: Any = np.float32) -> Network:
    """Return the network with memory and starting values, the same for the same case.

    What usually starts as a constant (biases, batch norm, FCN's scores at 0) has a little noise here: zeros would hide
    differences, and pass on no gradient.
    """
    network = case.network().allocate(0, dtype)
    for name, parameter in network.parameters().items():
        if parameter.value.min() == parameter.value.max():
            parameter.value[...] += 0.01 * generator(0, "bench", name).standard_normal(parameter.shape)
    return network


class OurStep:
    """scratchnet's training step, as :mod:`scratchnet.training.run` does it."""

    def __init__(self, network: Network, batch: Batch, classes: int, optimizer: OptimizerName) -> None:
        self.network, self.batch, self.loss = network.train(), batch, PixelLoss(classes)
        self.passes = CapturedNetwork(self.network)
        self.optimizer = SGD(MOMENTUM, DECAY) if optimizer == "sgd" else Adam(DECAY)

    def gradients(self) -> tuple[Array, float]:
        """Return logits and loss; the gradients are in the network."""
        logits = self.passes.forward(self.batch.x)
        loss, dlogits = self.loss(logits, self.batch.target)
        self.passes.backward(dlogits, add=False)
        return logits, loss

    def __call__(self) -> None:
        """Do a step."""
        self.gradients()
        self.optimizer.step(self.network.flat(), RATE)


class TorchStep:
    """PyTorch's training step.

    Parameters
    ----------
    twin : TorchTwin
    batch : Batch
    optimizer : "sgd" or "adam"
        PyTorch's fused form, its fastest.
    compiled : bool
        Whether the forward pass, and with it the backward, goes through ``torch.compile``.
    """

    def __init__(self, twin: TorchTwin, batch: Batch, optimizer: OptimizerName, compiled: bool = False) -> None:
        self.twin, torch = twin, twin.torch
        self.x = twin.batch(batch.x)
        self.labels = torch.from_numpy(batch.target.astype(np.int64)).to(twin.device)
        self.truth = self.labels.to(self.x.dtype)
        self.forward: Callable[[Any], Any] = torch.compile(twin.forward) if compiled else twin.forward
        groups = twin.groups(DECAY)
        self.optimizer = (
            torch.optim.SGD(groups, RATE, momentum=MOMENTUM, fused=True)
            if optimizer == "sgd"
            else torch.optim.Adam(groups, RATE, fused=True)
        )

    def gradients(self) -> tuple[Any, Any]:
        """Return logits and loss; the gradients are in the twin."""
        self.optimizer.zero_grad(set_to_none=True)
        logits = self.forward(self.x)
        if logits.shape[1] == 1:
            loss = self.twin.functional.binary_cross_entropy_with_logits(logits[:, 0], self.truth)
        else:
            loss = self.twin.functional.cross_entropy(logits, self.labels)
        loss.backward()
        return logits, loss

    def __call__(self) -> None:
        """Do a step."""
        self.gradients()
        self.optimizer.step()


def build_ours(case: NetworkCase, optimizer: OptimizerName, dtype: Any = np.float32) -> OurStep:
    """Set up scratchnet's side."""
    return OurStep(started(case, dtype), make_batch(case, dtype), case.classes, optimizer)


def build_torch(
    case: NetworkCase,
    optimizer: OptimizerName,
    channels_last: bool = False,
    compiled: bool = False,
    dtype: Any = np.float32,
) -> TorchStep:
    """Set up PyTorch's side with the weights of :func:`build_ours`; nothing of scratchnet's memory stays."""
    values = parameter_values(started(case, dtype))
    return TorchStep(TorchTwin(case.network(), values, channels_last), make_batch(case, dtype), optimizer, compiled)


class OurForward:
    """scratchnet's forward pass outside training."""

    def __init__(self, network: Network, x: Array) -> None:
        self.passes, self.x = CapturedNetwork(network.eval()), x

    def __call__(self) -> Array:
        """Return the logits, (n, h, w, classes)."""
        return self.passes.forward(self.x, keep=False)


class TorchForward:
    """PyTorch's forward pass outside training, in inference mode."""

    def __init__(self, twin: TorchTwin, x: Array) -> None:
        self.twin, self.x = twin, twin.batch(x)
        twin.training = False

    def __call__(self) -> Any:
        """Return the logits, (n, classes, h, w)."""
        with self.twin.torch.inference_mode():
            return self.twin.forward(self.x)


def our_forward(case: NetworkCase) -> OurForward:
    """Set up scratchnet's side."""
    return OurForward(started(case), make_batch(case).x)


def torch_forward(case: NetworkCase, channels_last: bool) -> TorchForward:
    """Set up PyTorch's side."""
    values = parameter_values(started(case))
    return TorchForward(TorchTwin(case.network(), values, channels_last), make_batch(case).x)
