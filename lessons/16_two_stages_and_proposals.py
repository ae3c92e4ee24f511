r"""
16. Two stages, proposals, ensembles: do switches win?
======================================================

**The question.** A network sees a mouse and a bus in the same photograph, at the same scale, through the same window.
The authors of DeconvNet claim that such a network breaks the bus into pieces and misses the mouse, and that every
object should first be rescaled to the same size. Is this true? What does it require, and what does it achieve?

You need lesson 13 (FCN, receptive fields), lesson 14 (ways up) and lesson 15 (DeconvNet).

**What you will build.** DeconvNet's training in two stages, its segmentation by proposals, and a measurement by object
size.

**Time.** About 60 minutes, and as long again for the exercises.

**New terms**, one line each on :doc:`the page of terms </terms>`: hourglass, proposal, ensemble, learning rate
schedule, curriculum.
"""

# %%
# Write your prediction down first
# --------------------------------
# 1. One network sees whole images with objects of very different sizes. Which objects does it segment worst: small,
#    medium or large ones?
# 2. Someone draws a box around every object. Each box is resized to the same size and segmented alone. Which objects
#    gain most?
# 3. Nobody draws boxes. We take 25 boxes from a regular grid, segment them all, and keep at every pixel the largest
#    score of each class. Is this better or worse than whole images?

import numpy as np

from scratchnet.utils.lesson import start_lesson

FAST = start_lesson()

# %%
# By hand: the largest score wins
# -------------------------------
# A **proposal** is a box that may contain an object. Take an image of one row with 8 pixels and two boxes. Each box is
# resized to the network's size, here 2 pixels, and gets one score per pixel. The scores are resized back to the box's
# own size and position; outside its box, a map is 0. Then **the largest score** counts at every pixel (Noh, Hong, Han
# 2015, section 5.1).

