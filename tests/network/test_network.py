import tracemalloc
import weakref

import numpy as np
import pytest

from scratchnet.layers import (
    Add,
    BatchNorm2d,
    Concatenate,
    Conv2d,
    ConvTranspose2d,
    Crop,
    Dropout,
    MaxPool2d,
    MaxUnpool2d,
    Pad,
    ReLU,
)
from scratchnet.layers.base import Layer
from scratchnet.layers.initialization import constant
from scratchnet.layers.parameter import Parameter
from scratchnet.network import PARAMETER_KINDS, Network
from tests.compare import assert_close, distinct, numbers


def hourglass(batch_norm=True):
    """A net with all kinds of parameters, switches, a fork that is summed and one that is concatenated."""
    net = Network(3, stride=2)
    net.add("conv1", Conv2d(3, 4, 3, padding=1))
    if batch_norm:
        net.add("bn1", BatchNorm2d(4))
    top = net.add("relu1", ReLU())
    net.add("pool1", MaxPool2d(2))
    net.add("conv2", Conv2d(4, 4, 3, padding=1))
    net.add("unpool1", MaxUnpool2d(), "conv2", "pool1.switches")
    net.add("sum", Add(), "unpool1", top)
    net.add("cat", Concatenate(), "sum", top, "unpool1")
    net.add("score", Conv2d(12, 2, 1))
    return net


# The list -------------------------------------------------------------------------------------------------------------


def test_a_step_takes_the_one_before_it_unless_others_are_named():
    net = hourglass()
    inputs = {step.name: step.inputs for step in net.steps}
    assert inputs["conv1"] == ("input",)
    assert inputs["bn1"] == ("conv1",)
    assert inputs["unpool1"] == ("conv2", "pool1.switches")
    assert inputs["cat"] == ("sum", "relu1", "unpool1")


def test_add_returns_the_name():
    assert Network(1).add("pad", Pad(1)) == "pad"


@pytest.mark.parametrize(
    ("name", "inputs", "text"),
    [
        ("conv1", (), "step 'conv1' exists already"),
        ("input", (), "step 'input' exists already"),
        ("a.b", (), "step 'a.b': a name must not contain a dot"),
        ("new", ("missing",), "step 'new' takes 'missing', which no step before it makes"),
        ("new", ("conv1", "conv1.switches"), "step 'new' takes 'conv1.switches', which no step before it makes"),
    ],
)
def test_a_bad_step_is_refused_and_leaves_the_list_as_it_was(name, inputs, text):
    net = Network(3)
    net.add("conv1", Conv2d(3, 4, 3))
    with pytest.raises(ValueError, match=text):
        net.add(name, ReLU(), *inputs)
    assert [step.name for step in net.steps] == ["conv1"]
    net.add("new", ReLU())


# Memory ---------------------------------------------------------------------------------------------------------------


def test_parameters_live_in_the_flat_buffers():
    net = hourglass().allocate(0, np.float64)
    flat = net.flat()
    assert flat.values.size == flat.grads.size == net.parameter_count()
    for parameter in net.parameters().values():
        assert np.shares_memory(parameter.value, flat.values)
        assert np.shares_memory(parameter.grad, flat.grads)
    flat.values[...] = np.arange(flat.values.size)
    in_order = np.concatenate([p.value.ravel() for p in net.parameters().values()])
    np.testing.assert_array_equal(in_order, flat.values)


def test_segments_cover_the_buffers_by_kind():
    net = hourglass().allocate()
    flat = net.flat()
    assert list(flat.segments) == list(PARAMETER_KINDS)
    covered = np.zeros(flat.values.size, int)
    for kind, segment in flat.segments.items():
        covered[segment] += 1
        own = sum(p.size for p in net.parameters().values() if p.kind == kind)
        assert segment.stop - segment.start == own
        for parameter in net.parameters().values():
            assert np.shares_memory(parameter.value, flat.values[segment]) == (parameter.kind == kind)
    assert (covered == 1).all()


def test_a_network_without_batch_norm_has_no_segments_for_it():
    assert set(hourglass(batch_norm=False).allocate().flat().segments) == {"weight", "bias"}


def test_starting_values_depend_on_the_seed_and_the_name_alone():
    def weight(net, seed):
        return net.allocate(seed).parameters()["conv2.weight"].value.copy()

    small = Network(4)
    small.add("conv2", Conv2d(4, 4, 3, padding=1))
    first = weight(hourglass(), 3)
    np.testing.assert_array_equal(first, weight(hourglass(), 3))
    np.testing.assert_array_equal(first, weight(small, 3))
    assert not np.array_equal(first, weight(hourglass(), 4))
    renamed = Network(4)
    renamed.add("other", Conv2d(4, 4, 3, padding=1))
    assert not np.array_equal(first, renamed.allocate(3).parameters()["other.weight"].value)


