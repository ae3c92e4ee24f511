r"""
3. Convolution, by loops
========================

**The question.** The outline of a cell looks the same wherever the cell is. How can nine numbers find it everywhere in
an image?

You need to know NumPy's arrays. Lesson 1 introduces the images; nothing else from it is used here.

**What you will build.** A convolution with padding, stride, channels and batches in plain loops, and with it an edge
detector for blood smears.

**Time.** About 50 minutes, and as long again for the exercises.

**New terms**, one line each on :doc:`the page of terms </terms>`: map, feature map, kernel, filter, window,
convolution, layer, weights, padding, stride, channel, bias, batch, mini-batch, batch size, tensor, VGG16,
cross-correlation, deep learning, normalised.
"""

# %%
# Write your prediction down first
# --------------------------------
# A grey image is an array of numbers with rows and columns. We call any such array a **map**, or, inside a network, a
# *feature map*. Below are a 4×5 map ``x`` and a small 3×3 array, the **kernel**. Place the kernel on the top left
# corner of the map, so that it covers 3×3 pixels, a **window**. Multiply each value of the window by the kernel value
# on top of it and add up the nine products: this gives one number. Shift the kernel by one column and repeat, and so on
# for every position where the whole kernel is on the map. Write down on paper:
#
# 1. how many rows and columns the array of results has;
# 2. its first value;
# 3. where its largest values are.

import numpy as np

from scratchnet.utils.lesson import start_lesson

FAST = start_lesson()

x = np.array([[1, 1, 1, 5, 5], [1, 1, 1, 5, 5], [1, 1, 1, 5, 5], [1, 1, 1, 1, 1]], np.float64)
kernel = np.array([[-1, 0, 1], [-1, 0, 1], [-1, 0, 1]], np.float64)
print(x, kernel, sep="\n")

# %%
# By hand
# -------
# The first window holds nine ones: its left column counts −3 and its right column +3, so the sum is 0. The next window
# has the fives in its right column: −3 + 15 = 12. The kernel compares right with left: its response is 0 where all
# values are equal, and large where the map steps up. This operation is a **convolution**: one kernel (also called a
# **filter**) is applied at every position of a map. In the code, kh and kw are the height and width of the kernel, and
# oh and ow those of the output; (o, q) is a position in the output and (i, j) a position in the kernel.


