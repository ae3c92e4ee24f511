"""Times of all convolution algorithms on a GPU, by layer and precision, and the thresholds for selecting one.

    python benchmarks/gpu_forms.py forms.json --use

The thresholds minimise the time of the selected algorithms relative to the fastest algorithm of each layer, averaged
over the layers. With ``--use`` they are written to the package's table, ``engine/cuda/conv_algorithm.json``. In the
output, an asterisk marks the algorithm that the present table selects. The implicit algorithm has no gradient with
respect to the weight; its column shows that of the matrix product. cuDNN's times are printed, too, if PyTorch is
installed.
"""

import argparse
import itertools
import json
import math
from dataclasses import asdict
from pathlib import Path
from statistics import median

import cupy
import numpy as np

from benchmarks import gpu_peers
from benchmarks.harness.machine import run_info
from scratchnet.engine.cuda import conv_algorithm, convolution
from scratchnet.engine.cuda.conv_algorithm import Algorithm, Thresholds
from scratchnet.engine.modes import MatrixPrecision, matrix_precision
from scratchnet.ops.geometry import ConvSpec

LAYERS = [
    (16, 224, 64, 64), (16, 112, 64, 128), (16, 112, 128, 128), (16, 56, 256, 256), (16, 28, 512, 512),
    (16, 14, 512, 512), (1, 28, 512, 512), (4, 14, 512, 512),
    (16, 224, 3, 64), (16, 224, 64, 3), (16, 224, 8, 8), (16, 112, 16, 16), (16, 112, 32, 32),
    (1, 112, 64, 64), (1, 56, 64, 64), (16, 56, 64, 64),
]  # fmt: skip
"""Images, side, input and output channels: the paper's 3×3 convolutions, layers with few channels, small maps."""

FORMS = (Algorithm.IMPLICIT, Algorithm.SHIFTED, Algorithm.WINOGRAD, Algorithm.COLUMNS)

PRECISIONS: tuple[MatrixPrecision, ...] = ("float32", "tf32", "bf16")

NEVER = 1 << 30

TRIED = {
    "min_winograd_channels": (32, 8, 16, 64, 128, 256, NEVER),
    "min_winograd_tiles": (256, 1, 128, 1024),
    "max_implicit_channels": (64, 0, 4, 8, 16, 32, 128),
    "min_implicit_tiles": (264, 1, 32, 128),
    "min_shifted_elements": (24, 0, 48, 96, 192, 768, NEVER),
}
"""Candidate thresholds; the first one is the estimate, which is used unless another is faster."""

CONV = ConvSpec((3, 3), (1, 1), (1, 1), (1, 1), 1)


def main():
    """Measure, print and write; with ``--use``, update the package's table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", help="where to write all times and the thresholds")
    parser.add_argument("--use", action="store_true", help="make the thresholds those of the package")
    arguments = parser.parse_args()
    gpu = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
    content = {"about": f"Measured on {gpu}, {run_info()['date']}.", "gpu": gpu, "rows": []}
    print("milliseconds: forward, gradient with respect to weight, to input; * marks the selected algorithm")
    for layer in LAYERS:
        rows = measure_layer(*layer)
        peers = list(gpu_peers.measure_layer(*layer, PRECISIONS))
        for row in peers:
            say(row)
        content["rows"] += rows + peers
        cupy.get_default_memory_pool().free_all_blocks()
        write(arguments.file, content)
    content["thresholds"] = {name: asdict(fit(content["rows"], name)) for name in PRECISIONS}
    write(arguments.file, content)
    print(json.dumps(content["thresholds"], indent=1))
    if arguments.use:
        write(
            Path(conv_algorithm.__file__).with_name(conv_algorithm.TABLE),
            {key: value for key, value in content.items() if key != "rows"},
        )


def write(file, content):
    """Write a JSON file."""
    Path(file).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def measure_layer(n, size, c, c_out):
    """Return and print the times of each algorithm in each precision."""
    shapes = (n, size, size, c), (n, size, size, c_out), (3, 3, c, c_out), (c_out,)
    rng = np.random.default_rng(0)  # a GPU multiplies zeros at a higher clock
    x, dy, weight, bias = (cupy.asarray(rng.standard_normal(shape, dtype="float32")) for shape in shapes)
    choose = convolution.choose  # type: ignore[attr-defined]
    calls = (
        lambda: convolution.conv2d(x, weight, bias, 1, 1),
        lambda: convolution.conv2d_weight_gradient(dy, x, weight, 1, 1),
        lambda: convolution.conv2d_input_gradient(dy, weight, (size, size), 1, 1),
    )
    rows = []
    for precision, form in itertools.product(PRECISIONS, FORMS):
        with matrix_precision(precision):
            usual = choose(x, weight, CONV, (size, size))
            convolution.choose = lambda *_, form=form: form  # type: ignore[attr-defined]
            try:
                times = [milliseconds(call) for call in calls]
            finally:
                convolution.choose = choose  # type: ignore[attr-defined]
        row = {"layer": [n, size, c, c_out], "precision": precision, "form": form.name, "milliseconds": times}
        say(row, " *" * (form is usual))
        rows.append(row)
    return rows


def say(row, remark=""):
    """Print a row."""
    (n, size, c, c_out), times = row["layer"], " ".join(f"{t:8.3f}" for t in row["milliseconds"])
    print(f"{n:3}×{size:<4} {c:4} → {c_out:<4} {row['precision']:8} {row['form']:20} {times}{remark}", flush=True)


def milliseconds(call, repeats=5):
    """Return the median time of a call by CUDA events, without the first call."""
    times = []
    for _ in range(repeats + 1):
        begin, end = cupy.cuda.Event(), cupy.cuda.Event()
        begin.record()
        call()
        end.record()
        end.synchronize()
        times.append(cupy.cuda.get_elapsed_time(begin, end))
    return median(times[1:])


def fit(rows, precision):
    """Return the thresholds that minimise the mean over layers of log(time / fastest time)."""
    layers: dict[tuple[int, ...], dict[Algorithm, list[float]]] = {}
    for row in rows:
        if row["precision"] == precision and row["form"] in Algorithm.__members__:
            layers.setdefault(tuple(row["layer"]), {})[Algorithm[row["form"]]] = row["milliseconds"]
    best, least = None, math.inf
    with matrix_precision(precision):
        for values in itertools.product(*TRIED.values()):
            given = Thresholds(*values)
            cost = sum(math.log(taken(layer, times, given) / quickest(times)) for layer, times in layers.items())
            if cost < least - 1e-9:
                best, least = given, cost
    return best


def taken(layer, times, given):
    """Return the time of a layer's three products with the algorithms that the thresholds select."""
    n, size, c, c_out = layer
    there, back = (chosen(n, size, *channels, given) for channels in ((c, c_out), (c_out, c)))
    by_weight = conv_algorithm.choose_products(CONV, c, given) if there is Algorithm.IMPLICIT else there
    return times[there][0] + times[by_weight][1] + times[back][2]


def chosen(n, size, c, c_out, given):
    """Return the algorithm that the thresholds select."""
    x = np.broadcast_to(np.float32(0), (n, size, size, c))  # shapes without memory
    weight = np.broadcast_to(np.float32(0), (3, 3, c, c_out))
    return conv_algorithm.choose(x, weight, CONV, (size, size), given)


def quickest(times):
    """Return the time of a layer's three products, each with its fastest algorithm."""
    return sum(min(column) for column in zip(*times.values(), strict=True))


if __name__ == "__main__":
    main()
