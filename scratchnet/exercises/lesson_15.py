"""Exercise of lesson 15: a small DeconvNet, built and trained."""

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np

from scratchnet.arrays import Array
from scratchnet.exercises.exercise import Case, Exercise, Mistake
from scratchnet.exercises.networks import check_network, network_answer, rewired
from scratchnet.layers import BatchNorm2d, Conv2d, ConvTranspose2d, Layer, MaxPool2d, MaxUnpool2d, ReLU, UpsampleNearest
from scratchnet.losses import PixelLoss
from scratchnet.network import Network
from scratchnet.training.optimizers import Adam

SIDE = 32


def deconvnet(width: int, classes: int) -> Network:
    """Return a Network: a small DeconvNet for images of 32×32 with 3 channels. Its parameters are not allocated.

    Batch norm and ReLU follow every step that is named conv…, fc or deconv…: bn_conv1 and relu_conv1 after conv1, and
    so on. Convolutions and transposed convolutions of 3×3 have padding 1. Steps, in order, with output channels:

        conv1, bn_conv1, relu_conv1, pool1    3×3, width; max-pooling 2×2
        conv2, …, pool2                       3×3, 2·width; max-pooling 2×2
        fc, …                                 a convolution over the whole map of 8×8, 4·width
        deconv3, …                            a transposed convolution of 8×8, 2·width: back to 8×8
        unpool2                               relu_deconv3 at the switches of pool2
        deconv2, …                            a transposed convolution of 3×3, width
        unpool1                               relu_deconv2 at the switches of pool1
        deconv1, …                            a transposed convolution of 3×3, width
        score                                 a 1×1 convolution to the classes
    """
    net = Network(channels=3)

    def add(name: str, layer: Conv2d | ConvTranspose2d, channels: int) -> None:
        net.add(name, layer)
        net.add(f"bn_{name}", BatchNorm2d(channels))
        net.add(f"relu_{name}", ReLU())

    add("conv1", Conv2d(3, width, 3, padding=1), width)
    net.add("pool1", MaxPool2d(2))
    add("conv2", Conv2d(width, 2 * width, 3, padding=1), 2 * width)
    net.add("pool2", MaxPool2d(2))
    add("fc", Conv2d(2 * width, 4 * width, 8), 4 * width)
    add("deconv3", ConvTranspose2d(4 * width, 2 * width, 8), 2 * width)
    net.add("unpool2", MaxUnpool2d(), "relu_deconv3", "pool2.switches")
    add("deconv2", ConvTranspose2d(2 * width, width, 3, padding=1), width)
    net.add("unpool1", MaxUnpool2d(), "relu_deconv2", "pool1.switches")
    add("deconv1", ConvTranspose2d(width, width, 3, padding=1), width)
    net.add("score", Conv2d(width, classes, 1))
    return net


def train(images: Array, masks: Array, updates: int) -> Network:
    """Return a trained network of ``deconvnet`` for two classes.

    The images (n, 32, 32, 3), float32, show warm (red) and cold (blue) discs on a grey ground; the masks (n, 32, 32),
    uint8, are 1 on warm discs and 0 elsewhere. Allocate the network, switch it to training and update it ``updates``
    times with batches of up to 8 images. Loss and optimizer may be the package's.

    The check labels images with the running statistics of batch norm. Two images must be memorised with an IoU of 0.8;
    unseen images must be labelled with an IoU of 0.65.
    """
    net = deconvnet(width=8, classes=2).allocate(seed=0).train()
    loss, optimizer, rng = PixelLoss(classes=2), Adam(), np.random.default_rng(0)
    for _ in range(updates):
        batch = rng.choice(len(images), min(8, len(images)), replace=False)
        _, dscores = loss(net.forward(images[batch]), masks[batch])
        net.zero_grad()
        net.backward(dscores)
        optimizer.step(net.flat(), 0.02)
    return net


def draw_images(rng: np.random.Generator, count: int) -> tuple[Array, Array]:
    """Return images (count, 32, 32, 3), float32, and masks (count, 32, 32), uint8."""
    v, u = np.mgrid[:SIDE, :SIDE]
    images, masks = np.empty((count, SIDE, SIDE, 3), np.float32), np.zeros((count, SIDE, SIDE), np.uint8)
    for image, mask in zip(images, masks, strict=True):
        image[:] = rng.uniform(0.2, 0.6)
        for kind in (0, 1, 0, 1):
            inside = np.hypot(*(axis - rng.uniform(4, SIDE - 4) for axis in (v, u))) < rng.uniform(4, 7)
            strong, weak = rng.uniform(0.6, 1), rng.uniform(0, 0.4)
            image[inside] = (strong, 0.5, weak) if kind == 1 else (weak, 0.5, strong)
            mask[inside] = kind
    images += rng.normal(0, 0.02, images.shape)
    return images - 0.5, masks


