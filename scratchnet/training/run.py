"""A training run in a folder: epochs, the best and the last checkpoint, the log, and going on after an interruption.

Every random draw depends on the seed and on where it happens (epoch, image, layer), and ``last.npz`` holds
everything else that the next epoch depends on. So a run that is killed at any moment and resumed starts the
interrupted epoch again and ends with the same bits as one that was left alone.
"""

import math
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from scratchnet.arrays import Array, read_scalars
from scratchnet.config import DEFAULT_EPOCHS, TrainingSettings
from scratchnet.data import Augmentation, BorderWeights, SampleSource, epoch_batches, share_of
from scratchnet.engine.capture.captured_network import CapturedNetwork
from scratchnet.engine.device import array_module
from scratchnet.engine.memory.shared import shared_copy
from scratchnet.engine.modes import matrix_precision
from scratchnet.inference import Evaluation, Segmenter
from scratchnet.network import Network
from scratchnet.network.description import own_layers
from scratchnet.training import batch_norm_calibration
from scratchnet.training.accumulation import Batch, MicroBatch, cut, gradient, weighted
from scratchnet.training.checkpoints import load_checkpoint, save_checkpoint
from scratchnet.training.contents import Checkpoint, ModelSpec
from scratchnet.training.distributed.process_group import ProcessGroup, SingleProcess, evaluate_together, share_batches
from scratchnet.training.logs import summary, write_log
from scratchnet.training.objective import Objective
from scratchnet.training.optimizers import WeightAverage
from scratchnet.training.padding import pad_to_stride
from scratchnet.training.resuming import check_same
from scratchnet.training.setup import freeze, make_optimizer, make_schedule
from scratchnet.utils.errors import UserError
from scratchnet.utils.progress import progress

BEST, LAST, LOG = "checkpoint.npz", "last.npz", "log.csv"
CHECKPOINT = "checkpoint"
"""Kind of the files, see :mod:`scratchnet.utils.signatures`."""

UNREAD = 16
"""Losses that stay on a GPU until they are read together: reading one would mean waiting for it."""


@dataclass
class State:
    """Where a run stands, besides its arrays.

    Attributes
    ----------
    epoch, iteration : int
        Epochs and updates done.
    best_score, best_epoch
        Highest validation mean IoU so far, and when.
    drops, waited : int
        Of the schedule.
    optimizer_steps : int
        Updates that the optimiser has made.
    rows : list of dict
        The log, a dict an epoch.
    """

    epoch: int = 0
    iteration: int = 0
    best_score: float = -1.0
    best_epoch: int = 0
    drops: int = 0
    waited: int = 0
    optimizer_steps: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list)


