r"""
18. Train on your own images: from a folder to a network you can trust
======================================================================

**The question.** You have a folder of photographs, and a mask for each. How do you get from there to a network, and how
do you find out whether you may trust it on a photograph that it has never seen?

You need lesson 6 (class weights), lesson 11 (training), lesson 12 (training, validation and test set) and lesson 14
(U-Net).

**What you will build.** A check of the data, a split without leakage, a learning rate range test, a training loop with
augmentation and a validation curve, and an analysis of the errors that remain.

**Time.** About 80 minutes, and as long again for the exercises.

**New terms**, one line each on :doc:`the page of terms </terms>`: class imbalance, leakage, learning rate range test,
early stopping, patience, error analysis.
"""

# %%
# Write your prediction down first
# --------------------------------
# A laboratory has photographed the blood of eleven patients, four times each. The four photographs of a patient overlap
# a little. Every pixel is labelled as background, red cell or stained cell.
#
# 1. You mix all photographs and keep half of them for validation. Will the result there be too good, too bad or right?
# 2. Only two patients are left for training. Which helps more: weights for the rare class, or augmentation?
# 3. The objects are letters, and the classes are *b* and *d*. Which augmentation must you not use?

import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

from scratchnet.utils.errors import UserError
from scratchnet.utils.lesson import start_lesson

FAST = start_lesson()
OWN = "--data" in sys.argv  # your own folder: python lessons/18_train_on_your_own_images.py --data FOLDER

# %%
# By hand: three learning rates
# -----------------------------
# Take the loss :math:`5 w^2` with its slope :math:`10 w`. A step of gradient descent (lesson 2) replaces w by
# :math:`w - \text{rate} \cdot 10 w`, so it multiplies w by :math:`1 - 10 \cdot \text{rate}`. Start at w = 1:

for rate in (0.01, 0.09, 0.21):
    w, losses = 1.0, []
    for _ in range(6):
        losses.append(5 * w * w)
        w -= rate * 10 * w
    print(f"rate {rate}: factor {1 - 10 * rate:5.2f}, losses", *(f"{value:.3g}" for value in losses))

# %%
# The factors are 0.9, 0.1 and −1.1. The first rate is too small: after five steps the loss is still 1.74. The second is
# good. With the third, w jumps over the minimum and lands farther away than before, and the loss rises. Between a rate
# that is needlessly slow and one that destroys everything there is often only a factor of 20. We return to this.
#
# Look at the data first
# ----------------------
# The lesson draws a folder of images and masks, as a stand-in for your own photographs, and then uses nothing but its
# files. With ``--data FOLDER`` it works on your folder instead. Name the files so that everything before the last
# hyphen says what belongs together: ``ann-1.jpg`` and ``ann-2.jpg`` are of one patient, or frames of one film.

from scratchnet.arrays import generator
from scratchnet.data import check_dataset, make_cells, open_dataset, read_mask, write_image, write_mask

PATIENTS = (0, 1, *range(4, 13))
CORNERS = ((0, 0), (0, 48), (48, 0), (24, 24))  # of the photographs, in a smear of 112×112 pixels


def draw_folder(root: Path) -> None:
    """Write four photographs of 64×64 pixels for each patient, with masks, and make three mistakes."""
    for number in PATIENTS:
        image, stained = make_cells(generator(18, number), 112, "stained", magnification=0.5)
        _, red = make_cells(generator(18, number), 112, "red", magnification=0.5)
        for shot, (top, left) in enumerate(CORNERS):
            window = np.s_[top : top + 64, left : left + 64]
            write_image(root / "images" / f"patient{number:02d}-{shot}.png", image[window])
            write_mask(root / "masks" / f"patient{number:02d}-{shot}.png", (red + 2 * stained)[window])
    (root / "classes.txt").write_text("background\nred cell\nstained cell\n", encoding="utf-8")
    (root / "masks" / "patient05-1.png").rename(root / "masks" / "patient05-l.png")
    mask = read_mask(root / "masks" / "patient09-2.png", classes=3)
    write_mask(root / "masks" / "patient09-2.png", np.where(mask == 2, 200, mask).astype(np.uint8))
    for kind in ("images", "masks"):
        shutil.copy(root / kind / "patient00-0.png", root / kind / "patient06-4.png")


