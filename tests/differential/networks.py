"""Random networks: skips, concatenations, poolings that share their switches, batch norm, layers of a user's own.

A case is a list of words, each with three numbers, from which :func:`build` makes steps; a word that does not fit is
left out. So every list is a network, and hypothesis can shorten it.
"""

import numpy as np
from hypothesis import strategies as st

from scratchnet import layers
from scratchnet.network import Network
from tests.differential.arrays import LAYOUTS
from tests.differential.own_layers import DoubledConv2d, LeakyReLU, Tanh

WORDS = (
    "conv", "conv", "conv", "deconv", "bn", "bn", "relu", "relu", "pool", "pool", "unpool", "unpool", "dropout", "lrn",
    "scale", "nearest", "bilinear", "nails", "bilinear transpose", "pad", "crop", "add", "concatenate", "concatenate",
    "leaky", "doubled", "tanh",
)  # fmt: skip
LARGEST = 20


def network_cases():
    """Draw a network, its input and how it is run."""
    step = st.tuples(st.sampled_from(WORDS), st.integers(0, 11), st.integers(0, 11), st.integers(0, 11)).map(list)
    return st.fixed_dictionaries(
        {
            "steps": st.lists(step, min_size=1, max_size=14), "training": st.sampled_from([True, True, False]),
            "size": st.lists(st.integers(3, 14), min_size=2, max_size=2), "channels": st.sampled_from([1, 3, 9]),
            "dtype": st.sampled_from(["float64", "float64", "float32"]), "n": st.sampled_from([1, 2, 2, 3]),
            "layout": st.sampled_from(["plain", *LAYOUTS[:-1]]),
            "cores": st.sampled_from([1, 2, 4]), "seed": st.integers(0, 10**6),
        }
    )  # fmt: skip


