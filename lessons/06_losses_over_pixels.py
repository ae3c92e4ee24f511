r"""
6. Losses over pixels
=====================

**The question.** A network is to learn labels. Gradient descent needs slopes, but a label is either right or wrong,
with no slope between the two. Which loss should it minimise instead? And how can the loss be computed so that it works
even when the network is very sure, and wrong?

You need lesson 1 (labels, masks) and lesson 2 (loss, gradient, ``dy``).

**What you will build.** The sigmoid and the softmax cross-entropy in a form that never overflows, with ignored pixels
and class weights.

**Time.** About 55 minutes, and as long again for the exercises.

**New terms**, one line each on :doc:`the page of terms </terms>`: logit, score, sigmoid, cross-entropy, softmax,
one-hot, log-sum-exp, ignored pixels, class weights, median frequency balancing.
"""

# %%
# Write your prediction down first
# --------------------------------
# For every pixel the network outputs one number *z*, called a **logit** or *score*. A positive logit means "cell", a
# negative one "background", and the further it is from 0, the surer the network is. Write down on paper:
#
# 1. which probability of "cell" you would assign to z = 0, to z = 2 and to z = −2;
# 2. what the loss should be if the network outputs z = 40 but the pixel is background: about 1, about 40, or infinite?
# 3. which probability a network that has not learned anything gives to the right class, on average, if there are 11
#    classes.

import numpy as np

from scratchnet.utils.lesson import start_lesson

FAST = start_lesson()

# %%
# From a logit to a probability
# -----------------------------
# Accuracy and IoU (lesson 1) cannot be used for learning: if a weight changes a little, no label changes, so the slope
# is 0 nearly everywhere. A *probability* does change a little. The **sigmoid** converts any number into one:
#
#     σ(z) = 1 / (1 + e⁻ᶻ)
#
# It is 0.50 at z = 0, 0.88 at z = 2 and 0.12 at z = −2, and never quite reaches 0 or 1.


def sigmoid(z: np.ndarray) -> np.ndarray:
    """Return the probability of a logit, computed directly from the formula."""
    return 1 / (1 + np.exp(-z))


even, sure, unsure = (float(sigmoid(np.float64(z))) for z in (0, 2, -2))
print(f"σ(0) = {even:.2f}, σ(2) = {sure:.2f}, σ(−2) = {unsure:.2f}")

# %%
# The loss: surprise
# ------------------
# Let *q* be the probability that the network gave to the *true* label. The **cross-entropy** of the pixel is −log q,
# with the natural logarithm. With q = 1 it is 0, with q = 0.5 it is 0.69, and it grows without bound as q approaches 0:
# the surer the network was of something wrong, the larger the loss. With z = 2, the loss of a cell pixel is 0.13 and
# that of a background pixel 2.13.
#
# Write p for σ(z), the probability of cell (in this lesson p is not the padding), and write the truth as a number t, 1
# for cell and 0 for background. Then q is p if t is 1, and 1 − p if t is 0.


def naive_loss(z: np.ndarray, t: float) -> np.ndarray:
    """Return the cross-entropy, computed directly from the formula."""
    p = sigmoid(z)
    return -np.log(p if t == 1 else 1 - p)


cell, background = float(naive_loss(np.float64(2), 1)), float(naive_loss(np.float64(2), 0))
print(f"z = 2: loss of a cell pixel {cell:.2f}, of background {background:.2f}; undecided {-np.log(0.5):.2f}")

# %%
# The logit 40
# ------------
# Now the network that is sure and wrong. σ(40) differs from 1 only in the 18th digit. A ``float64`` stores 16 digits,
# so σ(40) is rounded to exactly 1, 1 − σ(40) is exactly 0, and the logarithm of 0 is minus infinity.

with np.errstate(divide="ignore"):
    broken = float(naive_loss(np.float64(40), 0))
    from_where = {
        dtype.__name__: next(z for z in range(100) if np.isinf(naive_loss(dtype(z), 0)))
        for dtype in (np.float64, np.float32)
    }
print("naive loss at z = 40:", broken, "  first logit that breaks it:", from_where)
assert np.isinf(broken)

# %%
# The loss is infinite. Its slope, computed factor by factor with the chain rule, is ∞·0, which is *nan*, "not a
# number". After the next training step, every parameter of the network is nan as well. In ``float32``, in which
# networks are trained, a logit of 17 is enough; in ``float64`` it takes 37. Such logits do occur.
#
# The remedy is to simplify the formula before computing anything. For t = 0:
#
#     −log(1 − σ(z)) = log(1 + eᶻ) = z + log(1 + e⁻ᶻ)
#
# For large z the second term is negligible, and the loss is about z: at 40 it is 40, which answers the second question.
# For negative z use the form in the middle. One formula covers both cases, and t = 1 as well, and never takes the
# exponential of a positive number:
#
# ``loss = max(z, 0) − z·t + log(1 + e^(−|z|))``


