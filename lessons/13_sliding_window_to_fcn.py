r"""
13. From a sliding window to FCN-32, 16 and 8
=============================================

**The question.** A network that says what an image shows, a *classifier*, gives one answer for the whole image. We want
an answer for every pixel. Must we run it once per pixel, and if not, what do we lose?

You need lesson 9 (transposed convolution), lesson 10 (bilinear kernels) and lesson 12 (a network as a list).

**What you will build.** A classifier that labels all pixels in one pass, an FCN with two skips, and the Adam optimiser
by hand.

**Time.** About 50 minutes, and as long again for the exercises.

**New terms**, one line each on :doc:`the page of terms </terms>`: classifier, sliding window, fully connected, fully
convolutional network, skip, dilation, dilated, atrous, pretraining, fine-tuning, backbone, optimiser, Adam.
"""

# %%
# Write your prediction down first
# --------------------------------
# The most direct approach is a **sliding window**: cut a window around a pixel, let a classifier label its centre, and
# move on by one pixel. An image of 96×96 has 9,216 such windows. Suppose a window has 16×16 pixels. Write down:
#
# 1. how many pixels two neighbouring windows share;
# 2. by what factor the work of all windows could shrink, if nothing were computed twice;
# 3. whether a *fully connected* layer, which has one weight for every element of a map, can be part of a network that
#    takes images of any size.

import numpy as np
from PIL import Image

from scratchnet.data import sample_folder
from scratchnet.utils.lesson import start_lesson

FAST = start_lesson()
SMEARS = sample_folder("smears")
rng = np.random.default_rng(13)

photo = np.asarray(Image.open(SMEARS / "images" / "cells-0000.png").convert("RGB"))
image = photo[None].astype(np.float64) / 255 - 0.5
print(image.shape)

# %%
# A classifier for windows
# ------------------------
# We use a small one with random weights, because its answers do not matter here: two convolutions, the second with
# stride 2, each followed by a ReLU, and a **fully connected** layer, which computes one weighted sum of all remaining
# values per class. A convolution without padding makes the map smaller: 16 becomes 14, then 6.

from scratchnet.ops.convolution import conv2d

WINDOW = 16
kernel1 = rng.standard_normal((3, 3, 3, 8)) / 5
kernel2 = rng.standard_normal((3, 3, 8, 8)) / 8
dense = rng.standard_normal((6 * 6 * 8, 2)) / 17  # from every element of the last map to two classes


def classify(window: np.ndarray) -> np.ndarray:
    """Return the two scores of one window (1, 16, 16, 3)."""
    first = np.maximum(conv2d(window, kernel1), 0)  # (1, 14, 14, 8)
    second = np.maximum(conv2d(first, kernel2, stride=2), 0)  # (1, 6, 6, 8)
    return second.reshape(1, -1) @ dense  # (1, 2)


print("scores of the first window:", classify(image[:, :WINDOW, :WINDOW]))

# %%
# Now slide it over a part of the image, two pixels at a time. (Two because of the stride, as we will see.) Every window
# gives two scores (lesson 6), one for each class:

part = image[:, :48, :48]
steps = range(0, 48 - WINDOW + 1, 2)
by_windows = np.array([[classify(part[:, r : r + WINDOW, c : c + WINDOW])[0] for c in steps] for r in steps])
print("a map of scores:", by_windows.shape)

# %%
# Fully connected is a convolution in disguise
# --------------------------------------------
# The fully connected layer multiplies a map of 6×6×8 values by 6×6×8 weights and adds up. A convolution does the same
# at one position, with a kernel as large as the map; only the weights have to be reshaped. And a convolution accepts a
# larger image: the kernel simply slides (Long, Shelhamer, Darrell 2015, section 3.1).

kernel3 = dense.reshape(6, 6, 8, 2)


def all_at_once(image: np.ndarray) -> np.ndarray:
    """Return the scores of all windows, two pixels apart, in one pass."""
    first = np.maximum(conv2d(image, kernel1), 0)
    second = np.maximum(conv2d(first, kernel2, stride=2), 0)
    return conv2d(second, kernel3)


at_once = all_at_once(part)[0]
worst = np.abs(at_once - by_windows).max()
print(f"{by_windows.shape} and {at_once.shape}, largest difference {worst:.0e}")
assert worst < 1e-12

# %%
# The results agree to the last digit. A network without fully connected layers takes images of any size: it is a
# **fully convolutional network**, FCN. How much does it save? Count the multiplications.


