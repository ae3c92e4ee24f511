r"""
12. Assembling a network, and three rituals before training it
==============================================================

**The question.** We have all the parts: convolution, batch norm, pooling with switches, unpooling, transposed
convolution, a loss. How do they form a network, if some values are used twice and some bypass the middle? And how can
you notice within a minute, rather than after a night of training, that a part is broken?

You need lessons 2 (gradient check), 6 (loss), 7 (switches), 9 (transposed convolution) and 11 (batch norm).

**What you will build.** A network as a list of layers with automatic backpropagation, a small DeconvNet, and three
checks to run before every training.

**Time.** About 50 minutes, and as long again for the exercises.

**New terms**, one line each on :doc:`the page of terms </terms>`: overfitting, generalisation, training set, validation
set, test set, regularisation, weight decay, data augmentation.
"""

# %%
# Write your prediction down first
# --------------------------------
# 1. Let :math:`y = 2x + x \cdot x`, with x = 3. The upstream gradient is 1. What is the gradient with respect to x?
#    Since x is used twice, how do its two gradients combine?
# 2. An untrained network gives each of K classes the same probability. What is the cross-entropy of lesson 6 for K = 2,
#    5, 21?
# 3. You train a network on *one* image, over and over. How many of its pixels does it label correctly in the end? What
#    would you conclude about a network that does not get there?

import numpy as np
from PIL import Image

from scratchnet.data import sample_folder
from scratchnet.utils.lesson import start_lesson

FAST = start_lesson()

# %%
# By hand
# -------
# A part of a network (a **layer**) is here an object with a forward pass, a backward pass and a memory: forward saves
# what backward will need. Here are three layers for single values.


class Double:
    """y = 2x."""

    def forward(self, x):
        return 2 * x

    def backward(self, dy):
        return 2 * dy


class Square:
    """y = x·x."""

    def forward(self, x):
        self.x = x  # the slope depends on it
        return x * x

    def backward(self, dy):
        return 2 * self.x * dy


class Sum:
    """y = a + b; two inputs, so backward returns two gradients."""

    def forward(self, a, b):
        return a + b

    def backward(self, dy):
        return dy, dy


# %%
# A network is a **list of steps**. Each step has a name, a layer, and the names of its inputs. The forward pass goes
# down the list and stores each value under its name. The backward pass goes up the list. It takes the gradient of a
# step's value, calls the layer's backward, and assigns the results to the step's inputs. If an input already has a
# gradient, because the value was used twice, **the two are added**. That is all there is to backpropagation through a
# network (lesson 2).


class ListNetwork:
    """A list of (name, layer, names of inputs); the last step's value is the output."""

    def __init__(self, steps):
        self.steps = steps

    def forward(self, x):
        values = {"input": x}
        for name, layer, inputs in self.steps:
            values[name] = layer.forward(*(values[i] for i in inputs))
            if hasattr(layer, "switches"):  # a pool has a second output
                values[f"{name}.switches"] = layer.switches
        return values[self.steps[-1][0]]

    def backward(self, dy):
        gradients = {self.steps[-1][0]: dy}
        for name, layer, inputs in reversed(self.steps):
            sent = layer.backward(gradients.pop(name))
            for i, part in zip(inputs, sent if isinstance(sent, tuple) else (sent,), strict=True):
                if part is not None:  # switches have no gradient
                    gradients[i] = gradients[i] + part if i in gradients else part
        return gradients["input"]


by_hand = ListNetwork(
    [("double", Double(), ["input"]), ("square", Square(), ["input"]), ("sum", Sum(), ["double", "square"])]
)
print("y =", by_hand.forward(3.0), "  dy/dx =", by_hand.backward(1.0))
assert by_hand.forward(3.0) == 15
assert by_hand.backward(1.0) == 8

# %%
# The two paths contribute 2 and 6, together 8. Check: y = 2x + x² has the slope 2 + 2x, which is 8 at 3.
#
# A small DeconvNet
# -----------------
# The packaged `Network` is the same list, with error checks, names for all **parameters** (the values that are learned)
# and reused memory. Its layers wrap the functions of the previous lessons. Here is a small DeconvNet (Noh, Hong, Han
# 2015): it has two pools on the way down. On the way up, each unpooling takes the switches of *its* pool, and a
# transposed convolution (which the paper calls deconvolution, *deconv*) fills the holes. The initial weights are
# random, as in lesson 11. Those of the last layer have a standard deviation of only 0.01, so that the network starts
# without a preference. ``allocate`` draws the initial weights. With ``train()`` batch norm uses the batch's statistics,
# with ``eval()`` the running averages (lesson 11).

