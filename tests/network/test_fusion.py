"""Fused steps give the results of single ones, and no step is fused whose value another step uses."""

from dataclasses import FrozenInstanceError, fields, replace

import numpy as np
import pytest

from scratchnet.engine.modes import textbook
from scratchnet.layers import (
    BatchNorm2d,
    BedOfNails,
    Concatenate,
    Conv2d,
    ConvTranspose2d,
    Crop,
    Dropout,
    MaxPool2d,
    MaxUnpool2d,
    ReLU,
    UpsampleNearest,
)
from scratchnet.layers.step_plan import StepPlan
from scratchnet.network import Network, fusion
from scratchnet.network.fusion import FusionPlan
from scratchnet.ops.convolution import conv2d, conv2d_backward
from scratchnet.ops.pooling import max_pool2d, max_pool2d_backward, max_unpool2d_backward
from scratchnet.ops.transposed import conv_transpose2d, conv_transpose2d_backward
from tests.compare import assert_close, numbers


def chain(*layers, taken=(), training=True, dtype=np.float64):
    """Steps one after the other; the values ``taken`` are taken once more, at the end."""
    net = Network(3)
    for i, layer in enumerate(layers):
        net.add(f"s{i}", layer)
    if taken:
        net.add("join", Concatenate(), *taken, f"s{len(layers) - 1}")
    net.allocate(0, dtype)
    net.flat().values[...] += numbers(net.parameter_count(), dtype=dtype) * 0.1
    return net.train(training)


def step_of(net, x, dy):
    """Output, gradients and statistics of a training step."""
    net.zero_grad()
    y = net.forward(x, keep=True)
    kept = y.copy()
    dx = net.backward(dy.copy(), needs_input_grad=True)
    np.testing.assert_array_equal(y, kept)  # the backward pass leaves the output alone
    return [kept, dx, net.flat().grads.copy(), *(b.value.copy() for b in net.state().values())]


def conv(c=3, c_out=4):
    return Conv2d(c, c_out, 3, padding=1)


def unpooled(c=4):
    """Batch norm and ReLU on both sides of a pool and an unpool."""
    net = chain(conv(3, c), BatchNorm2d(c), ReLU(), MaxPool2d(2), conv(c, c), BatchNorm2d(c), ReLU())
    net.add("unpool", MaxUnpool2d(), "s6", "s3.switches")
    net.add("last", conv(c))
    net.allocate(0, np.float64)
    net.flat().values[...] += numbers(net.parameter_count()) * 0.1
    return net.train()


def frozen_upsampling():
    """The weight of the second convolution is frozen, its bias learns."""
    net = chain(conv(), UpsampleNearest(2), conv(4), UpsampleNearest(2), ConvTranspose2d(4, 4, 3))
    for name in ("s2.weight", "s4.weight"):
        net.parameters()[name].frozen = True
    return net


