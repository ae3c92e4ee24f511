"""Sets, networks and runs that are small enough for a test."""

from dataclasses import dataclass

import numpy as np

from scratchnet.config import TrainingSettings
from scratchnet.data import Augmentation, Preprocessing, write_image, write_mask
from scratchnet.losses import PixelLoss
from scratchnet.training import ModelSpec
from scratchnet.training.batches import TrainingData
from scratchnet.training.run import TrainingRun

BLOODCELL = {"width": 0.1}
"""3 to 16 filters, stride 16, sigmoid, no batch norm."""


def sample(index, height=16, width=16):
    """A bright square on a dark, noisy ground, and its mask; the same for the same arguments."""
    rng = np.random.default_rng([index, height, width])
    side = min(height, width) // 2
    top, left = (int(rng.integers(0, length - side + 1)) for length in (height, width))
    mask = np.zeros((height, width), np.uint8)
    mask[top : top + side, left : left + side] = 1
    image = rng.integers(0, 80, (height, width, 3)) + 120 * mask[..., None]
    return image.astype(np.uint8), mask


@dataclass
class Source:
    """Labelled images in memory."""

    pairs: list
    classes: tuple = ("ground", "square")
    ignore_index: int | None = 255

    @property
    def names(self):
        return tuple(f"image-{index}" for index in range(len(self.pairs)))

    def __len__(self):
        return len(self.pairs)

    def size(self, index):
        return self.pairs[index][1].shape

    def load(self, index):
        return self.pairs[index]


def source(count=4, height=16, width=16, first=0):
    """``count`` samples of one size."""
    return Source([sample(first + index, height, width) for index in range(count)])


def recipe(model="bloodcell", options=None, classes=("ground", "square"), **preprocessing):
    """What a checkpoint says about a network."""
    chosen = BLOODCELL if options is None and model == "bloodcell" else options or {}
    return ModelSpec(model, chosen, classes, Preprocessing(**{"normalization": "none", **preprocessing}))


def network(model="bloodcell", options=None, seed=0, dtype=np.float32, **preprocessing):
    """A network with its starting values, in evaluation mode."""
    return recipe(model, options, **preprocessing).build().allocate(seed, dtype).eval()


def run(
    folder,
    *,
    train=None,
    val=None,
    made=None,
    augmentation=None,
    resume=False,
    ignore_index=255,
    progress=None,
    border_weights=None,
    ranks=None,
    **settings,
):
    """A run on small images; 4 of them in batches of 2 if nothing else is said."""
    made = made or recipe()
    settings = {"epochs": 2, "batch_size": 2, "learning_rate": 0.01, **settings}
    return TrainingRun(
        folder,
        made,
        TrainingSettings(**settings),
        TrainingData(train or source(), val or source(2, first=100), augmentation or Augmentation(), border_weights),
        PixelLoss(len(made.classes), ignore_index=ignore_index),
        resume=resume,
        ranks=ranks,
    )


def trained(folder, **settings):
    """A run that was trained to its end (without `finish`)."""
    made = run(folder, **settings)
    list(made.fit())
    return made


def write_set(root, count=6, height=16, width=16, *, split=True, classes=("ground", "square")):
    """Write samples in the layout ``folder``; the last third is for validation."""
    names = [f"s{index}" for index in range(count)]
    for index, name in enumerate(names):
        image, mask = sample(index, height, width)
        write_image(root / "images" / f"{name}.png", image)
        write_mask(root / "masks" / f"{name}.png", mask)
    (root / "classes.txt").write_text("".join(f"{name}\n" for name in classes))
    if split:
        (root / "splits").mkdir()
        held_out = count // 3
        (root / "splits" / "train.txt").write_text("\n".join(names[:-held_out]))
        (root / "splits" / "val.txt").write_text("\n".join(names[-held_out:]))
    return root


def files(folder):
    """Every file below a folder with its bytes."""
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def rows(made):
    """The log without the column that the clock decides."""
    return [{key: value for key, value in row.items() if key != "seconds"} for row in made.progress.rows]
