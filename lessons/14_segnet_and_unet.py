r"""
14. SegNet and U-Net: indices or features
=========================================

**The question.** On the way up, a network has lost the exact positions that it knew on the way down. What should the
way down pass on: nothing, the positions of the maxima, or everything it saw? And what does each answer cost?

You need lesson 7 (switches), lesson 8 (ways to enlarge, encoder and decoder), lesson 12 (a network as a list) and
lesson 13 (skips that are added).

**What you will build.** One encoder with three decoders, which get nothing, switches or features, and a comparison of
the three.

**Time.** About 50 minutes, and as long again for the exercises.

**New terms**, one line each on :doc:`the page of terms </terms>`: SegNet, U-Net, concatenation, features, seed.
"""

# %%
# Write your prediction down first
# --------------------------------
# 1. An encoder has 64 maps of 180×240 pixels and pools them with 2×2 windows. How many megabytes do the maps take, with
#    32 bits per value? And their switches, with 2 bits per window?
# 2. A map of 45 rows is pooled in pairs, and the last row makes an incomplete window. How many rows are left, and how
#    many should unpooling restore?
# 3. U-Net does not pad. A block is two 3×3 convolutions, each of which removes one pixel on every side. On the way down
#    there are four blocks, each followed by a pool, then one block at the bottom; on the way up, four times, twofold
#    enlargement and a block. The input has 572×572 pixels. How large is the output?

import sys

import numpy as np
from PIL import Image

from scratchnet.data import sample_folder
from scratchnet.utils.lesson import start_lesson

FAST = start_lesson()
rng = np.random.default_rng(14)

# %%
# By hand
# -------
# Take the map of lesson 7 again, and its four maxima. Suppose the layers in the middle change nothing, so the same
# maxima come back up. There are three ways to give the decoder a map of 4×4:

from scratchnet.ops.pooling import max_pool2d, max_unpool2d
from scratchnet.ops.resampling import upsample_nearest

x = np.array([[3, 9, 6, 2], [5, 2, 1, 8], [12, 3, 9, 7], [2, 5, 6, 2]], np.float64).reshape(1, 4, 4, 1)
maxima, switches = max_pool2d(x, 2)
repeated = upsample_nearest(maxima, 2)
placed = max_unpool2d(maxima, switches)
beside = np.concatenate([repeated, x], axis=3)  # (1, 4, 4, 2): two channels
print("repeated, nothing remembered\n", repeated[0, :, :, 0])
print("at the switches\n", placed[0, :, :, 0])
print("concatenated with the old map: a pixel is a pair. The first row\n", beside[0, 0])

# %%
# Nearest (lesson 8) remembers nothing. The decoder sees blocks, and has to guess where in a block an edge lies.
#
# **SegNet** (Badrinarayanan, Kendall, Cipolla 2015) remembers the switches and nothing else. Four positions are correct
# to the pixel, and the following convolutions fill the gaps.
#
# **U-Net** (Ronneberger, Fischer, Brox 2015) keeps the whole old map and stacks it onto the new one along the channels.
# This is a **concatenation**. The next convolution reads both: one says *what* is there, the other *where*. FCN's skip
# of lesson 13 adds the scores of two levels, whereas U-Net lets the network learn how to combine the maps.
#
# The gradient of a concatenation
# -------------------------------
# In the forward pass, maps are joined along the channels. In the backward pass, the gradient is split at the same
# channels and each map gets its part: nothing is added or multiplied. But the old map is used *twice*, once by the pool
# and once by the concatenation, so its two gradients are **summed** (lesson 12).

upstream = rng.standard_normal((1, 4, 4, 2))
to_repeated, to_map = upstream[..., :1], upstream[..., 1:]  # cut in two
to_maxima = to_repeated.reshape(1, 2, 2, 2, 2, 1).sum(axis=(2, 4))  # each maximum was written four times
through_pool = max_unpool2d(to_maxima, switches)  # lesson 7
analytic = to_map + through_pool


def loss(x: np.ndarray) -> float:
    """Return the value whose slope we need."""
    pooled, _ = max_pool2d(x, 2)
    return float((np.concatenate([upsample_nearest(pooled, 2), x], axis=3) * upstream).sum())


