r"""
20. How sure is it? Dropout, variance and calibration
=====================================================

**The question.** A network gives every pixel a probability. Does 0.9 mean that it is right in nine of ten such pixels?
And is there a way to ask it how sure it is, so that a person needs to look at the doubtful pixels and images only?

You need lesson 1 (IoU), lesson 6 (softmax, cross-entropy), lesson 11 (batch norm in training and in use), lesson 12 (a
network as a list) and lesson 14 (encoder, decoder).

**What you will build.** Dropout with its backward pass, a network that answers differently each time it is asked, maps
of its doubt, and a test of whether its probabilities are honest.

**Time.** About 60 minutes, and as long again for the exercises.

**New terms**, one line each on :doc:`the page of terms </terms>`: Monte Carlo dropout, predictive entropy, mutual
information, active learning, confidence, calibration, reliability diagram, expected calibration error, temperature
scaling, test-time augmentation.
"""

# %%
# Write your prediction down first
# --------------------------------
# 1. Dropout replaces each of the values 2, 4, 6, 8 by 0 with probability ½. By which number must the others be
#    multiplied, so that the expected sum is still 20?
# 2. A network with dropout segments an image 20 times. Where do the 20 results differ most?
# 3. The network has only seen colour photographs. You show it the same photographs without colour. Does it become
#    unsure?

import numpy as np

from scratchnet.utils.lesson import start_lesson

FAST = start_lesson()

# %%
# By hand: dropout
# ----------------
# Dropout at rate ½ draws a random number from 0 to 1 for every value, keeps the value if the number is at least ½, and
# replaces it by 0 otherwise (lesson 2 met it as an obstacle). A kept value is divided by ½, the probability of being
# kept. Take the draws 0.1, 0.7, 0.6 and 0.3:

x = np.array([2.0, 4, 6, 8])
kept = np.array([0.1, 0.7, 0.6, 0.3]) >= 0.5
y = np.where(kept, x / 0.5, 0)
print("kept", kept.astype(int), "  result", y)
assert y.tolist() == [0, 8, 12, 0]

# %%
# The result is 0, 8, 12, 0, with the sum 20. That is luck: other draws give other sums. But the *mean* over all 16
# possible masks, which are equally probable, is the input. Without the division it would be half of it, and the next
# layer would get smaller values in training than in use. (The original paper, Srivastava et al. 2014, halves the values
# in use instead.)

all_masks = np.array(list(np.ndindex(2, 2, 2, 2)))
mean_divided, mean_plain = (all_masks * x / 0.5).mean(axis=0), (all_masks * x).mean(axis=0)
print("mean over the 16 masks:", mean_divided, "  without division:", mean_plain)
assert (mean_divided == x).all()

# %%
# For a given mask, y is x times a constant, 0 or 2. So the backward pass multiplies the upstream gradient by the same
# constant: a dropped value had no influence and gets no gradient. From loops to the packaged function:

from scratchnet.ops.activation import dropout, dropout_backward
from scratchnet.utils.random_stream import RandomStream


