r"""
5. The three gradients of a convolution
=======================================

**The question.** In lesson 3 we chose the numbers of a kernel. A network must learn them, and for that it needs slopes.
A convolution is told, for each number of its output, how fast the loss changes with it. How fast does the loss then
change with each number of the image, of the kernel, and with the bias?

You need lesson 2 (gradients, ``dy``, the backward pass) and lesson 4 (im2col).
"""

# %%
# Write your prediction down first
# --------------------------------
# The map and the kernel are those of lesson 4, and the answer is ``[[37, 47], [67, 77]]``. From above comes ``dy``:
# the loss grows by 1 for each unit of the 37, by 2 for each unit of the 77, and does not care about the other two.
# Write down, on paper, only thinking about which number was multiplied with which:
#
# 1. ``dkernel``, how fast the loss changes with each number of the kernel (four numbers);
# 2. ``dx``, the same for each number of the map (nine numbers);
# 3. a bias is added to all four answers. How fast does the loss change with it?

import numpy as np

from scratchnet.lesson import start_lesson

FAST = start_lesson()

x = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], np.float64)
kernel = np.array([[1, 2], [3, 4]], np.float64)
dy = np.array([[1, 0], [0, 2]], np.float64)

# %%
# By hand
# -------
# A convolution is made of products, one number of the map times one number of the kernel. If the number of the map
# grows by 1, the product grows by the number of the kernel. If the number of the kernel grows by 1, it grows by the
# number of the map. **In a product, the slope by the one factor is the other factor.** And a number that is used in
# many products has the sum of all its slopes.
#
# So the kernel gets the windows: once the first window, because its answer counts 1, and twice the last one:
# dkernel = [[1, 2], [4, 5]] + 2·[[5, 6], [8, 9]] = [[11, 14], [20, 23]]. The map gets kernels: one kernel is laid where
# the first window was, two kernels where the last one was. In the middle they overlap, 4·1 + 1·2 = 6, and are added
# up. The bias acts on every answer, so its slope is the sum of ``dy``, 3.
#
# In the code of lesson 3 there was one line in the middle of the loops, ``y += x · kernel``. The backward pass has the
# same loops, with one line for each factor:


def gradients_by_loops(dy: np.ndarray, x: np.ndarray, kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return dx and dkernel of a convolution of one map."""
    dx, dkernel = np.zeros_like(x), np.zeros_like(kernel)
    for o, q in np.ndindex(dy.shape):
        for i, j in np.ndindex(kernel.shape):
            # forward: y[o, q] += x[o + i, q + j] * kernel[i, j]
            dx[o + i, q + j] += dy[o, q] * kernel[i, j]
            dkernel[i, j] += dy[o, q] * x[o + i, q + j]
    return dx, dkernel


dx, dkernel = gradients_by_loops(dy, x, kernel)
dbias = dy.sum()
print(dkernel, dx, dbias, sep="\n")
assert dkernel.tolist() == [[11, 14], [20, 23]]
assert dx.tolist() == [[1, 2, 0], [3, 6, 4], [0, 6, 8]]
assert dbias == 3

# %%
# The figure worth keeping
# ------------------------
# The heavy frame is the number that two windows share.

from scratchnet.viewing import draw_matrix, keep, panels

figure, axes = panels(10.5, 2.6, columns=5, widths=(3, 2, 2, 2, 3))
draw_matrix(axes[0], x, "image", "x, the map", marked=[(1, 1)])
draw_matrix(axes[1], kernel, "weight", "the kernel")
draw_matrix(axes[2], dy, "gradient", "dy, from above")
draw_matrix(axes[3], dkernel, "gradient", "dkernel: windows · dy")
draw_matrix(axes[4], dx, "gradient", "dx: kernels · dy", marked=[(1, 1)])
keep(figure, "05-convolution-gradients")

# %%
# As matrix products
# ------------------
# Lesson 4 made the convolution one product, ``Y = C @ W``: C holds the windows as rows, W the kernels as columns, Y
# the answers. The number in row r and column b is ``Y[r, b] = Σ C[r, m]·W[m, b]`` over all m. The same reasoning as
# above:
#
# - W[m, b] is multiplied with C[r, m], for every r; so its slope is ``Σ C[r, m]·dY[r, b]`` over r. This is
#   ``C.T @ dY``.
# - C[r, m] is multiplied with W[m, b], for every b; so its slope is ``Σ dY[r, b]·W[m, b]`` over b. This is
#   ``dY @ W.T``.
#
# Two products, each with as many multiplications as the forward pass has: a backward pass takes about twice as long.
#
# The second gives the slopes of the windows' *copies*. A number of the image was copied into several windows, so its
# own slope is the sum over its copies. Adding every copy back to where it came from is called **col2im**. The loop runs
# over the places (i, j) of the kernel only: for all windows together it adds what lay under that place.


def im2col(x: np.ndarray, kh: int, kw: int, s: int, p: int) -> np.ndarray:
    """Return every window as a row, as in lesson 4."""
    padded = np.pad(x, ((0, 0), (p, p), (p, p), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kh, kw), axis=(1, 2))[:, ::s, ::s]
    return windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, kh * kw * x.shape[3])


def col2im(columns: np.ndarray, shape: tuple[int, ...], kh: int, kw: int, s: int, p: int) -> np.ndarray:
    """Add every number of the windows to the place of an image of this shape (n, h, w, c) that it came from."""
    n, h, w, c = shape
    oh, ow = (h + 2 * p - kh) // s + 1, (w + 2 * p - kw) // s + 1
    copies = columns.reshape(n, oh, ow, kh, kw, c)
    padded = np.zeros((n, h + 2 * p, w + 2 * p, c))
    for i in range(kh):
        for j in range(kw):
            padded[:, i : i + oh * s : s, j : j + ow * s : s] += copies[:, :, :, i, j]
    return padded[:, p : p + h, p : p + w]  # what went to the padding is of no use


def conv(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, s: int = 1, p: int = 0) -> np.ndarray:
    """Convolve x (n, h, w, c_in) with weight (kh, kw, c_in, c_out)."""
    kh, kw, _, c_out = weight.shape
    oh, ow = (x.shape[1] + 2 * p - kh) // s + 1, (x.shape[2] + 2 * p - kw) // s + 1
    return (im2col(x, kh, kw, s, p) @ weight.reshape(-1, c_out) + bias).reshape(len(x), oh, ow, c_out)


def conv_backward(
    dy: np.ndarray, x: np.ndarray, weight: np.ndarray, s: int = 1, p: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return dx, dweight and dbias."""
    kh, kw, _, c_out = weight.shape
    rows = dy.reshape(-1, c_out)
    dweight = im2col(x, kh, kw, s, p).T @ rows
    dcolumns = rows @ weight.reshape(-1, c_out).T
    return col2im(dcolumns, x.shape, kh, kw, s, p), dweight.reshape(weight.shape), rows.sum(axis=0)


by_products = conv_backward(dy[None, :, :, None], x[None, :, :, None], kernel[:, :, None, None])
assert (by_products[0][0, :, :, 0] == dx).all()
assert (by_products[1][:, :, 0, 0] == dkernel).all()

# %%
# The check
# ---------
# The numerical gradients of lesson 2, for images with channels, with padding and stride:

from scratchnet.gradcheck import check_gradients, from_functions

rng = np.random.default_rng(5)
arrays = {
    "x": rng.standard_normal((2, 6, 5, 3)),
    "weight": rng.standard_normal((3, 3, 3, 4)),
    "bias": rng.standard_normal(4),
}
worst = 0.0
for stride, padding in [(1, 0), (1, 1), (2, 1), (3, 2)]:
    problem = from_functions(
        arrays,
        lambda x, weight, bias, s=stride, p=padding: conv(x, weight, bias, s, p),
        lambda dy, x, weight, bias, s=stride, p=padding: dict(
            zip(("x", "weight", "bias"), conv_backward(dy, x, weight, s, p), strict=True)
        ),
    )
    report = check_gradients("convolution", problem)
    print(f"stride {stride}, padding {padding}: ok {report.ok}, worst error {report.worst.error:.0e}")
    worst = max(worst, report.worst.error)
assert worst < 1e-6

# %%
# im2col and col2im are a pair: ``Σ im2col(x)·C = Σ x·col2im(C)`` for any x and C. Whenever this holds, the one is
# called the *adjoint* of the other, and it is the backward pass of the other. It is a quick check that needs no small
# steps.

image, copies = arrays["x"], rng.standard_normal((2 * 3 * 3, 27))
left = (im2col(image, 3, 3, 2, 1) * copies).sum()
right = (image * col2im(copies, image.shape, 3, 3, 2, 1)).sum()
print(f"{left:.10f} = {right:.10f}")
assert np.isclose(left, right)

# %%
# The packaged function
# ---------------------
# `scratchnet.ops.convolution` has ``conv2d_backward`` beside ``conv2d``.

from scratchnet.ops.convolution import conv2d, conv2d_backward

upstream = rng.standard_normal((2, 3, 3, 4))
packaged = conv2d_backward(upstream, image, arrays["weight"], stride=2, padding=1)
for ours, theirs in zip(conv_backward(upstream, image, arrays["weight"], 2, 1), packaged, strict=True):
    assert np.allclose(ours, theirs)

# %%
# With stride 1 there is a second way to ``dx``. Look at the figure again: each number of ``dy`` lays a kernel into
# ``dx``. Seen from a number of ``dx``, it collects numbers of ``dy`` times numbers of the kernel, from the last to the
# first. So ``dx`` is a convolution as well: of ``dy``, padded by one less than the kernel's size (here by 1), with the
# kernel turned by 180°.

turned = kernel[::-1, ::-1]
second_way = conv2d(dy[None, :, :, None], turned[:, :, None, None], padding=1)[0, :, :, 0]
print(second_way)
assert (second_way == dx).all()

# %%
# A network can also use this backward pass as a *forward* pass, to make small maps large. That is the transposed
# convolution, and lesson 9 is about it.

# %%
# What it is good for: a kernel is learned
# ----------------------------------------
# Somebody convolved an image of random numbers (*noise*) with the edge finder of lesson 3, and shows us only image and
# answer. We start with a kernel of zeros and measure the loss as the mean squared difference of the answers. Its slope
# by an answer is twice the difference there, divided by the number of answers: that is ``dy``. The convolution makes
# ``dkernel`` of it, and we go downhill with a learning rate (lesson 2) of 0.25.

secret = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], np.float64).reshape(3, 3, 1, 1)
noise = rng.standard_normal((1, 24, 24, 1))
wanted = conv(noise, secret, np.zeros(1))
guess = np.zeros((3, 3, 1, 1))
seen, losses = [guess], []
for _ in range(20):
    difference = conv(noise, guess, np.zeros(1)) - wanted
    losses.append(float((difference**2).mean()))
    _, slope, _ = conv_backward(2 * difference / difference.size, noise, guess)
    guess = guess - 0.25 * slope
    seen.append(guess)
