"""Batch norm, with four choices of statistics, and local response normalisation."""

from dataclasses import replace
from typing import Any, Literal

import numpy as np

from scratchnet.arrays import Array, get_array_module
from scratchnet.layers.base import Layer, Shape
from scratchnet.layers.initialization import constant
from scratchnet.layers.parameter import Buffer, Parameter
from scratchnet.layers.step_plan import ALONE, StepPlan
from scratchnet.ops.epilogue import Epilogue
from scratchnet.ops.local_response_norm import local_response_norm, local_response_norm_backward
from scratchnet.ops.normalization import (
    batch_norm,
    batch_norm_backward,
    batch_norm_fixed,
    batch_norm_fixed_backward,
    subtract_per_channel,
)
from scratchnet.ops.normalized import Normalized
from scratchnet.utils.validation import integer, number


class BatchNorm2d(Layer):
    """Normalise every channel over the pixels of the batch, then scale and shift it.

    The mean and variance used are:

    ====================== ==================================================================
    training               the batch's own; the running averages move towards them
    training, ``frozen``   the running averages, which stay as they are
    not training           the running averages
    not training, but      the batch's own; for a batch of one image, that image's own
    ``statistics="batch"``
    ====================== ==================================================================

    After a short training, the running averages lag behind the weights; ``scratchnet.training.recalibrate`` recomputes
    them over a data set.

    Parameters
    ----------
    channels : int
    eps : float
        Added to the variance.
    momentum : float
        Weight of each batch in the running averages.
    scale, shift : float
        Initial values of γ and β.
    """

    capturable = True
    transient_attributes = frozenset({"last", "_subtracted"})
    kind = "pixelwise"
    example: tuple[Any, ...] = (4,)
    drawn_with = "learned"

    def __init__(
        self, channels: int, eps: float = 1e-5, momentum: float = 0.1, scale: float = 1.0, shift: float = 0.0
    ) -> None:
        super().__init__()
        name = type(self).__name__
        channels = self.channels = integer(channels, f"{name}: channels", 1)
        self.eps, self.momentum = number(eps, f"{name}: eps", 0), number(momentum, f"{name}: momentum", 0, 1)
        self.statistics: Literal["running", "batch"] = "running"
        self.frozen = False
        self.last: tuple[Array, Array, Any] | None = None
        """Mean and variance that the last forward pass used, and the number of pixels that they were computed from: an
        int, an array (1,) for the batch of several processes, or None for running averages."""
        self._subtracted: tuple[Array, Array] | None = None
        """The value that the last forward pass subtracted from its input, and the mean of the difference."""
        self.parameters["scale"] = Parameter((channels,), "scale", constant(number(scale, f"{name}: scale")))
        self.parameters["shift"] = Parameter((channels,), "shift", constant(number(shift, f"{name}: shift")))
        self.buffers["running_mean"] = Buffer(np.zeros(channels, np.float32), 0.0)
        self.buffers["running_var"] = Buffer(np.ones(channels, np.float32), 1.0)

    @property
    def uses_batch(self) -> bool:
        """Whether the next forward pass uses the statistics of the batch."""
        return (not self.frozen) if self.training else self.statistics == "batch"

    @property
    def mixes_images(self) -> bool:  # type: ignore[override]
        """Whether, in evaluation, the statistics are those of the batch."""
        return self.statistics == "batch"

    def use_statistics(self, which: Literal["running", "batch"]) -> None:
        """Choose the statistics to use outside training."""
        self.statistics = which

    def freeze_statistics(self, frozen: bool = True) -> None:
        """Use the running averages in training too, and leave them unchanged."""
        self.frozen = frozen

    def forward(self, x: Array, plan: StepPlan = ALONE) -> Array:
        """(n, h, w, c) → the same shape."""
        gamma, beta = self.parameters["scale"].value, self.parameters["shift"].value
        count: int | Array | None = None
        if self.uses_batch:
            y, normalized, count = self._normalize_by_batch(x, gamma, beta, plan)
            if self.training and len(x):
                self._update_averages(normalized.mean, normalized.variance, count)
        else:
            mean, variance = (average.astype(x.dtype) for average in self._averages())
            y, normalized = batch_norm_fixed(x, gamma, beta, mean, variance, self.eps, plan.fuse_relu)
        self.last, self._subtracted = (normalized.mean, normalized.variance, count), normalized.subtracted
        self._save(normalized, count, plan)
        return y

    def as_epilogue(self, dtype: Any) -> Epilogue:
        """Return what this layer computes with the running averages, for the convolution before it."""
        gamma, beta = self.parameters["scale"].value, self.parameters["shift"].value
        mean, variance = (average.astype(dtype) for average in self._averages())
        return Epilogue.of_batch_norm(gamma, beta, mean, variance, self.eps)

    def _normalize_by_batch(
        self, x: Array, gamma: Array, beta: Array, plan: StepPlan
    ) -> tuple[Array, Normalized, int | Array]:
        """Return the output, the values for backward and the number of pixels of the statistics."""
        if x.size == self.channels:
            raise ValueError(
                "batch norm: one pixel in a batch of one has no variance; use a larger batch, or running statistics"
            )
        y, normalized = batch_norm(x, gamma, beta, self.eps, plan.fuse_relu, plan.overwrite_input)
        return y, normalized, x.size // self.channels

    def _save(self, normalized: Normalized, count: Any, plan: StepPlan) -> None:
        if plan.leave_mask_to_pool or plan.recompute_output:
            normalized = normalized.without_relu()
        self.save_for_backward(normalized, count, plan.overwrite_gradient)

    def recompute_output(self) -> Array:
        """Return the output of the last forward pass again, including a fused ReLU; see ``StepPlan``."""
        normalized, count, overwrite_gradient = self.take_saved()
        gamma, beta = self.parameters["scale"].value, self.parameters["shift"].value
        mean, variance = normalized.mean_of_x, normalized.variance
        y, again = batch_norm_fixed(normalized.x, gamma, beta, mean, variance, self.eps, relu=True)
        again = replace(again, mean=normalized.mean, subtracted=normalized.subtracted)
        self.save_for_backward(again, count, overwrite_gradient)
        return y

    def forward_again(self, x: Array, plan: StepPlan = ALONE) -> Array:
        """Normalise by the statistics of the last forward pass, without updating the running averages."""
        assert self.last is not None  # forward was called before
        gamma, beta = self.parameters["scale"].value, self.parameters["shift"].value
        mean, variance, count = self.last
        if self._subtracted is not None:
            subtract_per_channel(x, self._subtracted[0])
        of_x = mean if self._subtracted is None else self._subtracted[1]
        y, normalized = batch_norm_fixed(x, gamma, beta, of_x, variance, self.eps, plan.fuse_relu)
        self._save(replace(normalized, mean=mean, subtracted=self._subtracted), count, plan)
        return y

    def _averages(self) -> tuple[Array, Array]:
        return self.buffers["running_mean"].value, self.buffers["running_var"].value

    def _update_averages(self, mean: Array, variance: Array, count: Any) -> None:
        """Move the running averages towards the mean and the unbiased variance of ``count`` pixels."""
        if isinstance(count, int):
            unbias = mean.dtype.type(count / max(1, count - 1))
        else:
            unbias = count / get_array_module(mean).maximum(count - 1, 1)
        running_mean, running_var = self._averages()
        running_mean += mean.dtype.type(self.momentum) * (mean - running_mean)
        running_var += mean.dtype.type(self.momentum) * (variance * unbias - running_var)

    def backward(self, dy: Array) -> Array:
        """Add dscale and dshift, return dx."""
        normalized, count, overwrite = self.take_saved()
        scale, shift = self.parameters["scale"], self.parameters["shift"]
        if count is None:
            dx, dscale, dshift = batch_norm_fixed_backward(dy, normalized, scale.value, overwrite)
        else:
            dx, dscale, dshift = self._backward_by_batch(dy, normalized, scale.value, count, overwrite)
        scale.add_grad(dscale)
        shift.add_grad(dshift)
        return dx

    def _backward_by_batch(
        self, dy: Array, normalized: Normalized, gamma: Array, count: Any, overwrite: bool
    ) -> tuple[Array, Array, Array]:
        """Return dx, dscale and dshift if the statistics were those of the batch."""
        return batch_norm_backward(dy, normalized, gamma, overwrite)

    def output_shape(self, x: Shape) -> Shape:
        """Return the input's shape."""
        if x[3] != self.channels:
            raise ValueError(f"batch norm: the input has {x[3]} channels, expected {self.channels}")
        return x

    def describe(self) -> str:
        """Return the name."""
        return "batch norm"


