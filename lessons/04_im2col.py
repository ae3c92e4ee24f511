r"""
4. Convolution as one matrix product: im2col
============================================

**The question.** The loops of lesson 3 are correct, but far too slow to be useful. Yet none of their products can be
omitted. Can we write them as something that a computer does hundreds of times faster?

You need lesson 3 (convolution, windows, padding, stride, channels).

**What you will build.** The same convolution as one matrix product, and a version in blocks that needs far less memory.

**Time.** About 40 minutes, and as long again for the exercises.

**New terms**, one line each on :doc:`the page of terms </terms>`: im2col, view, GEMM, cache, cores.
"""

# %%
# Write your prediction down first
# --------------------------------
# The operation that computers do best with arrays is the matrix product: ``A @ B`` multiplies every row of A with every
# column of B, element by element, and adds up. A convolution multiplies every *window* with every *kernel*, element by
# element, and adds up. So write every window as a row of one matrix, and every kernel as a column of another.
#
# Below are a 3×3 map and a 2×2 kernel. Write down on paper:
#
# 1. the matrix whose rows are the windows, each read row by row: how many rows and columns does it have?
# 2. how often the 5 in the middle of the map appears in this matrix, and how often the 1 in the corner;
# 3. for a large image and a 3×3 kernel, roughly how many times larger the matrix is than the image.

import time

import numpy as np
from threadpoolctl import threadpool_limits

from scratchnet.utils.lesson import start_lesson

FAST = start_lesson()

x = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], np.float64)
kernel = np.array([[1, 2], [3, 4]], np.float64)
print(x, kernel, sep="\n")

# %%
# By hand
# -------
# There are four windows, so four rows, and four values in each, so four columns. The kernel, read in the same order, is
# the column 1, 2, 3, 4. The matrix product gives all four results at once; the first is 37 = 1·1 + 2·2 + 4·3 + 5·4.

columns = np.array([x[o : o + 2, q : q + 2].ravel() for o in range(2) for q in range(2)])
answers = columns @ kernel.ravel()
print(columns, answers, sep="\n")
assert answers.tolist() == [37, 47, 67, 77]
middle, corner = int((columns == 5).sum()), int((columns == 1).sum())
print(f"occurrences of the 5: {middle}, of the 1: {corner}")

# %%
# The 5 is in all 4 windows, so it appears 4 times; the 1 in the corner appears once. Arranging the windows like this is
# called **im2col**, image to columns. (In the original version the windows were the columns of the matrix. Here they
# are the rows, so that nothing has to be transposed.)

from scratchnet.visualization import im2col_frames, save_figure

save_figure(
    im2col_frames(x, kernel),
    "04-windows-become-rows",
    alt="Animation: each 2×2 window of a 3×3 map becomes a row of a matrix; the row times the kernel, written as "
    "a column, gives one output value.",
)

# %%
# With channels, padding and stride
# ---------------------------------
# A window of images ``(n, h, w, c_in)`` holds kh·kw·c_in values, which is the length of a row. The weight of lesson 3
# has the shape ``(kh, kw, c_in, c_out)``. Merging its first three axes gives a matrix in which each column is a kernel:
# ``weight.reshape(-1, c_out)``. This copies nothing, because the values are already stored in this order.


def im2col_by_loops(x: np.ndarray, kh: int, kw: int, stride: int = 1, padding: int = 0) -> np.ndarray:
    """Return the matrix whose rows are the windows of x (n, h, w, c): (n·oh·ow, kh·kw·c)."""
    p, s = padding, stride
    padded = np.pad(x, ((0, 0), (p, p), (p, p), (0, 0)))
    n, h, w, _ = padded.shape
    oh, ow = (h - kh) // s + 1, (w - kw) // s + 1
    rows = []
    for image in range(n):
        for o in range(oh):
            for q in range(ow):
                rows.append(padded[image, o * s : o * s + kh, q * s : q * s + kw].ravel())  # order: i, j, channel
    return np.array(rows)


