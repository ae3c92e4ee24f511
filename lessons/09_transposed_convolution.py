r"""
9. Transposed convolution: the same matrix, transposed
======================================================

**The question.** A convolution with stride 2 makes a map half as large. Lesson 8 introduced an operation that goes the
other way with a learned kernel. It is called transposed convolution or, loosely, *deconvolution*. What exactly is
transposed? And does it undo a convolution?

You need lesson 3 (convolution), lesson 5 (its gradient with respect to the input) and lesson 8. From school: the rows
of a matrix are the columns of its transpose.

**What you will build.** A transposed convolution in three ways: as a transposed matrix, as copies of the kernel that
are added, and as an ordinary convolution.

**Time.** About 45 minutes, and as long again for the exercises.

**New terms**, one line each on :doc:`the page of terms </terms>`: gathers, scatters, crop, output padding, fractionally
strided, deconvolution.
"""

# %%
# Write your prediction down first
# --------------------------------
# Start in one dimension. Five numbers are convolved with a kernel of three letters, (x, y, z), at stride 2. There are
# two windows, so the result has two numbers.
#
# 1. Write this as a matrix **W** of 2 rows and 5 columns, so that ``W @ numbers`` is the convolution. Where are its
#    zeros?
# 2. Transpose the matrix: :math:`W^\top` has 5 rows and 2 columns. What is :math:`W^\top` times (a, b)?
# 3. Convolve five numbers, then multiply the result by :math:`W^\top`. Do you get the five numbers back?

from itertools import product

import numpy as np

from scratchnet.utils.lesson import start_lesson

FAST = start_lesson()

# %%
# By hand, with letters
# ---------------------
# Row *o* of W computes output number *o*. Its window begins *o* times the stride from the left, so the kernel shifts to
# the right from row to row.


def matrix_of_letters(kernel: str, size: int, stride: int) -> list[list[str]]:
    """Return W of a 1-D convolution, with letters for the kernel and empty strings for zeros."""
    outputs = (size - len(kernel)) // stride + 1
    rows = [[""] * size for _ in range(outputs)]
    for o in range(outputs):
        for i, letter in enumerate(kernel):
            rows[o][o * stride + i] = letter
    return rows


letters = matrix_of_letters("xyz", 5, 2)
for row in letters:
    print(" ".join(letter or "·" for letter in row))
assert letters == [["x", "y", "z", "", ""], ["", "", "x", "y", "z"]]

# The transposed matrix times (a, b): each entry is a times the first column's letter plus b times the second's.
turned = [
    "+".join(factor + letter for factor, letter in zip("ab", column, strict=True) if letter)
    for column in zip(*letters, strict=True)
]
print("transposed, times (a, b):", turned)
assert turned == ["ax", "ay", "az+bx", "by", "bz"]

# %%
# Read the result from left to right: *a* times the kernel and, two positions further, *b* times the kernel. In the
# middle they overlap and are added. Compare the two operations:
#
# - convolution **gathers**: each output is computed from a window of the input;
# - transposed convolution **scatters**: each input adds a copy of the kernel, multiplied by its value, to a window of
#   the output.

# %%
# Two dimensions
# --------------
# Write the map as one long vector, row after row. Then a two-dimensional convolution is a matrix, too.


def convolution_matrix(kernel: np.ndarray, size: tuple[int, int], s: int, p: int) -> np.ndarray:
    """Return the matrix W (oh·ow, h·w) of a convolution of a map of ``size`` with stride s and padding p."""
    (h, w), (kh, kw) = size, kernel.shape
    oh, ow = (h + 2 * p - kh) // s + 1, (w + 2 * p - kw) // s + 1
    matrix = np.zeros((oh * ow, h * w))
    for o, q, i, j in product(range(oh), range(ow), range(kh), range(kw)):
        row, column = o * s + i - p, q * s + j - p  # the pixel that kernel entry (i, j) is multiplied by
        if 0 <= row < h and 0 <= column < w:  # padding is 0 and has no column
            matrix[o * ow + q, row * w + column] = kernel[i, j]
    return matrix


kernel = np.arange(1.0, 10.0).reshape(3, 3)
W = convolution_matrix(kernel, (4, 4), s=1, p=0)
empty = (W == 0).mean()
print(f"W is {W.shape[0]} × {W.shape[1]}, {empty:.0%} of it zeros")

