r"""
15. DeconvNet: from an image to one vector, and back
====================================================

**The question.** A network that classifies reduces an image to a single vector, in which no positions are left.
DeconvNet (Noh, Hong, Han 2015) turns that vector into a mask, pixel by pixel. Where do the positions come from?

You need lesson 7 (switches), lesson 9 (transposed convolution) and lesson 12 (a network as a list).

**What you will build.** A small DeconvNet that you train and look into, map by map, and an experiment that swaps the
switches of two images.

**Time.** About 40 minutes, and as long again for the exercises.

**New terms**, one line each on :doc:`the page of terms </terms>`: fc6, fc6-deconv, activations.
"""

# %%
# Write your prediction down first
# --------------------------------
# 1. VGG16's last map has 7×7 pixels and 512 channels. Its first fully connected layer turns it into 4096 values. How
#    many weights does that layer have?
# 2. DeconvNet has 30 layers with weights and 252 million parameters. How many of them are in the three layers in the
#    middle, where the map has a single pixel?
# 3. Run the way down on photograph A, and the way up with the switches of photograph B. Whose cells does the result
#    show?

import numpy as np
from PIL import Image

from scratchnet.data import sample_folder
from scratchnet.utils.lesson import start_lesson

FAST = start_lesson()
rng = np.random.default_rng(15)

# %%
# By hand: unfolding one value
# ----------------------------
# Here the vector in the middle has one element, 2. A transposed convolution with a 2×2 kernel turns it into a map of
# 2×2 (lesson 9). Unpooling puts the four values where the switches of lesson 7 point, and leaves three quarters of the
# positions 0. A transposed convolution with a 3×3 kernel at stride 1 then adds a small blob around each value, which
# fills the holes.


def stamp(x: np.ndarray, kernel: np.ndarray, crop: int) -> np.ndarray:
    """Add a copy of the kernel, multiplied by the value, for each element of x; cut ``crop`` pixels off every side."""
    k = len(kernel)
    y = np.zeros((x.shape[0] + k - 1, x.shape[1] + k - 1))
    for row, column in np.ndindex(x.shape):
        y[row : row + k, column : column + k] += x[row, column] * kernel
    return y[crop : len(y) - crop, crop : y.shape[1] - crop]


def unpool(y: np.ndarray, switches: np.ndarray) -> np.ndarray:
    """Put each value at the position in its 2×2 window that its switch gives (lesson 7)."""
    x = np.zeros((2 * y.shape[0], 2 * y.shape[1]))
    for row, column in np.ndindex(y.shape):
        i, j = divmod(int(switches[row, column]), 2)
        x[2 * row + i, 2 * column + j] = y[row, column]
    return x


vector = np.array([[2.0]])
coarse = stamp(vector, np.array([[1.0, 2.0], [3.0, 4.0]]), crop=0)
switches = np.array([[1, 3], [0, 0]])
sparse = unpool(coarse, switches)
blob = np.array([[0.25, 0.5, 0.25], [0.5, 1.0, 0.5], [0.25, 0.5, 0.25]])
dense = stamp(sparse, blob, crop=1)
print("2 becomes\n", coarse, "\nunpooled\n", sparse, "\nwith a blob around each value\n", dense)
print("non-zero positions:", np.count_nonzero(sparse), "before,", np.count_nonzero(dense), "of 16 after")

# %%
# From 4 places to all 16. The two layers divide the work: **unpooling decides where, the deconvolution decides what
# surrounds it.** (The paper calls a transposed convolution *deconvolution*, although it inverts nothing; see lesson 9.)
# The package agrees:

from scratchnet.ops.pooling import max_unpool2d
from scratchnet.ops.switches import Switches
from scratchnet.ops.transposed import conv_transpose2d

packaged = conv_transpose2d(vector.reshape(1, 1, 1, 1), np.array([[1.0, 2.0], [3.0, 4.0]]).reshape(2, 2, 1, 1))
remembered = Switches(switches.astype(np.uint8).reshape(1, 2, 2, 1), (4, 4), (2, 2), (2, 2), (0, 0))
packaged = conv_transpose2d(max_unpool2d(packaged, remembered), blob.reshape(3, 3, 1, 1), padding=1)
assert np.allclose(packaged[0, :, :, 0], dense)

