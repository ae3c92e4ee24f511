"""The matrices of Winograd's forms: exact sliding sums, and those that Lavin and Gray published."""

import numpy as np
import pytest

from scratchnet.engine.cpu import winograd_points
from scratchnet.engine.cpu.winograd_points import POINTS, matrices

FORMS = [(m, r) for m in range(1, 7) for r in range(1, 6) if m + r - 1 in POINTS]


@pytest.mark.parametrize(("m", "r"), FORMS)
def test_they_compute_the_sliding_sum(m, r):
    constants = matrices(m, r, np.zeros(1))
    assert (constants.tile, constants.taps, constants.patch) == (m, r, m + r - 1)
    rng = np.random.default_rng(0)
    d, g = rng.standard_normal(m + r - 1), rng.standard_normal(r)
    y = constants.output @ ((constants.kernel @ g) * (constants.input @ d))
    np.testing.assert_allclose(y, np.correlate(d, g), rtol=0, atol=1e-13)


def test_the_usual_points_give_the_matrices_of_the_paper(monkeypatch):
    monkeypatch.setitem(POINTS, 6, (0, 1, -1, 2, -2))
    constants = winograd_points._in_dtype.__wrapped__(4, 3, "<f4")
    assert constants.input[0].tolist() == [4, 0, -5, 0, 1, 0]
    assert constants.input[5].tolist() == [0, 4, 0, -5, 0, 1]
    assert (24 * constants.kernel).round(5).tolist() == [
        [6, 0, 0],
        [-4, -4, -4],
        [-4, 4, -4],
        [1, 2, 4],
        [1, -2, 4],
        [0, 0, 24],
    ]
    assert constants.output[3].tolist() == [0, 1, -1, 8, -8, 1]
    assert constants.input.dtype == np.float32


@pytest.mark.parametrize("a", POINTS)
def test_the_bias_reaches_a_whole_tile_from_the_point_1(a):
    assert POINTS[a][1] == 1
    assert len(set(POINTS[a])) == a - 1