def products(h: int, w: int) -> int:
    """Return the multiplications of one pass over h × w pixels."""
    h1, w1 = h - 2, w - 2
    h2, w2 = (h1 - 1) // 2, (w1 - 1) // 2
    return h1 * w1 * 27 * 8 + h2 * w2 * 72 * 8 + (h2 - 5) * (w2 - 5) * 288 * 2


windows = len(steps) ** 2
saved = windows * products(WINDOW, WINDOW) / products(48, 48)
print(f"{windows} windows: {windows * products(WINDOW, WINDOW):,} multiplications; in one pass {products(48, 48):,}")
print(f"{saved:.1f} times fewer")
per_pixel = 27 * 8 + 72 * 8 + 288 * 2  # each value of each map computed once, at every pixel
one_apart = products(WINDOW, WINDOW) / per_pixel
print(f"windows one pixel apart, in a large image: {one_apart:.1f} times fewer")

# %%
# 20.4 times fewer, and the factor grows with the window and the image. Two windows side by side share 14 of their 16
# columns here, and everything computed there. Moved by a single pixel, as in the first question, two windows share
# 15·16 = 240 of their 256 pixels. If nothing were computed twice there either, 46.5 times fewer multiplications would
# be enough in a large image. (The dilated convolutions explained below make this possible.)
#
# The price: a coarse map
# -----------------------
# The map of scores has one value for every second pixel, because one convolution has stride 2. VGG16, the network on
# which FCN is based, halves its map five times, so one score stands for 32×32 pixels. What does a mask look like that
# has one value every 32 pixels? Average the ground truth over squares, enlarge the result bilinearly (lesson 10), and
# label everything above one half as cell. This is no bound: scores need not be averages, and others may fit a little
# better after the enlargement. But it shows how fast detail is lost.

from scratchnet.ops.resampling import upsample_bilinear

names = [f"cells-{number:04d}.png" for number in range(16)]
photos = np.stack([np.asarray(Image.open(SMEARS / "images" / name).convert("RGB")) for name in names])
masks = np.stack([np.asarray(Image.open(SMEARS / "masks" / name)) for name in names])
print(photos.shape, masks.shape, "values of the masks:", np.unique(masks))
side = 96  # a multiple of 32
truth = masks[:, :side, :side]


