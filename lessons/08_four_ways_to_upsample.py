r"""
8. Four ways to make a map large again
======================================

**The question.** Pooling halves a map, and the mask that we want has the full size. Every number must become four. What
should the other three be: copies, zeros, something remembered, or something learned?

You need lesson 3 (convolution, channels), lesson 5 (a convolution's gradient by its kernel) and lesson 7 (switches).
"""

# %%
# Write your prediction down first
# --------------------------------
# The map of 2×2 below is to become 4×4. It stands for a map that was pooled from the 4×4 map below it, and then changed
# by other operations. Write down:
#
# 1. your own idea of the large map, made from the four numbers alone;
# 2. what about the map before pooling you would like to know for it;
# 3. a guess: a kernel finds the edges in an image of cells (lesson 3), and its answers are pooled and made large again.
#    How much of them is then wrong, in per cent, if every number is copied? If each is put back at its place? If the
#    filling is learned?

import numpy as np
from PIL import Image

from scratchnet.data import sample_folder
from scratchnet.lesson import start_lesson

FAST = start_lesson()

small = np.array([[1.0, 2.0], [3.0, 4.0]])
before_pooling = np.array([[1.0, 2.0, 6.0, 3.0], [3.0, 5.0, 2.0, 1.0], [1.0, 2.0, 2.0, 1.0], [7.0, 3.0, 4.0, 8.0]])
print("to enlarge\n", small)
print("what was pooled\n", before_pooling)

# %%
# By hand
# -------
# 1. **Nearest:** repeat every number over its window, 2 rows by 2 columns.
# 2. **Bed of nails:** put it in the window's top left place, like a nail, and leave 0 elsewhere.
# 3. **Switches:** put it where the window's maximum was before pooling (lesson 7), and leave 0 elsewhere.
# 4. **Learned:** keep a small kernel. Put a copy of the kernel on the window, multiplied by the number. What the kernel
#    looks like is left to training, as with a convolution's kernel. This is called a **transposed convolution**; the
#    next lesson says why.
#
# Written as loops, all four do the same thing. They put a **stencil** of 2×2 numbers on every window, multiplied by the
# window's number. They differ in who chooses the stencil.


def enlarge_by_loops(y: np.ndarray, stencil_of) -> np.ndarray:
    """Return the map (2h, 2w) whose 2×2 windows are y[row, column] times the stencil of that window."""
    x = np.zeros((2 * y.shape[0], 2 * y.shape[1]))
    for row, column in np.ndindex(y.shape):
        x[2 * row : 2 * row + 2, 2 * column : 2 * column + 2] = y[row, column] * stencil_of(row, column)
    return x


def one_at(place: int) -> np.ndarray:
    """Return the stencil with 1 at a place counted in reading order, 0 elsewhere."""
    stencil = np.zeros(4)
    stencil[place] = 1.0
    return stencil.reshape(2, 2)


