"""Training a network of one's own on arrays, in a few lines of Python.

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
from scratchnet.data import ArraySource, Augmentation, Preprocessing, SampleSource, measure
from scratchnet.engine.device import computing
from scratchnet.inference import Segmenter
from scratchnet.losses import PixelLoss
from scratchnet.network import Network
from scratchnet.training.checkpoints import save_network
from scratchnet.training.contents import OWN_MODEL, ModelSpec
from scratchnet.training.objective import AnyLoss, LossFunction, Objective
from scratchnet.training.run import TrainingRun

Source: TypeAlias = SampleSource | tuple[Sequence[Array] | Array, Sequence[Array] | Array]
"""A set of labelled images, or a tuple (images, masks) as :class:`~scratchnet.data.ArraySource` takes them."""

HELD_BACK = 5
"""One of so many images is held back for validation where no images are given for it."""


class Trainer:
    """Trains a network, and keeps the weights of the epoch that did best on the validation images.

    Parameters
    ----------
    network : Network
        With three input channels; trained in place, allocated first if it has no memory yet. Frozen parameters stay.
    loss : PixelLoss or callable
        Any function (logits, truth) → (loss, gradient with respect to the logits).
    train : SampleSource or (images, masks)
        uint8 images and integer masks, see :class:`~scratchnet.data.ArraySource`.
    val : SampleSource or (images, masks) or None
        None holds back the last fifth of the training images; one image alone is used for both.
    settings : TrainingSettings or None
        Epochs, batch size, optimiser, schedule and so on. Its ``loss`` settings do not count: the loss is given.
    augmentation : Augmentation or None
    preprocessing : Preprocessing or None
        None measures mean and standard deviation on the training images.
    folder : Path or str or None
        Where checkpoints and log.csv are kept; None keeps them only while :meth:`fit` runs.
    resume : bool
        Go on where the folder's run stands, if there is one.

    Attributes
    ----------
    rows : list of dict
        The log, a dict an epoch.

    Raises
    ------
    ValueError, TypeError
        When network, images and masks do not fit together.
    UserError
        When a setting makes no sense, or a checkpoint to resume from belongs to another network.
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
        self.preprocessing = preprocessing or measure(self.train)
        self.folder, self.resume = None if folder is None else Path(folder), resume
        self.rows: list[dict[str, Any]] = []

    def fit(self) -> list[dict[str, Any]]:
        """Train to the end and return the log; the network has the best epoch's weights then, in evaluation mode."""
        with self._folder() as folder, computing(self.settings.device, self.settings.precision):
            recipe = ModelSpec(OWN_MODEL, {}, self.train.classes, self.preprocessing)
            arguments = folder, recipe, self.settings, self.augmentation, self.train, self.val, self.loss
            run = TrainingRun(*arguments, self.resume, network=self.network)
            for _ in run.fit():
                pass
            run.finish()
            self.rows = run.state.rows
        self._take(run.network)
        return self.rows

    def predict(self, images: Sequence[Array] | Array) -> list[Array]:
        """Return the most probable class of every pixel, a mask (h, w) uint8 an image (h, w, 3) or (h, w) uint8."""
        segmenter = Segmenter(self.network.eval(), self.preprocessing)
        grey = (np.repeat(image[..., None], 3, axis=2) if np.ndim(image) == 2 else image for image in images)
        return [segmenter.segment(np.ascontiguousarray(image)) for image in grey]

    def save(self, path: Path | str) -> None:
        """Write network, class names and preprocessing to a file for ``load_checkpoint`` and the commands."""
        save_network(path, self.network, self.train.classes, self.preprocessing)

    def _take(self, trained: Network) -> None:
        """Bring the trained values into the network that was given."""
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
            raise ValueError("Trainer: give validation images (val=…) where the training images are no arrays")
        count = len(first)
        cut = count - max(1, count // HELD_BACK)
        kept, held = (range(cut), range(cut, count)) if cut else (range(count), range(count))
        return first.part(kept), first.part(held)
    second = ArraySource(*val, first.classes, ignore_index) if isinstance(val, tuple) else val
    if second.classes != first.classes:
        raise ValueError(f"Trainer: training classes {first.classes} are not the validation classes {second.classes}")
    return first, second
