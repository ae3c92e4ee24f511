r"""
7. Max-pooling that remembers: switches
=======================================

**The question.** A network that labels pixels first makes its feature maps smaller, and later has to enlarge them
again. Pooling keeps one value out of every four. Can it be undone, and what is the least that must be remembered to
try?

You need lesson 2 (numerical gradients) and lesson 3 (maps, channels, windows).

**What you will build.** Max-pooling that returns switches, unpooling that uses them, and the backward passes of both.

**Time.** About 35 minutes, and as long again for the exercises.

**New terms**, one line each on :doc:`the page of terms </terms>`: receptive field, max-pooling, switch, max-pooling
index, unpooling.
"""

# %%
# Write your prediction down first
# --------------------------------
# Why make maps smaller? A 3×3 kernel sees only 3×3 pixels of the image, far too few to recognise a cell. On a map of
# half the size, 3×3 values depend on 6×6 pixels of the image; on a map that was halved five times, on 96×96. The part
# of the image that a value depends on is its **receptive field**. Smaller maps enlarge it, and they are faster to
# compute.
#
# **Max-pooling** with a 2×2 window divides the map into windows of 2×2 pixels and keeps the largest value of each.
# Below is a 4×4 map. Write down on paper:
#
# 1. the pooled map;
# 2. for each of its values, a small number that says where in its window the value came from;
# 3. the map that you get if you put each maximum back where it came from and fill the rest with zeros. Is it the
#    original map?

import numpy as np

from scratchnet.utils.lesson import start_lesson

FAST = start_lesson()

x = np.array([[3, 9, 6, 2], [5, 2, 1, 8], [12, 3, 9, 7], [2, 5, 6, 2]], np.float64)
print(x)

# %%
# By hand
# -------
# The window at the top left holds 3, 9, 5, 2. Its maximum is 9, in row 0 and column 1 *of the window*. Number the
# positions of the window in reading order, 0 and 1 in the first row, 2 and 3 in the second; then the maximum is at
# position 1. This number is the **switch** of the window (Zeiler and Fergus 2014): like a railway switch, it selects
# the position to which the output is connected. The authors of SegNet, the network of lesson 14, call it a *max-pooling
# index*.
#
# With loops, the whole operation looks like this:


def pool_by_loops(x: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the maxima and switches of a map (h, w) for adjacent k×k windows."""
    h, w = x.shape
    y = np.empty((h // k, w // k))
    switches = np.empty((h // k, w // k), np.uint8)
    for row in range(h // k):
        for column in range(w // k):
            window = x[row * k : row * k + k, column * k : column * k + k]
            switches[row, column] = window.argmax()  # position in reading order; the first if several are equal
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
# **Unpooling** enlarges the map again. Its input is a map of the pooled size, usually not the maxima themselves but the
# output of later layers. Each value is put at the position in its window that the switch selects. All other positions
# are 0.


def unpool_by_loops(y: np.ndarray, switches: np.ndarray, k: int) -> np.ndarray:
    """Return the map that holds the values of y at the positions selected by the switches, and 0 elsewhere."""
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
# Three quarters of the values are lost for good, so the answer to the question is no. But the four values that are left
# are exactly where the strongest responses were. Without switches we would have to guess the positions, for instance
# always use the top left one.
#
# What does it cost to remember the switches? A switch is a number below 4, so two bits are enough; stored as a byte, it
# needs an eighth of the memory of an ``int64`` index. For a pooled map of *m* windows, the switches take *m* bytes.

# %%
# The gradient of pooling is unpooling
# ------------------------------------
# Change one input value slightly. If it is the maximum of its window, the output changes by the same amount; if not,
# the output does not change at all. So the upstream gradient goes entirely to the position selected by the switch.
# **The backward pass of max-pooling is unpooling, applied to the gradient instead of the values.** The numerical
# gradient of lesson 2 agrees:

rng = np.random.default_rng(7)
upstream = rng.standard_normal((2, 2))  # random, for the reason explained in lesson 2


def loss(x: np.ndarray) -> float:
    """Return the sum of the pooled map, weighted by the upstream gradient."""
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
# The gradient of unpooling
# -------------------------
# Unpooling writes each value of its input to one position and fills the rest with zeros, which depend on nothing. So
# the slope of a value is the upstream gradient at that position. **The backward pass of unpooling reads the gradient at
# the switches** and drops the other slopes of each window.


def unpool_backward_by_loops(dx: np.ndarray, switches: np.ndarray, k: int) -> np.ndarray:
    """Return the slopes with respect to the values that were unpooled, from those of the large map."""
    dy = np.empty(switches.shape)
    for row, column in np.ndindex(switches.shape):
        i, j = divmod(switches[row, column], k)
        dy[row, column] = dx[row * k + i, column * k + j]
    return dy


upstream_large = rng.standard_normal((4, 4))
read = unpool_backward_by_loops(upstream_large, switches, 2)
for place in np.ndindex(y.shape):
    change = np.zeros_like(y)
    change[place] = step
    above, below = (unpool_by_loops(y + sign * change, switches, 2) for sign in (1, -1))
    assert np.isclose(((above - below) * upstream_large).sum() / (2 * step), read[place])
print("slopes read at the switches\n", read.round(2))

# %%
# The packaged functions
# ----------------------
# `scratchnet.ops.pooling` does the same for batches of images with channels, ``(n, h, w, c)``, also for windows that
# overlap or are padded. Its switches also store the size of the original map: a map of 45 rows is pooled to 22 or 23,
# and 23 must be unpooled to 45, not 46. Read the file: `max_pool2d` there is an ``argmax`` over a view of all windows,
# and `max_unpool2d` one loop over the positions in a window. What runs is a faster form with the same name in
# ``scratchnet/engine/cpu``; inside ``with scratchnet.textbook():`` it is the code that you read.

import scratchnet
from scratchnet.ops.pooling import max_pool2d, max_pool2d_backward, max_unpool2d, max_unpool2d_backward

packaged, remembered = max_pool2d(x.reshape(1, 4, 4, 1), 2)
assert (packaged[0, :, :, 0] == y).all()
assert (remembered.index[0, :, :, 0] == switches).all()
assert (max_pool2d_backward(upstream.reshape(1, 2, 2, 1), remembered)[0, :, :, 0] == analytic).all()
assert (max_unpool2d_backward(upstream_large.reshape(1, 4, 4, 1), remembered)[0, :, :, 0] == read).all()

large = rng.standard_normal((2, 12, 10, 3))
fast_y, fast_switches = max_pool2d(large, 2)
with scratchnet.textbook():
    plain_y, plain_switches = max_pool2d(large, 2)
assert (plain_y == fast_y).all()
assert (plain_switches.index == fast_switches.index).all()
for image, channel in np.ndindex(2, 3):
    slow_y, slow_switches = pool_by_loops(large[image, :, :, channel], 2)
    assert (fast_y[image, :, :, channel] == slow_y).all()
    assert (fast_switches.index[image, :, :, channel] == slow_switches).all()
    slow_back = unpool_by_loops(slow_y, slow_switches, 2)
    assert (max_unpool2d(fast_y, fast_switches)[image, :, :, channel] == slow_back).all()
print("loops and package agree on every value")

# %%
# The figure worth keeping
# ------------------------
# The thick frames show where each maximum was, and where unpooling puts a value later.

from scratchnet.visualization import draw_matrix, panels, save_figure

winners = [
    (2 * row + switches[row, column] // 2, 2 * column + switches[row, column] % 2) for row, column in np.ndindex(2, 2)
]
figure, (before, pooled, places, after) = panels(9, 2.9, columns=4, widths=(4, 2.4, 2.4, 4))
draw_matrix(before, x, "image", "a map", marked=winners)
draw_matrix(pooled, y, "output", "its maxima")
draw_matrix(places, switches.astype(float), "switch", "their switches")
draw_matrix(after, back, "output", "5, 7, 9, 12 unpooled", marked=winners, zeros=False)
save_figure(
    figure,
    "07-max-pool-switches",
    alt="A 4×4 map with the maximum of each 2×2 window framed, the four maxima, their switches 1, 3, 0 and 0, and "
    "the map after unpooling: four other values at exactly the framed positions, and empty elsewhere.",
)

# %%
# What breaks if …
# ----------------
# **… the switches are wrong?** Replace every switch by the opposite position (3 − switch). The values, the *sum* of the
# output and the shapes stay the same. Nothing crashes. Only the positions are wrong.

wrong = unpool_by_loops(upstream, 3 - switches, 2)
print("same sum:", np.isclose(wrong.sum(), analytic.sum()), "  same gradient:", np.allclose(wrong, analytic))
assert np.isclose(wrong.sum(), analytic.sum())
assert not np.allclose(wrong, analytic)

# %%
# In unpooling, the mistake even passes a gradient check with ones (lesson 2): its backward pass reads four ones at the
# wrong positions instead of four ones at the right ones. With random numbers the difference shows.

for name, dx in (("ones", np.ones((4, 4))), ("random numbers", upstream_large)):
    right, opposite = (unpool_backward_by_loops(dx, places, 2) for places in (switches, 3 - switches))
    print(f"with {name}, the wrong switches pass: {np.allclose(right, opposite)}")
    assert np.allclose(right, opposite) == (name == "ones")

# %%
# **… two positions hold the same maximum?** After a ReLU, which replaces negative values by 0, whole windows are 0.
# Here the first position in reading order wins, as in PyTorch and in ONNX, a format for exchanging networks. Any rule
# will do, provided it is always the same one.

tied = np.zeros((1, 2, 2, 1))
print("switch of a window of zeros:", max_pool2d(tied, 2)[1].index.item())
assert max_pool2d(tied, 2)[1].index.item() == 0

# %%
# **… the padding is zero?** Then the maximum of a window of negative values at the border is 0, a value that does not
# occur in the map. Max-pooling must pad with −∞, which never wins.

negative = -np.ones((1, 4, 4, 1))
padded, _ = max_pool2d(negative, 3, stride=2, padding=1)
print("maxima of a map of −1, with padding:", np.unique(padded))
assert (padded == -1).all()

# %%
# **… windows overlap?** With 3×3 windows two pixels apart, one pixel can be the maximum of several windows. Unpooling
# then *adds up* their values. Summing keeps it the exact gradient of pooling: every window contributes.

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
# 2. Pool the unpooled map again, with the same windows. When do you get the same maxima back, and when not? (Think of
#    negative values.)
# 3. How many bytes do the switches of DeconvNet's first pooling layer (lesson 15) need for one image (64 channels,
#    224×224 pixels before pooling): as ``int64``, as bytes, with two bits each?
# 4. PyTorch stores switches as positions in the whole map, numbered in reading order (row · width + column). Compute
#    them from the positions in the windows.
#
# ``scratchnet exercise start 7`` writes stubs for pooling and unpooling, their backward passes, and exercise 4
# (``07_flat_positions``); ``scratchnet exercise check 7`` checks them.
