r"""
2. Numerical gradients
======================

**The question.** A *network* is a long calculation with many numbers in it that are learned. For each of them it must
know which way to change it, and how much that helps: a slope. The formulas for the slopes were worked out with pencil
and paper. A wrong one does not crash; the network only learns badly. How can one know that a slope is right?

You need NumPy's arrays, and no lesson before.
"""

# %%
# Write your prediction down first
# --------------------------------
# A program predicts 2·w for some question, with a number *w* that it may choose, and the right answer is 10. How bad
# its choice is we measure by the square of the difference, ``L(w) = (2·w − 10)²``. Such a measure is called a
# **loss**: 0 is perfect, more is worse. Now *w* is 3, so the prediction is 6 and the loss 16. Write down, on paper:
#
# 1. the loss for w = 3.1 and for w = 2.9;
# 2. from these two: by how much does the loss change for each unit that *w* grows?
# 3. for measuring this, is a smaller step than 0.1 always better? Which of 10⁻⁵ and 10⁻¹³ would you take?

from collections.abc import Callable

import numpy as np

from scratchnet.lesson import start_lesson

FAST = start_lesson()


def loss(w: float) -> float:
    """Return how bad the choice w is."""
    return (2 * w - 10) ** 2


above, here, below = loss(3.1), loss(3.0), loss(2.9)
print(f"loss at 2.9: {below:.2f}, at 3: {here:.2f}, at 3.1: {above:.2f}")

# %%
# By hand
# -------
# From 2.9 to 3.1 the loss falls from 17.64 to 14.44, by 3.2 on a way of 0.2. That is −16 for each unit: the **slope**
# of the loss at w = 3, or, as one also says, its slope *by* w (its derivative with respect to w). The sign says which
# way is up; here the loss falls when *w* grows. Pencil and paper say the same: the derivative of (2·w − 10)² is
# 4·(2·w − 10), and 4·(−4) = −16.
#
# Going a step to both sides and dividing by the distance between the two ends is a **central difference**. Going to one
# side only, from 3 to 3.1, gives −15.6: the slope changes on the way, and nothing on the other side makes up for it.

central, one_sided = (above - below) / 0.2, (above - here) / 0.1
print(f"central difference {central:.2f}, one-sided {one_sided:.2f}")
assert np.isclose(central, 4 * (2 * 3 - 10))

# %%
# What slopes are for
# -------------------
# Go downhill: change *w* against its slope, a little at a time, and the loss shrinks. This is **gradient descent**,
# and it is how all networks here learn; doing it is called **training**. How long a step is for a slope of 1 we choose;
# that number is the **learning rate**. Five steps with a learning rate of 0.1, and *w* is 5.00 (rounded), the right
# choice:

w, way = 3.0, [3.0]
for _ in range(5):
    w -= 0.1 * 4 * (2 * w - 10)
    way.append(w)
print(" ".join(f"{place:.2f}" for place in way))

# %%
# A network has not one number to choose, but thousands or millions. Each has a slope of its own: how fast the loss
# changes when this one moves and all others stay. All these slopes together, in an array of the same shape as the
# numbers, are the **gradient**.

# %%
# The best step
# -------------
# Smaller steps should be better, because a curve looks straighter the closer one looks. But a computer keeps only so
# many digits of a number: about 16 in ``float64``, about 7 in ``float32``. Two losses that are nearly equal differ only
# in their last digits, and these are the ones that were rounded. So there are two errors. Call the step ε (epsilon):
# the error of the step shrinks with ε, that of the rounding grows as 1/ε. We measure both together, on a function whose
# slope is known: eˣ is its own slope. Errors are given as shares of the right slope, *relative errors*.

steps = 10.0 ** -np.arange(0, 16)


def errors(dtype: type, sides: int) -> np.ndarray:
    """Return the mean relative error of the measured slope of eˣ at 100 places, for every step."""
    x = np.linspace(0.5, 1.5, 100).astype(dtype)
    found = []
    for step in steps.astype(dtype):
        below = np.exp(x - step) if sides == 2 else np.exp(x)
        slope = (np.exp(x + step) - below) / (sides * step)
        found.append(np.mean(np.abs(slope / np.exp(x.astype(np.float64)) - 1)))
    return np.array(found)


curves = {(dtype.__name__, sides): errors(dtype, sides) for dtype in (np.float64, np.float32) for sides in (2, 1)}
for (name, sides), error in curves.items():
    best = error.argmin()
    print(
        f"{name}, {'central' if sides == 2 else 'one-sided':9s}: best step {steps[best]:.0e}, error {error[best]:.0e}"
    )
    assert 0 < best < len(steps) - 1

# %%
# The answer to the third question: with central differences in ``float64`` the best step is near 10⁻⁵, and the slope
# is then right to ten digits. With 10⁻¹³ it is right to three. In ``float32`` the best step is near 10⁻², and no step
# gives more than five digits. So gradients are checked in ``float64``, with central differences, at ε = 10⁻⁵.
#
# The figure worth keeping: coming from the right, the error of the step falls along a straight line. For the central
# difference a tenth of the step means a hundredth of the error, for the one-sided a tenth. On the left the error of
# rounding rises, up to 1: a step below the last digit of x changes nothing, and the slope comes out as 0.