JOINED = {
    "batch norm and ReLU": lambda: chain(conv(), BatchNorm2d(4), ReLU()),
    "frozen batch norm and ReLU": lambda: chain(conv(), BatchNorm2d(4), ReLU()).freeze_batch_norm(),
    "batch norm outside training": lambda: chain(conv(), BatchNorm2d(4), ReLU(), training=False),
    "convolution and ReLU": lambda: chain(conv(), ReLU(), conv(4)),
    "deconvolution and ReLU": lambda: chain(ConvTranspose2d(3, 4, 4, 2, 1), ReLU()),
    "cropped deconvolution": lambda: chain(ConvTranspose2d(3, 4, 3, 2, 1), ReLU()),
    "first step": lambda: chain(BatchNorm2d(3), ReLU(), conv()),
    "two in a row": lambda: chain(conv(), ReLU(), ReLU(), BatchNorm2d(4), ReLU(), ReLU()),
    "pool behind": lambda: chain(conv(), BatchNorm2d(4), ReLU(), MaxPool2d(2), conv(4), ReLU(), MaxPool2d(2)),
    "dropout behind": lambda: chain(conv(), ReLU(), Dropout(0.5), conv(4), BatchNorm2d(4), ReLU(), Dropout(0.5)),
    "taken behind the ReLU": lambda: chain(conv(), BatchNorm2d(4), ReLU(), conv(4), ReLU(), taken=("s2", "s4")),
    "taken before the ReLU": lambda: chain(conv(), BatchNorm2d(4), ReLU(), conv(4), ReLU(), taken=("s1", "s3")),
    "wide layers": lambda: chain(
        conv(3, 64), BatchNorm2d(64), ReLU(), conv(64, 64), BatchNorm2d(64), ReLU(), ConvTranspose2d(64, 4, 3)
    ),
    "wide layers, frozen": lambda: chain(
        conv(3, 64), BatchNorm2d(64), ReLU(), conv(64, 64), BatchNorm2d(64), ReLU(), conv(64)
    ).freeze_batch_norm(),
    "overlapping windows behind": lambda: chain(conv(), BatchNorm2d(4), ReLU(), MaxPool2d(3, 2, 1), BatchNorm2d(4)),
    "pool taken twice": lambda: chain(conv(), BatchNorm2d(4), ReLU(), MaxPool2d(1), conv(4), taken=("s3",)),
    "unpool behind": unpooled,
    "wide unpool behind": lambda: unpooled(64),
    "upsampling and convolution": lambda: chain(conv(), UpsampleNearest(2), conv(4), BatchNorm2d(4), ReLU()),
    "upsampling and deconvolution": lambda: chain(
        conv(), BatchNorm2d(4), ReLU(), UpsampleNearest(2), ConvTranspose2d(4, 5, 3, padding=1), ReLU()
    ),
    "upsampling and convolution without padding": lambda: chain(conv(), UpsampleNearest(2), Conv2d(4, 5, 3), ReLU()),
    "upsampled and frozen": frozen_upsampling,
    "upsampled input": lambda: chain(UpsampleNearest(2), conv(), ReLU()),
    "upsampled map taken twice": lambda: chain(conv(), UpsampleNearest(2), conv(4), taken=("s1",)),
    "upsampling by 3": lambda: chain(conv(), UpsampleNearest(3), conv(4)),
    "nails and convolution": lambda: chain(conv(), BedOfNails(2), conv(4)),
    "input behind the ReLU": lambda: chain(ReLU(), conv(), ReLU(), taken=("input",)),
}


@pytest.mark.parametrize("case", JOINED)
def test_joined_steps_give_the_numbers_of_single_ones(case):
    """The plain way, and the walk, join nothing."""
    net, plain = JOINED[case](), JOINED[case]()
    x = numbers(2, 6, 8, 3)
    given = x.copy()
    shape = net.shapes((6, 8), 2)[net.steps[-1].name]
    dy = numbers(*shape, seed=1)
    for seed in range(2):
        net.reseed(seed)
        plain.reseed(seed)
        with textbook():
            expected = step_of(plain, x, dy)
        for a, b in zip(step_of(net, x, dy), expected, strict=True):
            assert_close(a, b)
    np.testing.assert_array_equal(x, given)
    net.reseed(7)
    plain.reseed(7)
    assert_close(net.forward(x), [value for _, value in plain.walk(x)][-1])
    net.eval()
    plain.eval()
    assert_close(net.forward(x), [value for _, value in plain.walk(x)][-1])
    np.testing.assert_array_equal(x, given)


def options(net, recompute_inputs=True, **settings):
    """The plan as {option: names of the steps that have it}."""
    plan, found = fusion.plan(net.steps, recompute_inputs, **settings), {}
    for number, step in enumerate(net.steps):
        for field in fields(StepPlan):
            if getattr(plan[number], field.name) not in (False, None):
                found.setdefault(field.name, []).append(step.name)
    return found


def fused_relus(net):
    """The names of the steps that compute a ReLU too or work in place, and of those that are skipped."""
    found = options(net)
    return sorted(found.get("fuse_relu", []) + found.get("in_place", [])), found.get("skip", [])


def plan_in_use(net, x):
    """The plan of a forward pass."""
    net.forward(x, keep=True)
    return net._last._fusion


def test_which_relus_are_fused():
    assert fused_relus(chain(conv(), BatchNorm2d(4), ReLU())) == (["s1"], ["s2"])
    assert fused_relus(chain(conv(), ReLU())) == (["s1"], [])  # overwrites its input
    assert fused_relus(chain(ConvTranspose2d(3, 4, 3), ReLU())) == (["s1"], [])
    assert fused_relus(chain(ReLU(), conv())) == ([], [])  # the input is the caller's
    assert fused_relus(chain(conv(), MaxPool2d(2), ReLU())) == ([], [])
    assert fused_relus(chain(conv(), ReLU(), ReLU())) == (["s1"], [])


