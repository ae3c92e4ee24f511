import numpy as np
import pytest

from scratchnet.ops.local_response_norm import local_response_norm, local_response_norm_backward
from tests import naive
from tests.compare import assert_close, numbers


@pytest.mark.parametrize(
    ("channels", "settings"),
    [
        (6, {}),
        (6, {"size": 3, "alpha": 0.8, "beta": 0.75}),
        (4, {"size": 1, "alpha": 2.0, "beta": 0.5}),
        (3, {"size": 5, "alpha": 1.0, "beta": 1.25}),
        (2, {"size": 9, "alpha": 1.0, "beta": 0.75}),
    ],
)
def test_local_response_norm_and_its_gradient_agree_with_loops(channels, settings, dtype):
    x = 2 * numbers(2, 3, 2, channels, dtype=dtype)
    y, scale = local_response_norm(x, **settings)
    slow_y, slow_scale = naive.local_response_norm(x, **settings)
    assert_close(y, slow_y, dtype)
    assert_close(scale, slow_scale, dtype)
    dy = numbers(*x.shape, seed=1, dtype=dtype)
    expected = naive.local_response_norm_backward(dy, x, slow_scale, **settings)
    assert_close(local_response_norm_backward(dy, x, scale, **settings), expected, dtype)


def test_local_response_norm_by_hand():
    """Channels 1, 2, 3, size 3, α = 3, β = 1, k = 1: scales 1 + (1+4), 1 + (1+4+9), 1 + (4+9)."""
    y, scale = local_response_norm(np.array([[[[1.0, 2.0, 3.0]]]]), 3, 3.0, 1.0, 1.0)
    assert scale.ravel().tolist() == [6, 15, 14]
    np.testing.assert_allclose(y.ravel(), [1 / 6, 2 / 15, 3 / 14], rtol=1e-15)
    assert local_response_norm(np.array([[[[1.0, 2.0, 3.0]]]]), 3, 3.0, 1.0, k=5.0)[1].ravel().tolist() == [10, 19, 18]


def test_local_response_norm_wants_an_odd_window():
    with pytest.raises(ValueError, match="size is 4; expected an odd number of channels"):
        local_response_norm(np.zeros((1, 1, 1, 8)), 4)
