r"""
16. Two stages: objects of every size through one window
========================================================

**The question.** A network sees a mouse and a bus in the same photograph, at the same scale, through the same window.
The authors of DeconvNet claim that such a network breaks the bus into pieces and misses the mouse, and that every
object should first be rescaled to the same size. Is this true? And how must a network be trained for it?

You need lesson 13 (FCN, receptive fields), lesson 14 (ways up) and lesson 15 (DeconvNet).

**What you will build.** The boxes of DeconvNet's two training stages, the training on them, and a measurement by object
size.

**Time.** About 65 minutes, and as long again for the exercises.

**New terms**, one line each on :doc:`the page of terms </terms>`: oversampling, hourglass, curriculum, learning rate
schedule.
"""

# %%
# Write your prediction down first
# --------------------------------
# 1. One network sees whole images with objects of very different sizes. Which objects does it segment worst: small,
#    medium or large ones?
# 2. Someone draws a box around every object. Each box is resized to the same size and segmented alone. Which objects
#    gain most?
# 3. A network was trained only on objects in the exact middle of their boxes. Now the boxes are drawn carelessly, up to
#    a fifth of a side away and up to √2 times too large or too small. Does it still beat the network that sees whole
#    images?

import sys

import numpy as np

from scratchnet.utils.lesson import start_lesson

FAST = start_lesson()

# %%
# By hand: an object in the middle of its box
# -------------------------------------------
# An image has 6×9 pixels and two objects. Object 1 covers rows 1 to 5 and columns 4 to 8; object 2 touches its corner.
# The first object's own box begins at row 1 and column 4 and has 5×5 pixels. A box 1.2 times as large has 6×6, one row
# and one column more. Half of the additional rows, rounded down, are put at the top, and likewise half of the columns
# at the left; here that is none. So the box begins at row 1 and column 4 and ends with row 6 and column 9, one row and
# one column beyond the image.

numbers = np.zeros((6, 9), int)
numbers[1:6, 4:9] = 1
numbers[1, 4:6] = 2  # object 2 hides a corner of object 1
numbers[0, 3:6] = 2
side = round(1.2 * 5)
top = left = (side - 5) // 2
hand_box = (1 - top, 4 - left, side, side)  # top, left, height, width
labels = np.full((side, side), 255)  # beyond the image: ignored
labels[:5, :5] = numbers[1:6, 4:9] == 1  # inside it: this object alone, everything else is background
print("objects\n", numbers, "\nbox", hand_box, "\nlabels\n", labels)
assert hand_box == (1, 4, 6, 6)
assert labels[0].tolist() == [0, 0, 1, 1, 1, 255]

# %%
# Object 2 is in the box, but its two pixels are labelled 0, and the pixels beyond the image have the ignored label 255.
# Resized to 36×36, this object is 5/6 · 36 = 30 pixels high. An object of 40 rows has a box of 48, and becomes
# 40/48 · 36 = 30 pixels high as well.
#
# By hand: rare classes are repeated
# ----------------------------------
# Two boxes, a and b, show class 1, and five, c to g, show class 2. If each is drawn equally often, the network sees
# class 2 in five of seven. **Oversampling** repeats the boxes of the rare class in turn until all classes have equally
# many: a, b, a, b, a against c, d, e, f, g.

groups = {1: ["a", "b"], 2: ["c", "d", "e", "f", "g"]}
most = max(len(group) for group in groups.values())
repeated = {label: [group[i % len(group)] for i in range(most)] for label, group in groups.items()}
print(repeated)
assert repeated[1] == ["a", "b", "a", "b", "a"]

# %%
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
# The network goes down and up like those of lesson 14, an *hourglass*, with three pools and with switches on the way
# up. What is the receptive field in its middle?

from scratchnet.layers import BatchNorm2d, Conv2d, MaxPool2d, MaxUnpool2d, ReLU
from scratchnet.network import Network
from scratchnet.visualization import receptive_fields


def convolve(net: Network, name: str, c_in: int, c_out: int) -> str:
    """Add a convolution that keeps the size, batch norm and ReLU."""
    net.add(name, Conv2d(c_in, c_out, 3, padding=1))
    net.add(f"{name}_bn", BatchNorm2d(c_out))
    return net.add(f"{name}_relu", ReLU())


def hourglass() -> Network:
    """Build the network."""
    net, filters = Network(channels=3, stride=8), (16, 32, 32)
    for level, (c_in, c_out) in enumerate(zip((3, *filters), filters, strict=False), start=1):
        convolve(net, f"conv{level}", c_in, c_out)
        net.add(f"pool{level}", MaxPool2d(2))
    last = convolve(net, "middle", 32, 32)
    for level in (3, 2, 1):
        net.add(f"up{level}", MaxUnpool2d(), last, f"pool{level}.switches")
        last = convolve(net, f"decode{level}", filters[level - 1], filters[max(0, level - 2)])
    net.add("score", Conv2d(16, 3, 1))
    return net