from scratchnet.layers import BatchNorm2d, Conv2d, ConvTranspose2d, MaxPool2d, MaxUnpool2d, ReLU
from scratchnet.layers.initialization import gaussian
from scratchnet.network import Network


def deconvnet(classes: int, width: int = 8) -> Network:
    """Build the list; no parameters are allocated yet."""
    net = Network(channels=3, stride=4)

    def finish(name: str, channels: int) -> None:
        net.add(f"{name}_bn", BatchNorm2d(channels))
        net.add(f"{name}_relu", ReLU())

    net.add("conv1", Conv2d(3, width, 3, padding=1))
    finish("conv1", width)
    net.add("pool1", MaxPool2d(2))
    net.add("conv2", Conv2d(width, 2 * width, 3, padding=1))
    finish("conv2", 2 * width)
    net.add("pool2", MaxPool2d(2))
    net.add("conv3", Conv2d(2 * width, 2 * width, 3, padding=1))
    finish("conv3", 2 * width)
    net.add("unpool2", MaxUnpool2d(), "conv3_relu", "pool2.switches")
    net.add("deconv2", ConvTranspose2d(2 * width, width, 3, padding=1))
    finish("deconv2", width)
    net.add("unpool1", MaxUnpool2d(), "deconv2_relu", "pool1.switches")
    net.add("deconv1", ConvTranspose2d(width, width, 3, padding=1))
    finish("deconv1", width)
    net.add("score", Conv2d(width, classes, 1, initializer=gaussian(0.01)))
    return net


net = deconvnet(classes=2).allocate(seed=0).train()
count = net.parameter_count()
for step in net.steps:
    if not step.name.endswith(("_bn", "_relu")):
        print(f"{step.name:8} {step.layer.describe():16} takes {', '.join(step.inputs)}")
print(count, "parameters to learn")

# %%
# The figure shows the list. Boxes are maps, lower where they are smaller and wider where they have more channels. The
# arrows are the switches, which bypass the middle.

from scratchnet.visualization import architecture_figure, save_figure

save_figure(
    architecture_figure(net, (96, 96), "a small DeconvNet"),
    "12-small-deconvnet",
    alt="The network as a row of bars, from the input through three convolutions and two pools to the smallest map "
    "and back up through two unpoolings. Arrows carry the switches from each pool to its unpooling.",
)

# %%
# It has 5586 parameters. Our list of twenty lines gives the same results with the packaged layers as the package does:

rng = np.random.default_rng(12)
x = rng.standard_normal((1, 16, 16, 3)).astype(np.float32)
upstream = rng.standard_normal((1, 16, 16, 2)).astype(np.float32)
ours = ListNetwork([(step.name, step.layer, step.inputs) for step in net.steps])

net.zero_grad()
y_ours, dx_ours = ours.forward(x), ours.backward(upstream)
gradients_ours = net.flat().grads.copy()  # every layer has accumulated its gradients there
net.zero_grad()
y_package, dx_package = net.forward(x), net.backward(upstream, needs_input_grad=True)
assert np.allclose(y_ours, y_package, atol=1e-4)
assert np.allclose(dx_ours, dx_package, atol=1e-4)
assert np.allclose(gradients_ours, net.flat().grads, atol=1e-3)
print("our list and the package agree: output, gradient with respect to the image, gradients of all parameters")

# %%
# Ritual 1: the first loss is log K
# ---------------------------------
# With equal probabilities 1/K, the cross-entropy is −log(1/K) = log K. That is 0.69 for two classes, 1.61 for 5, 3.04
# for 21. If the first loss differs, something is already wrong: the loss is summed instead of averaged, the labels are
# counted from 1, or the initial scores are too large.

from scratchnet.losses import PixelLoss

DATA = sample_folder("smears")
pixels = np.asarray(Image.open(DATA / "images" / "cells-0000.png"))[None].astype(np.float32)
image = (pixels - pixels.mean(axis=(1, 2), keepdims=True)) / pixels.std(axis=(1, 2), keepdims=True)  # lesson 11
mask = np.asarray(Image.open(DATA / "masks" / "cells-0000.png"))[None]