def stable_loss(z: np.ndarray, t: float) -> np.ndarray:
    """Return the cross-entropy without rounding a probability to 0 or 1."""
    return np.maximum(z, 0) - z * t + np.log1p(np.exp(-np.abs(z)))  # log1p(a) is log(1 + a), accurate for tiny a


z = np.linspace(-10, 10, 41)
for t in (0, 1):
    assert np.allclose(stable_loss(z, t), naive_loss(z, t))
at_40 = float(stable_loss(np.float64(40), 0))
print(f"stable loss at z = 40: {at_40:.6f}, at 4000: {float(stable_loss(np.float64(4000), 0)):.6f}")
assert at_40 == 40

# %%
# Its slope is p − t
# ------------------
# Differentiate log(1 + eᶻ) − z·t: the first term gives eᶻ / (1 + eᶻ), which is σ(z). So the slope is σ(z) − t, or
# **p − t**: the prediction minus the truth. It is between −1 and 1, it is 0 only where the network is right, and it is
# easy to remember. Check it as in lesson 2:

step = 1e-5
measured = {t: (stable_loss(z + step, t) - stable_loss(z - step, t)) / (2 * step) for t in (0, 1)}
worst = max(np.abs(measured[t] - (sigmoid(z) - t)).max() for t in (0, 1))
print(f"largest difference between measured slope and p − t: {worst:.0e}")
assert worst < 1e-9

# %%
# The figure worth keeping
# ------------------------
# The figure shows the loss and slope of a background pixel against the logit. The naive loss ends where the probability
# is rounded to 1. The squared difference (p − t)², an obvious alternative, becomes flat on the right: its slope is
# 2·(p − t)·p·(1 − p), and p·(1 − p) is close to 0 when the network is sure. The more wrong the network is, the less it
# learns.

from scratchnet.visualization import ROLES, panels, save_figure

logits32 = np.linspace(-5, 25, 601, dtype=np.float32)
p = sigmoid(logits32)
with np.errstate(divide="ignore"):
    naive = naive_loss(logits32, 0)
figure, (left, right) = panels(10, 3.5, columns=2)
left.plot(logits32, stable_loss(logits32, 0), color=ROLES["output"], linewidth=4, label="cross-entropy")
left.plot(logits32, naive, "--", color=ROLES["truth"], label="naive cross-entropy, float32")
left.plot(logits32, p**2, ":", color=ROLES["truth"], linewidth=2.2, label="squared difference")
right.plot(logits32, p, color=ROLES["output"], linewidth=4, label="cross-entropy: p − t")
right.plot(logits32, 2 * p * p * (1 - p), ":", color=ROLES["truth"], linewidth=2.2, label="squared difference")
left.set_ylabel("loss of a background pixel")
right.set_ylabel("its slope")
for panel in (left, right):
    panel.set_xlabel("logit z: background ←   → cell")
    panel.legend(frameon=False, fontsize=9)
right.set_ylim(-0.05, 1.4)
save_figure(
    figure,
    "06-losses-over-pixels",
    alt="Two plots over the logit. Left, the loss of a background pixel: cross-entropy rises along a straight "
    "line, and the squared difference levels off at 1. Right, the slopes: that of cross-entropy stays 1, the "
    "other falls back to 0.",
)

# %%
# More than two classes
# ---------------------
# With K classes the network outputs K logits per pixel, one channel per class. The **softmax** converts them into
# probabilities that add up to 1: ``p_j = exp(z_j) / Σ exp(z)``. The loss is again −log of the probability of the true
# class t, which simplifies to
#
#     loss = log(Σ exp(z)) − z_t
#
# ``log(Σ exp(z))`` is called *log-sum-exp*, a smooth form of the maximum. The exponential of 1000 overflows in floating
# point, but adding the same number to all logits changes neither p nor the loss. So subtract the largest logit first:
# the largest exponential is then 1, and nothing can overflow. The slope has the same form as before, with one value per
# class: **p − t**, where t is now 1 for the true class and 0 for the others (a *one-hot* vector).