def switches_by_loops(x: np.ndarray) -> np.ndarray:
    """Return the switch of every 2×2 window, as in lesson 7."""
    windows = x.reshape(x.shape[0] // 2, 2, x.shape[1] // 2, 2).transpose(0, 2, 1, 3)
    return windows.reshape(*windows.shape[:2], 4).argmax(axis=2)


switches = switches_by_loops(before_pooling)
kernel = np.array([[0.5, 1.0], [0.0, 0.5]])  # some kernel, as training might leave it
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
# Nearest and nails have one stencil for ever, made by us. Switches choose among four stencils, window by window: the
# *image* chooses. The learned stencil is the same in every window, chosen by *training*. Training could also have ended
# at ``[[1, 1], [1, 1]]``, which is nearest, or at ``[[1, 0], [0, 0]]``, which is nails. It can never end at switches:
# no single kernel can know where in each window the maximum was.

# %%
# Back again: the gradients
# -------------------------
# Each output is a number times a stencil's entry. So the gradient of a number is the sum of the gradients in its
# window, each multiplied by that entry. Nearest: the sum over the copies. Nails: the gradient read at the nail.
# Switches: read at the switch. Learned: the window multiplied by the kernel and summed, which is an ordinary
# convolution with stride 2. And the kernel gets a gradient, too: each of its entries met every number of the map.


def enlarge_backward_by_loops(dx: np.ndarray, y: np.ndarray, stencil_of) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradients by the map y and, summed over the windows, by the stencil."""
    dy, dstencil = np.zeros(y.shape), np.zeros((2, 2))
    for row, column in np.ndindex(y.shape):
        window = dx[2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
        dy[row, column] = (window * stencil_of(row, column)).sum()
        dstencil += y[row, column] * window
    return dy, dstencil


rng = np.random.default_rng(8)
upstream = rng.standard_normal((4, 4))  # the gradient that comes from above: random, as lesson 2 wants it
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
# They take images in batches with channels, ``(n, h, w, c)``. The learned way has a kernel for every pair of an output
# and an input channel, ``(kh, kw, c_out, c_in)``, and any size of kernel. Its stride is how far apart the copies are
# put: with 3×3 or 4×4 numbers at stride 2 they overlap, and what overlaps is added. Its padding is how many rows and
# columns are then cut off on each side (lesson 9).

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
print("loops and package agree, forwards and backwards")

# %%
# On a real map
# -------------
# Take two blood smears. The edge finder of lesson 3, slid over the darkness of the green channel (which the stain
# darkens most), answers where a cell begins on the left; negative answers become 0. The result is scaled so that the
# mean of its squares is 1. We pool it, enlarge it in each way, and measure how far that is from the map before pooling:
# the root of the summed squared differences, divided by the root of the summed squares. 0 % is perfect, and a map of
# zeros has 100 %.
#
# What is learned is learned on the first smear and **measured on the second**. The rule is that of every training: try
# the kernel, take the gradient of the squared error by the kernel (as the loops above do), go a small step against it,
# repeat.

from scratchnet.ops.convolution import conv2d

DATA = sample_folder("smears")
EDGE = np.array([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]).reshape(3, 3, 1, 1)


def edges(name: str) -> np.ndarray:
    """Return the map (1, h − 2, w − 2, 1) of how strongly each pixel is the left edge of something dark."""
    darkness = 1 - np.asarray(Image.open(DATA / "images" / f"{name}.png"))[None, :, :, 1:2] / 255
    response = np.maximum(conv2d(darkness, EDGE), 0)
    return response / np.sqrt((response**2).mean())


def train(x: np.ndarray, wanted: np.ndarray, size: int, **settings: int) -> np.ndarray:
    """Return the kernel (size, size, 1, 1) whose transposed convolution brings x nearest to the wanted map."""
    learned = np.zeros((size, size, 1, 1))
    for _ in range(300):
        error = conv_transpose2d(x, learned, **settings) - wanted
        _, dlearned, _ = conv_transpose2d_backward(error / error.size, x, learned, **settings)  # slopes of error²/2
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
    print(f"{percent:6.1f} %  {name}")

# %%
# Nails are hardly better than nothing at all, with 91 %: three quarters of the map are empty, and the rest stands at
# places that were right only by chance. Bare switches have everything at its right place and still 74 %, for the map is
# as empty. Copies have 60 %: no holes, but each window's *maximum* stands four times. A learned stencil of four
# numbers, which found out how much smaller the other pixels of a window usually are, has 42 %; overlapping copies of
# 4×4 numbers, which let neighbours agree on what lies between them, 38 %. The best is a team: switches say *where*, and
# a learned kernel of only nine numbers fills the holes: 32 %. **This team is the second half of DeconvNet**, called its
# *decoder* (Noh, Hong, Han 2015, section 3.2): unpooling, then transposed convolution, at every size. The first half,
# which makes the maps smaller, is the *encoder*.

print("what the filling kernel has learned\n", filling[:, :, 0, 0].round(2))

# %%
# The figures worth keeping
# -------------------------

from scratchnet.viewing import draw_matrix, keep, panels

winners = [
    (2 * row + switches[row, column] // 2, 2 * column + switches[row, column] % 2) for row, column in np.ndindex(2, 2)
]
figure, axes = panels(11.5, 2.6, columns=6, widths=(2, 4, 4, 4, 4, 4))
draw_matrix(axes[0], small, "image", "to enlarge")
draw_matrix(axes[1], before_pooling, "image", "what was pooled", marked=winners)
for one, (name, result) in zip(axes[2:], by_hand.items(), strict=True):
    draw_matrix(one, result, "output", name, marked=winners if name == "switches" else (), zeros=False)
keep(figure, "08-four-ways-by-hand")

# %%

piece, pooled_piece = np.s_[8:48, 50:90], np.s_[4:24, 25:45]  # small enough to tell pixels apart
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
keep(figure, "08-four-ways-on-a-smear")

# %%
# What breaks if …
# ----------------
# **… the backward pass of nearest keeps one gradient of the four instead of summing them?** This looks right, since the
# four copies are equal. But their *gradients* are not. A gradient check tells them apart:

right = upsample_nearest_backward(upstream.reshape(1, 4, 4, 1), 2)[0, :, :, 0]
subsampled = upstream[::2, ::2]
print("summed\n", right.round(2), "\nsubsampled\n", subsampled.round(2))
assert not np.allclose(right, subsampled)

# %%
# **… nails are used five times in a row?** VGG16 pools five times, to 1/32 of the image's rows and columns. Each bed of
# nails can move a value by one pixel of its own map, to the left and up. Put one bright pixel at the bottom right of
# a 32×32 map, pool it five times, and bring it back:

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
print(f"nails: {rows_off} rows too high;  switches: back at its place: {(switched == dot).all()}")
assert (switched == dot).all()

# %%
# It comes back 31 rows too high. Copies would have made one square of 32×32 of it. Switches put it back to the pixel.
#
# **… the map's size was odd?** A map of 45 rows pools to 23, if the last, incomplete window counts. All ways that
# multiply by two return 46 rows. Switches remember that it was 45.

odd, odd_switches = max_pool2d(rng.standard_normal((1, 45, 45, 1)), 2, ceil_mode=True)
print("45 →", odd.shape[1], "→", upsample_nearest(odd, 2).shape[1], "or", max_unpool2d(odd, odd_switches).shape[1])
assert max_unpool2d(odd, odd_switches).shape[1] == 45

# %%
# **… the learned kernel is smaller than the stride?** Then no copy reaches some pixels: they stay 0 whatever is
# learned.

holes = conv_transpose2d(np.ones((1, 4, 4, 1)), np.ones((2, 2, 1, 1)), stride=3)
print(f"a 2×2 kernel at stride 3 leaves {np.mean(holes == 0):.0%} of the pixels empty")
assert (holes == 0).any()

# %%
# Exercises
# ---------
# Solutions: ``lessons/solutions/08_four_ways_to_upsample.py``.
#
# 1. Write nearest, for a map with three channels, as a transposed convolution. What is in its weight
#    ``(2, 2, 3, 3)``?
# 2. Enlarge a map of positive numbers and max-pool the result with 2×2 windows. Which of the four ways give the small
#    map back exactly? And if it has negative numbers?
# 3. The best possible 2×2 stencil need not be searched step by step. Copies do not overlap, so each entry *a* of the
#    stencil is a problem with one unknown: make Σ (a·y − x)² small, where x are the pixels at that place of their
#    windows. Solve it and compare with ``narrow``.
# 4. How many numbers are learned by a transposed convolution that doubles a map of 512 channels with a 4×4 kernel? How
#    many by the switches?
