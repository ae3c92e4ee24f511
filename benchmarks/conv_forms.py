"""Measure what each form of a convolution saves: processor time of one core, beside the direct sum and PyTorch.

    python benchmarks/conv_forms.py [NAME …] [--repeats 7] [--batch 4]

Prints a Markdown table with a row per convolution of ``scratchnet bench ops`` whose name contains one of the words: the
time of the form that is chosen, that of the direct sum (``scratchnet.precise()``), and the ratio to the faster of
PyTorch's two layouts, forward and backward. The calls alternate and each figure is the least processor time of its
repeats, so that other programs on the machine disturb it little.
"""

import argparse
import os
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

from benchmarks.harness import scratchnet_ops, torch_ops
from benchmarks.harness.op_cases import OpCase, build_op_cases, select_op_cases
from scratchnet import precise

PARTS = "forward", "backward"


def least_times(calls: Sequence[Callable[[], Any]], repeats: int) -> list[float]:
    """Return the least processor time of each call, in milliseconds; the calls take turns."""
    for call in calls:
        call()
    found = [float("inf")] * len(calls)
    for _ in range(repeats):
        for i, call in enumerate(calls):
            begin = time.process_time()
            call()
            found[i] = min(found[i], 1000 * (time.process_time() - begin))
    return found


def row(case: OpCase, repeats: int, torch: bool) -> str:
    """Measure a case and return its row."""
    forms = [scratchnet_ops.implement(case)]
    with precise():
        forms.append(scratchnet_ops.implement(case))
    if torch:
        forms += [torch_ops.implement(case, channels_last) for channels_last in (False, True)]
    cells = []
    for part in PARTS:
        chosen, direct, *others = least_times([form.parts[part] for form in forms], repeats)
        ratio = f" | {chosen / min(others):.2f}" if others else ""
        cells.append(f"{chosen:.1f} ms | {direct:.1f} ms{ratio}")
    return f"| {case.name} | " + " | ".join(cells) + " |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--batch", type=int, default=4)
    a = parser.parse_args()
    os.environ["SCRATCHNET_THREADS"] = "1"
    torch = find_spec("torch") is not None
    if torch:
        import torch as library

        library.set_num_threads(1)
    columns = [f"{part}{extra}" for part in PARTS for extra in ("", ", direct", ", of PyTorch")[: 2 + torch]]
    print("| layer | " + " | ".join(columns) + " |")
    print("|---" * (1 + len(columns)) + "|")
    found = [case for case in build_op_cases(a.batch) if case.kind in ("conv", "deconv")]
    for case in select_op_cases(found, a.names):
        print(row(case, a.repeats, torch), flush=True)


if __name__ == "__main__":
    main()
