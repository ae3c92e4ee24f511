"""Layers of one's own, written in every way that one may: a replay gives their numbers, or there is none."""
# ruff: noqa: NPY002 (layers of one's own draw from np.random as well)

import itertools
import threading
import time
import warnings
import weakref
from collections import deque
from dataclasses import dataclass
from enum import Enum

import numpy as np
import pytest
from scipy import ndimage, special

from scratchnet.engine.capture import first_replay, record_call
from scratchnet.engine.capture.captured_network import CapturedNetwork
from scratchnet.engine.memory.arena import Arena
from scratchnet.engine.memory.pool import pooled_empty
from scratchnet.layers import BatchNorm2d, Conv2d, Dropout, ReLU
from scratchnet.layers.base import Layer
from scratchnet.layers.parameter import Buffer, Parameter
from scratchnet.network import Network
from tests.compare import numbers
from tests.models.test_models import stirred

pytestmark = pytest.mark.usefixtures("deadline")


class Own(Layer):
    """Multiplies by 2, by default."""

    capturable = True

    def __init_subclass__(cls):
        cls.capturable = True  # which is not inherited

    def forward(self, x):
        return x * x.dtype.type(2)

    def backward(self, dy):
        return dy * dy.dtype.type(2)

    def output_shape(self, x):
        return x


# What goes round the recorder -----------------------------------------------------------------------------------------


class Asarray(Own):
    def forward(self, x):
        return np.asarray(x) * x.dtype.type(2)


class Array(Own):
    def forward(self, x):
        return x + np.array(x)


class Contiguous(Own):
    def forward(self, x):
        return x + np.ascontiguousarray(x[:, ::-1])[:, ::-1]


class View(Own):
    def forward(self, x):
        return x + x.view(np.ndarray).copy()


class Empty(Own):
    def forward(self, x):
        y = np.empty(x.shape, x.dtype)
        y[...] = x
        return x + y


class Memory(Own):
    def forward(self, x):
        return x + np.array(memoryview(x))


class FromBuffer(Own):
    def forward(self, x):
        return x + np.frombuffer(np.ascontiguousarray(x), x.dtype).reshape(x.shape).copy()


class Scipy(Own):
    def forward(self, x):
        y = special.expit(np.asarray(x))
        self.save_for_backward(y)
        return ndimage.uniform_filter(y, (1, 3, 3, 1)).astype(x.dtype)

    def backward(self, dy):
        (y,) = self.take_saved()
        return ndimage.uniform_filter(np.asarray(dy), (1, 3, 3, 1)) * y * (1 - y)


class ScipyOut(Own):
    def forward(self, x):
        y = pooled_empty(x, x.shape)
        ndimage.uniform_filter(x, (1, 3, 3, 1), output=y)
        return y


class Counting(Own):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return x * x.dtype.type(self.calls)


class HiddenCounting(Own):
    """The counter is no attribute."""

    def __init__(self):
        super().__init__()
        self.counts = itertools.count(1)

    def forward(self, x):
        return x * x.dtype.type(next(self.counts))


class GlobalCounting(Own):
    calls = {}  # noqa: RUF012 (that is the point)

    def forward(self, x):
        count = self.calls[id(self)] = self.calls.get(id(self), 0) + 1
        return x * x.dtype.type(count)


class Noise(Own):
    def forward(self, x):
        return x + np.random.standard_normal(x.shape).astype(x.dtype)


class OwnStream(Own):
    def __init__(self):
        super().__init__()
        self.rng = np.random.default_rng(3)

    def forward(self, x):
        return x + self.rng.random(x.shape, x.dtype)


class Followed(OwnStream):
    """As it should be done."""

    def forward(self, x):
        noise = pooled_empty(x, x.shape)
        record_call(self.draw, noise)
        return x + noise

    def draw(self, noise):
        noise[...] = self.rng.random(noise.shape, noise.dtype)


class StoredSum(Own):
    def forward(self, x):
        self.total = x.sum()
        return x * x.dtype.type(2)


class StoredMean(Own):
    def forward(self, x):
        self.mean = x.mean(axis=(0, 1, 2))
        return x - self.mean


class StoredMask(Own):
    """Keeps what backward needs as an attribute of its own."""

    def forward(self, x):
        self.mask = x > 0
        return x * self.mask

    def backward(self, dy):
        return dy * self.mask


