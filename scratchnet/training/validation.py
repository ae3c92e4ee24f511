"""Validation in the course of a training: on which images, and the columns of the log.

A validation takes time, and the loss of a training does not depend on it: on a large set it is enough to validate after
some of the epochs, or on a sample of the images. The sample is drawn once by the seed, so that the scores of all epochs
can be compared.
"""

from collections.abc import Sequence
from typing import Any

from scratchnet.arrays import generator
from scratchnet.config import TrainingSettings
from scratchnet.inference import Evaluation
from scratchnet.training.logs import summary


def validation_indices(settings: TrainingSettings, images: int) -> Sequence[int]:
    """Return the indices of the validation images, in ascending order, that a run validates on."""
    if settings.val_samples is None or settings.val_samples >= images:
        return range(images)
    drawn = generator(settings.seed, "validation images").permutation(images)[: settings.val_samples]
    return sorted(drawn.tolist())


def validation_columns(settings: TrainingSettings, classes: int, found: Evaluation | None) -> dict[str, Any]:
    """Return the columns of the log that are about a validation; without one, each is None.

    A run that validates on a sample has the number of its images as one more column.
    """
    if found is not None:
        sampled = {} if settings.val_samples is None else {"val_images": len(found.scores)}
        return summary(found) | sampled
    names = ["val_loss", "val_accuracy", "val_mean_iou"]
    names += ["val_iou_foreground"] if classes == 2 else []
    names += [] if settings.val_samples is None else ["val_images"]
    return dict.fromkeys(names)


def validation_note(settings: TrainingSettings, images: int) -> str:
    """Return a sentence on when and on what a run is validated; "" if after every epoch and on all images."""
    epochs = f"after every {settings.val_every} epochs" if settings.val_every > 1 else "after every epoch"
    used = len(validation_indices(settings, images))
    if used == images:
        return "" if settings.val_every == 1 else f"Validated {epochs} and after the last one (--val-every)."
    return (
        f"Validated {epochs} on {used} of the {images} validation images, drawn once by the seed (--val-samples); "
        f"log.csv has these scores, and they selected the best epoch."
    )
