"""Does uncertainty find the images that a network segments badly? A network trained on few images ranks the others.

    python benchmarks/label_next.py --data FOLDER [--labelled 16] [--count 20] [--uncertainty 10] [--out FOLDER]
                                    [-- words for scratchnet train]

The folder has masks of all images, but the network is trained on ``--labelled`` of them (and 8 more choose the epoch).
The rest are ranked as by `scratchnet data suggest`, and only then compared with their masks. Prints Spearman's rank
correlation of each measure with the IoU of an image, where −1 means that the ranking by uncertainty is that by error,
and the mean IoU of the suggested images and of the others. A completed training is not repeated.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from scratchnet.arrays import Array, generator
from scratchnet.cli.main import main
from scratchnet.data import Dataset, open_dataset
from scratchnet.evaluation import confusion_matrix
from scratchnet.inference import SampledPredictor, Segmenter, choose_sampling, to_mask
from scratchnet.inference.evaluating import image_score
from scratchnet.inference.suggestions import colour_histogram, suggest
from scratchnet.training import load_checkpoint
from scratchnet.utils.progress import progress

VALIDATION = 8
"""Images that choose the epoch."""

MEASURES = "mutual information", "entropy", "standard deviation"


def divide(a: argparse.Namespace, dataset: Dataset) -> list[int]:
    """Write a folder with few labelled images to train on; return the places of the others in the data set."""
    order = generator(a.seed, "label next").permutation(len(dataset))
    folder = a.out / "few"
    (folder / "splits").mkdir(parents=True, exist_ok=True)
    for name in ("images", "masks", "classes.txt"):
        if (a.data / name).exists() and not (folder / name).exists():
            (folder / name).symlink_to((a.data / name).resolve())
    ends = a.labelled, a.labelled + VALIDATION
    for split, part in (("train", order[: ends[0]]), ("val", order[ends[0] : ends[1]])):
        lines = "".join(f"{dataset.names[i]}\n" for i in part)
        (folder / "splits" / f"{split}.txt").write_text(lines, encoding="utf-8")
    return sorted(order[ends[1] :].tolist())


def measure(dataset: Dataset, places: list[int], predictor: SampledPredictor) -> tuple[Array, Array, list[Array]]:
    """Return the measures (images, 3) of every image, its IoU and its colours."""
    measures, scores, colours = [], [], []
    for place in progress(places, "ranking"):
        image, mask = dataset.load(place)
        maps = predictor.maps(image)
        found = maps.mutual_information, maps.entropy, maps.deviation()
        measures.append([float(one.mean()) for one in found])
        scores.append(image_score(confusion_matrix(mask, to_mask(maps.mean), len(dataset.classes))))
        colours.append(colour_histogram(image))
    return np.array(measures), np.array(scores), colours


def rank_correlation(a: Array, b: Array) -> float:
    """Return Spearman's correlation: that of the ranks."""
    return float(np.corrcoef(a.argsort().argsort(), b.argsort().argsort())[0, 1])


def study() -> None:
    """Train, rank and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of images and masks")
    parser.add_argument("--labelled", type=int, default=16)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--uncertainty", type=int, default=10)
    parser.add_argument("--threshold", type=int, default=127, help="values of the masks above it are class 1")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("label-next"))
    parser.add_argument("words", nargs="*", help="words for `scratchnet train`, after --")
    a = parser.parse_args()
    dataset = open_dataset(a.data, split=None, mask_format="threshold", mask_threshold=a.threshold)
    places, run = divide(a, dataset), a.out / "run"
    masks = ["--mask-threshold", str(a.threshold)]
    words = ["train", "--data", str(a.out / "few"), *masks, *a.words, "--out", str(run)]
    if not (run / "report.html").exists() and main(words):
        sys.exit(f"the training of {run} failed")
    checkpoint = load_checkpoint(run / "checkpoint.npz")
    segmenter = Segmenter(checkpoint.network, checkpoint.spec.preprocessing)
    predictor = SampledPredictor(choose_sampling(segmenter, segmenter), a.uncertainty)
    measures, scores, colours = measure(dataset, places, predictor)
    print(f"{a.labelled} labelled images; {len(places)} others, {predictor.sampling.words(a.uncertainty)}")
    for name, values in zip(MEASURES, measures.T, strict=True):
        print(f"rank correlation of {name} and IoU: {rank_correlation(values, scores):.3f}")
    chosen = [suggestion.place for suggestion in suggest(measures[:, 0], colours, a.count)]
    others = np.delete(scores, chosen)
    print(f"mean IoU of the {a.count} suggested images {scores[chosen].mean():.3f}, of the others {others.mean():.3f}")
    worst = set(scores.argsort()[: a.count].tolist())
    print(f"{len(worst & set(chosen))} of the {a.count} worst images are among the suggested ones")


if __name__ == "__main__":
    study()
