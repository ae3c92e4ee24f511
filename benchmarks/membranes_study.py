"""Study of thin structures: which flags help on drawn electron micrographs of cell membranes.

    python -m benchmarks.membranes_study [--rows ROW ...] [--seeds 0] [--epochs 60] [--folder membranes-study]

Drawn are grey sections of tissue, 256×256 pixels, as in the ISBI challenge of 2012 (Arganda-Carreras et al. 2015):
cells of all sizes, between them dark membranes whose width and contrast vary, cut at a slant in places. Threads and
vesicles inside the cells are as dark and as thin as membranes, mitochondria darker and larger. Staining and light are
uneven. Masks are 0 on membranes and 255 on cells. There are 20 images to learn from, of which 4 select the epoch, and
10 for the test. Each row of the table is one training with other flags; completed trainings are skipped. IoU and
recall are those of the membranes, cells the mean number of connected regions in an image, seconds the processor time.
Results are printed, together with those of the best threshold, and go to ``benchmarks/results/membranes-study.json``,
which keeps other rows of the same study.
"""

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path
from statistics import mean

import numpy as np
from PIL import Image, ImageFilter

from scratchnet.arrays import Array
from scratchnet.data.generated.drawing import bump, coverage, patch_around, relative_radius, smooth_noise

RESULTS = Path(__file__).resolve().parent / "results" / "membranes-study.json"
SIDE = 256
SPLITS = {"train": 16, "val": 4, "test": 10}
COMMAND = "--model unet-same --width 0.25 --crop 128 128 --mask-format binary --val-every 5"
UPDATES = "--batch-norm --batch-size 2 --schedule cosine --learning-rate 2e-3"
TURNS = "--flip-horizontal --flip-vertical --rotate90"
MEMBRANES = f"{UPDATES} --ema 0.98 {TURNS} --elastic 4"
ROWS = {
    "plain": "",
    "plain, elastic": "--elastic 4",
    "plain, flips and turns": TURNS,
    "plain, border weights": "--border-weight 10",
    "batch norm": "--batch-norm",
    "more updates": UPDATES,
    "membranes": MEMBRANES,
    "membranes, border weights": f"{MEMBRANES} --border-weight 10",
    "membranes, border weights 2": f"{MEMBRANES} --border-weight 2",
}
"""Flags of every training, besides `COMMAND`."""


