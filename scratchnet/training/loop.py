"""The training loop: updates of a network, epoch by epoch, each followed by validation.

Every random draw depends on the seed and on where it happens (epoch, image, layer), never on what was drawn before. So
an epoch that is started again from the parameters, the optimiser's arrays and the counters at its beginning ends with
the same bits.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from typing import Any, TypeAlias

import numpy as np

from scratchnet.arrays import Array, read_scalars
from scratchnet.config import TrainingSettings
from scratchnet.data import Preprocessing, SampleSource
from scratchnet.data.subset import SourceSubset
from scratchnet.engine.capture.captured_network import CapturedNetwork
from scratchnet.engine.device import array_module
from scratchnet.engine.memory.shared import shared_copy
from scratchnet.engine.modes import matrix_precision
from scratchnet.inference import Evaluation, Segmenter
from scratchnet.network import Network
from scratchnet.training import batch_norm_calibration
from scratchnet.training.accumulation import Batch, MicroBatch, gradient
from scratchnet.training.batches import BatchLoader, TrainingData
from scratchnet.training.contents import Checkpoint
from scratchnet.training.distributed.process_group import ProcessGroup
from scratchnet.training.distributed.sharing import evaluate_together, share_batches
from scratchnet.training.objective import Objective
from scratchnet.training.optimizers import WeightAverage
from scratchnet.training.progress import Progress
from scratchnet.training.setup import make_optimizer
from scratchnet.training.validation import validation_columns, validation_indices
from scratchnet.utils.errors import UserError
from scratchnet.utils.options import option
from scratchnet.utils.progress import progress as shown

ShowProgress: TypeAlias = Callable[[Iterable[Any], str, int], Iterator[Any]]

MAX_UNREAD = 16
"""Losses that stay on a GPU until they are read together: reading one waits for the GPU."""


class TrainingLoop:
    """Trains a network and evaluates it; reads and writes no files.

    Parameters
    ----------
    network : Network
        Allocated; moved to the device that the settings name.
    data : TrainingData
    preprocessing : Preprocessing
    loss : Objective
    settings : TrainingSettings
    ranks : ProcessGroup
        The processes that share every batch.

    Attributes
    ----------
    captured : CapturedNetwork
        Runs the network's passes.
    loader : BatchLoader
    optimizer : Optimizer
    average : WeightAverage or None
    progress : Progress
    val_indices : sequence of int
        Validation images that epochs are validated on.
    """

    def __init__(
        self,
        network: Network,
        data: TrainingData,
        preprocessing: Preprocessing,
        loss: Objective,
        settings: TrainingSettings,
        ranks: ProcessGroup,
    ) -> None:
        self.loss, self.settings, self.ranks = loss, settings, ranks
        self.xp = array_module(settings.device, ranks.local_rank)
        self.use(network)
        shape = network.stride, network.valid_margin, loss.ignore_index, settings.samples_per_epoch
        self.loader = BatchLoader(data, preprocessing, settings.batch_size, settings.seed, ranks, *shape)
        self.optimizer = make_optimizer(settings)
        self.average = None if settings.ema is None else WeightAverage(settings.ema, network)
        self.progress = Progress(settings, len(self.loader))
        self.val_indices = validation_indices(settings, len(data.val))

    def use(self, network: Network) -> None:
        """Train or evaluate ``network`` from now on."""
        self.network, self.captured = network.to(self.xp), CapturedNetwork(network)
        network.activation_checkpointing = self.settings.activation_checkpointing
        share_batches(network, self.ranks)

    def averaged(self) -> AbstractContextManager[None]:
        """Return a block in which the network has its average, if one is kept."""
        return nullcontext() if self.average is None else self.average.used(self.network)

    def run_epoch(self, progress: ShowProgress = shown) -> tuple[dict[str, Any], Evaluation | None]:
        """Train for one epoch and validate if it is time; return the row of the log and the evaluation or None.

        Parameters
        ----------
        progress : function
            (batches, label, number of batches) → the same batches, while it shows the progress.

        Raises
        ------
        UserError
            When a loss is not finite.
        """
        begin = time.perf_counter()
        with (
            np.errstate(over="ignore", invalid="ignore"),  # a loss that is not finite is reported in words
            matrix_precision(self.settings.precision),
        ):
            rate, loss = self.train_epoch(progress)
            self.progress.epoch += 1
            found = None
            if self.progress.validates:
                with self.averaged():
                    found = self.validate("validating")
        if found is not None and not math.isfinite(found.loss):
            raise self._diverged(found.loss, f"epoch {self.progress.epoch}, on the validation images")
        row = {
            "epoch": self.progress.epoch,
            "iteration": self.progress.iteration,
            "learning_rate": rate,
            "train_loss": loss,
            **validation_columns(self.settings, len(self.loader.data.val.classes), found),
            "seconds": round(time.perf_counter() - begin, 3),
        }
        return row, found

    def train_epoch(self, progress: ShowProgress = shown) -> tuple[float, float]:
        """Train on all training images once; return the first learning rate and the mean loss."""
        self.network.train()
        epoch, first_rate = self.progress.epoch, self.progress.learning_rate
        losses: list[float] = []
        unread: list[tuple[int, float]] = []
        max_unread = MAX_UNREAD if self.settings.device == "gpu" else 1
        batches = enumerate(progress(self.loader.load_weighted(epoch), f"epoch {epoch + 1}", len(self.loader)), 1)
        while group := list(islice(batches, self.settings.gradient_accumulation)):
            unread.append((group[-1][0], self._gradient(group)))
            if len(unread) == max_unread:
                losses += self._read(unread)
            self._update()
            if self.progress.out_of_updates:
                break
        losses += self._read(unread)
        return first_rate, sum(losses) / len(losses)

    def validate(self, label: str) -> Evaluation:
        """Evaluate the network as after an epoch: on the chosen validation images, with running statistics."""
        return self._evaluate(SourceSubset(self.loader.data.val, self.val_indices), label)

    def evaluate(self, label: str) -> Evaluation:
        """Evaluate the network on all validation images, with running statistics."""
        val = self.loader.data.val
        return self.validate(label) if len(self.val_indices) == len(val) else self._evaluate(val, label)

    def _evaluate(self, images: SampleSource, label: str) -> Evaluation:
        self.network.eval().use_statistics("running")
        segmenter = Segmenter(self.network, self.loader.preprocessing)
        return evaluate_together(segmenter, images, self.ranks, lambda numbers: shown(numbers, label))

    def recalibrate(self) -> int:
        """Recompute batch norm's running statistics over the training set; return the number of batches used."""
        count = min(len(self.loader), batch_norm_calibration.MAX_BATCHES)
        prepared = (self.loader.prepare(*batch)[0] for batch in islice(self.loader.load(0), count))
        return batch_norm_calibration.recalibrate(self.network, shown(prepared, "recalibrating batch norm", count))

    def state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return the counters and the arrays, besides the network's own, that the next epoch depends on."""
        average = {} if self.average is None else self.average.arrays
        counters = self.progress.to_dict() | {"optimizer_steps": self.optimizer.steps}
        return counters, self.optimizer.arrays | average

    def restore(self, last: Checkpoint) -> None:
        """Continue from the state in a checkpoint, whose network is in use already."""
        own = shared_copy if self.xp is np else self.xp.asarray
        arrays = {name: own(array) for name, array in last.optimizer_state.items()}
        if self.average is not None:
            self.average.restore(arrays, self.network)
        self.optimizer.arrays = arrays
        self.optimizer.steps = last.progress["optimizer_steps"]
        self.progress.restore(last.progress)

    def _gradient(self, group: Sequence[tuple[int, Batch]]) -> float:
        """Compute the gradient of a group of numbered batches as if they were one; return their loss."""
        settings, parts = self.settings, list[MicroBatch]()
        for number, batch in group:
            parts += self.loader.split(number, batch, per_image=settings.per_image_bn and number % 2 == 0)
        return gradient(self.captured, self.loss, parts, settings.seed, self.progress.epoch, self.ranks)

    def _update(self) -> None:
        """Update the parameters from their gradients."""
        self.optimizer.step(self.network.flat(), self.progress.learning_rate)
        self.progress.iteration += 1
        if self.average is not None:
            self.average.update(self.network, self.optimizer.steps)

    def _read(self, unread: list[tuple[int, float]]) -> list[float]:
        """Return the losses of numbered batches and empty the list; only here the training waits for a GPU."""
        losses = read_scalars([loss for _, loss in unread])
        batches = [batch for batch, _ in unread]
        unread.clear()
        for batch, loss in zip(batches, losses, strict=True):
            if not math.isfinite(loss):
                raise self._diverged(loss, f"epoch {self.progress.epoch + 1}, batch {batch}")
        return losses

    def _diverged(self, loss: float, where: str) -> UserError:
        rate = f"{self.settings.learning_rate:g}"
        return UserError(
            f"the loss became {loss} in {where}; lower {option('learning_rate')} (now {rate}) and start again, the "
            "checkpoints of earlier epochs are untouched"
        )
