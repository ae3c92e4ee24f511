"""A training step and a forward pass, in scratchnet and in PyTorch, on the same images, labels and weights.

A training step consists of forward pass, loss, backward pass and parameter update.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.harness.network_cases import NetworkCase
from benchmarks.harness.torch_network import TorchNetwork, parameter_values
from scratchnet.arrays import Array, generator
from scratchnet.config import OptimizerName
from scratchnet.engine.capture.captured_network import CapturedNetwork
from scratchnet.losses import PixelLoss
from scratchnet.network import Network
from scratchnet.training.optimizers import SGD, Adam

LEARNING_RATE, MOMENTUM, WEIGHT_DECAY = 1e-4, 0.9, 5e-4
"""Learning rate, small enough that many steps on noise do not diverge; momentum and weight decay of the papers."""


@dataclass(frozen=True)
class Batch:
    """Images (n, h, w, c) and labels (n, oh, ow) uint8."""

    x: Array
    target: Array


def make_batch(case: NetworkCase, dtype: Any = np.float32) -> Batch:
    """Draw images of noise and a random label for each output pixel; the same case gives the same batch."""
    network = case.network()
    rng = generator(0, "bench", case.batch, *case.size)
    x = rng.standard_normal((case.batch, *case.size, network.channels), dtype=np.float32)
    outputs = network.shapes(case.size, case.batch)[network.steps[-1].name]
    return Batch(x.astype(dtype), rng.integers(0, case.classes, outputs[:3]).astype(np.uint8))


def initialized_network(case: NetworkCase, dtype: Any = np.float32) -> Network:
    """Return the network with initialized parameters; the same case gives the same values.

    A little noise is added to parameters that are usually constant at first (biases, batch norm, FCN's scores): zeros
    would hide differences and stop the gradient.
    """
    network = case.network().allocate(0, dtype)
    for name, parameter in network.parameters().items():
        if parameter.value.min() == parameter.value.max():
            parameter.value[...] += 0.01 * generator(0, "bench", name).standard_normal(parameter.shape)
    return network


class ScratchnetStep:
    """scratchnet's training step, as in :mod:`scratchnet.training.loop`."""

    def __init__(self, network: Network, batch: Batch, classes: int, optimizer: OptimizerName) -> None:
        self.network, self.batch, self.loss = network.train(), batch, PixelLoss(classes)
        self.captured = CapturedNetwork(self.network)
        self.optimizer = SGD(MOMENTUM, WEIGHT_DECAY) if optimizer == "sgd" else Adam(WEIGHT_DECAY)

    def gradients(self) -> tuple[Array, float]:
        """Return logits and loss, and store the gradients in the network."""
        logits = self.captured.forward(self.batch.x)
        loss, dlogits = self.loss(logits, self.batch.target)
        self.captured.backward(dlogits, add=False)
        return logits, loss

    def __call__(self) -> None:
        """Run a step."""
        self.gradients()
        self.optimizer.step(self.network.flat(), LEARNING_RATE)


class TorchStep:
    """PyTorch's training step.

    Parameters
    ----------
    net : TorchNetwork
    batch : Batch
    optimizer : "sgd" or "adam"
        PyTorch's fused implementation, its fastest.
    compiled : bool
        Whether ``torch.compile`` is applied to the forward pass, and thereby to the backward pass.
    """

    def __init__(self, net: TorchNetwork, batch: Batch, optimizer: OptimizerName, compiled: bool = False) -> None:
        self.network, torch = net, net.torch
        self.x = net.batch(batch.x)
        self.labels = torch.from_numpy(batch.target.astype(np.int64)).to(net.device)
        self.truth = self.labels.to(self.x.dtype)
        self.forward: Callable[[Any], Any] = torch.compile(net.forward) if compiled else net.forward
        groups = net.groups(WEIGHT_DECAY)
        self.optimizer = (
            torch.optim.SGD(groups, LEARNING_RATE, momentum=MOMENTUM, fused=True)
            if optimizer == "sgd"
            else torch.optim.Adam(groups, LEARNING_RATE, fused=True)
        )

    def gradients(self) -> tuple[Any, Any]:
        """Return logits and loss, and store the gradients in the network."""
        self.optimizer.zero_grad(set_to_none=True)
        logits = self.forward(self.x)
        if logits.shape[1] == 1:
            loss = self.network.functional.binary_cross_entropy_with_logits(logits[:, 0], self.truth)
        else:
            loss = self.network.functional.cross_entropy(logits, self.labels)
        loss.backward()
        return logits, loss

    def __call__(self) -> None:
        """Run a step."""
        self.gradients()
        self.optimizer.step()


def build_scratchnet_step(case: NetworkCase, optimizer: OptimizerName, dtype: Any = np.float32) -> ScratchnetStep:
    """Return scratchnet's training step."""
    return ScratchnetStep(initialized_network(case, dtype), make_batch(case, dtype), case.classes, optimizer)


def build_torch_step(
    case: NetworkCase,
    optimizer: OptimizerName,
    channels_last: bool = False,
    compiled: bool = False,
    dtype: Any = np.float32,
) -> TorchStep:
    """Return PyTorch's training step with the weights of :func:`build_scratchnet_step`."""
    values = parameter_values(initialized_network(case, dtype))
    return TorchStep(TorchNetwork(case.network(), values, channels_last), make_batch(case, dtype), optimizer, compiled)


class ScratchnetForward:
    """scratchnet's forward pass in evaluation mode."""

    def __init__(self, network: Network, x: Array) -> None:
        self.captured, self.x = CapturedNetwork(network.eval()), x

    def __call__(self) -> Array:
        """Return the logits, (n, h, w, classes)."""
        return self.captured.forward(self.x, keep=False)


class TorchForward:
    """PyTorch's forward pass in evaluation and inference mode."""

    def __init__(self, net: TorchNetwork, x: Array) -> None:
        self.network, self.x = net, net.batch(x)
        net.training = False

    def __call__(self) -> Any:
        """Return the logits, (n, classes, h, w)."""
        with self.network.torch.inference_mode():
            return self.network.forward(self.x)


def build_scratchnet_forward(case: NetworkCase) -> ScratchnetForward:
    """Return scratchnet's forward pass."""
    return ScratchnetForward(initialized_network(case), make_batch(case).x)


def build_torch_forward(case: NetworkCase, channels_last: bool) -> TorchForward:
    """Return PyTorch's forward pass."""
    values = parameter_values(initialized_network(case))
    return TorchForward(TorchNetwork(case.network(), values, channels_last), make_batch(case).x)
