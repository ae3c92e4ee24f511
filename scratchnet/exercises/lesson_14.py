"""Exercises of lesson 14: the skips of U-Net, switches in two bits, a U-Net."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from scratchnet.arrays import Array
from scratchnet.exercises.exercise import Case, Exercise, GradientCheck, Mistake
from scratchnet.exercises.networks import network_answer, rewired
from scratchnet.layers import Concatenate, Conv2d, MaxPool2d, ReLU, UpsampleBilinear, UpsampleNearest
from scratchnet.network import Network


def join(new: Array, old: Array) -> Array:
    """Return new (n, h, w, a) and the centre of old (n, H, W, b), concatenated along the channels: (n, h, w, a + b).

    Old is at least as large as new. Its centre begins at row (H − h) // 2 and column (W − w) // 2.
    """
    _, h, w, _ = new.shape
    top, left = (old.shape[1] - h) // 2, (old.shape[2] - w) // 2
    return np.concatenate([new, old[:, top : top + h, left : left + w]], axis=3)


def join_backward(dy: Array, new: Array, old: Array) -> tuple[Array, Array]:
    """Return dnew and dold with the shapes of new and old, given the upstream gradient dy (n, h, w, a + b).

    The concatenation's gradient is split at the channels. Pixels of old that are cropped have no influence: their
    gradient is 0.
    """
    _, h, w, a = new.shape
    top, left = (old.shape[1] - h) // 2, (old.shape[2] - w) // 2
    dold = np.zeros_like(old)
    dold[:, top : top + h, left : left + w] = dy[..., a:]
    return dy[..., :a].copy(), dold


def pack_switches(switches: Array) -> Array:
    """Return the switches of 2×2 windows (h, w), values 0 … 3, in two bits each: (bytes,) of type uint8.

    In reading order, four switches share a byte; the first has the lowest two bits:

        byte = s₀ + 4·s₁ + 16·s₂ + 64·s₃

    If h·w is not a multiple of 4, the missing switches of the last byte are 0.
    """
    flat = switches.reshape(-1).astype(np.uint8)
    four = np.concatenate([flat, np.zeros(-len(flat) % 4, np.uint8)]).reshape(-1, 4)
    packed: Array = four[:, 0] + 4 * four[:, 1] + 16 * four[:, 2] + 64 * four[:, 3]
    return packed


def unpack_switches(packed: Array, h: int, w: int) -> Array:
    """Return the switches (h, w) from their packed form."""
    four = [packed // 4**i % 4 for i in range(4)]
    return np.stack(four, axis=1).reshape(-1)[: h * w].reshape(h, w)


def unet(channels: int, width: int, classes: int) -> Network:
    """Return a Network: a U-Net with two levels. Its parameters are not allocated.

    All convolutions named conv are 3×3 with padding 1, and a ReLU follows each: relu1 after conv1, and so on. Steps, in
    order, with output channels:

        conv1, relu1, pool1    width; max-pooling 2×2
        conv2, relu2, pool2    2·width; max-pooling 2×2
        conv3, relu3           4·width
        up2                    relu3 enlarged twofold (nearest)
        join2                  up2 and the map of the second level before its pool, concatenated in this order
        conv4, relu4           2·width
        up1                    relu4 enlarged twofold (nearest)
        join1                  up1 and the map of the first level before its pool, concatenated in this order
        conv5, relu5           width
        score                  a 1×1 convolution to the classes
    """
    net = Network(channels)
    net.add("conv1", Conv2d(channels, width, 3, padding=1))
    net.add("relu1", ReLU())
    net.add("pool1", MaxPool2d(2))
    net.add("conv2", Conv2d(width, 2 * width, 3, padding=1))
    net.add("relu2", ReLU())
    net.add("pool2", MaxPool2d(2))
    net.add("conv3", Conv2d(2 * width, 4 * width, 3, padding=1))
    net.add("relu3", ReLU())
    net.add("up2", UpsampleNearest(2))
    net.add("join2", Concatenate(), "up2", "relu2")
    net.add("conv4", Conv2d(6 * width, 2 * width, 3, padding=1))
    net.add("relu4", ReLU())
    net.add("up1", UpsampleNearest(2))
    net.add("join1", Concatenate(), "up1", "relu1")
    net.add("conv5", Conv2d(3 * width, width, 3, padding=1))
    net.add("relu5", ReLU())
    net.add("score", Conv2d(width, classes, 1))
    return net


def _join_cases(rng: np.random.Generator) -> Iterator[Case]:
    sizes = {
        "two maps of one size": ((2, 3, 4, 2), (2, 3, 4, 3)),
        "a larger old map": ((2, 2, 4, 2), (2, 6, 8, 2)),
        "an odd difference": ((1, 3, 2, 3), (1, 6, 7, 1)),
    }
    by_hand = np.array([9.0]).reshape(1, 1, 1, 1), np.arange(1.0, 10).reshape(1, 3, 3, 1)
    yield Case("join", by_hand, "the case by hand")
    for words, (new, old) in sizes.items():
        yield Case("join", (rng.standard_normal(new), rng.standard_normal(old)), words)
    yield Case("join_backward", (np.array([10.0, 20]).reshape(1, 1, 1, 2), *by_hand), "the case by hand")
    for words, (new, old) in sizes.items():
        dy = rng.standard_normal((*new[:3], new[3] + old[3]))
        yield Case("join_backward", (dy, rng.standard_normal(new), rng.standard_normal(old)), words)


def _packing_cases(rng: np.random.Generator) -> Iterator[Case]:
    yield Case("pack_switches", (np.array([[1, 3], [0, 2]]),), "the case by hand")
    for h, w, words in ((4, 6, "a map of 4×6"), (3, 5, "15 switches"), (1, 2, "two switches")):
        yield Case("pack_switches", (rng.integers(0, 4, (h, w)),), words)
    yield Case("unpack_switches", (np.array([141], np.uint8), 2, 2), "the case by hand")
    for h, w, words in ((4, 6, "a map of 4×6"), (3, 5, "15 switches"), (1, 2, "two switches")):
        yield Case("unpack_switches", (pack_switches(rng.integers(0, 4, (h, w))), h, w), words)


def _unet_cases(rng: np.random.Generator) -> Iterator[Case]:
    yield Case("unet", (rng.standard_normal((1, 4, 8, 1)), 1, 1, 2), "one channel, width 1")
    yield Case("unet", (rng.standard_normal((2, 8, 12, 3)), 3, 2, 4), "two images, width 2")


def _gradient_arguments(rng: np.random.Generator) -> tuple[Any, ...]:
    return rng.standard_normal((2, 2, 3, 2)), rng.standard_normal((2, 5, 6, 3))


def _join_swapped(new: Array, old: Array) -> Array:
    y = join(new, old)
    return np.concatenate([y[..., new.shape[3] :], y[..., : new.shape[3]]], axis=3)


def _corner(old: Array, new: Array) -> Array:
    return old[:, : new.shape[1], : new.shape[2]]


def _dold_at_the_corner(dy: Array, new: Array, old: Array) -> tuple[Array, Array]:
    dold = np.zeros_like(old)
    dold[:, : new.shape[1], : new.shape[2]] = dy[..., new.shape[3] :]
    return dy[..., : new.shape[3]], dold


def _split_swapped(dy: Array, new: Array, old: Array) -> tuple[Array, Array]:
    b = old.shape[3]
    return join_backward(np.concatenate([dy[..., b:], dy[..., :b]], axis=3), new, old)


def _first_highest(switches: Array) -> Array:
    four = unpack_switches(pack_switches(switches), len(pack_switches(switches)), 4)
    return pack_switches(four[:, ::-1])


def _columns_first(switches: Array) -> Array:
    return pack_switches(switches.T.copy())


def _four_bits(switches: Array) -> Array:
    flat = switches.reshape(-1).astype(np.uint8)
    two = np.concatenate([flat, np.zeros(-len(flat) % 2, np.uint8)]).reshape(-1, 2)
    packed: Array = two[:, 0] + 16 * two[:, 1]
    return packed


def _unpack_reversed(packed: Array, h: int, w: int) -> Array:
    return np.stack([packed // 4**i % 4 for i in (3, 2, 1, 0)], axis=1).reshape(-1)[: h * w].reshape(h, w)


def _unpack_columns(packed: Array, h: int, w: int) -> Array:
    return unpack_switches(packed, w, h).T


EXERCISES = (
    Exercise(
        "14_join",
        "The skip of U-Net and its gradient",
        "U-Net concatenates the enlarged map with the centre of the encoder's map. Backwards, the gradient is split, "
        "and the encoder's part goes back to where the centre was cut out.",
        (join, join_backward),
        _join_cases,
        (
            Mistake("Yours puts old before new; new comes first.", {"join": _join_swapped}),
            Mistake(
                "Yours crops old at its first row and column; take the centre.",
                {"join": lambda new, old: join(new, _corner(old, new))},
            ),
            Mistake(
                "Yours places dold at the first row and column; it belongs to the centre that was cropped.",
                {"join_backward": _dold_at_the_corner},
            ),
            Mistake(
                "Your dold has the size of new; pixels that were cropped have a gradient too, 0.",
                {"join_backward": lambda dy, new, old: (dy[..., : new.shape[3]], dy[..., new.shape[3] :])},
            ),
            Mistake(
                "Yours splits as if old came first; the first channels belong to new.",
                {"join_backward": _split_swapped},
            ),
        ),
        ("new.shape[3] is the channel at which to split.", "np.zeros_like(old) has the shape of the result."),
        results={"join_backward": ("dnew", "dold")},
        gradients=(GradientCheck("join", "join_backward", _gradient_arguments, (0, 1), ("dnew", "dold")),),
    ),
    Exercise(
        "14_packing",
        "Switches in two bits",
        "A switch of a 2×2 window has four values, so four switches fit into a byte. Pack and unpack them.",
        (pack_switches, unpack_switches),
        _packing_cases,
        (
            Mistake(
                "Yours puts the first switch into the highest bits; it belongs into the lowest.",
                {"pack_switches": _first_highest},
            ),
            Mistake(
                "Yours goes down the columns; the order is reading order, row by row.",
                {"pack_switches": _columns_first},
            ),
            Mistake("Yours uses four bits for a switch; two are enough.", {"pack_switches": _four_bits}),
            Mistake(
                "Yours drops an incomplete last byte; its missing switches are 0.",
                {"pack_switches": lambda switches: pack_switches(switches)[: switches.size // 4]},
            ),
            Mistake(
                "Yours reads the highest bits first; the first switch has the lowest.",
                {"unpack_switches": _unpack_reversed},
            ),
            Mistake("Yours fills the map column by column; fill it row by row.", {"unpack_switches": _unpack_columns}),
        ),
        (
            "reshape(-1, 4) puts the four switches of a byte into a row, once the length is a multiple of 4.",
            "byte // 4**i % 4 is the switch number i of a byte.",
        ),
    ),
    Exercise(
        "14_unet",
        "A U-Net with two levels",
        "Build the list of steps of a small U-Net. For the same parameters, its output and all its gradients must "
        "agree with those of the solution.",
        (unet,),
        _unet_cases,
        (
            Mistake(
                "Yours concatenates the encoder's map first; the enlarged map comes first.",
                {"unet": lambda *sizes: rewired(unet(*sizes), {"join2": ("relu2", "up2"), "join1": ("relu1", "up1")})},
            ),
            Mistake(
                "Yours passes on the convolutions' results before their ReLU; take them after it.",
                {"unet": lambda *sizes: rewired(unet(*sizes), {"join2": ("up2", "conv2"), "join1": ("up1", "conv1")})},
            ),
            Mistake(
                "Yours enlarges bilinearly; use UpsampleNearest.",
                {
                    "unet": lambda *sizes: rewired(
                        unet(*sizes), layers={"up2": UpsampleBilinear(2), "up1": UpsampleBilinear(2)}
                    )
                },
            ),
        ),
        (
            'net.add("join2", Concatenate(), "up2", "relu2") takes two inputs.',
            "A concatenation of a and b channels has a + b: conv4 reads 4·width + 2·width.",
        ),
        results={"unet": ("shapes", "output", "gradients", "dx")},
        inside={"unet": network_answer("unet", gradients=True)},
        imports="from scratchnet.layers import Concatenate, Conv2d, MaxPool2d, ReLU, UpsampleNearest\n"
        "from scratchnet.network import Network",
    ),
)