# %%
# The middle: fully connected, as a convolution
# ---------------------------------------------
# A fully connected layer computes weighted sums of all values of a map. A convolution with a kernel as large as the map
# does the same (lesson 13). Its transpose works in the other direction and makes a whole map from a vector. The middle
# of DeconvNet consists of **fc6** (the sixth stage of VGG16, fully connected), a 7×7 convolution from 512 channels to
# 4096; **fc7**, 1×1 to 4096; and **fc6-deconv**, 7×7 back to 512 channels. A small version:

from scratchnet.ops.convolution import conv2d

last_map = rng.standard_normal((1, 7, 7, 5))
weight = rng.standard_normal((7, 7, 5, 6))
by_matrix = last_map.reshape(1, -1) @ weight.reshape(-1, 6)
by_convolution = conv2d(last_map, weight)
assert by_convolution.shape == (1, 1, 1, 6)
assert np.allclose(by_convolution.reshape(1, 6), by_matrix)

back_by_matrix = (by_matrix @ weight.reshape(-1, 6).T).reshape(1, 7, 7, 5)
back = conv_transpose2d(by_convolution, weight)  # the same weights, from 6 channels to 5
worst = np.abs(back - back_by_matrix).max()
print(f"fc6 and fc6-deconv as matrices and as convolutions: largest difference {worst:.0e}")
assert worst < 1e-10

# %%
# The whole list, without its memory
# ----------------------------------
# The packaged network is a list of shapes until it allocates its parameters. So we can count the parameters of a
# network of a gigabyte on any machine:

from scratchnet.models import build

paper = build("deconvnet", classes=21)
assert paper.buffers is None  # no weights yet
total = paper.parameter_count()
layers = sum(name.endswith(".weight") for name in paper.parameters())
parts = {"conv": 0, "fc": 0, "deconv": 0, "score": 0}
for name, parameter in paper.parameters().items():
    parts[next(part for part in ("fc", "deconv", "conv", "score") if name.startswith(part))] += parameter.size
for part, count in parts.items():
    print(f"{part:7} {count:11,}  {count / total:.1%}")
print(f"all     {total:11,}")
fc6 = paper.parameters()["fc6.weight"].size
gigabytes = [4 * total / 1e9, 3 * 4 * total / 1e9]
print(f"weights {gigabytes[0]:.1f} GB; with gradients and momentum {gigabytes[1]:.1f} GB")

# %%
# 251,805,653 parameters. fc6 alone has 102,760,448 weights, and the three layers in the middle hold 222.3 million, 88 %
# of all, for a map of one pixel. What remains without them is SegNet (lesson 14). In float32 the weights are 1.0 GB,
# and training needs at least 3.0 GB: each weight also needs a gradient and, with momentum, its last step.
#
# The sizes go down to a single pixel and up again, step by step. Every unpooling restores the size of its pool's input.

ladder = []
for name, shape in paper.shapes((224, 224)).items():
    if not name.endswith(".switches") and (not ladder or ladder[-1] != shape[1]):
        ladder.append(shape[1])
print(" → ".join(map(str, ladder)))
assert ladder == [224, 112, 56, 28, 14, 7, 1, 7, 14, 28, 56, 112, 224]

from scratchnet.visualization import activations_figure, architecture_figure, panels, save_figure, strongest_maps

save_figure(
    architecture_figure(paper, (224, 224), "DeconvNet"),
    "15-deconvnet-architecture",
    alt="DeconvNet as a row of bars: thirteen convolutions and five pools down to two layers of 4096 channels "
    "with a single pixel, then the mirror image up to 224×224, with arrows for the switches of the five "
    "pools.",
)

# %%
# The way up needs the switches: one for every window of every channel of the five pools.

from scratchnet.network.switch_memory import switch_table

table = switch_table(paper, (224, 224))
print(table)

# %%
# Train a small one
# -----------------
# This one has four pools, images of 96×96 and eight filters in the first block. As in lesson 14, we train on twelve
# smears and test on four others.