class Lazy(Own):
    """Makes a table at its first call."""

    table = None

    def forward(self, x):
        if self.table is None:
            self.table = np.arange(8, dtype=x.dtype)
        return x * self.table

    def backward(self, dy):
        return dy * self.table


class FrozenMask(Own):
    """Only its backward pass is stale."""

    def forward(self, x):
        self.save_for_backward(np.array(x) > 0)
        return np.maximum(x, x.dtype.type(0))

    def backward(self, dy):
        (mask,) = self.take_saved()
        return dy * mask


class FrozenGradient(Own):
    def backward(self, dy):
        return dy + np.array(dy)


class FrozenLearning(Own):
    """Only the gradient of its parameter is stale."""

    def __init__(self):
        super().__init__()
        self.parameters["scale"] = Parameter((8,), "scale", lambda rng, shape: np.ones(shape, np.float32))

    def forward(self, x):
        self.save_for_backward(np.array(x), x)
        return x * self.parameters["scale"].value

    def backward(self, dy):
        frozen, _ = self.take_saved()
        self.parameters["scale"].add_grad((dy * frozen).sum(axis=(0, 1, 2)))
        return dy * self.parameters["scale"].value


class FrozenAverage(Own):
    """Only its buffer is stale."""

    def __init__(self):
        super().__init__()
        self.buffers["average"] = Buffer(np.zeros(8, np.float32))

    def forward(self, x):
        self.buffers["average"].value[...] += np.array(x).mean(axis=(0, 1, 2))
        return x * x.dtype.type(2)


class Looking(Own):
    def forward(self, x):
        return x * x.dtype.type(2 if float(x.max()) > 2 else 3)


class Branching(Own):
    def forward(self, x):
        return x * x.dtype.type(2) if (x > 2).any() else x


class Clock(Own):
    def forward(self, x):
        return x + np.asarray(x) * x.dtype.type(0) * x.dtype.type(time.time() % 1)


class Locked(Own):
    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()


class Large(Own):
    def __init__(self):
        super().__init__()
        self.table = np.ones((1 << 19) + 1, np.float32)


class Patched(Own):
    def __init__(self):
        super().__init__()
        self.forward = lambda x: x * x.dtype.type(2)


def inner(layer):
    class Holding(Own):
        def __init__(self):
            super().__init__()
            self.inner = [layer()]

        def forward(self, x):
            return self.inner[0].forward(x)

        def backward(self, dy):
            return self.inner[0].backward(dy)

    Holding.__name__ = f"Holding{layer.__name__}"
    return Holding


WARNED = [
    Asarray, Array, Contiguous, View, Empty, FromBuffer, Scipy, Counting, HiddenCounting, GlobalCounting, Noise,
    OwnStream, StoredSum, StoredMean, FrozenMask, FrozenGradient, FrozenLearning, FrozenAverage, Looking, Branching,
    Locked, Large, Memory, ScipyOut, StoredMask,
]  # fmt: skip
QUIET = [Own, Followed, Patched, Lazy, inner(ReLU), inner(Dropout), inner(Followed)]
SHAPE = (2, 6, 8, 3)


def with_layer(layer, training=True):
    net = Network(3)
    net.add("conv", Conv2d(3, 8, 3, padding=1))
    net.add("own", layer)
    net.add("norm", BatchNorm2d(8))
    net.add("drop", Dropout(0.25))
    net.add("score", Conv2d(8, 2, 3, padding=1))
    return stirred(net).train(training)


def steps_of(make, passes, count, seeds, training=True, same_dy=False):
    """Return all that comes of some steps: outputs, gradients, buffers, random draws."""
    np.random.seed(5)
    net = with_layer(make(), training)
    net.reseed(7)
    runner, found = passes(net), []
    for i in range(count):
        x = numbers(*SHAPE, seed=seeds[i], dtype=np.float32)
        found.append(runner.forward(x).copy())
        if training:
            dy = numbers(*SHAPE[:3], 2, seed=3 if same_dy else 50 + seeds[i], dtype=np.float32)
            found.append(runner.backward(dy, needs_input_grad=True).copy())
            found.append(net.flat().grads.copy())
            if i % 2:
                net.zero_grad()
        found += [b.value.copy() for b in net.state().values()]
        found.append(np.random.random(2))
    found.append(net.steps[3].layer.stream.rng.random(3))
    return found, net, runner