class Section:
    """A section of tissue in the making: brightness and mask, (SIDE, SIDE) each."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng, shape = rng, (SIDE, SIDE)
        owner, edge = _cells(rng)
        self.edge: Array = edge + smooth_noise(rng, shape, 7) * np.float32(0.5)
        half = 1.9 + 0.7 * np.tanh(smooth_noise(rng, shape, 30))
        self.mask: Array = np.where(self.edge < half + 0.4, 0, 255).astype(np.uint8)
        tint = rng.normal(0, 12, int(owner.max()) + 1)[owner]
        self.pixels: Array = 168 + tint + smooth_noise(rng, shape, 3) * 6 + smooth_noise(rng, shape, 14) * 7
        self._threads(owner)
        for _ in range(rng.poisson(20)):
            self._mitochondrion()
        for _ in range(rng.poisson(11)):
            self._vesicles()
        slant = np.clip(smooth_noise(rng, shape, 45) - 0.7, 0, 1)
        softness = 0.8 + 5 * slant
        dark = np.clip(84 + 22 * smooth_noise(rng, shape, 22), 20, 120) * (1 - 0.6 * slant)
        self.pixels = self.pixels - dark * (0.5 - 0.5 * np.tanh((self.edge - half) / softness))

    def photograph(self) -> Array:
        """Return the image (SIDE, SIDE) uint8, blurred and noisy, under uneven stain and light."""
        rng, shape = self.rng, (SIDE, SIDE)
        light = 1 + 0.08 * smooth_noise(rng, shape, 130) + 0.05 * smooth_noise(rng, shape, 50)
        seen = ((self.pixels - 150) * rng.uniform(0.75, 1.15) + 150 + rng.normal(0, 12)) * light
        sharp = Image.fromarray(np.clip(np.rint(seen), 0, 255).astype(np.uint8))
        blurred = sharp.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.4, 1.1))))
        noise = rng.normal(0, rng.uniform(6, 12), shape)
        return np.clip(np.rint(np.asarray(blurred) + noise), 0, 255).astype(np.uint8)

    def _threads(self, owner: Array) -> None:
        """Draw dark threads, thin as membranes, in a third of the cells: lines on which smooth noise is zero."""
        height = smooth_noise(self.rng, (SIDE, SIDE), 16)
        steepness = np.hypot(*np.gradient(height)) + 0.02
        line = np.exp(-((height / steepness / np.float32(1.4)) ** 2)) * (self.edge > 6)
        marked = self.rng.random(int(owner.max()) + 1) < 0.5
        self.pixels = self.pixels - 50 * line * marked[owner] * (smooth_noise(self.rng, (SIDE, SIDE), 12) > -0.2)

    def _mitochondrion(self) -> None:
        rng, radius = self.rng, float(self.rng.uniform(5, 14))
        patch = patch_around(tuple(rng.uniform(0, SIDE, 2)), 2 * radius, SIDE)
        relative = relative_radius(rng, patch.y, patch.x, radius, rng.uniform(1.1, 2.2), 0.1)
        angle = rng.uniform(0, np.pi)
        stripes = np.sin((np.cos(angle) * patch.x + np.sin(angle) * patch.y) * rng.uniform(1.2, 1.8))
        depth = rng.uniform(30, 80) + 16 * stripes + 35 * bump(relative, 0.92, 1.2 / radius)
        self._darken(patch.rows, patch.columns, depth * coverage(relative, radius, 1.5))

    def _vesicles(self) -> None:
        rng, centre = self.rng, self.rng.uniform(0, SIDE, 2)
        for _ in range(rng.integers(3, 14)):
            radius = float(rng.uniform(2, 4))
            patch = patch_around(tuple(centre + rng.normal(0, 8, 2)), 2 * radius + 2, SIDE)
            relative = relative_radius(rng, patch.y, patch.x, radius, 1.1, 0.05)
            self._darken(patch.rows, patch.columns, 60 * bump(relative, 1.0, 1.1 / radius))

    def _darken(self, rows: slice, columns: slice, depth: Array) -> None:
        """Subtract from the brightness, but only inside a cell."""
        inside = np.clip((self.edge[rows, columns] - 3) / 2, 0, 1)
        self.pixels[rows, columns] -= inside * depth


def _cells(rng: np.random.Generator) -> tuple[Array, Array]:
    """Return each pixel's cell and its distance to the next one, (SIDE, SIDE) each: a Voronoi diagram of warped space.

    Seeds are drawn until 60 of them keep a distance that differs from place to place, so that cells differ in size.
    """
    crowded = smooth_noise(rng, (SIDE, SIDE), 80)
    seeds: list[Array] = []
    while len(seeds) < 60:
        seed = rng.uniform(-30, SIDE + 30, 2)
        row, column = np.clip(seed, 0, SIDE - 1).astype(int)
        gap = 24 + 11 * np.tanh(crowded[row, column])
        if len(seeds) < 2 or min(np.hypot(*(seed - other)) for other in seeds) > gap * 0.995 ** rng.integers(300):
            seeds.append(seed)
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    y, x = y + 5 * smooth_noise(rng, y.shape, 22), x + 5 * smooth_noise(rng, y.shape, 22)
    places = np.stack(seeds).astype(np.float32)
    squares = (y[..., None] - places[:, 0]) ** 2 + (x[..., None] - places[:, 1]) ** 2
    first = squares.argmin(-1)
    apart = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1)) + 1e-3
    nearest = np.take_along_axis(squares, first[..., None], -1)
    to_border = (squares - nearest) / (2 * apart[first])
    np.put_along_axis(to_border, first[..., None], np.inf, -1)
    return first, to_border.min(-1)


def draw(seed: int) -> tuple[Array, Array]:
    """Return a grey image and its mask (0 membrane, 255 cell), (SIDE, SIDE) uint8 each."""
    section = Section(np.random.default_rng(seed))
    return section.photograph(), section.mask


def write(folder: Path, splits: dict[str, int]) -> None:
    """Draw the data set, unless it exists."""
    if (folder / "classes.txt").exists():
        return
    for name in ("images", "masks", "splits"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for seed, (split, count) in enumerate(splits.items()):
        names = [f"{split}{index:02d}" for index in range(count)]
        for index, name in enumerate(names):
            image, mask = draw(1000 * seed + index)
            Image.fromarray(image).save(folder / "images" / f"{name}.png")
            Image.fromarray(mask).save(folder / "masks" / f"{name}.png")
        (folder / "splits" / f"{split}.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
    (folder / "classes.txt").write_text("membrane\ncell\n", encoding="utf-8")


def read(folder: Path, split: str) -> tuple[Array, Array]:
    """Return images and masks of a split, (n, SIDE, SIDE) uint8 each."""
    names = (folder / "splits" / f"{split}.txt").read_text(encoding="utf-8").split()
    images, masks = (
        [np.asarray(Image.open(folder / part / f"{n}.png")) for n in names] for part in ("images", "masks")
    )
    return np.stack(images), np.stack(masks)


def best_threshold(folder: Path) -> dict[str, float]:
    """Return the scores on the test images of the grey value that is most accurate on the training images."""
    images, masks = read(folder, "train")
    value = max(range(256), key=lambda grey: float(((images > grey) == (masks > 0)).mean()))
    images, masks = read(folder, "test")
    found, true = images <= value, masks == 0
    both, either = int((found & true).sum()), int((found | true).sum())
    return {"accuracy": float((found == true).mean()), "IoU": both / either, "recall": both / int(true.sum())}


def scratchnet(*words: str, log: Path) -> float:
    """Run a command, append its output to ``log``, and return its processor time in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with log.open("a", encoding="utf-8") as file:
        subprocess.run([sys.executable, "-m", "scratchnet", *words], check=True, stdout=file, stderr=file)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(row: str, seed: int, epochs: int, folder: Path) -> dict[str, float]:
    """Train a network with the flags of a row, unless that is done, and return its scores on the test images."""
    data, out = folder / "data", folder / f"{row.replace(',', '').replace(' ', '-')}-{seed}"
    if not (out / "test.json").exists():
        out.mkdir(parents=True, exist_ok=True)
        words = [*COMMAND.split(), *ROWS[row].split(), "--data", str(data), "--out", str(out), "--overwrite"]
        words += ["--epochs", str(epochs), "--seed", str(seed)]
        (out / "seconds").write_text(f"{scratchnet('train', *words, log=out / 'log')}\n", encoding="utf-8")
        words = [str(out / "checkpoint.npz"), "--data", str(data), "--split", "test", "--out", str(out / "test.json")]
        scratchnet("evaluate", *words, log=out / "log")
    found = json.loads((out / "test.json").read_text(encoding="utf-8"))
    scores = {"accuracy": found["accuracy"], "IoU": found["iou"][0], "recall": found["class_accuracy"][0]}
    count = found["objects_per_image"]["classes"]["cell"]
    scores |= {"bf": found["bf"], "cells": count["predicted"], "true cells": count["true"]}
    return scores | {"seconds": float((out / "seconds").read_text(encoding="utf-8"))}