from scratchnet.losses import PixelLoss
from scratchnet.training.optimizers import Adam

folder = sample_folder("smears")
names = [f"cells-{number:04d}.png" for number in range(16)]
photos = np.stack([np.asarray(Image.open(folder / "images" / name).convert("RGB")) for name in names])
masks = np.stack([np.asarray(Image.open(folder / "masks" / name)) for name in names])
images = (photos / 255 - 0.5).astype(np.float32)


def iou(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Return the intersection over union of the cells (lesson 1)."""
    return float(((prediction == 1) & (truth == 1)).sum() / ((prediction == 1) | (truth == 1)).sum())


net = build("deconvnet-small", classes=2, size=96, width=4 if FAST else 8).allocate(seed=0).train()
print(f"{net.parameter_count():,} parameters")
pixel_loss, optimizer = PixelLoss(classes=2), Adam()
for update in range(6 if FAST else 250):
    draw = np.random.default_rng([15, update])
    batch = draw.choice(12, 4, replace=False)
    across, down = (slice(None, None, 1 if draw.random() < 0.5 else -1) for _ in range(2))
    x, y = images[batch][:, down, across], masks[batch][:, down, across]
    loss, dscores = pixel_loss(net.forward(np.ascontiguousarray(x)), y)
    net.zero_grad()
    net.backward(dscores)
    optimizer.step(net.flat(), 5e-3)
    if update % 50 == 49:
        print(f"update {update + 1}: loss {loss:.3f}")
predicted = net.eval().forward(images[12:]).argmax(axis=3)  # with the running statistics (lesson 11)
print(f"IoU on four other smears: {iou(predicted, masks[12:]):.2f}")

# %%
# From coarse to fine
# -------------------
# What does each layer of the way up compute? The values of a network's maps for an image are called its *activations*.
# As in figure 4 of the paper, we show one map per layer, the one in which the cells stand out most. Dark means large.

shown = [f"{kind}{level}{end}" for level in (4, 3, 2, 1) for kind, end in (("unpool", ""), ("deconv", "_2_relu"))]
shown = ["fc6-deconv_relu", *shown, "score"]
ONE, OTHER = 14, 12
activations = strongest_maps(net, images[ONE : ONE + 1], shown, region=masks[ONE] == 1)
filled = {a.name: np.count_nonzero(a.map) / a.map.size for a in activations}
for name in shown[:-1]:
    print(f"{name:16} {filled[name]:4.0%} of the positions are non-zero")
save_figure(
    activations_figure(activations, photos[ONE], columns=5),
    "15-coarse-to-fine",
    alt="An image of two cells and ten maps on the way up, from a 6×6 map without visible cells through sparse "
    "unpooled maps and blobs at 24×24 to the score of every pixel at 96×96.",
)
for level in (4, 3, 2, 1):
    assert filled[f"unpool{level}"] <= 0.25

# %%
# After unpooling at most 25 % of the positions are non-zero: single points, where the strongest responses were on the
# way down. The following deconvolutions turn them into a dense map. Then the next unpooling spreads it out again, at
# twice the size. After a full run, the maps of 6×6 and 12×12 hardly show where the cells are. From 24×24 on they show
# blobs; outlines come last.
#
# What breaks if …
# ----------------
# **… the switches come from another image?** Go down with photograph A and up with the switches of photograph B. We run
# the list ourselves, as in lesson 12:


def walk(image: np.ndarray, lent: dict | None = None) -> tuple[dict, dict]:
    """Run the list on an image, with ``lent`` switches if given; return all values and the image's own switches."""
    values, found = {"input": image}, {}
    for step in net.steps:
        inputs = [values[name] for name in step.inputs]
        values[step.name] = step.layer.forward(*inputs).copy()
        if step.name.startswith("pool"):
            found[step.name] = step.layer.switches
            values[f"{step.name}.switches"] = (lent or found)[step.name]
        step.layer.release()
    return values, found


a, b = images[ONE : ONE + 1], images[OTHER : OTHER + 1]
own, switches_a = walk(a)
other, switches_b = walk(b)
mixed, _ = walk(a, lent=switches_b)
assert (mixed["fc6-deconv_relu"] == own["fc6-deconv_relu"]).all()  # the vector is the same

ones = np.ones_like(own["deconv2_2_relu"])
places = {"A": own["unpool1"], "B": other["unpool1"], "mixed": mixed["unpool1"]}
maxima = {
    name: max_unpool2d(ones, remembered) != 0
    for name, remembered in (("A", switches_a["pool1"]), ("B", switches_b["pool1"]))
}
landed = {(name, of): float(maxima[of][places[name] != 0].mean()) for name in ("A", "mixed") for of in ("A", "B")}
for (name, of), share in landed.items():
    print(f"{name:5}: {share:4.0%} of the values of the last unpooling lie where {of} had its maxima")
assert landed["A", "A"] == landed["mixed", "B"] == 1

results = {"A": own, "mixed": mixed, "B": other}
agreement = {}
for name, values in results.items():
    found = values["score"].argmax(axis=3)
    agreement[name] = [iou(found, masks[k : k + 1]) for k in (ONE, OTHER)]
    print(f"{name:5}: IoU {agreement[name][0]:.2f} with the cells of A, {agreement[name][1]:.2f} with those of B")
if not FAST:
    assert agreement["mixed"][1] > agreement["mixed"][0]

figure, axes = panels(9, 2.5, columns=5)
pictures = {"photograph\nA": photos[ONE], "photograph\nB": photos[OTHER]}
pictures |= {
    "A's vector,\nA's switches": own["score"].argmax(axis=3)[0],
    "A's vector,\nB's switches": mixed["score"].argmax(axis=3)[0],
    "B's vector,\nB's switches": other["score"].argmax(axis=3)[0],
}
for panel, (name, picture) in zip(axes, pictures.items(), strict=True):
    panel.imshow(picture, cmap="Greys", vmin=0, vmax=1)
    panel.set_title(name)
    panel.set_xticks([])
    panel.set_yticks([])
    panel.spines[:].set_visible(True)
save_figure(
    figure,
    "15-switches-of-another-image",
    alt="Photographs A and B, and three masks. A's vector with A's switches gives the two cells of A. Both vectors "
    "with B's switches give nearly the same mask: the cell of B at the lower left, and a false spot.",
)

# %%
# The last unpooling places all its values where **B** had its maxima. Nothing crashes, because all shapes fit. And
# after a full run the mask (black) shows the one cell of B, with a false spot above it, and not the two of A: the
# vector of A cannot contain the position of B's cell. The positions come from the switches. The effect goes even
# further: with B's own vector the mask hardly changes. The pattern of the switches distinguishes a cell from flat
# background, and a network trained on twelve photographs derives its mask from it. So a program that, say, uses the
# switches of the previous batch draws plausible masks of the wrong images.
#
# **… the batch has a single image?** In the middle the map has one pixel. Batch norm takes its mean and variance over
# all pixels of the batch, here only one, and a value minus itself is 0. The package raises an error:

try:
    net.train().forward(a)
except ValueError as error:
    print(error)
else:
    raise AssertionError("batch norm over one value must raise an error")
finally:
    net.eval()

# %%
# So train with batches of two or more, and use running statistics afterwards: the paper averages them over the training
# set.
#
# **… we want the gradient through the switches?** There is none, because a switch is an integer. A small change of an
# input leaves the switch as it is, and a larger one makes it jump. The list propagates gradients through the values
# only.
#
# Exercises
# ---------
# Solutions: ``lessons/solutions/15_deconvnet.py``.
#
# 1. Compute the 222.3 million on paper: weights and biases of fc6, fc7 and fc6-deconv, and one scale and one shift for
#    each of their channels in batch norm.
# 2. What are the sizes for images of 160×160? How many weights does fc6 have then?
# 3. Run the small DeconvNet, built for 96×96, on an image of 112×112. Which sizes occur in the middle, and how large is
#    the output?
# 4. Unpooling changes neither the sum of a map nor the sum of its squares. Why? How do nearest repetition and unpooling
#    change the *mean*?
#
# ``scratchnet exercise start 15`` writes stubs for a small DeconvNet and its training; ``scratchnet exercise check 15``
# checks them.
