"""Values that a setting must refuse, by the kind of setting."""

import math

import numpy as np

NO_NUMBERS = ["3", None, [], {}, 1j, np.array([1, 2]), object()]
NOT_FINITE = [math.nan, math.inf, -math.inf, np.float32("nan")]
NO_INTEGERS = [*NO_NUMBERS, *NOT_FINITE, True, np.bool_(True), 1.0, 1.5, np.float32(1)]


def pair(minimum):
    return [minimum - 1, -5, np.int64(-2), (1, 2, 3), (1, minimum - 1), (1, 1.5), [2], *NO_INTEGERS]


def integer(minimum):
    return [minimum - 1, -5, np.int64(-2), (1, 1), *NO_INTEGERS]


def real(*outside):
    return [*outside, *NO_NUMBERS, *NOT_FINITE, True, (0.5,)]


FLAG = [None, 2, 0.5, "yes", [], math.nan]
NAME = [None, "", "Constant", 3, "triangular", ["step"]]
