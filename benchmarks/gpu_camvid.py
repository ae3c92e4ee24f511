"""SegNet-Basic on CamVid at full resolution, trained for a given time and compared with the paper's figures.

    python benchmarks/gpu_camvid.py --data CamVid --out camvid-run --minutes 9

The recipe is ``segnet-basic`` (plain gradient descent at a constant rate, batches of 4). Training stops at the end of
the epoch in which the time is up; then batch norm is recalibrated and the best epoch evaluated, on the folder's
``test`` images if there are any, otherwise on ``val``. The paper's figures refer to its test images. ``camvid.json`` is
written after every epoch, and a run with the same ``--out`` resumes the previous one.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

from scratchnet.cli.datasets import open_splits, training_views
from scratchnet.cli.training_setup import prepare_run
from scratchnet.config import read_settings
from scratchnet.data import available_splits
from scratchnet.engine.device import computing
from scratchnet.inference import Segmenter, evaluate
from scratchnet.training.run_folder import BEST, LAST

PAPER = {"accuracy": 0.827, "mean_accuracy": 0.620, "mean_iou": 0.477}
"""Badrinarayanan, Kendall, Cipolla 2015, table 1: SegNet-Basic with median frequency balancing."""

RESERVED = 45
"""Seconds reserved for recalibration and evaluation."""


def main():
    """Train, evaluate, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", required=True, help="CamVid's folder: train, trainannot, val, valannot, …")
    parser.add_argument("--out", default="camvid-run")
    parser.add_argument("--minutes", type=float, default=9.0, help="for everything")
    parser.add_argument("--device", default="gpu", choices=("gpu", "cpu"))
    parser.add_argument("--precision", default="tf32", choices=("float32", "tf32", "bf16"))
    parser.add_argument("--resize", type=int, nargs=2, help="height and width; full resolution without it")
    parser.add_argument("--width", type=float, help="a factor on all filters, to try things out")
    options = parser.parse_args()
    until = time.monotonic() + 60 * options.minutes - min(RESERVED, 30 * options.minutes)
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    settings = settings_of(options)
    with computing(options.device, settings.training.precision):
        train, val = open_splits(settings.data, settings.training.seed)
        run = prepare_run(settings, training_views(settings, train, val), (train, val), (out / LAST).exists())
        for row in run.fit():
            print(
                f"epoch {row['epoch']:3d}  loss {row['train_loss']:.4f}  accuracy {row['val_accuracy']:.3f}  "
                f"mean IoU {row['val_mean_iou']:.3f}  {row['seconds']:.1f} s",
                flush=True,
            )
            write(out, {"split": "val", "log": run.progress.rows})
            if time.monotonic() > until:
                break
        found, split = run.finish(), "val"
        if "test" in available_splits(settings.data.data, "camvid"):
            split = "test"
            test = open_splits(replace(settings.data, val_split="test"), settings.training.seed)[1]
            found = evaluate(Segmenter(run.network, run.spec.preprocessing), test)
    metrics = found.metrics
    ours = {"accuracy": metrics.accuracy, "mean_accuracy": metrics.mean_accuracy, "mean_iou": metrics.mean_iou}
    write(out, {"split": split, "log": run.progress.rows, "found": ours, "paper": PAPER, "checkpoint": str(out / BEST)})
    print(f"\nafter {run.progress.epoch} epochs, {run.progress.iteration} updates; images of {split}:")
    print(f"{'':16}{'here':>8}{'paper, test':>14}")
    for name, value in ours.items():
        print(f"{name:16}{100 * value:8.1f}{100 * PAPER[name]:14.1f}")


def settings_of(options):
    """Return the recipe with the settings of the command line."""
    recipe = read_settings("segnet-basic")
    size = tuple(options.resize) if options.resize else None
    training = replace(
        recipe.training,
        device=options.device,
        precision=options.precision if options.device == "gpu" else "float32",
    )
    return replace(
        recipe,
        out=options.out,
        data=replace(recipe.data, data=options.data, resize=size),
        model=replace(recipe.model, width=options.width),
        training=training,
    )


def write(out, content):
    """Write what there is."""
    (out / "camvid.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
