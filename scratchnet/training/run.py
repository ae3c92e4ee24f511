"""A training run in a folder, which can be resumed after an interruption.

``last.npz`` holds everything that the next epoch depends on. So a run that is killed at any moment and resumed starts
the interrupted epoch again and ends with the same bits as one that was never interrupted.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from scratchnet.config import TrainingSettings
from scratchnet.inference import Evaluation, Segmenter
from scratchnet.network import Network
from scratchnet.network.description import own_layers
from scratchnet.training.batches import TrainingData
from scratchnet.training.contents import Checkpoint, ModelSpec
from scratchnet.training.diagnosis import Diagnosis
from scratchnet.training.distributed.process_group import ProcessGroup, SingleProcess
from scratchnet.training.logs import summary
from scratchnet.training.loop import ShowProgress, TrainingLoop
from scratchnet.training.objective import Objective
from scratchnet.training.progress import Progress
from scratchnet.training.resuming import check_same
from scratchnet.training.run_folder import LAST, RunFolder
from scratchnet.training.setup import freeze
from scratchnet.utils.progress import progress as shown


class TrainingRun:
    """Runs the training loop and keeps the best and the last checkpoint and the log in a folder.

    Parameters
    ----------
    folder : Path
    spec : ModelSpec
        Stored in the checkpoints; its preprocessing is applied to the images.
    settings : TrainingSettings
    data : TrainingData
    loss : Objective
    resume : bool
        Continue from the folder's ``last.npz``, if there is one.
    ranks : ProcessGroup or None
        The processes that train together, if there are several; the first one writes the files.
    network : Network or None
        An allocated network to train; None builds that of the spec.

    Attributes
    ----------
    warnings : list of str
        Signs, found in the last epoch, that the training does not work.
    scores : tuple of float
        Score of each validation image in the last validation, nan for those that it left out; empty before the first.
    class_iou : tuple of float
        IoU of each class in the last epoch, nan for a class that does not occur; empty before the first.
    recalibrated : int
        Number of training batches from which :meth:`finish` has recomputed the statistics of batch norm.
    rejected_score : float or None
        Mean IoU with recomputed statistics that were worse than the running averages, which :meth:`finish` has kept.
    score_before : float
        Mean IoU with the running averages, on the same images.

    Raises
    ------
    UserError
        When the checkpoint to resume from is damaged or belongs to another network, optimiser or image size.
    """

    def __init__(
        self,
        folder: Path,
        spec: ModelSpec,
        settings: TrainingSettings,
        data: TrainingData,
        loss: Objective,
        *,
        resume: bool = False,
        ranks: ProcessGroup | None = None,
        network: Network | None = None,
    ) -> None:
        self.ranks, self.settings, self.spec, self._given = ranks or SingleProcess(), settings, spec, network
        layers = () if network is None else own_layers(network)
        self.scores: tuple[float, ...] = ()
        self.class_iou: tuple[float, ...] = ()
        self.recalibrated = 0
        self.rejected_score: float | None = None
        self.score_before = float("nan")
        self.folder = RunFolder(folder, layers, writes=self.ranks.rank == 0)
        last = self.folder.load_last() if resume and self.folder.has_last else None
        if last is not None:
            check_same(folder / LAST, last, spec, settings, network)
            self.spec = replace(spec, preprocessing=last.spec.preprocessing)
            trained = last.network
        else:
            trained = network or spec.build().allocate(settings.seed)
        self.loop = TrainingLoop(trained, data, self.spec.preprocessing, loss, settings, self.ranks)
        self.diagnosis = Diagnosis(settings, self.spec.classes)
        self.warnings: list[str] = []
        self._freeze()
        if last is not None:
            self.loop.restore(last)
            self._replace_lost_best()

    @property
    def network(self) -> Network:
        """The network in training."""
        return self.loop.network

    @property
    def progress(self) -> Progress:
        """Epochs, updates, scores and the log."""
        return self.loop.progress

    def fit(self, progress: ShowProgress = shown) -> Iterator[dict[str, Any]]:
        """Train to the end; yield the row of the log after each epoch, once its checkpoints are written.

        Parameters
        ----------
        progress : function
            Shows the progress within an epoch, see :meth:`TrainingLoop.run_epoch`.
        """
        while not self.progress.done:
            row, found = self.loop.run_epoch(progress)
            if found is not None:
                self.scores, self.class_iou = self._for_all_images(found.scores), tuple(found.metrics.iou)
            improved = self.progress.finish_epoch(row, None if found is None else found.metrics.mean_iou)
            if improved:
                self._save_best()
            self.folder.save_log(self.progress.rows)
            self.folder.save_last(Checkpoint(self.spec, self.network, *self.loop.state()))
            self.warnings = [] if found is None else self.diagnosis.observe(self.progress, found.confusion)
            yield row

    @contextmanager
    def predicting(self) -> Iterator[Segmenter]:
        """Return a block with a segmenter that predicts as in validation."""
        with self.loop.averaged():
            self.network.eval().use_statistics("running")
            yield Segmenter(self.network, self.spec.preprocessing)

    def finish(self) -> Evaluation:
        """Load the best checkpoint, recalibrate batch norm if that improves it, save and evaluate it."""
        self.ranks.barrier()  # until the first process has written it
        best = self.folder.load_best()
        self.loop.use(best.network)
        self._freeze()
        found = self._recalibrate() if self.settings.recalibrate and self.network.batch_norms() else None
        if found is None:
            found = self.loop.evaluate("evaluating")
        best.progress["final"] = summary(found)
        self.folder.save_best(best)
        return found

    def _recalibrate(self) -> Evaluation | None:
        """Recompute the statistics of batch norm and return the evaluation, None if the old ones are better.

        Augmented crops are not always like whole images, so that the recomputed statistics can be the worse ones.
        """
        averages = {name: buffer.value.copy() for name, buffer in self.network.state().items()}
        sampled = self.settings.val_samples is not None  # then the score of the best epoch is that of other images
        before = self.loop.evaluate("evaluating") if sampled else None
        self.score_before = self.progress.best_score if before is None else before.metrics.mean_iou
        batches = self.loop.recalibrate()
        found = self.loop.evaluate("evaluating")
        if not found.metrics.mean_iou < self.score_before:  # also without validation images
            self.recalibrated = batches
            return found
        self.rejected_score = found.metrics.mean_iou
        for name, buffer in self.network.state().items():
            buffer.value[...] = averages[name]
        return before

    def _for_all_images(self, scores: tuple[float, ...]) -> tuple[float, ...]:
        """Return the scores of the images that epochs are validated on, with nan for the others."""
        known = dict(zip(self.loop.val_indices, scores, strict=True))
        return tuple(known.get(index, float("nan")) for index in range(len(self.loop.loader.data.val)))

    def _freeze(self) -> None:
        """Freeze the parameters that the settings name; a given network keeps its own if they name none."""
        if self._given is None or self.settings.freeze:
            freeze(self.network, self.settings)

    def _save_best(self) -> None:
        with self.loop.averaged():
            self.folder.save_best(Checkpoint(self.spec, self.network, self.loop.state()[0]))

    def _replace_lost_best(self) -> None:
        """Take the last epoch as the best so far if the file of the best one is missing."""
        if not self.folder.has_best and self.progress.best_epoch:
            score = self.progress.rows[-1]["val_mean_iou"]
            self.progress.best_score = -1.0 if score is None else score
            self.progress.best_epoch = self.progress.epoch
            self._save_best()