def test_textbook_mode_fuses_nothing():
    net, x = chain(conv(), BatchNorm2d(4), ReLU(), conv(4), ReLU()), numbers(1, 4, 4, 3)
    with textbook():
        assert plan_in_use(net, x) == FusionPlan()
    assert plan_in_use(net, x) == fusion.plan(net.steps, recompute_inputs=True) != FusionPlan()


def test_a_plan_is_a_value():
    """Equal networks have equal plans; planning and running change no attribute of a layer."""
    net = chain(conv(3, 64), BatchNorm2d(64), ReLU(), conv(64), ReLU(), MaxPool2d(2))
    before = [set(vars(step.layer)) for step in net.steps]
    plan = fusion.plan(net.steps, recompute_inputs=True)
    assert plan == fusion.plan(chain(conv(3, 64), BatchNorm2d(64), ReLU(), conv(64), ReLU(), MaxPool2d(2)).steps, True)
    assert hash(plan) == hash(replace(plan))
    net.forward(numbers(1, 4, 4, 3))
    assert [set(vars(step.layer)) for step in net.steps] == before
    with pytest.raises(FrozenInstanceError):
        plan[0].skip = True


def test_the_options_of_every_step():
    wide = [conv(3, 64), BatchNorm2d(64), ReLU(), conv(64, 4), BatchNorm2d(4), ReLU(), MaxPool2d(2), BatchNorm2d(4)]
    assert options(chain(*wide)) == {
        "overwrite_input": ["s1", "s4"],  # not that of s7, which the pool saves
        "skip_bias_gradient": ["s0", "s3"],
        "fuse_relu": ["s1", "s4"],
        "skip": ["s2", "s5"],
        "overwrite_gradient": ["s1", "s4"],  # not that of s7, which is the caller's
        "leave_mask_to_pool": ["s4"],
        "apply_relu_mask": ["s6"],
        "recompute_output": ["s1"],
        "input_from": ["s3"],
        "output_unsaved": ["s1", "s4"],
    }
    assert fusion.plan(chain(*wide).steps, True)[3].input_from == 1
    assert "recompute_output" not in options(chain(*wide), recompute_inputs=False)
    assert "skip_bias_gradient" not in options(chain(*wide).freeze_batch_norm())
    assert "skip_bias_gradient" not in options(chain(*wide, training=False))
    assert options(chain(conv(), BatchNorm2d(4), ReLU(), conv(4))) == {
        "overwrite_input": ["s1"],
        "skip_bias_gradient": ["s0"],
        "fuse_relu": ["s1"],
        "skip": ["s2"],
        "overwrite_gradient": ["s1"],
    }
    assert options(chain(conv(), ReLU(), MaxPool2d(2))) == {
        "in_place": ["s1"],
        "output_unsaved": ["s0", "s1"],
        "leave_mask_to_pool": ["s1"],
        "apply_relu_mask": ["s2"],
    }


def test_what_a_convolution_computes_outside_training():
    layers = [conv(), BatchNorm2d(4), ReLU(), conv(4), ReLU(), ConvTranspose2d(4, 4, 3), BatchNorm2d(4), MaxPool2d(2)]
    net = chain(*layers, training=False)
    expected = {"normalized_by": ["s0", "s5"], "fuse_relu": ["s0", "s3"], "skip": ["s1", "s2", "s4", "s6"]}
    assert options(net, recompute_inputs=False, for_backward=False) == expected
    assert fusion.plan(net.steps, recompute_inputs=False, for_backward=False)[5].normalized_by == 6
    for settings in ({}, {"for_backward": False, "on_gpu": True}):
        assert "normalized_by" not in options(net, recompute_inputs=False, **settings)
    for train in (net.train, lambda: net.eval().use_statistics("batch")):  # statistics that are not known yet
        train()
        found = options(net, recompute_inputs=False, for_backward=False)
        assert "normalized_by" not in found
        assert found["fuse_relu"] == ["s1", "s3"]


def test_a_value_that_another_step_uses_is_not_computed_by_the_convolution():
    def found(taken):
        net = chain(conv(), BatchNorm2d(4), ReLU(), conv(4), taken=(taken,), training=False)
        return options(net, recompute_inputs=False, for_backward=False)

    assert found("s0") == {"fuse_relu": ["s1"], "skip": ["s2"], "overwrite_gradient": ["s1"]}
    assert found("s1") == {"normalized_by": ["s0"], "skip": ["s1"]}
    assert found("s2") == {"normalized_by": ["s0"], "fuse_relu": ["s0"], "skip": ["s1", "s2"]}


