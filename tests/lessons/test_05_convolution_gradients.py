"""Lesson 5: the figures of its text are those of its code."""

import numpy as np

from tests import naive


def test_the_hand_sized_case(lesson):
    five = lesson(5)
    values = five.values
    x, kernel = (values[name][None, :, :, None] for name in ("x", "kernel"))
    five.says(
        "their convolution is ``{}``", naive.conv2d(x, kernel.reshape(2, 2, 1, 1))[0, :, :, 0].astype(int).tolist()
    )
    five.says("= {}.", values["dkernel"].astype(int).tolist())
    five.says("In the middle they overlap and are added: 4·1 + 1·2 = {:.0f}.", values["dx"][1, 1])
    five.says("the sum of ``dy``, {:.0f}.", values["dbias"])


def test_the_gradients_are_those_of_the_loops(lesson):
    values = lesson(5).values
    assert values["worst"] < 1e-6
    rng = np.random.default_rng(1)
    x, weight, dy = (rng.standard_normal(shape) for shape in ((2, 7, 6, 2), (3, 2, 2, 3), (2, 4, 4, 3)))
    expected = naive.conv2d_backward(dy, x, weight, 2, 1)
    for found, right in zip(values["conv_backward"](dy, x, weight, 2, 1), expected, strict=True):
        assert np.allclose(found, right)


def test_a_kernel_is_learned(lesson):
    five = lesson(5)
    losses = np.array(five.values["losses"])
    five.says("Each step reduces the difference (the root of the mean square) by a third or more")
    assert (np.sqrt(losses[1:] / losses[:-1]) < 2 / 3).all()
    five.says("after {} steps the kernel is right to two decimals", len(losses))
    assert np.abs(five.values["guess"] - five.values["secret"]).max() < 0.005


def test_the_bias_acts_everywhere(lesson):
    five = lesson(5)
    n, oh, ow, _ = five.values["upstream"].shape
    five.says("a factor of {}·{}·{} = {:.0f},", n, oh, ow, five.values["factor"][0])
