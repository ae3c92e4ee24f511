import math

import numpy as np
import pytest

from scratchnet.gradcheck import Problem, Report, check_gradients, from_functions, from_layer, from_network
from scratchnet.gradcheck.checker import Finding, relative_error
from scratchnet.layers import BatchNorm2d, Conv2d, Layer, MaxPool2d, ReLU
from scratchnet.network import Network
from scratchnet.ops.pooling import max_pool2d, max_unpool2d, max_unpool2d_backward
from tests.compare import distinct, numbers


def square(x, gradient=lambda x: 2 * x):
    """y = x², with any gradient."""
    return Problem({"x": x}, lambda: (x**2, []), lambda upstream: {"x": upstream * gradient(x)})


def test_a_right_gradient_passes_and_everything_is_compared():
    report = check_gradients("square", square(numbers(3, 4)), directions=2)
    assert report.ok
    assert (report.checked, report.skipped) == (12 + 2, 0)
    assert report.worst.error < 1e-8


@pytest.mark.parametrize(
    "wrong",
    [
        lambda x: 2 * x + 1e-4,
        lambda x: 2 * x * (1 + 3e-6),
        lambda x: -2 * x,
        lambda x: 0 * x,
        lambda x: np.roll(2 * x, 1),
        lambda x: np.where(np.arange(x.size) == x.size - 1, 0, 2 * x),
    ],
    ids=["off by a constant", "off by a factor", "wrong sign", "zero", "shifted", "one missing"],
)
def test_a_wrong_gradient_fails(wrong):
    report = check_gradients("square", square(numbers(10), wrong))
    assert not report.ok
    assert report.worst.error > 1e-6


def test_the_worst_number_is_named_with_both_values():
    def wrong(x):
        gradient = 2 * x
        gradient[1, 2] = 50
        return gradient

    x = np.ones((2, 3))
    worst = check_gradients("square", square(x, wrong), directions=0).worst
    upstream = worst.analytic / 50
    assert worst.where == "x[1, 2]"
    assert worst.numeric == pytest.approx(2 * upstream, rel=1e-8)
    assert worst.error == pytest.approx(48 / 50, rel=1e-6)


def test_a_direction_catches_what_the_sample_misses():
    x = numbers(2000)

    def wrong(x):
        gradient = 2 * x
        gradient[::2] = 0
        return gradient

    report = check_gradients("square", square(x, wrong), most=0, directions=1)
    assert report.checked == 1
    assert not report.ok
    assert report.worst.where == "x along a direction"


def test_the_arrays_are_put_back():
    x = numbers(3, 4)
    check_gradients("square", square(x))
    np.testing.assert_array_equal(x, numbers(3, 4))


def test_a_random_upstream_gradient_catches_wrong_switches_that_a_sum_accepts():
    """With G = 1 the loss is the sum of the output, which stays the same wherever the values are put."""
    pooled, switches = max_pool2d(distinct(1, 6, 6, 2), 2)
    elsewhere = type(switches)(3 - switches.index, switches.size, switches.kernel, switches.stride, switches.padding)
    x = numbers(*pooled.shape)

    def problem():
        return from_functions(
            {"x": x},
            lambda x: max_unpool2d(x, elsewhere),
            lambda dy, x: {"x": max_unpool2d_backward(dy, switches)},
        )

    everywhere_one = np.ones((1, 6, 6, 2))
    gradient = problem().backward(everywhere_one)["x"]
    for i in np.ndindex(x.shape):
        moved = x.copy()
        moved[i] += 1.0
        difference = max_unpool2d(moved, elsewhere).sum() - max_unpool2d(x, elsewhere).sum()
        assert difference == pytest.approx(gradient[i])  # the sum finds nothing wrong
    assert not check_gradients("unpool", problem()).ok


def test_kinks_are_skipped_and_counted():
    x = np.array([[[[1.0, -1.0, 3e-7, -3.0]]]])
    report = check_gradients("relu", from_layer(ReLU(), x), eps=1e-5, directions=0)
    assert (report.checked, report.skipped) == (3, 1)
    assert report.ok


def test_a_kink_that_a_shorter_step_does_not_cross_is_no_reason_to_skip():
    x = np.array([[[[1.0, -1.0, 2e-6, -3.0]]]])
    report = check_gradients("relu", from_layer(ReLU(), x), eps=1e-5, directions=0)
    assert (report.checked, report.skipped) == (4, 0)
    assert report.ok


