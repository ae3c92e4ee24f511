"""Solutions to the exercises of lesson 2. Run it: it checks itself."""

import numpy as np

from scratchnet.gradcheck import check_gradients, from_functions

# %%
# 1. (2.1³ − 1.9³) / 0.2 = (9.261 − 6.859) / 0.2 = 12.01, where 12 is right: off by ε². Expand (w + ε)³ − (w − ε)³:
#    it is 6·w²·ε + 2·ε³, and dividing by 2·ε gives 3·w² + ε².
measured = (2.1**3 - 1.9**3) / 0.2
assert np.isclose(measured, 12.01)
assert np.isclose(measured - 12, 0.1**2)

# %%
# 2. Two forward passes for each of 738,977 parameters take more than four hours.
assert round(2 * 738_977 * 0.010 / 3600, 1) == 4.1

# %%
# 3. Each element acts at its own position, with slope s, and through the sum at every position, with slope x there.
rng = np.random.default_rng(0)


def scale_by_sum_backward(dy: np.ndarray, x: np.ndarray) -> dict[str, np.ndarray]:
    """Return dx of y = x · Σx."""
    return {"x": dy * x.sum() + (dy * x).sum()}


problem = from_functions({"x": rng.standard_normal(6)}, lambda x: x * x.sum(), scale_by_sum_backward)
assert check_gradients("x times its sum", problem).ok

# %%
# 4. Slopes go back to where their values came from. Ones are the same in any order, so the check would not notice.


def sort_backward(dy: np.ndarray, x: np.ndarray) -> dict[str, np.ndarray]:
    """Restore the original order."""
    dx = np.empty_like(dy)
    dx[np.argsort(x)] = dy
    return {"x": dx}


x = rng.standard_normal(6)
problem = from_functions({"x": x}, lambda **arrays: np.sort(arrays["x"]), sort_backward)
assert check_gradients("sort", problem).ok
problem.backward = lambda dy: {"x": dy}
assert not check_gradients("sort", problem).ok
ones = np.ones(6)
assert (sort_backward(ones, x)["x"] == ones).all()
print("all solutions hold")