# %%
# It is 4 × 16 and 44 % zeros, with nine different values. For a map of 100×100 and the same kernel it would have 96
# million entries, of which all but one in a thousand are zeros. So nobody builds W, except to understand.
#
# What, then, is the gradient of a convolution with respect to its input? Write the input as a column x and the output
# as a column y, so that :math:`y = Wx`. Pixel *m* of the input contributes to output *o* with the weight
# :math:`W_{om}`. If the loss changes by :math:`dy_o` per unit of output *o*, it changes by :math:`\sum_o W_{om}\, dy_o`
# per unit of that pixel:
#
# .. math:: dx = W^\top dy
#
# **Transposed convolution computes what lesson 5 called dx, the gradient with respect to the input, but as a layer of
# its own.** With loops, without a matrix:


def spread_by_loops(y: np.ndarray, kernel: np.ndarray, s: int, p: int, extra: int = 0) -> np.ndarray:
    """Return the sum of the kernel's copies, s apart, weighted by y, with p cropped per side and ``extra`` kept."""
    (h, w), (kh, kw) = y.shape, kernel.shape
    x = np.zeros(((h - 1) * s + kh + extra, (w - 1) * s + kw + extra))
    for o, q in np.ndindex(y.shape):
        x[o * s : o * s + kh, q * s : q * s + kw] += y[o, q] * kernel
    return x[p : x.shape[0] - p, p : x.shape[1] - p]


rng = np.random.default_rng(9)
x, y = rng.standard_normal((4, 4)), rng.standard_normal((2, 2))
assert np.allclose((W.T @ y.ravel()).reshape(4, 4), spread_by_loops(y, kernel, s=1, p=0))
print("transposed matrix and loops agree")

# %%
# The arithmetic of sizes
# -----------------------
# Neighbouring copies begin *s* pixels apart, and the last one is *k* long. Where the convolution adds *p* zeros on
# every side of its input, the transposed convolution removes *p* rows and columns on every side of its output; this is
# called a **crop**:
#
# .. math:: \text{large} = (\text{small} - 1)\, s + k - 2p
#
# There is one complication. At stride 2 a convolution maps *several* sizes to the same one. With k = 3, p = 1 both 3
# and 4 become 2. So 2 can be enlarged to 3 or to 4, and we have to say which. This is what **output padding** is for:
# it is the number of additional rows and columns at the bottom and on the right. Every size can be restored with
# exactly one choice of it:

checked = 0
for size, k, s, p in product(range(3, 20), (1, 2, 3, 4, 5), (1, 2, 3), (0, 1, 2)):
    if p >= k or size + 2 * p < k:
        continue
    small = (size + 2 * p - k) // s + 1
    extra = size - ((small - 1) * s + k - 2 * p)
    assert 0 <= extra < s  # always less than the stride
    checked += 1