def compared(make, count=6, seeds=range(6), **how):
    expected, _, _ = steps_of(make, lambda net: net, count, seeds, **how)
    got, net, fast = steps_of(make, CapturedNetwork, count, seeds, **how)
    for i, (a, b) in enumerate(zip(got, expected, strict=True)):
        np.testing.assert_array_equal(a, b, err_msg=str(i))
        assert type(a) is np.ndarray
    return net, fast


def capture_count(fast):
    return sum(capture is not None for capture in fast._captures.values())


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("make", WARNED, ids=lambda make: make.__name__)
def test_what_goes_round_the_recorder_is_noticed_and_right(cores, make, training):
    cores(2)
    if not training and make in (FrozenMask, FrozenGradient, FrozenLearning):  # stale only in the backward pass
        compared(make, training=False)
        return
    with pytest.warns(RuntimeWarning, match=rf"step 'own' \({make.__name__}\) cannot be captured: ") as told:
        _, fast = compared(make, training=training)
    assert len(told) == 1
    assert capture_count(fast) == 0


@pytest.mark.parametrize("make", QUIET, ids=lambda make: make.__name__)
@pytest.mark.parametrize("count", [1, 3])
def test_other_layers_are_right_without_a_word(cores, make, count):
    cores(count)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for training in (True, False):
            compared(make, training=training)


