"""Batch norm whose statistics are those of a batch that is split over several processes."""

from typing import Any

from scratchnet.arrays import AllReduce, Array, get_array_module
from scratchnet.layers.normalization import BatchNorm2d
from scratchnet.layers.step_plan import StepPlan
from scratchnet.ops.normalized import Normalized
from scratchnet.ops.synchronized import shared_batch_norm, shared_batch_norm_backward, whole_statistics
from scratchnet.utils.validation import function


def alone(array: Array) -> None:
    """Sum over the only process: leave the array unchanged."""


class SyncBatchNorm2d(BatchNorm2d):
    """Batch norm over the images of all processes that train together.

    Every process must run the same passes in the same order. A process without images of a batch calls
    :meth:`forward_without_images` and :meth:`backward_without_images` instead.

    Network files store it as a :class:`BatchNorm2d`.

    Parameters
    ----------
    channels : int
    allreduce : AllReduce
        Sums an array over all processes.
    eps, momentum, scale, shift : float
        As for :class:`BatchNorm2d`.
    """

    capturable = True
    saved_as = BatchNorm2d
    example = (4, alone)

    def __init__(
        self,
        channels: int,
        allreduce: AllReduce,
        eps: float = 1e-5,
        momentum: float = 0.1,
        scale: float = 1.0,
        shift: float = 0.0,
    ) -> None:
        super().__init__(channels, eps, momentum, scale, shift)
        self.allreduce: AllReduce = function(allreduce, "SyncBatchNorm2d: allreduce")
        self.arguments = (channels, eps, momentum, scale, shift), {}

    @classmethod
    def convert(cls, norm: BatchNorm2d, allreduce: AllReduce) -> "SyncBatchNorm2d":
        """Return a synchronised layer with the parameters, buffers and settings of ``norm``."""
        layer = cls(norm.channels, allreduce)
        vars(layer).update(vars(norm))  # its arguments too: a network file describes the layer that was converted
        layer.allreduce = allreduce
        return layer

    def _normalize_by_batch(
        self, x: Array, gamma: Array, beta: Array, plan: StepPlan
    ) -> tuple[Array, Normalized, int | Array]:
        return shared_batch_norm(x, gamma, beta, self.allreduce, self.eps, plan.fuse_relu)

    def _backward_by_batch(
        self, dy: Array, normalized: Normalized, gamma: Array, count: Any, overwrite: bool
    ) -> tuple[Array, Array, Array]:
        return shared_batch_norm_backward(dy, normalized, gamma, count, self.allreduce, overwrite)

    def forward_without_images(self) -> None:
        """Take part in the sums of a forward pass on a batch of which this process has no image."""
        if self.uses_batch:
            scale = self.parameters["scale"].value
            sums = get_array_module(scale).zeros(2 * self.channels + 1)
            mean, variance, count = whole_statistics(sums, scale.dtype, self.allreduce)
            self.last = mean, variance, count
            if self.training:
                self._update_averages(mean, variance, count)

    def backward_without_images(self) -> None:
        """Take part in the sums of a backward pass on such a batch."""
        if self.uses_batch:
            self.allreduce(get_array_module(self.parameters["scale"].value).zeros((2, self.channels)))
