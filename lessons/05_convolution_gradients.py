r"""
5. The three gradients of a convolution
=======================================

**The question.** In lesson 3 we chose the values of a kernel ourselves. A network must learn them, and for that it
needs slopes. The backward pass of a convolution receives the gradient of the loss with respect to its output. How does
it compute the gradients with respect to the image, the kernel and the bias?

You need lesson 2 (gradients, ``dy``, the backward pass) and lesson 4 (im2col).

**What you will build.** The three gradients of a convolution, in loops and as matrix products, and a program that
learns a kernel from examples.

**Time.** About 45 minutes, and as long again for the exercises.

**New terms**, one line each on :doc:`the page of terms </terms>`: col2im, adjoint, noise.
"""

# %%
# Write your prediction down first
# --------------------------------
# The map and the kernel are those of lesson 4, and their convolution is ``[[37, 47], [67, 77]]``. The upstream gradient
# is ``dy``: the loss grows by 1 per unit of the 37 and by 2 per unit of the 77, and does not depend on the other two.
# Write down on paper, only by considering which values were multiplied with each other:
#
# 1. ``dkernel``, the slope of the loss with respect to each value of the kernel (four values);
# 2. ``dx``, the same for each value of the map (nine values);
# 3. the slope with respect to a bias that is added to all four outputs.

import numpy as np

from scratchnet.utils.lesson import start_lesson

FAST = start_lesson()

x = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], np.float64)
kernel = np.array([[1, 2], [3, 4]], np.float64)
dy = np.array([[1, 0], [0, 2]], np.float64)

# %%
# By hand
# -------
# A convolution consists of products of one value of the map and one value of the kernel. If the map value grows by 1,
# the product grows by the kernel value; if the kernel value grows by 1, it grows by the map value. **The slope of a
# product with respect to one factor is the other factor.** If a value is used in several products, its slopes are added
# up.
#
# So ``dkernel`` is a sum of windows: the first window once, because the slope of its output is 1, and the last window
# twice: dkernel = [[1, 2], [4, 5]] + 2·[[5, 6], [8, 9]] = [[11, 14], [20, 23]]. And ``dx`` is a sum of kernels: the
# kernel once at the position of the first window, and twice at that of the last. In the middle they overlap and are
# added: 4·1 + 1·2 = 6. The bias is added to every output, so its slope is the sum of ``dy``, 3.
#
# In the code of lesson 3, the innermost line of the loops was ``y += x · kernel``. The backward pass has the same
# loops, with one line per factor:


def gradients_by_loops(dy: np.ndarray, x: np.ndarray, kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return dx and dkernel for the convolution of one map."""
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
# The thick frames mark the value of ``x`` that both windows with a nonzero slope contain, and its slope in ``dx``.

from scratchnet.visualization import draw_matrix, panels, save_figure

figure, axes = panels(10.5, 2.6, columns=5, widths=(3, 2, 2, 2, 3))
draw_matrix(axes[0], x, "image", "x, the map", marked=[(1, 1)])
draw_matrix(axes[1], kernel, "weight", "the kernel")
draw_matrix(axes[2], dy, "gradient", "dy, upstream")
draw_matrix(axes[3], dkernel, "gradient", "dkernel: windows · dy")
draw_matrix(axes[4], dx, "gradient", "dx: kernels · dy", marked=[(1, 1)])
save_figure(
    figure,
    "05-convolution-gradients",
    alt="The map, the kernel and the upstream gradient dy, then the gradient of the kernel, made from windows of "
    "the map, and the gradient of the map, made from copies of the kernel. The middle pixel is framed: its "
    "gradient is 6.",
)

# %%
# As matrix products
# ------------------
# In lesson 4 the convolution became one product, ``Y = C @ W``: the rows of C are the windows, the columns of W are the
# kernels, and Y is the output. The element in row r and column b is ``Y[r, b] = Σ C[r, m]·W[m, b]``, summed over all m.
# The same reasoning as above gives:
#
# - W[m, b] is multiplied by C[r, m] for every r, so its slope is ``Σ C[r, m]·dY[r, b]``, summed over r. This is
#   ``C.T @ dY``.
# - C[r, m] is multiplied by W[m, b] for every b, so its slope is ``Σ dY[r, b]·W[m, b]``, summed over b. This is
#   ``dY @ W.T``.
#
# Each of the two products has as many multiplications as the forward pass, so the backward pass takes about twice as
# long.
#
# The second product gives the gradient with respect to the *copies* in the windows. A value of the image was copied
# into several windows, so its slope is the sum over its copies. Adding every copy back to the position it came from is
# called **col2im**. The loop only runs over the positions (i, j) of the kernel: for each of them it adds the copies of
# all windows at once.


def im2col(x: np.ndarray, kh: int, kw: int, s: int, p: int) -> np.ndarray:
    """Return the matrix whose rows are the windows, as in lesson 4."""
    padded = np.pad(x, ((0, 0), (p, p), (p, p), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kh, kw), axis=(1, 2))[:, ::s, ::s]
    return windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, kh * kw * x.shape[3])


def col2im(columns: np.ndarray, shape: tuple[int, ...], kh: int, kw: int, s: int, p: int) -> np.ndarray:
    """Add every element of the windows to the pixel that it came from; ``shape`` is that of the image, (n, h, w, c)."""
    n, h, w, c = shape
    oh, ow = (h + 2 * p - kh) // s + 1, (w + 2 * p - kw) // s + 1
    copies = columns.reshape(n, oh, ow, kh, kw, c)
    padded = np.zeros((n, h + 2 * p, w + 2 * p, c))
    for i in range(kh):
        for j in range(kw):
            padded[:, i : i + oh * s : s, j : j + ow * s : s] += copies[:, :, :, i, j]
    return padded[:, p : p + h, p : p + w]  # the gradient of the padding is discarded


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
# Compare with the numerical gradients of lesson 2, for images with channels, with padding and stride:

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
# im2col and col2im are a pair: ``Σ im2col(x)·C = Σ x·col2im(C)`` for any x and C. Two linear operations with this
# property are called *adjoint* to each other, and the adjoint of an operation is its backward pass. This gives a quick
# check without a step size.

image, copies = arrays["x"], rng.standard_normal((2 * 3 * 3, 27))
left = (im2col(image, 3, 3, 2, 1) * copies).sum()
right = (image * col2im(copies, image.shape, 3, 3, 2, 1)).sum()
print(f"{left:.10f} = {right:.10f}")
assert np.isclose(left, right)

# %%
# The packaged function
# ---------------------
# `scratchnet.ops.convolution` contains ``conv2d_backward`` as well as ``conv2d``, and ``im2col`` with its adjoint,
# ``col2im``.

from scratchnet.ops.convolution import conv2d, conv2d_backward

upstream = rng.standard_normal((2, 3, 3, 4))
packaged = conv2d_backward(upstream, image, arrays["weight"], stride=2, padding=1)
for ours, theirs in zip(conv_backward(upstream, image, arrays["weight"], 2, 1), packaged, strict=True):
    assert np.allclose(ours, theirs)

# %%
# With stride 1 there is a second way to compute ``dx``. Look at the figure again: each value of ``dy`` adds a multiple
# of the kernel to ``dx``. From the point of view of one value of ``dx``, it is a sum of values of ``dy`` times values
# of the kernel in reverse order. So ``dx`` is itself a convolution: of ``dy``, padded by one less than the size of the
# kernel (here by 1), with the flipped kernel.

turned = kernel[::-1, ::-1]
second_way = conv2d(dy[None, :, :, None], turned[:, :, None, None], padding=1)[0, :, :, 0]
print(second_way)
assert (second_way == dx).all()

# %%
# A network can also use this backward pass as a *forward* pass, to enlarge small maps. This is the transposed
# convolution, the subject of lesson 9.

# %%
# What gradients are for: learning a kernel
# -----------------------------------------
# Suppose somebody convolved an image of random numbers (*noise*) with the edge detector of lesson 3, and shows us only
# the image and the result. We start with a kernel of zeros. The loss is the mean squared difference between our result
# and theirs. Its slope with respect to each output value is twice the difference there, divided by the number of output
# values: this is ``dy``. From it the convolution computes ``dkernel``, and we use gradient descent with a learning rate
# of 0.25 (lesson 2).

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
# Each step reduces the difference (the root of the mean square) by a third or more, and after 20 steps the kernel is
# right to two decimals. A network learns in exactly the same way, only with more kernels, and with a loss that compares
# its output with the labels of pixels (lesson 6).

figure, axes = panels(9, 2.5, columns=4)
for panel, step in zip(axes, (0, 1, 3, 20), strict=True):
    draw_matrix(panel, seen[step][:, :, 0, 0].round(2) + 0.0, "weight", f"after {step} step{'s' * (step != 1)}")
save_figure(
    figure,
    "05-a-kernel-is-learned",
    alt="A 3×3 kernel after 0, 1, 3 and 20 steps of training. It starts with zeros and ends as Sobel's kernel: "
    "−1, 0, 1 in the outer rows and −2, 0, 2 in the middle one.",
)

# %%
# What breaks if …
# ----------------
# **… the copies are assigned instead of added?** Where windows overlap, only the last value remains. NumPy has a trap
# here: with an index array, ``dx[places] += values`` adds only *one* value to an index that appears several times.

places = np.array([0, 1, 1, 2])  # two windows of two elements, side by side in a row of three; 1 is in both
row = np.zeros(3)
row[places] += np.ones(4)
print("added by index array:", row, " right:", np.bincount(places, weights=np.ones(4)))
assert row.tolist() == [1, 1, 1]

# %%
# **… the kernel is not flipped?** With a kernel that flipping leaves unchanged, a blur for instance, nobody notices.
# Test with random kernels, which have no symmetry.

unturned = conv2d(dy[None, :, :, None], kernel[:, :, None, None], padding=1)[0, :, :, 0]
blur = np.ones((2, 2, 1, 1)) / 4
symmetric = conv2d(dy[None, :, :, None], blur, padding=1), conv2d(dy[None, :, :, None], blur[::-1, ::-1], padding=1)
print("our kernel: right", bool((unturned == dx).all()), "  blur: right", bool((symmetric[0] == symmetric[1]).all()))
assert not (unturned == dx).all()
assert (symmetric[0] == symmetric[1]).all()

# %%
# **… the slopes of the bias are averaged instead of added?** The shape is right, and so is the direction. But the bias
# then learns more slowly than everything else, here by a factor of 2·3·3 = 18, the number of positions that it is added
# to. Only a gradient check reveals this.

averaged = upstream.mean(axis=(0, 1, 2))
factor = packaged[2] / averaged
print("too small by", factor.round(6))
assert np.allclose(factor, 18)

# %%
# Exercises
# ---------
# Solutions: ``lessons/solutions/05_convolution_gradients.py``.
#
# 1. The kernel is 3×3, all ones; the map is 5×5; ``dy`` is all ones. Write down ``dx`` without calculating. (The same
#    values appeared in an exercise of lesson 4.)
# 2. Write the three gradients of a 1×1 convolution in one line each, without im2col.
# 3. The input of a network's first convolution is the image itself. Which of its three gradients is not needed, and
#    why?
# 4. With 8 rows, k = 3, s = 2 and no padding, which rows of ``dx`` are 0, whatever ``dy`` is? (See "What breaks if" in
#    lesson 3.)
#
# ``scratchnet exercise start 5`` writes stubs for the three gradients with stride and padding, and for a whole layer;
# ``scratchnet exercise check 5`` checks them.
