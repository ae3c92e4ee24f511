r"""
2. Numerical gradients
======================

**The question.** A *network* is a long calculation with many numbers in it that are learned, its **parameters**. To
learn, we must know in which direction to change each parameter and how much that helps: a slope. People work out the
formulas for these slopes with pencil and paper. A wrong formula does not crash; the network just learns badly. How can
we tell whether a slope is right?

You need to know NumPy's arrays. You do not need an earlier lesson.

**What you will build.** A gradient check that finds wrong backward passes. Before that, you carry out backpropagation
through a tiny network by hand.

**Time.** About 70 minutes, and as long again for the exercises.

**New terms**, one line each on :doc:`the page of terms </terms>`: parameters, loss, slope, central difference, gradient
descent, training, converged, learning rate, hyperparameter, gradient, relative error, forward pass, upstream gradient,
backward pass, chain rule, ReLU, activation function, backpropagation, vanishing gradient, kink, dropout.
"""

# %%
# Write your prediction down first
# --------------------------------
# A program predicts 2·w, where *w* is a number that it may choose, and the right answer is 10. We measure how bad the
# choice is by the square of the difference, ``L(w) = (2·w − 10)²``. Such a measure is called a **loss**: 0 is perfect,
# and larger is worse. Now *w* is 3, so the prediction is 6 and the loss is 16. Write down on paper:
#
# 1. the loss for w = 3.1 and for w = 2.9;
# 2. from these two values, how much the loss changes per unit of *w*;
# 3. whether a step smaller than 0.1 always gives a better measurement. Would you take 10⁻⁵ or 10⁻¹³?

from collections.abc import Callable

import numpy as np

from scratchnet.utils.lesson import start_lesson

FAST = start_lesson()


def loss(w: float) -> float:
    """Return the loss for the choice w."""
    return (2 * w - 10) ** 2


above, here, below = loss(3.1), loss(3.0), loss(2.9)
print(f"loss at 2.9: {below:.2f}, at 3: {here:.2f}, at 3.1: {above:.2f}")

# %%
# By hand
# -------
# From 2.9 to 3.1 the loss falls from 17.64 to 14.44, by 3.2 over a distance of 0.2. That is −16 per unit: the **slope**
# of the loss at w = 3, that is, its derivative with respect to *w*. The sign gives the direction; here the loss falls
# when *w* grows. The formula agrees: the derivative of (2·w − 10)² is 4·(2·w − 10), and 4·(−4) = −16.
#
# Taking a step to both sides and dividing by the distance between the two ends gives a **central difference**. Stepping
# to one side only, from 3 to 3.1, gives −15.6: the slope changes along the step, and no step to the other side
# compensates for it.

central, one_sided = (above - below) / 0.2, (above - here) / 0.1
print(f"central difference {central:.2f}, one-sided {one_sided:.2f}")
assert np.isclose(central, 4 * (2 * 3 - 10))

# %%
# What slopes are for
# -------------------
# Go downhill: change *w* a little in the direction opposite to the slope, and the loss shrinks. Repeating this is
# called **gradient descent**. It is how all networks here learn, and the process is called **training**. When the loss
# hardly falls any more, training has *converged*. Each step is the slope times a factor, the **learning rate**. It is
# our choice and not learned; such a value is called a *hyperparameter*. After five steps with a learning rate of 0.1,
# *w* is 5.00 (rounded), the right choice:

w, way = 3.0, [3.0]
for _ in range(5):
    w -= 0.1 * 4 * (2 * w - 10)
    way.append(w)
print(" ".join(f"{place:.2f}" for place in way))

# %%
# A network has not one parameter but thousands or millions. Each has its own slope: how fast the loss changes when this
# parameter moves and all others stay fixed. All these slopes together, in an array of the same shape as the parameters,
# are the **gradient** of the loss with respect to them.

# %%
# The best step
# -------------
# Smaller steps should be better, because a curve looks straighter the closer one looks. But a computer stores only a
# limited number of digits: about 16 in ``float64``, about 7 in ``float32``. Two losses that are nearly equal differ
# only in their last digits, which are the ones affected by rounding. So there are two errors. Call the step ε
# (epsilon). The error due to the step size shrinks with ε, and the rounding error grows as 1/ε. We measure both
# together on a function whose slope is known: eˣ is its own derivative. Errors are given as fractions of the right
# slope, *relative errors*.