seen = receptive_fields(hourglass(), (256, 256), "middle_relu", (16, 16))["input"]
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
# object is in the middle of a box 1.2 times its size, and **only this object is labelled**. This is the example by hand
# as a function; the package's boxes are the same:

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
# rare classes are oversampled. Training on easy examples first and realistic ones later is called a **curriculum**.

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
save_figure(
    figure,
    "16-two-stages",
    alt="Six boxes of stage 1, each with an object in the middle that alone is coloured, above six boxes of stage 2 "
    "with shifted and cut objects, all of them coloured.",
)

# %%
# Training
# --------
# All networks train with the same number of updates and of pixels per update: 4 scenes of 64×64 have as many pixels as
# 16 boxes of 32×32. The *learning rate schedule*, the rule by which the learning rate changes, is a straight line: the
# rate is 0.005 · (1 − t/400) in update t, so it is 0.005 at first, 0.0025 in update 200, and 0.0000125 in update 399.
# The steps are large at first, and small ones at the end settle the details. The schedule runs once over both stages.
#
# ``scratchnet.compile`` records the array operations of an update and repeats them without the Python code around them
# (lesson 21). The results are equal in every bit, in about half the time.

from collections.abc import Callable
from dataclasses import dataclass

from scratchnet import compile as compile_network
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


def rate(update: int) -> float:
    """Return the learning rate of an update."""
    return 5e-3 * (1 - update / UPDATES)


def draw(source: Source, rng: np.random.Generator) -> Sample:
    """Return a batch of random crops, half of the time mirrored."""
    images, masks = [], []
    for index in rng.choice(source.count, source.batch, replace=False):
        image, mask = source.load(int(index))
        top, left = rng.integers(0, len(image) - source.crop + 1, 2)
        cut = np.s_[top : top + source.crop, left : left + source.crop]
        images.append(image[cut])
        masks.append(mask[cut])
    flip = slice(None, None, 1 if rng.random() < 0.5 else -1)
    return np.stack(images)[:, :, flip], np.ascontiguousarray(np.stack(masks)[:, :, flip])


def fit(plan: list[tuple[Source, int]], seed: int) -> Segmenter:
    """Train a network on the sources of a plan, one after the other; return the segmenter."""
    net = hourglass().allocate(seed).train()
    compiled = compile_network(net)
    pixel_loss, optimizer, done = PixelLoss(classes=3), Adam(), 0
    for source, updates in plan:
        for _ in range(updates):
            images, masks = draw(source, np.random.default_rng([seed, done]))
            _, dscores = pixel_loss(compiled.forward(prepare.apply(images)), masks)
            net.zero_grad()
            compiled.backward(dscores)
            optimizer.step(net.flat(), rate(done))
            done += 1
    return Segmenter(net.eval(), prepare)