temporary = tempfile.TemporaryDirectory(prefix="scratchnet-lesson-")
ROOT = Path(temporary.name)
if OWN:
    if sys.argv[-1] == "--data":
        raise UserError("--data: expected a folder with images/, masks/ and classes.txt")
    ROOT = Path(sys.argv[sys.argv.index("--data") + 1])
else:
    for kind in ("images", "masks"):
        (ROOT / kind).mkdir()
    draw_folder(ROOT)
report = check_dataset(ROOT)
print(report.text().replace(str(ROOT), "FOLDER"))

# %%
# This is what ``scratchnet data check FOLDER`` prints. It has found all three mistakes:
#
# - a name: a mask is called ``patient05-l``, with the letter l instead of the digit 1;
# - a value: somebody painted stained cells with the grey value 200, and there is no class 200;
# - a file that occurs twice: a photograph of patient 0 was also filed under patient 6. This is not counted as a
#   problem, because it may be harmless. Here it is not: patient 0 will be used for training and patient 6 for
#   validation.
#
# No program finds a mask that is *wrong*, with a cell forgotten or painted as the wrong class. So we correct the three
# mistakes, and then look at images with their masks drawn over them.

if not OWN:
    (ROOT / "masks" / "patient05-l.png").rename(ROOT / "masks" / "patient05-1.png")
    values = read_mask(ROOT / "masks" / "patient09-2.png", classes=256)
    write_mask(ROOT / "masks" / "patient09-2.png", np.where(values == 200, 2, values).astype(np.uint8))
    for kind in ("images", "masks"):
        (ROOT / kind / "patient06-4.png").unlink()
report = check_dataset(ROOT)
if report.problems:
    raise UserError(f"{ROOT}: {len(report.problems)} problems; correct them first (scratchnet data check lists them)")
data = open_dataset(ROOT)
K = len(data.classes)
shares = report.counts.pixels / report.counts.pixels.sum()
print(len(data), "images;", ", ".join(f"{name} {share:.1%}" for name, share in zip(data.classes, shares, strict=True)))

from scratchnet.visualization import ROLES, error_map, overlay, panels, save_figure