def test_a_near_tie_of_a_pool_is_a_kink():
    x = np.array([[1.0, 1.0 + 5e-7], [0.0, -1.0]])[None, :, :, None]
    report = check_gradients("pool", from_layer(MaxPool2d(2), x), eps=1e-5, directions=0)
    assert (report.checked, report.skipped) == (2, 2)
    assert report.ok


def test_kinks_inside_a_network_are_seen():
    net = Network(1)
    net.add("conv", Conv2d(1, 1, 1))
    net.add("relu", ReLU())
    problem = from_network(net, np.array([[[[1.0], [2.0]]]]))
    net.parameters()["conv.weight"].value[...] = 1
    net.parameters()["conv.bias"].value[...] = -1  # the first pixel sits on the kink
    report = check_gradients("net", problem, directions=0)
    assert {f.where.partition("[")[0]: f.skipped for f in report.findings} == {
        "image": 1,
        "conv.weight": 1,
        "conv.bias": 1,
    }


def test_an_array_with_only_skipped_differences_fails():
    report = check_gradients("relu", from_layer(ReLU(), np.zeros((1, 1, 2, 1))))
    assert report.checked == 0
    assert report.skipped == 4
    assert not report.ok


def test_the_worst_finding_says_that_nothing_was_compared():
    """… and does not name an array that agrees, with a small error."""
    net = Network(1)
    net.add("relu", ReLU())
    net.add("conv", Conv2d(1, 1, 1))
    problem = from_network(net, np.zeros((1, 1, 2, 1)))
    report = check_gradients("net", problem)
    assert not report.ok
    assert report.worst.where == "image: nothing was compared, all 20 differences cross a kink"  # 4 at each start
    assert math.isnan(report.worst.error)
    assert str(report) == f"BAD  net: {report.worst.where}"


def test_a_wrong_gradient_comes_before_an_array_with_nothing_compared():
    findings = [Finding("a", math.nan, math.nan, math.nan, 0, 3), Finding("b[1]", 0.5, 1, 2, 9, 0)]
    findings.append(Finding("c", 1e-9, 1, 1, 9, 0))
    report = Report("r", 1e-6, findings)
    assert report.worst.where == "b[1]"
    assert report.failures == findings[:2]


def test_the_starting_point_is_moved_until_there_is_something_to_compare():
    """1 · 2 − 2 sits on the kink of a ReLU; a little beside it there is a slope."""
    net = Network(1)
    net.add("conv", Conv2d(1, 1, 1))
    net.add("relu", ReLU())
    image = np.array([[[[2.0]]]])
    problem = from_network(net, image)
    net.parameters()["conv.weight"].value[...] = 1
    net.parameters()["conv.bias"].value[...] = -2
    report = check_gradients("net", problem)
    assert report.ok, report
    assert all(finding.skipped for finding in report.findings)
    assert image.item() == 2
    assert net.parameters()["conv.bias"].value.item() == -2


@pytest.mark.parametrize("noise", [0, 1e-15])
def test_ties_that_rounding_decides_are_no_kink(noise):
    """The rows of a flat image are equal, but their products may differ in the last bit, as it suits the processor."""
    net = Network(2)
    net.add("conv", Conv2d(2, 3, 1))
    net.add("pool", MaxPool2d(2))
    rng, draw = np.random.default_rng(0), net.steps[0].layer.forward
    net.steps[0].layer.forward = lambda x: (y := draw(x)) + noise * rng.standard_normal(y.shape)
    report = check_gradients("net", from_network(net, np.full((1, 4, 4, 2), 0.7)), tolerance=1e-5)
    found = {finding.where.partition(" ")[0].partition("[")[0]: finding for finding in report.findings}
    assert found["conv.weight"].skipped == found["conv.bias"].skipped == 0
    assert found["conv.weight"].error < 1e-5 > found["conv.bias"].error
    assert found["image"].skipped >= 32  # there a tie is broken, and that is a kink


def test_a_kink_that_the_checker_does_not_know_is_stepped_round():
    x = np.array([1.0, -1.0, 2e-6, -3.0])
    problem = Problem({"x": x}, lambda: (np.abs(x), []), lambda upstream: {"x": upstream * np.sign(x)})
    assert check_gradients("abs", problem, eps=1e-5, directions=0).ok


def test_nothing_to_check_fails():
    report = Report("empty", 1e-6)
    assert not report.ok
    assert "nothing was checked" in report.worst.where
    assert "nothing was checked" in str(report)


def test_nan_gradients_fail():
    report = check_gradients("square", square(numbers(5), lambda x: np.where(np.arange(5) == 2, np.nan, 2 * x)))
    assert not report.ok
    assert math.isnan(report.worst.error)


