"""Study of object sizes: how a fixed receptive field treats large and small objects, and the effect of proposals.

    python benchmarks/shapes_study.py [--seeds 0 1 2] [--updates 1000] [--folder shapes-study]

Noh, Hong and Han (ICCV 2015, section 1) argue that a network with a fixed receptive field, such as FCN, splits objects
that are larger and misses objects that are much smaller; DeconvNet uses object proposals instead. Here, networks with
about the same number of weights are trained on the same generated images, for the same number of updates with the same
number of pixels: 8 images, or boxes, of 48×48. They are evaluated on images that were not used for any choice.
Completed parts are skipped, so the script can be interrupted and restarted. Results go to
``benchmarks/results/shapes-study.json``, the figure to ``docs/images/shapes-study.png``. Proposals around regions of
similar colour need scikit-image (``pip install scikit-image``).
"""

import argparse
import csv
import json
import resource
import subprocess
import sys
from dataclasses import dataclass
from math import prod
from pathlib import Path
from shutil import rmtree
from statistics import mean, stdev
from typing import Any

import numpy as np
from PIL import Image

from scratchnet.data import SHAPE_CLASSES
from scratchnet.models import build

ROOT = Path(__file__).resolve().parent
RESULTS = ROOT / "results" / "shapes-study.json"
FIGURE = ROOT.parent / "docs" / "images" / "shapes-study.png"

SIDE, BATCH = 48, 8
CLASSES = ("background", "blunt", "pointed", "hollow")
MERGED = (0, 1, 1, 2, 3, 2)
"""Classes of discs, squares, triangles, rings and stars."""
TRAIN = ["--loss", "cross-entropy+dice", "--learning-rate", "4e-3", "--schedule", "poly", "--no-recalibrate"]
TRAIN += ["--flip-horizontal", "--flip-vertical", "--rotate90"]
TOLERANCE = ["--boundary-tolerance", "0.022"]  # 1.5 pixels; 0.75 % of the diagonal are half a pixel
BOXES_FILE = "boxes.csv"
"""File of every generated data set with the bounding box of each object."""
WHOLE: dict[str, list[str]] = {"whole": []}
BOXES = {
    "regions": ["--proposals", "segments"],
    "true boxes": ["--proposals", BOXES_FILE, "--box-context", "1.1"],
    "one box": ["--proposals", "grid", "--max-proposals", "1"],
}
SIZES = {"small": "small", "medium": "medium", "large": "large"}
MEASURES = SIZES | {"mean_iou": "mean IoU", "bf": "BF", "accuracy": "accuracy"}


@dataclass(frozen=True)
class System:
    """A network and its training."""

    model: str
    options: dict[str, Any]
    """Options of the model; widths are chosen so that all systems have about the same number of weights."""
    boxes: bool = False
    """Train in DeconvNet's two stages: a third of the updates on centred objects, the rest on proposals."""

    def parameters(self) -> int:
        """Return the number of parameters."""
        return sum(prod(p.shape) for p in build(self.model, len(CLASSES), **self.options).parameters().values())

    def uses(self) -> dict[str, list[str]]:
        """Return the options of `scratchnet evaluate` for each measurement."""
        return BOXES if self.boxes else WHOLE


SMALL = {"size": SIDE, "width": 12}
SYSTEMS = {
    "FCN-8s": System("fcn8s", {"width": 0.0715, "padding": "same", "batch_norm": True}),
    "SegNet": System("segnet", {"width": 0.1515}),
    "U-Net": System("unet-same", {"width": 0.15, "batch_norm": True}),
    "DeconvNet": System("deconvnet-small", SMALL),
    "DeconvNet, two stages": System("deconvnet-small", SMALL, boxes=True),
    "DeconvNet, nearest": System("deconvnet-small", SMALL | {"unpool": "nearest"}),
    "DeconvNet, transposed": System("deconvnet-small", SMALL | {"unpool": "transposed"}),
}


