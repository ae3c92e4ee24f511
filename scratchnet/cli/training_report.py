"""``report.html`` while a training runs: written again after the epochs, and when the training stops before its end."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace

import numpy as np

from scratchnet.arrays import Array
from scratchnet.config import TrainSettings
from scratchnet.data import SampleSource
from scratchnet.engine.capture.worker_processes import WorkerDied
from scratchnet.training.commands import resume_command
from scratchnet.training.run import TrainingRun
from scratchnet.training.tensorboard import EventFile
from scratchnet.training.validation import validation_note
from scratchnet.utils.errors import UserError, explain
from scratchnet.utils.signals import Terminated
from scratchnet.utils.verbosity import warn, warnings_so_far
from scratchnet.visualization.report import Example, Report, write_report
from scratchnet.visualization.run_status import RunStatus

MAX_SHARE = 0.05
"""Largest share of the training time that is spent on reports; after very short epochs, none is written."""

EXAMPLES, CANDIDATES = 3, 24
"""Number of validation images in the report, and of those among which they are chosen."""

RECENT = 5
"""Number of epochs whose mean duration predicts the time left."""


class TrainingReport:
    """Writes the report of a training while it runs.

    Parameters
    ----------
    settings : TrainSettings
    run : TrainingRun
    val : SampleSource
        Validation images.
    title : str
        Heading of the report.
    events : bool
        Whether to write an event file for TensorBoard.
    """

    def __init__(self, settings: TrainSettings, run: TrainingRun, val: SampleSource, title: str, events: bool) -> None:
        self.run, self.val, self.resume = run, val, resume_command(run.folder.path)
        self.events = EventFile(run.folder.path, run.progress.epoch) if events and run.folder.writes else None
        self.path, self.first_row = run.folder.path / "report.html", len(run.progress.rows)
        self.report = Report(
            title=title,
            class_names=val.classes,
            score_name=f"IoU of {val.classes[1]}" if len(val.classes) == 2 else "mean IoU",
            configuration=asdict(settings),
            ignore_index=val.ignore_index,
            notes=tuple(filter(None, [validation_note(run.settings, len(val))])),
        )
        self.chosen: Sequence[int] = ()
        self.examples: tuple[Example, ...] = ()
        self.cost, self.written, self.failed = 0.0, -np.inf, False

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Write the report at the beginning of the training, and if it stops before its end.

        That of a complete training stays if an attempt to go on with it fails.
        """
        complete = self.run.progress.done
        if not complete:
            self._write(self._status())
        self.written = -np.inf  # the first epoch is reported in any case
        try:
            yield
        except BaseException as error:
            if complete:
                raise
            self._write(replace(self._status(), stopped=_reason(error), resume=self._how_to_continue(error)))
            raise

    def epoch_done(self) -> bool:
        """Write the report, unless reports would take more than ``MAX_SHARE`` of the time; return whether they did."""
        begin = time.perf_counter()
        due = self.run.progress.done or begin - self.written >= self._interval
        if due:
            self.examples = self._examples()
            self._write(self._status())
            self.written = time.perf_counter()
            self.cost = self.written - begin
        if self.events is not None:
            with self._warning():
                self.events.add(self.run.progress.rows, self._strips() if due else {})
        return due

    def finished(self) -> Report:
        """Return the report after the training, without the results of the evaluation."""
        return self._so_far(replace(self._status(), written=""))

    @property
    def _interval(self) -> float:
        """Shortest time from the end of a report to the next one, in seconds."""
        return self.cost * (1 / MAX_SHARE - 1)

    def _status(self) -> RunStatus:
        progress = self.run.progress
        recent = [float(row["seconds"]) for row in progress.rows[self.first_row :][-RECENT:]]
        epoch = sum(recent) / len(recent) if recent else None
        return RunStatus(
            epoch=progress.epoch,
            epochs=progress.total_epochs,
            seconds=sum(float(row["seconds"]) for row in progress.rows),
            seconds_left=None if epoch is None else epoch * (progress.total_epochs - progress.epoch),
            between_reports=max(epoch or 0.0, self._interval),
            written=time.strftime("%H:%M:%S"),
            class_iou=dict(zip(self.val.classes, self.run.class_iou, strict=False)),
        )

    def _how_to_continue(self, error: BaseException) -> str:
        """Return the command that continues, unless it would stop again for the same reason."""
        return "" if isinstance(error, UserError) and not isinstance(error, WorkerDied) else self.resume

    def _examples(self) -> tuple[Example, ...]:
        """Segment the chosen images as in validation."""
        found, scores = [], self.run.scores
        self.chosen = self.chosen or choose_examples(self.val)
        with self.run.predicting() as segmenter:
            for index in self.chosen:
                image, mask = self.val.load(index)
                score = scores[index] if index < len(scores) else float("nan")
                prediction = segmenter.segment(image)
                found.append(Example(self.val.names[index], image, mask, prediction, score).shrunk())
        return tuple(found)

    def _so_far(self, status: RunStatus) -> Report:
        return replace(
            self.report,
            log=self.run.progress.rows,
            examples=self.examples,
            status=status,
            warnings=tuple(warnings_so_far()),
        )

    def _write(self, status: RunStatus) -> None:
        with self._warning():
            write_report(self.path, self._so_far(status))

    def _strips(self) -> dict[str, Array]:
        """Return image, truth, prediction and errors of each example side by side."""
        return {item.name: np.hstack(list(item.views(self.val.ignore_index).values())) for item in self.examples}

    @contextmanager
    def _warning(self) -> Iterator[None]:
        """Turn a failure inside this block into a warning, because the training matters more."""
        try:
            yield
        except (OSError, UserError) as error:
            if not self.failed:
                warn(f"report.html or the event file is not up to date: {explain(error)}")
            self.failed = True


def choose_examples(source: SampleSource, count: int = EXAMPLES) -> Sequence[int]:
    """Return the indices of a few images that show many classes, spread over the set."""
    last = len(source) - 1
    candidates = sorted({round(place) for place in np.linspace(0, last, min(len(source), CANDIDATES)).tolist()})
    if len(candidates) <= count:
        return candidates
    classes = {index: _classes(source, index) for index in candidates}
    parts = np.array_split(np.array(candidates), count)
    return [max(part.tolist(), key=lambda index: classes[index]) for part in parts]


def _classes(source: SampleSource, index: int) -> int:
    """Return the number of classes in a mask."""
    present = np.unique(source.load(index)[1])
    return int((present != source.ignore_index).sum())


def _reason(error: BaseException) -> str:
    """Return why the training stopped."""
    if isinstance(error, KeyboardInterrupt):
        return "stopped by SIGTERM" if isinstance(error, Terminated) else "interrupted"
    return f"stopped by an error ({explain(error) or type(error).__name__})"
