"""Solutions to the exercises of lesson 20. Run it: it checks itself."""

import numpy as np


def entropy(p: np.ndarray) -> np.ndarray:
    """Return −Σ p ln p over the last axis; 0 · ln 0 is 0."""
    return -(p * np.log(np.where(p > 0, p, 1))).sum(axis=-1)


# %%
# 1. 0 with probability ¾, and 3 / ¼ = 12 with probability ¼. The mean is 3, the variance E[y²] − 9 = 36 − 9 = 27: for a
#    value x and rate r it is x² · r / (1 − r).
values, probabilities = np.array([0, 12]), np.array([0.75, 0.25])
mean = (values * probabilities).sum()
variance = (values**2 * probabilities).sum() - mean**2
assert (mean, variance) == (3, 27)
assert np.isclose(variance, 3**2 * 0.75 / 0.25)

# %%
# 2. The mean is ⅔ in both cases, so the predictive entropy is the same, 0.637. Certain passes have no entropy of their
#    own: all of it is mutual information, and the variance is ⅔ · ⅓ = 2/9. Equal passes have neither.
certain = np.array([[0, 1], [0, 1], [1, 0]], float)
equal = np.array([[1 / 3, 2 / 3]] * 3)
for passes, information, spread in ((certain, 0.6365, 2 / 9), (equal, 0, 0)):
    total = entropy(passes.mean(axis=0))
    assert np.isclose(total, 0.6365, atol=1e-4)
    assert np.isclose(total - entropy(passes).mean(), information, atol=1e-4)
    assert np.isclose(passes.var(axis=0), spread).all()

# %%
# 3. All scores / T go to 0, and softmax of equal scores is 1/C. Dividing by a positive number does not change the order
#    of the scores, so the largest stays the largest.
scores = np.array([3.0, -1.0, 0.5])
for temperature in (0.1, 1, 10, 1e9):
    powers = np.exp(scores / temperature)
    p = powers / powers.sum()
    assert p.argmax() == 0
assert np.allclose(p, 1 / 3)

# %%
# 4. All pixels are in one bin, with confidence 0.95 and accuracy 0.95: the error is 0. The network has learned nothing
#    but the frequency of the background. Calibration says that probabilities are honest, not that they are useful.
right = np.repeat([1.0, 0.0], [95, 5])
assert np.isclose(abs(right.mean() - 0.95), 0)
print("all solutions hold")
