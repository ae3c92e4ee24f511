"""Lesson 22: the figures of its text are those of its code."""

import sys

import numpy as np

from scratchnet.engine import dispatch
from tests.standin.kernels import find_no_kernel
from tests.standin.module import cupy as standin


def test_every_pixel_is_read_by_one_thread(lesson):
    twenty_two = lesson(22)
    owner = twenty_two.values["owner"]
    assert owner.shape == (4, 4)
    for number in range(4):
        rows, columns = np.nonzero(owner == number)
        assert (len(rows), np.ptp(rows), np.ptp(columns)) == (4, 1, 1)  # a window of 2×2
    twenty_two.says("{} threads were started and {} had work", twenty_two.values["started"], twenty_two.values["busy"])


def test_the_kernel_is_the_package_s(lesson):
    kernel = "\n".join(lesson(22).values["kernel"])
    assert "void max_pool(" in kernel
    for named in ("if (row >= rows) return", "value > best", "row", "i ="):
        assert named in kernel


def test_additions_side_by_side_get_lost(lesson):
    twenty_two = lesson(22)
    twenty_two.says("gives {}, in step gives {}", twenty_two.values["in_turn"], twenty_two.values["in_step"])
    assert len(twenty_two.values["outcomes"]) > 1
    assert twenty_two.values["gathered"].max() == 4
    assert twenty_two.values["gathered"].sum() == 4


def test_the_text_says_what_moving_costs(lesson):
    twenty_two = lesson(22)
    values = twenty_two.values
    twenty_two.says("does {:.0f} operations in the time of one byte", values["balance"])
    twenty_two.says("{:.0f} times as much as the ReLU and takes {:.1f} times", values["ratio"], values["longer"])
    twenty_two.says("{:.1f} µs are more than the computing", values["times"]["the same by im2col"])
    numbers = [values["work"][name][1] for name in ("the same by im2col", "conv 3×3, 64 → 64")]
    assert round(numbers[0] / numbers[1]) == 10  # "ten times as many numbers"
    twenty_two.says("as much as {:.0f} ReLUs", values["crossing"])


def test_the_text_says_what_fewer_bits_cost(lesson):
    twenty_two = lesson(22)
    errors = twenty_two.values["errors"]
    twenty_two.says("TF32 is off by {:.2f} %, bfloat16 by {:.2f} %", 100 * errors["TF32"], 100 * errors["bfloat16"])
    assert errors["float32"] < errors["TF32"] / 100
    twenty_two.says("It stops at {:.0f}", twenty_two.values["count"][0])


def test_rounding_keeps_what_fits(lesson):
    rounded = lesson(22).values["rounded"]
    exact = np.array([1, -1.5, 255, 0.0078125, 0], np.float32)
    assert (rounded(exact, 8) == exact).all()
    assert rounded(np.float32([257]), 8)[0] == 256  # a tie goes to the even one
    assert rounded(np.float32([259]), 8)[0] == 260
    values = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    assert (np.abs(rounded(values, 11) - values) <= np.abs(values) * 2**-11).all()


def test_the_text_says_what_waiting_costs(lesson):
    twenty_two = lesson(22)
    twenty_two.says("{} µs against {}", twenty_two.values["done"], twenty_two.values["waiting"])


def test_the_pass_on_another_device_gives_the_same(lesson, monkeypatch):
    values = lesson(22).values
    monkeypatch.setitem(sys.modules, "cupy", standin)
    monkeypatch.setattr(dispatch, "find_fast_form", find_no_kernel)
    loss, gradients = values["gradients_on"](standin)
    assert abs(loss - values["on_cpu"][0]) < 1e-4
    assert np.abs(gradients - values["on_cpu"][1]).max() < 1e-3 * np.abs(values["on_cpu"][1]).max()


def test_the_first_of_equals_wins_in_a_thread_too(lesson):
    maxima, switches, *_ = lesson(22).values["launch"](np.zeros((1, 4, 4, 3)), 2, np.random.default_rng(0))
    assert (maxima == 0).all()
    assert (switches == 0).all()


def test_the_c_that_is_explained_is_the_c_that_is_shown(lesson):
    twenty_two = lesson(22)
    kernel = "\n".join(twenty_two.values["kernel"])
    names = ("int", "REAL", "Switch", "const", "(long long)", "__restrict__", "r++", "//", "%", "||", "-1 / REAL(0)")
    names += ("value != value", "__global__ void", 'extern "C"', "blockIdx", "threadIdx", "blockDim", "gridDim")
    for name in names:
        assert name in kernel
        twenty_two.says("``{}``", name)