steps = 10.0 ** -np.arange(0, 16)


def errors(dtype: type, sides: int) -> np.ndarray:
    """Return the mean relative error of the measured slope of eˣ over 100 points, for every step."""
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
# This answers the third question. With central differences in ``float64`` the best step is near 10⁻⁵, and the slope is
# then right to ten digits. With 10⁻¹³ it is right to three. In ``float32`` the best step is near 10⁻², and no step
# gives more than five digits. So gradients are checked in ``float64``, with central differences, at ε = 10⁻⁵.
#
# The figure worth keeping: from right to left, the error due to the step size falls along a straight line. A tenth of
# the step gives a hundredth of the error for the central difference and a tenth for the one-sided one. On the left the
# rounding error rises, up to 1: a step smaller than the last digit of x changes nothing, so the measured slope is 0.

from scratchnet.visualization import ROLES, panels, save_figure

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
save_figure(
    figure,
    "02-numerical-gradients",
    alt="Four V-shaped curves of the error of the measured slope over the step. The central difference in float64 "
    "reaches the smallest error, 2e-11 at a step of 1e-5; the lowest points of the other three are far higher.",
)

# %%
# One operation of a network
# --------------------------
# The calculation of a network is a chain of operations. Each one takes an array ``x`` and computes an array ``y``; this
# is its **forward pass**. The loss is computed at the very end, and an operation in the middle cannot see it. Instead
# it receives the *upstream gradient* ``dy``: an array of the shape of ``y`` that contains the slope of the loss with
# respect to each element of ``y``. From ``dy`` the operation computes ``dx``, the gradient with respect to ``x``; this
# is its **backward pass**. The preceding operation takes this ``dx`` as its ``dy``, and so on back to the first.
#
# The chain rule and backpropagation, by hand
# -------------------------------------------
# The loss of the beginning is such a chain: u = 2·w, then e = u − 10, then L = e². At w = 3 the values are u = 6,
# e = −4 and L = 16. If *w* grows by a tiny amount, u grows by twice as much, e by as much as u, and L by 2·e = −8 times
# as much as e. The factors multiply: −8·1·2 = −16, the slope that we know. This is the **chain rule**: the slope of a
# chain of operations is the product of the slopes of its operations,
#
# .. math:: \frac{dL}{dw} = \frac{dL}{de} \cdot \frac{de}{du} \cdot \frac{du}{dw}.

u = 2 * 3
e = u - 10
de = 2 * e  # L = e²
du = de * 1  # e = u − 10
dw = du * 2  # u = 2·w
print(f"u = {u}, e = {e}, L = {e**2}; slopes of L with respect to e {de}, to u {du}, to w {dw}")
assert dw == round(central)

# %%
# Now a tiny network with two parameters in a row. Its input is x = 2 and the right answer is t = 10. It multiplies by a
# first parameter, h = w₁·x. It replaces negative values by 0, a = max(h, 0): this operation is called *ReLU* (rectified
# linear unit). It multiplies by a second parameter, p = w₂·a. The loss is L = (p − t)². ReLU is an **activation
# function**: a function that is not a straight line, applied to each value by itself. Without one, the two parameters
# could be replaced by their product, and a chain of any length would compute no more than a single multiplication does.
#
# Let w₁ = 1.5 and w₂ = 4. The forward pass goes from left to right: h = 3, a = 3, p = 12, L = 4. The backward pass goes
# from right to left. Each operation multiplies the slope that it receives by its own:
#
# - L = (p − t)² has the slope 2·(p − t) with respect to p: dp = 4;
# - p = w₂·a has the slope a with respect to w₂, and w₂ with respect to a: dw₂ = 4·3 = 12 and da = 4·4 = 16;
# - ReLU has the slope 1, because h is positive: dh = 16·1 = 16. (For a negative h it would be 0.)
# - h = w₁·x has the slope x with respect to w₁: dw₁ = 16·2 = 32.
#
# Computing all slopes in this way is called **backpropagation**. It is the chain rule, applied from the last operation
# to the first, and every product is used for all operations before it: the 16 is computed once, however many
# parameters come before h. The forward pass must remember a and the sign of h for it.