def _cases(rng: np.random.Generator) -> Iterator[Case]:
    yield Case("deconvnet", (rng.standard_normal((2, SIDE, SIDE, 3)), 1, 2), "width 1, two images")
    yield Case("deconvnet", (rng.standard_normal((3, SIDE, SIDE, 3)), 2, 3), "width 2, three classes")
    images, masks = draw_images(rng, 2)
    yield Case("train", (images, images, masks, 60), "two images, memorised", (masks, 0.8))
    images, masks = draw_images(rng, 128)
    unseen, truth = draw_images(rng, 24)
    yield Case("train", (unseen, images, masks, 120), "24 unseen images", (truth, 0.65))


def _labels(module: ModuleType, unseen: Array, images: Array, masks: Array, updates: int) -> Array:
    """Train the student's network and return its labels for other images."""
    net = check_network(module.train(images, masks, updates), "train")
    labels: Array = net.eval().forward(unseen).argmax(axis=3).astype(np.uint8)
    return labels


def judge_labels(found: Any, wanted: tuple[Array, float]) -> str | None:
    """Return a sentence if labels do not reach the wanted IoU with the truth."""
    truth, target = wanted
    if not isinstance(found, np.ndarray) or found.shape != truth.shape:
        return f"the labels have shape {np.shape(found)}, expected {truth.shape}"
    right = _iou(found == 1, truth == 1)
    if right >= target:
        return None
    sentence = f"the IoU of the warm discs is {right:.2f}, expected at least {target:.2f}"
    if not found.any():
        return f"{sentence}; every pixel is labelled as ground. Are the gradients cleared and the parameters updated?"
    if found.all():
        return f"{sentence}; every pixel is labelled as disc. Does the optimizer step against the gradient?"
    if _iou(found == 0, truth == 1) >= target:
        return f"{sentence}; the two classes are exchanged. Channel 1 of the scores is that of the discs"
    return f"{sentence}. Does the loss fall? Try another learning rate, and make sure that images and masks match"


def _iou(found: Array, truth: Array) -> float:
    return float((found & truth).sum() / max(1, (found | truth).sum()))


def _with_layers(width: int, classes: int, kind: str) -> Network:
    """Return the network with other layers on the way up."""
    if kind == "nearest":
        exchanged: dict[str, Layer] = {"unpool2": UpsampleNearest(2), "unpool1": UpsampleNearest(2)}
        return rewired(deconvnet(width, classes), {"unpool2": (), "unpool1": ()}, exchanged)
    convolutions: dict[str, Layer] = {
        "deconv2": Conv2d(2 * width, width, 3, padding=1),
        "deconv1": Conv2d(width, width, 3, padding=1),
    }
    return rewired(deconvnet(width, classes), layers=convolutions)


EXERCISES = (
    Exercise(
        "15_deconvnet",
        "A small DeconvNet, trained",
        "Build a small DeconvNet and train it on drawn images. First its output and gradients for given parameters are "
        "compared, then the labels of the trained network are measured against the truth.",
        (deconvnet, train),
        _cases,
        (
            Mistake(
                "Yours enlarges by repetition; unpooling places the values where the maxima were.",
                {"deconvnet": lambda width, classes: _with_layers(width, classes, "nearest")},
            ),
            Mistake(
                "Your deconv2 and deconv1 are ordinary convolutions; use ConvTranspose2d.",
                {"deconvnet": lambda width, classes: _with_layers(width, classes, "convolutions")},
            ),
            Mistake(
                "Your unpooling reads the values before ReLU; its inputs are relu_deconv3 and relu_deconv2.",
                {
                    "deconvnet": lambda width, classes: rewired(
                        deconvnet(width, classes),
                        {"unpool2": ("bn_deconv3", "pool2.switches"), "unpool1": ("bn_deconv2", "pool1.switches")},
                    )
                },
            ),
        ),
        (
            "A function that adds a layer, its batch norm and its ReLU saves most of the typing.",
            'net.add("unpool2", MaxUnpool2d(), "relu_deconv3", "pool2.switches") takes two inputs.',
            "An update: forward, loss, net.zero_grad(), net.backward(dscores), optimizer.step(net.flat(), rate).",
            "With Adam a learning rate of 0.02 works here.",
        ),
        results={"deconvnet": ("shapes", "output", "gradients", "dx")},
        inside={"deconvnet": network_answer("deconvnet", gradients=True), "train": _labels},
        judges={"train": judge_labels},
        imports="from scratchnet.layers import BatchNorm2d, Conv2d, ConvTranspose2d, MaxPool2d, MaxUnpool2d, ReLU\n"
        "from scratchnet.losses import PixelLoss\n"
        "from scratchnet.network import Network\n"
        "from scratchnet.training.optimizers import Adam",
        time_limit=120.0,
    ),
)
