"""Effect of Winograd's rounding on training: curves of several seeds, with Winograd and with direct convolution.

    python benchmarks/winograd_curves.py --data FOLDER [--config cells] [--epochs 15] [--seeds 0 1 2] [--out FOLDER]

Prints the mean IoU of the validation images after some epochs, as mean and range over the seeds, and draws the curves.
Completed trainings are not repeated.
"""

import argparse
import csv
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np

from scratchnet import precise
from scratchnet.cli.main import main
from scratchnet.visualization.style import ROLES, panels

FORMS: dict[str, Callable[[], AbstractContextManager[object]]] = {"Winograd": nullcontext, "direct": precise}
COLOURS = {"Winograd": ROLES["output"], "direct": ROLES["truth"]}


def curve(folder: Path, a: argparse.Namespace, form: str, seed: int) -> list[float]:
    """Train, unless that is done; return the mean IoU after each epoch."""
    run = folder / f"{a.config}-{form}-{seed}"
    if not (run / "report.html").exists():
        words = ["--config", a.config, "--data", str(a.data), "--epochs", str(a.epochs), "--seed", str(seed)]
        with FORMS[form]():
            if main(["train", *words, "--out", str(run)]):
                sys.exit(f"the training of {run} failed")
    with (run / "log.csv").open(encoding="utf-8") as file:
        return [float(row["val_mean_iou"]) for row in csv.DictReader(file)]


def study() -> None:
    """Train with both algorithms, print the table and draw the curves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of images and masks")
    parser.add_argument("--config", default="cells", help="a recipe")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("winograd-curves"))
    a = parser.parse_args()
    curves = {form: np.array([curve(a.out, a, form, seed) for seed in a.seeds]) for form in FORMS}
    shown = sorted({max(1, round(a.epochs * part)) for part in (0.2, 0.4, 0.6, 0.8, 1)})
    print("| epoch | " + " | ".join(map(str, shown)) + " |")
    for form, values in curves.items():
        cells = (f"{v.mean():.3f} ({v.min():.3f}–{v.max():.3f})" for v in values[:, [epoch - 1 for epoch in shown]].T)
        print(f"| {form} | " + " | ".join(cells) + " |")
    figure, (axis,) = panels(5, 3.2)
    for form, values in curves.items():
        for seed, line in enumerate(values):
            label = form if seed == 0 else None
            axis.plot(range(1, a.epochs + 1), line, color=COLOURS[form], linewidth=1, label=label)
    axis.set(xlabel="epoch", ylabel="mean IoU of the validation images")
    axis.legend(frameon=False)
    picture = a.out / "curves.png"
    figure.savefig(picture, dpi=110)
    print(f"wrote {picture}")


if __name__ == "__main__":
    study()