def two_layers(w1: float, w2: float, x: float = 2.0, t: float = 10.0) -> tuple[float, float, float, float]:
    """Run the forward pass; return h, a, p and the loss."""
    h = w1 * x
    a = max(h, 0.0)
    p = w2 * a
    return h, a, p, (p - t) ** 2


def two_layers_backward(w1: float, w2: float, x: float = 2.0, t: float = 10.0) -> dict[str, float]:
    """Run both passes; return the slope of the loss with respect to each value."""
    h, a, p, _ = two_layers(w1, w2, x, t)
    dp = 2 * (p - t)
    dw2, da = dp * a, dp * w2
    dh = da if h > 0 else 0.0
    return {"p": dp, "w2": dw2, "a": da, "h": dh, "w1": dh * x}


forward_values, slopes = two_layers(1.5, 4.0), two_layers_backward(1.5, 4.0)
print("forward:", forward_values, " backward:", slopes)
assert forward_values == (3, 3, 12, 4)
assert slopes == {"p": 4, "w2": 12, "a": 16, "h": 16, "w1": 32}
for name, dw1, dw2 in (("w1", 1e-5, 0.0), ("w2", 0.0, 1e-5)):  # and measured
    ends = [two_layers(1.5 + sign * dw1, 4.0 + sign * dw2)[3] for sign in (1, -1)]
    assert np.isclose((ends[0] - ends[1]) / 2e-5, slopes[name])

w1, w2 = 1.5 - 0.01 * slopes["w1"], 4.0 - 0.01 * slopes["w2"]
stepped = two_layers(w1, w2)[3]
print(f"a step with a learning rate of 0.01: w₁ = {w1:.2f}, w₂ = {w2:.2f}, loss {stepped:.2f} instead of 4")

# %%
# One step of gradient descent with a learning rate of 0.01 makes w₁ 1.18 and w₂ 3.88, and the loss falls from 4 to
# 0.71. In the figure, the values of the forward pass are green and the slopes of the backward pass wine red:

figure, (axes,) = panels(9, 2.6)
axes.set_axis_off()
axes.set_xlim(-0.5, 8.5)
axes.set_ylim(-1.5, 1.5)
h, a, p, square = (f"{value:g}" for value in forward_values)
chain = [("x", "2", ""), ("h", h, "h"), ("a", a, "a"), ("p", p, "p"), ("L", square, "")]
box = {"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": "0.6"}
for number, (name, value, slope) in enumerate(chain):
    axes.text(2 * number, 0, name, ha="center", va="center", fontsize=12, bbox=box)
    axes.text(2 * number, 0.55, value, ha="center", color=ROLES["output"], fontsize=11)
    known = f"{slopes[slope]:g}" if slope else ("1" if name == "L" else "")
    axes.text(2 * number, -0.75, known, ha="center", color=ROLES["gradient"], fontsize=11)
steps_between = [("· w₁", "w1"), ("max( , 0)", ""), ("· w₂", "w2"), ("( − t)²", "")]
for number, (name, parameter) in enumerate(steps_between):
    ends = {"xytext": (2 * number + 0.35, 0.12), "xy": (2 * number + 1.65, 0.12)}
    axes.annotate("", **ends, arrowprops={"arrowstyle": "->", "color": ROLES["output"]})
    ends = {"xytext": (2 * number + 1.65, -0.12), "xy": (2 * number + 0.35, -0.12)}
    axes.annotate("", **ends, arrowprops={"arrowstyle": "->", "color": ROLES["gradient"]})
    axes.text(2 * number + 1, 0.3, name, ha="center", fontsize=10)
    if parameter:
        label = f"d{name[2:]} = {slopes[parameter]:g}"
        axes.text(2 * number + 1, -0.5, label, ha="center", color=ROLES["gradient"], fontsize=11)
axes.text(-0.4, 1.1, "forward pass →", color=ROLES["output"], fontsize=10)
axes.text(8.4, -1.35, "← backward pass", color=ROLES["gradient"], fontsize=10, ha="right")
save_figure(
    figure,
    "02-backpropagation",
    alt="The chain x, h, a, p, L. Green arrows to the right carry the values of the forward pass, 2, 3, 3, 12 and "
    "4; red arrows to the left carry the gradients of the backward pass, with 32 for the first weight and 12 "
    "for the second.",
)