class LocalResponseNorm(Layer):
    """Divide each element by a power of the energy in nearby channels (Krizhevsky et al. 2012, section 3.3)."""

    capturable = True
    kind = "pixelwise"
    mixes_channels = True

    def __init__(self, size: int = 5, alpha: float = 1e-4, beta: float = 0.75) -> None:
        super().__init__()
        self.size = integer(size, "LocalResponseNorm: size", 1)
        if self.size % 2 == 0:
            raise ValueError(f"LocalResponseNorm: size is {size}; expected an odd number of channels")
        self.alpha = number(alpha, "LocalResponseNorm: alpha", 0)
        self.beta = number(beta, "LocalResponseNorm: beta")

    def forward(self, x: Array) -> Array:
        """(n, h, w, c) → the same shape."""
        y, scale = local_response_norm(x, self.size, self.alpha, self.beta)
        self.save_for_backward(x, scale)
        return y

    def backward(self, dy: Array) -> Array | None:
        """Return dx."""
        x, scale = self.take_saved()
        return (
            local_response_norm_backward(dy, x, scale, self.size, self.alpha, self.beta)
            if self.needs_input_grad
            else None
        )

    def output_shape(self, x: Shape) -> Shape:
        """Return the input's shape."""
        return x

    def describe(self) -> str:
        """Return the name and the window."""
        return f"LRN {self.size}"