whole = Source(learned.load, len(learned), 4, 64)
first, second = (  # cut once: boxes of the same image follow each other, so that it is loaded once
    Source([boxes.load(index) for index in range(len(boxes))].__getitem__, len(boxes), 16, 32)
    for boxes in (stage1, stage2)
)
PLANS = {
    "whole images": [(whole, UPDATES)],
    "stage 1 alone": [(first, UPDATES)],
    "stage 2 alone": [(second, UPDATES)],
    "both stages": [(first, UPDATES // 3), (second, UPDATES - UPDATES // 3)],
}


def train_all(seed: int) -> dict[str, Segmenter]:
    """Train a network with each plan; the seed decides on initial weights and batches."""
    return {name: fit(plan, seed) for name, plan in PLANS.items()}


trained = train_all(seed=0)

# %%
# How well is an object segmented?
# --------------------------------
# For every object, compute the IoU with the prediction at its position, 0 if it is missed. Then average over small,
# medium and large objects; each of these three groups spans the same ratio of sizes. A mean over pixels would hardly
# depend on small objects.
#
# The networks that were trained on boxes get boxes around the objects of the unseen scenes, from the ground truth. We
# test exact boxes and careless ones: moved by up to a fifth of a side, with sides up to √2 times longer or shorter. The
# package's ``ProposalSegmenter`` resizes each box, segments it, and puts the scores back; lesson 17 takes it apart.

from scratchnet.data import find_objects
from scratchnet.data.objects.box_sampling import enlarged, jittered
from scratchnet.evaluation.sizes import SIZE_BINS, object_scores, size_table
from scratchnet.inference import ProposalSegmenter

Predict = Callable[[np.ndarray, str], np.ndarray]


def exact(name: str, image: np.ndarray) -> list:
    """Return a box around every object, 1.2 times as large."""
    numbers = unseen.load_instances(unseen.names.index(name))
    return [enlarged(box, 1.2) for box in bounding_boxes(numbers).values()]


def tight(name: str, image: np.ndarray) -> list:
    """Return the objects' own boxes, not enlarged."""
    return list(bounding_boxes(unseen.load_instances(unseen.names.index(name))).values())


def careless(name: str, image: np.ndarray) -> list:
    """Return boxes that are moved and stretched at random."""
    index = unseen.names.index(name)
    rng = generator(17, index)
    boxes = bounding_boxes(unseen.load_instances(index)).values()
    return [enlarged(jittered(box, 1, rng)[0], 1.2) for box in boxes]


def measure(predict: Predict) -> list[float]:
    """Return the mean IoU of small, medium and large objects of the unseen scenes."""
    scores = []
    for index, name in enumerate(unseen.names):
        image, mask = unseen.load(index)
        objects = find_objects(mask, 255, unseen.load_instances(index))
        scores += object_scores(mask, predict(image, name).argmax(axis=2), objects)
    return [found.iou for found in size_table(scores).values()]


def systems_of(trained: dict[str, Segmenter]) -> dict[str, Predict]:
    """Return each network with each kind of box, as a function of an image and its name."""
    systems: dict[str, Predict] = {}
    for name, segmenter in trained.items():
        if name == "whole images":
            systems[name] = lambda image, _, segmenter=segmenter: segmenter.probabilities(image[None])[0]
            continue
        for kind in (exact, careless, tight) if name == "both stages" else (exact, careless):
            boxes = ProposalSegmenter(segmenter, kind, side=32)
            systems[f"{name}, {kind.__name__} boxes"] = lambda image, name, boxes=boxes: boxes.probabilities(
                image[None], [name]
            )[0]
    return systems


systems = systems_of(trained)
table = {name: measure(predict) for name, predict in systems.items()}
print(f"{'':29}" + "".join(f"{name:>9}" for name in SIZE_BINS))
for name, row in table.items():
    print(f"{name:29}" + "".join(f"{value:9.2f}" for value in row))

if not FAST:
    found = {name: np.array(row) for name, row in table.items()}
    assert found["whole images"][0] < found["whole images"][1] < found["whole images"][2]
    assert (found["both stages, exact boxes"] > found["whole images"] + 0.05).all()
    assert (found["both stages, careless boxes"] > found["whole images"]).all()
    assert (found["both stages, careless boxes"] > found["stage 1 alone, careless boxes"] + 0.03).all()
    assert (found["both stages, tight boxes"] < found["both stages, exact boxes"])[1:].all()

# %%
# One run could be luck. ``python lessons/16_two_stages.py --seeds`` trains all networks with two other seeds as well,
# on the same scenes. These are the means and the standard deviations of the three runs that it prints:
#
# =============================  ===========  ===========  ===========
# network and boxes              small        medium       large
# =============================  ===========  ===========  ===========
# whole images                   0.46 ± 0.01  0.54 ± 0.04  0.67 ± 0.03
# stage 1 alone, exact boxes     0.60 ± 0.03  0.76 ± 0.02  0.75 ± 0.01
# stage 1 alone, careless boxes  0.49 ± 0.01  0.62 ± 0.00  0.62 ± 0.00
# stage 2 alone, exact boxes     0.68 ± 0.01  0.79 ± 0.01  0.78 ± 0.01
# stage 2 alone, careless boxes  0.59 ± 0.01  0.70 ± 0.02  0.71 ± 0.00
# both stages, exact boxes       0.71 ± 0.01  0.83 ± 0.01  0.82 ± 0.01
# both stages, careless boxes    0.60 ± 0.02  0.68 ± 0.02  0.71 ± 0.00
# both stages, tight boxes       0.70 ± 0.02  0.72 ± 0.01  0.71 ± 0.02
# =============================  ===========  ===========  ===========
#
# What follows from it?
#
# - Whole images: small objects are the worst and large ones the best, although the largest do not fit into the window.
#   The authors are right about the mouse. About the bus they are right in part: it is not the worst, but a box of its
#   own improves it as well.
# - Both stages with exact boxes: better at every size, and most at medium size. The idea is right, **if** the boxes
#   are.
# - Careless boxes cost 0.11 to 0.15 of IoU after both stages. This network still beats whole images, clearly for small
#   and medium objects and narrowly for large ones.
# - Stage 1 alone is not enough: with careless boxes, its large objects are worse than those of whole images. It has
#   never seen an object away from the middle of its box.
# - Stage 2 alone is as good as both stages if the boxes are careless, and a few hundredths worse if they are exact. So
#   here the easy examples help only where the boxes in use are like them. The paper begins with them because all
#   positions and sizes at once would need many examples. It has 252 million parameters to learn, and we 40 thousand.
#
# What does not follow: these are drawn shapes, one small network and 400 updates. ``docs/results.md`` has a larger
# study with published networks.

if "--seeds" in sys.argv:  # optional: takes three times as long
    runs = [table]
    for seed in (1, 2):
        again = systems_of(train_all(seed))
        runs.append({name: measure(predict) for name, predict in again.items()})
    for name in table:
        columns = np.array([run[name] for run in runs])
        pairs = zip(columns.mean(axis=0), columns.std(axis=0, ddof=1), strict=True)
        print(f"{name:29}" + "".join(f"   {mean:.2f} ± {spread:.2f}" for mean, spread in pairs))

# %%
# The figure worth keeping
# ------------------------
# The IoU of small, medium and large objects, for each network and kind of box.

figure, (bars,) = panels(8, 3.6)
shades = ("#b7e2d3", "#4cb393", "#00553e")  # light to dark: small, medium, large
for shift, (size, shade) in enumerate(zip(SIZE_BINS, shades, strict=True)):
    places = [-number - 0.26 * (shift - 1) for number in range(len(table))]
    bars.barh(places, [row[shift] for row in table.values()], 0.25, color=shade, label=f"{size} objects")
bars.set_yticks([-number for number in range(len(table))], list(table))
bars.set_xlim(0, 1)
bars.set_xlabel("mean IoU of an object")
bars.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1, 1))
save_figure(
    figure,
    "16-sizes",
    alt="Bars of the IoU of small, medium and large objects for eight combinations of training and boxes. Both stages "
    "with exact boxes have the longest bars at every size.",
)