numeric = np.zeros_like(x)
for place in np.ndindex(x.shape):
    moved = x.copy()
    moved[place] += 1e-5
    above = loss(moved)
    moved[place] -= 2e-5
    numeric[place] = (above - loss(moved)) / 2e-5
worst = np.abs(numeric - analytic).max()
print(f"largest difference between the two gradients: {worst:.1e}")
assert worst < 1e-8
assert not np.allclose(numeric, to_map)  # the concatenation's gradient alone is not enough

# %%
# The list of lesson 12 does this by itself, because the old map's name occurs twice in it:

from scratchnet.layers import Concatenate, MaxPool2d, UpsampleNearest
from scratchnet.network import Network

net = Network(channels=1)
net.add("pool", MaxPool2d(2))
net.add("up", UpsampleNearest(2))
net.add("beside", Concatenate(), "up", "input")
net.allocate(dtype=np.float64).train()
assert (net.forward(x) == beside).all()
assert np.allclose(net.backward(upstream, needs_input_grad=True), analytic)

# %%
# What must be remembered
# -----------------------
# Count, for 64 maps of 180×240 (SegNet's paper, section 3, has this example):

maps = 64 * 180 * 240 * 4  # bytes, 32 bits per value
packed = 64 * 90 * 120 * 2 // 8  # bytes, 2 bits per window
print(f"maps {maps:,} bytes = {maps / 1e6:.0f} MB; switches {packed:,} bytes = {packed / 1e6:.2f} MB")

# %%
# The maps take 11 MB and the switches 0.17 MB, a 64th. Two bits per window are practical: four switches fit into a
# byte. The package computes the switches of a random map, packs them, unpacks them again, and measures the memory:

from scratchnet.network.switch_memory import measure_switches

measured = measure_switches(MaxPool2d(2), (1, 180, 240, 64))
print("float32 maps, int64 indices, bytes, two bits, in MB:", *measured.megabytes())
assert (measured.floats, measured.packed) == (maps, packed)

# %%
# PyTorch and ONNX store a switch as an ``int64``. That takes half as much memory as the maps themselves, so most of the
# advantage is lost.
#
# To be fair: in *training* every map is kept anyway, because the convolutions' backward passes need it. SegNet can
# discard the maps that a U-Net must keep only when a trained network is *used*.
#
# Sizes that are odd
# ------------------
# SegNet's pools include a last, incomplete window: 360 rows become 180, 90, 45, and 45 become 23. Twice 23 is 46. The
# switches of the package store the size of the original map, so unpooling restores 45 rows. The two other decoders
# enlarge to 46 and have to crop.

