r"""
19. The other deconvolutional network
=====================================

**The question.** Zeiler and Fergus published a "deconvolutional network" before Noh, Hong and Han published theirs. It
has the same switches and transposed kernels, but it segments nothing. It answers another question: why did this pixel
get this class?

You need lesson 7 (switches), lesson 9 (transposed convolution), lesson 12 (a network as a list) and lesson 15
(DeconvNet).

**What you will build.** Four answers to that question, from loops to the packaged functions, and two tests of them:
does the answer change if the network has learned nothing, and if the question is about another class?

**Time.** About 55 minutes, and as long again for the exercises.

**New terms**, one line each on :doc:`the page of terms </terms>`: attribution, deconvnet projection, saliency
map, guided backpropagation, occlusion.
"""

# %%
# Write your prediction down first
# --------------------------------
# 1. ReLU's outputs were 2, 0, 1, 0, and on the way back the signals 3, 4, −5, −6 arrive. Which of them does the
#    gradient pass on?
# 2. A pixel was not the maximum of its pooling window. What is the derivative of the output with respect to that pixel?
# 3. We replace all weights of a trained network by random ones. Which of the pictures below will still show cells?

import numpy as np
from PIL import Image

from scratchnet.data import sample_folder
from scratchnet.utils.lesson import start_lesson

FAST = start_lesson()
rng = np.random.default_rng(19)

# %%
# One word, two meanings
# ----------------------
# Zeiler, Krishnan, Taylor and Fergus called a model for *learning* features a deconvolutional network (2010, 2011): it
# explains an image as a sum of kernels, as in lesson 9. Zeiler and Fergus (2014) then attached one to a trained
# classifier in order to look into it. They pick one activation, set all others to 0, and lead it back to the image:
# unpool at the switches, rectify, filter with the transposed kernels. The result, a *deconvnet projection*, is a
# picture of what caused the activation. Nothing is trained in it.
#
# Noh, Hong and Han (2015) took the same three steps, gave the kernels weights of their own, and trained them to draw a
# mask (lesson 15). So the two networks differ in purpose:
#
# =====================  ===========================  ================================
# \                      Zeiler & Fergus 2014         Noh, Hong, Han 2015
# =====================  ===========================  ================================
# switches               of the encoder's pools       of the encoder's pools
# kernels                the encoder's, transposed    the decoder's own, trained
# ReLU                   on the way back              on the way forward
# starts with            one activation               the whole last map
# result                 what caused the activation   a class for every pixel
# =====================  ===========================  ================================
#
# Assigning parts of a network's output to parts of its input is called *attribution*.
#
# By hand: three ways back through ReLU
# -------------------------------------
# Going back through a convolution, a pool or an unpooling leaves no choice: their transposes are those of lessons 5 and
# 7. Only ReLU does, because it is not linear. Three papers give three rules, for an output y and a signal g:
#
# * the **gradient** (Simonyan, Vedaldi, Zisserman 2014) passes g on where y > 0. Drawn as a picture it is a *saliency
#   map*;
# * the **deconvnet** passes max(g, 0) on, wherever y was;
# * *guided backpropagation* (Springenberg et al. 2015) does both: max(g, 0), where y > 0.

METHODS = ("gradient", "deconvnet", "guided")


def relu_back(g: np.ndarray, y: np.ndarray, method: str) -> np.ndarray:
    """Return what ReLU passes on of the signal g, element by element."""
    result = np.zeros_like(g)
    for place in np.ndindex(g.shape):
        was_on = y[place] > 0 or method == "deconvnet"
        is_positive = g[place] > 0 or method == "gradient"
        if was_on and is_positive:
            result[place] = g[place]
    return result


y, g = np.array([2.0, 0, 1, 0]), np.array([3.0, 4, -5, -6])
rules = {method: relu_back(g, y, method) for method in METHODS}
for method, passed in rules.items():
    print(f"{method:9} passes on {passed}")

