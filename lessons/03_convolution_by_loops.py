r"""
3. Convolution, by loops
========================

**The question.** The outline of a cell looks the same wherever the cell lies. How can nine numbers find it everywhere
in an image?

You need NumPy's arrays. Lesson 1 shows the images; nothing of it is used here.
"""

# %%
# Write your prediction down first
# --------------------------------
# A grey image is an array of numbers with rows and columns; we call any such array a **map**. Below is a map ``x`` of
# 4×5 and a small array of 3×3, the **kernel**. Lay the kernel on the top left corner of the map, so that it
# covers 3×3 numbers, a **window**. Multiply each number of the window by the number of the kernel that lies on it,
# and add up the nine products: one number. Shift the kernel by one column, do it again, and so on for every place at
# which it lies wholly on the map. Write down, on paper:
#
# 1. how many rows and columns the array of results has;
# 2. its first number;
# 3. where its largest numbers are.

import numpy as np

from scratchnet.lesson import start_lesson

FAST = start_lesson()

x = np.array([[1, 1, 1, 5, 5], [1, 1, 1, 5, 5], [1, 1, 1, 5, 5], [1, 1, 1, 1, 1]], np.float64)
kernel = np.array([[-1, 0, 1], [-1, 0, 1], [-1, 0, 1]], np.float64)
print(x, kernel, sep="\n")

# %%
# By hand
# -------
# The first window holds nine ones: its left column counts −3, its right column +3, the sum is 0. The next window has
# the fives in its right column: −3 + 15 = 12. The kernel compares right with left: it answers 0 where all numbers are
# equal and a large number where the map steps up. That is a **convolution**: one kernel (also called a **filter**),
# laid on every place of a map. In the code kh and kw are the kernel's rows and columns, oh and ow those of the output;
# (o, q) is a place of the output and (i, j) a place of the kernel.