def test_which_upsampling_a_convolution_computes():
    assert options(chain(conv(), UpsampleNearest(2), conv(4))) == {"skip": ["s1"], "upsamples": ["s2"]}
    assert options(chain(conv(), UpsampleNearest(2), conv(4)), on_gpu=True) == {}
    assert options(chain(conv(), UpsampleNearest(2), Conv2d(4, 4, 3, padding=2)))["upsamples"] == ["s2"]
    for up, after in (
        (UpsampleNearest(3), conv(4)),
        (UpsampleNearest((2, 1)), conv(4)),
        (BedOfNails(2), conv(4)),
        (UpsampleNearest(2), Conv2d(4, 4, 3, padding=3)),  # no transposed convolution has a negative padding
        (UpsampleNearest(2), Conv2d(4, 4, 3, stride=2)),
        (UpsampleNearest(2), Conv2d(4, 4, 3, dilation=2)),
        (UpsampleNearest(2), Conv2d(4, 4, 3, groups=2)),
        (UpsampleNearest(2), Conv2d(4, 4, 1)),
        (UpsampleNearest(2), OwnConv(4, 4, 3)),
    ):
        assert "upsamples" not in options(chain(conv(), up, after))
    assert "upsamples" not in options(chain(conv(), UpsampleNearest(2), conv(4), taken=("s1",)))


def test_the_upsampled_map_is_never_in_memory():
    net = chain(conv(), UpsampleNearest(2), conv(4))
    net.forward(numbers(1, 4, 4, 3), keep=True)
    assert net.steps[2].layer.saved[0].shape == (1, 4, 4, 4)
    memory = net.step_memory((4, 4))
    assert memory[1].outputs == ()
    assert memory[2].inputs == ("s0",)


@pytest.mark.parametrize(
    ("taken", "refused"),
    [
        ("s0", {"overwrite_input": "s1", "skip_bias_gradient": "s0"}),
        ("s2", {"recompute_output": "s1", "overwrite_gradient": "s1"}),
    ],
)
def test_no_plan_spoils_a_value_for_other_steps(taken, refused):
    net = chain(conv(3, 64), BatchNorm2d(64), ReLU(), conv(64), taken=(taken,))
    found = options(net)
    for option, step in refused.items():
        assert step not in found.get(option, [])


LAST = {"ReLU": ReLU, "conv": lambda: conv(64), "pool": lambda: MaxPool2d(1), "norm": lambda: BatchNorm2d(64)}


@pytest.mark.parametrize("last", LAST)
@pytest.mark.parametrize("taken", ["conv", "norm", "relu"])
def test_who_takes_a_value_last_is_not_alone_with_it(taken, last):
    """Another layer has taken it before, and keeps it."""

    def build():
        net = Network(3)
        net.add("conv", conv(3, 64))
        net.add("norm", BatchNorm2d(64))
        net.add("relu", ReLU())
        net.add("first", conv(64), taken)
        net.add("last", LAST[last](), taken)
        net.add("both", Concatenate(), "first", "last")
        net.allocate(0, np.float64)
        net.flat().values[...] += numbers(net.parameter_count()) * 0.1
        return net.train()

    x, dy = numbers(2, 6, 8, 3), numbers(*build().shapes((6, 8), 2)["both"], seed=1)
    with textbook():
        expected = step_of(build(), x, dy)
    for a, b in zip(step_of(build(), x, dy), expected, strict=True):
        assert_close(a, b)


class OwnConv(Conv2d):
    """A student's, which keeps what it likes and hands on the gradient that it was given."""

    def forward(self, x):
        self.save_for_backward(x)
        return super().forward(x)

    def backward(self, dy):
        super().backward(dy)
        return dy


def test_a_layer_of_your_own_is_left_alone():
    wide = [conv(3, 64), BatchNorm2d(64), ReLU(), OwnConv(64, 64, 3, padding=1), BatchNorm2d(64), ReLU()]
    found = options(chain(*wide))
    assert found == {
        "overwrite_input": ["s1"],
        "skip_bias_gradient": ["s0"],
        "fuse_relu": ["s1", "s4"],
        "skip": ["s2", "s5"],
    }


def test_an_unpooled_map_is_made_again_for_a_wide_convolution():
    assert options(unpooled(64))["recompute_output"] == ["unpool"]
    assert "recompute_output" not in options(unpooled())


