r"""
10. Overlap, checkerboards and a good start
===========================================

**The question.** Some networks produce a fine chessboard pattern in their output, even where the image has a single
colour. Where does the pattern come from, and how should a transposed convolution be initialised to avoid it?

You need lesson 9 (transposed convolution places copies of its kernel on the output and adds them).

**What you will build.** A test that predicts checkerboards from kernel size and stride, and a transposed convolution
that starts as bilinear interpolation.

**Time.** About 40 minutes, and as long again for the exercises.

**New terms**, one line each on :doc:`the page of terms </terms>`: checkerboard, phase, bilinear interpolation.
"""

# %%
# Write your prediction down first
# --------------------------------
# In one dimension, four input values place four copies of a kernel on the output, 2 positions apart. Count how many
# copies cover each output, if the kernel has
#
# 1. 2 elements;
# 2. 3 elements;
# 3. 4 elements.
#
# All inputs and all kernel elements are 1. Which of the three outputs is flat in the middle?

import numpy as np
from PIL import Image

from scratchnet.data import sample_folder
from scratchnet.utils.lesson import start_lesson

FAST = start_lesson()


def copies(inputs: int, k: int, s: int) -> np.ndarray:
    """Return how many copies of a kernel of size k, s apart, cover each output."""
    counts = np.zeros((inputs - 1) * s + k, int)
    for o in range(inputs):
        counts[o * s : o * s + k] += 1
    return counts


by_kernel = {k: copies(4, k, s=2) for k in (2, 3, 4)}
for k, counts in by_kernel.items():
    print(f"kernel {k}, stride 2: {' '.join(map(str, counts))}")
assert by_kernel[2].tolist() == [1, 1, 1, 1, 1, 1, 1, 1]
assert by_kernel[3].tolist() == [1, 1, 2, 1, 2, 1, 2, 1, 1]
assert by_kernel[4].tolist() == [1, 1, 2, 2, 2, 2, 2, 2, 1, 1]

# %%
# With a kernel of size 3 the output alternates, 2 1 2 1, although the input is constant. In two dimensions the counts
# of rows and columns multiply, and the stripes become a chessboard (also called *checkerboard*) of 1, 2 and 4 copies:

from scratchnet.ops.transposed import conv_transpose2d


def spread(values: np.ndarray, kernel: np.ndarray, s: int, p: int = 0) -> np.ndarray:
    """Return the transposed convolution of one map with one kernel."""
    h, w = values.shape
    kh, kw = kernel.shape
    return conv_transpose2d(values.reshape(1, h, w, 1), kernel.reshape(kh, kw, 1, 1), stride=s, padding=p)[0, :, :, 0]


boards = {k: spread(np.ones((4, 4)), np.ones((k, k)), s=2) for k in (2, 3, 4)}
for k, board in boards.items():
    assert (board == np.outer(by_kernel[k], by_kernel[k])).all()
print(boards[3].astype(int))

# %%
# The rule
# --------
# Kernel element *i* contributes to output *o* only if *o* − *i* is a multiple of the stride *s*. An output therefore
# sees the kernel elements *i* that leave the same remainder as *o* when divided by *s*. This remainder is the output's
# **phase**. At stride 2, one phase sees elements 0, 2, 4, … and the other 1, 3, 5, … All phases see equally many
# elements if the stride divides the kernel size:

for k in range(1, 13):
    for s in range(1, k + 1):
        middle = copies(30, k, s)[k:-k]
        flat = middle.min() == middle.max()
        assert flat == (k % s == 0)
print("flat counts in the middle, exactly where the stride divides the kernel: tested for all kernels up to 12")

# %%
# .. widget:: overlap
#
#    On the lesson's page, you can change the kernel size, the stride, the padding and the dilation (lesson 13), and see
#    where the copies overlap. The bilinear kernel is explained below.

# %%
# Counting is not enough, because real kernels are not all ones. On a constant map, an output is the map's value times
# the **sum of the kernel elements of its phase**. There is a chessboard unless all phases have the same sum. Here is a
# random 4×4 kernel at stride 2, whose overlap is perfectly even:


def phase_sums(kernel: np.ndarray, s: int) -> np.ndarray:
    """Return the (s, s) sums of the kernel elements, one per phase of the output."""
    return np.array([[kernel[i::s, j::s].sum() for j in range(s)] for i in range(s)])


def unevenness(kernel: np.ndarray, s: int) -> float:
    """Return the spread of the phase sums (their standard deviation) in per cent of their mean."""
    sums = phase_sums(kernel, s)
    return float(100 * sums.std() / abs(sums.mean()))


rng = np.random.default_rng(10)
chance = rng.uniform(0, 0.5, (4, 4))
plain = spread(np.ones((8, 8)), chance, s=2)
assert np.allclose(plain[4:6, 4:6], phase_sums(chance, 2))
uneven = {"3×3, all ones": unevenness(np.ones((3, 3)), 2), "4×4, random": unevenness(chance, 2)}
for name, percent in uneven.items():
    print(f"{name}: phases differ by {percent:.0f} % of their mean")

# %%
# The 3×3 kernel of ones has phases that differ by 48 % of their mean (its 9 elements are divided into 4, 2, 2 and 1).
# The random one of 4×4 still has 21 %. So a kernel size divisible by the stride makes a flat result *possible*, while a
# 3×3 kernel at stride 2 must compensate for its own overlap (Odena, Dumoulin, Olah 2016 made this widely known). What
# matters is where training starts.

# %%
# Bilinear initialisation
# -----------------------
# Enlarging by **bilinear interpolation** draws straight lines between neighbouring pixels. Written as a transposed
# convolution, its kernel is a tent: highest over the pixel itself, falling to 0 at the next pixel. FCN, the network of
# lesson 13, initialises its upsampling layers (lesson 8) this way (Long, Shelhamer, Darrell 2015, section 4.2). For a
# kernel of size *k*, the factor *f* is (k + 1)/2 rounded down, and the centre is f − 1 for odd and f − 1/2 for even
# *k*:
#
# .. math:: t(i) = 1 - \frac{|i - \text{centre}|}{f}
#
# The kernel in two dimensions is the product of a column t and a row t.


def tent(k: int) -> np.ndarray:
    """Return the bilinear kernel along one axis."""
    factor = (k + 1) // 2
    centre = factor - 1 if k % 2 else factor - 0.5
    return 1 - np.abs(np.arange(k) - centre) / factor


print("k 4, factor 2:", tent(4), "  k 3, factor 2:", tent(3))
assert tent(4).tolist() == [0.25, 0.75, 0.75, 0.25]
assert tent(3).tolist() == [0.5, 1.0, 0.5]

# %%
# With k = 4 and stride 2 the phase sums are 0.25 + 0.75 and 0.75 + 0.25: both 1, so a constant map stays constant. With
# k = 3 they are 0.5 + 0.5 and 1: also both 1, so the right values compensate even for an uneven overlap. This holds for
# every factor *f* if the kernel size is 2f for even and 2f − 1 for odd *f*. FCN uses size 4 for factor 2, 16 for 8 and
# 64 for 32:

for factor in range(2, 33):
    k = 2 * factor - factor % 2
    assert np.allclose([tent(k)[phase::factor].sum() for phase in range(factor)], 1)

ramp = spread(np.tile(np.arange(6.0), (6, 1)), np.outer(tent(4), tent(4)), s=2)
print("a ramp 0 1 2 3 4 5, doubled:", ramp[5, 2:-2])
assert np.allclose(np.diff(ramp[5, 2:-2]), 0.5)  # half the slope: straight lines between pixels

# %%
# The packaged functions
# ----------------------
# `scratchnet.layers.initialization.bilinear` creates the weight for layers with channels, where each channel feeds only
# itself. `bilinear_transpose` is the same operation for kernels that are never trained; it leaves out the
# multiplications by zero between different channels. `upsample_bilinear` repeats the border instead of fading to 0
# there.

from scratchnet.layers.initialization import bilinear
from scratchnet.ops.resampling import bilinear_transpose, upsample_bilinear

