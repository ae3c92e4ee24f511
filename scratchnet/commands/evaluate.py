"""``scratchnet evaluate``: how good a trained network is on images with masks."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from scratchnet.commands.parsing import parse, say
from scratchnet.commands.results import baselines, results_text, write_metrics
from scratchnet.commands.sources import open_split
from scratchnet.config import DataSettings, check_data_settings
from scratchnet.data import Dataset, Layout, MaskFormat, available_splits
from scratchnet.errors import UserError
from scratchnet.inference import Segmenter, evaluate
from scratchnet.progress import progress
from scratchnet.training.checkpoints import Checkpoint, load_checkpoint


@dataclass(frozen=True)
class EvaluateArguments:
    """Measure a trained network on images with masks, beside two trivial baselines for two-class tasks."""

    checkpoint: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="CHECKPOINT")]
    """Written by `scratchnet train` as RUN/checkpoint.npz."""
    data: str
    """Folder of the data set."""
    split: str = "val"
    """Split to measure, where the folder has splits; "all" takes every image."""
    bn: Literal["running", "batch"] = "running"
    """Batch norm's statistics: the running averages, or every image's own."""
    out: str | None = None
    """Where metrics.json goes: a folder or a .json file. Default: beside the checkpoint."""
    layout: Layout | None = None
    """Of the data set. Default: as in training."""
    mask_format: MaskFormat | None = None
    """How masks are read. Default: as in training."""
    mask_threshold: int | None = None
    """Grey masks: values above this are class 1."""


def main(words: Sequence[str]) -> int:
    """Run the command."""
    arguments = parse(EvaluateArguments, words, "evaluate", "scratchnet evaluate run/checkpoint.npz --data cells")
    checkpoint = load_checkpoint(arguments.checkpoint)
    train, images = _open(arguments, checkpoint)
    if images.classes != checkpoint.recipe.classes:
        raise UserError(
            f"{arguments.data}: has the classes {', '.join(images.classes)}, but {arguments.checkpoint} was trained on "
            f"{', '.join(checkpoint.recipe.classes)}"
        )
    checkpoint.network.use_statistics(arguments.bn)
    segmenter = Segmenter(checkpoint.network, checkpoint.recipe.preprocessing)
    try:
        found = evaluate(segmenter, images, lambda numbers: progress(numbers, "evaluating"))
    except ValueError as error:  # one pixel of a map has no statistics of its own
        raise UserError(f"--bn {arguments.bn}: {error}") from error
    rivals = baselines(train, images)
    say(f"{checkpoint.recipe.model} on {len(images)} images, {arguments.bn} statistics\n")
    say(results_text(found, rivals, images.classes))
    lowest = min((pair for pair in zip(found.scores, images.names, strict=True) if pair[0] >= 0), default=None)
    if lowest:  # an image that is ignored as a whole has no score
        say(f"\nlowest image: {lowest[1]} with {lowest[0]:.4f}")
    out = Path(arguments.out) if arguments.out else Path(arguments.checkpoint).parent
    out = out if out.suffix == ".json" else out / "metrics.json"
    about = {"checkpoint": arguments.checkpoint, "data": arguments.data, "split": arguments.split, "bn": arguments.bn}
    write_metrics(out, found, rivals, {**about, "lowest_image": lowest and lowest[0]})
    say(f"wrote {out}")
    return 0


def _open(arguments: EvaluateArguments, checkpoint: Checkpoint) -> tuple[Dataset | None, Dataset]:
    """Open the images to measure, and those of the training split for the threshold baseline if there are any."""
    recipe = checkpoint.recipe
    stored = recipe.settings.get("data", {})  # {} in a checkpoint that the library wrote
    known: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in stored.items()}
    settings = replace(DataSettings(**known), data=arguments.data)
    for name in ("layout", "mask_format", "mask_threshold"):
        if getattr(arguments, name) is not None:
            settings = replace(settings, **{name: getattr(arguments, name)})
    if arguments.mask_format is not None and arguments.mask_threshold is None:
        settings = replace(settings, mask_threshold=None)
    named = (Path(arguments.data) / "classes.txt").is_file()
    settings = replace(settings, classes=None if named else len(recipe.classes))
    check_data_settings(settings)
    splits, train = available_splits(arguments.data, settings.layout), None
    if splits:
        train = open_split(settings, settings.train_split) if settings.train_split in splits else None
        images = open_split(settings, None if arguments.split == "all" else arguments.split)
    else:
        images = open_split(settings, None if arguments.split in ("all", "val") else arguments.split)
        held_out = set(recipe.data.get("held_out", ()))
        if arguments.split == "val" and held_out and held_out <= set(images.names):
            train = replace(images, samples=tuple(s for s in images.samples if s.name not in held_out))
            images = replace(images, samples=tuple(s for s in images.samples if s.name in held_out))
    return train, images if named else replace(images, classes=recipe.classes)
