"""Table of a network: shapes, parameters, operations and memory of every step, computed from shapes alone."""

from dataclasses import dataclass
from math import prod

from scratchnet.layers.base import Shape
from scratchnet.network import Network
from scratchnet.network.checkpointing import choose_segments, peak_bytes
from scratchnet.network.fusion import plan
from scratchnet.ops.geometry import Pair


@dataclass(frozen=True)
class Row:
    """One step: its layer, output shape and cost."""

    name: str
    layer: str
    shape: Shape
    parameters: int
    products: int
    activation_bytes: int
    switch_bytes: int
    memory: str = ""
    """Text shown if the step keeps no bytes."""


@dataclass(frozen=True)
class Summary:
    """The rows of a network and their sums.

    ``flops`` counts a multiply-add of the matrix products as two; ``activation_bytes`` counts the values
    that a training step keeps, in float32. A ReLU that is fused into the previous step or works in place adds nothing,
    nor do values that are recomputed or not needed again (:mod:`scratchnet.network.fusion`). Switches count as one
    byte per window.
    """

    rows: tuple[Row, ...]
    input_shape: Shape

    @property
    def parameters(self) -> int:
        """Number of parameters."""
        return sum(row.parameters for row in self.rows)

    @property
    def flops(self) -> int:
        """Floating-point operations of the forward pass's multiply-adds."""
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
    """Compute the cost of ``network`` on ``n`` images of ``size`` (h, w) without allocating memory.

    Raises
    ------
    ValueError
        If the size does not fit the network.
    """
    shapes, fusion = network.shapes(size, n), plan(network.steps, recompute_inputs=True)
    rows = []
    for number, step in enumerate(network.steps):
        shape, in_place = shapes[step.name], fusion[number].makes_no_array
        rows.append(
            Row(
                step.name,
                step.layer.describe(),
                shape,
                sum(p.size for p in step.layer.parameters.values()),
                step.layer.multiply_adds(*(shapes[name] for name in step.inputs)),
                0 if in_place or fusion[number].output_unsaved else 4 * prod(shape),
                step.layer.extra_bytes(*(shapes[name] for name in step.inputs)),
                "in place" if in_place else "not kept",
            )
        )
    return Summary(tuple(rows), shapes["input"])


SIDES = (32, 64, 128, 256, 512, 1024)
"""Input sides tried for a table, rounded up to a multiple of the stride; the smallest valid one is used."""


def table(network: Network) -> str:
    """Return the table of a network for its fixed size, or for the smallest valid size in `SIDES`.

    If no size is valid, the table lists only the names of steps and layers.
    """
    stride = network.stride
    sides = (-(-side // stride) * stride + 2 * network.valid_margin for side in SIDES)
    for size in [network.fixed_size] if network.fixed_size else [(side, side) for side in sides]:
        try:
            return summarize(network, size).text() if network.steps else repr(network)
        except (ValueError, NotImplementedError, AttributeError):  # also raised by layers without output_shape
            continue
    lines = [f"{step.name}  {step.layer.describe()}  ← {', '.join(step.inputs)}" for step in network.steps]
    return "\n".join([*lines, repr(network)])


def training_memory(network: Network, size: Pair, n: int = 1) -> str:
    """Return a line with the peak memory of values and gradients in a training step on ``n`` images.

    Computed from shapes, in float32, with in-place ReLUs. Parameters, the optimiser's state and the scratch memory of
    the operations are extra. See :mod:`scratchnet.network.checkpointing` for the values that are recomputed.
    """
    ordinary, saving = network.step_memory(size, n, recompute_inputs=True), network.step_memory(size, n)
    segments = choose_segments(saving)
    before, after = peak_bytes(ordinary, (range(len(ordinary)),)), peak_bytes(saving, segments)
    return (
        f"a training step on {n} image{'s' * (n > 1)}: {before / 1e6:,.1f} MB of values and gradients at its worst "
        f"moment, {after / 1e6:,.1f} MB with activation checkpointing ({len(segments)} segments)"
    )
