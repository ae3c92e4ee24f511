"""Study of random changes of stains in the training, on images of other laboratories.

    python benchmarks/stain_study.py CELLS [--seeds 0 1 2] [--epochs 20] [--stain 0.3] [--folder stain-study]
                                      [-- flags of every training]

CELLS is a folder of stained blood smears with splits train and val, with masks as in the recipe ``cells``. Four other
laboratories are imitated by recolouring the validation images: their colours are separated into the amounts of two
dyes of Giemsa's stain (absorbances as in the Colour Deconvolution plugin of ImageJ, after Ruifrok and Johnston 2001),
and mixed again with other absorbances and amounts, another light and another contrast curve. These differ from the
random changes in the training: two dyes instead of a matrix, and a power of the intensity. Networks are trained on the
unchanged training images, with ``--stain`` and without (``--stain 0``), always without black borders, and tested on
the unchanged and the recoloured validation images. Completed trainings are skipped. Results are printed and go to
``benchmarks/results/stain-study.json``.
"""

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import numpy as np

from scratchnet.arrays import Array
from scratchnet.data import open_dataset
from scratchnet.inference import Segmenter
from scratchnet.training import load_checkpoint

RESULTS = Path(__file__).resolve().parent / "results" / "stain-study.json"
GIEMSA = np.array([[0.834750233, 0.513556283, 0.196330403], [0.092789, 0.954111, 0.283111]])
"""Absorbances of red, green and blue light by methylene blue and eosin."""


@dataclass(frozen=True)
class Laboratory:
    """Absorbances of two dyes, factors on their amounts, light (red, green, blue), and the power of the intensity."""

    absorbances: tuple[tuple[float, float, float], tuple[float, float, float]]
    amounts: tuple[float, float]
    light: tuple[float, float, float]
    power: float

    def recolour(self, image: Array) -> Array:
        """Return an image (h, w, 3) uint8 as this laboratory would have taken it."""
        pixels = image.reshape(-1, 3).astype(float)
        white = np.percentile(pixels, 98, axis=0)
        density = np.clip(-np.log(np.maximum(pixels, 1) / white), None, 5)
        amounts = density @ np.linalg.pinv(_unit(GIEMSA))
        rest = density - amounts @ _unit(GIEMSA)
        mixed = (amounts * self.amounts) @ _unit(np.array(self.absorbances)) + rest / 2
        intensity = (np.exp(-mixed) * self.light).clip(0, 1) ** self.power
        recoloured: Array = np.rint(255 * intensity).astype(np.uint8).reshape(image.shape)
        return recoloured


def _unit(absorbances: Array) -> Array:
    unit: Array = absorbances / np.linalg.norm(absorbances, axis=1, keepdims=True)
    return unit


LABORATORIES = {
    "haematoxylin": Laboratory(((0.650, 0.704, 0.286), (0.072, 0.990, 0.105)), (1.1, 0.9), (1.0, 0.97, 1.0), 1.0),
    "azure": Laboratory(((0.80, 0.55, 0.22), (0.20, 0.85, 0.48)), (1.5, 0.7), (0.92, 0.95, 0.80), 1.1),
    "pale": Laboratory(((0.55, 0.75, 0.36), (0.09, 0.95, 0.28)), (0.6, 0.6), (0.85, 0.90, 1.0), 0.9),
    "dark": Laboratory(((0.70, 0.65, 0.30), (0.25, 0.80, 0.54)), (1.3, 1.6), (0.75, 0.72, 0.60), 1.25),
}


def train(cells: str, out: Path, seed: int, epochs: int, extra: list[str]) -> None:
    """Train a network with the recipe ``cells``, unless it exists."""
    if (out / "metrics.json").exists():
        return
    command = [sys.executable, "-m", "scratchnet", "train", "--config", "cells", "--data", cells, "--out", str(out)]
    command += ["--black-border", "0"]
    subprocess.run([*command, "--epochs", str(epochs), "--seed", str(seed), *extra, "--overwrite"], check=True)


def evaluate(run: Path, cells: str) -> dict[str, float]:
    """Return the IoU of the cells on the unchanged validation images and those of every laboratory."""
    checkpoint = load_checkpoint(run / "checkpoint.npz")
    segmenter = Segmenter(checkpoint.network, checkpoint.spec.preprocessing)
    data = open_dataset(cells, split="val", mask_format="threshold", mask_threshold=127)
    scores = {}
    for name, laboratory in [("unchanged", None), *LABORATORIES.items()]:
        both = either = 0
        for index in range(len(data)):
            image, mask = data.load(index)
            found = segmenter.segment(image if laboratory is None else laboratory.recolour(image)) == 1
            both += int((found & (mask == 1)).sum())
            either += int((found | (mask == 1)).sum())
        scores[name] = both / either
    return scores


def main() -> None:
    """Train, evaluate, print and store the table."""
    parser = argparse.ArgumentParser(description="Stain augmentation on images of other laboratories.")
    parser.add_argument("cells")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--stain", type=float, default=0.3)
    parser.add_argument("--folder", type=Path, default=Path("stain-study"))
    place = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    a, flags = parser.parse_args(sys.argv[1:place]), sys.argv[place + 1 :]
    systems = {"without": ["--stain", "0"], "stain": ["--stain", str(a.stain)]}
    results: dict[str, dict[str, dict[str, float]]] = {}
    for system, extra in systems.items():
        for seed in a.seeds:
            run = a.folder / f"{system}-{seed}"
            train(a.cells, run, seed, a.epochs, [*extra, *flags])
            results.setdefault(system, {})[str(seed)] = evaluate(run, a.cells)
            print(
                system, seed, {name: round(score, 3) for name, score in results[system][str(seed)].items()}, flush=True
            )
    columns = ["unchanged", *LABORATORIES]
    print(f"{'mean IoU':10}" + "".join(f"{name:>14}" for name in columns))
    for system, by_seed in results.items():
        print(f"{system:10}" + "".join(f"{mean(s[name] for s in by_seed.values()):14.3f}" for name in columns))
    settings = {"seeds": a.seeds, "epochs": a.epochs, "stain": a.stain, "flags": flags}
    RESULTS.write_text(json.dumps(settings | {"IoU": results}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