boxes = {"A": (0, 4), "B": (2, 8)}  # first pixel, and one past the last
scores_of = {"A": [2.0, 6.0], "B": [4.0, -1.0]}
maps = np.zeros((2, 8))
for row, name in enumerate(boxes):
    begin, end = boxes[name]
    maps[row, begin:end] = np.repeat(scores_of[name], (end - begin) // 2)  # enlarged: each score repeated
largest, summed = maps.max(axis=0), maps.sum(axis=0)
print("A\n", maps[0], "\nB\n", maps[1], "\nlargest\n", largest, "\nsum\n", summed)
assert largest.tolist() == [2, 2, 6, 6, 4, 0, 0, 0]
assert summed.tolist() == [2, 2, 10, 10, 4, -1, -1, -1]

# %%
# On the right, B has −1 and A, which does not reach that far, has 0: the largest is 0. The paper also offers the sum,
# but then a pixel covered by many boxes gets a large score for that reason alone.
#
# By hand: an ensemble of two networks
# ------------------------------------
# An **ensemble** of two networks averages their probabilities. A confident network outweighs an unsure one:

unsure, sure = np.array([0.6, 0.4]), np.array([0.2, 0.8])  # for background and object
together = (unsure + sure) / 2
print("mean of", unsure, "and", sure, "is", together)
assert together.argmax() == 1

# %%
# The paper reports these results on VOC 2012, a benchmark of photographs with objects of 20 classes (mean IoU in per
# cent). The two kinds of network make different mistakes, so the ensemble beats the better one.

published = {"FCN-8s": 62.2, "DeconvNet": 69.6, "both": 71.7}
for name, value in published.items():
    print(f"{name:10} {value}")

# %%
# DeconvNet alone has 69.6 against the 62.2 of FCN-8s, both together 71.7. But DeconvNet also has proposals, batch norm,
# a different training procedure and nearly twice as many parameters. The table does not show how much the switches
# contribute, so we run our own experiment.
#
# Scenes
# ------
# The package draws discs, squares, triangles, rings and stars, from 6 % to 60 % of the image's side. We keep only their
# shapes and paint them in light colours on a dark background, so that a small network learns something within seconds.
# The background is 0, round objects are 1, and objects with corners are 2. Only the outline distinguishes 1 from 2.

from scratchnet.arrays import generator
from scratchnet.data import make_shapes

SIDE = 64
KIND = np.array([0, 1, 2, 2, 1, 2], np.uint8)  # background, disc, square, triangle, ring, star


class Scenes:
    """Images with masks and numbered objects, with the interface of the package's data sets."""

    classes, ignore_index = ("ground", "round", "cornered"), 255

    def __init__(self, first: int, count: int) -> None:
        self.names = tuple(f"scene-{number}" for number in range(first, first + count))
        self.drawn = [self._draw(number) for number in range(first, first + count)]

    @staticmethod
    def _draw(number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rng = generator(16, number)
        scene = make_shapes(rng, SIDE)
        colours = rng.uniform(150, 240, (len(scene.labels) + 1, 3))
        colours[0] = rng.uniform(20, 90, 3)
        image = colours[scene.objects] + rng.normal(0, 4, (SIDE, SIDE, 3))
        return np.rint(image.clip(0, 255)).astype(np.uint8), KIND[scene.mask], scene.objects

    def __len__(self) -> int:
        return len(self.drawn)

    def size(self, index: int) -> tuple[int, int]:
        return SIDE, SIDE

    def load(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self.drawn[index][:2]

    def load_mask(self, index: int) -> np.ndarray:
        return self.drawn[index][1]

    def load_instances(self, index: int) -> np.ndarray:
        return self.drawn[index][2]


learned, unseen = Scenes(0, 12 if FAST else 400), Scenes(1000, 4 if FAST else 60)
print(len(learned), "scenes for training,", len(unseen), "others for testing")

# %%
# A window of fixed size
# ----------------------
# The network goes down and up like those of lesson 14, an *hourglass*, with three pools. What is the receptive field in
# its middle?

from scratchnet.layers import BatchNorm2d, Conv2d, MaxPool2d, MaxUnpool2d, ReLU, UpsampleNearest
from scratchnet.network import Network
from scratchnet.visualization import receptive_fields


def convolve(net: Network, name: str, c_in: int, c_out: int) -> str:
    """Add a convolution that keeps the size, batch norm and ReLU."""
    net.add(name, Conv2d(c_in, c_out, 3, padding=1))
    net.add(f"{name}_bn", BatchNorm2d(c_out))
    return net.add(f"{name}_relu", ReLU())


def hourglass(way_up: str) -> Network:
    """Build the network; ``way_up`` is "switches" or "nearest"."""
    net, filters = Network(channels=3, stride=8), (16, 32, 32)
    for level, (c_in, c_out) in enumerate(zip((3, *filters), filters, strict=False), start=1):
        convolve(net, f"conv{level}", c_in, c_out)
        net.add(f"pool{level}", MaxPool2d(2))
    last = convolve(net, "middle", 32, 32)
    for level in (3, 2, 1):
        if way_up == "switches":
            net.add(f"up{level}", MaxUnpool2d(), last, f"pool{level}.switches")
        else:
            net.add(f"up{level}", UpsampleNearest(2), last)
        last = convolve(net, f"decode{level}", filters[level - 1], filters[max(0, level - 2)])
    net.add("score", Conv2d(16, 3, 1))
    return net


seen = receptive_fields(hourglass("switches"), (256, 256), "middle_relu", (16, 16))["input"]
field = seen.right - seen.left
smallest, largest_disc = 0.06 * SIDE, 0.6 * SIDE
ring = largest_disc / (1 - 0.55**2) ** 0.5  # a ring of the same area; its hole takes 0.55 of the radius
print(f"{field} pixels; discs are {smallest:.0f} to {largest_disc:.0f} pixels wide, rings up to {ring:.0f}")

# %%
# It sees 38 pixels. All kinds of object have equal areas: the largest disc is 38 pixels wide, and a ring as large is 46
# wide, more than the network sees. The smallest disc has 4, and three pools make half a pixel of that. FCN's score sees
# 404 pixels, whatever the photograph shows (lesson 13).
#
# Stage 1: one object in the middle of its box
# --------------------------------------------
# To segment boxes, the network must be trained on boxes. The paper does this in two stages. The first is easy: each
# object is in the middle of a box 1.2 times its size, and **only this object is labelled**. Step by step:

from scratchnet.data import Curriculum, bounding_boxes, resize_image, resize_mask, training_boxes

BOX = 36  # boxes become 36×36; training uses a random 32×32 crop of each


def centred(scenes: Scenes, index: int, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return an object's box, resized, and its mask with this object alone."""
    (image, mask), numbers = scenes.load(index), scenes.load_instances(index)
    top, left, height, width = bounding_boxes(numbers)[number]
    tall, wide = max(1, round(1.2 * height)), max(1, round(1.2 * width))
    top, left = top - (tall - height) // 2, left - (wide - width) // 2
    piece = np.zeros((tall, wide, 3), np.uint8)  # beyond the image: black …
    labels = np.full((tall, wide), 255, np.uint8)  # … and ignored
    alone = np.where(numbers == number, mask, 0)
    for i, j in np.ndindex(tall, wide):
        if 0 <= top + i < SIDE and 0 <= left + j < SIDE:
            piece[i, j], labels[i, j] = image[top + i, left + j], alone[top + i, left + j]
    return resize_image(piece, (BOX, BOX)), resize_mask(labels, (BOX, BOX))


stage1 = training_boxes(learned, Curriculum(stage=1, box_size=BOX, min_object_size=3), {}, seed=0)
for index in range(6):
    example = stage1.examples[index]
    ours, packaged = centred(learned, example.image, example.number), stage1.load(index)
    assert all((mine == theirs).all() for mine, theirs in zip(ours, packaged, strict=True))
print(len(stage1), "boxes; ours and the package's agree in every pixel")

# %%
# Stage 2: realistic boxes
# ------------------------
# In use, nobody knows where the objects are. So the second stage takes boxes that overlap an object sufficiently (here
# by half or more): shifted, stretched, and containing parts of other objects. Now **everything is labelled**, and
# examples of rare classes are repeated. Training on easy examples first and realistic ones later is called a
# **curriculum**.

stage2 = training_boxes(learned, Curriculum(stage=2, box_size=BOX, min_object_size=3, boxes_per_object=2), {}, seed=0)
counts = [sum(example.label == label for example in stage2.examples) for label in (1, 2)]
print(len(stage2), "boxes, of round and cornered objects:", counts)
assert counts[0] == counts[1]

from scratchnet.visualization import overlay, panels, save_figure

figure, axes = panels(9, 3.4, rows=2, columns=6)
for row, boxes_of in enumerate((stage1, stage2)):
    for column in range(6):
        image, mask = boxes_of.load(column * len(boxes_of) // 6)
        axes[6 * row + column].imshow(overlay(image, mask))
        axes[6 * row + column].set_axis_off()
    axes[6 * row].set_title(("stage 1: one object, alone", "stage 2: everything in the box")[row], loc="left")
save_figure(figure, "16-two-stages")

# %%
# Training
# --------
# We train three networks, with the same number of updates and of pixels per update: 4 scenes of 64×64 have as many
# pixels as 16 boxes of 32×32. The third network trains on boxes, a third of its updates in stage 1. The *learning rate
# schedule*, the rule by which the learning rate changes, is a straight line from 0.005 to 0: large steps at first, and
# small ones for the details.

from collections.abc import Callable
from dataclasses import dataclass

from scratchnet.data import Preprocessing
from scratchnet.inference import Segmenter
from scratchnet.losses import PixelLoss
from scratchnet.training.optimizers import Adam

UPDATES = 3 if FAST else 400
prepare = Preprocessing(mean=(0.5, 0.5, 0.5))  # x/255 − 0.5
Sample = tuple[np.ndarray, np.ndarray]


@dataclass
class Source:
    """A source of training batches."""

    load: Callable[[int], Sample]
    count: int
    batch: int
    crop: int


def fit(net: Network, plan: list[tuple[Source, int]]) -> Segmenter:
    """Train on the sources of a plan, one after the other; return the segmenter."""
    net.allocate(seed=0).train()
    pixel_loss, optimizer, done = PixelLoss(classes=3), Adam(), 0
    for source, updates in plan:
        for _ in range(updates):
            draw = np.random.default_rng([16, done])
            images, masks = [], []
            for index in draw.choice(source.count, source.batch, replace=False):
                image, mask = source.load(int(index))
                top, left = draw.integers(0, len(image) - source.crop + 1, 2)
                cut = np.s_[top : top + source.crop, left : left + source.crop]
                images.append(image[cut])
                masks.append(mask[cut])
            x, y = prepare.apply(np.stack(images)), np.stack(masks)
            if draw.random() < 0.5:
                x, y = x[:, :, ::-1], y[:, :, ::-1]
            _, dscores = pixel_loss(net.forward(np.ascontiguousarray(x)), np.ascontiguousarray(y))
            net.zero_grad()
            net.backward(dscores)
            optimizer.step(net.flat(), 5e-3 * (1 - done / UPDATES))
            done += 1
    return Segmenter(net.eval(), prepare)


whole = Source(learned.load, len(learned), 4, 64)
first, second = Source(stage1.load, len(stage1), 16, 32), Source(stage2.load, len(stage2), 16, 32)
nearest = fit(hourglass("nearest"), [(whole, UPDATES)])
switches = fit(hourglass("switches"), [(whole, UPDATES)])
by_boxes = fit(hourglass("switches"), [(first, UPDATES // 3), (second, UPDATES - UPDATES // 3)])

# %%
# From boxes to a mask of the image
# ---------------------------------
# Here is the row of eight pixels from above, as a function for images, compared with the package's function:

from scratchnet.data import Window, connected_components
from scratchnet.data.objects.box_sampling import cut_out, enlarged
from scratchnet.inference import ProposalSegmenter
from scratchnet.inference.boxes import grid_boxes
from scratchnet.inference.maps import resize_map


def join_boxes(image: np.ndarray, boxes: list[Window]) -> np.ndarray:
    """Return the largest scores (h, w, 3) over all boxes, each segmented at 32×32; outside its box a map is 0."""
    maps = np.zeros((len(boxes), SIDE, SIDE, 3), np.float32)
    for number, box in enumerate(boxes):
        crop = resize_image(cut_out(image, box, fill=0), (32, 32))
        scores = by_boxes.crops(crop[None])[0]
        large = np.stack([resize_map(scores[..., c], (box.height, box.width)) for c in range(3)], axis=2)
        top, left = max(box.top, 0), max(box.left, 0)
        inside = large[top - box.top : SIDE - box.top, left - box.left : SIDE - box.left]
        maps[number, top : top + inside.shape[0], left : left + inside.shape[1]] = inside
    return maps.max(axis=0)


def grid(name: str, image: np.ndarray) -> list[Window]:
    """Propose the whole image and 24 squares of a regular grid."""
    return grid_boxes(SIDE, SIDE, 25)


def regions(name: str, image: np.ndarray) -> list[Window]:
    """Propose boxes around light regions, 1.2 times as large; objects that touch share a box."""
    found = bounding_boxes(connected_components((image.max(axis=2) > 120).astype(np.uint8))).values()
    return [enlarged(box, 1.2) for box in found if max(box.height, box.width) >= 3] or grid(name, image)


def true_boxes(name: str, image: np.ndarray) -> list[Window]:
    """Propose boxes from the ground truth, as a person would draw them."""
    numbers = unseen.load_instances(unseen.names.index(name))
    return [enlarged(box, 1.2) for box in bounding_boxes(numbers).values()]


with_boxes = {
    "grid": ProposalSegmenter(by_boxes, grid, side=32),
    "regions": ProposalSegmenter(by_boxes, regions, side=32),
    "true boxes": ProposalSegmenter(by_boxes, true_boxes, side=32),
}
image = unseen.load(0)[0]
ours, packaged = join_boxes(image, grid("", image)), with_boxes["grid"].scores(image[None])[0]
worst = np.abs(ours - packaged).max()
print(f"our scores and the package's: largest difference {worst:.0e}")
assert worst < 1e-3

# %%
# How well is an object segmented?
# --------------------------------
# For every object, compute the IoU with the prediction at its position, 0 if it is missed. Then average over small,
# medium and large objects; each of these three groups spans the same ratio of sizes. A mean over pixels would hardly
# depend on small objects.

from scratchnet.data import find_objects
from scratchnet.evaluation.sizes import SIZE_BINS, object_scores, size_table

Predict = Callable[[np.ndarray, str], np.ndarray]


def measure(predict: Predict) -> dict[str, float]:
    """Return the mean IoU of small, medium and large objects of the unseen scenes."""
    scores = []
    for index, name in enumerate(unseen.names):
        image, mask = unseen.load(index)
        objects = find_objects(mask, 255, unseen.load_instances(index))
        scores += object_scores(mask, predict(image, name).argmax(axis=2), objects)
    return {name: found.iou for name, found in size_table(scores).items()}


systems: dict[str, Predict] = {
    "whole, nearest": lambda image, name: nearest.probabilities(image[None])[0],
    "whole, switches": lambda image, name: switches.probabilities(image[None])[0],
}
for kind, one in with_boxes.items():
    systems[f"boxes: {kind}"] = lambda image, name, one=one: one.probabilities(image[None], [name])[0]
systems["whole + regions"] = lambda image, name: (
    0.5 * (systems["whole, switches"](image, name) + systems["boxes: regions"](image, name))
)
table = {name: measure(predict) for name, predict in systems.items()}
print(f"{'':18}" + "".join(f"{name:>9}" for name in SIZE_BINS))
for name, found in table.items():
    print(f"{name:18}" + "".join(f"{found[size]:9.2f}" for size in SIZE_BINS))
if not FAST:
    assert table["whole, switches"]["small"] < table["whole, switches"]["large"]
    assert table["boxes: true boxes"]["small"] > table["whole, switches"]["small"]
    assert table["boxes: true boxes"]["large"] > table["whole, switches"]["large"]
    assert all(table["boxes: grid"][size] < table["whole, switches"][size] for size in SIZE_BINS)
    assert table["boxes: regions"]["medium"] > table["whole, switches"]["medium"]
    assert table["boxes: regions"]["large"] < table["whole, switches"]["large"]
    assert table["whole, nearest"]["small"] < table["whole, switches"]["small"]

# %%
# The results of a full run, line by line:
#
# - Whole images: small objects are by far the worst. The mouse is lost. Large ones are the best, but some are broken
#   into pieces, as in the last picture below.
# - True boxes: better at every size, and most for small and medium objects. The idea is right, **if** the boxes are.
# - Boxes from a grid: worse than whole images with the same switches at every size, large objects included. A box that
#   shows a corner of something, or three things, or nothing, still contributes scores, and the largest score wins. One
#   high score among 25 boxes is enough.
# - Boxes around light regions, the starting point of proposal methods: better than whole images for small and medium
#   objects, worse for large ones. Large objects touch others, and share a box with them.
# - Whole images and regions together: a little better than either, as in the paper's table.
# - Switches against nearest, all else being equal: switches are ahead, clearly so for small objects. In lesson 14 they
#   were not. An experiment holds only for its own images, sizes and number of updates.
#
# So do switches win? Here they do. But this experiment does not include the features of lesson 14, and one run proves
# nothing. ``benchmarks/shapes_study.py`` compares networks of equal size over several seeds; ``docs/results.md`` has
# its results.
#
# The figure worth keeping
# ------------------------
# The IoU of small, medium and large objects, for each system.

figure, (bars,) = panels(8, 3.6)
shades = ("#b7e2d3", "#4cb393", "#00553e")  # light to dark: small, medium, large
for shift, (size, shade) in enumerate(zip(SIZE_BINS, shades, strict=True)):
    places = [-number - 0.26 * (shift - 1) for number in range(len(table))]
    bars.barh(places, [found[size] for found in table.values()], 0.25, color=shade, label=f"{size} objects")
bars.set_yticks([-number for number in range(len(table))], list(table))
bars.set_xlim(0, 1)
bars.set_xlabel("mean IoU of an object")
bars.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1, 1))
save_figure(figure, "16-sizes")

# %%
# One scene, as each system segments it:

index = 1
image, mask = unseen.load(index)
figure, axes = panels(10, 2.1, columns=6)
shown = {"truth": mask}
for name in ("whole, nearest", "whole, switches", "boxes: grid", "boxes: regions", "boxes: true boxes"):
    shown[name] = systems[name](image, unseen.names[index]).argmax(axis=2).astype(np.uint8)
for one, (name, labels) in zip(axes, shown.items(), strict=True):
    one.imshow(overlay(image, labels))
    one.set_title(name)
    one.set_axis_off()
save_figure(figure, "16-one-scene")

# %%
# What breaks if …
# ----------------
# **… a mask is resized like an image?** Resizing an image mixes neighbouring pixels. Between background, 0, and a
# cornered object, 2, lies 1, which is *round*. Every cornered object gets a round rim, and the loss does not show it.

square = np.zeros((8, 8), np.uint8)
square[2:6, 2:6] = 2
mixed = resize_image(np.repeat(square[:, :, None], 3, axis=2), (20, 20))[:, :, 0]
taken = resize_mask(square, (20, 20))
print("classes after mixing:", np.unique(mixed), "  after taking the nearest:", np.unique(taken))
invented = int((mixed == 1).sum())
print(f"{invented} of {mixed.size} pixels have a class that was not in the mask")
assert set(np.unique(taken)) == {0, 2}

# %%
# **… a score outside its box is −∞, "unknown", instead of 0?** Take the row of eight pixels again, where A covers
# nothing beyond pixel 3. Then B's −1 is the result, because no other box covers these pixels. With 0, a score must
# exceed 0 to count.

no_opinion = maps.copy()
no_opinion[0, 4:], no_opinion[1, :2] = -np.inf, -np.inf
print("largest with 0:", largest, "\nlargest with −∞:", no_opinion.max(axis=0))
assert no_opinion.max(axis=0)[5:].tolist() == [-1, -1, -1]

# %%
# **… the scores are compared as probabilities?** The paper applies the softmax *after* the maximum. A softmax within
# each box would give all boxes equal weight: one that shows only background would be as confident as one that shows an
# object.
#
# **… small objects appear in many boxes?** Each box costs a full pass. 25 boxes of 32×32 have 25,600 pixels, while the
# scene has 4,096.

cost = 25 * 32 * 32 / SIDE**2
print(f"{cost:.2f} times the pixels of the scene")

# %%
# It is 6.25 times the work. The paper's 50 boxes of 224×224 make it slower still than FCN, which needs one pass.
#
# Exercises
# ---------
# Solutions: ``lessons/solutions/16_two_stages_and_proposals.py``.
#
# 1. Derive the receptive field of 38 pixels with the rule of lesson 13. How large is it with two pools?
# 2. A third box C, pixels 4 to 7, has the scores [1, 3]. What are the largest scores of the row now?
# 3. Two networks have the scores [2, 0] and [0, 1] at a pixel. Compare the mean of the probabilities with the softmax
#    of the mean score. When do they give different classes?
# 4. An object of class 1 occurs twice, one of class 2 five times. Which examples does the second stage's balancing
#    repeat, and how often?
#
# ``scratchnet exercise start 16`` writes stubs for the scores of overlapping boxes and for ensembles;
# ``scratchnet exercise check 16`` checks them.