def test_one_nan_output_fails_even_if_all_later_differences_are_right():
    """A NaN compares as neither smaller nor larger; it must not be replaced by the next, harmless error."""
    x = numbers(6)
    calls = []

    def forward():
        calls.append(1)
        return (np.full(6, np.nan) if len(calls) == 4 else x**2), []

    report = check_gradients("square", Problem({"x": x}, forward, lambda up: {"x": up * 2 * x}))
    assert len(calls) == 1 + 2 * (6 + 2)
    assert not report.ok
    assert math.isnan(report.worst.error)


def test_a_gradient_of_the_wrong_shape_is_an_error():
    x = numbers(3, 4)
    problem = Problem({"x": x}, lambda: (x**2, []), lambda upstream: {"x": upstream.T})
    with pytest.raises(ValueError, match=r"square: the gradient of x has shape \(4, 3\), expected \(3, 4\)"):
        check_gradients("square", problem)


def test_an_array_that_cannot_be_moved_in_place_is_an_error():
    x = numbers(3, 4).T
    with pytest.raises(ValueError, match="square: the array x must be contiguous"):
        check_gradients("square", square(x))


def test_checks_repeat_themselves_and_seeds_differ():
    def run(seed):
        return check_gradients("square", square(numbers(50)), most=10, seed=seed).worst

    assert run(0) == run(0)
    assert run(0) != run(1)


def test_the_sample_is_no_larger_than_asked_for():
    report = check_gradients("square", square(numbers(100)), most=7, directions=3)
    assert report.checked == 10


@pytest.mark.parametrize(
    ("analytic", "numeric", "floor", "expected"),
    [(1.0, 1.0, 0.1, 0), (1.0, 2.0, 0.1, 0.5), (0.0, 1e-11, 1e-3, 1e-8), (0.0, 0.0, 1e-12, 0), (-1.0, 1.0, 0.1, 2)],
)
def test_relative_error(analytic, numeric, floor, expected):
    assert relative_error(analytic, numeric, floor) == pytest.approx(expected)


def test_the_worst_finding_is_the_largest_and_nan_is_larger_than_all():
    findings = [Finding("a", 0.5, 0, 0, 1, 0), Finding("b", math.nan, 0, 0, 1, 0), Finding("c", math.inf, 0, 0, 1, 2)]
    report = Report("r", 1e-6, findings[::2])
    assert report.worst.where == "c"
    assert (report.checked, report.skipped) == (2, 2)
    assert Report("r", 1e-6, findings[:2]).worst.where == "b"


def test_a_layers_parameters_are_moved_off_their_start():
    """A bias of 0 and a scale of 1 would hide a forgotten factor."""
    layer = Conv2d(2, 3, 3, padding=1)
    problem = from_layer(layer, numbers(1, 4, 4, 2))
    assert set(problem.inputs) == {"x0", "weight", "bias"}
    assert np.abs(problem.inputs["bias"]).min() > 0
    assert np.shares_memory(problem.inputs["bias"], layer.parameters["bias"].value)


class Keeps(Layer):
    """Three times its input, whatever it keeps."""

    def __init__(self, *_):
        super().__init__()

    def forward(self, x):
        self.save_for_backward("a word", x.shape, [1])
        return 3 * x

    def backward(self, dy):
        self.take_saved()
        return 3 * dy

    def output_shape(self, x):
        return x


@pytest.mark.parametrize("base", [ReLU, BatchNorm2d, MaxPool2d])
def test_a_subclass_may_keep_what_it_likes(base):
    class Own(base):
        forward, backward, output_shape = Keeps.forward, Keeps.backward, Keeps.output_shape
        forward_again = Keeps.forward

    layer = Own() if base is ReLU else Own(3)
    x = np.random.default_rng(0).standard_normal((2, 4, 5, 3))
    report = check_gradients("own", from_layer(layer, x))
    assert report.ok, report


def test_the_callers_arrays_stay_as_they_are():
    class Squares(Keeps):
        def forward(self, x):
            self.save_for_backward(x.copy())
            x *= x
            return x

        def backward(self, dy):
            (x,) = self.take_saved()
            dy *= 2 * x
            return dy

    x = np.random.default_rng(0).standard_normal((2, 4, 5, 3))
    before = x.copy()
    report = check_gradients("squares", from_layer(Squares(), x))
    assert "changes its input x0 in place" in str(report)
    np.testing.assert_array_equal(x, before)