figure, axes = panels(10, 3.6, rows=2, columns=6)
for column, index in enumerate([0, 1, *np.linspace(len(data) // 10, len(data) - 1, 4).astype(int).tolist()]):
    image, mask = data.load(index)
    for panel, shown in ((axes[column], image), (axes[6 + column], overlay(image, mask))):
        panel.imshow(shown)
        panel.set_axis_off()
    axes[column].set_title(data.names[index], fontsize=9)
save_figure(figure, "18-look-first", alt="Six smears, then with red cells orange and stained cells blue.")

# %%
# The stains differ from patient to patient far more than from photograph to photograph. And the classes are not equally
# frequent: stained cells, the ones that the laboratory looks for, have 10 % of the pixels. This is called **class
# imbalance**.
#
# Split: what belongs together stays together
# -------------------------------------------
# Lesson 12 divides the images into a training set, a validation set and a test set. If one photograph of a patient is
# in the training set and another in the test set, then the network is tested on a stain, and here even on some cells,
# that it has learned from. The test is then easier than reality. This is called **leakage**: information about the
# answers in the test gets into the training. So we do not distribute photographs, but patients.


def group_of(name: str) -> str:
    """Return what stands before the last hyphen of a name, or the whole name."""
    return name.rpartition("-")[0] or name


def split_by_group(names: tuple[str, ...], first: int, second: int) -> list[list[int]]:
    """Return the indices of the images of the ``first`` groups, of the ``second`` ones, and of the rest."""
    groups = list(dict.fromkeys(group_of(name) for name in names))  # each group once
    parts: list[list[int]] = [[], [], []]
    for index, name in enumerate(names):
        rank = groups.index(group_of(name))
        parts[(rank >= first) + (rank >= first + second)].append(index)
    return parts


groups = len({group_of(name) for name in data.names})
if groups < 3:
    raise UserError(f"{ROOT}: names have {groups} different beginnings before the last hyphen; expected at least 3")
parts = split_by_group(data.names, *((max(1, groups * 3 // 5), max(1, groups // 5)) if OWN else (2, 3)))
train, val, test = ([data.load(index) for index in part] for part in parts)
print("images for training, validation and test:", *map(len, parts))
divided = [{group_of(data.names[index]) for index in part} for part in parts]
assert sum(map(len, divided)) == groups  # no group is in two parts

# %%
# Two patients, that is, eight photographs, is little on purpose: labelling takes an hour per image, and you will often
# begin with as few. With folders of your own, draw the groups at random first (ours were drawn at random already).
# Split once, and write the lists down: ``scratchnet train`` reads them from ``splits/train.txt``, ``val.txt`` and
# ``test.txt``.

if not OWN:
    (ROOT / "splits").mkdir()
    for name, part in zip(("train", "val", "test"), parts, strict=True):
        lines = "".join(f"{data.names[index]}\n" for index in (part[:4] if FAST else part))
        (ROOT / "splits" / f"{name}.txt").write_text(lines, encoding="utf-8")

# %%
# The first results come from no network
# --------------------------------------
# How good is a program that has learned nothing? Everything background; everything red cell; and the best threshold on
# the green channel, chosen on the training set, with dark pixels as red cells.

from scratchnet.evaluation import Metrics, confusion_matrix, metrics

Pairs = list[tuple[np.ndarray, np.ndarray]]


def score(pairs: Pairs, predictions: list[np.ndarray]) -> Metrics:
    """Return the metrics over all images together (lesson 1)."""
    return metrics(sum(confusion_matrix(mask, p, K) for (_, mask), p in zip(pairs, predictions, strict=True)))


def by_threshold(pairs: Pairs, limit: int) -> list[np.ndarray]:
    """Label pixels whose green value is below the limit as class 1, all others as background."""
    return [(image[:, :, 1] < limit).astype(np.uint8) for image, _ in pairs]


limit = max(range(40, 240, 5), key=lambda limit: score(train, by_threshold(train, limit)).accuracy)
baselines = {
    "all background": [np.zeros_like(mask) for _, mask in val],
    f"all {data.classes[1]}": [np.ones_like(mask) for _, mask in val],
    f"green below {limit}": by_threshold(val, limit),
}
floor = {name: score(val, predictions) for name, predictions in baselines.items()}
for name, found in floor.items():
    print(f"{name:16} accuracy {found.accuracy:.2f}, mean IoU {found.mean_iou:.2f}, IoUs", np.round(found.iou, 2))

# %%
# The threshold finds no stained cell at all, and its accuracy hides this; the mean IoU of the three classes shows it.
# So we measure mean IoU from now on. We also set our target *before* we train: **a mean IoU of 0.80** on patients that
# the network has never seen.
#
# The training loop
# -----------------
# It is the loop of lesson 14 with three additions: the augmentation is an argument; the loss may have class weights;
# and at regular intervals loss and mean IoU are measured on training and validation images **without augmentation**,
# and with the running averages of batch norm (lesson 11). We measure what we will use, and nobody will mirror or
# recolour an image in use. The learning rate falls to 0 along a straight line, because small steps at the end settle
# the details.

from scratchnet.data import Augmentation, Preprocessing, augment
from scratchnet.losses import PixelLoss
from scratchnet.models import build
from scratchnet.network import Network
from scratchnet.training.optimizers import Adam

if FAST:
    train, val, test = train[:4], val[:2], test[:2]
prepare = Preprocessing(mean=(0.5, 0.5, 0.5))  # x/255 − 0.5
PLAIN = Augmentation(crop=(64, 64))  # changes nothing in images of 64×64


def predict(net: Network, pairs: Pairs) -> tuple[float, list[np.ndarray]]:
    """Return the mean loss and the predicted masks."""
    net.eval()
    losses, masks = [], []
    for image, mask in pairs:
        scores = net.forward(prepare.apply(image[None]))
        losses.append(PixelLoss(scores.shape[3])(scores, mask[None])[0])
        masks.append(scores[0].argmax(axis=2).astype(np.uint8))
    net.train()
    return float(np.mean(losses)), masks


def batch_of(pairs: Pairs, count: int, draw: np.random.Generator, augmentation: Augmentation):
    """Draw a batch of changed images, with their masks changed in the same way."""
    chosen = [pairs[i] for i in draw.choice(len(pairs), min(count, len(pairs)), replace=False)]
    changed = [augment(image, mask, draw, augmentation, lambda _: chosen[0]) for image, mask in chosen]
    return prepare.apply(np.stack([image for image, _ in changed])), np.stack([mask for _, mask in changed])


def fit(train: Pairs, val: Pairs, updates: int, rate: float, augmentation=PLAIN, weights=None, seed=0, classes=K):
    """Train a small U-Net; return it with a curve of (update, training loss, mean IoU, validation loss, mean IoU)."""
    net = build("unet-same", classes=classes, width=0.125, depth=2, batch_norm=True, dropout=False)
    net.allocate(seed).train()
    pixel_loss, optimizer, curve = PixelLoss(classes, class_weights=weights), Adam(), []
    for update in range(updates):
        x, y = batch_of(train, 4, np.random.default_rng([18, seed, update]), augmentation)
        _, dscores = pixel_loss(net.forward(x), y)
        net.zero_grad()
        net.backward(dscores)
        optimizer.step(net.flat(), rate * (1 - update / updates))
        if val and ((update + 1) % 20 == 0 or update + 1 == updates):
            row = [update + 1]
            for pairs in (train, val):
                found, masks = predict(net, pairs)
                row += [found, score(pairs, masks).mean_iou]
            curve.append(row)
    return net, curve


# %%
# How large a learning rate?
# --------------------------
# Instead of trying rates one after the other, try all of them in one short run: start with a tiny rate, multiply it by
# a constant after each update, and draw the loss against the logarithm of the rate. This is a **learning rate range
# test** (Smith 2017).

rates = np.geomspace(1e-4, 100, 4 if FAST else 60)
net = build("unet-same", classes=K, width=0.125, depth=2, batch_norm=True, dropout=False).allocate(0).train()
pixel_loss, optimizer, range_losses = PixelLoss(K), Adam(), []
for update, rate in enumerate(rates):
    x, y = batch_of(train, 4, np.random.default_rng([18, update]), PLAIN)
    loss, dscores = pixel_loss(net.forward(x), y)
    range_losses.append(loss)
    net.zero_grad()
    net.backward(dscores)
    optimizer.step(net.flat(), rate)
smooth = np.convolve(np.pad(range_losses, 2, "edge"), np.ones(5) / 5, "valid")  # the mean of 5 neighbours
lowest = rates[smooth.argmin()]
print(f"the loss is lowest at a rate of {lowest:.2g}")

# %%
# At first little happens, then the loss falls, and at last the steps are too large and it rises. The run says nothing
# about the best rate for the end of a training, but it shows the range: choose a rate where the loss falls steadily, at
# most a tenth of that where it is lowest. We take 0.01. Here is what the choice does:

RATE = 0.01
SHORT = 1 if FAST else 60
trials = {}
for name, rate in (("too small", 1e-4), ("good", RATE), ("too large", 1.0)):
    _, trials[name] = fit(train, val, SHORT, rate)
    last = trials[name][-1]
    print(f"{name:9} rate {rate:6}: mean IoU {last[2]:.2f} in training, {last[4]:.2f} in validation, {SHORT} updates")
CHECKED = not FAST and not OWN
if CHECKED:
    assert trials["good"][-1][2] > max(trials["too small"][-1][2], trials["too large"][-1][2])
    assert max(curve[-1][4] for curve in trials.values()) < 0.8

# %%
# In 60 updates the small rate gets nowhere. The large one does learn, because it falls to 0 like the others, but it
# reaches only about 0.85 on the training images, and ours 0.95. In validation all three miss the target by far, and the
# large rate is even ahead of ours. So something else is wrong too, and no rate will fix it.
#
# The first curves: overfitting
# -----------------------------
# Now train with the eight images as they are.

UPDATES = 1 if FAST else 160
plain_net, plain = fit(train, val, UPDATES, RATE)


def show(curve: list[list[float]]) -> None:
    """Print every second row of a curve."""
    for update, loss, iou, val_loss, val_iou in curve[1::2] or curve:
        print(f"update {update:3}: loss {loss:.3f} and {val_loss:.3f}, mean IoU {iou:.3f} and {val_iou:.3f}")


show(plain)

# %%
# The first value of each pair is of the training set, the second of the validation set. The training looks perfect: a
# loss of 0.03 and a mean IoU of 0.99. But in validation the mean IoU is about 0.5, little better than the 0.40 of the
# threshold. This is overfitting (lesson 12): the network has learned two stains by heart. Whoever watches only the
# training loss does not notice.
#
# **Early stopping** means to end the training when the validation score no longer rises, and to keep the parameters
# that were best. A curve is noisy, so we wait a while before we stop: the number of measurements without a new best is
# called the *patience*.


def early_stop(scores: list[float], patience: int) -> tuple[int, int]:
    """Return the index of the best score, and the index at which training stops."""
    best = 0
    for index, value in enumerate(scores):
        if value > scores[best]:
            best = index
        if index - best == patience:
            return best, index
    return best, len(scores) - 1


assert early_stop([0.2, 0.5, 0.4, 0.6, 0.5, 0.4, 0.9], patience=2) == (3, 5)  # it never sees the 0.9
best, stop = early_stop([row[4] for row in plain], patience=2)
print(f"best after update {plain[best][0]}, stopped after {plain[stop][0]}; mean IoU {plain[best][4]:.3f}")

# %%
# The text gives the figures of a run on one core (``SCRATCHNET_THREADS=1``): the mean IoU rises slowly to the end. On
# two cores, which add in another order, the run stops after update 60, too early: later its curve rises to 0.48. A
# noisy curve needs more patience. And early stopping only limits overfitting; it cannot add what the images lack. Note
# also that the best of several noisy values is a little too good: one more reason for a test set.
#
# Leakage, measured
# -----------------
# Now the mistake of the first question: the same number of images, but photographs drawn at random from the same five
# patients.

mixed = [(train + val)[i] for i in np.random.default_rng(5).permutation(len(train) + len(val))]
_, leaky = fit(mixed[: len(train)], mixed[len(train) :], 1 if FAST else 100, RATE)
honest = next(row[4] for row in plain if row[0] == leaky[-1][0])  # after as many updates
print(f"validation on other photographs of the same patients: {leaky[-1][4]:.2f}; on other patients: {honest:.2f}")
if CHECKED:
    assert leaky[-1][4] > honest + 0.1

# %%
# The mixed photographs promise 0.90, and for other patients we got about 0.5 after as many updates. A part of the
# difference is honest: the mixed training set has seen the stains of five patients instead of two. But the 0.90 answers
# a question that nobody asks, namely how good the network is for patients whose blood has been labelled already.
# Nothing in the program shows the mistake; it is in a list of names.
#
# Augmentation
# ------------
# We cannot photograph more patients tonight, but we know what else a smear could look like. It has no preferred
# direction, so flips and quarter turns are as good as new smears. Cells vary in size. And a stain may be lighter,
# stronger or a little redder: brightness, contrast, saturation and hue are changed at random.

STRONG = Augmentation(
    crop=(64, 64),
    flip_horizontal=True,
    flip_vertical=True,
    rotate90=True,
    scale=(0.8, 1.25),
    brightness=0.3,
    contrast=0.3,
    saturation=0.5,
    hue=0.08,
)
final, augmented = fit(train, val, UPDATES, RATE, STRONG)
show(augmented)
gaps = [curve[-1][2] - curve[-1][4] for curve in (plain, augmented)]
print(f"gap between training and validation: {gaps[0]:.2f} without augmentation, {gaps[1]:.2f} with it")
if CHECKED:
    assert gaps[1] < gaps[0] / 2
    assert augmented[-1][4] > 0.8 > plain[-1][4]

# %%
# In validation, the mean IoU rises from about 0.5 to 0.88. In training it falls from 0.99 to 0.93, because the network
# no longer sees any image twice and cannot learn it by heart. The gap between the two is 0.05 instead of about 0.5.

figure, axes = panels(11, 3.3, columns=3)
axes[0].semilogx(rates, range_losses, color="0.7", linewidth=1)
axes[0].semilogx(rates, smooth, color=ROLES["output"])
axes[0].axvline(RATE, color=ROLES["truth"], linestyle=":")
axes[0].set_ylim(0, 3)  # the last losses are far above
axes[0].set_title("range test: loss")
axes[0].set_xlabel("learning rate")
for name, curve, colour in (("plain", plain, ROLES["switch"]), ("augmented", augmented, ROLES["output"])):
    steps = [row[0] for row in curve]
    for panel, offset in ((axes[1], 1), (axes[2], 2)):
        panel.plot(steps, [row[offset] for row in curve], color=colour, linestyle="--", label=f"{name}, training")
        panel.plot(steps, [row[offset + 2] for row in curve], color=colour, label=f"{name}, validation")
for panel, title in ((axes[1], "loss"), (axes[2], "mean IoU")):
    panel.set_title(title)
    panel.set_xlabel("update")
axes[2].axhline(0.8, color=ROLES["truth"], linestyle=":")
axes[2].text(UPDATES, 0.79, "target", ha="right", va="top", fontsize=9)
axes[2].legend(fontsize=8)
save_figure(figure, "18-curves", alt="The loss against the rate; loss and mean IoU, plain and augmented, by update.")

# %%
# Do class weights help?
# ----------------------
# Median frequency balancing (lesson 6) gives each stained pixel a larger weight:

from scratchnet.data import ArraySource, median_frequency_weights

source = ArraySource([image for image, _ in train], [mask for _, mask in train], classes=data.classes)
weights = tuple(float(weight) for weight in median_frequency_weights(source))
weighted_net, weighted = fit(train, val, UPDATES, RATE, STRONG, weights)
print("weights", np.round(weights, 2))


def rare_class(net: Network) -> tuple[float, float, float]:
    """Return precision, recall and IoU of the last class on the validation set."""
    confusion = sum(confusion_matrix(m, p, K) for (_, m), p in zip(val, predict(net, val)[1], strict=True))
    hits = confusion[-1, -1]
    rates = hits / max(1, confusion[:, -1].sum()), hits / max(1, confusion[-1].sum())
    return float(rates[0]), float(rates[1]), metrics(confusion).iou[-1]


balance = {"equal weights": rare_class(final), "class weights": rare_class(weighted_net)}
for name, (precision, recall, iou) in balance.items():
    print(f"{name}: {data.classes[-1]} precision {precision:.2f}, recall {recall:.2f}, IoU {iou:.2f}")
print(f"mean IoU {augmented[-1][4]:.3f} with equal weights, {weighted[-1][4]:.3f} with class weights")

# %%
# Here they do harm. The network now calls a doubtful pixel a stained cell: recall rises from 0.93 to 0.95, but
# precision falls from 0.94 to 0.82, and the mean IoU from 0.88 to 0.81. A tenth of the pixels is not so rare. Weights
# pay where a class is so rare that the network never predicts it, or where a missed cell is worse than a false alarm.
#
# Error analysis
# --------------
# Before you label more images or change the network, look at the errors that are left. Sorting and counting them is
# called **error analysis**. It uses the validation set. First, which class is mistaken for which?

masks = predict(final, val)[1]
confusion = sum(confusion_matrix(mask, p, K) for (_, mask), p in zip(val, masks, strict=True))
for name, row in zip(data.classes, confusion / confusion.sum(axis=1, keepdims=True), strict=True):
    print(f"true {name:13}", *(f"{share:6.1%}" for share in row))

# %%
# Then, which images are worst? A class that is neither in the mask nor in the prediction has no IoU in this image, and
# its mean is taken over the other classes.


def image_iou(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Return the mean IoU of one image, over the classes in its mask or its prediction."""
    ious = []
    for c in range(K):
        both, either = (truth == c) & (prediction == c), (truth == c) | (prediction == c)
        if either.any():
            ious.append(both.sum() / either.sum())
    return float(np.mean(ious))


each = [image_iou(mask, p) for (_, mask), p in zip(val, masks, strict=True)]
worst = np.argsort(each)[:4]
for index in worst:
    print(f"{data.names[parts[1][index]]}: mean IoU {each[index]:.2f}")

# %%
# And how large are the wrong areas? Many errors of one pixel are the outlines, where the person who labelled was unsure
# as well. Large areas are whole cells that were missed or mistaken.

from scratchnet.data import connected_components

areas: list[int] = []
for (_, mask), prediction in zip(val, masks, strict=True):
    areas += np.bincount(connected_components((mask != prediction).astype(np.uint8)).ravel())[1:].tolist()
sizes = np.array(areas)
for low, high in ((1, 4), (5, 49), (50, 64 * 64)):
    inside = sizes[(sizes >= low) & (sizes <= high)]
    share = inside.sum() / max(1, sizes.sum())
    print(f"wrong areas of {low:2} to {high:4} pixels: {len(inside):3}, with {share:.0%} of the wrong pixels")

figure, axes = panels(9, 6.2, rows=3, columns=len(worst))
for column, index in enumerate(worst):
    image, mask = val[index]
    for row, shown in enumerate((overlay(image, mask), overlay(image, masks[index]), error_map(mask, masks[index]))):
        axes[len(worst) * row + column].imshow(shown)
        axes[len(worst) * row + column].set_axis_off()
    axes[column].set_title(f"{data.names[parts[1][index]]}: {each[index]:.2f}", fontsize=9)
save_figure(figure, "18-worst-images", alt="The four worst images: true masks, predicted masks and their errors.")

# %%
# The top row shows the truth, the middle row the prediction, and the bottom row the errors: white and black are right,
# vermilion is missed, blue is a false alarm, and yellow is the wrong class. The pictures say more than the scores:
#
# - Three wrong areas have 50 pixels or more, with 7 % of the wrong pixels: whole cells are hardly ever missed.
# - The three worst images have a stained cell that is cut off by the border. Its nucleus is outside, and the network
#   takes the pale rest for a red cell. A few pixels of a class cost an image a third of its mean IoU.
# - The pale centres of red cells are taken for background. Nearly everything else is outlines.
#
# So the next hour of labelling goes to photographs with pale red cells, and larger photographs would cut off fewer
# cells.
#
# The test set, once
# ------------------
# Everything is decided: the rate, the augmentation, no weights. Now, and only now, we use the test set.

TARGET = 0.80
result = score(test, predict(final, test)[1])
print(result.table(data.classes))
if CHECKED:
    assert result.mean_iou >= TARGET, "the target is missed"

if "--seeds" in sys.argv:
    for seed in (1, 2):
        again, _ = fit(train, [], UPDATES, RATE, STRONG, seed=seed)
        print(f"seed {seed}: mean IoU {score(test, predict(again, test)[1]).mean_iou:.2f} on the test set")

# %%
# The target was a mean IoU of 0.80, and the result is 0.85. It is a little below the 0.88 of the validation set, as one
# must expect: rate and augmentation were chosen there. With ``--seeds``, the lesson repeats the training with the seeds
# 1 and 2, and prints 0.85 and 0.86. The mistakes that we made on purpose missed the target long before the test: eight
# images without augmentation have about 0.5 in validation.
#
# The package does the same
# -------------------------
# One command reads the folder with its lists, augments, trains, validates after every epoch, keeps the best parameters
# and stops early. An epoch has two updates here, so that 80 epochs are our 160 updates. The *poly* schedule is nearly
# our straight line (lesson 16).

from scratchnet.cli.main import main

words = f"--data {ROOT} --model unet-same --width 0.125 --depth 2 --batch-norm --no-dropout --batch-size 4"
words += f" --learning-rate {RATE} --schedule poly --crop 64 64 --flip-horizontal --flip-vertical --rotate90"
words += " --scale 0.8 1.25 --brightness 0.3 --contrast 0.3 --saturation 0.5 --hue 0.08"
print("scratchnet train", words.replace(str(ROOT), "FOLDER"), "--epochs 80 --patience 20 --out run")
if not OWN:
    out = ROOT / "run"
    code = main(["train", *words.split(), "--epochs", "1" if FAST else "2", "--out", str(out)])  # two, to save time
    assert code == 0
    assert (out / "checkpoint.npz").exists()

# %%
# Then ``scratchnet evaluate run/checkpoint.npz --data FOLDER --split test`` prints the table, and
# ``scratchnet segment`` labels new photographs.
#
# What breaks if …
# ----------------
# **… an augmentation changes the class?** Two hooks: class 1 has its foot on the right (an L), class 2 on the left.
# Mirroring makes one the other, but the labels of the mask stay. Then equal pixels carry both labels equally often, the
# best possible probability is 1/2, and the loss on a hook cannot fall below log 2 = 0.69 (lesson 6).


def draw_hooks(count: int, seed: int) -> Pairs:
    """Draw an L (class 1) or its mirror image (class 2) at a random place."""
    draw, pairs = np.random.default_rng(seed), []
    for number in range(count):
        image, mask = np.full((32, 32, 3), 60, np.uint8), np.zeros((32, 32), np.uint8)
        top, left, kind = *draw.integers(3, 17, 2), 1 + number % 2
        mask[top : top + 12, left + 4 : left + 8] = kind
        mask[top + 8 : top + 12, left + (4 if kind == 1 else 0) : left + (12 if kind == 1 else 8)] = kind
        image[mask > 0] = draw.integers(140, 240)
        pairs.append((image, mask))
    return pairs


hooks, other_hooks = draw_hooks(32, 1), draw_hooks(4 if FAST else 16, 2)
outcome = {}
for name, flip in (("as drawn", False), ("mirrored", True)):
    net, _ = fit(hooks, [], 1 if FAST else 120, RATE, Augmentation(flip_horizontal=flip), classes=3)
    found = predict(net, other_hooks)[1]
    counts = sum(confusion_matrix(mask, p, 3) for (_, mask), p in zip(other_hooks, found, strict=True))
    outcome[name] = metrics(counts).iou
    print(f"{name}: IoU of background, L and mirrored L", np.round(outcome[name], 2))
if CHECKED:
    assert min(outcome["as drawn"]) > 0.8 > max(outcome["mirrored"][1:])

# %%
# **… you look at the test set after each change?** Then it has become a second validation set, and its result is too
# good. Only new images help.

temporary.cleanup()

# %%
# Exercises
# ---------
# Solutions: ``lessons/solutions/18_train_on_your_own_images.py``.
#
# 1. The loss is :math:`5w^2`, as above. Above which learning rate does it rise? At which does one step reach the
#    minimum?
# 2. A validation curve is 0.50, 0.61, 0.60, 0.66, 0.65, 0.64, 0.70. Which result is kept with a patience of 1, of 2 and
#    of 3?
# 3. The hooks must be mirrored to have more images. What has to be done with the mask? Program it, and check that
#    mirroring twice changes nothing.
# 4. An image has no stained cell, and the prediction marks ten pixels as stained by mistake. All else is right. What is
#    its mean IoU, and what would it be without the ten pixels?
#
# ``scratchnet exercise start 18`` writes stubs for a split by groups, for flips and crops of image and mask, for early
# stopping and for the worst images; ``scratchnet exercise check 18`` checks them.
