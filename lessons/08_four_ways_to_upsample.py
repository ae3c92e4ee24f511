r"""
8. Four ways to upsample a map
==============================

**The question.** Pooling halves a map, but the mask that we want has the full size. So every value must become four.
What should the other three be: copies, zeros, something remembered, or something learned?

You need lesson 3 (convolution, channels), lesson 5 (the gradient of a convolution with respect to its kernel) and
lesson 7 (switches).

**What you will build.** Unpooling by copies, zeros, switches and a learned kernel, their gradients, and a comparison of
the four on a blood smear.

**Time.** About 50 minutes, and as long again for the exercises.

**New terms**, one line each on :doc:`the page of terms </terms>`: upsampling, nearest, stencil, bed of nails,
transposed convolution, encoder, decoder.
"""

# %%
# Write your prediction down first
# --------------------------------
# Enlarging a map is called *upsampling*. The 2×2 map below is to become 4×4. It stands for a map that was obtained by
# pooling the 4×4 map below it and then changed by other operations. Write down:
#
# 1. your own suggestion for the large map, made from the four values alone;
# 2. what you would like to know about the map before pooling;
# 3. a guess. Suppose a kernel finds the edges in an image of cells (lesson 3), and its responses are pooled and
#    enlarged again. How large is the error, in per cent, if every value is copied? If each value is put back at its
#    position? If the missing values are learned?

import numpy as np
from PIL import Image

from scratchnet.data import sample_folder
from scratchnet.utils.lesson import start_lesson

FAST = start_lesson()

small = np.array([[1.0, 2.0], [3.0, 4.0]])
before_pooling = np.array([[1.0, 2.0, 6.0, 3.0], [3.0, 5.0, 2.0, 1.0], [1.0, 2.0, 2.0, 1.0], [7.0, 3.0, 4.0, 8.0]])
print("to enlarge\n", small)
print("what was pooled\n", before_pooling)

# %%
# By hand
# -------
# 1. **Nearest:** repeat every value over its window of 2×2.
# 2. **Bed of nails:** put the value at the top left position of its window, like a nail, and 0 elsewhere.
# 3. **Switches:** put the value where the maximum of the window was before pooling (lesson 7), and 0 elsewhere.
# 4. **Learned:** put a copy of a small kernel, multiplied by the value, on the window. The kernel is learned, just like
#    that of a convolution. This is called a **transposed convolution**; the next lesson explains the name.
#
# Written as loops, all four do the same thing. They put a **stencil** of 2×2 values on every window, multiplied by the
# value of the pooled map. They differ in who chooses the stencil.


def enlarge_by_loops(y: np.ndarray, stencil_of) -> np.ndarray:
    """Return the map (2h, 2w) whose 2×2 windows are y[row, column] times the stencil for that window."""
    x = np.zeros((2 * y.shape[0], 2 * y.shape[1]))
    for row, column in np.ndindex(y.shape):
        x[2 * row : 2 * row + 2, 2 * column : 2 * column + 2] = y[row, column] * stencil_of(row, column)
    return x


def one_at(place: int) -> np.ndarray:
    """Return the stencil with 1 at a position numbered in reading order, and 0 elsewhere."""
    stencil = np.zeros(4)
    stencil[place] = 1.0
    return stencil.reshape(2, 2)


