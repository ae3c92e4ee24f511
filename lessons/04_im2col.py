r"""
4. Convolution as one matrix product: im2col
============================================

**The question.** The loops of lesson 3 are right, and far too slow to be of use. Not one of their sums can be left
out. Can they be written as something that a computer does hundreds of times faster?

You need lesson 3 (convolution, windows, padding, stride, channels).
"""

# %%
# Write your prediction down first
# --------------------------------
# What computers do best with arrays is the product of two matrices: ``A @ B`` multiplies every row of A with every
# column of B, number by number, and adds up. A convolution multiplies every *window* with every *kernel*, number by
# number, and adds up. So write every window as a row of a matrix, and every kernel as a column of another.
#
# Below is a map of 3×3 and a kernel of 2×2. Write down, on paper:
#
# 1. the matrix whose rows are the windows, each read row by row: how many rows and columns does it have?
# 2. how often the 5 in the middle of the map stands in it, and how often the 1 in the corner;
# 3. for a large image and a 3×3 kernel: about how many times as many numbers does the matrix have as the image?

import time

import numpy as np
from threadpoolctl import threadpool_limits

from scratchnet.lesson import start_lesson

FAST = start_lesson()

x = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], np.float64)
kernel = np.array([[1, 2], [3, 4]], np.float64)
print(x, kernel, sep="\n")

# %%
# By hand
# -------
# Four windows, so four rows; four numbers in each, so four columns. The kernel, read in the same order, is the column
# 1, 2, 3, 4. The product of the two is all four answers at once: 37 = 1·1 + 2·2 + 4·3 + 5·4 comes first.

columns = np.array([x[o : o + 2, q : q + 2].ravel() for o in range(2) for q in range(2)])
answers = columns @ kernel.ravel()
print(columns, answers, sep="\n")
assert answers.tolist() == [37, 47, 67, 77]
middle, corner = int((columns == 5).sum()), int((columns == 1).sum())
print("the 5 stands there", middle, "times, the 1", corner, "time")

# %%
# The 5 lies in all 4 windows and stands there 4 times, the corner once. Laying out the windows like this is called
# **im2col**, image to columns. (The name is from a time when the windows were the columns of the matrix. Here they
# are its rows, because then nothing has to be turned round.)

from scratchnet.viewing import im2col_frames, keep

keep(im2col_frames(x, kernel), "04-windows-become-rows")

# %%
# With channels, padding and stride
# ---------------------------------
# A window of images ``(n, h, w, c_in)`` holds kh·kw·c_in numbers, so that is the length of a row. The weight of
# lesson 3 has the shape ``(kh, kw, c_in, c_out)``. Read in the order in which it lies in memory, its first three axes
# become one, and each column is a kernel: ``weight.reshape(-1, c_out)``. Nothing is moved for this.


def im2col_by_loops(x: np.ndarray, kh: int, kw: int, stride: int = 1, padding: int = 0) -> np.ndarray:
    """Return every window of x (n, h, w, c) as a row: (n·oh·ow, kh·kw·c)."""
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
print("columns @ weight gives the same", loops.shape, "numbers")

# %%
# Without loops
# -------------
# The rows can be had without a loop in Python. NumPy can look at one piece of memory in several ways: a *view* is an
# array without numbers of its own, only with another rule for where to find them. ``sliding_window_view`` is the view
# of all windows; it costs nothing, though it shows every number many times. Only ``reshape`` to a matrix copies.


def im2col(x: np.ndarray, kh: int, kw: int, stride: int = 1, padding: int = 0) -> np.ndarray:
    """Return the same as im2col_by_loops, quickly."""
    p = padding
    padded = np.pad(x, ((0, 0), (p, p), (p, p), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kh, kw), axis=(1, 2))[:, ::stride, ::stride]
    assert np.shares_memory(windows, padded)  # (n, oh, ow, c, kh, kw), nothing copied so far
    return windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, kh * kw * x.shape[3])


def conv(x: np.ndarray, weight: np.ndarray, stride: int = 1, padding: int = 0) -> np.ndarray:
    """Convolve by one matrix product."""
    kh, kw, _, c_out = weight.shape
    oh, ow = (x.shape[1] + 2 * padding - kh) // stride + 1, (x.shape[2] + 2 * padding - kw) // stride + 1
    y = im2col(x, kh, kw, stride, padding) @ weight.reshape(-1, c_out)
    return y.reshape(len(x), oh, ow, c_out)


assert (im2col(batch, 3, 3, 2, 1) == im2col_by_loops(batch, 3, 3, 2, 1)).all()
assert np.allclose(conv(batch, weight, 2, 1), loops)

# %%
# How much faster?
# ----------------
# Neither way saves a single multiplication. For every output number there are kh·kw·c_in of them: for the case below,
# 3·3·16 = 144. What changes is who does it. The loop asks Python thousands of times to start a small calculation. The
# product is one call of a **GEMM** (general matrix multiply), a routine that people have tuned for decades: it takes
# blocks of both matrices that fit into the *cache*, the small and fast memory inside the processor, and uses every
# number many times before it fetches the next from the large and slow one.


def seconds(function, *arguments) -> float:
    """Return the time of the quickest of five calls, on one core of the processor."""
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
print(f"im2col is {slow / quick:.0f} times as fast")

# %%
# The price: memory
# -----------------
# Away from the border every number of the image lies in kh·kw windows, so the matrix is about kh·kw times as large as
# the image: 9 times for 3×3. The second convolution of VGG16 sees 64 channels of 224×224 pixels. In ``float32`` (4
# bytes a number) that is 12.8 MB for one image, and its matrix has 115.6 MB.
#
# The way out is to make the matrix for a few rows of the output at a time, multiply, and throw it away. The numbers
# are the same, the memory is as small as one likes, and blocks that fit into the cache are quicker to read again.