print(f"{checked} combinations of size, kernel, stride and padding are restored")
print(
    "k 3, s 2, p 1:  3 and 4 →",
    [(size + 2 - 3) // 2 + 1 for size in (3, 4)],
    " 2 →",
    (2 - 1) * 2 + 3 - 2,
    "or one more",
)

# %%
# In letters: (a, b) became five numbers, but doubling should give four. Padding 1 crops one on each side, and output
# padding 1 restores one at the end: (ay, az+bx, by, bz). The restored one is not a zero but the value that the crop had
# removed.

# %%
# The packaged function
# ---------------------
# `scratchnet.ops.transposed` takes the weight of the convolution that it transposes. From the transposed side its shape
# is ``(kh, kw, c_out, c_in)``: the convolution turns the ``c_out`` channels of the large map into the ``c_in`` channels
# of the small one. The output of one operation has the shape of the input of the other, so both use the same array.

from scratchnet.ops.convolution import conv2d
from scratchnet.ops.transposed import conv_transpose2d, conv_transpose2d_backward

a, b, letters_kernel = 1.0, 10.0, np.array([1.0, 2.0, 3.0])
row = conv_transpose2d(np.array([a, b]).reshape(1, 1, 2, 1), letters_kernel.reshape(1, 3, 1, 1), stride=(1, 2))
print("(1, 10) scattered with the kernel (1, 2, 3):", row.ravel())
assert row.ravel().tolist() == [1, 2, 13, 20, 30]

doubled = conv_transpose2d(
    np.array([a, b]).reshape(1, 1, 2, 1), letters_kernel.reshape(1, 3, 1, 1), None, (1, 2), (0, 1), (0, 1)
)
assert doubled.ravel().tolist() == [2, 13, 20, 30]

for s, p, extra in ((1, 0, 0), (1, 1, 0), (2, 0, 0), (2, 1, 0), (2, 1, 1), (3, 1, 2)):
    quick = conv_transpose2d(x.reshape(1, 4, 4, 1), kernel.reshape(3, 3, 1, 1), None, s, p, extra)[0, :, :, 0]
    assert np.allclose(quick, spread_by_loops(x, kernel, s, p, extra))
    large = convolution_matrix(kernel, quick.shape, s, p)
    assert np.allclose(quick, (large.T @ x.ravel()).reshape(quick.shape))
print("package, loops and matrices agree")

# %%
# The check: one identity
# -----------------------
# For any matrix, :math:`\langle Wx, y\rangle = \langle x, W^\top y\rangle`, where ⟨ , ⟩ multiplies element by element
# and sums. (In lesson 5, im2col and col2im were such a pair.) So convolution and transposed convolution with *the same*
# weight must satisfy this identity, also for random maps with channels. It compares only two numbers, but they depend
# on every index, every border and every flip:

large, small = rng.standard_normal((2, 9, 8, 3)), rng.standard_normal((2, 5, 4, 6))
weight = rng.standard_normal((3, 3, 3, 6))  # from 3 channels to 6, or back from 6 to 3
left = (conv2d(large, weight, stride=2, padding=1) * small).sum()
right = (large * conv_transpose2d(small, weight, stride=2, padding=1, output_padding=(0, 1))).sum()
difference = abs(left - right)
print(f"⟨conv(x), y⟩ = {left:.6f}   ⟨x, convT(y)⟩ = {right:.6f}")
assert difference < 1e-9

# %%
# The backward pass needs nothing new. The matrix of the transposed convolution is :math:`W^\top`, so its gradient with
# respect to the input is :math:`(W^\top)^\top = W` times the upstream gradient: **an ordinary convolution.** The
# gradient with respect to the weight is that of lesson 5 with the roles of the two maps exchanged.

upstream = rng.standard_normal((2, 9, 8, 3))
dsmall, dweight, _ = conv_transpose2d_backward(upstream, small, weight, stride=2, padding=1)
assert np.allclose(dsmall, conv2d(upstream, weight, stride=2, padding=1))


def loss() -> float:
    """Return the sum of the output, weighted by the upstream gradient."""
    spread = conv_transpose2d(small, weight, stride=2, padding=1, output_padding=(0, 1))
    return float((spread * upstream).sum())


worst = 0.0
for moved, gradient in ((small, dsmall), (weight, dweight)):
    for place in zip(*(rng.integers(0, n, 20) for n in moved.shape), strict=True):
        kept = moved[place]
        moved[place] = kept + 1e-5
        above = loss()
        moved[place] = kept - 1e-5
        worst = max(worst, abs((above - loss()) / 2e-5 - gradient[place]))
        moved[place] = kept
print(f"largest difference between numerical and analytic gradients: {worst:.1e}")
assert worst < 1e-6

# %%
# The figures worth keeping
# -------------------------
# The first figure shows the matrix of a convolution of a 4×4 map with the kernel 1 … 9, and its transpose. The blue
# bars stand for the input and the green ones for the output, each written as one long vector. In W each *row* is a
# window. In :math:`W^\top` each *column* is a copy of the kernel. The animation adds the copies one after the other.

from scratchnet.visualization import conv_transpose_frames, operator_matrix, save_figure, transpose_figure

found = operator_matrix(
    lambda x: conv2d(x, kernel.reshape(3, 3, 1, 1)), (4, 4, 1)
)  # column by column, from unit vectors
assert (found == W).all()
save_figure(
    transpose_figure(kernel, (4, 4)),
    "09-matrix-and-transpose",
    alt="The 4×16 matrix W of a convolution, whose rows hold the kernel's values in three groups of three, and "
    "its 16×4 transpose, whose columns hold them instead.",
)

# %%

save_figure(
    conv_transpose_frames(np.array([[1, 2], [3, 4]]), kernel.astype(int), stride=2),
    "09-copies-of-the-kernel",
    alt="Animation: each of four input values adds a copy of the 3×3 kernel, multiplied by it, to the 5×5 output, "
    "two positions apart; where copies overlap, they are summed.",
)

# %%
# .. widget:: transposed
#
#    On the lesson's page, you can change the kernel size, the stride, the padding and the dilation (lesson 13), and
#    select an input to see its copy of the kernel, or an output to see the copies that reach it.

# %%
# The same with an ordinary convolution
# -------------------------------------
# Papers also call it *fractionally strided* convolution, for this reason: put the values of the small map *s* positions
# apart, with zeros between them, which is lesson 8's bed of nails. Then slide the **flipped** kernel over it, one pixel
# at a time. Each output gathers what the copies would have scattered there.

from scratchnet.ops.resampling import bed_of_nails

nails = bed_of_nails(y.reshape(1, 2, 2, 1), 2)[:, :3, :3]  # zeros between the values, none after the last
gathered = conv2d(nails, kernel[::-1, ::-1].reshape(3, 3, 1, 1), padding=2)[0, :, :, 0]
assert np.allclose(gathered, spread_by_loops(y, kernel, s=2, p=0))
print("bed of nails, then the flipped kernel: the same values")

# %%
# This is correct but wasteful: at stride 2, about three out of four values that the kernel is multiplied by are zeros.
#
# What breaks if …
# ----------------
# **… someone takes it for an inverse?** In signal processing, *deconvolution* means undoing a convolution. Transposed
# convolution does not do this.

numbers = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
blur = convolution_matrix(np.array([[1.0, 2.0, 1.0]]), (1, 5), s=2, p=0)  # at stride 2, one row high
two = blur @ numbers
print(numbers, "→", two, "→", blur.T @ two)
assert two.tolist() == [8, 16]
assert (blur.T @ two).tolist() == [8, 16, 24, 32, 16]

# %%
# The numbers 1 to 5 become 8, 16, 24, 32, 16. No other matrix could restore them either, because two numbers do not
# determine five. Other inputs have exactly the same result, for instance:

other = numbers + np.array([2.0, -1.0, 0.0, 1.0, -2.0])
print(other, "→", blur @ other)
assert (blur @ other == two).all()

# %%
# So transposed convolution restores the *size* and the *positions*, not the values. Its kernel learns what the values
# should be. The authors of DeconvNet nevertheless call it deconvolution; in these lessons, too, the word means
# transposed convolution.
#
# **… the kernel is not flipped in the second method?** With a symmetric kernel nobody would notice: a test needs a
# kernel without symmetry, and random maps. The identity above reveals it at once:

not_turned = conv2d(nails, kernel.reshape(3, 3, 1, 1), padding=2)[0, :, :, 0]
target = rng.standard_normal((5, 5))
lhs = (conv2d(target.reshape(1, 5, 5, 1), kernel.reshape(3, 3, 1, 1), stride=2)[0, :, :, 0] * y).sum()
turned_sum, unturned_sum = (target * gathered).sum(), (target * not_turned).sum()
print(f"⟨conv(x), y⟩ = {lhs:.3f}   flipped {turned_sum:.3f}   not flipped {unturned_sum:.3f}")
assert np.isclose(lhs, turned_sum)
assert not np.isclose(lhs, unturned_sum)

# %%
# **… output padding is as large as the stride?** Then a convolution of the enlarged map would have more outputs than
# the small map has values. The package raises an error:

try:
    conv_transpose2d(np.ones((1, 2, 2, 1)), np.ones((3, 3, 1, 1)), stride=2, padding=1, output_padding=2)
except ValueError as error:
    print(error)

# %%
# Exercises
# ---------
# Solutions: ``lessons/solutions/09_transposed_convolution.py``.
#
# 1. Write W for five numbers, the kernel (x, y, z), stride 1 and padding 1. Is it square? Is :math:`W^\top W` the
#    identity matrix for the kernel (1, 2, 1)?
# 2. For kernels of size 2, 3, 4 and 5, find the padding and output padding that exactly double a map at stride 2.
# 3. A layer of DeconvNet (lesson 15), called fc6-deconv, turns 1×1 into 7×7 with a 7×7 kernel. What is W here, for one
#    channel? What is the effect of the single input value?
# 4. At stride 1 a transposed convolution with padding *p* equals an ordinary convolution with the flipped kernel. What
#    is the padding of that convolution?
#
# ``scratchnet exercise start 9`` writes stubs for transposed convolution by copies of the kernel, for the matrix of a
# convolution and for output sizes; ``scratchnet exercise check 9`` checks them.
