"""Exercises of lesson 12: a layer with two inputs, a backward walk through a list of steps, momentum."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from scratchnet.arrays import Array
from scratchnet.exercises.exercise import Case, Exercise, GradientCheck, Mistake

Step = tuple[str, str, list[str]]


def product(a: Array, b: Array) -> Array:
    """Return a · b element by element; a is (n, h, w, c), and b is (n, h, w, c) or (n, 1, 1, c).

    In the second case every channel of every image has one factor for all its pixels.
    """
    return a * b


def product_backward(dy: Array, a: Array, b: Array) -> tuple[Array, Array]:
    """Return da and db with the shapes of a and b, given the upstream gradient dy (n, h, w, c).

    The gradient with respect to one factor is dy times the other factor. A factor (n, 1, 1, c) is used by every pixel,
    so its gradient is the sum over all pixels of the channel.
    """
    db = dy * a
    if b.shape != a.shape:
        db = db.sum(axis=(1, 2), keepdims=True)
    return dy * b, db


def forward(x: Array, steps: list[tuple[str, str, list[str]]]) -> dict[str, Array]:
    """Return the values of all steps by name, and x under the name "input".

    A step is (name, kind, names of its inputs). The kinds are "double": 2·a, "square": a·a, "sum": a + b and
    "product": a·b, all element by element. An input is "input" or the name of an earlier step.
    """
    values = {"input": x}
    for name, kind, inputs in steps:
        a, b = values[inputs[0]], values[inputs[-1]]
        values[name] = {"double": 2 * a, "square": a * a, "sum": a + b, "product": a * b}[kind]
    return values


def backward(dy: Array, values: dict[str, Array], steps: list[tuple[str, str, list[str]]]) -> dict[str, Array]:
    """Return the gradients with respect to all values, by name, "input" included.

    dy is the gradient with respect to the value of the last step; ``values`` is the result of forward. Walk through the
    steps from the last to the first. The gradients of a value that is used more than once are added; that of a value
    that is never used is zero.
    """
    gradients = {name: np.zeros_like(value) for name, value in values.items()}
    gradients[steps[-1][0]] = dy
    for name, kind, inputs in reversed(steps):
        d, a, b = gradients[name], values[inputs[0]], values[inputs[-1]]
        parts = {"double": (2 * d,), "square": (2 * a * d,), "sum": (d, d), "product": (b * d, a * d)}[kind]
        for i, part in zip(inputs, parts, strict=True):
            gradients[i] = gradients[i] + part
    return gradients


def sgd_momentum(weights: Array, gradients: Array, rates: Array, momentum: float) -> Array:
    """Return the weights (n,) after one update with each of the gradients (t, n) and learning rates (t,).

    The velocity v starts with zeros. Every update changes it first, and then the weights:

        v ← momentum · v + gradient
        weights ← weights − rate · v
    """
    velocity = np.zeros_like(weights)
    for gradient, rate in zip(gradients, rates, strict=True):
        velocity = momentum * velocity + gradient
        weights = weights - rate * velocity
    return weights


BY_HAND: tuple[Step, ...] = (
    ("double", "double", ["input"]),
    ("square", "square", ["input"]),
    ("sum", "sum", ["double", "square"]),
)
GRAPHS: dict[str, tuple[Step, ...]] = {
    "the case by hand, 2x + x²": BY_HAND,
    "a product": (("a", "double", ["input"]), ("b", "square", ["a"]), ("y", "product", ["a", "b"])),
    "a value used three times": (*BY_HAND, ("y", "product", ["sum", "input"])),
    "a skip over several steps": (
        ("a", "square", ["input"]),
        ("b", "double", ["a"]),
        ("c", "square", ["b"]),
        ("d", "sum", ["c", "a"]),
        ("e", "product", ["d", "b"]),
        ("f", "square", ["e"]),
    ),
    "a step with the same input twice": (("a", "double", ["input"]), ("y", "product", ["a", "a"])),
    "a value that is not used": (("a", "square", ["input"]), ("b", "double", ["a"]), ("y", "square", ["a"])),
}


def _product_cases(rng: np.random.Generator) -> Iterator[Case]:
    for name, count in (("product", 0), ("product_backward", 1)):
        hand = [np.array(values).reshape(1, 1, 2, 1) for values in ([10.0, 100], [2.0, 3], [4.0, 5])]
        yield Case(name, tuple(hand[1 - count :]), "the case by hand")
        for shape, words in (((2, 3, 4, 3), "two maps"), ((2, 1, 1, 3), "one factor per image and channel")):
            yield Case(name, (*rng.standard_normal((1 + count, 2, 3, 4, 3)), rng.standard_normal(shape)), words)


def _walk_cases(rng: np.random.Generator) -> Iterator[Case]:
    inputs = {words: rng.standard_normal((2, 3)) for words in GRAPHS} | {next(iter(GRAPHS)): np.array([3.0])}
    for words, steps in GRAPHS.items():
        yield Case("forward", (inputs[words], list(steps)), words)
    for words, steps in GRAPHS.items():
        x = inputs[words]
        dy = np.ones(1) if x.size == 1 else rng.standard_normal(x.shape)
        yield Case("backward", (dy, forward(x, list(steps)), list(steps)), words)


def _momentum_cases(rng: np.random.Generator) -> Iterator[Case]:
    hand = np.array([0.0]), np.array([[1.0], [1], [1]]), np.array([0.1, 0.1, 0.1]), 0.5
    yield Case("sgd_momentum", hand, "the case by hand")
    weights, gradients = rng.standard_normal(4), rng.standard_normal((3, 4))
    yield Case("sgd_momentum", (weights, gradients, np.full(3, 0.1), 0.9), "three updates")
    yield Case("sgd_momentum", (weights, gradients, np.full(3, 0.1), 0.0), "no momentum")
    yield Case("sgd_momentum", (weights, gradients, np.array([0.1, 0.01, 0.5]), 0.9), "learning rates that change")


def _two_maps(rng: np.random.Generator) -> tuple[Any, ...]:
    return rng.standard_normal((2, 3, 2, 2)), rng.standard_normal((2, 3, 2, 2))


def _map_and_factors(rng: np.random.Generator) -> tuple[Any, ...]:
    return rng.standard_normal((2, 3, 2, 2)), rng.standard_normal((2, 1, 1, 2))


def _own_factor(dy: Array, a: Array, b: Array) -> tuple[Array, Array]:
    da, db = product_backward(dy, b + 0 * a, a)
    return da, db if b.shape == a.shape else db.sum(axis=(1, 2), keepdims=True)


def _mean_over_pixels(dy: Array, a: Array, b: Array) -> tuple[Array, Array]:
    da, db = product_backward(dy, a, b)
    return da, db if b.shape == a.shape else db / (a.shape[1] * a.shape[2])


def _walk(dy: Array, values: Mapping[str, Array], steps: Sequence[Step], rule: str) -> dict[str, Array]:
    """Walk backwards with one rule broken."""
    gradients = {name: np.zeros_like(value) for name, value in values.items()}
    gradients[steps[-1][0]] = dy
    for name, kind, inputs in steps if rule == "forwards" else reversed(steps):
        d, a, b = gradients[name], values[inputs[0]], values[inputs[-1]]
        slope = a if rule == "slope" else 2 * a
        swapped = (a * d, b * d) if rule == "own" else (b * d, a * d)
        parts = {"double": (2 * d,), "square": (slope * d,), "sum": (d, d), "product": swapped}[kind]
        for i, part in zip(inputs, parts, strict=True):
            gradients[i] = part if rule == "replace" else gradients[i] + part
    return gradients


def _averaged(weights: Array, gradients: Array, rates: Array, momentum: float) -> Array:
    return sgd_momentum(weights, (1 - momentum) * gradients, rates, momentum)


def _rate_inside(weights: Array, gradients: Array, rates: Array, momentum: float) -> Array:
    return sgd_momentum(weights, rates[:, None] * gradients, np.ones_like(rates), momentum)


def _previous_velocity(weights: Array, gradients: Array, rates: Array, momentum: float) -> Array:
    velocity = np.zeros_like(weights)
    for gradient, rate in zip(gradients, rates, strict=True):
        weights = weights - rate * velocity
        velocity = momentum * velocity + gradient
    return weights


EXERCISES = (
    Exercise(
        "12_product",
        "A layer for the product of two inputs",
        "A layer with two inputs has two gradients. Write the product of two maps, and of a map and one factor for "
        "each image and channel.",
        (product, product_backward),
        _product_cases,
        (
            Mistake(
                "Yours multiplies dy by the factor itself; the gradient with respect to a is dy · b, and conversely.",
                {"product_backward": _own_factor},
            ),
            Mistake(
                "Yours ignores dy; by the chain rule every gradient is multiplied by the upstream gradient.",
                {"product_backward": lambda dy, a, b: product_backward(np.ones_like(dy), a, b)},
            ),
            Mistake(
                "Your db is a mean over the pixels; a factor that is used by every pixel gets the sum.",
                {"product_backward": _mean_over_pixels},
            ),
            Mistake(
                "Your db has the shape of a; sum over the pixels that use the factor, with keepdims=True.",
                {"product_backward": lambda dy, a, b: (dy * b, dy * a)},
            ),
        ),
        (
            "In a · b, b is the slope with respect to a.",
            "db.sum(axis=(1, 2), keepdims=True) has the shape (n, 1, 1, c).",
        ),
        results={"product_backward": ("da", "db")},
        gradients=(
            GradientCheck("product", "product_backward", _two_maps, (0, 1), ("da", "db")),
            GradientCheck("product", "product_backward", _map_and_factors, (0, 1), ("da", "db")),
        ),
    ),
    Exercise(
        "12_walk",
        "A list of steps, forwards and backwards",
        "A network is a list of named steps. Walk down the list to compute the values, and up again to compute the "
        "gradients. A value that is used more than once gets the sum of its gradients.",
        (forward, backward),
        _walk_cases,
        (
            Mistake(
                "The last gradient of a value replaces the earlier ones in yours; they are added.",
                {"backward": lambda dy, values, steps: _walk(dy, values, steps, "replace")},
            ),
            Mistake(
                "Yours walks in the order of the list; a step needs the gradients of all steps after it.",
                {"backward": lambda dy, values, steps: _walk(dy, values, steps, "forwards")},
            ),
            Mistake(
                "Your slope of a square is a; that of a·a is 2a.",
                {"backward": lambda dy, values, steps: _walk(dy, values, steps, "slope")},
            ),
            Mistake(
                "Your product multiplies by the factor itself; the slope with respect to a factor is the *other* one.",
                {"backward": lambda dy, values, steps: _walk(dy, values, steps, "own")},
            ),
            Mistake(
                'Yours returns the steps without x; it belongs to the values, under the name "input".',
                {"forward": lambda x, steps: {k: v for k, v in forward(x, steps).items() if k != "input"}},
            ),
        ),
        (
            "Begin with a dictionary of zeros for every value, and dy for the last.",
            "reversed(steps) walks up the list. Write gradients[i] = gradients[i] + part for every input i.",
        ),
        results={"forward": ("values",), "backward": ("gradients",)},
    ),
    Exercise(
        "12_momentum",
        "Gradient descent with momentum",
        "The steps keep going in a direction that has proved good. The learning rate may differ from update to update.",
        (sgd_momentum,),
        _momentum_cases,
        (
            Mistake(
                "Yours has no momentum; the velocity keeps a share of the earlier gradients.",
                {"sgd_momentum": lambda weights, gradients, rates, _: sgd_momentum(weights, gradients, rates, 0.0)},
            ),
            Mistake(
                "Yours multiplies the gradient by 1 − momentum; here it is added whole.", {"sgd_momentum": _averaged}
            ),
            Mistake(
                "Your velocity contains the learning rate; then old steps keep their old rate. Multiply by it last.",
                {"sgd_momentum": _rate_inside},
            ),
            Mistake(
                "Yours moves the weights before the velocity; the new gradient belongs to the step.",
                {"sgd_momentum": _previous_velocity},
            ),
            Mistake(
                "Yours adds the step; the loss falls *against* the gradient.",
                {"sgd_momentum": lambda weights, gradients, rates, mu: sgd_momentum(weights, gradients, -rates, mu)},
            ),
        ),
        ("With momentum 0.5 and gradients of 1, the velocity is 1, 1.5, 1.75.",),
    ),
)