def test_allocate_gives_everything_one_dtype(dtype):
    net = hourglass().allocate(0, dtype)
    assert net.flat().values.dtype == net.flat().grads.dtype == dtype
    assert {b.value.dtype for b in net.state().values()} == {dtype}
    assert set(net.state()) == {"bn1.running_mean", "bn1.running_var"}
    assert not net.flat().grads.any()


def test_nothing_works_without_memory():
    net = hourglass()
    for use in (net.flat, net.zero_grad, lambda: net.forward(np.zeros((1, 4, 4, 3), np.float32))):
        with pytest.raises(RuntimeError, match=r"no memory yet: call allocate\(\) first"):
            use()


def test_building_a_huge_network_takes_no_memory():
    tracemalloc.start()
    try:
        net = Network(3)
        net.add("fc6", Conv2d(3, 100_000, 7))
        net.add("bn", BatchNorm2d(100_000))
        net.add("fc7", Conv2d(100_000, 100_000, 1))
        net.add("up", ConvTranspose2d(100_000, 512, 7))
        count, shape = net.parameter_count(), net.shapes((224, 224), n=64)["up"]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count > 12e9
    assert shape == (64, 224, 224, 512)
    assert peak < 2e6  # the running statistics of 100,000 channels are all there is


# Modes ----------------------------------------------------------------------------------------------------------------


def test_train_and_eval_reach_every_layer():
    net = hourglass()
    assert net.train() is net
    assert net.training
    assert all(step.layer.training for step in net.steps)
    assert net.eval() is net
    assert not net.training
    assert not any(step.layer.training for step in net.steps)


def test_batch_norm_modes_reach_every_batch_norm():
    net = hourglass().use_statistics("batch").freeze_batch_norm()
    assert list(net.batch_norms()) == ["bn1"]
    assert (net.batch_norms()["bn1"].statistics, net.batch_norms()["bn1"].frozen) == ("batch", True)
    net.use_statistics("running").freeze_batch_norm(False)
    assert (net.batch_norms()["bn1"].statistics, net.batch_norms()["bn1"].frozen) == ("running", False)


# Forward --------------------------------------------------------------------------------------------------------------


def test_switches_go_by_name_to_the_unpooling_that_asks_for_them():
    net = Network(1)
    net.add("pool1", MaxPool2d(2))
    net.add("pool2", MaxPool2d(2))
    net.add("unpool2", MaxUnpool2d(), "pool2", "pool2.switches")
    net.add("unpool1", MaxUnpool2d(), "unpool2", "pool1.switches")
    x = np.abs(distinct(1, 8, 8, 1)) + 1
    y = net.allocate(0, np.float64).forward(x)
    # Only the maximum of each 4×4 block survives both pools, and it goes back to where it was.
    blocks = x.reshape(2, 4, 2, 4).max((1, 3))
    expected = np.where(np.isin(x, blocks), x, 0)
    assert np.count_nonzero(expected) == 4
    np.testing.assert_array_equal(y, expected)


def test_walk_yields_every_value_in_order():
    net = hourglass().allocate()
    x = numbers(1, 4, 6, 3, dtype=np.float32)
    walked = list(net.walk(x))
    assert [name for name, _ in walked] == [step.name for step in net.steps]
    shapes = net.shapes((4, 6))
    for name, value in walked:
        assert value.shape == shapes[name]
    np.testing.assert_array_equal(walked[-1][1], net.forward(x))


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (np.zeros((1, 4, 4, 4), np.float32), r"expected input \(n, h, w, 3\), got \(1, 4, 4, 4\)"),
        (np.zeros((4, 4, 3), np.float32), r"expected input \(n, h, w, 3\), got \(4, 4, 3\)"),
        (np.zeros((1, 4, 4, 3)), "expected float32 input, got float64"),
        (np.zeros((1, 4, 4, 3), np.uint8), r"expected float32 input, got uint8; use x.astype"),
    ],
)
def test_wrong_inputs_are_refused(x, text):
    with pytest.raises(ValueError, match=text):
        hourglass().allocate().forward(x)


def test_values_are_freed_as_soon_as_no_later_step_takes_them():
    net = Network(1)
    for name in ("a", "b"):
        net.add(name, Pad(1))
    net.add("pool", MaxPool2d(2))
    net.add("c", Pad(0))
    net.add("d", Pad(0))
    net.add("unpool", MaxUnpool2d(), "d", "pool.switches")
    net.add("join", Concatenate(), "unpool", "b")
    net.add("end", Pad(1))
    net.allocate(0, np.float64)
    alive, held = {}, {}
    for name, value in net.walk(np.ones((1, 4, 4, 1))):
        held[name] = weakref.ref(value)
        del value
        alive[name] = {other for other, ref in held.items() if ref() is not None}
    assert alive == {
        "a": {"a"},
        "b": {"b"},
        "pool": {"b", "pool"},
        "c": {"b", "c"},
        "d": {"b", "d"},
        "unpool": {"b", "unpool"},
        "join": {"join"},
        "end": {"end"},
    }