from scratchnet.viewing import ROLES, keep, panels

figure, (axes,) = panels(7.2, 4.2)
looks = {2: (ROLES["gradient"], 2.2), 1: (ROLES["image"], 1.4)}
for (name, sides), error in curves.items():
    colour, width = looks[sides]
    label = f"{name}, {'central' if sides == 2 else 'one-sided'}"
    style = "-" if name == "float64" else "--"
    axes.loglog(steps, error, style, color=colour, linewidth=width, marker="o", markersize=3, label=label)
axes.set_xlabel("step ε")
axes.set_ylabel("relative error of the measured slope")
axes.set_ylim(1e-12, 10)
axes.legend(frameon=False, fontsize=9)
keep(figure, "02-numerical-gradients")

# %%
# A part of a network
# -------------------
# The calculation of a network is many operations one after the other. Each works on arrays: it takes an array ``x``
# and makes an array ``y``. The loss comes at the very end, and an operation in the middle does not know it. What it
# is told is how fast the loss changes with each number of its ``y``: the *gradient that comes from above*, ``dy``, an
# array of the shape of ``y``. From that it must work out ``dx``, how fast the loss changes with each number of its
# ``x``. This is its **backward pass**; making ``y`` is the **forward pass**. The operation before it takes this
# ``dx`` as its ``dy``, and so on down to the first.
#
# So to check an operation alone, play the part of all that comes after it: choose some ``dy``, and let the loss be
# ``L = Σ dy·y``, every number of ``dy`` times that of ``y`` at its place, added up. The slope of this L by each number
# of ``y`` is the number of ``dy`` at its place, as it should be. Its slope by each number of ``x`` can be measured, two
# forward passes a number:


def numeric_gradient(forward: Callable, x: np.ndarray, dy: np.ndarray, step: float = 1e-5) -> np.ndarray:
    """Return the measured slopes of Σ dy·forward(x) by every number of x."""
    gradient = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        start = x[place]
        x[place] = start + step
        above = (dy * forward(x)).sum()
        x[place] = start - step
        below = (dy * forward(x)).sum()
        x[place] = start  # put it back, to the bit
        gradient[place] = (above - below) / (2 * step)
    return gradient


def relative_error(a: np.ndarray, b: np.ndarray) -> float:
    """Return the largest difference between two gradients, as a share of the largest slope."""
    return float(np.abs(a - b).max() / max(np.abs(a).max(), np.abs(b).max()))


# %%
# As an example, an operation that mirrors an array, and its backward pass: what came from above for a number on the
# left belongs to the one on the right.


def mirror(x: np.ndarray) -> np.ndarray:
    """Exchange left and right."""
    return x[:, ::-1]


def mirror_backward(dy: np.ndarray) -> np.ndarray:
    """Send every slope to where its number came from."""
    return dy[:, ::-1]


def mirror_backward_wrong(dy: np.ndarray) -> np.ndarray:
    """Forget to mirror."""
    return dy


rng = np.random.default_rng(2)
x = rng.standard_normal((3, 4))
random_dy = rng.standard_normal((3, 4))
measured = numeric_gradient(mirror, x, random_dy)
right, wrong = (relative_error(f(random_dy), measured) for f in (mirror_backward, mirror_backward_wrong))
print(f"right backward: error {right:.0e}    wrong backward: error {wrong:.1f}")
assert right < 1e-9
assert wrong > 0.5

# %%
# The check that cannot fail
# --------------------------
# Why random numbers for ``dy``, and not simply ones, so that L is the sum of the outputs? Because the sum does not
# care where a number is. With ones, the wrong backward pass gets full marks:

ones = np.ones((3, 4))
fooled = relative_error(mirror_backward_wrong(ones), numeric_gradient(mirror, x, ones))
print(f"wrong backward, checked with ones: error {fooled:.0e}")
assert fooled < 1e-9

# %%
# Two operations of this course are like the mirror: unpooling, which puts numbers at certain places (lesson 7), and
# transposed convolution, where a kernel can be turned the wrong way (lesson 9).
#
# It can be worse. ``y = x − mean(x)`` always adds up to 0. So its sum has slope 0 by every number, and a check with
# ones compares 0 with 0, whatever factor is wrong.


def centre_backward(dy: np.ndarray) -> np.ndarray:
    """Take the mean away from the slopes as well."""
    return dy - dy.mean()


def centre_backward_wrong(dy: np.ndarray) -> np.ndarray:
    """Return twice as much."""
    return 2 * (dy - dy.mean())