class Builder:
    """A network and the shapes of its values.

    ``tied`` are values in which equal numbers are to be expected, where rounding would decide which one is the maximum.
    """

    def __init__(self, case):
        self.net, self.n = Network(case["channels"]), case["n"]
        self.shapes = {"input": (*case["size"], case["channels"])}
        self.tied, self.pools = set(), {}
        self.last = "input"

    def add(self, layer, *others, ties=False):
        """Append a step to the last value and others, if its output has a sensible size."""
        taken = [self.last, *others]
        try:
            shapes = [(self.n, *self.shapes[name]) for name in taken]
            _, h, w, c = layer.output_shape(*shapes)
        except ValueError:
            return
        if h < 1 or w < 1 or max(h, w) > LARGEST or c > 40:
            return
        name = f"s{len(self.net.steps)}"
        self.net.add(name, layer, *taken)
        self.shapes[name] = (h, w, c)
        old = [t in self.tied for t in taken]
        if ties or (all(old) if isinstance(layer, layers.Add) else any(old)):
            self.tied.add(name)
        if isinstance(layer, layers.MaxPool2d):
            self.pools[name] = self.last
        self.last = name

    def step(self, word, a, b, d):
        """Append what a word and its three numbers mean."""
        h, w, c = self.shapes[self.last]
        wide = [1, 2, 3, 4, 6, 8, 8, 9, 12, 16, 5, 7][a]
        kernel = [1, 3, 3, 3, 2, (3, 2), 4, 5, 3, 3, 1, 3][b]
        same = kernel // 2 if isinstance(kernel, int) else 1
        if word in ("conv", "doubled"):
            groups = c if d == 7 and a > 6 else 1
            settings = {"stride": 2 if d == 1 else (1, 2) if d == 2 else 1, "padding": 0 if d in (3, 4) else same,
                        "dilation": 2 if d == 5 else 1, "bias": d != 6, "groups": groups}  # fmt: skip
            kind = layers.Conv2d if word == "conv" else DoubledConv2d
            self.add(kind(c, c if groups > 1 else wide, kernel, **settings))
        elif word == "deconv":
            stride = 2 if d % 2 else 1
            extra = 1 if d == 3 else 0
            self.add(layers.ConvTranspose2d(c, wide, kernel, stride, min(same, d % 3), extra, bias=d != 6))
        elif word == "bn" and self.n * h * w >= 4:
            self.add(layers.BatchNorm2d(c))
        elif word == "pool" and self.last not in self.tied:
            settings = [(2,), (2,), (2, 2, 0, True), (3, 2, 1), (3, 1, 1), ((2, 3), (2, 3)), (2, 1)][d % 7]
            self.add(layers.MaxPool2d(*settings), ties=d % 7 in (3, 4, 6))
        elif word == "unpool":
            self.unpool(a)
        elif word in ("add", "concatenate", "crop"):
            self.join(word, a)
        else:
            self.plain_step(word, a, d)

    def plain_step(self, word, a, d):
        """Append a step that keeps or enlarges the map."""
        ties = word in ("nearest", "nails", "pad", "bilinear transpose", "bilinear", "dropout")
        scale = [2, (1, 2), (3, 1), 1][d % 4]
        made = {
            "relu": layers.ReLU, "leaky": LeakyReLU, "tanh": Tanh, "lrn": layers.LocalResponseNorm,
            "dropout": lambda: layers.Dropout([0.0, 0.3, 0.5][d % 3]), "scale": lambda: layers.Scale(0.5 + a / 8),
            "nearest": lambda: layers.UpsampleNearest(scale), "bilinear": lambda: layers.UpsampleBilinear(scale),
            "nails": lambda: layers.BedOfNails(scale), "pad": lambda: layers.Pad((a % 3, d % 3)),
            "bilinear transpose": lambda: layers.BilinearTranspose2d(2),
        }  # fmt: skip
        if word in made:
            self.add(made[word](), ties=ties)

    def unpool(self, a):
        """Undo a pooling, after a 1×1 convolution where the channels differ."""
        h, w, c = self.shapes[self.last]
        fitting = [name for name in self.pools if self.shapes[name][:2] == (h, w)]
        if fitting:
            pool = fitting[a % len(fitting)]
            if self.shapes[pool][2] != c:
                self.add(layers.Conv2d(c, self.shapes[pool][2], 1))
            name = self.net.add(f"s{len(self.net.steps)}", layers.MaxUnpool2d(), self.last, f"{pool}.switches")
            self.shapes[name], self.last = self.shapes[self.pools[pool]], name
            self.tied.add(name)

    def join(self, word, a):
        """Add, concatenate or crop with an earlier value."""
        h, w, c = self.shapes[self.last]
        others = [name for name, shape in self.shapes.items() if name != self.last and (
            shape == (h, w, c) if word == "add" else
            shape[:2] == (h, w) if word == "concatenate" else shape[0] <= h and shape[1] <= w
        )]  # fmt: skip
        if word == "crop" and a % 2:
            others = [name for name in others if self.shapes[name][:2] != (h, w)]
        if others:
            layer = {"add": layers.Add, "concatenate": layers.Concatenate, "crop": layers.Crop}[word]()
            self.add(layer, others[a % len(others)])


def build(case):
    """Return the network of a case, with random values in all parameters and running averages."""
    builder = Builder(case)
    for step in case["steps"]:
        builder.step(*step)
    if not builder.net.steps:
        builder.add(layers.Conv2d(case["channels"], 2, 1))
    net = builder.net.allocate(case["seed"], np.dtype(case["dtype"]))
    rng = np.random.default_rng(case["seed"])
    for parameter in net.parameters().values():
        if parameter.kind != "weight":
            parameter.value[...] = rng.uniform(0.4, 1.2, parameter.shape) * rng.choice([-1, 1], parameter.shape)
    for name, buffer in net.state().items():
        buffer.value[...] = rng.uniform(0.5, 1.5, buffer.value.shape) * (1 if name.endswith("var") else 0.3)
    return net.train(case["training"])