first_losses = {}
for classes in (2, 5, 21):
    untrained = deconvnet(classes).allocate(seed=0).train()
    first_losses[classes], _ = PixelLoss(classes)(untrained.forward(image), mask)
    print(f"{classes:2} classes: first loss {first_losses[classes]:.3f}, log K = {np.log(classes):.3f}")
    assert abs(first_losses[classes] - np.log(classes)) < 0.02

# %%
# Ritual 2: the gradient check
# ----------------------------
# Lesson 2 checked functions. The same check runs over a whole network, on a tiny image and in float64: it changes
# elements of the image and of every parameter a little, and compares. Where a ReLU or a switch flips in between, the
# difference is meaningless, so the check leaves that element out and counts it.

from scratchnet.gradcheck import check_gradients, from_network

tiny = from_network(deconvnet(2, width=3), rng.standard_normal((2, 8, 8, 3)))
report = check_gradients("small DeconvNet", tiny, tolerance=1e-5, most=2 if FAST else 5)
print(f"{report.checked} differences, {report.skipped} skipped, worst relative error {report.worst.error:.1e}")
assert report.ok

# %%
# Ritual 3: overfit one image
# ---------------------------
# A network with thousands of parameters can memorise one image. Memorising examples instead of learning what they have
# in common is called **overfitting**, and usually it is a problem. What we want is **generalisation**: good results on
# images that the network has not learned from. To measure it, the images are divided into three sets. The network
# learns from the *training set*. Hyperparameters, such as the learning rate and the number of epochs, are chosen by the
# results on the *validation set*. The *test set* is used once, at the end: whatever was chosen with the help of an
# image looks better on it than on others. (Lesson 1 chose its threshold on the very images on which it was measured.)
# Measures against overfitting are called *regularisation*: more images, dropout (lesson 2), or *weight decay*, which
# reduces every weight by a small fraction in each update.
#
# Here we overfit on purpose. The result says nothing about other images. It shows that the loss, the gradients, the
# steps and the labels fit together. The steps use momentum (lesson 11), and the learning rate is 0.2.


def accuracy_and_iou(predicted: np.ndarray, wanted: np.ndarray) -> tuple[float, float]:
    """Return the share of correct pixels and the IoU of the cell."""
    both, either = (predicted == 1) & (wanted == 1), (predicted == 1) | (wanted == 1)
    return float((predicted == wanted).mean()), float(both.sum() / max(1, either.sum()))


def overfit(image: np.ndarray, mask: np.ndarray, steps: int) -> tuple[list[float], dict[int, np.ndarray]]:
    """Train a new network on one image; return the losses and the predictions of all steps."""
    net, loss = deconvnet(classes=2).allocate(seed=0).train(), PixelLoss(2)
    flat = net.flat()  # all parameters in one array, all gradients in another
    velocity = np.zeros_like(flat.values)
    losses, predictions = [], {}
    for step in range(steps + 1):
        net.zero_grad()
        scores = net.forward(image)
        value, dscores = loss(scores, mask)
        losses.append(value)
        predictions[step] = scores[0].argmax(axis=2)
        net.backward(dscores)
        velocity = 0.9 * velocity + flat.grads
        flat.values -= 0.2 * velocity
    return losses, predictions


steps = 120 if FAST else 400
losses, predictions = overfit(image, mask, steps)
ground = float((mask == 0).mean())
for step in (0, 20, 40, 60, 120, *(() if FAST else (200, 400))):
    accuracy, iou = accuracy_and_iou(predictions[step], mask[0])
    print(f"step {step:3}: loss {losses[step]:.3f}, {accuracy:.1%} of the pixels right, IoU of the cell {iou:.2f}")
early, late = (accuracy_and_iou(predictions[step], mask[0]) for step in (20, 120))

# %%
# After 20 steps 89 % of the pixels are right, and the IoU is 0.00: the network has learned that most pixels are
# background, and nothing else; predicting only background also gives 89 % (lesson 1 warned of this). After 120 steps
# more than 99.8 % are right. The parts work together.

assert abs(early[0] - ground) < 1e-9
assert late[0] > 0.998

