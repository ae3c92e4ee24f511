r"""
1. Pixels as labels, and how to measure them
============================================

**The question.** A program looks at an image and decides, for every single pixel, what it shows. How good is it? The
first measure that comes to mind, the share of correct pixels, is misleading. Why, and what is better?

You need to know NumPy's arrays. This is the first lesson.

**What you will build.** Pixel accuracy, IoU, Dice and the confusion matrix, and a threshold that finds cells without
learning.

**Time.** About 40 minutes, and as long again for the exercises.

**New terms**, one line each on :doc:`the page of terms </terms>`: label, class, mask, semantic segmentation, instance
segmentation, ground truth, prediction, pixel accuracy, intersection over union, Dice, true positives, false negatives,
false positives, precision, recall, F1, baseline, network, confusion matrix, mean IoU.
"""

# %%
# Write your prediction down first
# --------------------------------
# Every pixel gets a **label**: a small whole number that stands for a **class**, a kind of thing. Here 0 means
# *background* and 1 means *cell*. The labels of all pixels form a **mask**, an array with the same height and width as
# the image. Predicting such masks is called *semantic segmentation*. It does not count objects: two cells side by side
# get the same label. (Separating them is called *instance segmentation*.)
#
# Below are a mask drawn by a person, the **ground truth**, or truth for short, and one computed by a program, the
# **prediction**. A second program is lazy: it answers 0 everywhere. Write down on paper:
#
# 1. the share of pixels that the first program labels correctly, its *pixel accuracy*;
# 2. the same for the lazy program. Which of the two is better?
# 3. the lazy program's accuracy on microscope images in which a fifth of the pixels are cell.

import numpy as np

from scratchnet.utils.lesson import start_lesson

FAST = start_lesson()

truth = np.array([[0, 0, 0, 0, 0], [0, 1, 1, 0, 0], [0, 1, 1, 0, 0], [0, 0, 0, 0, 0]], np.uint8)
prediction = np.array([[0, 0, 0, 0, 0], [0, 0, 1, 1, 0], [0, 0, 1, 1, 0], [0, 0, 0, 0, 0]], np.uint8)
nothing = np.zeros_like(truth)
print(truth, prediction, sep="\n")

# %%
# By hand
# -------
# The prediction is shifted by one column. Of 20 pixels, 2 are missed and 2 are wrongly labelled as cell, so 16 are
# correct: 0.80. The lazy program misses 4, so 16 are correct: 0.80. **Pixel accuracy cannot distinguish the program
# that found the cell from the one that never looked.** Most pixels are background, and both programs got those right.