rows = [360]
while rows[-1] > 23:
    rows.append(-(-rows[-1] // 2))
print("rows on the way down:", rows)
small, remembered = max_pool2d(rng.standard_normal((1, 45, 60, 1)), 2, ceil_mode=True)
back = max_unpool2d(small, remembered)
print(f"{remembered.size} pooled to {small.shape[1:3]}, unpooled to {back.shape[1:3]}")
assert rows == [360, 180, 90, 45, 23]
assert back.shape == (1, 45, 60, 1)

# %%
# U-Net's sizes need care too. It does not pad, so that no output pixel depends on invented neighbours. Every block
# loses 4 rows, and the old map must be **cropped** to its centre before it is concatenated with the smaller new one.

side, old = 572, []
for _ in range(4):
    side -= 4
    old.append(side)
    side //= 2
side -= 4
for wide in reversed(old):
    side *= 2
    print(f"{wide:3} rows kept, {side:3} rows come up: {(wide - side) // 2:2} cut on every side")
    side -= 4
print("out:", side)

from scratchnet.models import build

assert build("unet", classes=2).shapes((572, 572))["whole"][1:3] == (side, side)

# %%
# 388: a border of 92 pixels is seen but not labelled. The paper extends an image beyond its border by mirroring it.
# Many implementations pad and crop nothing, and so do we from here on.
#
# One encoder, three decoders
# ---------------------------
# We build three pools on the way down as a list, then one of three ways up: nearest, switches, or the encoder's maps.
# Such maps are often called *features* of the image, so this is our name for the third way. The images have 90 rows, so
# that 45 and 23 occur.

from scratchnet.layers import BatchNorm2d, Conv2d, Crop, MaxUnpool2d, ReLU
from scratchnet.losses import PixelLoss
from scratchnet.training.optimizers import Adam


def convolve(net: Network, name: str, c_in: int, c_out: int) -> str:
    """Add a convolution that keeps the size, batch norm and ReLU."""
    net.add(name, Conv2d(c_in, c_out, 3, padding=1))
    net.add(f"{name}_bn", BatchNorm2d(c_out))
    return net.add(f"{name}_relu", ReLU())


def hourglass(way_up: str) -> Network:
    """Build the encoder and one of the decoders: "nearest", "switches" or "features"."""
    net = Network(channels=3)
    convolve(net, "conv1", 3, 16)
    net.add("pool1", MaxPool2d(2, ceil_mode=True))
    convolve(net, "conv2", 16, 32)
    net.add("pool2", MaxPool2d(2, ceil_mode=True))
    convolve(net, "conv3", 32, 32)
    net.add("pool3", MaxPool2d(2, ceil_mode=True))
    last = convolve(net, "conv4", 32, 32)
    for level, c_in, c_out in ((3, 32, 32), (2, 32, 16), (1, 16, 16)):
        old = f"conv{level}_relu"
        if way_up == "switches":
            net.add(f"up{level}", MaxUnpool2d(), last, f"pool{level}.switches")
        else:
            net.add(f"up{level}", UpsampleNearest(2), last)
            net.add(f"up{level}c", Crop(0), f"up{level}", old)  # 46 → 45, 24 → 23
        if way_up == "features":
            net.add(f"join{level}", Concatenate(), f"up{level}c", old)
        read = 2 * c_in if way_up == "features" else c_in  # both maps have as many channels here
        last = convolve(net, f"decode{level}", read, c_out)
    net.add("score", Conv2d(16, 2, 1))
    return net


from scratchnet.visualization import architecture_figure, overlay, panels, save_figure

numbers, nets = {}, {}
for way in ("nearest", "switches", "features"):
    nets[way] = net = hourglass(way)
    shapes = net.shapes((90, 90))
    numbers[way] = net.parameter_count()
    print(
        f"{way:8}: {numbers[way]:6,} parameters, heights", *(shapes[f"conv{i}_relu"][1] for i in (1, 2, 3, 4)), end=" "
    )
    print(*(shapes[f"decode{i}_relu"][1] for i in (3, 2, 1)))
more = numbers["features"] - numbers["nearest"]

# %%

save_figure(
    architecture_figure(nets["switches"], (90, 90), "the way up takes switches"),
    "14-way-up-switches",
    alt="A network like an hourglass: three pools make the maps smaller, three unpoolings enlarge them again, and "
    "arrows carry the switches of each pool to the unpooling of the same size.",
)

# %%

save_figure(
    architecture_figure(nets["features"], (90, 90), "the way up takes features"),
    "14-way-up-features",
    alt="The same hourglass, in which dashed arrows carry whole maps from the left half to the right one, where "
    "they are concatenated. The maps there have twice as many channels.",
)

# %%
# Switches add no parameters. The concatenations cost 16,128, because the three convolutions after them read twice as
# many channels, and the number of weights is height × width × channels in × channels out.
#
# Train all three on a training set of twelve smears, in the same order; the four others are the test set.

SIDE = 90
folder = sample_folder("smears")
names = [f"cells-{number:04d}.png" for number in range(16)]
photos = np.stack([np.asarray(Image.open(folder / "images" / name).convert("RGB")) for name in names])[:, :SIDE, :SIDE]
masks = np.stack([np.asarray(Image.open(folder / "masks" / name)) for name in names])[:, :SIDE, :SIDE]
images = (photos / 255 - 0.5).astype(np.float32)


def iou(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Return the intersection over union of the cells (lesson 1)."""
    return float(((prediction == 1) & (truth == 1)).sum() / ((prediction == 1) | (truth == 1)).sum())


def near_border(truth: np.ndarray, reach: int) -> np.ndarray:
    """Return a mask of the pixels with both classes within ``reach`` rows and columns."""
    padded = np.pad(truth, ((0, 0), (reach, reach), (reach, reach)), "edge")
    spots = np.lib.stride_tricks.sliding_window_view(padded, (2 * reach + 1, 2 * reach + 1), axis=(1, 2))
    return spots.min(axis=(3, 4)) != spots.max(axis=(3, 4))


def train(net: Network, updates: int, seed: int = 0) -> np.ndarray:
    """Train on twelve smears; return the predictions for the four others."""
    net.allocate(seed).train()
    pixel_loss, optimizer = PixelLoss(classes=2), Adam()
    for update in range(updates):
        draw = np.random.default_rng([seed, update])
        batch = draw.choice(12, 4, replace=False)
        flip = slice(None, None, 1 if draw.random() < 0.5 else -1)  # data augmentation
        x, y = images[batch][:, :, flip], masks[batch][:, :, flip]
        _, dscores = pixel_loss(net.forward(np.ascontiguousarray(x)), y)
        net.zero_grad()
        net.backward(dscores)
        optimizer.step(net.flat(), 5e-3)
    return net.forward(images[12:]).argmax(axis=3)  # with the statistics of these four (lesson 11)


truth, border = masks[12:], near_border(masks[12:], 2)


def judge(prediction: np.ndarray) -> tuple[float, float]:
    """Return the IoU, and the share of wrong pixels among those next to an outline."""
    return iou(prediction, truth), float(((prediction != truth) & border).sum() / border.sum())


predictions = {way: train(hourglass(way), 3 if FAST else 200) for way in numbers}
scores = {way: judge(prediction) for way, prediction in predictions.items()}
for way, (score, wrong) in scores.items():
    print(f"{way:8}: IoU {score:.3f}, errors among the pixels next to an outline: {wrong:.1%}")
if not FAST:
    assert scores["features"][1] < min(scores["nearest"][1], scores["switches"][1])

# %%
# But this experiment is small: twelve images and one run each. With another *seed*, the number that initialises a
# random generator, initial weights and batches differ, and so does the result.
# ``python lessons/14_segnet_and_unet.py --seeds`` trains each network with four other seeds as well. These are the
# means and the standard deviations of the five runs:
#
# ========  =============  ==================
# way up    IoU            errors at outlines
# ========  =============  ==================
# nearest   0.779 ± 0.042  33.0 % ± 3.1 %
# switches  0.806 ± 0.029  29.1 % ± 1.9 %
# features  0.815 ± 0.038  22.7 % ± 1.2 %
# ========  =============  ==================
#
# - The features win at the outlines, as expected: their decoder sees the old pixels again. In all five runs they have
#   the fewest errors there. Their mean IoU is the largest, too, but not reliably: in three of the five runs that of the
#   switches is larger.
# - The switches have fewer errors at outlines than nearest in all five runs, by 0.7 to 8.8 percentage points. Their IoU
#   is larger in four of the five, but the difference between the means is smaller than the spread of the runs.
#
# So what a decoder remembers shows at the outlines. It does not follow that one of the three is better everywhere: a
# single run can put features or switches ahead in IoU, and four test images are few. Lesson 17 compares switches and
# nearest again, with more images.

if "--seeds" in sys.argv:  # optional: takes five times as long
    runs = {way: [pair] for way, pair in scores.items()}
    for seed in (1, 2, 3, 4):
        for way, found in runs.items():
            found.append(judge(train(hourglass(way), 3 if FAST else 200, seed)))
            print(f"seed {seed}, {way:8}: IoU {found[-1][0]:.3f}, errors at outlines {found[-1][1]:.1%}")
    for way, found in runs.items():
        (score, wrong), (off_score, off_wrong) = np.mean(found, axis=0), np.std(found, axis=0, ddof=1)
        print(f"{way:8}: IoU {score:.3f} ± {off_score:.3f}, errors at outlines {wrong:.1%} ± {off_wrong:.1%}")

# %%
# The figure worth keeping
# ------------------------
# The figure shows one of the four images, with the pixels labelled as cell in orange. Below each prediction is a map of
# its errors: missed pixels are vermilion, false alarms blue, and correct pixels white (cell) or black (background). The
# values in the titles are for all four images.

from scratchnet.visualization import error_map

figure, axes = panels(9, 4.8, rows=2, columns=4)
for one in axes:
    one.set_axis_off()
first = np.ascontiguousarray(photos[12])
axes[0].imshow(first)
axes[0].set_title("image")
axes[4].imshow(overlay(first, truth[0]))
axes[4].set_title("truth")
for column, way in enumerate(numbers, start=1):
    mask = predictions[way][0].astype(np.uint8)
    axes[column].imshow(overlay(first, mask))
    axes[column].set_title(f"{way}: IoU {scores[way][0]:.2f}")
    axes[4 + column].imshow(error_map(truth[0], mask))
    axes[4 + column].set_title(f"{scores[way][1]:.0%} wrong at outlines")
save_figure(
    figure,
    "14-segnet-and-unet",
    alt="A test smear with its mask, and for each of the three networks the predicted mask with its IoU, above a "
    "map of its errors.",
)

# %%
# What breaks if …
# ----------------
# **… the enlarged map is not cropped?** Then 46 rows cannot be concatenated with 45:

from scratchnet.ops.shape import concatenate

try:
    concatenate(np.zeros((1, 46, 46, 8)), np.zeros((1, 45, 45, 8)))
except ValueError as error:
    print(error)
else:
    raise AssertionError("46 and 45 rows must raise an error")

# %%
# **… the two maps are concatenated in the other order?** The shapes and the number of weights stay the same, and
# nothing crashes. But every weight now reads the wrong channel. This happens when weights are imported from another
# program.

deep, old_map = rng.standard_normal((2, 1, 8, 8, 3))
kernel = rng.standard_normal((3, 3, 6, 2))

from scratchnet.ops.convolution import conv2d

right = conv2d(concatenate(deep, old_map), kernel, padding=1)
swapped = conv2d(concatenate(old_map, deep), kernel, padding=1)
turned = conv2d(concatenate(old_map, deep), kernel[:, :, [3, 4, 5, 0, 1, 2]], padding=1)
print("same shape:", right.shape == swapped.shape, "  same values:", np.allclose(right, swapped))
print("with the weights reordered as well:", np.allclose(right, turned))
assert not np.allclose(right, swapped)
assert np.allclose(right, turned)

# %%
# **… a decoder takes the switches of another pool?** Then a map and its switches differ in size, and the list raises an
# error before anything is computed:

broken = Network(channels=3)
convolve(broken, "conv1", 3, 8)
broken.add("pool1", MaxPool2d(2))
broken.add("pool2", MaxPool2d(2))
broken.add("up", MaxUnpool2d(), "pool2", "pool1.switches")
try:
    broken.shapes((32, 32))
except ValueError as error:
    print(error)
else:
    raise AssertionError("the switches of another pool must raise an error")

# %%
# Exercises
# ---------
# Solutions: ``lessons/solutions/14_segnet_and_unet.py``.
#
# 1. ``[1, 2]`` and ``[3]`` are the channels of two maps of one pixel. They are concatenated, and the upstream gradient
#    is ``[10, 20, 30]``. Which gradient does each map get? The second map is also added to the result of another layer,
#    where it gets the gradient ``[5]``. What is its total gradient?
# 2. SegNet has five pools with 64, 128, 256, 512 and 512 channels. For an image of 360×480, how many bytes do its
#    switches take at two bits, and how many the maps before the pools?
# 3. Which sizes from 180 to 240 can U-Net take so that every pool sees an even number of rows? How large are the
#    outputs?
# 4. Write the gradient of a crop. Which pixels get no gradient?
#
# ``scratchnet exercise start 14`` writes stubs for the skip of U-Net and its gradient, for packed switches and for a
# small U-Net; ``scratchnet exercise check 14`` checks them. The gradient of a crop in exercise 4 is part of the first.