def convolve_map(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Return the sums of products of a kernel (kh, kw) with every window of a map (h, w)."""
    kh, kw = kernel.shape
    oh, ow = x.shape[0] - kh + 1, x.shape[1] - kw + 1  # the last window begins kh − 1 rows above the end
    y = np.zeros((oh, ow))
    for o in range(oh):
        for q in range(ow):
            for i in range(kh):
                for j in range(kw):
                    y[o, q] += x[o + i, q + j] * kernel[i, j]
    return y


y = convolve_map(x, kernel)
print(y)
assert y.tolist() == [[0, 12, 12], [0, 8, 8]]

# %%
# Two rows and three columns, 0 first, the largest numbers along the step. Turn the kernel by a quarter, ``kernel.T``,
# and it finds the step from top to bottom instead. The numbers of the kernel decide what is found. In this lesson we
# choose them. A **network** is many such operations, called its **layers**, each working on the answers of the one
# before it; one with many layers is *deep*. It *learns* the numbers of its kernels, and they are called **weights**.

# %%
# Sizes: padding and stride
# -------------------------
# The result is smaller than the map, by two rows and two columns for a 3×3 kernel. **Padding** prevents that: put *p*
# rows and columns of zeros round the map first. With p = 1 a 3×3 kernel has as many places as the map has numbers.
#
# The **stride** *s* is how far the kernel moves from one window to the next. With s = 2 every second place is left
# out, in both directions, and the result has about half the rows and half the columns.
#
# How many windows of *k* rows fit along *h* rows? The first begins at 0. Each next one begins *s* further. The last
# must end inside ``h + 2·p`` rows. Count them, and compare with the formula ``(h + 2·p − k) // s + 1``. (Kernels are
# mostly square, so *k* stands for kh and kw.)


def count_by_sliding(h: int, k: int, s: int, p: int) -> int:
    """Slide a window of k rows along h rows with padding p until it falls off the end."""
    count, start = 0, 0
    while start + k <= h + 2 * p:
        count += 1
        start += s
    return count


def windows_that_fit(h: int, k: int, s: int, p: int) -> int:
    """Return the same without sliding."""
    return (h + 2 * p - k) // s + 1


for h, k, s, p in [(4, 3, 1, 1), (4, 3, 2, 1), (7, 3, 2, 1), (8, 3, 2, 0), (224, 7, 2, 3)]:
    fit = windows_that_fit(h, k, s, p)
    print(f"h {h:3d}, k {k}, s {s}, p {p}: {fit} windows")
    assert fit == count_by_sliding(h, k, s, p)

# %%
# So 4 rows stay 4 with k = 3, s = 1, p = 1; they become 2 with s = 2; and 7 become 4. Here is the map of the
# beginning again, with padding, and the kernel on its way over it:

from scratchnet.viewing import convolution_frames, keep

keep(convolution_frames(x, kernel, padding=1), "03-a-kernel-slides")

# %%
# Channels
# --------
# A colour image has three numbers at every pixel: its shape is ``(h, w, 3)``. The last axis is that of the
# **channels**. A kernel for it has three numbers at each of its places as well, shape ``(kh, kw, 3)``, and the sum
# runs over all 3·3·3 = 27 products. Still one number comes out at each place, so the result is one map.
#
# To look for several things, use several kernels. Each gives a map, and the maps are stacked as the channels of the
# output. All kernels together are one array, the **weight**, of shape ``(kh, kw, c_in, c_out)``, with c_in channels
# going in and c_out coming out. Last, every output channel has one number of its own that is added everywhere, the
# **bias**: it moves the level above which an answer counts as positive. And since one mostly works on several images at
# a time, a **batch** of n, there is one axis more. This is the whole operation:


def conv_by_loops(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, stride: int = 1, padding: int = 0) -> np.ndarray:
    """Convolve x (n, h, w, c_in) with weight (kh, kw, c_in, c_out), add bias (c_out,): (n, oh, ow, c_out)."""
    n, h, w, _ = x.shape
    kh, kw, _, c_out = weight.shape
    p, s = padding, stride
    padded = np.pad(x, ((0, 0), (p, p), (p, p), (0, 0)))
    y = np.zeros((n, windows_that_fit(h, kh, s, p), windows_that_fit(w, kw, s, p), c_out))
    for image, o, q, b in np.ndindex(y.shape):
        window = padded[image, o * s : o * s + kh, q * s : q * s + kw]  # (kh, kw, c_in)
        y[image, o, q, b] = (window * weight[:, :, :, b]).sum() + bias[b]
    return y


assert (conv_by_loops(x[None, :, :, None], kernel[:, :, None, None], np.zeros(1))[0, :, :, 0] == y).all()

# %%
# Edges in a blood smear, by hand
# -------------------------------
# Now an image: a blood smear as a microscope shows it (drawn by scratchnet, after real ones). Kernel 0 compares right
# with left, kernel 1 compares below with above. The middle row or column counts twice, which makes the answer
# steadier (Sobel's kernels); dividing by 3 takes the mean of the three colours.

from scratchnet.data import read_image, sample_folder

smears = sample_folder("smears")
image = read_image(smears / "images" / "cells-0010.png")[None] / 255  # (1, 96, 96, 3), between 0 and 1
sobel = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], np.float64)
weight = np.zeros((3, 3, 3, 2))
for colour in range(3):
    weight[:, :, colour, 0] = sobel / 3
    weight[:, :, colour, 1] = sobel.T / 3
bias = np.zeros(2)

edges = conv_by_loops(image, weight, bias)  # (1, 94, 94, 2)
strength = np.hypot(edges[0, :, :, 0], edges[0, :, :, 1])
print("image", image.shape, " edges", edges.shape)
assert edges.shape == (1, 94, 94, 2)

# %%
# The figure worth keeping
# ------------------------
# In the two middle pictures grey is 0, black a large positive and white a large negative number: in pictures of numbers
# dark is large. The left side of a cell is light in the first of them (the ground round the cell is brighter than the
# cell, so going right is a step down), its right side is dark. In the other it is top and bottom. The two answers at a
# pixel are the sides of a right-angled triangle; its long side is the strength of the edge, whatever its direction,
# drawn in the last picture.

from scratchnet.viewing import panels

figure, axes = panels(11, 3.0, columns=4)
axes[0].imshow(image[0])
axes[1].imshow(edges[0, :, :, 0], cmap="Greys", vmin=-1.5, vmax=1.5)
axes[2].imshow(edges[0, :, :, 1], cmap="Greys", vmin=-1.5, vmax=1.5)
axes[3].imshow(strength, cmap="Greys")
titles = ("a blood smear, 96×96×3", "channel 0: right − left", "channel 1: below − above", "strength of the edge")
for one, title in zip(axes, titles, strict=True):
    one.set_title(title)
    one.set_axis_off()
keep(figure, "03-convolution-by-loops")

# %%
# How many numbers is that?
# -------------------------
# A convolution has ``kh·kw·c_in·c_out`` weights and ``c_out`` biases, however large the image is, because the same
# kernel is used at every place. The edge finder has 3·3·3·2 + 2 = 56.
#
# The first convolution of a well-known network, **VGG16** (Simonyan and Zisserman 2015; it says what an image shows,
# and has 16 layers with weights), makes 64 channels of the 3 colours of an image of 224×224: that is 1,792 numbers.
# Connecting every number of that image with every number of that output by a weight of its own would take 483
# *billion*.


def numbers_learned(kh: int, kw: int, c_in: int, c_out: int) -> int:
    """Count the weights and biases of a convolution."""
    return kh * kw * c_in * c_out + c_out


own = numbers_learned(3, 3, 3, 2)
first = numbers_learned(3, 3, 3, 64)
connected = (224 * 224 * 3) * (224 * 224 * 64)
print(f"edge finder {own}, first of VGG16 {first:,}, all connected {connected:,}")
assert own == weight.size + bias.size

# %%
# The packaged function, and a check
# ----------------------------------
# `scratchnet.ops.convolution` does the same quickly; lessons 4 and 17 say how. Two ways to the same numbers must
# agree.

from scratchnet.ops.convolution import conv2d

rng = np.random.default_rng(3)
worst = 0.0
for stride, padding in [(1, 0), (1, 1), (2, 0), (2, 1), (3, 2)]:
    batch, kernels = rng.standard_normal((2, 9, 8, 3)), rng.standard_normal((3, 3, 3, 4))
    slow = conv_by_loops(batch, kernels, np.arange(4.0), stride, padding)
    fast = conv2d(batch, kernels, np.arange(4.0), stride, padding)
    assert fast.shape == slow.shape
    worst = max(worst, np.abs(slow - fast).max())
print(f"largest difference between loops and package: {worst:.1e}")
assert worst < 1e-12

# %%
# One more property is worth a check, because it is the answer to the question: move the image, and the answers move
# with it, unchanged. A kernel that finds an outline in one place finds it in every place.

moved = np.roll(image, (5, 9), axis=(1, 2))  # 5 rows down, 9 columns to the right
answers = conv2d(moved, weight)
assert np.allclose(answers[:, 5:, 9:], edges[:, :-5, :-9])
print("the image moved by (5, 9), and so did every edge")

# %%
# What breaks if …
# ----------------
# **… the kernel is turned by 180°?** Mathematicians turn it before they multiply, and call that a convolution; what we
# do is then a *cross-correlation*. *Deep learning*, the craft of training deep networks, does not turn it, and keeps
# the name. For the step finder, turning changes the sign of every answer. For weights that are learned it makes no
# difference which of the two is used, as long as it is always the same one.

turned = convolve_map(x, kernel[::-1, ::-1])
print(turned)
assert (turned == -y).all()

# %%
# **… nobody pads?** Every 3×3 convolution then takes away two rows and two columns. After thirteen of them, as many as
# VGG16 has, 26 rows would be gone. An image of 28×28 would end as 2×2.

rows = 28
for _ in range(13):
    rows = windows_that_fit(rows, 3, 1, 0)
print("28 rows after 13 convolutions without padding:", rows)
assert rows == 2

# %%
# **… the padding is not what the image is like?** Zeros are black. Round a bright image they make a frame, and the
# edge finder finds it: with padding 1, of the 100 strongest answers 100 lie on the image's border. Subtract the
# image's mean first, so that 0 is an average grey, and the frame is much weaker. This is one reason why images are
# **normalised** before they enter a network: their mean is subtracted, and mostly they are divided by their spread.


def on_the_border(x: np.ndarray) -> int:
    """Count how many of the 100 strongest edges lie on the border."""
    edges = conv2d(x, weight, padding=1)
    strength = np.hypot(edges[0, :, :, 0], edges[0, :, :, 1])
    strongest = np.argsort(strength.ravel())[-100:]
    row, column = np.divmod(strongest, strength.shape[1])
    last = strength.shape[0] - 1
    return int(((row == 0) | (row == last) | (column == 0) | (column == last)).sum())


black_frame, mean_frame = on_the_border(image), on_the_border(image - image.mean(axis=(1, 2)))
print(f"of the 100 strongest edges on the border: {black_frame}, with the mean subtracted: {mean_frame}")

# %%
# **… the stride does not divide?** With 8 rows, k = 3, s = 2 and no padding, the windows begin at rows 0, 2 and 4.
# Row 7 is in none of them: whatever it holds, the answer is the same.

eight = rng.standard_normal((1, 8, 8, 1))
other = eight.copy()
other[:, 7] = 100.0
assert (conv2d(eight, kernel[:, :, None, None], stride=2) == conv2d(other, kernel[:, :, None, None], stride=2)).all()

# %%
# **… the channels do not fit?** Then nothing can be multiplied, and the package says so:

try:
    conv2d(np.zeros((1, 8, 8, 4)), weight)
except ValueError as error:
    print(error)

# %%
# Exercises
# ---------
# Solutions: ``lessons/solutions/03_convolution_by_loops.py``.
#
# 1. On paper: which sizes does a map of 10×6 have after a 3×3 kernel with p = 1, s = 1; after a 5×5 kernel with
#    p = 2, s = 2; after a 1×1 kernel with p = 0, s = 1?
# 2. Write a 3×3 kernel that takes the mean of its window. What does it do to a plain map? Where is the answer wrong
#    with padding 1, and why?
# 3. Two 3×3 convolutions follow each other. How many pixels of the image, in rows and columns, does one number of the
#    last map depend on? (This is its *receptive field*; lesson 7 needs it.) Compare the number of weights with those of
#    one convolution with as large a kernel, with 64 channels everywhere.
# 4. Write a weight ``(1, 1, 3, 1)`` that turns a colour image into a grey one.