def iou(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Return the intersection over union of the cells (lesson 1)."""
    return float(((prediction == 1) & (truth == 1)).sum() / ((prediction == 1) | (truth == 1)).sum())


averaged = {}
for stride in (32, 16, 8, 4):
    cells = truth.reshape(len(truth), side // stride, stride, side // stride, stride).mean(axis=(2, 4))
    fine = upsample_bilinear(cells[..., None], (side, side))[..., 0]
    averaged[stride] = iou(fine > 0.5, truth)
    print(f"the truth itself, averaged to one value every {stride:2} pixels: IoU {averaged[stride]:.2f}")

# %%
# Enlarging in steps, with help from shallower maps
# -------------------------------------------------
# FCN-32s enlarges its coarsest scores 32 times in one step, with the bilinear kernel of lesson 10. FCN-16s uses a finer
# map as well: the one before the last pool, with one value every 16 pixels. Its receptive field is smaller, so it knows
# less about *what* there is, but more about *where*. A 1×1 convolution computes scores from it, the coarse scores are
# enlarged twofold, and the two are **added**. FCN-8s does this once more. Such a shortcut is called a **skip**.
#
# Let us test whether it helps. We take the same small encoder (lesson 8) three times: four blocks of convolution, batch
# norm, ReLU and pool, with scores at 1/16; then the same with scores at 1/8 added, and at 1/4. Of the package's layers,
# ``BilinearTranspose2d(f)`` is the transposed convolution with the tent of lesson 10 for the factor f. ``Crop(o)``
# crops its first input, starting at row and column o, to the size of its second.

from scratchnet.layers import Add, BatchNorm2d, BilinearTranspose2d, Conv2d, Crop, MaxPool2d, ReLU
from scratchnet.network import Network


def small_fcn(skips: int) -> Network:
    """Build an FCN whose finest scores are at 1/16 (no skip), 1/8 (one) or 1/4 (two)."""
    net = Network(channels=3)
    c_in = 3
    for block, filters in enumerate((8, 16, 32, 32), start=1):
        net.add(f"conv{block}", Conv2d(c_in, filters, 3, padding=1))
        net.add(f"bn{block}", BatchNorm2d(filters))
        net.add(f"relu{block}", ReLU())
        net.add(f"pool{block}", MaxPool2d(2))
        c_in = filters
    scores, stride = net.add("score4", Conv2d(32, 2, 1)), 16
    for block, filters in ((3, 32), (2, 16))[:skips]:
        net.add(f"up{block}", BilinearTranspose2d(2), scores)
        net.add(f"score{block}", Conv2d(filters, 2, 1), f"pool{block}")
        net.add(f"up{block}c", Crop(1), f"up{block}", f"score{block}")
        scores, stride = net.add(f"sum{block}", Add(), f"up{block}c", f"score{block}"), stride // 2
    net.add("up", BilinearTranspose2d(stride), scores)
    net.add("scores", Crop(stride // 2), "up", "input")
    return net


# %%
# We train with **Adam** (Kingma and Ba 2015), a variant of gradient descent that scales the step of each weight
# separately: the mean of its recent gradients, divided by the square root of the mean of their squares. So weights with
# large and with small gradients learn equally fast. Such a rule for the steps is called an *optimiser*; SGD with
# momentum (lesson 11) is another. By hand:


def adam_by_hand(weights: np.ndarray, gradients: list[np.ndarray], rate: float) -> np.ndarray:
    """Return the weights after one update with each of the gradients."""
    mean = square = np.zeros_like(weights)
    for count, gradient in enumerate(gradients, start=1):
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        fair_mean, fair_square = mean / (1 - 0.9**count), square / (1 - 0.999**count)  # correct for the start at 0
        weights = weights - rate * fair_mean / (np.sqrt(fair_square) + 1e-8)
    return weights


from scratchnet.network import FlatBuffers
from scratchnet.training.optimizers import Adam

unequal = [np.array([100, 1, 0.01]), np.array([90, 2, -0.01])]
buffers, adam = FlatBuffers(np.zeros(3), np.zeros(3), {"weight": slice(0, 3)}), Adam()
for gradient in unequal:
    buffers.grads[:] = gradient
    adam.step(buffers, 0.005)
print("after one update:", adam_by_hand(np.zeros(3), unequal[:1], 0.005), " after two:", buffers.values.round(5))
assert np.allclose(buffers.values, adam_by_hand(np.zeros(3), unequal, 0.005))

# %%
# Gradients of 100, 1 and 0.01 all lead to a first step of 0.005, the learning rate. Now train the three networks:

from scratchnet.losses import PixelLoss


def train(net: Network, updates: int) -> float:
    """Train on twelve smears, and return the IoU on the other four."""
    net.allocate(seed=1).train()
    loss, optimizer = PixelLoss(classes=2), Adam()
    x = (photos[:, :side, :side] / 255 - 0.5).astype(np.float32)
    for update in range(updates):
        batch = np.random.default_rng(update).choice(12, 6, replace=False)
        if update % 2:
            batch_x, batch_y = (
                x[batch, :, ::-1],
                truth[batch, :, ::-1],
            )  # data augmentation: a mirror image is a smear as well
        else:
            batch_x, batch_y = x[batch], truth[batch]
        _, dscores = loss(net.forward(np.ascontiguousarray(batch_x)), batch_y)
        net.zero_grad()
        net.backward(dscores)
        optimizer.step(net.flat(), 5e-3)
    predicted = net.forward(x[12:]).argmax(axis=3)  # with the statistics of these four images (lesson 11)
    predictions.append(predicted[0])
    return iou(predicted, truth[12:])


predictions: list[np.ndarray] = []
results = {16 >> skips: train(small_fcn(skips), 3 if FAST else 250) for skips in range(3)}
for stride, value in results.items():
    print(f"scores every {stride:2} pixels: IoU {value:.2f} on four other smears")

# %%
# Each skip helps in a full run (three updates, as with ``--fast``, show nothing). The averages of the truth suggest
# why: with one value every 16 pixels even they have an IoU of only 0.85, with one every 4 pixels 0.98.
#
# The figure worth keeping
# ------------------------
# Each of the three columns on the right has one spacing of the scores, from coarse to fine: above, the averaged truth;
# below, the mask that the network learned. The IoU above is that of all sixteen smears, the IoU below that of the four
# test images.

from scratchnet.visualization import overlay, panels, save_figure
from scratchnet.visualization.graph.receptive_field import receptive_fields

figure, axes = panels(9, 4.6, rows=2, columns=4)
for one in axes:
    one.set_axis_off()
axes[0].imshow(photos[12, :side, :side])
axes[0].set_title("image")
axes[4].imshow(overlay(np.ascontiguousarray(photos[12, :side, :side]), truth[12]))
axes[4].set_title("truth")
for column, (stride, value) in enumerate(results.items(), start=1):
    cells = truth[12].reshape(side // stride, stride, side // stride, stride).mean(axis=(1, 3))
    axes[column].imshow(cells, cmap="Greens", vmin=0, vmax=1)
    axes[column].set_title(f"averaged to 1/{stride}: IoU {averaged[stride]:.2f}", fontsize=9)
    learned = predictions[column - 1].astype(np.uint8)
    axes[4 + column].imshow(overlay(np.ascontiguousarray(photos[12, :side, :side]), learned))
    axes[4 + column].set_title(f"learned at 1/{stride}: IoU {value:.2f}", fontsize=9)
save_figure(
    figure,
    "13-sliding-window-to-fcn",
    alt="A smear and its mask. Above, the mask averaged over blocks of 16, 8 and 4 pixels, finer each time; "
    "below, the masks of networks with outputs at 1/16, 1/8 and 1/4 of the size, each with its IoU.",
)

# %%
# What a score sees
# -----------------
# How large is the receptive field of a score, the part of the image that it depends on (lesson 7)? It starts as one
# pixel. Each layer with a kernel of size k adds k − 1 steps, where a step is the product of all strides so far. For
# VGG16 up to the layer that was fully connected:

length, step = 1, 1
for convolutions in (2, 2, 3, 3, 3):
    for _ in range(convolutions):
        length += (3 - 1) * step
    length += (2 - 1) * step  # the pool
    step *= 2
length += (7 - 1) * step
print(f"a score of FCN sees {length} pixels in each direction and stands for {step}")

from scratchnet.models import build

field = receptive_fields(build("fcn32s", classes=21), (500, 500), "score_fr", (8, 8))["input"]
print(field)
assert field.right - field.left == length

# %%
# 404 pixels, no matter how large the object is. A cup of 30 pixels is a detail in that field, and of a bus of 600
# pixels it covers only a part. The DeconvNet paper (Noh, Hong, Han 2015) starts from this problem: an object much
# larger than the field is broken into pieces, and one much smaller is missed. Its solution is to rescale every
# object to the same size first (lessons 16 and 17).
#
# A receptive field can also grow without pools. A *dilated* (or *atrous*) convolution moves the elements of its kernel
# apart and skips the pixels between them: with a *dilation* of 2, a 3×3 kernel reaches over 5×5 pixels, still with nine
# weights. In the rule above, k − 1 is multiplied by the dilation.

dilated = conv2d(np.ones((1, 9, 9, 1)), np.ones((3, 3, 1, 1)), dilation=2)
print("9×9 pixels, a 3×3 kernel with a dilation of 2:", dilated.shape[1:3])
assert dilated.shape == (1, 9 - 5 + 1, 9 - 5 + 1, 1)
assert (dilated == 9).all()

# %%
# What breaks if …
# ----------------
# **… the enlarged map is put in the wrong place?** An enlarged map is larger than the image by the overhang of the
# kernel, and must be cropped at the right offset. The first convolution of the released FCN-32s pads by 100 pixels so
# that small images survive five pools. The offset there is 19, and no formula of the paper gives it: it is the sum of
# all paddings and kernel overhangs. With an error of the same size:

moved = np.roll(truth, 19, axis=(1, 2))
print(f"a perfect mask, 19 pixels off: IoU {iou(moved, truth):.2f}")
shifted = iou(moved, truth)

# %%
# **… the image is smaller than the window?** Then the last kernel does not fit, and the package raises an error:

try:
    all_at_once(image[:, :12, :12])
except ValueError as error:
    print(error)
else:
    raise AssertionError("an image of 12 pixels must raise an error")

# %%
# **… the coarse scores start at random?** FCN initialises its score layers with 0, so that a new skip changes nothing
# at first: FCN-16s starts where FCN-32s ended.
#
# **… the encoder starts at random?** Ours does. FCN and DeconvNet start with the weights of VGG16, which was trained to
# classify more than a million photographs (the ImageNet data set). This is called *pretraining*; continuing with the
# masks is *fine-tuning*. A pretrained encoder, also called a *backbone*, already knows outlines, textures and parts of
# objects, so far fewer masks are enough.
#
# Exercises
# ---------
# Solutions: ``lessons/solutions/13_sliding_window_to_fcn.py``.
#
# 1. What is the receptive field of a score of our small FCN at 1/16, in pixels? Use the rule above.
# 2. VGG16's first fully connected layer maps 7×7×512 values to 4096. How many weights is that, before and after it has
#    become a convolution?
# 3. To get a score for every pixel instead of every second one, shift the image by (0,0), (0,1), (1,0), (1,1), run the
#    network on each, and interleave the four maps (*shift and stitch*). Check the result against windows.
#
# ``scratchnet exercise start 13`` writes stubs for a fully connected layer as a convolution, for shift and stitch, for
# the head of an FCN and for Adam; ``scratchnet exercise check 13`` checks them. Its stitching is that of exercise 3.