weight = bilinear(rng, (4, 4, 3, 3)).astype(float)
for c_out, c_in in np.ndindex(3, 3):
    assert np.allclose(weight[:, :, c_out, c_in], np.outer(tent(4), tent(4)) * (c_out == c_in))
maps = rng.standard_normal((2, 7, 6, 3))
learnable = conv_transpose2d(maps, weight, stride=2)
difference = np.abs(learnable - bilinear_transpose(maps, 2)).max()
print(f"trainable and fixed version differ by at most {difference:.1e}")
assert difference < 1e-12
assert np.allclose(learnable[:, 2:-2, 2:-2], upsample_bilinear(maps, (14, 12))[:, 1:-1, 1:-1])

# %%
# On a real map: the value of a good start
# ----------------------------------------
# Shrink a smear's green channel to half its size (the mean of every 2×2 pixels) and learn to double it again. The only
# difference is how the 4×4 kernel is initialised: at random or with the tent. The error is measured as in lesson 8,
# where a map of zeros has 100 %, on a second smear and away from the border.

from scratchnet.ops.transposed import conv_transpose2d_backward

DATA = sample_folder("smears")


def darkness(name: str) -> np.ndarray:
    """Return the darkness of a smear's green channel, (1, h, w, 1)."""
    return 1 - np.asarray(Image.open(DATA / "images" / f"{name}.png"))[None, :, :, 1:2] / 255


