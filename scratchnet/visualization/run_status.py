"""Heading of the report of a training: how far it is, how long it will take, and how to continue it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from scratchnet.utils.wording import duration

SHORTEST_REFRESH, LONGEST_REFRESH = 5, 60
"""Seconds after which an open page of a running training is loaded again; about the time between two reports."""

SHOWN_CLASSES = 12
"""Classes whose IoU is shown, those with the lowest."""


@dataclass(frozen=True)
class RunStatus:
    """State of a training.

    Attributes
    ----------
    epoch, epochs : int
        Epochs completed, and epochs of the whole training.
    seconds : float
        Duration of the completed epochs.
    seconds_left : float or None
        Estimated time until the last epoch is complete; None if it is not known.
    between_reports : float
        Seconds until the report will be written again.
    written : str
        Local time at which the report was written; empty if the training is finished.
    stopped : str
        Reason why the training stopped before its end, "interrupted" for example; empty if it did not.
    resume : str
        Command that continues a stopped training.
    class_iou : mapping from str to float
        IoU of each class on the validation images after the last epoch, nan for a class that does not occur; shown for
        more than two classes.
    """

    epoch: int
    epochs: int
    seconds: float = 0.0
    seconds_left: float | None = None
    between_reports: float = 0.0
    written: str = ""
    stopped: str = ""
    resume: str = ""
    class_iou: Mapping[str, float] = field(default_factory=dict)

    @property
    def running(self) -> bool:
        """Whether the training goes on."""
        return bool(self.written) and not self.stopped

    @property
    def refresh(self) -> int | None:
        """Seconds after which the page is loaded again, or None."""
        return round(min(max(self.between_reports, SHORTEST_REFRESH), LONGEST_REFRESH)) if self.running else None

    def headline(self) -> str:
        """Return the sentence at the top of the report of a training that is not finished."""
        if self.stopped:
            where = f"after epoch {self.epoch} of {self.epochs}" if self.epoch else f"in epoch 1 of {self.epochs}"
            return f"{self.stopped[:1].upper()}{self.stopped[1:]} {where}."
        if not self.epoch:
            return f"Training: the first epoch of {self.epochs}."
        left = "" if self.seconds_left is None else f"; about {duration(self.seconds_left)} left"
        return f"Training: {self.epoch} of {self.epochs} epochs done{left}."


def status_html(status: RunStatus, log: Sequence[Mapping[str, Any]], warnings: Sequence[str]) -> str:
    """Return the bar, the latest and the best scores, the command that continues, and the warnings, as HTML."""
    parts = []
    if status.written:
        parts.append(_bar(status))
        parts += [f'<p class="note">{escape(sentence)}</p>' for sentence in _sentences(status, log)]
        if status.resume:
            parts.append(f'<p class="note">To continue: {_command(status.resume)}</p>')
    elif status.seconds:
        epochs = f"{status.epoch} epoch{'' if status.epoch == 1 else 's'}"
        parts.append(f'<p class="note">Trained for {epochs} in {duration(status.seconds)}.</p>')
    parts += [f'<p class="warning"><b>Warning:</b> {escape(text)}</p>' for text in warnings]
    return "".join(parts)


def _command(text: str) -> str:
    """Return a command as HTML that no line break divides within a flag."""
    words = (f"<span>{escape(word)}</span>" if word.startswith("-") else escape(word) for word in text.split(" "))
    return f"<code>{' '.join(words)}</code>"


def _bar(status: RunStatus) -> str:
    share = 100 * status.epoch / max(status.epochs, 1)
    return (
        f'<div class="progress" role="progressbar" aria-label="Epochs completed" aria-valuemin="0" '
        f'aria-valuemax="{status.epochs}" aria-valuenow="{status.epoch}"><i style="width:{share:.1f}%"></i></div>'
    )


def _sentences(status: RunStatus, log: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what is known about the epochs so far."""
    found = []
    scores = {row["epoch"]: float(row["val_mean_iou"]) for row in log if row.get("val_mean_iou") not in (None, "")}
    if scores:
        last, best = list(scores)[-1], max(scores, key=lambda epoch: scores[epoch])
        rest = "" if scores[best] == scores[last] else f" {scores[best]:.3f} after epoch {best}"
        found.append(
            f"Mean IoU on the validation images: {scores[last]:.3f} after epoch {last}, the best so far{rest}."
        )
    if len(status.class_iou) > 2:
        found.append(_by_class({name: iou for name, iou in status.class_iou.items() if not math.isnan(iou)}))
    end = "This page reloads itself until the training ends." if status.running else ""
    found.append(f"Written at {status.written}. {end}".strip())
    return found


def _by_class(known: Mapping[str, float]) -> str:
    """Return a sentence with the IoU of each class, or of those with the lowest."""
    lowest = sorted(known, key=lambda name: known[name])[:SHOWN_CLASSES]
    listed = "; ".join(f"{name}: {known[name]:.3f}" for name in (lowest if len(known) > SHOWN_CLASSES else known))
    return f"IoU of {'the classes with the lowest' if len(known) > SHOWN_CLASSES else 'each class'}: {listed}."