# %%
# One scene, as three of them segment it. Without boxes, the network gives parts of the ring and of the stars the class
# of the other kind: large objects do break into pieces, although their IoU is the best.

index = 1
image, mask = unseen.load(index)
figure, axes = panels(8, 2.3, columns=5)
shown = {"image": np.zeros_like(mask), "truth": mask}
for name in ("whole images", "both stages, exact boxes", "both stages, careless boxes"):
    shown[name] = systems[name](image, unseen.names[index]).argmax(axis=2).astype(np.uint8)
mixed_up = {name: int(((labels != mask) & (labels > 0) & (mask > 0)).sum()) for name, labels in shown.items()}
print("object pixels with the class of the other kind:", mixed_up)
for one, (name, labels) in zip(axes, shown.items(), strict=True):
    one.imshow(overlay(image, labels))
    one.set_title(name.replace(", ", ",\n"), fontsize=9)
    one.set_axis_off()
save_figure(
    figure,
    "16-one-scene",
    alt="A scene with a ring, stars and small shapes, its mask, and three predictions. Whole images give parts of the "
    "ring and of a star the other class; the boxes hardly do.",
)
if not FAST:
    assert mixed_up["whole images"] > mixed_up["both stages, exact boxes"]

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
# **… the box is not enlarged?** Then the object touches all four sides, and the network, which was trained on boxes
# with a margin, sees neither its outline there nor its surroundings. The row "both stages, tight boxes" above shows it:
# medium and large objects lose about a tenth of IoU, small ones hardly anything.
#
# **… the rare class is not oversampled?** Two of the five kinds of shape are round, so there are fewer boxes of round
# objects than of cornered ones before the balancing:

once = [len({example for example in stage2.examples if example.label == label}) for label in (1, 2)]
print("boxes of round and cornered objects, each counted once:", once)
assert once[0] < once[1]

# %%
# Here the imbalance is small; in other data sets, a class is a hundred times rarer. Repetition has a price: the same
# few boxes come back again and again, and a network can learn them by heart.
#
# Exercises
# ---------
# Solutions: ``lessons/solutions/16_two_stages.py``.
#
# 1. Derive the receptive field of 38 pixels with the rule of lesson 13. How large is it with two pools?
# 2. An object has the box of row 10, column 20 with 7×12 pixels. Where does the box with a context of 1.2 begin, and
#    how large is it? And with a context of 1.5?
# 3. An object of class 1 occurs twice, one of class 2 five times. Which examples does the second stage's balancing
#    repeat, and how often? How often, if there is a class 3 with ten?
# 4. The paper's authors divide the rate by ten whenever the validation accuracy stops rising. Write the straight line
#    and (1 − t/T)^0.9, the *poly* schedule of other networks, as functions. At which t is each at half its start?
#
# ``scratchnet exercise start 16`` writes stubs for boxes around objects, for the balancing and for schedules;
# ``scratchnet exercise check 16`` checks them.