def switches_by_loops(x: np.ndarray) -> np.ndarray:
    """Return the switch of every 2×2 window, as in lesson 7."""
    windows = x.reshape(x.shape[0] // 2, 2, x.shape[1] // 2, 2).transpose(0, 2, 1, 3)
    return windows.reshape(*windows.shape[:2], 4).argmax(axis=2)


switches = switches_by_loops(before_pooling)
kernel = np.array([[0.5, 1.0], [0.0, 0.5]])  # an example of a kernel that training might produce
by_hand = {
    "nearest": enlarge_by_loops(small, lambda row, column: np.ones((2, 2))),
    "bed of nails": enlarge_by_loops(small, lambda row, column: one_at(0)),
    "switches": enlarge_by_loops(small, lambda row, column: one_at(switches[row, column])),
    "learned": enlarge_by_loops(small, lambda row, column: kernel),
}
for name, enlarged in by_hand.items():
    print(name)
    print(enlarged)
assert by_hand["nearest"].tolist() == [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]
assert by_hand["bed of nails"].tolist() == [[1, 0, 2, 0], [0, 0, 0, 0], [3, 0, 4, 0], [0, 0, 0, 0]]
assert by_hand["switches"].tolist() == [[0, 0, 2, 0], [0, 1, 0, 0], [0, 0, 0, 0], [3, 0, 0, 4]]

# %%
# Nearest and bed of nails each have one fixed stencil that we choose. Switches select one of four stencils for each
# window: the *image* chooses. The learned stencil is the same in every window, and *training* chooses it. Training
# could also arrive at ``[[1, 1], [1, 1]]``, which is nearest, or at ``[[1, 0], [0, 0]]``, which is bed of nails. It can
# never arrive at switches, because a single kernel cannot represent where the maximum was in each window.

# %%
# The gradients
# -------------
# Each output is a value times an entry of the stencil. So the slope with respect to a value is the sum of the slopes in
# its window, each multiplied by the stencil's entry. For nearest this is the sum over the copies; for bed of nails, the
# slope at the nail; for switches, the slope at the switch. For the learned stencil, the window is multiplied by the
# kernel and summed, which is an ordinary convolution with stride 2. The kernel has a gradient too: each of its entries
# is multiplied by every value of the map.


def enlarge_backward_by_loops(dx: np.ndarray, y: np.ndarray, stencil_of) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradients with respect to the map y and to the stencil (summed over the windows)."""
    dy, dstencil = np.zeros(y.shape), np.zeros((2, 2))
    for row, column in np.ndindex(y.shape):
        window = dx[2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
        dy[row, column] = (window * stencil_of(row, column)).sum()
        dstencil += y[row, column] * window
    return dy, dstencil


rng = np.random.default_rng(8)
upstream = rng.standard_normal((4, 4))  # the upstream gradient, random as lesson 2 recommends
worst = 0.0
for stencil_of in (
    lambda row, column: np.ones((2, 2)),
    lambda row, column: one_at(0),
    lambda row, column: one_at(switches[row, column]),
    lambda row, column: kernel,
):
    analytic, _ = enlarge_backward_by_loops(upstream, small, stencil_of)
    for place in np.ndindex(small.shape):
        step = np.zeros_like(small)
        step[place] = 1e-5
        above, below = (enlarge_by_loops(small + sign * step, stencil_of) for sign in (1, -1))
        worst = max(worst, abs(((above - below) * upstream).sum() / 2e-5 - analytic[place]))
print(f"largest difference between numerical and analytic gradients: {worst:.1e}")
assert worst < 1e-8

# %%
# The packaged functions
# ----------------------
# The packaged functions take batches of images with channels, ``(n, h, w, c)``; in ``scratchnet/ops/resampling.py`` the
# first two and their gradients take one or two lines of array code each. The transposed convolution has a kernel
# for every pair of an output and an input channel, ``(kh, kw, c_out, c_in)``, and the kernel can have any size. The
# stride is the distance between neighbouring copies: with a 3×3 or 4×4 kernel and stride 2 they overlap, and
# overlapping values are added. The padding is the number of rows and columns that are then removed on each side
# (lesson 9).

from scratchnet.ops.pooling import max_pool2d, max_unpool2d
from scratchnet.ops.resampling import bed_of_nails, upsample_nearest, upsample_nearest_backward
from scratchnet.ops.transposed import conv_transpose2d, conv_transpose2d_backward

batch = small.reshape(1, 2, 2, 1)
pooled, remembered = max_pool2d(before_pooling.reshape(1, 4, 4, 1), 2)
packaged = {
    "nearest": upsample_nearest(batch, 2),
    "bed of nails": bed_of_nails(batch, 2),
    "switches": max_unpool2d(batch, remembered),
    "learned": conv_transpose2d(batch, kernel.reshape(2, 2, 1, 1), stride=2),
}
for name, enlarged in packaged.items():
    assert (enlarged[0, :, :, 0] == by_hand[name]).all()
dsmall, dkernel, _ = conv_transpose2d_backward(
    upstream.reshape(1, 4, 4, 1), batch, kernel.reshape(2, 2, 1, 1), stride=2
)
slow_dsmall, slow_dkernel = enlarge_backward_by_loops(upstream, small, lambda row, column: kernel)
assert np.allclose(dsmall[0, :, :, 0], slow_dsmall)
assert np.allclose(dkernel[:, :, 0, 0], slow_dkernel)
print("loops and package agree, forward and backward")

# %%
# On a real map
# -------------
# Take two blood smears. Apply the edge detector of lesson 3 to the darkness of the green channel, which the stain
# darkens most. It responds where a cell begins on the left; negative responses become 0. The result is scaled so that
# the mean of its squares is 1. We pool it, enlarge it in each way, and measure the relative error with respect to the
# map before pooling: the root of the summed squared differences, divided by the root of the summed squares. Perfect is
# 0 %, and a map of zeros has 100 %.
#
# The kernels are learned on the first smear and **measured on the second**. They are trained with gradient descent:
# apply the kernel, compute the gradient of the squared error with respect to it (as in the loops above), take a small
# step downhill, repeat.

from scratchnet.ops.convolution import conv2d

DATA = sample_folder("smears")
EDGE = np.array([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]).reshape(3, 3, 1, 1)


def edges(name: str) -> np.ndarray:
    """Return a map (1, h − 2, w − 2, 1) of how strongly each pixel is the left edge of something dark."""
    darkness = 1 - np.asarray(Image.open(DATA / "images" / f"{name}.png"))[None, :, :, 1:2] / 255
    response = np.maximum(conv2d(darkness, EDGE), 0)
    return response / np.sqrt((response**2).mean())


def train(x: np.ndarray, wanted: np.ndarray, size: int, **settings: int) -> np.ndarray:
    """Return the kernel (size, size, 1, 1) whose transposed convolution of x is closest to the wanted map."""
    learned = np.zeros((size, size, 1, 1))
    for _ in range(300):
        error = conv_transpose2d(x, learned, **settings) - wanted
        _, dlearned, _ = conv_transpose2d_backward(error / error.size, x, learned, **settings)  # gradient of error²/2
        learned = learned - 0.3 * dlearned  # the learning rate is 0.3
    return learned


first, second = edges("cells-0000"), edges("cells-0001")
y, switches_of_y = max_pool2d(first, 2)
narrow = train(y, first, 2, stride=2)
wide = train(y, first, 4, stride=2, padding=1)
filling = train(max_unpool2d(y, switches_of_y), first, 3, padding=1)

y, switches_of_y = max_pool2d(second, 2)
enlarged = {
    "bed of nails": bed_of_nails(y, 2),
    "nearest": upsample_nearest(y, 2),
    "switches": max_unpool2d(y, switches_of_y),
    "learned 2×2": conv_transpose2d(y, narrow, stride=2),
    "learned 4×4": conv_transpose2d(y, wide, stride=2, padding=1),
    "switches, then learned 3×3": conv_transpose2d(max_unpool2d(y, switches_of_y), filling, padding=1),
}
error = {name: 100 * np.sqrt(((x - second) ** 2).sum() / (second**2).sum()) for name, x in enlarged.items()}
for name, percent in error.items():
    print(f"{percent:4.0f} %  {name}")

# %%
# Bed of nails is hardly better than a map of zeros, with an error of 91 %: three quarters of the map are empty, and the
# values are at the right positions only by chance. Switches put every value at the right position, but the error is
# still 74 %, because the map is just as empty. Copies have 60 %: there are no holes, but the *maximum* of each window
# appears four times. The learned 2×2 stencil, which reflects how much smaller the other pixels of a window usually are,
# has 42 %. Overlapping copies of a 4×4 kernel, which combine neighbouring values, reach 38 %. Combining two methods is
# best: switches determine *where* the values go, and a learned kernel of only 3×3 fills the holes: 32 %. **This
# combination is the second half of DeconvNet**, its *decoder* (Noh, Hong, Han 2015, section 3.2): unpooling, then
# transposed convolution, at every size. The first half, which makes the maps smaller, is the *encoder*.

print("what the filling kernel has learned\n", filling[:, :, 0, 0].round(2))

# %%
# The figures worth keeping
# -------------------------

from scratchnet.visualization import draw_matrix, panels, save_figure

winners = [
    (2 * row + switches[row, column] // 2, 2 * column + switches[row, column] % 2) for row, column in np.ndindex(2, 2)
]
figure, axes = panels(11.5, 2.6, columns=6, widths=(2, 4, 4, 4, 4, 4))
draw_matrix(axes[0], small, "image", "to enlarge")
draw_matrix(axes[1], before_pooling, "image", "what was pooled", marked=winners)
for one, (name, result) in zip(axes[2:], by_hand.items(), strict=True):
    draw_matrix(one, result, "output", name, marked=winners if name == "switches" else (), zeros=False)
save_figure(
    figure,
    "08-four-ways-by-hand",
    alt="A 2×2 map enlarged to 4×4 in four ways: nearest copies each value four times, bed of nails puts it at "
    "the upper left of its window, switches put it where the maximum was, and a learned kernel spreads it.",
)

# %%

piece, pooled_piece = np.s_[8:48, 50:90], np.s_[4:24, 25:45]  # small enough to see single pixels
figure, axes = panels(10, 5.6, rows=2, columns=4)
shown = {
    "before pooling": (second, None),
    "pooled": (y, None),
    **{name: (x, error[name]) for name, x in enlarged.items()},
}
for one, (name, (values, percent)) in zip(axes, shown.items(), strict=True):
    one.imshow(values[0, :, :, 0][pooled_piece if name == "pooled" else piece], cmap="Greys", vmin=0, vmax=4)
    one.set_title(name if percent is None else f"{name}: {percent:.0f} %", fontsize=9.5)
    one.set_xticks([])
    one.set_yticks([])
save_figure(
    figure,
    "08-four-ways-on-a-smear",
    alt="A response to edges in a smear, pooled, and enlarged by six methods, each with its error. Bed of nails "
    "and switches leave isolated dots; the learned kernels are smoother and closer to the original.",
)

# %%
# What breaks if …
# ----------------
# **… the backward pass of nearest keeps one of the four slopes instead of summing them?** This looks right, since the
# four copies are equal. But their *slopes* are not. A gradient check reveals the difference:

right = upsample_nearest_backward(upstream.reshape(1, 4, 4, 1), 2)[0, :, :, 0]
subsampled = upstream[::2, ::2]
print("summed\n", right.round(2), "\nsubsampled\n", subsampled.round(2))
assert not np.allclose(right, subsampled)

# %%
# **… bed of nails is used five times in a row?** VGG16 pools five times, to 1/32 of the image's height and width. Each
# bed of nails can move a value up and left by one pixel of its own map. Put one bright pixel at the bottom right of a
# 32×32 map, pool it five times, and enlarge it again:

dot = np.zeros((1, 32, 32, 1))
dot[0, 31, 31, 0] = 1.0
memory, tiny = [], dot
for _ in range(5):
    tiny, of_this_pool = max_pool2d(tiny, 2)
    memory.append(of_this_pool)
nailed, switched = tiny, tiny
for of_this_pool in reversed(memory):
    nailed, switched = bed_of_nails(nailed, 2), max_unpool2d(switched, of_this_pool)
rows_off = 31 - int(np.argwhere(nailed[0, :, :, 0])[0, 0])
print(f"bed of nails: {rows_off} rows too high;  switches: back at its position: {(switched == dot).all()}")
assert (switched == dot).all()

# %%
# With bed of nails, the pixel comes back 31 rows too high. Copies would have spread it over the whole 32×32 map.
# Switches return it to its exact position.
#
# **… the size of the map was odd?** A map of 45 rows is pooled to 23 if the last, incomplete window counts. Every
# method that doubles the size returns 46 rows. Switches remember that there were 45.

odd, odd_switches = max_pool2d(rng.standard_normal((1, 45, 45, 1)), 2, ceil_mode=True)
print("45 →", odd.shape[1], "→", upsample_nearest(odd, 2).shape[1], "or", max_unpool2d(odd, odd_switches).shape[1])
assert max_unpool2d(odd, odd_switches).shape[1] == 45

# %%
# **… the learned kernel is smaller than the stride?** Then no copy covers some of the pixels, and they stay 0 whatever
# the kernel learns.

holes = conv_transpose2d(np.ones((1, 4, 4, 1)), np.ones((2, 2, 1, 1)), stride=3)
print(f"a 2×2 kernel at stride 3 leaves {np.mean(holes == 0):.0%} of the pixels empty")
assert (holes == 0).any()

# %%
# Exercises
# ---------
# Solutions: ``lessons/solutions/08_four_ways_to_upsample.py``.
#
# 1. Write nearest as a transposed convolution, for a map with three channels. What does its weight ``(2, 2, 3, 3)``
#    contain?
# 2. Enlarge a map of positive values and max-pool the result with 2×2 windows. Which of the four methods return exactly
#    the small map? What happens if the map has negative values?
# 3. The best possible 2×2 stencil can be computed without gradient descent. Since the copies do not overlap, each entry
#    *a* of the stencil is the solution of a problem with one unknown: minimise Σ (a·y − x)², where x are the pixels at
#    that position of their windows. Solve it and compare with ``narrow``.
# 4. A transposed convolution doubles a map of 512 channels with a 4×4 kernel. How many parameters does it have? How
#    many do switches have?
#
# ``scratchnet exercise start 8`` writes stubs for the forward and backward passes of four ways to upsample: copies,
# nails, a stencil and straight lines between neighbours (``08_interpolation``, whose stub has the formula;
# lesson 10 explains it); ``scratchnet exercise check 8`` checks them.