class TrainingRun:
    """Trains a network on one set of images, validates on another, and keeps its folder in order.

    Parameters
    ----------
    folder : Path
    recipe : Recipe
        Of the network; goes into the checkpoints.
    settings : TrainingSettings
    augmentation : Augmentation
    train, val : SampleSource
    loss : Objective
    resume : bool
        Go on where ``last.npz`` stands, if there is one.
    border_weights : BorderWeights or None
        Weighs the pixels of the training masks.
    ranks : Ranks or None
        The processes that make this run together, if there are several; the first one writes the files.
    network : Network or None
        A network of one's own, allocated; None builds that of the recipe.

    Raises
    ------
    UserError
        When the checkpoint to resume from is damaged or belongs to another network, optimiser or image size.
    """

    def __init__(
        self,
        folder: Path,
        recipe: ModelSpec,
        settings: TrainingSettings,
        augmentation: Augmentation,
        train: SampleSource,
        val: SampleSource,
        loss: Objective,
        resume: bool = False,
        border_weights: BorderWeights | None = None,
        ranks: ProcessGroup | None = None,
        network: Network | None = None,
    ) -> None:
        self.ranks = ranks or SingleProcess()
        self.folder, self.recipe, self.settings, self.augmentation = folder, recipe, settings, augmentation
        self.train, self.val, self.loss, self.border_weights = train, val, loss, border_weights
        self.xp = array_module(settings.device, self.ranks.local_rank)
        self.own = network
        self._use(network or recipe.build().allocate(settings.seed))
        self.optimizer, self.schedule = make_optimizer(settings), make_schedule(settings)
        values = self.network.flat().values
        self.average = None if settings.ema is None else WeightAverage(settings.ema, values)
        self.state = State()
        self.batch_size = min(settings.batch_size, len(train))
        if resume and (folder / LAST).exists():
            self._restore()

    def _use(self, network: Network) -> None:
        """Train ``network`` from now on, on the device that the settings name."""
        self.network, self.passes = network.to(self.xp), CapturedNetwork(network)
        network.activation_checkpointing = self.settings.activation_checkpointing
        if self.own is None or self.settings.freeze:
            freeze(network, self.settings)
        share_batches(network, self.ranks)

    @property
    def updates_per_epoch(self) -> int:
        """Updates in a whole epoch."""
        return math.ceil(len(self.train) // self.batch_size / self.settings.gradient_accumulation)

    @property
    def total_updates(self) -> int:
        """Updates until the end."""
        epochs, iterations = self.settings.epochs, self.settings.iterations
        if epochs is None:
            return iterations or DEFAULT_EPOCHS * self.updates_per_epoch
        return min(epochs * self.updates_per_epoch, iterations or 1 << 62)

    @property
    def total_epochs(self) -> int:
        """Epochs until the end, the last one perhaps cut short."""
        return math.ceil(self.total_updates / self.updates_per_epoch)

    @property
    def done(self) -> bool:
        """Whether there is nothing left to train."""
        patience = self.settings.patience
        tired = patience is not None and self.state.epoch - self.state.best_epoch >= patience and self.state.epoch > 0
        return self.state.iteration >= self.total_updates or tired

    def fit(self) -> Iterable[dict[str, Any]]:
        """Train to the end; yields the log's row after each epoch, when its checkpoints are on the disk."""
        while not self.done:
            begin = time.perf_counter()
            with (
                np.errstate(over="ignore", invalid="ignore"),  # a loss that is not finite is reported in words
                matrix_precision(self.settings.precision),
            ):
                rate, loss = self._epoch()
                self.state.epoch += 1
                with self._averaged():
                    found = self.validate("validating")
            if not math.isfinite(found.loss):
                raise self._diverged(found.loss, f"epoch {self.state.epoch}, on the validation images")
            row = {
                "epoch": self.state.epoch,
                "iteration": self.state.iteration,
                "learning_rate": rate,
                "train_loss": loss,
                **summary(found),
                "seconds": round(time.perf_counter() - begin, 3),
            }
            self._finish_epoch(row, found)
            yield row

    def finish(self) -> Evaluation:
        """Load the best checkpoint, recalibrate batch norm if wanted, write it back, and return its evaluation."""
        self.ranks.barrier()  # until the first one has written it
        best = self._load(self.folder / BEST)
        self._use(best.network)
        if self.settings.recalibrate and self.network.batch_norms():
            count = min(len(self.train) // self.batch_size, batch_norm_calibration.ENOUGH)
            prepared = (self._prepared(images, masks)[0] for images, masks in islice(self._batches(0), count))
            batch_norm_calibration.recalibrate(self.network, progress(prepared, "recalibrating batch norm", count))
        found = self.validate("evaluating")
        best.progress["final"] = summary(found)
        if self.ranks.rank == 0:
            save_checkpoint(self.folder / BEST, best, CHECKPOINT)
        return found

    def validate(self, what: str) -> Evaluation:
        """Evaluate the network on the validation images with running statistics."""
        self.network.eval().use_statistics("running")
        segmenter = Segmenter(self.network, self.recipe.preprocessing)
        return evaluate_together(segmenter, self.val, self.ranks, lambda n: progress(n, what))

    def _averaged(self) -> AbstractContextManager[None]:
        """Return a block in which the network has the averaged weights, where there are any."""
        return nullcontext() if self.average is None else self.average.used(self.network.flat().values)

    def _batches(self, epoch: int) -> Iterator[tuple[Array, Array]]:
        """Yield the images and masks of an epoch, this process's share of every batch."""
        settings, ranks = self.settings, self.ranks
        return epoch_batches(
            self.train,
            self.batch_size,
            settings.seed,
            epoch,
            self.augmentation,
            drop_last=True,
            rank=ranks.rank,
            ranks=ranks.size,
        )

    def _epoch(self) -> tuple[float, float]:
        """Make one pass over the training images; return the first learning rate and the mean loss."""
        network, settings, state = self.network.train(), self.settings, self.state
        count = len(self.train) // self.batch_size
        batches = self._batches(state.epoch)
        first_rate = self.schedule.at(state.epoch, state.iteration, self.total_updates)
        losses: list[float] = []
        unread: list[tuple[int, float]] = []
        most = UNREAD if settings.device == "gpu" else 1
        shown = progress(weighted(batches, self.border_weights), f"epoch {state.epoch + 1}", count)
        numbered = enumerate(shown, 1)
        while group := list(islice(numbered, settings.gradient_accumulation)):
            parts = [part for number, batch in group for part in self._parts(number, batch)]
            loss = gradient(self.passes, self.loss, parts, settings.seed, state.epoch, self.ranks)
            unread.append((group[-1][0], loss))
            if len(unread) == most:
                losses += self._read(unread)
            self.optimizer.step(network.flat(), self.schedule.at(state.epoch, state.iteration, self.total_updates))
            state.iteration += 1
            if self.average is not None:
                self.average.update(network.flat(), self.optimizer.steps)
            if state.iteration >= self.total_updates:
                break
        losses += self._read(unread)
        return first_rate, sum(losses) / len(losses)

    def _read(self, unread: list[tuple[int, float]]) -> list[float]:
        """Return the losses of some batches, and empty the list; the one place where the training waits for a GPU."""
        losses = read_scalars([loss for _, loss in unread])
        batches = [batch for batch, _ in unread]
        unread.clear()
        for batch, loss in zip(batches, losses, strict=True):
            if not math.isfinite(loss):
                raise self._diverged(loss, f"epoch {self.state.epoch + 1}, batch {batch}")
        return losses

    def _parts(self, number: int, batch: Batch) -> list[MicroBatch]:
        """Return batch ``number`` as it passes through the network: whole, or with mixed statistics one by one."""
        images, masks, weights = batch
        alone = self.settings.per_image_bn and number % 2 == 0
        first = share_of(self.batch_size, self.ranks.rank, self.ranks.size).start
        return cut(number, *self._prepared(images, masks), weights, self.batch_size if alone else 0, first)

    def _prepared(self, images: Array, masks: Array) -> tuple[Array, Array]:
        """Return a batch as the network takes it."""
        # The training images are resized already, and a window of one keeps its own size.
        x = replace(self.recipe.preprocessing, resize=None).apply(images)
        return pad_to_stride(x, masks, self.network.stride, self.loss.ignore_index, self.network.valid_margin)

    def _diverged(self, loss: float, where: str) -> UserError:
        return UserError(
            f"the loss became {loss} in {where}; lower --learning-rate (now {self.settings.learning_rate:g}) and start "
            "again, the checkpoints of earlier epochs are untouched"
        )

    def _finish_epoch(self, row: dict[str, Any], found: Evaluation) -> None:
        """Take note of an epoch's result and bring the folder up to date, the file to resume from last."""
        state = self.state
        improved = not found.metrics.mean_iou <= state.best_score
        self.schedule.note(improved)
        state.drops, state.waited, state.optimizer_steps = (
            self.schedule.drops,
            self.schedule.waited,
            self.optimizer.steps,
        )
        state.rows.append(row)
        if improved:
            state.best_score, state.best_epoch = found.metrics.mean_iou, state.epoch
        if self.ranks.rank > 0:
            return
        if improved:
            with self._averaged():
                save_checkpoint(self.folder / BEST, Checkpoint(self.recipe, self.network, asdict(state)), CHECKPOINT)
        write_log(self.folder / LOG, state.rows)
        average = {} if self.average is None else {"average": self.average.values}
        last = Checkpoint(self.recipe, self.network, asdict(state), self.optimizer.arrays | average)
        save_checkpoint(self.folder / LAST, last, CHECKPOINT)

    def _load(self, path: Path) -> Checkpoint:
        """Read a checkpoint of this run, whose network may have layers of one's own."""
        return load_checkpoint(path, () if self.own is None else own_layers(self.own))

    def _restore(self) -> None:
        """Continue from ``last.npz``."""
        path = self.folder / LAST
        last = self._load(path)
        wanted, stored = self.recipe, last.recipe
        names = (*self.optimizer.names, *(() if self.average is None else ("average",)))
        check_same(path, last, wanted, names, self.own)
        self.recipe = ModelSpec(
            wanted.model, wanted.options, wanted.classes, stored.preprocessing, wanted.data, wanted.settings
        )
        self._use(last.network)
        self.state = State(**last.progress)
        own = shared_copy if self.xp is np else self.xp.asarray
        self.optimizer.arrays = {name: own(array) for name, array in last.memory.items() if name != "average"}
        if self.average is not None:
            self.average.values = own(last.memory["average"])
        self.optimizer.steps = self.state.optimizer_steps
        self.schedule.drops, self.schedule.waited = self.state.drops, self.state.waited
        if not (self.folder / BEST).exists() and self.state.rows:
            self._replace_lost_best()

    def _replace_lost_best(self) -> None:
        """Let the last epoch be the best so far when the file with the best one has gone."""
        self.state.best_score, self.state.best_epoch = self.state.rows[-1]["val_mean_iou"], self.state.epoch
        if self.ranks.rank == 0:
            with self._averaged():
                save_checkpoint(
                    self.folder / BEST, Checkpoint(self.recipe, self.network, asdict(self.state)), CHECKPOINT
                )