print(" ".join(f"{loss:.2g}" for loss in losses))
print(guess[:, :, 0, 0].round(2) + 0.0)
assert np.abs(guess - secret).max() < 0.01

# %%
# Each step takes away a third or more of the difference (the root of the mean square), and after 20 the kernel is right
# to two decimals. Nothing else happens when a network learns: only more kernels, and a loss that comes from the labels
# of pixels (lesson 6).

figure, axes = panels(9, 2.5, columns=4)
for panel, step in zip(axes, (0, 1, 3, 20), strict=True):
    draw_matrix(panel, seen[step][:, :, 0, 0].round(2) + 0.0, "weight", f"after {step} step{'s' * (step != 1)}")
keep(figure, "05-a-kernel-is-learned")

# %%
# What breaks if …
# ----------------
# **… the copies are written instead of added?** Where windows overlap, only the last one is left. NumPy has a trap
# here: with an array of places, ``dx[places] += values`` adds only *one* value to a place that is named several
# times.

places = np.array([0, 1, 1, 2])  # two windows of two numbers, side by side in a row of three; 1 is in both
row = np.zeros(3)
row[places] += np.ones(4)
print("added by index:", row, " right:", np.bincount(places, weights=np.ones(4)))
assert row.tolist() == [1, 1, 1]

# %%
# **… the kernel is not turned?** With a kernel that is the same when turned, a blur for instance, nothing shows. Test
# with kernels of random numbers, which have no symmetry.

unturned = conv2d(dy[None, :, :, None], kernel[:, :, None, None], padding=1)[0, :, :, 0]
blur = np.ones((2, 2, 1, 1)) / 4
symmetric = conv2d(dy[None, :, :, None], blur, padding=1), conv2d(dy[None, :, :, None], blur[::-1, ::-1], padding=1)
print("our kernel: right", bool((unturned == dx).all()), "  blur: right", bool((symmetric[0] == symmetric[1]).all()))
assert not (unturned == dx).all()
assert (symmetric[0] == symmetric[1]).all()

# %%
# **… the slopes of the bias are averaged?** The shape is right and so is the direction. But the bias then learns more
# slowly than everything else, here by a factor of 2·3·3 = 18, the number of places where it acts. Only a gradient
# check tells.

averaged = upstream.mean(axis=(0, 1, 2))
factor = packaged[2] / averaged
print("too small by", factor.round(6))
assert np.allclose(factor, 18)

# %%
# Exercises
# ---------
# Solutions: ``lessons/solutions/05_convolution_gradients.py``.
#
# 1. The kernel is 3×3, all ones; the map 5×5; ``dy`` is all ones. Write down ``dx`` without calculating. (Lesson 4
#    had these numbers in an exercise.)
# 2. Write the three gradients of a 1×1 convolution in one line each, without im2col.
# 3. The first convolution of a network sees the image itself. Which of its three gradients can be left out, and why?
# 4. With 8 rows, k = 3, s = 2 and no padding, which rows of ``dx`` are 0, whatever ``dy`` is? (Lesson 3, "what breaks
#    if".)
