"""Count what a training step does: multiply-adds, bytes and calls, and how long they take at this machine's rates.

    python benchmarks/counts.py [NAME …] [--repeats 15]

Prints a Markdown table with a row per network of ``scratchnet bench step --model all`` whose name contains one of the
words. The forward and the backward pass are captured, and the calls of their replay counted, without loss and update:

- multiply-adds: those of the direct convolution, and those that the replay makes (matrix products and ``einsum``);
- bytes: of all arrays that a call reads or writes, in a cache or not, except those of matrix products; ``einsum``
  accesses four values for every multiply-add;
- calls: of the core that makes the most; serial: the share of the time by count in which the other cores wait.

The time by count is the sum of three parts, each at a rate that one core reaches in the same minute: matrix products
by their smallest dimension, in stacks of 2 MB or more; bytes, in additions of arrays of 4 MB; calls on a single
element. Of a stage that several cores share, the slowest counts. It is no bound, but shows which of the three a network
consists of. The last columns are the measured time of both passes and its ratio to the time by count. All times are
the least of their repeats.
"""

import argparse
import timeit
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from math import prod
from typing import Any
from unittest import mock

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.harness.implementations import ScratchnetStep, build_scratchnet_step
from benchmarks.harness.network_cases import NetworkCase
from benchmarks.harness.step import WARM_UP, step_flops
from benchmarks.harness.table_cases import table_cases
from scratchnet.engine.capture import Call, Program
from scratchnet.engine.capture.capture import Capture

HEADINGS = (
    "case",
    "multiply-adds, direct",
    "made",
    "bytes",
    "calls",
    "ms of products",
    "ms of passes",
    "ms of calls",
    "serial",
    "by count",
    "measured",
    "ratio",
)

SIDES = (1, 2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 128, 256, 512)
"""Smallest dimensions of products whose rates are measured."""


@dataclass(frozen=True)
class Counts:
    """Multiply-adds, bytes and calls of a list of calls.

    Attributes
    ----------
    products : dict
        Multiply-adds by the largest of :data:`SIDES` that all three dimensions of the product have.
    other_multiply_adds : int
        Those of ``einsum``.
    moved_bytes, calls : int
        The bytes of products are not counted.
    """

    products: Counter[int] = field(default_factory=Counter)
    other_multiply_adds: int = 0
    moved_bytes: int = 0
    calls: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.products + other.products,
            self.other_multiply_adds + other.other_multiply_adds,
            self.moved_bytes + other.moved_bytes,
            self.calls + other.calls,
        )

    @property
    def multiply_adds(self) -> int:
        """All multiply-adds."""
        return self.products.total() + self.other_multiply_adds


@dataclass(frozen=True)
class Rates:
    """Seconds that one core needs.

    Attributes
    ----------
    products : dict
        For a multiply-add of a product, by the product's smallest dimension.
    moved_byte, call : float
        For a byte of a pass, and for a call.
    """

    products: Mapping[int, float]
    moved_byte: float
    call: float

    def parts(self, counts: Counts) -> tuple[float, float, float]:
        """Return the seconds of the products, of the bytes and of the calls."""
        products = sum(count * self.products[side] for side, count in counts.products.items())
        return products, counts.moved_bytes * self.moved_byte, counts.calls * self.call


def count_call(call: Call) -> Counts:
    """Count what one recorded call does.

    >>> count_call(partial(np.add, np.ones(6, "f4"), np.ones(6, "f4"), np.ones(6, "f4"))).moved_bytes
    72
    >>> count_call(partial(np.matmul, np.ones((5, 2, 3)), np.ones((3, 4)), np.ones((5, 2, 4)))).products
    Counter({2: 120})
    """
    arrays, function = list(_arrays(call)), getattr(getattr(call, "func", None), "__name__", "")
    if function == "matmul":
        inner = arrays[0].shape[-1]
        smallest = min(inner, *(_matrix_shape(array)[k] for array, k in ((arrays[0], 0), (arrays[1], 1))))
        return Counts(Counter({_side(smallest): arrays[-1].size * inner}), calls=1)
    if function == "_einsum":
        multiply_adds = _einsum_multiply_adds(call.args[0], arrays)  # type: ignore[attr-defined]
        return Counts(Counter(), multiply_adds, 4 * multiply_adds * arrays[-1].itemsize, 1)
    return Counts(Counter(), 0, sum(array.size * array.itemsize for array in arrays), 1)


def _matrix_shape(array: Any) -> tuple[int, int]:
    """Return rows and columns; a vector is a single row on the left, and a single column on the right."""
    return (1, 1) if array.ndim == 1 else array.shape[-2:]


def _side(dimension: int) -> int:
    return max(side for side in SIDES if side <= dimension)


def _arrays(value: Any) -> Iterator[Any]:
    """Yield the arrays among the arguments of a call, also of a call that is an argument; ``out`` comes last."""
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, partial):
        yield from _arrays(value.args)
        yield from _arrays(tuple(value.keywords.values()))
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _arrays(item)


