r"""
11. Batch norm: two different networks in training and in use
=============================================================

**The question.** A student trains a network to find squares. In training, every image is right. Then the student tests
it on images of the same kind, and it fails. No weight has changed in between. What has?

You need lesson 1 (IoU), lesson 2 (numerical gradients), lesson 5 (backward passes) and lesson 6 (the loss).

**What you will build.** Batch norm with its backward pass, and a small network that you train, see fail in use,
diagnose and fix.

**Time.** About 65 minutes, and as long again for the exercises.

**New terms**, one line each on :doc:`the page of terms </terms>`: standard deviation, variance, batch norm, statistics,
inference, running averages, update, momentum, stochastic gradient descent, epoch.
"""

# %%
# Write your prediction down first
# --------------------------------
# Four pixels have the values 1, 3, 5, 7. Subtract their mean, and divide by their **standard deviation** (the square
# root of the mean squared distance from the mean).
#
# 1. What is the result?
# 2. What is it for 101, 103, 105, 107, and for 10, 30, 50, 70?
# 3. An image shows a small square on a plain background. You subtract the image's mean and divide by its standard
#    deviation. About how large are the values on the background and on the square, if the square covers 1 pixel in 25?
#    Do the two colours matter?

import sys

import numpy as np

from scratchnet.utils.lesson import start_lesson

FAST = start_lesson()

# %%
# By hand
# -------
# The mean μ is 4, the distances are −3, −1, 1, 3, and their mean square σ², called the **variance**, is 5. So the
# result is −1.34, −0.45, 0.45, 1.34, and the other two sets give exactly the same values: the **location** and the
# **spread** of the values are removed.
#
# **Batch norm** (Ioffe and Szegedy 2015) does this to every channel of a map, over all pixels of all images in the
# batch. The following layers then see values of the same scale, whatever the earlier layers do, and training becomes
# faster and more robust. Each channel then learns a new scale γ and a new shift β. A small constant ε prevents a
# division by zero in a constant channel. (Here σ is the standard deviation, not the sigmoid of lesson 6, and ε is not
# the step of a gradient check.)
#
# .. math:: \hat x = \frac{x - \mu}{\sqrt{\sigma^2 + \varepsilon}} \qquad y = \gamma\, \hat x + \beta


def batch_norm_by_loops(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, eps: float) -> tuple[np.ndarray, ...]:
    """Return y, x̂ and 1/√(σ²+ε) of maps (n, h, w, c)."""
    y, normal, inverse = np.empty_like(x), np.empty_like(x), np.empty(x.shape[3])
    for channel in range(x.shape[3]):
        values = x[:, :, :, channel]
        mean = values.sum() / values.size
        variance = ((values - mean) ** 2).sum() / values.size
        inverse[channel] = 1 / np.sqrt(variance + eps)
        normal[:, :, :, channel] = (values - mean) * inverse[channel]
        y[:, :, :, channel] = gamma[channel] * normal[:, :, :, channel] + beta[channel]
    return y, normal, inverse


one, zero = np.ones(1), np.zeros(1)
results = [
    batch_norm_by_loops(np.array(values).reshape(1, 1, 4, 1), one, zero, 0.0)[0].ravel()
    for values in ([1.0, 3.0, 5.0, 7.0], [101.0, 103.0, 105.0, 107.0], [10.0, 30.0, 50.0, 70.0])
]
print(results[0].round(2))
assert np.allclose(results, results[0])