def conv_by_loops(x: np.ndarray, weight: np.ndarray, stride: int = 1, padding: int = 0) -> np.ndarray:
    """Convolve as in lesson 3, without bias."""
    p, s = padding, stride
    padded = np.pad(x, ((0, 0), (p, p), (p, p), (0, 0)))
    n, h, w, _ = padded.shape
    kh, kw, _, c_out = weight.shape
    y = np.zeros((n, (h - kh) // s + 1, (w - kw) // s + 1, c_out), x.dtype)
    for image, o, q, b in np.ndindex(y.shape):
        y[image, o, q, b] = (padded[image, o * s : o * s + kh, q * s : q * s + kw] * weight[:, :, :, b]).sum()
    return y


rng = np.random.default_rng(4)
batch, weight = rng.standard_normal((2, 7, 6, 3)), rng.standard_normal((3, 3, 3, 5))
loops = conv_by_loops(batch, weight, stride=2, padding=1)
product = im2col_by_loops(batch, 3, 3, stride=2, padding=1) @ weight.reshape(-1, 5)  # (2·4·3, 27) @ (27, 5)
assert np.allclose(product.reshape(loops.shape), loops)
print("columns @ weight gives the same values, shape", loops.shape)

# %%
# Without loops
# -------------
# The matrix can be built without a loop in Python. NumPy can present the same memory in several ways: a *view* is an
# array that has no data of its own but reads those of another array in a different order. ``sliding_window_view``
# returns a view of all windows. It costs nothing, although most values appear in it many times. Only ``reshape``, which
# turns it into a matrix, copies.


def im2col(x: np.ndarray, kh: int, kw: int, stride: int = 1, padding: int = 0) -> np.ndarray:
    """Return the same matrix as im2col_by_loops, quickly."""
    p = padding
    padded = np.pad(x, ((0, 0), (p, p), (p, p), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kh, kw), axis=(1, 2))[:, ::stride, ::stride]
    assert np.shares_memory(windows, padded)  # (n, oh, ow, c, kh, kw), nothing copied so far
    return windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, kh * kw * x.shape[3])


def conv(x: np.ndarray, weight: np.ndarray, stride: int = 1, padding: int = 0) -> np.ndarray:
    """Convolve with one matrix product."""
    kh, kw, _, c_out = weight.shape
    oh, ow = (x.shape[1] + 2 * padding - kh) // stride + 1, (x.shape[2] + 2 * padding - kw) // stride + 1
    y = im2col(x, kh, kw, stride, padding) @ weight.reshape(-1, c_out)
    return y.reshape(len(x), oh, ow, c_out)


assert (im2col(batch, 3, 3, 2, 1) == im2col_by_loops(batch, 3, 3, 2, 1)).all()
assert np.allclose(conv(batch, weight, 2, 1), loops)

# %%
# How much faster?
# ----------------
# Neither version saves a single multiplication. Every output value takes kh·kw·c_in of them; in the case below,
# 3·3·16 = 144. What changes is how they are carried out. The loop makes Python start thousands of small calculations.
# The product is one call of a **GEMM** (general matrix multiply), a routine that experts have tuned for decades. It
# works on blocks of both matrices that fit into the *cache*, the small, fast memory inside the processor, and uses
# every value many times before it fetches the next from the large, slow main memory.


def seconds(function, *arguments) -> float:
    """Return the shortest time of five calls, on one core of the processor."""
    times = []
    with threadpool_limits(1):
        for _ in range(5):
            start = time.perf_counter()
            function(*arguments)
            times.append(time.perf_counter() - start)
    return min(times)


side = 16 if FAST else 64
picture = rng.standard_normal((1, side, side, 16)).astype(np.float32)
filters = rng.standard_normal((3, 3, 16, 32)).astype(np.float32)
slow, quick = seconds(conv_by_loops, picture, filters, 1, 1), seconds(conv, picture, filters, 1, 1)
multiplications = side * side * 32 * 3 * 3 * 16
print(f"{multiplications / 1e6:.1f} million multiplications: loops {1e3 * slow:.1f} ms, im2col {1e3 * quick:.2f} ms")
print(f"im2col is {slow / quick:.0f} times faster")

# %%
# The price: memory
# -----------------
# Away from the border, every value of the image is in kh·kw windows, so the matrix is about kh·kw times as large as the
# image: 9 times for a 3×3 kernel. The input of VGG16's second convolution has 64 channels of 224×224 pixels. In
# ``float32`` (4 bytes per value) that is 12.8 MB per image, and its matrix has 115.6 MB.
#
# The solution is to build the matrix for a few rows of the output at a time, multiply, and discard it. The result is
# the same, the blocks need as little memory as we like, and blocks that fit into the cache are read faster.


def conv_in_blocks(x: np.ndarray, weight: np.ndarray, rows: int) -> tuple[np.ndarray, int]:
    """Convolve, keeping the image's size, ``rows`` output rows at a time; return y and the largest matrix size."""
    kh, kw, _, c_out = weight.shape
    padded = np.pad(x, ((0, 0), (kh // 2, kh // 2), (kw // 2, kw // 2), (0, 0)))
    n, h, w, _ = x.shape
    y, largest = np.empty((n, h, w, c_out), x.dtype), 0
    for image in range(n):
        for top in range(0, h, rows):
            block = im2col(padded[image : image + 1, top : top + rows + kh - 1], kh, kw)
            y[image, top : top + rows] = (block @ weight.reshape(-1, c_out)).reshape(-1, w, c_out)
            largest = max(largest, block.size)
    return y, largest


image_mb, columns_mb = 224 * 224 * 64 * 4 / 1e6, 224 * 224 * 3 * 3 * 64 * 4 / 1e6
print(f"one image {image_mb:.1f} MB, its matrix {columns_mb:.1f} MB")
in_blocks, largest = conv_in_blocks(picture, filters, rows=4)
whole = im2col(picture, 3, 3, padding=1).size
print(f"elements of the matrix: {whole:,} at once, {largest:,} in blocks of 4 rows")
assert np.allclose(in_blocks, conv(picture, filters, padding=1), atol=1e-4)
assert largest * side == whole * 4

# %%
# The packaged function
# ---------------------
# `scratchnet.ops.convolution` contains ``conv2d``, which computes the whole matrix as above, also with a dilation
# (lesson 13) and with separate groups of channels. ``textbook()`` selects this *plain* form. Otherwise ``conv2d`` runs
# a fast form: `scratchnet.engine.cpu.im2col` works in blocks of about 1 MB, distributed over the *cores* of the
# processor, which compute independently of each other, and other modules have algorithms with fewer multiplications
# (lesson 21).

from scratchnet import textbook
from scratchnet.ops.convolution import conv2d

with textbook():
    packaged = conv2d(batch, weight, stride=2, padding=1)
assert np.abs(packaged - conv2d(batch, weight, stride=2, padding=1)).max() < 1e-12
worst = np.abs(packaged - loops).max()
print(f"largest difference between loops and package: {worst:.1e}")
assert worst < 1e-12
print(f"package, the case above: {1e3 * seconds(conv2d, picture, filters, None, 1, 1):.2f} ms")

# %%
# The figure worth keeping
# ------------------------
# The window in the thick frame is one row of the matrix. The product of this row and the kernel is one value of the
# output.

from scratchnet.visualization import draw_matrix, panels

shown = 3  # the window at the bottom right
figure, axes = panels(10, 2.9, columns=5, widths=(3, 2, 4, 1.6, 2))
draw_matrix(axes[0], x, "image", "a map", marked=[(1 + i, 1 + j) for i, j in np.ndindex(2, 2)])
draw_matrix(axes[1], kernel, "weight", "a kernel")
draw_matrix(axes[2], columns, "image", "its windows as rows", marked=[(shown, j) for j in range(4)])
draw_matrix(axes[3], kernel.reshape(4, 1), "weight", "the kernel\nas a column")
draw_matrix(axes[4], answers.reshape(2, 2), "output", "their product\nas a map", marked=[(1, 1)])
save_figure(
    figure,
    "04-im2col",
    alt="A 3×3 map, a 2×2 kernel, the matrix of the four windows, the kernel as a column, and the product as a "
    "2×2 map. A frame marks the window 5, 6, 8, 9, its row of the matrix and its output, 77.",
)

# %%
# What breaks if …
# ----------------
# **… the rows are read in a different order than the kernels?** In our kernels the channels come last. If the windows
# are read channel by channel instead, the matrix and the product have the same shape as before, but every value is
# wrong.

windows = np.lib.stride_tricks.sliding_window_view(batch, (3, 3), axis=(1, 2))  # (n, oh, ow, channel, i, j)
channel_first = windows.reshape(-1, 27) @ weight.reshape(-1, 5)
right = im2col(batch, 3, 3) @ weight.reshape(-1, 5)
print("same shape:", channel_first.shape == right.shape, "  close:", np.isclose(channel_first, right).mean())
assert channel_first.shape == right.shape
assert not np.isclose(channel_first, right).any()

# %%
# **… something is written into the view?** The view shows the same element in several windows. Change it in one, and it
# changes in all of them. (NumPy therefore makes such a view read-only by default.)

paper = x.copy()
view = np.lib.stride_tricks.sliding_window_view(paper, (2, 2), writeable=True)
view[0, 0, 1, 1] = 0  # the 5, in the first window
print("zeros now:", int((view == 0).sum()))
assert (view == 0).sum() == 4

# %%
# **… the two results are compared with ==?** Computers round, and the rounding errors depend on the order of the
# additions. In ``float32`` the results of the loops and the product differ in their last digits. Compare with a
# tolerance, and know how large it should be: about 10⁻⁷ times the sum of the absolute values of the products, which
# here is about a hundred.

slow_y, quick_y = conv_by_loops(picture[:, :8, :8], filters), conv(picture[:, :8, :8], filters)
print(f"equal values: {(slow_y == quick_y).mean():.0%}, largest difference: {np.abs(slow_y - quick_y).max():.1e}")
assert np.abs(slow_y - quick_y).max() < 1e-4

# %%
# **… the image still consists of bytes?** The pixels of an image file are ``uint8``: whole numbers up to 255. The
# product of two such matrices is also ``uint8``, and after 255 it silently starts again at 0. Nine bright pixels of 200
# add up to 1800, but bytes give 8. Convert images to floating point first.

bright = np.full((1, 3, 3, 1), 200, np.uint8)
in_bytes = int(conv(bright, np.ones((3, 3, 1, 1), np.uint8)).item())
in_floats = conv(bright.astype(np.float32), np.ones((3, 3, 1, 1), np.float32)).item()
print("in bytes", in_bytes, " in floating point", in_floats)

# %%
# Exercises
# ---------
# Solutions: ``lessons/solutions/04_im2col.py``.
#
# 1. What is the matrix of a 1×1 convolution? Write this convolution in one line, without im2col.
# 2. How large, in megabytes of ``float32``, is the matrix for 8 images of 128×128 with 64 channels and a 3×3 kernel
#    with padding 1? And with stride 2?
# 3. Count how often each pixel of a 5×5 map appears in the matrix of a 3×3 kernel, without padding. (Hint: fill the map
#    with the pixels' indices, 0 to 24, and count.) What is the sum of the counts?
# 4. Take a kernel as large as the image, 7×7×512. How many rows does the matrix have? (A layer like this, which has a
#    separate weight for every value of its input, is called *fully connected*; lesson 13 returns to it.)
#
# ``scratchnet exercise start 4`` writes stubs for im2col, for convolution as one matrix product, and for the way back
# from rows to images (``04_col2im``, which prepares lesson 5); ``scratchnet exercise check 4`` checks them.