def convolve_map(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Return the sum of products of a kernel (kh, kw) with every window of a map (h, w)."""
    kh, kw = kernel.shape
    oh, ow = x.shape[0] - kh + 1, x.shape[1] - kw + 1  # the last window begins kh − 1 rows above the last row
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
# The result has two rows and three columns; it starts with 0, and its largest values are along the step. Use the
# transposed kernel, ``kernel.T``, and it finds steps from top to bottom instead. The values of the kernel determine
# what is found. In this lesson we choose them. A **network** consists of many such operations, called its **layers**,
# each applied to the output of the previous one; a network with many layers is *deep*. It *learns* the values of its
# kernels, which are called **weights**.

# %%
# Sizes: padding and stride
# -------------------------
# The result is smaller than the map, by two rows and two columns for a 3×3 kernel. **Padding** prevents that: first add
# *p* rows and columns of zeros on every side of the map. With p = 1 a 3×3 kernel has as many positions as the map has
# pixels.
#
# The **stride** *s* is how far the kernel moves from one window to the next. With s = 2 it visits every second position
# in both directions, and the result has about half the rows and half the columns.
#
# How many windows of *k* rows fit along *h* rows? The first begins at row 0, and each of the others begins *s* rows
# after the previous one. The last must end within ``h + 2·p`` rows. Count them, and compare with the formula
# ``(h + 2·p − k) // s + 1``. (Kernels are usually square, so *k* stands for both kh and kw.)


def count_by_sliding(h: int, k: int, s: int, p: int) -> int:
    """Slide a window of k rows along h rows with padding p, and count until it no longer fits."""
    count, start = 0, 0
    while start + k <= h + 2 * p:
        count += 1
        start += s
    return count


def windows_that_fit(h: int, k: int, s: int, p: int) -> int:
    """Return the same count from the formula."""
    return (h + 2 * p - k) // s + 1


for h, k, s, p in [(4, 3, 1, 1), (4, 3, 2, 1), (7, 3, 2, 1), (8, 3, 2, 0), (224, 7, 2, 3)]:
    fit = windows_that_fit(h, k, s, p)
    print(f"h {h:3d}, k {k}, s {s}, p {p}: {fit} windows")
    assert fit == count_by_sliding(h, k, s, p)

# %%
# So 4 rows stay 4 with k = 3, s = 1, p = 1; they become 2 with s = 2; and 7 become 4. The animation shows the first map
# again, now with padding, and the kernel sliding over it:

from scratchnet.visualization import convolution_frames, save_figure

save_figure(
    convolution_frames(x, kernel, padding=1),
    "03-a-kernel-slides",
    alt="Animation: the 3×3 kernel moves over the map, which zeros surround. At each position the sum of the "
    "products appears in the output, which is as large as the map.",
)

# %%
# .. widget:: convolution
#
#    On the lesson's page, you can change the kernel size, the stride, the padding and the dilation (lesson 13), and
#    read the sum of every window.

# %%
# Channels
# --------
# A colour image has three values at every pixel: its shape is ``(h, w, 3)``. The last axis holds the **channels**. A
# kernel for such an image also has three values at each position, shape ``(kh, kw, 3)``, and the sum runs over all
# 3·3·3 = 27 products. It still gives one number per position, so the result is one map.
#
# To look for several things, use several kernels. Each gives a map, and the maps are stacked as the channels of the
# output. All kernels together form one array, the **weight**, of shape ``(kh, kw, c_in, c_out)``, for c_in input
# channels and c_out output channels. Finally, every output channel has one value of its own that is added everywhere,
# the **bias**: it shifts the level above which a response counts as positive. And since we usually process several
# images together, a **batch** of n, the *batch size* (in training it is also called a *mini-batch*), there is one more
# axis. An array with any number of axes is often called a *tensor*. This is the whole operation:


def conv_by_loops(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, stride: int = 1, padding: int = 0) -> np.ndarray:
    """Convolve x (n, h, w, c_in) with weight (kh, kw, c_in, c_out) and add bias (c_out,): (n, oh, ow, c_out)."""
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
# Finding the edges in a blood smear
# ----------------------------------
# Now an image: a blood smear under the microscope (drawn by scratchnet to resemble real ones). Kernel 0 compares right
# with left, and kernel 1 compares below with above. The middle row or column counts twice, which makes the response
# less sensitive to single pixels (these are Sobel's kernels); dividing by 3 averages the three colours.

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
# In the two middle pictures grey is 0, black is a large positive value and white a large negative one. In the first of
# them, the left side of a cell is light and its right side is dark: the background is brighter than the cell, so moving
# right into the cell is a step down. In the second, the same holds for top and bottom. The two responses at a pixel are
# the legs of a right-angled triangle; the length of its hypotenuse is the strength of the edge, whatever its direction.
# The last picture shows this strength.

from scratchnet.visualization import panels

figure, axes = panels(11, 3.0, columns=4)
axes[0].imshow(image[0])
axes[1].imshow(edges[0, :, :, 0], cmap="Greys", vmin=-1.5, vmax=1.5)
axes[2].imshow(edges[0, :, :, 1], cmap="Greys", vmin=-1.5, vmax=1.5)
axes[3].imshow(strength, cmap="Greys")
titles = ("a blood smear, 96×96×3", "channel 0: right − left", "channel 1: below − above", "strength of the edge")
for one, title in zip(axes, titles, strict=True):
    one.set_title(title)
    one.set_axis_off()
save_figure(
    figure,
    "03-convolution-by-loops",
    alt="A blood smear and three maps made from it: the response to vertical edges looks lit from the side, that "
    "to horizontal edges lit from above, and the strength shows the outline of every cell as a dark line.",
)

# %%
# How many weights is that?
# -------------------------
# A convolution has ``kh·kw·c_in·c_out`` weights and ``c_out`` biases. This number does not depend on the size of the
# image, because the same kernel is used at every position. The edge detector has 3·3·3·2 + 2 = 56 parameters.
#
# **VGG16** (Simonyan and Zisserman 2015) is a well-known network that recognises what an image shows; it has 16 layers
# with weights. Its first convolution computes 64 channels from the 3 colours of a 224×224 image and has 1,792
# parameters. Connecting every value of that image to every value of that output with a separate weight would take 483
# *billion*.


def numbers_learned(kh: int, kw: int, c_in: int, c_out: int) -> int:
    """Count the weights and biases of a convolution."""
    return kh * kw * c_in * c_out + c_out


own = numbers_learned(3, 3, 3, 2)
first = numbers_learned(3, 3, 3, 64)
connected = (224 * 224 * 3) * (224 * 224 * 64)
print(f"edge detector {own}, first of VGG16 {first:,}, all connected {connected:,}")
assert own == weight.size + bias.size

# %%
# The packaged function, and a check
# ----------------------------------
# `scratchnet.ops.convolution` computes the same result quickly; lessons 4 and 21 explain how. The two implementations
# must agree.

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
# One more property is worth checking, because it answers the question: if the image moves, the responses move with it,
# unchanged. A kernel that finds an outline in one place finds it everywhere.

moved = np.roll(image, (5, 9), axis=(1, 2))  # 5 rows down, 9 columns to the right
answers = conv2d(moved, weight)
assert np.allclose(answers[:, 5:, 9:], edges[:, :-5, :-9])
print("the image moved by (5, 9), and so did every edge")

# %%
# What breaks if …
# ----------------
# **… the kernel is flipped, that is, rotated by 180°?** Mathematicians flip the kernel before they multiply, and call
# that a convolution; in their terms, our operation is a *cross-correlation*. *Deep learning*, the field of training
# deep networks, does not flip the kernel but keeps the name. For the step detector, flipping changes the sign of every
# response. For weights that are learned it makes no difference which of the two is used, as long as it is always the
# same one.

turned = convolve_map(x, kernel[::-1, ::-1])
print(turned)
assert (turned == -y).all()

# %%
# **… there is no padding?** Then every 3×3 convolution removes two rows and two columns. Thirteen of them, as many as
# VGG16 has, would remove 26 rows. An image of 28×28 would end as 2×2.

rows = 28
for _ in range(13):
    rows = windows_that_fit(rows, 3, 1, 0)
print("28 rows after 13 convolutions without padding:", rows)
assert rows == 2

# %%
# **… the padding does not resemble the image?** Zeros are black. Around a bright image they form a frame, and the edge
# detector finds it: with padding 1, of the 100 strongest responses 100 are on the border of the image. Subtract the
# image's mean first, so that 0 is an average grey, and the frame is much weaker. This is one reason why images are
# **normalised** before they enter a network: their mean is subtracted, and usually they are also divided by a measure
# of their spread.


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
# **… the windows do not cover the map evenly?** With 8 rows, k = 3, s = 2 and no padding, the windows begin at rows 0,
# 2 and 4. Row 7 is in none of them: whatever values it has, the result is the same.

eight = rng.standard_normal((1, 8, 8, 1))
other = eight.copy()
other[:, 7] = 100.0
assert (conv2d(eight, kernel[:, :, None, None], stride=2) == conv2d(other, kernel[:, :, None, None], stride=2)).all()

# %%
# **… the number of channels does not match?** Then the products cannot be formed, and the package raises an error:

try:
    conv2d(np.zeros((1, 8, 8, 4)), weight)
except ValueError as error:
    print(error)

# %%
# Exercises
# ---------
# Solutions: ``lessons/solutions/03_convolution_by_loops.py``.
#
# 1. On paper: what is the size of a 10×6 map after a 3×3 kernel with p = 1, s = 1; after a 5×5 kernel with p = 2,
#    s = 2; after a 1×1 kernel with p = 0, s = 1?
# 2. Write a 3×3 kernel that computes the mean of its window. What does it do to a constant map? Where is the result
#    wrong with padding 1, and why?
# 3. Apply two 3×3 convolutions one after the other. How many rows and columns of the image does one value of the last
#    map depend on? (This region is its *receptive field*; lesson 7 explains it.) With 64 channels everywhere, compare
#    the number of weights with that of a single convolution whose kernel covers the same region.
# 4. Write a weight of shape ``(1, 1, 3, 1)`` that turns a colour image into a grey one.
#
# ``scratchnet exercise start 3`` writes stubs for the size of the output (as in exercise 1), for convolution by loops
# and for the region of exercise 3; ``scratchnet exercise check 3`` checks them.