def _einsum_multiply_adds(subscripts: str, arrays: list[Any]) -> int:
    inputs = subscripts.partition("->")[0].split(",")
    sizes: dict[str, int] = {}
    for letters, array in zip(inputs, arrays[:-1], strict=True):
        sizes |= zip(letters, array.shape, strict=True)
    return prod(sizes.values())


def count_program(program: Program, rates: Rates) -> tuple[Counts, Counts, float]:
    """Return what all cores do, what the slowest core of each stage does, and the seconds of unshared stages."""
    everything, slowest, serial = Counts(), Counts(), 0.0
    for stage in program.stages:
        lists = [sum((count_call(call) for call in calls), Counts()) for calls in stage]
        longest = max(lists, key=lambda counts: sum(rates.parts(counts)))
        everything, slowest = sum(lists, everything), slowest + longest
        serial += sum(rates.parts(longest)) if len(stage) == 1 else 0.0
    return everything, slowest, serial


def seconds(call: Callable[[], object], repeats: int) -> float:
    """Return the least time of a call."""
    return min(timeit.repeat(call, number=1, repeat=repeats))


def measure_rates() -> Rates:
    """Measure the rates of one core."""
    length, count = 1 << 20, 1000
    x, y = np.ones((2, length), np.float32)
    zero = np.zeros(1, np.float32)
    with threadpool_limits(1):
        products = {side: _product_rate(side) for side in SIDES}
    call = seconds(lambda: [np.add(zero, zero, zero) for _ in range(count)], 15) / count
    addition = seconds(partial(np.add, x, x, y), 15) - call
    return Rates(products, addition / (3 * length * x.itemsize), call)


def _product_rate(side: int) -> float:
    """Return the seconds of a multiply-add in a stack of products with one small dimension, of 2 MB or more."""
    rows, inner, columns, stack = (side, side, 2048, 32) if side < 16 else (128, side, side, 36)
    if side == 1:
        rows, inner, columns, stack = 1, 2048, 32, 8
    a = np.ones((rows, inner) if side < 16 else (stack, rows, inner), np.float32)
    b = np.ones((stack, inner, columns), np.float32)
    out = np.ones((stack, rows, columns), np.float32)
    return seconds(partial(np.matmul, a, b, out=out), 15) / (out.size * inner)


@contextmanager
def replayed_programs() -> Iterator[list[Program]]:
    """Collect the programs that are replayed in this block."""
    programs: list[Program] = []
    usual = Capture.run

    def run(capture: Capture, program: Program) -> None:
        programs.append(program)
        usual(capture, program)

    with mock.patch.object(Capture, "run", run):
        yield programs


def captured_programs(step: ScratchnetStep) -> list[Program]:
    """Return the forward and the backward program of a step."""
    for _ in range(WARM_UP):
        step.gradients()
    with replayed_programs() as programs:
        step.gradients()
    return programs


def measure_passes(step: ScratchnetStep, repeats: int) -> float:
    """Return the least time of a forward and a backward pass in seconds."""
    dlogits = step.loss(step.captured.forward(step.batch.x), step.batch.target)[1]

    def both() -> None:
        step.captured.forward(step.batch.x)
        step.captured.backward(dlogits, add=False)

    both()
    return seconds(both, repeats)


def row(case: NetworkCase, repeats: int) -> str:
    """Count and measure a case, and return its row."""
    step, rates = build_scratchnet_step(case, "sgd"), measure_rates()
    everything, slowest, serial = Counts(), Counts(), 0.0
    for program in captured_programs(step):
        of_all, of_slowest, unshared = count_program(program, rates)
        everything, slowest, serial = everything + of_all, slowest + of_slowest, serial + unshared
    parts = rates.parts(slowest)
    by_count, measured = sum(parts), measure_passes(step, repeats)
    cells = [
        case.name,
        f"{step_flops(case) / 2e9:.2f} G",
        f"{everything.multiply_adds / 1e9:.2f} G",
        f"{everything.moved_bytes / 1e9:.2f} GB",
        f"{slowest.calls:,}",
        *(f"{1e3 * part:.1f}" for part in parts),
        f"{serial / by_count:.0%}",
        f"{1e3 * by_count:.0f} ms",
        f"{1e3 * measured:.0f} ms",
        f"{measured / by_count:.2f}",
    ]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Print the rates and the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--repeats", type=int, default=15)
    a = parser.parse_args()
    rates = measure_rates()
    print(f"one core: {1e-9 / rates.moved_byte:.0f} GB a second, {1e6 * rates.call:.2f} µs a call")
    by_side = ", ".join(f"{side}: {1e-9 / rate:.1f}" for side, rate in rates.products.items())
    print(f"billion multiply-adds a second, by the product's smallest dimension: {by_side}\n")
    print("| " + " | ".join(HEADINGS) + " |")
    print("|---" * len(HEADINGS) + "|")
    for case in table_cases():
        if not a.names or any(name in case.name for name in a.names):
            print(row(case, a.repeats), flush=True)


if __name__ == "__main__":
    main()