def halved(x: np.ndarray) -> np.ndarray:
    """Return the mean of every 2×2 pixels."""
    n, h, w, c = x.shape
    return x.reshape(n, h // 2, 2, w // 2, 2, c).mean(axis=(2, 4))


wanted, unseen = darkness("cells-0000"), darkness("cells-0001")


def error(weight: np.ndarray) -> float:
    """Return the relative error on the second smear, in per cent."""
    wrong = conv_transpose2d(halved(unseen), weight, stride=2, padding=1) - unseen
    return float(100 * np.sqrt((wrong[:, 2:-2, 2:-2] ** 2).sum() / (unseen[:, 2:-2, 2:-2] ** 2).sum()))


scale = (wanted**2).mean()  # dividing by it makes one learning rate fit pale and dark images
starts = {"random": chance.reshape(4, 4, 1, 1), "bilinear": np.outer(tent(4), tent(4)).reshape(4, 4, 1, 1)}
curves, after = {}, {}
for name, start in starts.items():
    weight, curve = start.copy(), {}
    for step in range(201):
        if step in (0, 30, 200):
            curve[step] = error(weight)
        wrong = conv_transpose2d(halved(wanted), weight, stride=2, padding=1) - wanted
        _, dweight, _ = conv_transpose2d_backward(wrong / wrong.size, halved(wanted), weight, stride=2, padding=1)
        weight -= 0.3 / scale * dweight
    curves[name], after[name] = curve, unevenness(weight[:, :, 0, 0], 2)
    print(f"{name:9} error {curve[0]:.1f} %, after 30 steps {curve[30]:.1f} %, after 200 steps {curve[200]:.1f} %")
print("uneven phases after training:", {name: f"{percent:.2f} %" for name, percent in after.items()})

# %%
# The tent has an error of 5.5 % before any training. The random kernel begins at 35.7 % and has 8.1 % after 30 steps
# and 5.9 % after 200: training comes close to the tent without quite reaching it. The chessboard disappears, from 21 %
# of unevenness to 0.2 %, because the images are smooth and the chessboard raises the error at every pixel. A deep
# network is only trained on labels, which constrain a fine pattern less, so the pattern may stay.

# %%
# The figures worth keeping
# -------------------------
# The upper row shows four inputs (blue) in one dimension, their copies of the kernel (yellow), and how many copies
# cover each output (green). The lower row shows these counts in two dimensions.

from scratchnet.visualization import overlap_counts, overlap_figure, panels, save_figure

assert all((overlap_counts(4, k, 2) == board).all() for k, board in boards.items())
save_figure(
    overlap_figure(((2, 2), (3, 2), (4, 2)), size=4),
    "10-overlap-counts",
    alt="Copies of kernels of size 2, 3 and 4 at stride 2. Size 2 covers every output once. Size 3 covers them 1, "
    "2, 1, 2 times, which makes a chessboard in two dimensions. Size 4 covers all but the border evenly.",
)

# %%
# A part of the second smear at half size, and doubled with three kernels that were not trained. Dark means a large
# value.

small = halved(unseen)[0, :, :, 0]
pictures = {
    "half size": small[4:24, 25:45],
    "3×3, all ones": spread(small, np.ones((3, 3)) / 2.25, s=2)[8:48, 50:90],
    "4×4, random": spread(small, chance, s=2, p=1)[8:48, 50:90],
    "4×4, bilinear": spread(small, np.outer(tent(4), tent(4)), s=2, p=1)[8:48, 50:90],
}
figure, axes = panels(11, 3.1, columns=4)
for one, (name, picture) in zip(axes, pictures.items(), strict=True):
    one.imshow(picture, cmap="Greys", vmin=0, vmax=0.9)
    one.set_title(name)
    one.set_xticks([])
    one.set_yticks([])
save_figure(
    figure,
    "10-checkerboards",
    alt="Part of a smear at half size, and enlarged by three kernels: ones of size 3×3 give a strong chessboard, "
    "a random 4×4 kernel a weaker one, and the bilinear 4×4 kernel a smooth image.",
)

# %%
# What breaks if …
# ----------------
# **… the kernel size does not fit the factor?** The formula gives a tent for any size. A tent of size 5 has factor 3;
# at stride 2 it leaves a chessboard, without any error message.

mismatched = unevenness(np.outer(tent(5), tent(5)), 2)
print(f"tent of 5 at stride 2: phases differ by {mismatched:.0f} %")
assert mismatched > 10
assert unevenness(np.outer(tent(5), tent(5)), 3) < 1e-9

# %%
# They differ by 16 %; at stride 3, which fits, not at all.
#
# **… one looks at the border?** The outermost outputs are covered by one copy where others are covered by two, so a
# constant fades out there: one quarter remains, then three quarters. With padding 1 the worst ring is cropped. FCN pads
# its image beforehand and crops much more.

faded = spread(np.ones((4, 4)), np.outer(tent(4), tent(4)), s=2)
print("a row of ones, doubled:", faded[4])
assert faded[4].tolist() == [0.25, 0.75, 1, 1, 1, 1, 1, 1, 0.75, 0.25]

# %%
# **… the network has no transposed convolution at all?** The chessboard can still appear in the *gradients*. The
# backward pass of an ordinary 3×3 convolution at stride 2 multiplies by the same matrix, so some pixels of the image
# receive four contributions and others one. Visualisations of gradients show it.

from scratchnet.ops.convolution import conv2d_backward

heard, _, _ = conv2d_backward(np.ones((1, 4, 4, 1)), np.ones((1, 9, 9, 1)), np.ones((3, 3, 1, 1)), stride=2)
assert (heard[0, :, :, 0] == boards[3]).all()
print("the gradient of a strided convolution shows the chessboard of the 3×3 kernel:", np.unique(heard))

# %%
# Exercises
# ---------
# Solutions: ``lessons/solutions/10_overlap_and_checkerboards.py``.
#
# 1. Count the copies of a kernel of size 5 at stride 3 for three inputs, on paper. Then do the same for size 6.
# 2. Write the tent for factor 3, and show that each of its three phases sums to 1.
# 3. Some networks enlarge by copying every pixel 2×2 (nearest) and then convolve with 3×3. Why is there never a
#    chessboard on a constant map, whatever the kernel?
# 4. FCN-8s enlarges eightfold with a kernel of 16 at stride 8. How many copies cover an output in the middle? How large
#    does a map of 10×10 become before cropping?
#
# ``scratchnet exercise start 10`` writes stubs for the overlap counts, for the phase sums and for the bilinear kernel;
# ``scratchnet exercise check 10`` checks them.