def main() -> None:
    """Draw, train, measure, print and store the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--folder", type=Path, default=Path("membranes-study"))
    a = parser.parse_args()
    write(a.folder / "data", SPLITS)
    results = {"best threshold": {"": best_threshold(a.folder / "data")}}
    print_row("best threshold", list(results["best threshold"].values()))
    for row in a.rows:
        results[row] = {str(seed): measure(row, seed, a.epochs, a.folder) for seed in a.seeds}
        print_row(row, list(results[row].values()))
    settings = {"command": COMMAND, "epochs": a.epochs, "flags": ROWS}
    earlier = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    kept = earlier["test images"] if all(earlier.get(key) == value for key, value in settings.items()) else {}
    RESULTS.write_text(json.dumps(settings | {"test images": kept | results}, indent=1) + "\n", encoding="utf-8")


def print_row(name: str, scores: list[dict[str, float]]) -> None:
    """Print the mean of each measure, and its range if there are several seeds."""
    cells = []
    for key in scores[0]:
        values = [score[key] for score in scores]
        spread = f" ({min(values):.4g} to {max(values):.4g})" if len(values) > 1 else ""
        cells.append(f"{key} {mean(values):.4g}{spread}")
    print(f"{name:28}" + "  ".join(cells), flush=True)


if __name__ == "__main__":
    main()