def test_a_deep_forward_needs_the_memory_of_a_few_values():
    net = Network(4)
    for i in range(20):
        net.add(f"conv{i}", Conv2d(4, 4, 1))
        net.add(f"relu{i}", ReLU())
    net.allocate().eval()
    x = np.ones((1, 256, 256, 4), np.float32)
    tracemalloc.start()
    try:
        net.forward(x)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * x.nbytes


@pytest.mark.parametrize("keep", [None, False])
def test_a_forward_outside_training_leaves_nothing_behind(keep):
    net = hourglass().allocate().train()
    x = numbers(1, 4, 4, 3, dtype=np.float32)
    net.forward(x)
    assert any(step.layer.saved is not None for step in net.steps)
    net.eval().forward(x, keep=keep)
    assert all(step.layer.saved is None for step in net.steps)
    pool = next(step.layer for step in net.steps if step.name == "pool1")
    assert pool.switches is None


# Backward -------------------------------------------------------------------------------------------------------------


def test_gradients_of_a_fork_are_summed():
    net = Network(2)
    a = net.add("a", Pad(0))
    net.add("two", Add(), a, a)
    net.add("five", Concatenate(), "two", a, "two", "input")
    net.allocate(0, np.float64)
    x = numbers(1, 3, 3, 2)
    net.forward(x, keep=True)
    dy = numbers(1, 3, 3, 8, seed=1)
    dx = net.backward(dy, needs_input_grad=True)
    p, q, r, s = (dy[..., i : i + 2] for i in range(0, 8, 2))
    assert_close(dx, 2 * p + q + 2 * r + s)
    np.testing.assert_array_equal(dy, numbers(1, 3, 3, 8, seed=1))


def test_backward_of_the_whole_hourglass_by_directional_differences():
    net = hourglass(batch_norm=False).allocate(1, np.float64).train()
    x, dy = distinct(2, 4, 6, 3), numbers(2, 4, 6, 2, seed=2)
    net.forward(x)
    dx = net.backward(dy, needs_input_grad=True)
    step = 1e-6 * numbers(*x.shape, seed=3)
    change = ((net.forward(x + step) - net.forward(x - step)) * dy).sum() / 2
    assert change == pytest.approx((dx * step).sum(), rel=1e-6)


def test_gradients_add_up_until_they_are_zeroed():
    net = hourglass().allocate(0, np.float64).train()
    x, dy = numbers(2, 4, 4, 3), numbers(2, 4, 4, 2, seed=1)
    net.forward(x)
    net.backward(dy)
    once = net.flat().grads.copy()
    assert once.any()
    net.forward(x)
    net.backward(dy)
    assert_close(net.flat().grads, 2 * once)
    net.zero_grad()
    assert not net.flat().grads.any()


class Scaled(Layer):
    """Multiplies by a number, and adds to its gradient by hand."""

    def __init__(self):
        super().__init__()
        self.parameters["by"] = Parameter((1,), "scale", constant(3))

    def forward(self, x):
        self.save_for_backward(x)
        return x * self.parameters["by"].value

    def backward(self, dy):
        self.parameters["by"].grad[...] += (dy * self.take_saved()[0]).sum()
        return dy * self.parameters["by"].value

    def output_shape(self, x):
        return x


def test_gradients_take_the_place_of_others_where_they_are_not_to_be_added():
    """Also those of a bias that batch norm takes off again, which is 0, and of a layer that knows only how to add."""
    net = hourglass()
    net.add("scaled", Scaled())
    net.allocate(0, np.float64).train()
    x, dy = numbers(2, 4, 4, 3), numbers(2, 4, 4, 2, seed=1)
    net.forward(x)
    net.backward(dy)
    once = net.flat().grads.copy()
    assert net.parameters()["scaled.by"].grad != 0
    for add, expected in ((False, once), (True, 2 * once), (False, once)):
        if not add:
            net.flat().grads[...] = 7
        net.forward(x)
        net.backward(dy, add=add)
        assert_close(net.flat().grads, expected)


def test_a_refused_gradient_leaves_those_that_are_there():
    net = hourglass().allocate(0, np.float64).train()
    net.forward(numbers(2, 4, 4, 3))
    net.flat().grads[...] = 5
    with pytest.raises(ValueError, match="must have the shape"):
        net.backward(numbers(2, 4, 5, 2), add=False)
    assert all((p.grad == 5).all() for p in net.parameters().values())