@pytest.mark.parametrize("make", [Array, Asarray, HiddenCounting, Noise, FrozenGradient, FrozenLearning, FrozenMask])
@pytest.mark.parametrize("seeds", [[0, 0, 0, 0, 1, 2, 2], [0, 1, 1, 1, 2, 3, 0], [0, 1, 2, 1, 2, 1, 3]])
@pytest.mark.parametrize("same_dy", [False, True])
def test_repeated_inputs_prove_nothing(cores, make, seeds, same_dy):
    cores(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compared(make, 7, seeds, same_dy=same_dy)


@pytest.mark.parametrize(("seeds", "same_dy"), [(range(6), False), ([0] * 6, True), (range(6), True), ([1] * 6, False)])
def test_a_capture_is_compared_once(cores, seeds, same_dy):
    """Then Python does not run any more, also where the input is the same over and over, as in a benchmark."""
    cores(1)
    calls = []

    class Told(Own):
        def forward(self, x):
            calls.append(None)
            return super().forward(x)

    net = with_layer(Told())
    net.eval()
    fast = CapturedNetwork(net)
    for seed in seeds:
        x = numbers(*SHAPE, seed=seed, dtype=np.float32)
        y = fast.forward(x, keep=True)
        fast.backward(np.ones_like(y) if same_dy else y)
    assert len(calls) == 3  # eager, captured, compared


def test_comparing_leaves_no_memory(cores):
    """The arrays of the eager pass are freed after it."""
    cores(1)
    net, arenas = with_layer(Own()), []

    class Counted(Arena):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            arenas.append(weakref.ref(self))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(first_replay, "Arena", Counted)
        fast = CapturedNetwork(net)
        for seed in range(4):
            fast.backward(fast.forward(numbers(*SHAPE, seed=seed, dtype=np.float32)))
    assert [arena() for arena in arenas] == [None, None]
    assert fast._first_replay is None


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("bad", [Array, FrozenMask, FrozenGradient, FrozenLearning, HiddenCounting])
def test_the_layer_at_fault_is_named_among_others(cores, bad, checkpointing):
    cores(2)

    def build():
        net = Network(3)
        net.add("conv", Conv2d(3, 8, 3, padding=1))
        for name, layer in (("good", Own()), ("norm", BatchNorm2d(8)), ("relu", ReLU()), ("bad", bad())):
            net.add(name, layer)
        net.add("score", Conv2d(8, 2, 3, padding=1))
        net.add("last", Own())
        net.activation_checkpointing = checkpointing and bad is not HiddenCounting  # which has no forward_again
        return stirred(net).train()

    net, twin = build(), build()
    fast = CapturedNetwork(net)

    def run():
        for seed in range(5):
            x = numbers(*SHAPE, seed=seed, dtype=np.float32)
            y, expected = fast.forward(x), twin.forward(x)
            np.testing.assert_array_equal(y, expected)
            np.testing.assert_array_equal(
                fast.backward(y, needs_input_grad=True), twin.backward(expected, needs_input_grad=True)
            )
            np.testing.assert_array_equal(net.flat().grads, twin.flat().grads)

    with pytest.warns(RuntimeWarning, match="step 'bad'") as told:
        run()
    assert len(told) == 1
    assert "good" not in str(told[0].message)


# What a capture depends on --------------------------------------------------------------------------------------------


class Mode(Enum):
    ONE = 1
    TWO = 2


@dataclass
class Nested:
    by: object


class Slotted:
    __slots__ = ("by",)

    def __init__(self, by):
        self.by = by


def setter(value):
    return lambda layer: setattr(layer, "by", value)


class By(Own):
    """Multiplies by what it reads out of a setting."""

    shared = 1.0

    def __init__(self, by, read):
        super().__init__()
        self.by, self.read = by, read

    def forward(self, x):
        return x * x.dtype.type(self.read(self))

    def backward(self, dy):
        return dy * dy.dtype.type(self.read(self))


class OwnClass(By):
    shared = 1.0


FIRST, BY = (lambda layer: layer.by[0]), (lambda layer: layer.by)
SETTINGS = {
    "np.bool_": (np.bool_(False), BY, setter(np.bool_(True))),
    "np.float32": (np.float32(2), BY, setter(np.float32(3))),
    "np.int64": (np.int64(2), BY, setter(np.int64(3))),
    "0-d": (np.array(2.0), lambda layer: float(layer.by), setter(np.array(3.0))),
    "0-d in place": (np.array(2.0), lambda layer: float(layer.by), lambda layer: layer.by.__setitem__((), 3.0)),
    "array in place": (np.ones(4), FIRST, lambda layer: layer.by.__setitem__(0, 7.0)),
    "list": ([2, 2], FIRST, setter([3, 2])),
    "list in place": ([2, 2], FIRST, lambda layer: layer.by.__setitem__(0, 5)),
    "append": ([2], lambda layer: sum(layer.by), lambda layer: layer.by.append(4)),
    "deque": (deque([2]), FIRST, lambda layer: layer.by.appendleft(4)),
    "tuple of arrays": ((np.ones(1),), lambda layer: layer.by[0][0], lambda layer: layer.by[0].fill(3)),
    "dict": ({"a": 2}, lambda layer: layer.by["a"], lambda layer: layer.by.update(a=3)),
    "set": ({2}, lambda layer: len(layer.by), lambda layer: layer.by.add(3)),
    "enum": (Mode.ONE, lambda layer: layer.by.value, setter(Mode.TWO)),
    "dataclass": (Nested([2]), lambda layer: layer.by.by[0], lambda layer: layer.by.by.__setitem__(0, 3)),
    "nested": (Nested(Nested(2)), lambda layer: layer.by.by.by, lambda layer: setattr(layer.by.by, "by", 3)),
    "slots": (Slotted(2), lambda layer: layer.by.by, lambda layer: setattr(layer.by, "by", 3)),
    "None": (None, lambda layer: 1 if layer.by is None else 2, setter(0)),
    "bool for int": (True, lambda layer: 2 if layer.by is True else 3, setter(1)),
    "complex": (2 + 0j, lambda layer: layer.by.real, setter(3 + 0j)),
    "inner layer": (By(2.0, BY), lambda layer: layer.by.by, lambda layer: setattr(layer.by, "by", 3.0)),
    "function": (lambda: 2, lambda layer: layer.by(), setter(lambda: 3)),
    "closure": (Nested(2).__init__, lambda layer: layer.by.__self__.by, lambda layer: layer.by(3)),
    "class attribute": (0, lambda layer: layer.shared, lambda layer: setattr(OwnClass, "shared", 3.0)),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_every_setting_is_followed(cores, case, monkeypatch):
    cores(1)
    value, read, change = SETTINGS[case]
    monkeypatch.setattr(OwnClass, "shared", 1.0)
    layer = OwnClass(value, read)
    net = with_layer(layer, training=False)
    fast = CapturedNetwork(net)
    for seed in range(8):
        if seed == 4:
            before = read(layer)
            change(layer)
            assert read(layer) != before
        x = numbers(*SHAPE, seed=seed, dtype=np.float32)
        np.testing.assert_array_equal(fast.forward(x), net.forward(x))
        assert capture_count(fast) == max(0, (seed >= 1) + (seed >= 5))


@pytest.mark.parametrize("what", ["value", "grad", "allocate", "frozen"])
def test_parameters_that_move_are_followed(cores, what):
    cores(1)
    net, twin = (with_layer(Own()) for _ in range(2))
    fast = CapturedNetwork(net)
    for seed in range(8):
        if seed == 4:
            for each in (net, twin):
                p = each.parameters()["score.weight"]
                value, grad = p.value, p.grad
                if what == "value":
                    p.bind(2 * value, grad)
                elif what == "grad":
                    p.bind(value, grad.copy())
                elif what == "allocate":
                    each.allocate(5)
                else:
                    each.freeze("conv")
        x = numbers(*SHAPE, seed=seed, dtype=np.float32)
        y = fast.forward(x)
        np.testing.assert_array_equal(y, twin.forward(x))
        fast.backward(y)
        twin.backward(y)
        for p, q in zip(net.parameters().values(), twin.parameters().values(), strict=True):
            np.testing.assert_array_equal(p.grad, q.grad)
        for each in (net, twin):
            each.reseed(seed)


OUTSIDE = {"factor": 2.0}


def outer(x):
    return x


class Surroundings(Own):
    """Reads a global variable and calls a function, either of which may be another one later."""

    def forward(self, x):
        return outer(x) * x.dtype.type(OUTSIDE["factor"])


@pytest.mark.parametrize("what", ["variable", "function"])
def test_global_variables_that_a_method_names_are_settings(monkeypatch, cores, what):
    cores(1)
    net = with_layer(Surroundings(), training=False)
    fast, x = CapturedNetwork(net), numbers(*SHAPE, dtype=np.float32)
    for i in range(8):
        if i >= 4 and what == "variable":
            monkeypatch.setitem(OUTSIDE, "factor", 1.0 + i // 2)
        elif i >= 4:
            monkeypatch.setitem(globals(), "outer", lambda x, k=i // 2: x * x.dtype.type(k))
        np.testing.assert_array_equal(fast.forward(x), net.forward(x))


class Vectorized(Own):
    """Makes an array of Python objects on the way."""

    def forward(self, x):
        return np.vectorize(lambda value: value * 2, otypes=[object])(x).astype(x.dtype)


class Strict(Own):
    """Fails where it is given a subclass."""

    def forward(self, x):
        if type(x) is not np.ndarray:
            raise TypeError("expected a plain array")
        return x * x.dtype.type(2)


class StrictBackward(Own):
    def backward(self, dy):
        if type(dy) is not np.ndarray:
            raise TypeError("expected a plain array")
        return dy * dy.dtype.type(2)


@pytest.mark.parametrize("make", [Vectorized, Strict, StrictBackward])
def test_what_fails_on_traced_arrays_only_runs_without_capture(cores, make):
    cores(1)
    with pytest.warns(RuntimeWarning, match=f"step 'own' \\({make.__name__}\\) cannot be captured"):
        compared(make)


def test_what_fails_by_itself_fails_in_its_own_words(cores):
    class Failing(Own):
        fails = False

        def forward(self, x):
            if self.fails:
                raise ZeroDivisionError("mine")
            return x

    cores(1)
    layer = Failing()
    fast, x = CapturedNetwork(with_layer(layer, training=False)), numbers(*SHAPE, dtype=np.float32)
    fast.forward(x)
    layer.fails = True
    for _ in range(3):
        with pytest.raises(ZeroDivisionError, match="mine"):
            fast.forward(x)


def test_gradients_of_frozen_parameters_are_not_added_twice(cores):
    cores(1)
    net = with_layer(Own())
    net.freeze("conv.weight", "norm")
    fast = CapturedNetwork(net)
    net.flat().grads[...] = 1
    for seed in range(5):
        fast.backward(fast.forward(numbers(*SHAPE, seed=seed, dtype=np.float32)))
    assert all((net.parameters()[name].grad == 1).all() for name in net.frozen())
