"""Every form of a convolution on a GPU, layer by layer and precision by precision.

    python benchmarks/gpu_forms.py forms.json

The thresholds in ``scratchnet/ops/cuda/convolution.py`` are to be read off this table: the form that is chosen, marked
by an asterisk, should be the quickest of its layer. The implicit form has no gradient by the weight of its own: that
column has the one by products.
"""

import json
import sys
from pathlib import Path
from statistics import median

import cupy
import numpy as np

from scratchnet.modes import MatrixPrecision, matrix_precision
from scratchnet.ops.cuda import convolution
from scratchnet.ops.cuda.convolution import Form
from scratchnet.ops.geometry import Convolution

BATCH = 16

LAYERS = [(224, 64, 64), (112, 64, 128), (112, 128, 128), (56, 256, 256), (28, 512, 512), (14, 512, 512)]
"""Height and width, channels in and out of the paper's 3×3 convolutions."""

THIN = [(224, 3, 64), (224, 64, 3), (224, 8, 8), (112, 16, 16), (112, 32, 32)]
"""Layers of few channels, where the thresholds are."""

PRECISIONS: tuple[MatrixPrecision, ...] = ("float32", "tf32", "bf16")


def main(file):
    """Measure, print and write."""
    rows = []
    print(f"batch {BATCH}; milliseconds forward, gradient by weight, gradient by input; * is what is chosen")
    for layer in LAYERS + THIN:
        for precision in PRECISIONS:
            with matrix_precision(precision):
                for row in measure_layer(*layer):
                    rows.append({**row, "precision": precision})
                    said = " ".join(f"{t:8.3f}" for t in row["milliseconds"])
                    size, c, c_out = layer
                    print(f"{size:4} {c:4} → {c_out:<4} {precision:8} {row['form']:9} {said}{' *' * row['chosen']}")
        cupy.get_default_memory_pool().free_all_blocks()
        Path(file).write_text(json.dumps({"batch": BATCH, "rows": rows}, indent=1) + "\n")


def measure_layer(size, c, c_out):
    """Yield the times of each form."""
    shapes = (BATCH, size, size, c), (BATCH, size, size, c_out), (3, 3, c, c_out), (c_out,)
    rng = np.random.default_rng(0)  # a GPU multiplies zeros at a higher clock
    x, dy, weight, bias = (cupy.asarray(rng.standard_normal(shape, dtype="float32")) for shape in shapes)
    choose = convolution.choose
    usual = choose(x, weight, Convolution.of(weight, 1, 1, 1, 1), (size, size), (size, size), False)
    calls = (
        lambda: convolution.conv2d(x, weight, bias, 1, 1),
        lambda: convolution.conv2d_weight_gradient(dy, x, weight, 1, 1),
        lambda: convolution.conv2d_input_gradient(dy, weight, (size, size), 1, 1),
    )
    for form in (Form.IMPLICIT, Form.SHIFTED, Form.WINOGRAD, Form.COLUMNS):
        convolution.choose = lambda *_, form=form: form
        try:
            times = [milliseconds(call) for call in calls]
        finally:
            convolution.choose = choose
        yield {
            "size": size,
            "channels": [c, c_out],
            "form": form.name,
            "milliseconds": times,
            "chosen": form is usual,
        }


def milliseconds(call, repeats=5):
    """Return the median time of a call by the GPU's own clock; the first call is left out."""
    times = []
    for _ in range(repeats + 1):
        begin, end = cupy.cuda.Event(), cupy.cuda.Event()
        begin.record()
        call()
        end.record()
        end.synchronize()
        times.append(cupy.cuda.get_elapsed_time(begin, end))
    return median(times[1:])


if __name__ == "__main__":
    main(*sys.argv[1:])
