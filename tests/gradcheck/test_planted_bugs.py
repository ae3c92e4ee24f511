"""A checker is worth what it catches: plant a bug, and the case that should notice must fail.

A row says what is broken, where the function is looked up when it is used, how the broken one is made from the right
one, and which case must notice. Every case passes unbroken.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pkgutil import resolve_name

import numpy as np
import pytest

from scratchnet.engine.cpu import im2col
from scratchnet.gradcheck import (
    Case,
    Problem,
    all_cases,
    check_gradients,
    from_functions,
    from_layer,
    from_loss,
    from_network,
)
from scratchnet.layers import Add, BatchNorm2d, Conv2d, Dropout, Layer, ReLU
from scratchnet.layers.parameter import Buffer, Parameter
from scratchnet.network import Network
from scratchnet.ops.normalization import batch_norm_fixed_backward
from scratchnet.ops.resampling import upsample_bilinear
from tests.compare import numbers
from tests.naive import switch_pixels

# Two cases that no single layer makes: a value used by several steps, and gradients gathered over two passes. ---------


def fork():
    net = Network(2)
    net.add("first", Conv2d(2, 3, 3, padding=1))
    net.add("second", Conv2d(3, 3, 3, padding=1), "first")
    net.add("sum", Add(), "first", "second")
    return from_network(net, numbers(2, 4, 5, 2))


def two_passes():
    """A batch in two halves, one after the other, whose gradients add up (DeconvNet's 8 × 8 images)."""
    net = Network(2)
    net.add("conv", Conv2d(2, 3, 3, padding=1))
    net.allocate(0, np.float64).train()
    net.flat().values += 0.1 * numbers(net.flat().values.size)
    halves = [numbers(1, 4, 5, 2, seed=i) for i in (1, 2)]

    def backward(upstream):
        net.zero_grad()
        for i, half in enumerate(halves):
            net.forward(half)
            net.backward(upstream[i : i + 1])
        return {name: p.grad.copy() for name, p in net.parameters().items()}

    learned = {name: p.value for name, p in net.parameters().items()}
    return Problem(learned, lambda: (np.concatenate([net.forward(half, keep=False) for half in halves]), []), backward)


CASES = {case.name: case for case in [*all_cases(), Case("network/fork", fork), Case("network/two passes", two_passes)]}


@cache
def passes_unbroken(name):
    return CASES[name].run().ok


# The bugs -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bug:
    name: str
    where: str
    broken: Callable
    case: str


def fixed_switches(value):
    """Make a function of (array, switches) take every switch to be ``value``."""

    def broken(right):
        return lambda x, switches, *y: right(x, replace(switches, index=np.full_like(switches.index, value)), *y)

    return broken


def mirrored_switches(right):
    def wrong(x, switches):
        last = switches.kernel[0] * switches.kernel[1] - 1
        return right(x, replace(switches, index=(last - switches.index).astype(switches.index.dtype)))

    return wrong


def to_all_pixels(right):
    """Send a pool's gradient to every pixel of the window."""

    def wrong(dy, switches, *y):
        count = switches.kernel[0] * switches.kernel[1]
        return sum(fixed_switches(j)(right)(dy, switches, *y) for j in range(count))

    return wrong


def last_write(right):
    """Where windows overlap, overwrite instead of summing."""

    def wrong(dy, switches):
        dx = np.zeros((dy.shape[0], *switches.size, dy.shape[3]))
        for small, large in switch_pixels(switches):
            dx[large] = dy[small]
        return dx

    return wrong


def zero_padding(right):
    """Pad with zeros instead of −∞: a window at the border has a maximum of at least 0."""

    def wrong(x, kernel, stride, padding):
        border = ((0, 0), (padding, padding), (padding, padding), (0, 0))
        return right(np.pad(x, border), kernel, stride, 0)[0], right(x, kernel, stride, padding)[1]

    return wrong


def without(**settings):
    """Make the weight gradient forget some of its settings."""

    def broken(right):
        return lambda dy, x, weight, conv, out=None: right(dy, x, weight, replace(conv, **settings), out)

    return broken


def scattered_without(**settings):
    """Make the input gradient, as col2im, which takes any shapes, forget some of its settings."""

    def broken(right):
        return lambda dy, weight, size, conv: im2col.input_gradient(dy, weight, size, replace(conv, **settings))

    return broken


def turned_kernel(right):
    return lambda dy, weight, *rest: right(dy, weight[::-1, ::-1], *rest)


def swapped_groups(right):
    def wrong(dy, x, weight, *settings):
        half = x.shape[3] // 2
        return right(dy, np.roll(x, half, axis=3), weight, *settings)

    return wrong


def swapped_pieces(right):
    return lambda dy, channels: right(dy, channels[::-1])[::-1]


def no_mean_term(right):
    def wrong(dy, normalized, gamma, *overwrite):
        dx, dgamma, dbeta = right(dy.copy(), normalized, gamma, *overwrite)
        count = dy.size // dy.shape[3]
        return dx + gamma * normalized.inverse_std * dbeta / count, dgamma, dbeta

    return wrong


def no_x_hat_term(right):
    def wrong(dy, normalized, gamma, *overwrite):
        dx, dgamma, dbeta = right(dy.copy(), normalized, gamma, *overwrite)
        count = dy.size // dy.shape[3]
        x_hat = (normalized.x - normalized.mean) * normalized.inverse_std
        return dx + gamma * normalized.inverse_std * x_hat * dgamma / count, dgamma, dbeta

    return wrong


def stale_statistics(right):
    """Keep the deviation of an earlier batch for the backward pass."""

    def wrong(dy, normalized, gamma, *overwrite):
        return right(dy, replace(normalized, inverse_std=1.1 * normalized.inverse_std), gamma, *overwrite)

    return wrong


def changed_gradient(change):
    """Leave a loss as it is and change its gradient: ``change(dlogits, labels, factors)``."""

    def broken(right):
        def wrong(logits, labels, factors, **settings):
            loss, dlogits = right(logits, labels, factors, **settings)
            return loss, change(dlogits, labels, factors)

        return wrong

    return broken


def other_factors(change):
    """Compute a loss's gradient with other factors than its value."""

    def broken(right):
        def wrong(logits, labels, factors):
            return right(logits, labels, factors)[0], right(logits, labels, change(factors))[1]

        return wrong

    return broken


def double_sigmoid(right):
    """The derivative of the sigmoid once more, as with a squared error."""

    def wrong(logits, labels, factors):
        p = 1 / (1 + np.exp(-logits))
        loss, dlogits = right(logits, labels, factors)
        return loss, dlogits * p * (1 - p)

    return wrong


def mask_twice(right):
    def wrong(self, dy):
        (mask,) = self.saved
        return mask * right(self, dy)

    return wrong


def overwriting_backward(right):
    """Walk back like Network.backward, but let the last user of a value overwrite the others."""

    def wrong(self, dy, needs_input_grad=False):
        gradients = {self.steps[-1].name: dy}
        for step in reversed(self.steps):
            sent = step.layer.backward(gradients.pop(step.name))
            gradients |= zip(step.inputs, sent if isinstance(sent, tuple) else (sent,), strict=True)
        return gradients["input"]

    return wrong


def overwriting_accumulate(right):
    def wrong(self, gradient, buffer=None):
        self.grad[...] = gradient

    return wrong


CONV = "scratchnet.engine.cpu.convolution."
POOL, NORM = "scratchnet.layers.pooling.", "scratchnet.layers.normalization."
UP, JOIN, ACT = "scratchnet.layers.resampling.", "scratchnet.layers.shape.", "scratchnet.layers.activation."
LOSS, OPS = "scratchnet.losses.", "scratchnet.gradcheck.cases."

BUGS = [
    # convolution
    Bug("bias gradient forgotten", CONV + "channel_sums", lambda f: lambda x: 0 * f(x), "op/conv2d"),
    Bug("bias gradient is the mean", CONV + "channel_sums", lambda f: lambda x: x.mean((0, 1, 2)), "layer/Conv2d"),
    Bug("kernel not turned in the input gradient", CONV + "input_gradient", turned_kernel, "op/conv2d"),
    Bug("… nor at stride 2", CONV + "input_gradient", turned_kernel, "op/conv2d stride 2"),
    Bug("stride ignored by dx", CONV + "input_gradient", scattered_without(stride=(1, 1)), "op/conv2d stride 2"),
    Bug("stride ignored by dW", CONV + "weight_gradient", without(stride=(1, 1)), "op/conv2d stride 2"),
    Bug("dilation ignored by dx", CONV + "input_gradient", scattered_without(dilation=(1, 1)), "op/conv2d dilation 2"),
    Bug("dilation ignored by dW", CONV + "weight_gradient", without(dilation=(1, 1)), "op/conv2d uneven"),
    Bug("padding ignored by dx", CONV + "input_gradient", scattered_without(padding=(0, 0)), "layer/Conv2d"),
    Bug("padding ignored by dW", CONV + "weight_gradient", without(padding=(0, 0)), "op/conv2d"),
    Bug("groups mixed up", CONV + "weight_gradient", swapped_groups, "op/conv2d groups 2"),
    # transposed convolution
    Bug(
        "weight gradient of a transposed convolution transposed",
        "scratchnet.engine.cpu.transposed.weight_gradient",
        lambda f: lambda *a: f(*a).transpose(1, 0, 2, 3),
        "op/conv_transpose2d",
    ),
    Bug(
        "transposed convolution used again for its own gradient",
        "scratchnet.engine.cpu.transposed.convolve",
        lambda f: lambda dy, weight, *rest: f(dy, weight[::-1, ::-1], *rest),
        "layer/ConvTranspose2d",
    ),
    # pooling
    Bug("unpooling writes at a wrong switch", POOL + "max_unpool2d", mirrored_switches, "layer/MaxUnpool2d"),
    Bug("unpooling writes a bed of nails", POOL + "max_unpool2d", fixed_switches(0), "layer/MaxUnpool2d"),
    Bug(
        "unpooling's gradient read at the corner",
        POOL + "max_unpool2d_backward",
        fixed_switches(0),
        "layer/MaxUnpool2d",
    ),
    Bug("pool gradient to the last pixel", POOL + "max_pool2d_backward", fixed_switches(3), "layer/MaxPool2d"),
    Bug("pool gradient to all pixels", POOL + "max_pool2d_backward", to_all_pixels, "layer/MaxPool2d"),
    Bug("pool padded with zeros", OPS + "max_pool2d", zero_padding, "op/max_pool2d overlapping"),
    Bug("overlaps overwritten by pool", OPS + "max_pool2d_backward", last_write, "op/max_pool2d overlapping"),
    Bug("overlaps overwritten by unpool", OPS + "max_unpool2d", last_write, "op/max_unpool2d overlapping"),
    # upsampling
    Bug(
        "upsampling's gradient subsampled instead of summed",
        UP + "upsample_nearest_backward",
        lambda f: lambda dy, scale: dy[:, :: scale[0], :: scale[1]].copy(),
        "layer/UpsampleNearest",
    ),
    Bug(
        "nails' gradient summed instead of read",
        UP + "bed_of_nails_backward",
        lambda f: lambda dy, scale: dy.reshape(2, 6, 2, 7, 2, 4).sum((2, 4)),
        "layer/BedOfNails",
    ),
    Bug(
        "gradient interpolated instead of transposed",
        UP + "upsample_bilinear_backward",
        lambda f: lambda dy, size: 6 * upsample_bilinear(dy, size),
        "layer/UpsampleBilinear",
    ),
    # normalisation
    Bug(
        "batch norm's statistics taken for constants",
        NORM + "batch_norm_backward",
        lambda f: batch_norm_fixed_backward,
        "layer/BatchNorm2d training",
    ),
    Bug("mean term missing", NORM + "batch_norm_backward", no_mean_term, "layer/BatchNorm2d training"),
    Bug("x̂ term missing", NORM + "batch_norm_backward", no_x_hat_term, "layer/BatchNorm2d training"),
    Bug("stale deviation", NORM + "batch_norm_backward", stale_statistics, "layer/BatchNorm2d per batch at test time"),
    Bug("stale running deviation", NORM + "batch_norm_fixed_backward", stale_statistics, "layer/BatchNorm2d frozen"),
    Bug(
        "window term of LRN dropped",
        NORM + "local_response_norm_backward",
        lambda f: lambda dy, x, scale, size, alpha, beta: dy * scale**-beta,
        "layer/LocalResponseNorm",
    ),
    # activation
    Bug("ReLU's mask from the gradient", ACT + "relu_backward", lambda f: lambda dy, y: dy * (dy > 0), "layer/ReLU"),
    Bug("ReLU lets everything through", ACT + "relu_backward", lambda f: lambda dy, y: dy, "layer/ReLU"),
    Bug("dropout's mask used twice", ACT + "Dropout.backward", mask_twice, "layer/Dropout"),
    # joining
    Bug("pieces swapped", JOIN + "concatenate_backward", swapped_pieces, "layer/Concatenate"),
    Bug("offset ignored", JOIN + "crop2d_backward", lambda f: lambda dy, _, size: f(dy, 0, size), "layer/Crop"),
    Bug("border not cut off", JOIN + "pad2d_backward", lambda f: lambda dy, _: dy[:, :6, :7], "layer/Pad"),
    Bug("fork overwritten", "scratchnet.network.Network.backward", overwriting_backward, "network/fork"),
    Bug(
        "gradients overwritten instead of gathered",
        "scratchnet.layers.base.Parameter.add_grad",
        overwriting_accumulate,
        "network/two passes",
    ),
    # losses
    Bug(
        "class weights missing in the gradient",
        LOSS + "softmax_cross_entropy",
        other_factors(lambda f: (f > 0) * f.mean()),
        "loss/softmax, class weights",
    ),
    Bug(
        "normaliser missing in the gradient",
        LOSS + "softmax_cross_entropy",
        other_factors(lambda f: f * np.count_nonzero(f)),
        "loss/softmax",
    ),
    Bug(
        "ignored pixels with a gradient",
        LOSS + "softmax_cross_entropy",
        other_factors(lambda f: np.where(f == 0, f.max(), f)),
        "loss/softmax",
    ),
    Bug(
        "label not subtracted",
        LOSS + "sigmoid_cross_entropy",
        changed_gradient(lambda d, labels, f: d + (labels * f)[..., None]),
        "loss/sigmoid",
    ),
    Bug("sigmoid differentiated twice", LOSS + "sigmoid_cross_entropy", double_sigmoid, "loss/sigmoid"),
    Bug("sign of the Dice gradient", LOSS + "dice_loss", changed_gradient(lambda d, *_: -d), "loss/dice"),
    Bug("Dice left out of a sum", LOSS + "dice_loss", changed_gradient(lambda d, *_: 0 * d), "loss/cross-entropy+dice"),
]


def plant(monkeypatch, where, function):
    """Put ``function`` in the place ``where``; return the list that grows with every call."""
    calls = []

    def spy(*args, **kwargs):
        calls.append(1)
        return function(*args, **kwargs)

    monkeypatch.setattr(where, spy)
    return calls


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_is_caught(bug, monkeypatch):
    assert passes_unbroken(bug.case)
    calls = plant(monkeypatch, bug.where, bug.broken(resolve_name(bug.where)))
    report = CASES[bug.case].run()
    assert calls, "the bug was planted where nobody looks"
    assert report.checked
    assert not report.ok
    assert report.worst.error > 1e-3, "caught by a hair"


@pytest.mark.parametrize("where", sorted({bug.where for bug in BUGS}))
def test_planting_the_right_function_is_not_caught(where, monkeypatch):
    """It is the bug that is caught, not the planting."""
    calls = plant(monkeypatch, where, resolve_name(where))
    assert all(CASES[bug.case].run().ok for bug in BUGS if bug.where == where)
    assert calls


def test_there_are_enough_bugs_and_no_two_alike():
    assert len(BUGS) >= 40
    assert len({bug.name for bug in BUGS}) == len(BUGS)


# Bugs that right slopes at one input do not show: a layer of one's own, and what is wrong with it. -------------------


class Tanh(Layer):
    """w · tanh(x) + b, with everything right."""

    def __init__(self):
        super().__init__()
        self.parameters["w"] = Parameter((3,), "scale", lambda rng, shape: np.ones(shape))
        self.parameters["b"] = Parameter((3,), "shift", lambda rng, shape: np.zeros(shape))

    def forward(self, x):
        t = np.tanh(x)
        self.save_for_backward(t)
        return t * self.parameters["w"].value + self.parameters["b"].value

    def backward(self, dy):
        (t,) = self.take_saved()
        self.parameters["w"].add_grad((dy * t).sum((0, 1, 2)))
        self.parameters["b"].add_grad(dy.sum((0, 1, 2)))
        return self.dx(dy, t)

    def dx(self, dy, t):
        return dy * self.parameters["w"].value * (1 - t * t)

    def output_shape(self, x):
        return x


class ChangesInput(Tanh):
    def forward(self, x):
        y = super().forward(x)
        x *= 2
        return y


class ChangesDy(Tanh):
    def dx(self, dy, t):
        dy *= self.parameters["w"].value * (1 - t * t)
        return dy


class ChangesInputInBackward(Tanh):
    def forward(self, x):
        self.x = x
        return super().forward(x)

    def dx(self, dy, t):
        self.x[...] = super().dx(dy, t)
        return self.x


class CastsDx(Tanh):
    def dx(self, dy, t):
        return super().dx(dy, t).astype(np.float32)


class RoundsDx(Tanh):
    def dx(self, dy, t):
        return super().dx(dy, t).astype(np.float32).astype(np.float64)


class RoundsAFactor(Tanh):
    def dx(self, dy, t):
        return dy * self.parameters["w"].value.astype(np.float32) * (1 - t * t)


class RoundsAParametersGradient(Tanh):
    def backward(self, dy):
        return super().backward(dy) if False else self._rounded(dy)

    def _rounded(self, dy):
        (t,) = self.take_saved()
        self.parameters["w"].add_grad((dy * t).astype(np.float32).sum((0, 1, 2)))
        self.parameters["b"].add_grad(dy.sum((0, 1, 2)))
        return self.dx(dy, t)


class CastsOutput(Tanh):
    def forward(self, x):
        return super().forward(x).astype(np.float32)


class Overwrites(Tanh):
    def backward(self, dy):
        (t,) = self.take_saved()
        self.parameters["w"].grad[...] = (dy * t).sum((0, 1, 2))
        self.parameters["b"].add_grad(dy.sum((0, 1, 2)))
        return self.dx(dy, t)


class WrongShape(Tanh):
    def output_shape(self, x):
        return (x[0], x[2], x[1], x[3])


class WrongShapeOfTwo(Tanh):
    def output_shape(self, x):
        return (1, *x[1:])


class DropsInEvaluation(Dropout):
    def forward(self, x):
        training, self.training = self.training, True
        y = super().forward(x)
        self.training = training
        return y


class WrongInEvaluation(Tanh):
    def dx(self, dy, t):
        return super().dx(dy, t) * (1 if self.training else 2)


class NormalisesInEvaluation(BatchNorm2d):
    """Takes the batch's statistics in evaluation too."""

    @property
    def uses_batch(self):
        return True


class LearnsInEvaluation(Tanh):
    def __init__(self):
        super().__init__()
        self.buffers["mean"] = Buffer(np.zeros(3))

    def forward(self, x):
        self.buffers["mean"].value = 0.9 * self.buffers["mean"].value + 0.1 * x.mean((0, 1, 2))
        return super().forward(x)


class CannotEvaluate(Tanh):
    def backward(self, dy):
        if not self.training:
            raise RuntimeError("only in training")
        return super().backward(dy)


class FirstImageOnly(Tanh):
    def dx(self, dy, t):
        dx = super().dx(dy, t)
        dx[1:] = 0
        return dx


class SumsFirstImage(Tanh):
    def backward(self, dy):
        (t,) = self.take_saved()
        self.parameters["w"].add_grad((dy * t)[0].sum((0, 1)))
        self.parameters["b"].add_grad(dy.sum((0, 1, 2)))
        return self.dx(dy, t)


class MixesImages(Tanh):
    def dx(self, dy, t):
        return super().dx(dy, t)[::-1].copy()


class MeanOfImages(Tanh):
    def backward(self, dy):
        (t,) = self.take_saved()
        self.parameters["w"].add_grad((dy * t).sum((1, 2)).mean(0))
        self.parameters["b"].add_grad(dy.sum((0, 1, 2)))
        return self.dx(dy, t)


class OneImage(Tanh):
    def forward(self, x):
        return super().forward(x.reshape(1, *x.shape[1:]))


class SquareOnly(Tanh):
    def dx(self, dy, t):
        dx = super().dx(dy, t)
        return dx.reshape(dx.shape[0], dx.shape[2], dx.shape[1], -1).reshape(dx.shape) if _square(dx) else 0.5 * dx


def _square(array):
    return array.shape[1] == array.shape[2]


class EvenOnly(Tanh):
    def dx(self, dy, t):
        dx = super().dx(dy, t)
        dx[:, dx.shape[1] // 2 * 2 :] = 0
        return dx


class OneChannel(ReLU):
    def backward(self, dy):
        dx = super().backward(dy)
        dx[..., 1:] = 0
        return dx


class UsesOldInput(Tanh):
    """The derivative belongs to the first input that it ever saw."""

    def forward(self, x):
        y = super().forward(x)
        self.first = self.__dict__.get("first", self.saved[0])
        return y

    def dx(self, dy, t):
        return super().dx(dy, self.first if self.first.shape == t.shape else t)


class Counts(Tanh):
    """Every backward pass sends a little more."""

    calls = 0

    def dx(self, dy, t):
        self.calls += 1
        return super().dx(dy, t) * (1 if self.calls == 1 else 1 + 1e-4 * self.calls)


class KeepsItsOutput(Tanh):
    """Writes every output of a shape to the same memory."""

    def forward(self, x):
        y = super().forward(x)
        self.room = self.__dict__.get("room", y)
        if self.room.shape != y.shape:
            return y
        self.room[...] = y
        return self.room


class KeepsItsDx(Tanh):
    def dx(self, dy, t):
        dx = super().dx(dy, t)
        self.room = self.__dict__.get("room", dx)
        if self.room.shape != dx.shape:
            return dx
        self.room[...] = dx
        return self.room


class ReusesDy(Tanh):
    """Takes the memory of the last gradient for its next output."""

    def forward(self, x):
        y, last = super().forward(x), self.__dict__.get("last", np.zeros(0))
        if last.shape != y.shape:
            return y
        last[...] = y
        return last

    def dx(self, dy, t):
        self.last = dy
        return super().dx(dy, t)


class NeedsDx(Tanh):
    def backward(self, dy):
        (t,) = self.take_saved()
        if self.needs_input_grad:
            self.parameters["w"].add_grad((dy * t).sum((0, 1, 2)))
        self.parameters["b"].add_grad(dy.sum((0, 1, 2)))
        return self.dx(dy, t)


class ReadsMemoryInOrder(Tanh):
    """Takes neighbours in a row for neighbours in memory."""

    def forward(self, x):
        return super().forward(np.lib.stride_tricks.as_strided(x, x.shape, np.empty(x.shape).strides))


class ReadsDyInOrder(Tanh):
    def dx(self, dy, t):
        return super().dx(dy.ravel("K").reshape(dy.shape), t)


class Broadcasts(Tanh):
    def backward(self, dy):
        (t,) = self.take_saved()
        self.parameters["w"].add_grad((dy * t).sum())
        self.parameters["b"].add_grad(dy.sum((0, 1, 2)))
        return self.dx(dy, t)


class OneNaN(Tanh):
    def dx(self, dy, t):
        dx = super().dx(dy, t)
        dx.flat[-1] = np.nan
        return dx


class InfiniteOutput(Tanh):
    def forward(self, x):
        y = super().forward(x)
        y.flat[0] = np.inf
        return y


class MaskOfDy(Tanh):
    def dx(self, dy, t):
        return super().dx(np.abs(dy), t)


class DrawsOnItsOwn(Tanh):
    def forward(self, x):
        return super().forward(x * np.random.default_rng().uniform(1, 1 + 1e-9, x.shape))


class OtherOutputAgain(Tanh):
    def forward_again(self, x):
        return 1.1 * self.forward(x)


class ForgetsTheSecondInput(Add):
    def backward(self, dy):
        return dy, None


class ChangesItsWeight(Tanh):
    def forward(self, x):
        y = super().forward(x)
        self.parameters["w"].value[...] *= 1.1
        return y


ONE, TWO = (1, 4, 4, 3), (2, 4, 5, 3)
OWN = [
    (ChangesInput, TWO, "forward changes its input x0 in place"),
    (ChangesDy, TWO, "backward changes its dy in place"),
    (ChangesInputInBackward, TWO, "backward changes its input x0 in place"),
    (CastsDx, TWO, "the gradient of x0 is float32"),
    (RoundsDx, TWO, "the gradient of x0 is not linear in dy: a float32 cast"),
    (RoundsAFactor, TWO, "the gradient of x0 is off by"),
    (RoundsAParametersGradient, TWO, "the gradient of w is not linear in dy: a float32 cast"),
    (CastsOutput, TWO, "the output is float32"),
    (Overwrites, TWO, "backward does not add to the gradient of w"),
    (WrongShape, TWO, r"output_shape returns \(2, 5, 4, 3\), but the output is \(2, 4, 5, 3\)"),
    (WrongShape, ONE, "output_shape returns"),  # of a square map it is right
    (WrongShapeOfTwo, ONE, "with two images: output_shape returns"),
    (DropsInEvaluation, TWO, "in evaluation mode the output is random"),
    (WrongInEvaluation, TWO, "in evaluation mode: all arrays along a direction: analytic"),
    (lambda: NormalisesInEvaluation(3), TWO, "in evaluation mode the output of an image depends on the other"),
    (LearnsInEvaluation, TWO, "in evaluation mode forward changes the buffer mean"),
    (CannotEvaluate, TWO, "in evaluation mode: RuntimeError: only in training"),
    (FirstImageOnly, ONE, "with two images: all arrays along a direction: analytic"),
    (SumsFirstImage, ONE, "with two images: all arrays"),
    (MixesImages, ONE, "with two images: all arrays"),
    (MeanOfImages, ONE, "with two images: all arrays"),
    (OneImage, ONE, "with two images: ValueError: cannot reshape"),
    (FirstImageOnly, TWO, r"x0\[1, .*analytic 0, numeric"),
    (SquareOnly, ONE, "with one row less: all arrays"),
    (EvenOnly, ONE, "with one row less: all arrays"),
    (OneChannel, (2, 4, 5, 1), "with two channels: all arrays"),
    (UsesOldInput, TWO, "at another input: all arrays along a direction: analytic"),
    (Counts, TWO, "the gradient of x0 differs in a later pass"),
    (KeepsItsOutput, TWO, "the output of one pass is overwritten by the next"),
    (KeepsItsDx, TWO, r"dx \(x0\) of one pass is overwritten by the next"),
    (ReusesDy, TWO, "the dy of one pass is overwritten by the next"),
    (ChangesItsWeight, TWO, "forward changes its input w in place"),
    (NeedsDx, TWO, "the gradient of w is wrong if the gradient of the input is not needed"),
    (ReadsMemoryInOrder, TWO, "the output differs if the input is a slice of a larger array"),
    (ReadsDyInOrder, TWO, "the gradient of x0 differs if dy is in Fortran order"),
    (Broadcasts, TWO, r"w(\[.*| along a direction): analytic"),
    (OneNaN, (2, 9, 9, 3), "the gradient of x0 holds NaN"),
    (InfiniteOutput, TWO, "the output holds NaN or infinite values"),
    (MaskOfDy, TWO, "analytic"),
    (DrawsOnItsOwn, TWO, "a later pass on the same input returns another output"),
    (OtherOutputAgain, TWO, "forward_again and forward return different outputs"),
]


@pytest.mark.parametrize(("make", "shape", "message"), OWN, ids=lambda value: getattr(value, "__name__", None))
def test_a_bug_in_a_layer_of_ones_own_is_caught_and_named(make, shape, message):
    report = check_gradients("own", from_layer(make(), numbers(*shape)))
    assert not report.ok
    assert any(re.search(message, str(finding)) for finding in report.failures), report
    assert re.search(message, str(report))
    assert report.worst in report.failures


@pytest.mark.parametrize("shape", [ONE, TWO, (2, 3, 1, 3), (1, 1, 1, 3), (3, 5, 4, 3)])
@pytest.mark.parametrize("training", [True, False])
def test_a_right_layer_of_ones_own_passes(shape, training):
    report = check_gradients("own", from_layer(Tanh(), numbers(*shape), training=training))
    assert report.ok, report
    assert str(report).startswith("ok   own: ")


def test_an_input_without_a_gradient_must_not_matter():
    report = check_gradients("add", from_layer(ForgetsTheSecondInput(), numbers(*TWO), numbers(*TWO, seed=1)))
    assert re.search(r"x1\[.*analytic 0, numeric", str(report))


def test_too_few_gradients_are_an_error():
    class Lonely(Add):
        def backward(self, dy):
            return dy

    with pytest.raises(ValueError, match="backward returned 1 gradients for 2 inputs"):
        check_gradients("add", from_layer(Lonely(), numbers(*TWO), numbers(*TWO, seed=1)))


IN_NETWORKS = [
    (RoundsDx, TWO, "not linear in dy"),
    (Overwrites, TWO, "backward does not add to the gradient of own.w"),
    (WrongShape, TWO, r"output_shape returns|step 'score'|gives|shape"),
    (LearnsInEvaluation, TWO, "in evaluation mode forward changes the buffer own.mean"),
    (WrongInEvaluation, TWO, "in evaluation mode: all arrays"),
    (CannotEvaluate, TWO, "in evaluation mode: RuntimeError"),
    (DropsInEvaluation, TWO, "in evaluation mode the output is random"),
    (FirstImageOnly, ONE, "with two images: all arrays"),
    (SumsFirstImage, ONE, "with two images: all arrays"),
    (Counts, TWO, "state is left over"),
    (OneNaN, TWO, "holds NaN"),
]


@pytest.mark.parametrize(("make", "shape", "message"), IN_NETWORKS, ids=lambda value: getattr(value, "__name__", None))
def test_bugs_in_a_layer_of_a_network_are_caught_and_named(make, shape, message):
    net = Network(3)
    net.add("conv", Conv2d(3, 3, 3, padding=1))
    net.add("own", make())
    net.add("score", Conv2d(3, 2, 1))
    report = check_gradients("net", from_network(net, numbers(*shape)), tolerance=1e-5)
    assert not report.ok
    assert re.search(message, str(report))


def test_inputs_of_another_dtype_or_layout_are_copied():
    x = numbers(2, 5, 4, 3).transpose(0, 2, 1, 3).astype(np.float32, order="K")
    x.flags.writeable = False
    assert check_gradients("own", from_layer(Tanh(), x)).ok
    assert check_gradients("own", from_layer(Tanh(), np.arange(120).reshape(TWO) % 3)).ok


def test_a_loss_of_ones_own():
    def squares(logits, truth):
        return float(((logits - truth[..., None]) ** 2).sum()), 2 * (logits - truth[..., None])

    def first_image(logits, truth):
        loss, gradient = squares(logits, truth)
        gradient[1:] = 0
        return loss, gradient

    def eats(logits, truth):
        truth += 1
        return squares(logits, truth - 1)

    logits, truth = numbers(1, 4, 5, 1), numbers(1, 4, 5, seed=1)
    assert check_gradients("loss", from_loss(squares, logits, truth)).ok
    assert "with two images: " in str(check_gradients("loss", from_loss(first_image, logits, truth)))
    assert "changes its target" in str(check_gradients("loss", from_loss(eats, logits, truth.copy())))


def test_functions_are_held_to_the_contract_too():
    x = {"x": numbers(3, 4)}

    def forward(x):
        return np.sin(x)

    def check(backward):
        return str(check_gradients("f", from_functions(x, forward, backward)))

    assert check(lambda dy, x: {"x": dy * np.cos(x)}).startswith("ok")
    assert "not linear in dy" in check(lambda dy, x: {"x": (dy * np.cos(x)).astype(np.float32).astype(float)})
    assert "rounded something to float32" in check(lambda dy, x: {"x": dy * np.cos(x).astype(np.float32)})
    assert "float32" not in check(lambda dy, x: {"x": dy}), "an error this large is no rounding"
    assert "if dy is in Fortran order" in check(lambda dy, x: {"x": dy.ravel("K").reshape(3, 4) * np.cos(x)})
    assert "changes its dy in place" in check(lambda dy, x: {"x": np.multiply(dy, np.cos(x), out=dy)})
    with pytest.raises(ValueError, match="f: backward returned no gradient of x, only of y"):
        check(lambda dy, x: {"y": dy * np.cos(x)})