def conv_in_blocks(x: np.ndarray, weight: np.ndarray, rows: int) -> tuple[np.ndarray, int]:
    """Convolve with padding for the same size, some output rows at a time; return the numbers of the largest matrix."""
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
print(f"numbers in the matrix: {whole:,} at once, {largest:,} in blocks of 4 rows")
assert np.allclose(in_blocks, conv(picture, filters, padding=1), atol=1e-4)
assert largest * side == whole * 4

# %%
# The packaged function
# ---------------------
# `scratchnet.ops.direct` works like this: blocks of at most 4 MB of columns, shared out among the *cores* of the
# processor, each of which calculates by itself. ``precise=True`` asks for it. Otherwise
# `scratchnet.ops.convolution.conv2d` is free to take a way with fewer multiplications where there is one (lesson 17).

from scratchnet.ops.convolution import conv2d

packaged = conv2d(batch, weight, stride=2, padding=1, precise=True)
worst = np.abs(packaged - loops).max()
print(f"largest difference between loops and package: {worst:.1e}")
assert worst < 1e-12
print(f"package, the case above: {1e3 * seconds(conv2d, picture, filters, None, 1, 1):.2f} ms")

# %%
# The figure worth keeping
# ------------------------
# The window with the heavy frame is one row of the matrix. Row times kernel is one number of the answer.

from scratchnet.viewing import draw_matrix, panels

shown = 3  # the window at the bottom right
figure, axes = panels(10, 2.9, columns=5, widths=(3, 2, 4, 1.6, 2))
draw_matrix(axes[0], x, "image", "a map", marked=[(1 + i, 1 + j) for i, j in np.ndindex(2, 2)])
draw_matrix(axes[1], kernel, "weight", "a kernel")
draw_matrix(axes[2], columns, "image", "its windows as rows", marked=[(shown, j) for j in range(4)])
draw_matrix(axes[3], kernel.reshape(4, 1), "weight", "the kernel\nas a column")
draw_matrix(axes[4], answers.reshape(2, 2), "output", "their product\nas a map", marked=[(1, 1)])
keep(figure, "04-im2col")

# %%
# What breaks if …
# ----------------
# **… the rows are read in another order than the kernels?** Here the channels come last in the kernel. Someone who
# reads each window channel by channel gets a matrix of the same shape, and a product of the same shape. Every number
# is wrong.

windows = np.lib.stride_tricks.sliding_window_view(batch, (3, 3), axis=(1, 2))  # (n, oh, ow, channel, i, j)
channel_first = windows.reshape(-1, 27) @ weight.reshape(-1, 5)
right = im2col(batch, 3, 3) @ weight.reshape(-1, 5)
print("same shape:", channel_first.shape == right.shape, "  close:", np.isclose(channel_first, right).mean())
assert channel_first.shape == right.shape
assert not np.isclose(channel_first, right).any()

# %%
# **… something is written into the view?** It shows the same number in several windows. Change it in one, and it
# changes in all of them. (NumPy therefore makes such a view read-only unless told otherwise.)

paper = x.copy()
view = np.lib.stride_tricks.sliding_window_view(paper, (2, 2), writeable=True)
view[0, 0, 1, 1] = 0  # the 5, in the first window
print("zeros now:", int((view == 0).sum()))
assert (view == 0).sum() == 4

# %%
# **… the two ways are compared with ==?** Computers round, and the order of a sum decides what is rounded. In
# ``float32`` the loops and the product differ in the last digits. Compare with a tolerance, and know how large it
# ought to be: about 10⁻⁷ times the sum of the products' sizes, here about a hundred.

slow_y, quick_y = conv_by_loops(picture[:, :8, :8], filters), conv(picture[:, :8, :8], filters)
print(f"equal numbers: {(slow_y == quick_y).mean():.0%}, largest difference: {np.abs(slow_y - quick_y).max():.1e}")
assert np.abs(slow_y - quick_y).max() < 1e-4

# %%
# **… the image is still made of bytes?** The numbers of an image from a file are ``uint8``: whole, not above 255. A
# product of two such matrices is again of bytes, and starts again at 0 after 255, without a word. Nine bright
# pixels of 200 add up to 1800, but bytes say 8. Turn images into floating-point numbers first.

bright = np.full((1, 3, 3, 1), 200, np.uint8)
in_bytes = int(conv(bright, np.ones((3, 3, 1, 1), np.uint8)).item())
in_floats = conv(bright.astype(np.float32), np.ones((3, 3, 1, 1), np.float32)).item()
print("in bytes", in_bytes, " in floating point", in_floats)

# %%
# Exercises
# ---------
# Solutions: ``lessons/solutions/04_im2col.py``.
#
# 1. What is the matrix of a 1×1 convolution? Write that convolution in one line, without im2col.
# 2. How large, in megabytes of ``float32``, is the matrix for 8 images of 128×128 with 64 channels and a 3×3 kernel
#    with padding 1? And with stride 2?
# 3. Count how often each number of a 5×5 map stands in the matrix of a 3×3 kernel, without padding. (Hint: put the
#    number of each pixel, 0 to 24, into the map, and count.) What is the sum of the counts?
# 4. A kernel as large as the image, 7×7×512: how many rows has the matrix? (Such a layer, which gives every number of
#    its input its own weight, is called *fully connected*; lesson 13 comes back to it.)
