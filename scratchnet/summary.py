"""A network's table: shapes, numbers learned, work and memory of every step, counted from shapes alone."""

from dataclasses import dataclass
from math import prod

from scratchnet.layers.base import Shape
from scratchnet.layers.pooling import MaxPool2d
from scratchnet.network import Network
from scratchnet.network.joining import joins, not_kept
from scratchnet.network.recomputing import peak_bytes, plan
from scratchnet.ops.geometry import Pair


@dataclass(frozen=True)
class Row:
    """One step: what it is, what it makes, and what that costs."""

    name: str
    layer: str
    shape: Shape
    parameters: int
    products: int
    activation_bytes: int
    switch_bytes: int
    memory: str = ""
    """What to say where there are no bytes."""


@dataclass(frozen=True)
class Summary:
    """The rows of a network and their sums.

    ``flops`` counts a multiply-add of the matrix products as two; ``activation_bytes`` is what a training step keeps of
    its values, in float32: a ReLU that the step before it does, or that overwrites its input, adds nothing, nor does
    what is made again or not wanted any more (:mod:`scratchnet.network.joining`); switches are counted as one byte a
    window.
    """

    rows: tuple[Row, ...]
    input_shape: Shape

    @property
    def parameters(self) -> int:
        """Numbers learned."""
        return sum(row.parameters for row in self.rows)

    @property
    def flops(self) -> int:
        """Floating-point operations of the forward pass's products."""
        return 2 * sum(row.products for row in self.rows)

    @property
    def activation_bytes(self) -> int:
        """Memory of the values that a training step keeps, float32."""
        return sum(row.activation_bytes for row in self.rows)

    @property
    def switch_bytes(self) -> int:
        """Memory of all switches."""
        return sum(row.switch_bytes for row in self.rows)

    def text(self) -> str:
        """Return the table."""
        head = ("step", "layer", "output (n, h, w, c)", "parameters", "MFLOP", "memory MB")
        lines = [("input", "", str(self.input_shape), "", "", f"{4 * prod(self.input_shape) / 1e6:.2f}")]
        for row in self.rows:
            memory = f"{row.activation_bytes / 1e6:.2f}" if row.activation_bytes else row.memory
            if row.switch_bytes:
                memory += f" + {row.switch_bytes / 1e6:.2f}"
            lines.append(
                (
                    row.name,
                    row.layer,
                    str(row.shape),
                    f"{row.parameters:,}" if row.parameters else "",
                    f"{2 * row.products / 1e6:,.1f}" if row.products else "",
                    memory,
                )
            )
        widths = [max(len(line[i]) for line in [head, *lines]) for i in range(len(head))]
        layout = "{:<%d}  {:<%d}  {:<%d}  {:>%d}  {:>%d}  {:>%d}" % tuple(widths)  # noqa: UP031
        table = "\n".join(layout.format(*line).rstrip() for line in [head, tuple("-" * w for w in widths), *lines])
        return (
            f"{table}\n\n{self.parameters:,} parameters, {self.flops / 1e9:.3f} GFLOP forward, "
            f"{self.activation_bytes / 1e6:.1f} MB of activations, {self.switch_bytes / 1e6:.2f} MB of switches "
            "(one byte a window)"
        )


def summarize(network: Network, size: Pair, n: int = 1) -> Summary:
    """Count what ``network`` costs on ``n`` images of ``size`` (h, w). Nothing is allocated.

    Raises
    ------
    ValueError
        When the size does not fit the network.
    """
    shapes, in_place = network.shapes(size, n), {id(relu) for relu, _ in joins(network.steps)}
    free = not_kept(network.steps, again=True)
    rows = []
    for step in network.steps:
        shape = shapes[step.name]
        rows.append(
            Row(
                step.name,
                step.layer.describe(),
                shape,
                sum(p.size for p in step.layer.parameters.values()),
                step.layer.products(*(shapes[name] for name in step.inputs)),
                0 if id(step.layer) in in_place or step.name in free else 4 * prod(shape),
                prod(shape) if isinstance(step.layer, MaxPool2d) else 0,
                "in place" if id(step.layer) in in_place else "not kept",
            )
        )
    return Summary(tuple(rows), shapes["input"])


SIDES = (32, 64, 128, 256, 512, 1024)
"""Sides of the input that a table is made for: the smallest one that fits, brought to a multiple of the stride."""


def table(network: Network) -> str:
    """Return the table of a network for its fixed size, or for the smallest usual size that it takes.

    The names of steps and layers alone where no usual size fits.
    """
    stride = network.stride
    sides = (-(-side // stride) * stride + 2 * network.border for side in SIDES)
    for size in [network.fixed_size] if network.fixed_size else [(side, side) for side in sides]:
        try:
            return summarize(network, size).text() if network.steps else repr(network)
        except (ValueError, NotImplementedError, AttributeError):  # also of a layer that does not know its shapes
            continue
    lines = [f"{step.name}  {step.layer.describe()}  ← {', '.join(step.inputs)}" for step in network.steps]
    return "\n".join([*lines, repr(network)])


def training_memory(network: Network, size: Pair, n: int = 1) -> str:
    """Return a line on what values and gradients take at the worst moment of a training step on ``n`` images.

    Counted from shapes, float32, with a ReLU over its input; parameters, what the optimiser remembers and the scratch
    memory of the operations come on top. :mod:`scratchnet.network.recomputing` tells what is recomputed.
    """
    ordinary, held = network.held(size, n, again=True), network.held(size, n)
    segments = plan(held)
    before, after = peak_bytes(ordinary, (range(len(ordinary)),)), peak_bytes(held, segments)
    return (
        f"a training step on {n} image{'s' * (n > 1)}: {before / 1e6:,.1f} MB of values and gradients at its worst "
        f"moment, {after / 1e6:,.1f} MB with recompute ({len(segments)} segments)"
    )