def test_an_output_that_no_consumer_saves():
    """The ReLU's mask is recomputed, so a joined, pooled or unpooled output is dropped if no convolution saves it."""
    layers = [conv(), BatchNorm2d(4), ReLU(), MaxPool2d(1), conv(4), BatchNorm2d(4), ReLU()]
    joined = chain(*layers, taken=("s2",))
    assert options(joined)["output_unsaved"] == ["s1", "s5"]
    assert "output_unsaved" not in options(joined, recompute_inputs=False)  # segments store it
    joined.add("also", conv(4), "s2")
    assert options(joined)["output_unsaved"] == ["s5"]
    assert options(unpooled())["output_unsaved"] == ["s1", "s5"]
    assert options(unpooled(64))["output_unsaved"] == ["s1", "unpool"]  # the unpooling saves that of s5


def test_a_gradient_that_comes_as_it_went_is_not_overwritten():
    """Adding and joining pass their gradient on; somebody else may hold it too."""
    net = chain(conv(), BatchNorm2d(4), Dropout(0.0), training=False)
    assert "overwrite_gradient" not in options(net)


def test_a_bias_in_front_of_batch_norm_has_the_gradient_0():
    net = chain(conv(), BatchNorm2d(4), ReLU(), conv(4))
    *_, grads, _, _ = step_of(net, numbers(2, 6, 8, 3), numbers(2, 6, 8, 4))
    del grads
    assert not net.parameters()["s0.bias"].grad.any()
    assert net.parameters()["s3.bias"].grad.all()


def test_what_is_kept_of_a_wide_layer():
    """Its output is gone after the forward pass, and comes back to the bit."""
    net = chain(conv(3, 64), BatchNorm2d(64), ReLU(), conv(64))
    x = numbers(2, 6, 8, 3)
    net.forward(x, keep=True)
    norm, last = net.steps[1].layer, net.steps[3].layer
    assert last.saved[0] is None
    assert norm.saved[0].y is None
    again = norm.recompute_output()
    assert_close(again, next(value.copy() for name, value in chain_like(net).walk(x) if name == "s2"))


def chain_like(net):
    """A twin with the same numbers."""
    twin = chain(conv(3, 64), BatchNorm2d(64), ReLU(), conv(64))
    twin.flat().values[...] = net.flat().values
    return twin


def test_a_value_that_another_step_takes_is_not_joined():
    layers = [conv(), BatchNorm2d(4), ReLU(), conv(4), ReLU()]
    assert fused_relus(chain(*layers, taken=("s1", "s3"))) == ([], [])
    layers = [conv(), BatchNorm2d(4), ReLU(), conv(4), ReLU()]
    assert fused_relus(chain(*layers, taken=("s2", "s4"))) == (["s1", "s4"], ["s2"])
    net = Network(3)
    net.add("conv", conv())
    net.add("relu", ReLU())
    net.add("crop", Crop(), "relu", "conv")  # takes the size only; the value must be there all the same
    assert fused_relus(net) == ([], [])


def test_a_walk_shows_what_is_before_a_relu():
    net = chain(conv(), BatchNorm2d(4), ReLU(), conv(4), ReLU())
    seen = {name: value.copy() for name, value in net.walk(numbers(2, 6, 8, 3))}
    assert seen["s1"].min() < 0
    assert seen["s3"].min() < 0
    np.testing.assert_array_equal(seen["s2"], np.maximum(seen["s1"], 0))
    np.testing.assert_array_equal(seen["s4"], np.maximum(seen["s3"], 0))


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize(("kernel", "padding", "groups"), [(1, 0, 1), (2, 0, 1), (3, 1, 1), (3, 2, 4), (4, 1, 1)])
def test_what_may_be_written_over_lies_together(kernel, stride, padding, groups):
    """Of a map with gaps, the rows that a pass writes to would be a copy."""
    weight, settings = numbers(kernel, kernel, 4 // groups, 4), {"stride": stride, "padding": padding, "groups": groups}
    x = numbers(2, 7, 8, 4)
    for forward, backward in ((conv2d, conv2d_backward), (conv_transpose2d, conv_transpose2d_backward)):
        y = forward(x, weight, **settings)
        assert y.flags.c_contiguous
        assert backward(y, x, weight, **settings)[0].flags.c_contiguous
    y, switches = max_pool2d(x, kernel, stride)
    assert max_pool2d_backward(y, switches).flags.c_contiguous
    assert max_unpool2d_backward(x, switches).flags.c_contiguous
