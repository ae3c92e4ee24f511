r"""
7. Max-pooling that remembers: switches
=======================================

**The question.** A network that labels pixels first makes its maps smaller and must later make them large again.
Pooling keeps one number of every four. Can it be undone, and what is the least that one must remember to try?

You need lesson 2 (numerical gradients) and lesson 3 (what a map is: rows, columns, channels).
"""

# %%
# Write your prediction down first
# --------------------------------
# Why make maps smaller? A 3×3 kernel sees 3×3 pixels, and nobody can tell a cell from so little. On a map of half the
# size 3×3 numbers stem from 6×6 pixels, on one that was halved five times from 96×96. The part of the image that a
# number depends on is its **receptive field**. Smaller maps widen it, and they are quicker to compute.
#
# **Max-pooling** with a 2×2 window cuts the map into windows of 2×2 pixels and keeps the largest value of each.
# Below is a map of 4×4. Write down, on paper:
#
# 1. the pooled map;
# 2. for each of its numbers, one small number that says where in its window it came from;
# 3. what you get if you put each maximum back at its place and fill the rest with zeros. Is it the old map?

import numpy as np

from scratchnet.lesson import start_lesson

FAST = start_lesson()

x = np.array([[3, 9, 6, 2], [5, 2, 1, 8], [12, 3, 9, 7], [2, 5, 6, 2]], np.float64)
print(x)

# %%
# By hand
# -------
# The window at the top left holds 3, 9, 5, 2. Its maximum is 9, in row 0 and column 1 *of the window*. Counting the
# window's places in reading order, 0 and 1 in the first row, 2 and 3 in the second, that is place 1. This number is the
# **switch** of the window (Zeiler and Fergus 2014; the authors of SegNet, the network of lesson 14, call it a
# *max-pooling index*): it says to which place of the window the answer was connected, like the points of a railway.
#
# As loops, this is all there is to it:


def pool_by_loops(x: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the maxima and the switches of a map (h, w) with windows k×k side by side."""
    h, w = x.shape
    y = np.empty((h // k, w // k))
    switches = np.empty((h // k, w // k), np.uint8)
    for row in range(h // k):
        for column in range(w // k):
            window = x[row * k : row * k + k, column * k : column * k + k]
            switches[row, column] = window.argmax()  # place in reading order; the first of equals
            y[row, column] = window.max()
    return y, switches


y, switches = pool_by_loops(x, 2)
print("maxima\n", y)
print("switches\n", switches)
assert y.tolist() == [[9, 8], [12, 9]]
assert switches.tolist() == [[1, 3], [0, 0]]

# %%
# Going back: unpooling
# ---------------------
# **Unpooling** makes the map large again. It takes any map of the pooled size, usually not the maxima themselves but
# what the layers after them made of them, and puts each number where its window's switch points. The others get 0.


def unpool_by_loops(y: np.ndarray, switches: np.ndarray, k: int) -> np.ndarray:
    """Return the map whose windows hold y at the places that the switches name, and 0 elsewhere."""
    x = np.zeros((y.shape[0] * k, y.shape[1] * k))
    for row in range(y.shape[0]):
        for column in range(y.shape[1]):
            i, j = divmod(switches[row, column], k)
            x[row * k + i, column * k + j] = y[row, column]
    return x


back = unpool_by_loops(np.array([[5.0, 7.0], [9.0, 12.0]]), switches, 2)
print(back)
assert [back[0, 1], back[1, 3], back[2, 0], back[2, 2]] == [5, 7, 9, 12]
assert np.count_nonzero(back) == 4

# %%
# Three quarters of the numbers are gone for good: the answer to the question is no. But the four that are left stand
# where the strongest responses stood, to the pixel. Without switches one would have to guess, for instance always the
# top left place.
#
# What does remembering cost? A switch is a number under 4, so two bits; stored as a byte it is still an eighth of an
# ``int64`` index. A pooled map of *m* windows keeps *m* bytes.

# %%
# The gradient of pooling is unpooling
# ------------------------------------
# Move one input a little. If it is its window's maximum, the output moves by the same amount; if it is not, nothing
# happens at all. So the gradient that comes from above goes, whole, to the place that the switch names: **the backward
# pass of pooling is unpooling, with the gradient in place of the values.** The numerical gradient of lesson 2 agrees:

rng = np.random.default_rng(7)
upstream = rng.standard_normal((2, 2))  # random, for the reason that lesson 2 gives


def loss(x: np.ndarray) -> float:
    """Return the number whose slope is wanted."""
    return float((pool_by_loops(x, 2)[0] * upstream).sum())


step = 1e-5
numeric = np.zeros_like(x)
for place in np.ndindex(x.shape):
    moved = x.copy()
    moved[place] += step
    above = loss(moved)
    moved[place] -= 2 * step
    numeric[place] = (above - loss(moved)) / (2 * step)

analytic = unpool_by_loops(upstream, switches, 2)
worst = np.abs(numeric - analytic).max()
print(f"largest difference between the two gradients: {worst:.1e}")
assert worst < 1e-9

# %%
# The packaged functions
# ----------------------
# `scratchnet.ops.pooling` does the same for images in batches with channels, ``(n, h, w, c)``, for windows that overlap
# or are padded, and quickly. Its switches remember the map's size as well: a map of 45 rows pools to 22 or 23, and 23
# must come back as 45, not 46.

from scratchnet.ops.pooling import max_pool2d, max_unpool2d

packaged, remembered = max_pool2d(x.reshape(1, 4, 4, 1), 2)
assert (packaged[0, :, :, 0] == y).all()
assert (remembered.index[0, :, :, 0] == switches).all()

large = rng.standard_normal((2, 12, 10, 3))
fast_y, fast_switches = max_pool2d(large, 2)
for image, channel in np.ndindex(2, 3):
    slow_y, slow_switches = pool_by_loops(large[image, :, :, channel], 2)
    assert (fast_y[image, :, :, channel] == slow_y).all()
    assert (fast_switches.index[image, :, :, channel] == slow_switches).all()
    slow_back = unpool_by_loops(slow_y, slow_switches, 2)
    assert (max_unpool2d(fast_y, fast_switches)[image, :, :, channel] == slow_back).all()
print("loops and package agree on every number")

# %%
# The figure worth keeping
# ------------------------
# The heavy frames show where each maximum was, and where unpooling puts another number later.

from scratchnet.viewing import draw_matrix, keep, panels

winners = [
    (2 * row + switches[row, column] // 2, 2 * column + switches[row, column] % 2) for row, column in np.ndindex(2, 2)
]
figure, (before, pooled, places, after) = panels(9, 2.9, columns=4, widths=(4, 2.4, 2.4, 4))
draw_matrix(before, x, "image", "a map", marked=winners)
draw_matrix(pooled, y, "output", "its maxima")
draw_matrix(places, switches.astype(float), "switch", "their switches")
draw_matrix(after, back, "output", "5, 7, 9, 12 unpooled", marked=winners, zeros=False)
keep(figure, "07-max-pool-switches")

# %%
# What breaks if …
# ----------------
# **… the switches are wrong?** Turn every switch round (3 − switch): the values are the same, the *sum* of the output
# is the same, the shapes are the same. Nothing crashes. Only the places are wrong.

wrong = unpool_by_loops(upstream, 3 - switches, 2)
print("same sum:", np.isclose(wrong.sum(), analytic.sum()), "  same gradient:", np.allclose(wrong, analytic))
assert np.isclose(wrong.sum(), analytic.sum())
assert not np.allclose(wrong, analytic)

# %%
# This is why a gradient check multiplies the output by random numbers before it sums: a check with the plain sum would
# pass the wrong switches.
#
# **… two places hold the same maximum?** After a ReLU (which replaces negative numbers by 0) whole windows are 0. The
# rule here is: the first in reading order wins, as in PyTorch, a package that many people use, and in ONNX, a format in
# which networks are exchanged. Any rule will do, as long as it is one.

tied = np.zeros((1, 2, 2, 1))
print("switch of a window of zeros:", max_pool2d(tied, 2)[1].index.item())
assert max_pool2d(tied, 2)[1].index.item() == 0

# %%
# **… padding is filled with zeros?** Then a border window of negative numbers reports 0, a maximum that is not in the
# map. Padding must be −∞, which never wins.

negative = -np.ones((1, 4, 4, 1))
padded, _ = max_pool2d(negative, 3, stride=2, padding=1)
print("maxima of a map of −1, with padding:", np.unique(padded))
assert (padded == -1).all()

# %%
# **… windows overlap?** With 3×3 windows two pixels apart, one pixel can be the maximum of several windows. Unpooling
# then *sums* what they send there. Only so is it still the gradient of pooling, where every window asks its share.

peak = np.zeros((1, 5, 5, 1))
peak[0, 2, 2, 0] = 1.0
tops, shared = max_pool2d(peak, 3, stride=2)
summed = max_unpool2d(np.ones_like(tops), shared)
print("four windows chose the same pixel; it gets", summed[0, 2, 2, 0])
assert summed[0, 2, 2, 0] == 4

# %%
# Exercises
# ---------
# Solutions: ``lessons/solutions/07_max_pool_switches.py``.
#
# 1. Pool ``[[1,2,6,3],[3,5,2,1],[1,2,2,1],[7,3,4,8]]`` and unpool ``[[1,2],[3,4]]`` with its switches, on paper.
# 2. Pool the unpooled map again, with the same window. When do you get the same maxima back, and when not? (Think of
#    negative numbers.)
# 3. How many bytes do the switches of the first pool of DeconvNet (lesson 15) need for one image (64 channels, 224×224
#    pixels before pooling): as ``int64``, as bytes, at two bits each?
# 4. Write pooling's switches as PyTorch does, as places in the whole map, counted in reading order (row · width +
#    column). Compute them from the places in the windows.
