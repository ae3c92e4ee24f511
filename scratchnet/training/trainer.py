"""Training of any network on arrays, in a few lines of Python.

trainer = Trainer(net, PixelLoss(2), (images, masks), settings=TrainingSettings(epochs=10))
trainer.fit()
trainer.save("net.npz")
masks = trainer.predict(images)
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from scratchnet.arrays import Array, to_device_of
from scratchnet.config import TrainingSettings, TrainSettings, check_settings
from scratchnet.data import ArraySource, Augmentation, Preprocessing, SampleSource, fit_preprocessing
from scratchnet.engine.device import computing
from scratchnet.inference import Segmenter
from scratchnet.losses import PixelLoss
from scratchnet.network import Network
from scratchnet.training.batches import TrainingData
from scratchnet.training.checkpoints import save_network
from scratchnet.training.contents import OWN_MODEL, ModelSpec
from scratchnet.training.objective import AnyLoss, LossFunction, Objective
from scratchnet.training.run import TrainingRun

Source: TypeAlias = SampleSource | tuple[Sequence[Array] | Array, Sequence[Array] | Array]
"""Labelled images, or a tuple (images, masks) as :class:`~scratchnet.data.ArraySource` takes them."""

VAL_EVERY = 5
"""Without validation images, one in this many training images is held back for validation."""


class Trainer:
    """Trains a network and keeps the weights of the epoch with the best validation score.

    Parameters
    ----------
    network : Network
        With three input channels; trained in place, allocated first if necessary. Frozen parameters stay frozen.
    loss : PixelLoss or callable
        A callable is any function (logits, truth) → (loss, gradient with respect to the logits).
    train : SampleSource or (images, masks)
        uint8 images and integer masks, see :class:`~scratchnet.data.ArraySource`.
    val : SampleSource or (images, masks) or None
        None holds back the last fifth of the training images; a single image is used for both.
    settings : TrainingSettings or None
        Epochs, batch size, optimiser, schedule and so on. Its settings of the loss are ignored.
    augmentation : Augmentation or None
    preprocessing : Preprocessing or None
        None measures mean and standard deviation on the training images.
    folder : Path or str or None
        Folder for the checkpoints and log.csv; None keeps them in a temporary folder while :meth:`fit` runs.
    resume : bool
        Continue the run in the folder, if there is one.

    Attributes
    ----------
    rows : list of dict
        The log, one dict an epoch.

    Raises
    ------
    ValueError, TypeError
        When network, images and masks do not fit together.
    UserError
        When a setting is out of range, or a checkpoint to resume from belongs to another network.
    """

    def __init__(
        self,
        network: Network,
        loss: PixelLoss | LossFunction,
        train: Source,
        val: Source | None = None,
        *,
        settings: TrainingSettings | None = None,
        augmentation: Augmentation | None = None,
        preprocessing: Preprocessing | None = None,
        folder: Path | str | None = None,
        resume: bool = False,
    ) -> None:
        self.network, self.settings = network, settings or TrainingSettings()
        self.augmentation = augmentation or Augmentation()
        check_settings(TrainSettings(training=self.settings, augmentation=self.augmentation))
        if network.channels != 3:
            raise ValueError(f"Trainer: the network takes {network.channels} channels; images have 3")
        if network.buffers is None:
            network.allocate(self.settings.seed)
        if network.flat().values.dtype != np.float32:
            raise ValueError(f"Trainer: the network is {network.flat().values.dtype}; training needs float32")
        self.loss: Objective = loss if isinstance(loss, PixelLoss) else AnyLoss(loss)
        classes = loss.classes if isinstance(loss, PixelLoss) else None
        self.train, self.val = _sources(train, val, classes, self.loss.ignore_index)
        self.preprocessing = preprocessing or fit_preprocessing(self.train)
        self.folder, self.resume = None if folder is None else Path(folder), resume
        self.rows: list[dict[str, Any]] = []

    def fit(self) -> list[dict[str, Any]]:
        """Train to the end and return the log; the network then has the best weights and is in evaluation mode."""
        with self._folder() as folder, computing(self.settings.device, self.settings.precision):
            spec = ModelSpec(OWN_MODEL, {}, self.train.classes, self.preprocessing)
            data = TrainingData(self.train, self.val, self.augmentation)
            run = TrainingRun(folder, spec, self.settings, data, self.loss, resume=self.resume, network=self.network)
            for _ in run.fit():
                pass
            run.finish()
            self.rows = run.progress.rows
        self._take(run.network)
        return self.rows

    def predict(self, images: Sequence[Array] | Array) -> list[Array]:
        """Return a mask (h, w) uint8, the most probable class of every pixel, for each image (h, w[, 3]) uint8."""
        segmenter = Segmenter(self.network.eval(), self.preprocessing)
        grey = (np.repeat(image[..., None], 3, axis=2) if np.ndim(image) == 2 else image for image in images)
        return [segmenter.segment(np.ascontiguousarray(image)) for image in grey]

    def save(self, path: Path | str) -> None:
        """Write network, class names and preprocessing to a file that ``load_checkpoint`` and the commands read."""
        save_network(path, self.network, self.train.classes, self.preprocessing)

    def _take(self, trained: Network) -> None:
        """Copy the trained parameters and statistics into the network that was given."""
        if trained is self.network:
            return
        here = self.network.flat().values
        here[...] = to_device_of(here, trained.flat().values)
        for name, buffer in self.network.state().items():
            buffer.value[...] = to_device_of(buffer.value, trained.state()[name].value)
        self.network.eval()

    @contextmanager
    def _folder(self) -> Iterator[Path]:
        if self.folder is not None:
            yield self.folder
            return
        with tempfile.TemporaryDirectory(prefix="scratchnet-") as folder:
            yield Path(folder)


def _sources(
    train: Source, val: Source | None, classes: int | None, ignore_index: int | None
) -> tuple[SampleSource, SampleSource]:
    """Return the training and the validation images as sources of the same classes."""
    names = None if classes is None else [f"class {k}" for k in range(classes)]
    first = ArraySource(*train, names, ignore_index) if isinstance(train, tuple) else train
    if val is None:
        if not isinstance(first, ArraySource):
            raise ValueError("Trainer: pass validation images (val=…) when the training images are not arrays")
        count = len(first)
        begin = count - max(1, count // VAL_EVERY)
        learned, held_back = (range(begin), range(begin, count)) if begin else (range(count), range(count))
        return first.subset(learned), first.subset(held_back)
    second = ArraySource(*val, first.classes, ignore_index) if isinstance(val, tuple) else val
    if second.classes != first.classes:
        raise ValueError(f"Trainer: training classes {first.classes} are not the validation classes {second.classes}")
    return first, second