def scratchnet(*words: str, log: Path) -> float:
    """Run a command, append its output to ``log``, and return its processor time in seconds."""
    log.parent.mkdir(parents=True, exist_ok=True)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with log.open("a", encoding="utf-8") as file:
        subprocess.run([sys.executable, "-m", "scratchnet", *words], check=True, stdout=file, stderr=file)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def draw_data(folder: Path) -> None:
    """Generate 4000 images for training, 200 that select the epoch, and 200 for evaluation."""
    for name, count, seed in (("shapes", 4200, 0), ("unseen", 200, 1)):
        if not (folder / name).exists():
            made = folder / f"{name}-made"
            rmtree(made, ignore_errors=True)  # of an interrupted run
            words = f"--plain --size {SIDE} --count {count} --seed {seed} --val-fraction 0.0476".split()
            scratchnet("data", "make", "shapes", str(made), *words, log=folder / "log")
            simplify(made, np.random.default_rng(seed))
            made.rename(folder / name)


def simplify(folder: Path, rng: np.random.Generator) -> None:
    """Paint all objects bright on a dark background, and merge the five kinds of objects into three classes."""
    for path in sorted((folder / "objects").iterdir()):
        objects = np.asarray(Image.open(path))
        colours = rng.uniform(90, 255, (int(objects.max()) + 1, 3))
        colours[0] = rng.uniform(0, 50, 3)
        image = colours[objects] + rng.normal(0, 8, (*objects.shape, 3))
        Image.fromarray(np.clip(np.rint(image), 0, 255).astype(np.uint8)).save(folder / "images" / path.name)
    for path in (folder / "masks").iterdir():
        Image.fromarray(np.array(MERGED, np.uint8)[np.asarray(Image.open(path))]).save(path)
    (folder / "classes.txt").write_text("\n".join(CLASSES) + "\n", encoding="utf-8")
    names = {old: CLASSES[new] for old, new in zip(SHAPE_CLASSES, MERGED, strict=True)}
    with (folder / "boxes.csv").open(encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    with (folder / "boxes.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *([row[0], names[row[1]], *row[2:]] for row in rows)])


def train(
    system: System, folder: Path, out: Path, seed: int, updates: int, stage: int = 0, start: Path | None = None
) -> Path:
    """Train a network, unless that is done; return its checkpoint."""
    if not (out / "metrics.json").exists():
        words = ["--data", str(folder / "shapes"), "--out", str(out), "--seed", str(seed), "--iterations", str(updates)]
        options = {"model": system.model, "batch_size": BATCH, **system.options}
        words += [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
        words += TRAIN
        if stage:
            words += f"--stage {stage} --box-size 54 --crop {SIDE} {SIDE} --boxes-per-object 2".split()
        words += ["--start-from", str(start)] if start else []
        words += ["--resume"] if (out / "config.toml").exists() else []
        seconds = scratchnet("train", *words, log=out / "log")
        (out / "seconds").write_text(f"{seconds:.1f}\n", encoding="utf-8")
    return out / "checkpoint.npz"


def run_folder(folder: Path, name: str, seed: int) -> Path:
    """Return the folder of a system's runs with one seed."""
    return folder / f"{name.replace(',', '').replace(' ', '-').lower()}-{seed}"


def run(name: str, seed: int, updates: int, folder: Path) -> None:
    """Train and measure one system with one seed."""
    system, out = SYSTEMS[name], run_folder(folder, name, seed)
    if system.boxes:
        first = train(system, folder, out / "stage1", seed, updates // 3, 1)
        checkpoint = train(system, folder, out / "stage2", seed, updates - updates // 3, 2, first)
    else:
        checkpoint = train(system, folder, out / "whole", seed, updates)
    for use, flags in system.uses().items():
        found = out / f"{use}.json"
        if not found.exists():
            unseen = folder / "unseen"
            words = ["--data", str(unseen), "--split", "all", "--out", str(found), *TOLERANCE]
            words += [str(unseen / BOXES_FILE) if word == BOXES_FILE else word for word in flags]
            scratchnet("evaluate", str(checkpoint), *words, log=out / "log")
    print(f"{name}, seed {seed}: done", flush=True)


def gather(folder: Path, seeds: list[int]) -> list[dict[str, Any]]:
    """Return a row for each available measurement."""
    rows = []
    for name, system in SYSTEMS.items():
        for use in system.uses():
            for seed in seeds:
                path = run_folder(folder, name, seed) / f"{use}.json"
                if path.exists():
                    found = json.loads(path.read_text(encoding="utf-8"))
                    about = {"system": name, "use": use, "seed": seed, "parameters": system.parameters()}
                    times = [float(file.read_text(encoding="utf-8")) for file in path.parent.glob("*/seconds")]
                    about["training_seconds"] = round(sum(times), 1)
                    sizes = {size: objects["iou"] for size, objects in found["sizes"].items()}
                    rows.append({**about, **sizes, **{key: found[key] for key in ("mean_iou", "bf", "accuracy")}})
    return rows


def background_alone(folder: Path) -> dict[str, float]:
    """Return the scores of predicting background everywhere."""
    masks = [np.asarray(Image.open(path)) for path in (folder / "unseen" / "masks").iterdir()]
    share = float(np.mean(np.stack(masks) == 0))
    return {"mean_iou": share / len(CLASSES), "accuracy": share}


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print mean ± standard deviation over the seeds."""
    print(f"{'':<34}{'weights':>9}{'runs':>6}{'seconds':>9}" + "".join(f"{words:>17}" for words in MEASURES.values()))
    for label, group in grouped(rows).items():
        print(f"{label:<34}{group[0]['parameters']:>9,}{len(group):>6}", end="")
        print(f"{mean(row['training_seconds'] for row in group):>9.0f}", end="")
        for values in ([row[key] for row in group] for key in MEASURES):
            spread = f" ± {stdev(values):.3f}" if len(values) > 1 else ""
            print(f"{f'{mean(values):.3f}{spread}':>17}", end="")
        print()


def grouped(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of all seeds by system and use."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        label = row["system"] if row["use"] == "whole" else f"{row['system']}, {row['use']}"
        groups.setdefault(label, []).append(row)
    return groups


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw the IoU of small, medium and large objects: a bar for the mean, a dot for each seed."""
    import matplotlib.pyplot as plt

    groups = grouped(rows)
    figure, axes = plt.subplots(figsize=(9, 5), layout="constrained")
    for i, (key, colour) in enumerate({"small": "#9ecae1", "medium": "#4292c6", "large": "#08519c"}.items()):
        values = [[row[key] for row in group] for group in groups.values()]
        y = [-place - 0.26 * (i - 1) for place in range(len(groups))]
        axes.barh(y, [mean(v) for v in values], 0.25, color=colour, label=f"{key} objects")
        dots = [(score, at) for at, scores in zip(y, values, strict=True) for score in scores]
        scores_drawn, heights = zip(*dots, strict=True)
        axes.scatter(scores_drawn, heights, s=14, color="white", edgecolor="black", linewidth=0.8, zorder=3)
    axes.set_yticks([-place for place in range(len(groups))], groups)
    axes.set_xlabel("mean IoU per object (bar: mean over seeds, dot: one seed)")
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, frameon=False)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Train, measure, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--updates", type=int, default=1000, help="of every network")
    parser.add_argument("--folder", type=Path, default=Path("shapes-study"), help="for data sets and runs")
    arguments = parser.parse_args()
    draw_data(arguments.folder)
    for seed in arguments.seeds:
        for name in SYSTEMS:
            run(name, seed, arguments.updates, arguments.folder)
    rows, nothing = gather(arguments.folder, arguments.seeds), background_alone(arguments.folder)
    found = {"updates": arguments.updates, "background alone": nothing, "rows": rows}
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print_table(rows)
    print(f"all background: mean IoU {nothing['mean_iou']:.3f}, accuracy {nothing['accuracy']:.3f}")
    draw(rows, FIGURE)
    print(f"wrote {RESULTS} and {FIGURE}")


if __name__ == "__main__":
    main()
