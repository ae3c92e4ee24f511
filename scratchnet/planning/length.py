"""Length of a training, and the learning rate and average of the weights that go with it."""

from math import ceil, prod

from scratchnet.planning.draft import Draft

MIN_UPDATES, MAX_UPDATES, UPDATES_PER_IMAGE = 2000, 5000, 30
MIN_EPOCHS, MAX_EPOCHS = 5, 20
"""Validations in a training; as many as take at most the part below of its time."""
VALIDATING, FORWARD = 0.2, 0.4
"""Largest part of the time for validations; time of a forward pass relative to a training step, pixel by pixel."""
PATIENCE = 0.6
"""Part of a training without a better score after which it stops."""
SHORT = 200
"""Trainings with fewer updates keep no average of the weights."""


def choose_length(draft: Draft) -> None:
    """Choose updates, epochs, optimiser, schedule and the average of the weights."""
    images, updates = len(draft.data.sizes), draft.budget.updates
    if draft.free("epochs", "iterations"):
        reason = f"{images} images" if updates is None else "as many as the time allows"
        draft.choose("iterations", updates or usual_updates(images), reason)
    _choose_epochs(draft, images)
    total = total_updates(draft)
    _choose_optimizer(draft)
    if draft.free("schedule"):
        draft.choose("schedule", "cosine", "a small rate at the end settles the weights")
        if draft.settings.training.batch_size > 1:
            draft.choose("recalibrate", False, "it settles the running averages of batch norm, too")
        if total >= SHORT:
            draft.choose("warmup_updates", min(100, total // 20), "the first gradients are large")
    if total >= SHORT:
        draft.choose(
            "ema", round(min(max(1 - 20 / total, 0.9), 0.999), 3), "the averaged weights score steadily better"
        )


def usual_updates(images: int) -> int:
    """Return the number of updates for a number of training images if time is not limited."""
    return min(max(UPDATES_PER_IMAGE * images, MIN_UPDATES), MAX_UPDATES)


def _choose_epochs(draft: Draft, images: int) -> None:
    """Choose the length of an epoch, after which the network is validated, and the patience."""
    training = draft.settings.training
    if training.epochs is not None or training.iterations is None:
        return
    batch = training.batch_size * training.gradient_accumulation
    epochs = _affordable_epochs(draft, training.iterations * batch)
    if draft.settings.data.tile is None:
        samples = max(ceil(training.iterations / epochs) * batch, min(images, training.iterations * batch))
        if samples != images:
            draft.choose("samples_per_epoch", samples, f"{-(-training.iterations * batch // samples)} validations")
    if draft.free("schedule") and training.iterations >= MIN_UPDATES:
        draft.choose("patience", ceil(PATIENCE * epochs), "stop when the score no longer rises")


def _affordable_epochs(draft: Draft, samples: int) -> int:
    """Return the number of validations in a training on this number of crops or images."""
    settings, data = draft.settings, draft.data
    h, w = settings.augmentation.crop or settings.data.resize or max(data.sizes, key=prod)
    training, images = settings.training, max(1, len(data.validation_sizes))
    share = min(1.0, (training.val_samples or images) / images) / training.val_every
    validated = share * sum(prod(settings.data.resize or size) for size in data.validation_sizes)
    affordable = VALIDATING * samples * h * w / max(1.0, FORWARD * validated)
    return int(min(max(affordable, MIN_EPOCHS), MAX_EPOCHS))


def total_updates(draft: Draft) -> int:
    """Return the number of updates of the whole training."""
    training = draft.settings.training
    samples = training.samples_per_epoch or len(draft.data.sizes)
    batch = min(training.batch_size, samples) * training.gradient_accumulation
    whole = (training.epochs or 20) * max(1, samples // batch)
    return whole if training.iterations is None else min(training.iterations, whole if training.epochs else 1 << 62)


def _choose_optimizer(draft: Draft) -> None:
    draft.choose("optimizer", "adamw", "needs no tuning")
    if draft.settings.training.optimizer != "sgd":
        draft.choose("learning_rate", 2e-3, "suits batch norm")
        if draft.settings.training.optimizer == "adamw":
            draft.choose("weight_decay", 0.01, "the usual decay of adamw")