# %%
# A slope early in a chain is a product with one factor per operation. With twenty factors of 0.5 it is a millionth: the
# first parameters hardly learn. These are *vanishing gradients*. With twenty factors of 2 it is a million. The standard
# remedies keep the factors near 1: ReLU, well chosen initial values and batch norm (lesson 11).

vanishing, exploding = 0.5**20, 2.0**20
print(f"twenty factors of 0.5: {vanishing:.1e}, of 2: {exploding:.1e}")
assert round(vanishing * 1e6) == round(exploding / 1e6) == 1

# %%
# Checking a single operation
# ---------------------------
# To check a single operation, stand in for everything that comes after it. Choose some ``dy`` and let the loss be
# ``L = Σ dy·y``: multiply ``dy`` and ``y`` element by element, and add up. The slope of this L with respect to each
# element of ``y`` is the corresponding element of ``dy``, as it should be. Its slope with respect to each element of
# ``x`` can be measured, with two forward passes per element:


def numeric_gradient(forward: Callable, x: np.ndarray, dy: np.ndarray, step: float = 1e-5) -> np.ndarray:
    """Return the measured slopes of Σ dy·forward(x) with respect to every element of x."""
    gradient = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        start = x[place]
        x[place] = start + step
        above = (dy * forward(x)).sum()
        x[place] = start - step
        below = (dy * forward(x)).sum()
        x[place] = start  # restore it exactly
        gradient[place] = (above - below) / (2 * step)
    return gradient


def relative_error(a: np.ndarray, b: np.ndarray) -> float:
    """Return the largest difference between two gradients, divided by the largest slope."""
    return float(np.abs(a - b).max() / max(np.abs(a).max(), np.abs(b).max()))


# %%
# As an example, take an operation that mirrors an array. Its backward pass mirrors the gradient: the slope for an
# element on the left of ``y`` belongs to an element on the right of ``x``.


def mirror(x: np.ndarray) -> np.ndarray:
    """Swap left and right."""
    return x[:, ::-1]


def mirror_backward(dy: np.ndarray) -> np.ndarray:
    """Return each slope to the position that its element came from."""
    return dy[:, ::-1]


def mirror_backward_wrong(dy: np.ndarray) -> np.ndarray:
    """Return the gradient without mirroring it."""
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
# Why random values for ``dy``, and not simply ones, so that L is the sum of the outputs? Because the sum does not
# depend on where an element is. With ones, the wrong backward pass gets full marks:

ones = np.ones((3, 4))
fooled = relative_error(mirror_backward_wrong(ones), numeric_gradient(mirror, x, ones))
print(f"wrong backward, checked with ones: error {fooled:.0e}")
assert fooled < 1e-9

# %%
# Two operations of this course resemble the mirror: unpooling, which puts values at certain positions (lesson 7), and
# transposed convolution, where a kernel can be flipped by mistake (lesson 9).
#
# It can be worse. The elements of ``y = x − mean(x)`` always add up to 0. So their sum has slope 0 with respect to
# every element of ``x``, and a check with ones compares 0 with 0, whatever constant factor is wrong.


def centre_backward(dy: np.ndarray) -> np.ndarray:
    """Subtract the mean from the slopes as well."""
    return dy - dy.mean()


def centre_backward_wrong(dy: np.ndarray) -> np.ndarray:
    """Return twice the right gradient."""
    return 2 * (dy - dy.mean())


for name, dy in (("ones", ones), ("random values", random_dy)):
    numeric = numeric_gradient(lambda x: x - x.mean(), x, dy)
    off = [np.abs(f(dy) - numeric).max() for f in (centre_backward, centre_backward_wrong)]
    print(f"with {name}: right backward off by {off[0]:.0e}, wrong backward off by {off[1]:.0e}")
assert off[0] < 1e-9
assert off[1] > 0.1

# %%
# Many parameters at once
# -----------------------
# Two forward passes per parameter are too many for a network: the blood-cell network of this package has 738,977
# parameters, which means 1,477,954 forward passes for one check. Instead, move *all* elements at once, along a random
# direction *v*. Per unit of movement along *v*, the loss must then change by Σ dx·v. Two forward passes check all
# elements, but they do not show which one is wrong.