def test_dx_is_computed_only_when_it_is_wanted():
    net = hourglass().allocate(0, np.float64).train()
    first = net.steps[0].layer
    x, dy = numbers(1, 4, 4, 3), numbers(1, 4, 4, 2)
    net.forward(x)
    assert net.backward(dy) is None
    assert not first.needs_input_grad
    without = net.flat().grads.copy()
    net.zero_grad()
    net.forward(x)
    assert net.backward(dy, needs_input_grad=True).shape == x.shape
    assert first.needs_input_grad
    np.testing.assert_array_equal(net.flat().grads, without)


def test_layers_before_the_first_parameter_are_not_run_backwards():
    net = Network(1)
    net.add("pool", MaxPool2d(2))
    net.add("relu", ReLU())
    net.add("conv", Conv2d(1, 1, 1))
    net.allocate(0, np.float64).train().forward(distinct(1, 4, 4, 1))
    net.steps[1].layer.backward = None  # would fail if it were called
    assert net.backward(np.ones((1, 2, 2, 1))) is None
    assert net.parameters()["conv.weight"].grad.any()
    assert all(step.layer.saved is None for step in net.steps)  # memory is given back all the same


def test_a_value_that_lends_only_its_size_gets_no_gradient():
    net = Network(1)
    net.add("pad", Pad(2))
    net.add("crop", Crop((1, 0)), "pad", "input")
    net.allocate(0, np.float64)
    net.forward(numbers(1, 3, 3, 1), keep=True)
    dx = net.backward(np.ones((1, 3, 3, 1)), needs_input_grad=True)
    assert dx[0, :, :, 0].tolist() == [[1, 0, 0], [1, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("before", ["nothing", "eval", "backward"])
def test_backward_needs_a_forward_that_kept(before):
    net = hourglass().allocate(0, np.float64).train()
    x, dy = numbers(1, 4, 4, 3), numbers(1, 4, 4, 2)
    if before == "eval":
        net.eval().forward(x)
    if before == "backward":
        net.forward(x)
        net.backward(dy)
    with pytest.raises(RuntimeError, match=r"Conv2d\.backward was called without a forward before it"):
        net.backward(dy)


def test_a_training_pass_frees_what_it_kept():
    net = hourglass().allocate(0, np.float64).train()
    net.forward(numbers(1, 4, 4, 3))
    net.backward(numbers(1, 4, 4, 2))
    assert all(step.layer.saved is None for step in net.steps)


def test_reseed_reaches_every_dropout():
    net = Network(1)
    net.add("drop", Dropout(0.5))
    net.allocate(0, np.float64).train()
    x = np.ones((1, 9, 9, 1))
    net.reseed(5)
    first = net.forward(x)
    net.reseed(5)
    np.testing.assert_array_equal(net.forward(x), first)


# Shapes ---------------------------------------------------------------------------------------------------------------


def test_shapes_are_those_of_a_real_pass():
    net = hourglass().allocate()
    x = np.zeros((2, 6, 8, 3), np.float32)
    told = net.shapes((6, 8), n=2)
    assert told["input"] == x.shape
    assert {name: value.shape for name, value in net.walk(x)} == {step.name: told[step.name] for step in net.steps}


def test_errors_of_shapes_name_the_step():
    net = Network(3)
    net.add("conv1", Conv2d(3, 4, 3, padding=1))
    net.add("conv2", Conv2d(8, 4, 3, padding=1))
    with pytest.raises(ValueError, match="step 'conv2': conv 3×3, 4: the input has 4 channels, expected 8"):
        net.shapes((8, 8))
    small = Network(3)
    small.add("fc6", Conv2d(3, 4, 7))
    with pytest.raises(ValueError, match="step 'fc6': a window of 7 does not fit into a map of 4"):
        small.shapes((4, 4))


def test_switches_stand_for_the_size_that_they_restore():
    net = Network(2)
    net.add("pool", MaxPool2d(2, ceil_mode=True))
    net.add("unpool", MaxUnpool2d(), "pool", "pool.switches")
    shapes = net.shapes((45, 30))
    assert shapes["pool"] == (1, 23, 15, 2)
    assert shapes["pool.switches"] == shapes["unpool"] == (1, 45, 30, 2)


def test_backward_refuses_a_gradient_of_another_shape():
    net = Network(3)
    net.add("score", Conv2d(3, 2, 1))
    y = net.allocate().train().forward(np.zeros((2, 4, 4, 3), np.float32))
    with pytest.raises(ValueError, match=r"\(1, 4, 4, 2\)"):
        net.backward(y[:1])