def accuracy(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Return the share of pixels whose label is correct."""
    return float((truth == prediction).mean())


print(f"accuracy: shifted {accuracy(truth, prediction):.2f}, nothing {accuracy(truth, nothing):.2f}")

# %%
# Look only at the pixels that are cell in at least one of the two masks. There are 6 of them, the *union*. On 2 of
# these the masks agree, the *intersection*. The ratio 2/6 is the **intersection over union**, or IoU (also called the
# Jaccard index). It is 1 when the masks are equal and 0 when they have nothing in common. The background, however
# large, does not count.
#
# A close relative is **Dice**: twice the intersection divided by the sum of the two masks' sizes, 2·2 / (4 + 4) = 0.50.
# It ranks programs in the same order, because Dice = 2·IoU / (1 + IoU). Dice is the larger of the two unless both are 0
# or both are 1, so check which one is being reported.
#
# Papers count with other words. The 2 cell pixels that were found are *true positives* (TP), the 2 that were missed
# *false negatives* (FN), and the 2 that were wrongly labelled as cell *false positives* (FP). Then IoU is
# TP / (TP + FP + FN). *Precision* is TP / (TP + FP), the share of the predicted cell that is right, here 0.50. *Recall*
# is TP / (TP + FN), the share of the true cell that was found, also 0.50. Dice is their harmonic mean, known as *F1*.


def intersection_and_union(truth: np.ndarray, prediction: np.ndarray) -> tuple[int, int]:
    """Count the pixels that are cell in both masks, and those that are cell in at least one."""
    return int(((truth == 1) & (prediction == 1)).sum()), int(((truth == 1) | (prediction == 1)).sum())


def iou(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Return the intersection over union, or 1 if neither mask has any cell."""
    intersection, union = intersection_and_union(truth, prediction)
    return intersection / union if union else 1.0


def dice(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Return 2·intersection / (sum of the two sizes), or 1 if neither mask has any cell."""
    sizes = int((truth == 1).sum() + (prediction == 1).sum())
    return 2 * intersection_and_union(truth, prediction)[0] / sizes if sizes else 1.0


tp, fp, fn = (int(pixels.sum()) for pixels in (truth & prediction, ~truth & prediction, truth & ~prediction))
precision, recall = tp / (tp + fp), tp / (tp + fn)
print(f"TP {tp}, FP {fp}, FN {fn}: precision {precision:.2f}, recall {recall:.2f}")
assert np.isclose(iou(truth, prediction), tp / (tp + fp + fn))
assert np.isclose(dice(truth, prediction), 2 * precision * recall / (precision + recall))

for name, mask in (("shifted", prediction), ("nothing", nothing), ("perfect", truth)):
    print(f"{name}: IoU {iou(truth, mask):.2f}, Dice {dice(truth, mask):.2f}")
assert np.isclose(iou(truth, prediction), 1 / 3)
assert np.isclose(dice(truth, prediction), 2 * iou(truth, prediction) / (1 + iou(truth, prediction)))

# %%
# Blood smears
# ------------
# The folder ``data/smears`` has 16 images of blood under the microscope and their masks. Scratchnet drew them to
# resemble real ones. The task is to find the large stained cells, each with a dark core, the *nucleus*, and a pale body
# around it. The many red cells are background. A pixel of an image has three values from 0 to 255, for red, green and
# blue. A pixel of a mask has one value, and that value *is* its label.

from scratchnet.data import read_image, read_mask, sample_folder

smears = sample_folder("smears")
names = sorted(path.name for path in (smears / "images").glob("*.png"))
images = np.stack([read_image(smears / "images" / name) for name in names])  # (16, 96, 96, 3): the last axis is colour
masks = np.stack([read_mask(smears / "masks" / name) for name in names])  # (16, 96, 96), 0 or 1
share = masks.mean()
lazy = accuracy(masks, np.zeros_like(masks))
print(f"{images.shape[0]} images, share of cell {share:.3f}, accuracy of the lazy program {lazy:.3f}")

# %%
# Cells cover a share of 0.202 of all pixels, so the lazy program reaches an accuracy of 0.798. A simple method that
# others are compared with, like this one, is a *baseline*. A student's report about a *network*, a program that learns
# from examples, gives an accuracy of 0.89 on such images and no other measure. Is that good? The accuracy alone does
# not show it.
#
# So let us see how far we get without learning. The stain absorbs green light, so the pixels of a nucleus have small
# green values. Label every pixel as cell if its green value is below a threshold *t*, and try every *t*. (We choose the
# best threshold on the very images on which we measure, which makes the result look too good. A network must always be
# measured on images that it has not learned from.)

thresholds = np.arange(0, 256, 5 if FAST else 1)
green = images[:, :, :, 1]
accuracies = np.array([accuracy(masks, (green < t).astype(np.uint8)) for t in thresholds])
ious = np.array([iou(masks, (green < t).astype(np.uint8)) for t in thresholds])
t = 60
found = (green < t).astype(np.uint8)
print(f"threshold {t}: accuracy {accuracy(masks, found):.2f}, IoU {iou(masks, found):.2f}")
print(f"the best over all thresholds: accuracy {accuracies.max():.3f}, IoU {ious.max():.3f}")

# %%
# With t = 60 the accuracy is 0.88, almost as high as in the report. Yet the IoU is only 0.43: the threshold finds the
# nuclei, misses the pale bodies, and marks dark specks and overlapping red cells. Photographs are no different. For the
# data set of that report, ``docs/results.md`` gives an accuracy of 0.8157 for predicting no cells at all, and an
# accuracy of 0.8772 with an IoU of 0.4722 for a threshold.

# %%
# The figure worth keeping
# ------------------------
# From left to right: an image; its ground truth; the cell pixels that the threshold found (white), the cell pixels that
# it missed (orange-red) and the background pixels that it marked (blue); both measures for every threshold. The
# accuracy starts at 0.80, where nothing is found, and reaches 0.88 at most. The IoU starts at 0.

from scratchnet.visualization import ROLES, error_map, overlay, panels, save_figure

one = 5
figure, axes = panels(12, 3.1, columns=4, widths=(1, 1, 1, 1.6))
axes[0].imshow(images[one])
axes[1].imshow(overlay(images[one], masks[one]))
axes[2].imshow(error_map(masks[one], found[one]))
for panel, title in zip(axes, ("image", "truth", f"green < {t}"), strict=False):
    panel.set_title(title)
    panel.set_axis_off()
axes[3].plot(thresholds, accuracies, color=ROLES["truth"])
axes[3].plot(thresholds, ious, color=ROLES["output"], linewidth=2.5)
axes[3].text(100, 0.9, "pixel accuracy", color=ROLES["truth"], fontsize=9)
axes[3].text(85, 0.46, "IoU of the cells", color=ROLES["output"], fontsize=9)
axes[3].set_xlim(0, 160)
axes[3].set_ylim(0, 1)
axes[3].set_xlabel("threshold t")
save_figure(
    figure,
    "01-pixels-as-labels",
    alt="A smear with two stained cells, its mask over the image, the errors of the rule green < 60, which misses "
    "the pale rim of each cell, and two curves over the threshold: pixel accuracy starts near 0.8, the IoU of "
    "the cells at 0.",
)

# %%
# One table for everything
# ------------------------
# All these measures can be computed from one small table, the **confusion matrix**: how many pixels of each true class
# (row) were predicted as each class (column). For a class, the intersection is the entry on the diagonal, and the union
# is the sum of its row and its column with the diagonal counted once. The table therefore also works for more than two
# classes; the *mean IoU* is the mean of the IoUs of all classes. The packaged functions are in `scratchnet.evaluation`.
#
# In the table that they print, the accuracy of a class is the share of its pixels that were found, which is its recall.
# The frequency weighted IoU is a mean of the IoUs in which each class counts by its share of the pixels, so here the
# background counts four times as much as the cells.

from scratchnet.evaluation import confusion_matrix, metrics

table = confusion_matrix(masks, found, classes=2)
measured = metrics(table)
print(table)
print(measured.table(["background", "cell"]))
assert np.isclose(measured.accuracy, accuracy(masks, found))
assert np.isclose(measured.iou[1], iou(masks, found))
assert np.isclose(measured.dice[1], dice(masks, found))

# %%
# What breaks if …
# ----------------
# **… there is no cell in the image, and none is predicted?** Intersection and union are both 0, and 0/0 has no value,
# so a convention is needed. Both masks are empty and therefore equal: for a single image, IoU and Dice are defined as
# 1, here and in the reports of ``scratchnet evaluate``. But a single wrong pixel makes them 0, so both jump between
# images with few cells. In a table over a whole set, a class that neither occurs nor is predicted has no IoU, printed
# as "–", and does not enter the mean IoU.

from scratchnet.inference.evaluating import image_score

empty, speck = np.zeros((8, 8), np.uint8), np.zeros((8, 8), np.uint8)
speck[0, 0] = 1
for name, mask in (("two empty masks", empty), ("one wrong pixel", speck)):
    reported = image_score(confusion_matrix(empty, mask, classes=2))
    print(f"{name}: Dice {dice(empty, mask):.0f}, IoU {iou(empty, mask):.0f}, in a report {reported:.0f}")
    assert dice(empty, mask) == iou(empty, mask) == reported == (mask is empty)
assert np.isnan(metrics(confusion_matrix(empty, empty, classes=2)).iou[1])

# %%
# **… the IoU is computed for every image and then averaged?** The result differs from the IoU of all pixels together,
# because an image with one tiny cell counts as much as an image full of cells. Here it is 0.41 instead of 0.43. Neither
# is wrong, but they must not be compared with each other. This package counts over all pixels first and divides once.

mean_of_images = np.mean([iou(truth, mask) for truth, mask in zip(masks, found, strict=True)])
together = iou(masks, found)
print(f"mean over images {mean_of_images:.2f}, all pixels together {together:.2f}")

# %%
# **… the object is small?** Shift a disc by a single pixel. With a radius of 30 pixels the IoU is still 0.96; with a
# radius of 3 it is 0.61. The errors are at the border, and small objects are nearly all border.


def disc(radius: int, shift: int) -> np.ndarray:
    """Draw a disc in the middle of 81×81 pixels, moved right by ``shift`` pixels."""
    row, column = np.indices((81, 81)) - 40
    return (row**2 + (column - shift) ** 2 <= radius**2).astype(np.uint8)


large, small = (iou(disc(radius, 0), disc(radius, 1)) for radius in (30, 3))
print(f"shifted by one pixel: IoU of a large disc {large:.2f}, of a small one {small:.2f}")

# %%
# **… a mask is shrunk like a photograph?** Shrinking a photograph averages neighbouring pixels. But labels are names,
# not amounts: the mean of 0, background, and 2, say a dog, is 1, a cat. Take the label of the nearest pixel instead.

border_of_a_dog = np.array([0, 2], np.uint8)
print("mean of background and dog:", border_of_a_dog.mean(), "which is a cat")
assert border_of_a_dog.mean() == 1

# %%
# Exercises
# ---------
# Solutions: ``lessons/solutions/01_pixels_as_labels.py``.
#
# 1. The truth is a square of 10×10 pixels in an image of 100×100. A program marks a square of 14×14 around it. Compute
#    accuracy, IoU and Dice.
# 2. Show from the definitions that Dice = 2·IoU / (1 + IoU).
# 3. A street scene has the classes road, car and sky, and the confusion matrix is
#    ``[[70, 0, 0], [5, 5, 0], [0, 0, 20]]``. Compute the pixel accuracy and the IoU of each class. Which problem does
#    the mean IoU reveal that the accuracy hides?
# 4. Somebody reports an accuracy of 0.97 on images in which 2 % of the pixels are cell. Find the smallest and the
#    largest IoU that this allows.
#
# ``scratchnet exercise start 1`` writes stubs for the confusion matrix and for the IoU and Dice of every class;
# ``scratchnet exercise check 1`` checks them.