def softmax_loss(z: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the loss of every pixel and its slopes with respect to the logits, for logits (…, K) and labels (…)."""
    shifted = z - z.max(axis=-1, keepdims=True)
    log_sum = np.log(np.exp(shifted).sum(axis=-1))
    truth = np.arange(z.shape[-1]) == labels[..., None]  # (…, K), True at the true class
    p = np.exp(shifted - log_sum[..., None])
    return log_sum - (shifted * truth).sum(axis=-1), p - truth


losses, slopes = softmax_loss(np.array([[1000.0, 0.0, -3.0], [2.0, 2.0, 2.0]]), np.array([1, 1]))
print("losses", losses.round(3), " slopes", slopes.round(3).tolist())
assert losses[0] == 1000
assert np.isclose(losses[1], np.log(3))

# %%
# The second pixel shows something useful. Equal logits give each class the probability 1/K (1/11 in the third
# question), and the loss is log K. A network that has not learned anything starts near this value: 0.69 with 2 classes,
# 2.40 with 11, 3.04 with 21. If your first loss is much larger, something is wrong before training has begun. Usually
# the logits are far too large.

rng = np.random.default_rng(6)
beginner, _ = softmax_loss(0.1 * rng.standard_normal((1, 64, 64, 11)), rng.integers(0, 11, (1, 64, 64)))
loud, _ = softmax_loss(10 * rng.standard_normal((1, 64, 64, 11)), rng.integers(0, 11, (1, 64, 64)))
print(
    f"log 11 = {np.log(11):.2f}; small random logits {beginner.mean():.2f}; a hundred times as large {loud.mean():.1f}"
)

# %%
# A whole image
# -------------
# The loss of an image, or of a batch, is the mean over its pixels. Two refinements are common:
#
# - **Ignored pixels.** Where the person who drew the mask was not sure, the mask has a label that is not a class,
#   usually 255. Such a pixel has no loss and no slope, and the mean is taken over the other pixels.
# - **Class weights.** If most pixels are background, a network gets far by always predicting background. So multiply
#   the loss of every pixel by a weight of its class that is larger for rare classes. In *median frequency balancing*
#   (Eigen and Fergus 2015), the weight is the median of all classes' frequencies divided by the frequency of the class.
#   The frequency of a class is its share of the pixels of all images in which it occurs.


def image_loss(z: np.ndarray, mask: np.ndarray, weights: np.ndarray, ignore: int = 255) -> tuple[float, np.ndarray]:
    """Return the loss for masks (n, h, w) and its gradient with respect to the logits (n, h, w, K)."""
    counted = mask != ignore
    labels = np.where(counted, mask, 0)
    factors = counted * weights[labels] / counted.sum()  # (n, h, w), 0 for ignored pixels
    losses, slopes = softmax_loss(z, labels)
    return float((losses * factors).sum()), slopes * factors[..., None]


# %%
# What do class weights do? Take the simplest network of all, which does not look at the image: it has one logit per
# class, the same at every pixel. Let it learn the masks of the blood smears.

from scratchnet.data import read_mask, sample_folder

folder = sample_folder("smears") / "masks"
masks = np.stack([read_mask(path) for path in sorted(folder.glob("*.png"))])
frequency = np.bincount(masks.ravel()) / masks.size  # both classes occur in every image
balanced = np.median(frequency) / frequency


def learn_constant(weights: np.ndarray) -> float:
    """Train by gradient descent and return the learned probability of cell."""
    z = np.zeros(2)
    masks_seen = masks[:, ::4, ::4]
    for _ in range(60):
        _, slopes = image_loss(np.broadcast_to(z, (*masks_seen.shape, 2)), masks_seen, weights)
        z = z - 2.0 * slopes.sum(axis=(0, 1, 2))
    return float(np.exp(z[1]) / np.exp(z).sum())


plain, weighted = learn_constant(np.ones(2)), learn_constant(balanced)
print(f"share of cell {frequency[1]:.2f}; learned {plain:.2f}, with weights {balanced.round(2)}: {weighted:.2f}")

# %%
# Without class weights the network learns to predict 0.20 everywhere, the share of cell pixels. This is always below
# one half, so the mask is empty. With the weights 0.63 and 2.47 it predicts 0.50, so that the smallest hint in an image
# can tip the balance. This has a price: a network trained like this marks too much rather than too little, and its p no
# longer reflects how often it is right.

# %%
# The packaged loss, and a check
# ------------------------------
# `scratchnet.losses.PixelLoss` does all of this, for one channel (sigmoid) and for several (softmax); the formulas are
# in `scratchnet.ops.losses`.

from scratchnet.gradcheck import check_gradients, from_loss
from scratchnet.losses import PixelLoss

scores = rng.standard_normal((2, 4, 5, 3))
target = rng.integers(0, 3, (2, 4, 5))
target[0, 0, :3] = 255
three_weights = (0.5, 1.0, 2.0)
packaged = PixelLoss(classes=3, class_weights=three_weights)
ours, our_slopes = image_loss(scores, target, np.array(three_weights))
theirs, their_slopes = packaged(scores, target)
assert np.isclose(ours, theirs)
assert np.allclose(our_slopes, their_slopes)
report = check_gradients("loss", from_loss(packaged, scores, target))
print(f"loss {ours:.4f} and {theirs:.4f}; gradient check: ok {report.ok}, worst error {report.worst.error:.0e}")
assert report.ok
assert (their_slopes[0, 0, :3] == 0).all()

# %%
# With class weights, programs differ in what they divide the sum by. The code above divides by the number of pixels
# that are not ignored, as Caffe does, an early package for networks. PyTorch, which is widely used today, divides by
# the **sum of the weights** of these pixels in its ``CrossEntropyLoss(weight=…)``. So the two losses differ by a
# factor, the mean weight of the pixels, which is 1.03 here and changes from batch to batch. The same learning rate then
# means a different step. Before you copy class weights or a learning rate from another program, find out which of the
# two it uses. The package has both:

as_pytorch, _ = PixelLoss(classes=3, class_weights=three_weights, normalization="weights")(scores, target)
mean_weight = float(np.array(three_weights)[target[target != 255]].mean())
print(f"divided by the pixels {theirs:.4f}, by their weights {as_pytorch:.4f}; mean weight {mean_weight:.2f}")
assert np.isclose(theirs, as_pytorch * mean_weight)

# %%
# What breaks if …
# ----------------
# **… the infinite loss is avoided by adding a tiny number,** ``log(1 − p + 10⁻¹²)``? The loss becomes finite, 27.6 at
# z = 40. But its slope is 0 there, because p does not change any more: the network is wrong and never learns it.


def patched(z: float) -> float:
    """Return the loss of a background pixel with the tiny number added."""
    return float(-np.log(1 - sigmoid(np.float64(z)) + 1e-12))


patched_slope = (patched(40 + 1e-3) - patched(40 - 1e-3)) / 2e-3
print(f"patched loss {patched(40):.1f}, its slope {patched_slope:.2f}; right: {at_40:.1f} and 1.00")
assert patched_slope == 0

# %%
# **… the network already ends in a softmax,** and the loss applies another one? Its "logits" are then between 0 and 1.
# Even a perfect network, with 1 for the right class and 0 for the others, has a loss of 0.31 with 2 classes and of 1.54
# with 11, and the loss never gets lower. The network does learn, but badly. A loss that gets stuck at one of these
# values is a clue.

floors = {classes: float(softmax_loss(np.eye(classes)[:1], np.zeros(1, int))[0][0]) for classes in (2, 11)}
print("lowest loss after two softmaxes:", {classes: round(floor, 2) for classes, floor in floors.items()})

# %%
# **… ignored pixels are marked by −1?** NumPy takes index −1 as the last element, so an ignored pixel silently gets the
# last class. The package rejects labels that are neither a class nor the ignored label.

last = np.array(["background", "cell", "dirt"])[np.array([-1])]
print("label −1 is read as", last[0])
try:
    packaged(scores, np.full((2, 4, 5), -1))
except ValueError as error:
    print(error)

# %%
# **… the mean is taken over all pixels, including the ignored ones?** Then a mask with half of its pixels ignored has
# half the effect on training. If we divide by the number of pixels that count, a batch in which *every* pixel is
# ignored gives 0/0; the package defines its loss as 0.

half = target.copy()
half[1] = 255
_, slopes_of_half = packaged(scores, half)
nothing, _ = packaged(scores, np.full((2, 4, 5), 255))
print("loss of a batch in which every pixel is ignored:", nothing)
assert (slopes_of_half[1] == 0).all()
assert nothing == 0

# %%
# Exercises
# ---------
# Solutions: ``lessons/solutions/06_losses_over_pixels.py``.
#
# 1. The mean loss over an image is 0.105. If the network were equally sure at every pixel, which probability would it
#    give to the truth?
# 2. Show that the softmax of the two logits (0, z) is the sigmoid of z. Why is one channel enough for two classes?
# 3. At each pixel, the slopes of the softmax loss add up to 0 over the classes. Why must they?
# 4. In the formula of Dice (lesson 1), replace the predicted mask by probabilities: ``D = 2·Σ p·t / (Σ p + Σ t)``. Then
#    1 − D can serve as a loss too. Derive its slope with respect to each p (the derivative of a quotient u/v is
#    (u'·v − u·v')/v²), and check it as in lesson 2.
#
# ``scratchnet exercise start 6`` writes stubs for the losses of this lesson, for class weights, and for exercise 4
# (``06_dice_loss``); ``scratchnet exercise check 6`` checks them.