# %%
# The gradient keeps 3 and −5. The deconvnet keeps 3 and 4: it never looks at y. Guided backpropagation keeps only the
# 3.
#
# Loops: one activation back to the image
# ---------------------------------------
# A network of three steps: a convolution with one kernel, ReLU, and a max-pool of 2×2. On the way forward we keep
# ReLU's output and the switches; on the way back we need nothing else.


def forward(x: np.ndarray, kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return ReLU's output, the pooled map and the switches."""
    k = len(kernel)
    y = np.zeros((x.shape[0] - k + 1, x.shape[1] - k + 1))
    for row, column in np.ndindex(y.shape):
        y[row, column] = max(0.0, (x[row : row + k, column : column + k] * kernel).sum())
    windows = y.reshape(y.shape[0] // 2, 2, y.shape[1] // 2, 2).transpose(0, 2, 1, 3).reshape(-1, y.shape[1] // 2, 4)
    return y, windows.max(axis=2), windows.argmax(axis=2)


def back(place: tuple[int, int], y: np.ndarray, switches: np.ndarray, kernel: np.ndarray, method: str) -> np.ndarray:
    """Lead a signal of 1 from one place of the pooled map back to the image."""
    signal = np.zeros_like(y)
    i, j = divmod(int(switches[place]), 2)
    signal[2 * place[0] + i, 2 * place[1] + j] = 1  # unpool
    signal = relu_back(signal, y, method)  # rectify
    k = len(kernel)
    image = np.zeros((y.shape[0] + k - 1, y.shape[1] + k - 1))
    for row, column in np.ndindex(y.shape):
        image[row : row + k, column : column + k] += signal[row, column] * kernel  # filter, transposed
    return image


x, kernel = rng.standard_normal((8, 8)), rng.standard_normal((3, 3))
y, pooled, switches = forward(x, kernel)
by_loops = {method: back((1, 2), y, switches, kernel, method) for method in METHODS}

# %%
# The package walks any network of its layers back in this way. A ``Unit`` names the value to explain by its row, column
# and channel.

from scratchnet.layers import Conv2d, MaxPool2d, MaxUnpool2d, ReLU
from scratchnet.network import Network
from scratchnet.visualization import Unit, projections

small = Network(1)
small.add("conv", Conv2d(1, 1, 3, bias=False))
small.add("relu", ReLU())
small.add("pool", MaxPool2d(2))
small.allocate(0, np.float64).parameters()["conv.weight"].value = kernel[:, :, None, None]
packaged = projections(small, x[None, :, :, None], Unit(1, 2, 0))
for method in METHODS:
    assert np.allclose(packaged[method][:, :, 0], by_loops[method])

# %%
# With a single ReLU the three agree, because the signal that reaches it is positive and its output is the maximum. They
# differ from the second ReLU on.
#
# Check: only one of them is a derivative
# ---------------------------------------
# A second convolution and ReLU, and the numerical gradient of lesson 2:

deep = Network(1)
deep.add("conv1", Conv2d(1, 4, 3))
deep.add("relu1", ReLU())
deep.add("pool", MaxPool2d(2))
deep.add("conv2", Conv2d(4, 2, 2))
deep.allocate(1, np.float64)
batch, unit, h = x[None, :, :, None], Unit(1, 0, 1), 1e-6
numeric = np.zeros((8, 8))
for place in np.ndindex(8, 8):
    step = np.zeros_like(batch)
    step[0][place] = h
    numeric[place] = (unit.values(deep.forward(batch + step)) - unit.values(deep.forward(batch - step)))[0] / (2 * h)
found = projections(deep, batch, unit)
errors = {method: float(np.abs(found[method][:, :, 0] - numeric).max()) for method in METHODS}
for method, error in errors.items():
    print(f"{method:9} differs from the numerical gradient by at most {error:.0e}")
assert errors["gradient"] < 1e-7 < min(errors["deconvnet"], errors["guided"])

# %%
# The other two are no derivatives, and their authors do not say so. They are pictures.
#
# Down through the decoder, up through the encoder
# ------------------------------------------------
# What happens if we project a score of a network that already has a decoder? The signal passes the decoder first. The
# transpose of a transposed convolution is a convolution, and the transpose of unpooling *reads* at the switches. So the
# signal goes **down** through the decoder, as if it were an encoder, and then **up** through the encoder, as if that
# were a decoder: the hourglass in reverse, with every switch used twice. We train the small DeconvNet of lesson 15
# again.

from scratchnet.losses import PixelLoss
from scratchnet.models import build
from scratchnet.training.optimizers import Adam

folder = sample_folder("smears")
names = [f"cells-{number:04d}.png" for number in range(16)]
photos = np.stack([np.asarray(Image.open(folder / "images" / name).convert("RGB")) for name in names])
masks = np.stack([np.asarray(Image.open(folder / "masks" / name)) for name in names])
images = (photos / 255 - 0.5).astype(np.float32)


def new_network(seed: int) -> Network:
    """Return a small DeconvNet with random weights, in training mode."""
    return build("deconvnet-small", classes=2, size=96, width=4 if FAST else 8).allocate(seed=seed).train()


net, pixel_loss, optimizer = new_network(0), PixelLoss(classes=2), Adam()
for update in range(4 if FAST else 150):
    draw = np.random.default_rng([19, update])
    chosen = draw.choice(12, 4, replace=False)
    across, down = (slice(None, None, 1 if draw.random() < 0.5 else -1) for _ in range(2))
    loss, dscores = pixel_loss(
        net.forward(np.ascontiguousarray(images[chosen][:, down, across])), masks[chosen][:, down, across]
    )
    net.zero_grad()
    net.backward(dscores)
    optimizer.step(net.flat(), 5e-3)
    if update % 50 == 49:
        print(f"update {update + 1}: loss {loss:.3f}")
net = net.eval()

# %%
# Occlusion: ask the network itself
# ---------------------------------
# The fourth answer needs no way back. Cover a square of the image with one colour, run the network, and see how far the
# score falls; then move the square. This is *occlusion*, also from Zeiler and Fergus (2014). It costs a forward pass
# for every position, so the steps are coarse. A pixel's value is the mean over the squares that cover it:

from scratchnet.visualization import class_score, occlusion, occlusion_grid


def occlusion_by_loops(network: Network, x: np.ndarray, unit: Unit, side: int, stride: int) -> np.ndarray:
    """Return the mean fall of the unit's value over all squares that cover a pixel."""
    h, w = x.shape[1:3]
    before = unit.values(network.forward(x))[0]
    total, count = np.zeros((h, w)), np.zeros((h, w))
    first = -((side - stride) // 2)  # half of the overlap is outside
    for top in range(first, first + h, stride):
        for left in range(first, first + w, stride):
            window = slice(max(0, top), top + side), slice(max(0, left), left + side)
            covered = x.copy()
            covered[0][window] = x.mean(axis=(0, 1, 2))
            total[window] += before - unit.values(network.forward(covered))[0]
            count[window] += 1
    return total / count


by_squares = occlusion(deep, batch, unit, occlusion_grid((8, 8), patch=4, stride=2))
assert np.allclose(by_squares, occlusion_by_loops(deep, batch, unit, 4, 2))

# %%
# Four answers
# ------------
# We ask about a pixel of an image that the network has not seen, in the middle of a stained nucleus. The value to
# explain is the score of "cell" before softmax. The three colours are added up. Orange is positive, purple negative,
# and every picture has a scale of its own.

from scratchnet.ops.activation import softmax
from scratchnet.visualization import attribution_figure, save_figure

SHOWN, PIXEL = 12, (78, 17)
image = images[SHOWN : SHOWN + 1]
GRID = occlusion_grid((96, 96), patch=24, stride=12) if FAST else None  # None: at most 256 positions


def four_answers(network: Network, k: int = 1) -> dict[str, np.ndarray]:
    """Return the maps (96, 96) of the four methods for the score of class k at the pixel."""
    unit = class_score(network, PIXEL, k, (96, 96))
    maps = {method: signal.sum(axis=2) for method, signal in projections(network, image, unit, METHODS).items()}
    return maps | {"occlusion": occlusion(network, image, unit, GRID)}


probabilities = softmax(net.forward(image))[0]
print(f"the probability of cell at {PIXEL} is {probabilities[PIXEL][1]:.2f}")
answers = four_answers(net)
inside = masks[SHOWN] == 1
shares = {name: float(np.abs(m)[inside].sum() / np.abs(m).sum()) for name, m in answers.items()}
for name, share in shares.items():
    print(f"{name:9}: {share:4.0%} of its magnitude are on cells, which cover {inside.mean():.0%} of the image")
save_figure(
    attribution_figure(photos[SHOWN], PIXEL, answers),
    "19-four-answers",
    alt="A blood smear with a ring on a stained nucleus, and four maps of it: gradient, deconvnet projection, guided "
    "backpropagation and occlusion.",
)

# %%
# The four do not agree. In this run occlusion points at the nucleus under the ring and at little else. Guided
# backpropagation draws outlines, those of the nucleus most of all. The gradient is spread over the image: it is strong
# wherever a tiny change of a colour would change the score, red cells included. The deconvnet projection ends up beside
# the ring.

if not FAST:
    assert shares["guided"] > shares["deconvnet"] > shares["gradient"]

# %%
# A sanity check: random weights
# ------------------------------
# Does the picture explain what the network has learned? Adebayo et al. (2018) proposed a simple test: replace the
# weights by random ones and draw the picture again. If it looks the same, it cannot be about what was learned. We take
# networks that have never been trained, give their batch norms the statistics of our images, and compare the maps by
# the correlation of their magnitudes: 1 for equal maps, about 0 for unrelated ones.


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Return the correlation of two maps, 0 if one of them is constant."""
    a, b = one - one.mean(), other - other.mean()
    return float((a * b).sum() / max(1e-30, float(np.linalg.norm(a)) * float(np.linalg.norm(b))))


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    """Return the correlation of the magnitudes of two maps."""
    return correlation(np.abs(one), np.abs(other))


untrained = []
for seed in (101, 102, 103):
    other = new_network(seed)
    for _ in range(4 if FAST else 30):
        other.forward(images[:12], keep=False)  # in training mode, which updates the running statistics (lesson 11)
    untrained.append(four_answers(other.eval()))
random_likeness = {m: float(np.mean([likeness(answers[m], maps[m]) for maps in untrained])) for m in answers}
for name, like in random_likeness.items():
    print(f"{name:9}: likeness {like:.2f} to the map of random weights")
both = {f"{name},\ntrained": values for name, values in answers.items()}
both |= {f"{name},\nrandom": values for name, values in untrained[0].items()}
save_figure(
    attribution_figure(photos[SHOWN], PIXEL, both),
    "19-random-weights",
    alt="The four maps of the trained network, then those of a network with random weights. Guided backpropagation "
    "draws the outlines of the cells in both.",
)

# %%
# Look at the pictures first. **Guided backpropagation** draws clean outlines of the cells although the network has
# learned nothing. Nie, Zhang and Patel (2018) explain why: with both masks it mostly recovers the image, at the edges
# that the ReLUs let through. So a sharp picture is no evidence that a network looks at the right thing. Training shows
# only in *which* cells are drawn.
#
# The same authors say this of the deconvnet projection too, but in our run neither of its maps shows an outline. It
# does not use the masks of the way forward, so all it knows of the image are the switches, and in this network the
# signal also passes a map of a single pixel. A finding about a method is a finding about the networks on which it was
# made.
#
# The correlation has a surprise: the method with the most similar maps is occlusion. Its map is largest around the ring
# for random weights too, because covering a pixel's own surroundings changes its score in any network. Only the sign
# and the extent tell them apart. No single figure can say which method is good.

if not FAST:
    assert max(random_likeness, key=lambda name: random_likeness[name]) == "occlusion"
    assert random_likeness["guided"] > random_likeness["gradient"]

# %%
# A second test: another class
# ----------------------------
# An explanation of "cell" should differ from one of "background".

background = four_answers(net, k=0)
class_likeness = {name: likeness(answers[name], background[name]) for name in answers}
signed = {name: correlation(answers[name], background[name]) for name in answers}
for name, like in class_likeness.items():
    print(f"{name:9}: likeness {like:.2f} to the map of the other class, correlation with sign {signed[name]:+.2f}")

# %%
# With two classes the evidence for one is the evidence against the other, so the magnitudes may agree, but the sign has
# to change. It does for the gradient and for occlusion. The deconvnet projection and guided backpropagation give the
# two classes nearly the **same map with the same sign**: they drop every negative signal, and after that the class is
# lost. A map that is the same whatever you ask does not answer the question. What they show is which parts of the image
# the network has passed on at all, and for that Zeiler and Fergus used them, on single activations of an encoder.

if not FAST:
    assert signed["gradient"] < -0.9
    assert signed["occlusion"] < -0.8
    assert min(signed["deconvnet"], signed["guided"]) > 0.9

# %%
# What breaks if …
# ----------------
# **… the answer is in the switches?** In lesson 15 the positions in a mask came from the switches, not from the values.
# A switch is an integer, so no signal flows through it. Here is the smallest network of that kind: a pool and its
# unpooling.

tiny = Network(1)
tiny.add("pool", MaxPool2d(2))
tiny.add("unpool", MaxUnpool2d(), "pool", "pool.switches")
tiny.allocate(0, np.float64)
four = np.array([[7.0, 6.9], [1.0, 2.0]])[None, :, :, None]
corner = Unit(0, 0, 0)
slope = projections(tiny, four, corner)["gradient"][:, :, 0]
raised = four.copy()
raised[0, 0, 1, 0] = 7.1
print("gradient\n", slope)
print(
    "output in the corner:",
    corner.values(tiny.forward(four))[0],
    "and, with 7.1 beside it,",
    corner.values(tiny.forward(raised))[0],
)
assert slope[0, 1] == 0

# %%
# The gradient says that the neighbour of 6.9 has no influence. Raise it by 0.2 and the output falls from 7 to 0,
# because the switch has moved. All three projections hold the switches fixed; occlusion runs the network again and
# includes them. In SegNet and DeconvNet, the positions in the mask come from such switches.
#
# **… the evidence is there twice?** Let a network take the larger of two equal values. Covering either changes nothing,
# so occlusion finds no cause at all:

larger = Network(1)
larger.add("pool", MaxPool2d((1, 2)))
larger.allocate(0, np.float64)
twice = np.array([[5.0, 5.0]])[None, :, :, None]
falls = occlusion(larger, twice, corner, occlusion_grid((1, 2), patch=1, stride=1), np.zeros(1))
print("falls:", falls)
assert not falls.any()

# %%
# No method is right about everything. Say which one you used, what it leaves out, and try it on random weights.
# ``scratchnet explain run/checkpoint.npz photo.jpg --out why.html --why`` draws all four for your own network.
#
# Exercises
# ---------
# Solutions: ``lessons/solutions/19_the_other_deconvolutional_network.py``.
#
# 1. A leaky ReLU has the slope 0.1 for negative inputs. Its outputs are 2 and −0.2, and the signals −1 and 5 arrive.
#    What does the gradient pass on? Write a deconvnet rule that becomes ReLU's if the slope is 0.
# 2. Take the ReLUs out of the network with two convolutions. Why do the three methods agree now, although it still has
#    a max-pool?
# 3. How many forward passes does occlusion take for an image of 96×96 with squares of 12×12 every 6 pixels? Which
#    stride keeps an image of 224×224 below 256 passes?
# 4. Project a score of the trained network with the switches of another image, as in lesson 15. Which parts of the way
#    back use them?
#
# ``scratchnet exercise start 19`` writes stubs for the three rules, the way back through a pool and occlusion;
# ``scratchnet exercise check 19`` tries them.