for name, dy in (("ones", ones), ("random numbers", random_dy)):
    numeric = numeric_gradient(lambda x: x - x.mean(), x, dy)
    off = [np.abs(f(dy) - numeric).max() for f in (centre_backward, centre_backward_wrong)]
    print(f"with {name}: right backward off by {off[0]:.0e}, wrong backward off by {off[1]:.0e}")
assert off[0] < 1e-9
assert off[1] > 0.1

# %%
# Many numbers at once
# --------------------
# Two forward passes for every number are too many for a network: the blood-cell network of this package learns
# 738,977 numbers, that is 1,477,954 forward passes for one check. Instead, move *all* numbers at once, along a random
# direction *v*. For each unit of that way the loss must then change by Σ dx·v. Two forward passes check every number;
# they do not tell which one is wrong.

numbers = 738_977
v = rng.standard_normal(x.shape)
along = ((random_dy * mirror(x + 1e-5 * v)).sum() - (random_dy * mirror(x - 1e-5 * v)).sum()) / 2e-5
print(f"measured along v: {along:.6f}, promised by the gradient: {(mirror_backward(random_dy) * v).sum():.6f}")
assert np.isclose(along, (mirror_backward(random_dy) * v).sum())
assert not np.isclose(along, (mirror_backward_wrong(random_dy) * v).sum())

# %%
# The packaged check
# ------------------
# `scratchnet.gradcheck` does both, with a random ``dy``, for everything in the package: ``scratchnet gradcheck``
# prints the list. All operations must come below a relative error of 10⁻⁶. ``from_functions`` takes the arrays by name,
# the forward pass, which gets these arrays, and the backward pass, which gets ``dy`` and the arrays and returns a
# gradient for each name. With the wrong backward pass the check says where:

from scratchnet.gradcheck import check_gradients, from_functions

for backward in (mirror_backward, mirror_backward_wrong):
    problem = from_functions({"x": x}, mirror, lambda dy, x, backward=backward: {"x": backward(dy)})
    report = check_gradients("mirror", problem)
    print(f"{backward.__name__}: ok {report.ok}, worst {report.worst.where}, error {report.worst.error:.0e}")
    assert report.ok == (backward is mirror_backward)

# %%
# What breaks if …
# ----------------
# **… there is a kink?** ``max(x, 0)``, an operation that is in every network here, is called *ReLU* (rectified linear
# unit). It replaces negative numbers by 0. So it has slope 0 for negative numbers and slope 1 for positive ones, and a
# *kink*, a sudden bend, at 0. Where x is closer to the kink than the step, the two sides see different slopes, and the
# difference measures a mixture: at x = 3·10⁻⁶ it says 0.65, where 1 is right. Nothing is wrong with the backward pass.
# A good check notices that x changed sides between x − ε and x + ε, and takes a shorter step or leaves the point out.
# The packaged one does, and counts what it left out.


def relu(x: np.ndarray) -> np.ndarray:
    """Replace negative numbers by 0."""
    return np.maximum(x, 0)


near_the_kink = np.array([3e-6])
mixture = numeric_gradient(relu, near_the_kink, np.ones(1))[0]
sides_differ = bool((near_the_kink - 1e-5 > 0) != (near_the_kink + 1e-5 > 0))
print(f"slope measured at 3e-6: {mixture:.2f}, sides differ: {sides_differ}")
assert sides_differ

# %%
# **… the check runs in float32?** At ε = 10⁻⁵ rounding is all that one sees: the slope of eˣ comes out wrong by some
# tenths of a percent. People who check like this get used to large errors, and then overlook real ones.

careless = 100 * curves["float32", 2][5]
assert np.isclose(steps[5], 1e-5)
print(f"float32 at a step of 1e-5: error {careless:.1f} %")

# %%
# **… the operation is not the same twice?** Some operations draw random numbers; *dropout*, for one, replaces a
# random half of the numbers by 0. Drawn anew for each forward pass, they change the loss far more than the step does,
# and dividing by 2·10⁻⁵ makes it huge. Draw the same numbers every time.


def noisy(x: np.ndarray) -> np.ndarray:
    """Add a little noise, another one every time."""
    return x + 0.01 * rng.standard_normal(x.shape)


nonsense = np.abs(numeric_gradient(noisy, x, random_dy)).max()
print(f"largest slope measured: {nonsense:.0f}; right is {np.abs(random_dy).max():.1f}")
assert nonsense > 100

# %%
# Exercises
# ---------
# Solutions: ``lessons/solutions/02_numerical_gradients.py``.
#
# 1. Measure the slope of w³ at w = 2 with a central difference and a step of 0.1, on paper. How much is it off, and
#    why by exactly that?
# 2. A forward pass of the blood-cell network takes, say, 10 ms. How long does a check of each of its numbers take?
# 3. Write the backward pass of ``y = x·s``, where *s* is the sum of all numbers of ``x``, and check it. (Every number
#    of ``x`` acts in two ways.)
# 4. Sorting is an operation as well: ``y = np.sort(x)``. Write its backward pass. Does a check with ones find out if
#    you forget to put the slopes back into the old order?
