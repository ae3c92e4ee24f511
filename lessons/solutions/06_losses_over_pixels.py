"""Solutions to the exercises of lesson 6. Run it: it checks itself."""

import numpy as np

from scratchnet.gradcheck import check_gradients, from_functions
from scratchnet.ops.activation import sigmoid, softmax

rng = np.random.default_rng(0)

# %%
# 1. −log p = 0.105, so p = e^−0.105 = 0.90.
assert round(float(np.exp(-0.105)), 2) == 0.90

# %%
# 2. The softmax gives eᶻ / (e⁰ + eᶻ); divide numerator and denominator by eᶻ. Only the difference of the two logits
#    matters, so one of them can be fixed at 0.
z = rng.standard_normal(5)
both = np.stack([np.zeros(5), z], axis=-1)
assert np.allclose(softmax(both)[:, 1], sigmoid(z))

# %%
# 3. Adding the same number to all logits does not change the loss, so the slope along (1, 1, …, 1) is 0, and that slope
#    is the sum. Another reason: the probabilities add up to 1, and so does the truth.
p, truth = softmax(rng.standard_normal(4)), np.array([0, 1, 0, 0])
assert np.isclose((p - truth).sum(), 0)


# %%
# 4. With I = Σ p·t and S = Σ p + Σ t, the quotient rule gives −(2·t·S − 2·I) / S² for 1 − D.
def dice_loss(p: np.ndarray) -> np.ndarray:
    """Return 1 − D as an array with one element."""
    return np.array([1 - 2 * (p * t).sum() / (p.sum() + t.sum())])


def dice_backward(dy: np.ndarray, p: np.ndarray) -> dict[str, np.ndarray]:
    """Return the slope with respect to each p, times the upstream gradient."""
    total = p.sum() + t.sum()
    return {"p": dy[0] * -(2 * t * total - 2 * (p * t).sum()) / total**2}


t = np.array([0.0, 1, 1, 0, 0])
assert check_gradients("Dice", from_functions({"p": rng.random(5)}, dice_loss, dice_backward)).ok
print("all solutions hold")
