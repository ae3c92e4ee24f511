"""Signs of a training that does not work, each reported once with the setting that usually helps."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from scratchnet.arrays import Array
from scratchnet.config import TrainingSettings
from scratchnet.evaluation import metrics
from scratchnet.training.progress import Progress
from scratchnet.utils.options import option

MIN_UPDATES = 150
"""Before this many updates, and before a third of the training, nothing is reported: early validations are poor."""
MIN_AT_END = 50
"""At the end of a training this many updates suffice; with fewer it is a trial."""
FLAT = 0.97
"""A loss above this part of its first value has not moved."""
FEW_UPDATES = 500
"""A training with fewer updates is probably too short for a rare class."""


HARDLY = 0.1
"""At the end of a training, a class of which a smaller part is found is reported."""


class Diagnosis:
    """Watches the validation of each epoch.

    Parameters
    ----------
    settings : TrainingSettings
    classes : sequence of str
    """

    def __init__(self, settings: TrainingSettings, classes: Sequence[str]) -> None:
        self.settings, self.classes = settings, classes
        self._said: set[str] = set()

    def observe(self, progress: Progress, confusion: Array) -> list[str]:
        """Return warnings, one line each, that have not been returned before.

        Parameters
        ----------
        progress : Progress
            After the epoch.
        confusion : (classes, classes)
            Confusion matrix of its validation; row = truth.
        """
        early = progress.iteration < max(MIN_UPDATES, progress.total_updates // 3)
        if early and not (progress.done and progress.iteration >= MIN_AT_END):
            return []
        found = dict(self._missing(progress, confusion))  # empty if all pixels are ignored
        if not found:
            found |= self._trivial(confusion)
        if not early:
            found |= self._flat(progress.rows)
        new = [line for sign, line in found.items() if sign not in self._said]
        self._said |= set(found)
        return new

    def _missing(self, progress: Progress, confusion: Array) -> Iterator[tuple[str, str]]:
        """Yield a sign and a line for each class that occurs and is never predicted, or hardly found at the end."""
        truth, predicted, hits = confusion.sum(axis=1), confusion.sum(axis=0), confusion.diagonal()
        found = hits / np.maximum(truth, 1)
        for label in np.flatnonzero((truth > 0) & ((predicted == 0) | (progress.done & (found < HARDLY)))):
            which = f"'{self.classes[int(label)]}' ({100 * truth[label] / truth.sum():.2g} % of the validation pixels)"
            rarely = f"only {100 * found[label]:.2g} % of {which} is found"
            state = f"{which} is never predicted" if predicted[label] == 0 else rarely
            yield f"missing {label}", f"{state} after {progress.iteration} updates; {self._remedy(progress)}"

    def _remedy(self, progress: Progress) -> str:
        """Return the settings that make rare classes more likely to be predicted."""
        more = option("iterations", max(2 * FEW_UPDATES, 3 * progress.total_updates))
        weights = f"{option('class_weights', 'median-frequency')} with {option('class_weights_power', 0.5)}"
        if self.settings.class_weights is None:
            return f"try {weights}" + (f", and {more}" if progress.total_updates < FEW_UPDATES else "")
        if progress.total_updates < FEW_UPDATES:
            return f"train longer: {more}"
        return f"try {option('balanced_crops', 0.5)} with {option('crop')}, or {more}"

    def _trivial(self, confusion: Array) -> dict[str, str]:
        """Return a sign if the score is no better than that of one class everywhere."""
        truth = confusion.sum(axis=1)
        if np.count_nonzero(truth) < 2:
            return {}
        most = int(truth.argmax())
        baseline = truth[most] / truth.sum() / np.count_nonzero(truth)
        score = metrics(confusion).mean_iou
        if score > baseline:
            return {}
        line = (
            f"the validation score (mean IoU {score:.3f}) is not above that of labelling every pixel "
            f"'{self.classes[most]}' ({baseline:.3f}); try a lower {option('learning_rate')} (now "
            f"{self.settings.learning_rate:g}), more updates, and look at the masks with `scratchnet data check`"
        )
        return {"trivial": line}

    def _flat(self, rows: Sequence[dict[str, Any]]) -> dict[str, str]:
        """Return a sign if the training loss is where it began."""
        fresh = self.settings.start_from is None and self.settings.init_weights is None
        losses = [row["train_loss"] for row in rows]
        if not fresh or len(losses) < 3 or min(losses[1:]) < FLAT * losses[0]:
            return {}
        line = (
            f"the training loss has not fallen ({losses[0]:.3f} in the first epoch, {losses[-1]:.3f} now); "
            f"try another {option('learning_rate')} (now {self.settings.learning_rate:g}), or {option('batch_norm')} "
            "if the model has it"
        )
        return {"flat": line}