# %%
# The backward pass
# -----------------
# Changing one pixel changes the output in three ways: directly; through μ, which shifts all pixels; and through σ,
# which scales all pixels. With :math:`d\hat x = \gamma\, dy` and "mean" over the N pixels of the channel:
#
# - directly: :math:`d\hat x / \sqrt{\sigma^2+\varepsilon}`;
# - through μ: every :math:`\hat x` falls when μ rises, and each pixel contributes 1/N of itself to μ. This subtracts
#   :math:`\text{mean}(d\hat x)`;
# - through σ: each pixel changes σ² by :math:`2(x - \mu)/N`, and every :math:`\hat x` shrinks in proportion to itself.
#   This subtracts :math:`\hat x \cdot \text{mean}(d\hat x \cdot \hat x)`.
#
# .. math:: dx = \frac{\gamma}{\sqrt{\sigma^2 + \varepsilon}}
#    \left( dy - \text{mean}(dy) - \hat x \text{mean}(dy \cdot \hat x) \right)
#
# The formula removes from the upstream gradient the parts that would shift or scale all pixels together. They could not
# change the output, because batch norm removes shift and scale again. The gradients of γ and β are sums:
# :math:`d\gamma = \sum dy\, \hat x`, :math:`d\beta = \sum dy`.


def batch_norm_backward_by_loops(
    dy: np.ndarray, normal: np.ndarray, inverse: np.ndarray, gamma: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return dx, dγ and dβ."""
    dx, dgamma, dbeta = np.empty_like(dy), np.empty_like(gamma), np.empty_like(gamma)
    for channel in range(dy.shape[3]):
        d, n = dy[:, :, :, channel], normal[:, :, :, channel]
        dgamma[channel], dbeta[channel] = (d * n).sum(), d.sum()
        removed = d.mean() + n * (d * n).mean()
        dx[:, :, :, channel] = gamma[channel] * inverse[channel] * (d - removed)
    return dx, dgamma, dbeta


rng = np.random.default_rng(11)
x = 3 + 2 * rng.standard_normal((2, 3, 4, 2))
gamma, beta = rng.uniform(0.5, 2, 2), rng.standard_normal(2)
upstream = rng.standard_normal(x.shape)
_, normal, inverse = batch_norm_by_loops(x, gamma, beta, 1e-5)
gradients = batch_norm_backward_by_loops(upstream, normal, inverse, gamma)

worst = 0.0
for moved, gradient in zip((x, gamma, beta), gradients, strict=True):
    for place in np.ndindex(moved.shape):
        kept = moved[place]
        ends = []
        for step in (1e-5, -1e-5):
            moved[place] = kept + step
            ends.append((batch_norm_by_loops(x, gamma, beta, 1e-5)[0] * upstream).sum())
        moved[place] = kept
        worst = max(worst, abs((ends[0] - ends[1]) / 2e-5 - gradient[place]))
print(f"largest difference between numerical and analytic gradients: {worst:.1e}")
assert worst < 1e-7

# %%
# The packaged functions
# ----------------------
# `scratchnet.ops.normalization` has the same formulas for whole arrays. On a CPU, `scratchnet.engine.cpu.normalization`
# computes them in fewer passes over memory, and can apply the ReLU that usually follows in the same pass.
# `batch_norm_fixed` uses a given mean and variance.

from scratchnet.ops.normalization import batch_norm, batch_norm_backward, batch_norm_fixed

quick, memory = batch_norm(x, gamma, beta)
assert np.allclose(quick, batch_norm_by_loops(x, gamma, beta, 1e-5)[0])
for slow, fast in zip(gradients, batch_norm_backward(upstream, memory, gamma), strict=True):
    assert np.allclose(slow, fast)
assert np.allclose(batch_norm_fixed(x, gamma, beta, memory.mean, memory.variance)[0], quick)
print("loops and package agree")

# %%
# Training and testing: whose mean?
# ---------------------------------
# In training, μ and σ are those of the batch, so an image's result depends on the other images of the batch. The use of
# a network after its training is called *inference*. There may be only one image then, and its result should depend on
# nothing else. The usual solution is to keep **running averages** of the batches' means and variances during training,
# which move a tenth of the way towards those of each new batch, and to use these averages afterwards.
#
# So a network with batch norm is *two* networks: one with the batch's *statistics* (its means and variances) and one
# with fixed ones. Only the first is trained, in the hope that the second is nearly the same. Let us test this hope.
#
# The student's task
# ------------------
# The task comes from a student's report on SegNet (lesson 14). Each image shows one square in a random colour on a
# background of another random colour. Neither brightness nor colour distinguishes the square; it is only smaller than
# the background. The student trained with **one image at a time.**

from scratchnet.data import make_square

SIZE = 48


def draw(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return images (count, h, w, 3) from −0.5 to 0.5, and masks."""
    stream = np.random.default_rng(seed)
    pairs = [make_square(stream, SIZE) for _ in range(count)]
    return np.stack([image for image, _ in pairs]) / 255 - 0.5, np.stack([mask for _, mask in pairs])


def one_by_one(x: np.ndarray) -> np.ndarray:
    """Normalise each channel of each image to mean 0 and standard deviation 1."""
    x = x - x.mean(axis=(1, 2), keepdims=True)
    return x / np.maximum(x.std(axis=(1, 2), keepdims=True), 1e-3)


images, masks = draw(60, seed=1)
epochs = [80 * 1 / len(images), 40 * 4 / len(images)]
unseen, truth = draw(12, seed=2)

# %%
# Start with prediction 3. If the square covers the share *q* of the image, its values become :math:`\pm\sqrt{(1-q)/q}`
# and the background's :math:`\mp\sqrt{q/(1-q)}`, **whatever the colours are.** For q = 1/25 that is 4.9 against 0.2. So
# an image's own mean and standard deviation solve the student's task without any network: everything above 1 is square.

share = 1 / 25
print(f"square ±{np.sqrt((1 - share) / share):.1f}, background ∓{np.sqrt(share / (1 - share)):.1f}")


def iou(predicted: np.ndarray, wanted: np.ndarray) -> float:
    """Return the IoU of the square, averaged over the images."""
    both, either = predicted & (wanted == 1), predicted | (wanted == 1)
    return float(np.mean(both.sum(axis=(1, 2)) / either.sum(axis=(1, 2))))


rule = iou(np.abs(one_by_one(unseen)).max(axis=3) > 1, truth)
print(f"IoU of the rule without a network: {rule:.2f}")

# %%
# A small network
# ---------------
# The network has two blocks of a 5×5 convolution, batch norm and ReLU (negative values become 0), then a 1×1
# convolution to two scores per pixel, for background and square. The initial kernels are random, with a standard
# deviation of √(2 / (kh·kw·c_in)), which keeps the scale of the values constant from layer to layer (He and others
# 2015). The next lesson organises this code better.

from scratchnet.losses import PixelLoss
from scratchnet.ops.convolution import conv2d, conv2d_backward

WIDTH, KERNEL = 8, 5
Statistics = list[tuple[np.ndarray, np.ndarray]]  # mean and variance of each batch norm


def start(seed: int) -> dict[str, np.ndarray]:
    """Return random kernels, γ = 1 and β = 0."""
    stream, weights, c = np.random.default_rng(seed), {}, 3
    for i in (0, 1):
        weights[f"kernel{i}"] = stream.standard_normal((KERNEL, KERNEL, c, WIDTH)) * np.sqrt(2 / (KERNEL * KERNEL * c))
        weights[f"gamma{i}"], weights[f"beta{i}"] = np.ones(WIDTH), np.zeros(WIDTH)
        c = WIDTH
    weights["score"], weights["bias"] = stream.standard_normal((1, 1, c, 2)) * np.sqrt(2 / c), np.zeros(2)
    return weights


def forward(weights: dict, x: np.ndarray, fixed: Statistics | None = None) -> tuple[np.ndarray, list]:
    """Return the scores and the values saved for the backward pass; without ``fixed``, use the batch's statistics."""
    kept = []
    for i in (0, 1):
        z = conv2d(x, weights[f"kernel{i}"], padding=KERNEL // 2)
        scale = weights[f"gamma{i}"], weights[f"beta{i}"]
        y, memory = batch_norm_fixed(z, *scale, *fixed[i], relu=True) if fixed else batch_norm(z, *scale, relu=True)
        kept.append((x, memory))
        x = y
    return conv2d(x, weights["score"], weights["bias"]), [*kept, x]


def backward(weights: dict, kept: list, dscores: np.ndarray) -> dict[str, np.ndarray]:
    """Return the gradient of every weight."""
    *layers, x = kept
    dy, *last = conv2d_backward(dscores, x, weights["score"])
    gradients = dict(zip(("score", "bias"), last, strict=True))
    for i in (1, 0):
        x, memory = layers[i]
        dz, gradients[f"gamma{i}"], gradients[f"beta{i}"] = batch_norm_backward(dy, memory, weights[f"gamma{i}"])
        dy, gradients[f"kernel{i}"], _ = conv2d_backward(
            dz, x, weights[f"kernel{i}"], padding=KERNEL // 2, needs_input_grad=i > 0
        )
    return gradients


# %%
# One round of training is called an **update**: draw a batch, run the forward and the backward pass, and step against
# the gradient. The steps have **momentum**: nine tenths of the last step are added to each step, so that they keep
# going in a direction that has proved good. The learning rate is 0.1. The code keeps two sets of running averages,
# which move by a tenth and by a hundredth with each batch.
#
# Because each batch is a random choice of images, its gradient is only an estimate of the gradient for all images. The
# method is therefore called *stochastic gradient descent* (SGD). As many updates as it takes to see as many images as
# there are for training make an *epoch*. We have 60: with one image per update, 80 updates are 1.3 epochs; with four,
# 40 updates are 2.7.


def train(x: np.ndarray, masks: np.ndarray, batch: int, steps: int, seed: int = 0) -> tuple[dict, dict, list]:
    """Return the weights, the running averages (keyed by the fraction they move per batch) and the losses."""
    weights, stream, loss = start(seed), np.random.default_rng(seed), PixelLoss(2)
    velocity = {name: np.zeros_like(value) for name, value in weights.items()}
    running = {pace: [(np.zeros(WIDTH), np.ones(WIDTH)) for _ in (0, 1)] for pace in (0.1, 0.01)}
    losses = []
    for _ in range(steps):
        chosen = stream.integers(0, len(x), batch)
        scores, kept = forward(weights, x[chosen])
        value, dscores = loss(scores, masks[chosen])
        losses.append(value)
        for name, gradient in backward(weights, kept, dscores).items():
            velocity[name] = 0.9 * velocity[name] + gradient
            weights[name] = weights[name] - 0.1 * velocity[name]
        for pace, averages in running.items():
            for i, (mean, variance) in enumerate(averages):
                found = kept[i][1]
                averages[i] = mean + pace * (found.mean - mean), variance + pace * (found.variance - variance)
    return weights, running, losses


# %%
# There is a third way to get fixed statistics: after training, run the finished network over the training images once
# more and average the batches' statistics. We test each way on images that were not used in training.


def recomputed(weights: dict, x: np.ndarray, batch: int) -> Statistics:
    """Return the means and variances that the finished weights give, averaged over all batches."""
    found = [forward(weights, x[i : i + batch])[1][:2] for i in range(0, len(x), batch)]
    return [
        tuple(np.mean([getattr(kept[i][1], which) for kept in found], axis=0) for which in ("mean", "variance"))
        for i in (0, 1)
    ]


def test(weights: dict, x: np.ndarray, fixed: Statistics | None) -> tuple[float, np.ndarray]:
    """Return the IoU of the square on the unseen images, evaluated one at a time, and the predictions."""
    predicted = np.stack([forward(weights, image[None], fixed)[0][0].argmax(axis=2) == 1 for image in x])
    return iou(predicted, truth), predicted


def table(prepare, batch: int, steps: int, seed: int = 0) -> tuple[dict[str, float], dict[str, np.ndarray], list]:
    """Train once and test with each kind of statistics."""
    x, new = prepare(images), prepare(unseen)
    weights, running, losses = train(x, masks, batch, steps, seed)
    ways = {
        "running averages": running[0.1],
        "slow running averages": running[0.01],
        "recomputed": recomputed(weights, x, batch),
        "each image's own": None,
    }
    tested = {name: test(weights, new, fixed) for name, fixed in ways.items()}
    return {name: score for name, (score, _) in tested.items()}, {name: p for name, (_, p) in tested.items()}, losses


# %%
# The failure
# -----------

as_they_are, failed, losses = table(lambda x: x, batch=1, steps=80)
print(f"loss of the last ten updates: {np.mean(losses[-10:]):.3f}")
for name, score in as_they_are.items():
    print(f"  IoU {score:.2f}  with {name}")

# %%
# With each image's own statistics, as in training, the IoU is 0.89. With running averages it is 0.20: in many images
# the network mistakes the background for the square, as the figure below shows. The authors of SegNet (lesson 14) knew
# that running averages can lag behind, because they were computed with *earlier* weights. They recompute
# the statistics with the finished weights. Here that gives 0.24. The student did so too: the student's own weights, on
# the student's own test images, have a mean IoU of 0.175 with recomputed statistics and of 0.992 with each image's own
# (``docs/results.md``). So something else must be wrong too.
#
# The diagnosis
# -------------
# Prediction 3 has the answer. The image's own mean *is*, very nearly, the colour of the background. A network trained
# on one image at a time receives that colour through its first batch norm, in every image, and learns to rely on it.
# Fixed statistics contain the average background colour, which says nothing about *this* image. If this explanation is
# right, a network trained in batches of four should do much worse even in training, because the mean of four
# backgrounds is the colour of none of them:

in_fours, _, losses = table(lambda x: x, batch=4, steps=40)
print(f"loss of the last ten updates: {np.mean(losses[-10:]):.3f}")
for name, score in in_fours.items():
    print(f"  IoU {score:.2f}  with {name}")

# %%
# Indeed, the IoU is 0.00 with every kind of statistics. The network has seen twice as many images and labels everything
# as background. (A larger network finds something at the squares' edges with more time, but the easy solution is gone.)
#
# The fix
# -------
# The information that the network needs must be in its *input*, where training and testing are alike. So normalise
# every **image** by its own mean and standard deviation before it enters the network, and train in batches of four:

fixed, found, losses = table(one_by_one, batch=4, steps=40)
print(f"loss of the last ten updates: {np.mean(losses[-10:]):.3f}")
for name, score in fixed.items():
    print(f"  IoU {score:.2f}  with {name}")

# %%
# Now running averages give 0.89, recomputed ones 0.91 and each image's own 0.87. The slow averages show the first
# problem on its own: moving only a hundredth of the way with each batch (a common setting elsewhere), they still hold
# 0.99\ :sup:`40` = 67 % of their arbitrary start after 40 updates, and give 0.50. **Recomputing fixes that one.** So
# there are two problems:
#
# - Running averages lag: recompute them (`scratchnet.training.batch_norm_calibration`), or train longer.
# - The network uses the statistics as information: no averaging helps. Put the information into the input, and use
#   batches of more than one image; or test with each image's own statistics (``--bn-statistics batch``), as in
#   training.
#
# There is also a compromise: process every second batch image by image, so that the network learns to work with both
# kinds of statistics. This is ``--per-image-bn`` of ``scratchnet train``. Our settings for full-size squares use
# it, after normalising the images.
#
# One run could be luck. ``python lessons/11_batch_norm.py --seeds`` repeats the first and the last experiment with
# three other initial weights each.

if "--seeds" in sys.argv:  # optional: repeat with other initial weights
    for seed in (1, 2, 3):
        for name, prepare, batch, steps in (("as they are", lambda x: x, 1, 80), ("fixed", one_by_one, 4, 40)):
            scores, _, _ = table(prepare, batch, steps, seed)
            print(f"seed {seed}, {name:11}", "  ".join(f"{way} {score:.2f}" for way, score in scores.items()))

# %%
# The figure worth keeping
# ------------------------
# Three unseen images. Black marks the pixels that the network labels as square, and the outline is the ground truth.
# The titles give the mean IoU over all unseen images.

from scratchnet.visualization import ROLES, panels, save_figure

columns = ("running averages", "recomputed", "each image's own")
figure, axes = panels(8.4, 5.6, rows=3, columns=5)
for row, number in enumerate((0, 1, 2)):
    pictures = [unseen[number] + 0.5, *(failed[name][number] for name in columns), found["running averages"][number]]
    for panel, picture in zip(axes[5 * row : 5 * row + 5], pictures, strict=True):
        panel.imshow(picture, cmap=None if picture.ndim == 3 else "Greys", vmin=0, vmax=1)
        panel.contour(truth[number], levels=[0.5], colors=ROLES["switch"], linewidths=1.2)
        panel.set_xticks([])
        panel.set_yticks([])
titles = ("image and truth", *(f"{name}:\n{as_they_are[name]:.2f}" for name in columns))
for panel, title in zip(axes, (*titles, f"fixed, running\naverages: {fixed['running averages']:.2f}"), strict=False):
    panel.set_title(title, fontsize=9)
save_figure(
    figure,
    "11-two-networks",
    alt="Three images with a small square, in rows, and the predictions in columns. With running averages or "
    "recomputed statistics, whole images of some rows are wrong; with each image's own statistics, and after "
    "the fix, the squares are found.",
)

# %%
# What breaks if …
# ----------------
# **… the backward pass ignores that μ and σ depend on x?** Then dx is only :math:`\gamma\, dy / \sigma`. The loss still
# falls for a while, but a gradient check detects the error:

simple = gamma * inverse * upstream
wrong = np.abs(simple - gradients[0]).max() / np.abs(gradients[0]).max()
print(f"error of the simple gradient: {wrong:.0%} of the largest")
assert wrong > 0.05
assert np.allclose(gradients[0].sum(axis=(0, 1, 2)), 0)  # the correct one has no shift …
assert np.allclose((gradients[0] * normal).sum(axis=(0, 1, 2)), 0, atol=1e-4)  # … and no scaling

# %%
# **… the map has one pixel, and the batch one image?** The mean is the pixel and the variance is 0, so the result is β,
# whatever the image shows. DeconvNet has such maps (1×1 at its narrowest), so its batches must have more than one
# image. The package's layer raises an error for a batch of one there.

single, _ = batch_norm(np.array([[[[5.0]]]]), one, zero + 0.3)
print("one pixel of value 5 becomes", round(single.item(), 6))
assert np.isclose(single.item(), 0.3)

# %%
# **… the convolution before it has a bias?** Batch norm subtracts the bias again with the mean. The bias has no effect,
# and its gradient is 0, up to rounding. Exercise 3 shows it.
#
# Exercises
# ---------
# Solutions: ``lessons/solutions/11_batch_norm.py``.
#
# 1. Normalise 2, 4, 4, 6 with γ = 3, β = 1 on paper. What are the results, to one decimal place?
# 2. With fixed statistics, batch norm is a multiplication and an addition, so it can be folded into the kernel and bias
#    of the convolution before it. Write the code, and check it on random values.
# 3. Show with a numerical gradient that a bias before batch norm has the gradient 0.
# 4. After how many updates do running averages hold less than 1 % of their start, if they move by 0.1 each time? And by
#    0.01?
#
# ``scratchnet exercise start 11`` writes stubs for batch norm, for its backward pass, for folding and for running
# averages; ``scratchnet exercise check 11`` checks them. The folding of exercise 2 is one of them.