def loop_dropout(x: np.ndarray, rate: float, draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return maps after dropout, and the mask, one value at a time."""
    y, mask = np.zeros_like(x), np.zeros_like(x)
    for place in np.ndindex(x.shape):
        if draws[place] >= rate:
            mask[place] = 1 / (1 - rate)
            y[place] = x[place] * mask[place]
    return y, mask


rng = np.random.default_rng(20)
maps, dy = rng.standard_normal((2, 2, 3, 4, 5))


def stream() -> RandomStream:
    """Return the same random numbers each time."""
    return RandomStream(np.random.Generator(np.random.Philox(20)))


ours, mask = loop_dropout(maps, 0.3, stream().uniform(maps.shape, np))
packaged, packaged_mask = dropout(maps, 0.3, stream())
numeric = np.zeros_like(maps)
for place in np.ndindex(maps.shape):
    step = np.zeros_like(maps)
    step[place] = 1e-5
    above, below = (dropout(maps + sign * step, 0.3, stream())[0] for sign in (1, -1))
    numeric[place] = ((above - below) * dy).sum() / 2e-5
worst = np.abs(numeric - dropout_backward(dy, packaged_mask)).max()
print(f"loops and package agree: {np.allclose(ours, packaged)}; gradient: largest difference {worst:.0e}")
assert np.allclose(ours, packaged)
assert worst < 1e-8

# %%
# By hand: two kinds of doubt
# ---------------------------
# In training, dropout keeps a network from relying on single values: a measure against overfitting. In use it is
# switched off. **Monte Carlo dropout** leaves it on (Gal, Ghahramani 2016): every pass drops other values, so every
# pass is made by a slightly different network, and all of them were trained on the same images. Where the images left
# no choice, the networks agree. Bayesian SegNet (Kendall, Badrinarayanan, Cipolla 2015) does this for segmentation.
#
# Suppose two passes give three pixels these probabilities of two classes:

first = np.array([[0.9, 0.1], [0.5, 0.5], [0.9, 0.1]])
second = np.array([[0.9, 0.1], [0.5, 0.5], [0.1, 0.9]])


def entropy(p: np.ndarray) -> np.ndarray:
    """Return −Σ p ln p over the classes, the last axis."""
    return -(p * np.log(np.maximum(p, 1e-30))).sum(axis=-1)


total = entropy((first + second) / 2)
each = (entropy(first) + entropy(second)) / 2
information = total - each
print("                     sure   unsure   contradiction")
for name, values in (("entropy of the mean", total), ("mean of entropies", each), ("difference", information)):
    print(f"{name:20}", *(f"{value:7.3f}" for value in values))
assert np.allclose(total[1:], np.log(2))

# %%
# The entropy −Σ p ln p is the cross-entropy of lesson 6 that the probabilities expect of themselves: 0 if one class
# is certain, ln 2 = 0.693 if two are equally probable. The entropy of the mean is the **predictive entropy**. It is
# 0.693 for the second pixel and for the third, but for different reasons. In the second, every pass hesitates, as on
# a blurred outline: more training images would not sharpen it. In the third, each pass is rather sure, and they
# contradict one another: 0.325 is their own doubt, and the rest, 0.368, is disagreement. The rest is called **mutual
# information**: what the label of this pixel would say about which of the networks is right (Houlsby et al. 2011).
#
# A network that can be asked
# ---------------------------
# Smears as in lesson 14, small ones. The network has nearest upsampling and dropout ½ after its deeper blocks, as
# Bayesian SegNet has. For comparison we train the same network without dropout.

from scratchnet.arrays import generator
from scratchnet.data import Preprocessing, make_cells
from scratchnet.layers import BatchNorm2d, Conv2d, Dropout, MaxPool2d, ReLU, UpsampleNearest
from scratchnet.losses import PixelLoss
from scratchnet.network import Network
from scratchnet.training.optimizers import Adam

SIDE, UPDATES, PASSES = (32, 3, 4) if FAST else (64, 240, 20)
prepare = Preprocessing(mean=(0.5, 0.5, 0.5))  # x/255 − 0.5


def smears(first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw images (count, h, w, 3) and masks (count, h, w)."""
    drawn = [make_cells(generator(20, number), SIDE, magnification=0.6) for number in range(first, first + count)]
    images, masks = zip(*drawn, strict=True)
    return np.stack(images), np.stack(masks)


def build(rate: float) -> Network:
    """Build an encoder and a decoder of three levels, with dropout at the deeper two."""
    net, filters = Network(channels=3, stride=8), (16, 32, 32)
    for level, (c_in, c_out) in enumerate(zip((3, *filters), filters, strict=False), start=1):
        convolve(net, f"conv{level}", c_in, c_out)
        net.add(f"pool{level}", MaxPool2d(2))
        if level > 1:
            net.add(f"encdrop{level}", Dropout(rate))
    convolve(net, "middle", 32, 32)
    for level in (3, 2, 1):
        net.add(f"up{level}", UpsampleNearest(2))
        convolve(net, f"decode{level}", filters[level - 1], filters[max(0, level - 2)])
        if level > 1:
            net.add(f"decdrop{level}", Dropout(rate))
    net.add("score", Conv2d(16, 2, 1))
    return net


def convolve(net: Network, name: str, c_in: int, c_out: int) -> None:
    """Add a convolution that keeps the size, batch norm and ReLU."""
    net.add(name, Conv2d(c_in, c_out, 3, padding=1))
    net.add(f"{name}_bn", BatchNorm2d(c_out))
    net.add(f"{name}_relu", ReLU())


def fit(rate: float) -> Network:
    """Train on twelve smears; return the network in evaluation mode."""
    net, pixel_loss, optimizer = build(rate).allocate(seed=0).train(), PixelLoss(classes=2), Adam()
    for update in range(UPDATES):
        draw = np.random.default_rng([20, update])
        batch, flip = draw.choice(12, 8, replace=False), slice(None, None, 1 if draw.random() < 0.5 else -1)
        net.reseed(20, update)  # the random numbers of dropout
        scores = net.forward(np.ascontiguousarray(prepare.apply(images[batch])[:, :, flip]))
        _, dscores = pixel_loss(scores, np.ascontiguousarray(masks[batch][:, :, flip]))
        net.zero_grad()
        net.backward(dscores)
        optimizer.step(net.flat(), 5e-3 * (1 - update / UPDATES))
    return net.eval()


images, masks = smears(0, 12)
unseen, truth = smears(1000, 8 if FAST else 60)
dropping, plain = fit(0.5), fit(0.0)

# %%
# Ask it twenty times. ``use_dropout`` switches dropout on and leaves batch norm with its running averages. Storing all
# passes would take twenty times the memory of one. Sums suffice: of the probabilities, of their squares, and of the
# entropies.

from scratchnet.inference import SampledPredictor, Segmenter, choose_sampling


def ask(net: Network, image: np.ndarray, passes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mean (h, w, 2), the variance (h, w, 2) and the mutual information (h, w)."""
    segmenter, total, squares, entropies = Segmenter(net, prepare), 0.0, 0.0, 0.0
    for number in range(passes):
        net.reseed(0, "uncertainty", number)
        p = segmenter.probabilities(image[None])[0].astype(np.float64)
        total, squares, entropies = total + p, squares + p**2, entropies + entropy(p)
    mean = total / passes
    return mean, squares / passes - mean**2, entropy(mean) - entropies / passes


segmenter = Segmenter(dropping, prepare)
predictor = SampledPredictor(choose_sampling(segmenter, segmenter, seed=0), PASSES)
found = [predictor.maps(image) for image in unseen]
dropping.use_dropout()
mean, variance, by_hand = ask(dropping, unseen[0], PASSES)
dropping.eval()
differences = [
    np.abs(a - b).max()
    for a, b in ((mean, found[0].mean), (variance, found[0].variance), (by_hand, found[0].mutual_information))
]
print("ours and the package's differ by at most", " ".join(f"{d:.0e}" for d in differences))
assert max(differences) < 1e-5

# %%
# Does doubt find errors?
# -----------------------
# Compare with the masks, which the network has not seen. First by pixel: take the tenth of all pixels with the largest
# value, and count which part of the errors is there. Then by image: is the image with more doubt the one with more
# errors? The rank correlation is 1 if the two orders are equal, and 0 if they have nothing to do with each other.

means = np.stack([one.mean for one in found])
wrong = means.argmax(axis=3) != truth
measures = {
    "standard deviation": np.stack([one.deviation() for one in found]),
    "predictive entropy": np.stack([one.entropy for one in found]),
    "mutual information": np.stack([one.mutual_information for one in found]),
}


def ranks(values: np.ndarray) -> np.ndarray:
    """Return the place of each value in the order of all."""
    return values.argsort().argsort()


caught, correlation = {}, {}
for name, values in measures.items():
    caught[name] = wrong[values >= np.quantile(values, 0.9)].sum() / wrong.sum()
    by_image = ranks(values.mean(axis=(1, 2))), ranks(wrong.mean(axis=(1, 2)))
    correlation[name] = np.corrcoef(*by_image)[0, 1]
    print(
        f"{name}: {caught[name]:.0%} of the errors in a tenth of the pixels, rank correlation {correlation[name]:.2f}"
    )
if not FAST:
    assert min(caught.values()) > 0.7
    assert min(correlation.values()) > 0.7

# %%
# All three find most errors: somebody who checks a tenth of the pixels sees most of what is wrong. And they order the
# images nearly by their errors, without knowing a single mask. That is useful to decide what to label next, which is
# called **active learning**: ``scratchnet data suggest`` ranks images by their mutual information. ``docs/results.md``
# repeats the comparison on photographs, where it is harder. For nuclei in many stains the mutual information orders the
# images by their errors, well or moderately, and the predictive entropy not at all. For blood cells that look much
# alike, all three are weak.
#
# The figure worth keeping
# ------------------------
# The image with the most mutual information. The scale is the same for all images: black is the largest possible value,
# ½ for the standard deviation and ln 2 for the two others, and the square root makes small values visible.

from scratchnet.visualization import error_map, overlay, panels, save_figure

index = int(measures["mutual information"].mean(axis=(1, 2)).argmax())
prediction = means[index].argmax(axis=2).astype(np.uint8)
figure, axes = panels(10.5, 2.3, columns=6)
shown = {
    "truth": overlay(unseen[index], truth[index]),
    "mean of the passes": overlay(unseen[index], prediction),
    "errors": error_map(truth[index], prediction),
}
for axis, (name, picture) in zip(axes, shown.items(), strict=False):
    axis.imshow(picture)
    axis.set_title(name)
for axis, (name, values) in zip(axes[3:], measures.items(), strict=True):
    largest = 0.5 if name == "standard deviation" else np.log(2)
    axis.imshow(np.sqrt(values[index] / largest), cmap="gray_r", vmin=0, vmax=1)
    axis.set_title(name)
for axis in axes:
    axis.set_axis_off()
save_figure(
    figure,
    "20-maps-of-doubt",
    "A smear with the true and the predicted cells, the errors, and three grey maps that are dark along the outline of "
    "the cell and in red cells that were taken for stained ones. The predictive entropy is the darkest map.",
)

# %%
# All maps are dark along outlines, where two classes meet: every pass draws them a little differently. This network
# also takes some red cells for stained ones, and the maps are dark in these whole regions. The entropy is the darkest,
# because it adds the doubt within each pass to the disagreement between them.
#
# Are the probabilities honest?
# -----------------------------
# The **confidence** of a pixel is the probability of its predicted class. In a network with perfect **calibration**, 90
# of 100 pixels with confidence 0.9 are right. By hand, for four pixels in two bins: confidence 0.9, 0.9 with one right,
# and 0.6, 0.6 with both right. The gaps are 0.9 − 0.5 = 0.4 and 1 − 0.6 = 0.4. Their mean, weighted by the pixels
# of each bin, is the **expected calibration error**. Loops first, then the package:

from scratchnet.evaluation import reliability


def calibration_error(confidence: np.ndarray, right: np.ndarray, bins: int) -> float:
    """Return the expected calibration error of pixels (n,)."""
    error = 0.0
    for k in range(bins):
        inside = (confidence >= k / bins) & ((confidence < (k + 1) / bins) | (k == bins - 1))
        if inside.any():
            error += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return error


four = calibration_error(np.array([0.9, 0.9, 0.6, 0.6]), np.array([1, 0, 1, 1]), 10)
print(f"four pixels: {four:.1f}")
assert np.isclose(four, 0.4)

scores = Segmenter(plain, prepare).scores(unseen)


def softmax(scores: np.ndarray) -> np.ndarray:
    """Return probabilities over the last axis (lesson 6)."""
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


honest = reliability(softmax(scores), truth)
right = (scores.argmax(axis=3) == truth).ravel()
ece = honest.expected_calibration_error()
print(f"without dropout: {ece:.4f}")
assert np.isclose(ece, calibration_error(softmax(scores).max(axis=3).ravel(), right, 10), atol=1e-4)

# %%
# Networks that have nearly learned their training images by heart tend to be too sure. **Temperature scaling** (Guo et
# al. 2017) divides all scores by one number T, chosen on images with masks such that the cross-entropy is smallest. T
# above 1 makes all probabilities less extreme. No pixel changes its class. We choose T on one half of the unseen images
# and measure on the other.

half = len(unseen) // 2
candidates = np.arange(0.5, 4, 0.05)
chosen = np.take_along_axis
losses = [
    -np.log(chosen(softmax(scores[:half] / t), truth[:half, ..., None].astype(int), -1)).mean() for t in candidates
]
T = candidates[int(np.argmin(losses))]
compared = {
    "no dropout": softmax(scores[half:]),
    f"no dropout, T = {T:.2f}": softmax(scores[half:] / T),
    "mean with dropout": means[half:],
}
diagrams = {name: reliability(p, truth[half:]) for name, p in compared.items()}
errors = {name: diagram.expected_calibration_error() for name, diagram in diagrams.items()}
for name, error in errors.items():
    accuracy = (compared[name].argmax(axis=3) == truth[half:]).mean()
    print(f"{name:22} expected calibration error {error:.4f}, accuracy {accuracy:.4f}")
if not FAST:
    assert T > 1
    assert errors[f"no dropout, T = {T:.2f}"] < errors["no dropout"]

# %%
# A **reliability diagram** shows the accuracy of every bin above its confidence. On the diagonal, confidence is
# honest; below it, the network is too sure. In our run it is too sure without dropout, and less so with T. The mean
# with dropout is above the diagonal: averaging 20 different opinions makes it a little too modest. Most pixels are
# plain background with a confidence near 1, so all calibration errors are small; the outlines are in the bins further
# left.

figure, axes = panels(9, 3.2, columns=3)
for axis, (name, diagram) in zip(axes, diagrams.items(), strict=True):
    axis.plot([0.5, 1], [0.5, 1], color="0.7", linewidth=1)
    axis.plot(diagram.confidence, diagram.accuracy, "o-", markersize=4)
    axis.set_title(f"{name}\nECE {errors[name]:.4f}", fontsize=9)
    axis.set_xlim(0.45, 1.02)
    axis.set_ylim(0.4, 1.02)
    axis.set_xlabel("confidence")
axes[0].set_ylabel("accuracy")
save_figure(
    figure,
    "20-reliability",
    "Three reliability diagrams. Without dropout the points lie below the diagonal; with a temperature above 1 they "
    "are closer to it, and the mean of passes with dropout lies a little above it.",
)

# %%
# What breaks if …
# ----------------
# **… the images are of another kind?** The same smears, with the colours averaged to grey:

grey = np.repeat(unseen.mean(axis=3, keepdims=True), 3, axis=3).astype(np.uint8)
few = slice(0, 4 if FAST else 20)
strange = [predictor.maps(image) for image in grey[few]]


def iou(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Return the intersection over union of the cells (lesson 1)."""
    return float(((prediction == 1) & (truth == 1)).sum() / ((prediction == 1) | (truth == 1)).sum())


table = {}
for name, maps_of in (("colour", found[few]), ("grey", strange)):
    predicted = np.stack([one.mean for one in maps_of]).argmax(axis=3)
    doubt = (
        np.mean([one.entropy.mean() for one in maps_of]),
        np.mean([one.mutual_information.mean() for one in maps_of]),
    )
    table[name] = iou(predicted, truth[few]), *doubt
    print(f"{name:7} IoU {table[name][0]:.2f}, predictive entropy {doubt[0]:.3f}, mutual information {doubt[1]:.4f}")
if not FAST:
    assert table["grey"][0] < 0.1 < table["colour"][0]
    assert table["grey"][1] < table["colour"][1]
    assert table["grey"][2] < table["colour"][2]

# %%
# It finds no cell, and it is *surer* than before: without purple, every pass predicts background. Doubt compares
# networks that learned from the same images, and if none of these images shows a case, all of the networks may be wrong
# about it in the same way. A small mutual information means "the passes agree", not "this is right", and calibration on
# one kind of images says nothing about another.
#
# **… batch norm is in training mode too?** ``net.train()`` would switch on dropout *and* the statistics of the batch,
# here of a single image (lesson 11). The passes would then use other means and variances than those learned, and
# update the running averages for every later use.
#
# **… the network has no dropout?** Its passes are all equal. Change the image instead: flip, scale, shift, predict, and
# undo the change. This is *test-time augmentation*. It measures how much the prediction depends on positions and sizes.

others = choose_sampling(Segmenter(plain, prepare), Segmenter(plain, prepare))
print(others.words(PASSES))
assert (ask(plain, unseen[0], 2)[1] < 1e-12).all()

# %%
# **… there are only two passes?** The variance of two numbers is a poor estimate. Its error falls with the square root
# of the number of passes; 20 to 50 are common.
#
# Exercises
# ---------
# Solutions: ``lessons/solutions/20_how_sure_is_it.py``.
#
# 1. Dropout at rate ¾ is applied to the value 3. Which results are possible, how probable are they, and what are their
#    mean and variance?
# 2. Three passes give a pixel the probabilities 1, 1 and 0 of class 1. Compute predictive entropy, mutual information
#    and variance. What changes if they are ⅔, ⅔ and ⅔?
# 3. Show that temperature scaling with T → ∞ gives every class the probability 1/C, and that the predicted class is the
#    same for every T.
# 4. A network for two classes says 0.95 for background everywhere, and 95 % of the pixels are background. What is its
#    expected calibration error? What does that say about calibration as a goal?
#
# ``scratchnet exercise start 20`` writes stubs for dropout, for entropy and mutual information and for the expected
# calibration error; ``scratchnet exercise check 20`` checks them.