# %%
# The figure worth keeping
# ------------------------
# The smear, its mask, and the predictions before training, after 40 and after 120 steps. Black marks the pixels of the
# cell. The curve on the right is the loss.

from scratchnet.visualization import ROLES, panels

figure, axes = panels(11, 2.6, columns=6, widths=(1, 1, 1, 1, 1, 1.5))
pictures = {"image": pixels[0] / 255, "truth": mask[0], **{f"step {s}": predictions[s] for s in (0, 40, 120)}}
for panel, (name, picture) in zip(axes, pictures.items(), strict=False):
    panel.imshow(picture, cmap="Greys", vmin=0, vmax=1)
    panel.set_title(name)
    panel.set_xticks([])
    panel.set_yticks([])
axes[5].plot(losses[:121], color=ROLES["output"])
axes[5].axhline(np.log(2), color=ROLES["truth"], linewidth=0.8, linestyle=":")
axes[5].text(118, np.log(2) - 0.02, "log 2", ha="right", va="top", fontsize=9)
axes[5].set_title("loss")
axes[5].set_xlabel("step")
save_figure(
    figure,
    "12-overfit-one-image",
    alt="One smear, its mask, and the predictions after 0, 40 and 120 steps, which turn from noise into the mask. The "
    "loss starts at log 2 and falls almost to 0.",
)

# %%
# What breaks if …
# ----------------
# **… the second gradient of a value replaces the first?** The forward pass is unchanged. Only the gradient is wrong,
# and only where the list branches.


class Forgetful(ListNetwork):
    """A list network that keeps only the last gradient of each value."""

    def backward(self, dy):
        gradients = {self.steps[-1][0]: dy}
        for name, layer, inputs in reversed(self.steps):
            sent = layer.backward(gradients.pop(name))
            gradients.update(zip(inputs, sent if isinstance(sent, tuple) else (sent,), strict=True))
        return gradients["input"]


forgetful = Forgetful(by_hand.steps)
forgetful.forward(3.0)
forgotten = forgetful.backward(1.0)
print("slope of 2x + x² at 3, by a forgetful network:", forgotten)
assert forgotten != 8

# %%
# It gives 2. The network would still learn, but badly. Ritual 2 detects it at once.
#
# **… the initial scores are large?** Then an untrained network is confident, and mostly wrong. The first loss shows it:

sure = deconvnet(2).allocate(seed=0).train()
sure.parameters()["score.weight"].value[...] *= 300
sure_loss, _ = PixelLoss(2)(sure.forward(image), mask)
print(f"first loss with scores 300 times as large: {sure_loss:.1f} instead of {np.log(2):.2f}")
assert sure_loss > 1

# %%
# **… the labels do not belong to the image?** Making more training images by changing those that exist, for example by
# mirroring them, is called *data augmentation*. Suppose someone mirrors the images, but not the masks. Ritual 3 does
# *not* detect it, because the network memorises any mask, even a mirrored one. (We use every second pixel to save
# time.)

_, wrong_labels = overfit(image[:, ::2, ::2], mask[:, ::2, ::2][:, :, ::-1], 80)
mirrored, _ = accuracy_and_iou(wrong_labels[80], mask[0, ::2, ::2][:, ::-1])
print(f"memorised with a mirrored mask: {mirrored:.1%} of the pixels")
assert mirrored > 0.97

# %%
# More than 97 % are "right". A ritual that passes proves only what it tests. Only *looking* catches this mistake: draw
# images with their masks, from the very arrays that enter the network.
#
# Exercises
# ---------
# Solutions: ``lessons/solutions/12_assembling_a_network.py``.
#
# 1. Build :math:`y = (2x + x^2) \cdot x` as a list, with a new layer for the product. What is its slope at 3?
# 2. Count the 5586 parameters by hand: weights, biases, scales and shifts.
# 3. A network is stuck after it has learned only how common each class is. What is its loss, if 11 % of the pixels are
#    cell? Where is this visible in the figure?
# 4. Give the network a shortcut, called a skip (lesson 13): with the package's layer ``Add``, add the value of
#    ``conv1_relu`` to that of ``deconv1_relu`` before the score. Check the gradients.
#
# ``scratchnet exercise start 12`` writes stubs for a layer for the product of two inputs, for the walk through a list
# of steps and for momentum; ``scratchnet exercise check 12`` checks them.