numbers = 738_977
v = rng.standard_normal(x.shape)
along = ((random_dy * mirror(x + 1e-5 * v)).sum() - (random_dy * mirror(x - 1e-5 * v)).sum()) / 2e-5
print(f"measured along v: {along:.6f}, predicted by the gradient: {(mirror_backward(random_dy) * v).sum():.6f}")
assert np.isclose(along, (mirror_backward(random_dy) * v).sum())
assert not np.isclose(along, (mirror_backward_wrong(random_dy) * v).sum())

# %%
# The packaged check
# ------------------
# `scratchnet.gradcheck` does both, with a random ``dy``, for everything in the package; ``scratchnet gradcheck`` prints
# the results. The relative error of every operation must be below 10⁻⁶. ``from_functions`` takes the arrays by name,
# the forward pass, which receives these arrays, and the backward pass, which receives ``dy`` and the arrays and returns
# one gradient per name. For the wrong backward pass the check reports where the error is:

from scratchnet.gradcheck import check_gradients, from_functions

for backward in (mirror_backward, mirror_backward_wrong):
    problem = from_functions({"x": x}, mirror, lambda dy, x, backward=backward: {"x": backward(dy)})
    report = check_gradients("mirror", problem)
    print(f"{backward.__name__}: ok {report.ok}\n    {report.worst if report.ok else report.failures[0]}")
    assert report.ok == (backward is mirror_backward)

# %%
# What breaks if …
# ----------------
# **… there is a kink?** ReLU, which every network here contains, has the slope 0 for negative values and 1 for positive
# ones, with a *kink*, a sudden change of slope, at 0. If x is closer to the kink than the step size, the two sides have
# different slopes, and the difference measures a mixture: at x = 3·10⁻⁶ it gives 0.65, where 1 is right. Nothing is
# wrong with the backward pass. A good check notices that x − ε and x + ε are on different sides of the kink, and takes
# a shorter step or omits the point. The packaged check does this, and reports how many points it omitted.


def relu(x: np.ndarray) -> np.ndarray:
    """Replace negative values by 0."""
    return np.maximum(x, 0)


near_the_kink = np.array([3e-6])
mixture = numeric_gradient(relu, near_the_kink, np.ones(1))[0]
sides_differ = bool((near_the_kink - 1e-5 > 0) != (near_the_kink + 1e-5 > 0))
print(f"slope measured at 3e-6: {mixture:.2f}, sides differ: {sides_differ}")
assert sides_differ

# %%
# **… the check runs in float32?** At ε = 10⁻⁵ the rounding error dominates: the slope of eˣ comes out wrong by some
# tenths of a percent. People who check like this get used to large errors, and then overlook real ones.

careless = 100 * curves["float32", 2][5]
assert np.isclose(steps[5], 1e-5)
print(f"float32 at a step of 1e-5: error {careless:.1f} %")

# %%
# **… the operation gives a different result each time?** Some operations draw random numbers. One of them is *dropout*,
# which replaces a random half of the values by 0. If they are drawn anew in each forward pass, they change the loss far
# more than the step does, and dividing by 2·10⁻⁵ makes the change huge. Use the same random numbers in every forward
# pass.


def noisy(x: np.ndarray) -> np.ndarray:
    """Add a little noise, different in every call."""
    return x + 0.01 * rng.standard_normal(x.shape)


nonsense = np.abs(numeric_gradient(noisy, x, random_dy)).max()
print(f"largest slope measured: {nonsense:.0f}; right is {np.abs(random_dy).max():.1f}")
assert nonsense > 100

# %%
# Exercises
# ---------
# Solutions: ``lessons/solutions/02_numerical_gradients.py``.
#
# 1. Measure the slope of w³ at w = 2 with a central difference and a step of 0.1, on paper. How far off is it, and why
#    by exactly that amount?
# 2. Suppose a forward pass of the blood-cell network takes 10 ms. How long does it take to check each parameter
#    separately?
# 3. Write the backward pass of ``y = x·s``, where *s* is the sum of all elements of ``x``, and check it. (Every element
#    of ``x`` acts in two ways.)
# 4. Sorting is an operation as well: ``y = np.sort(x)``. Write its backward pass. Suppose you forget to put the slopes
#    back into the original order: would a check with ones notice?
#
# ``scratchnet exercise start 2`` writes stubs for ``numeric_gradient`` and for exercises 3 and 4 (``02_times_sum``,
# ``02_sorting``); ``scratchnet exercise check 2`` checks them.
