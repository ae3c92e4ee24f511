"""The images of a training, and the batches in which a network receives them."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from scratchnet.arrays import Array
from scratchnet.data import Augmentation, BorderWeights, Preprocessing, SampleSource, epoch_batches, shard_slice
from scratchnet.training.accumulation import Batch, MicroBatch, micro_batches, with_pixel_weights
from scratchnet.training.distributed.process_group import ProcessGroup
from scratchnet.training.padding import pad_to_stride


@dataclass(frozen=True)
class TrainingData:
    """Images to train and to validate on.

    Attributes
    ----------
    train, val : SampleSource
    augmentation : Augmentation
        Random changes of the training images.
    border_weights : BorderWeights or None
        Weights of the pixels of the training masks.
    """

    train: SampleSource
    val: SampleSource
    augmentation: Augmentation = field(default_factory=Augmentation)
    border_weights: BorderWeights | None = None


@dataclass
class BatchLoader:
    """Loads, augments and prepares the batches of each epoch, this process's share of every batch.

    Attributes
    ----------
    data : TrainingData
    preprocessing : Preprocessing
    batch_size : int
        Images of a batch, in all processes together.
    seed : int
    ranks : ProcessGroup
    stride, valid_margin : int
        The network's: images are padded to a multiple of the stride and framed by the margin.
    ignore_index : int or None
        Label of the padding.
    samples : int or None
        Samples in an epoch; None takes every training image once.
    """

    data: TrainingData
    preprocessing: Preprocessing
    batch_size: int
    seed: int
    ranks: ProcessGroup
    stride: int
    valid_margin: int
    ignore_index: int | None
    samples: int | None = None

    def __post_init__(self) -> None:
        self.batch_size = min(self.batch_size, self.samples or len(self.data.train))

    def __len__(self) -> int:
        """Return the number of whole batches in an epoch."""
        return (self.samples or len(self.data.train)) // self.batch_size

    def load(self, epoch: int) -> Iterator[tuple[Array, Array]]:
        """Yield the augmented images and masks of an epoch."""
        return epoch_batches(
            self.data.train,
            self.batch_size,
            self.seed,
            epoch,
            self.data.augmentation,
            drop_last=True,
            samples=self.samples,
            rank=self.ranks.rank,
            ranks=self.ranks.size,
        )

    def load_weighted(self, epoch: int) -> Iterator[Batch]:
        """Yield the augmented images and masks of an epoch with the weights of their pixels."""
        return with_pixel_weights(self.load(epoch), self.data.border_weights)

    def prepare(self, images: Array, masks: Array) -> tuple[Array, Array]:
        """Return images (n, h, w, 3) and masks (n, h, w) as the network takes them: preprocessed and padded."""
        # Training images are resized already, and a window of one keeps its own size.
        x = replace(self.preprocessing, resize=None).apply(images)
        return pad_to_stride(x, masks, self.stride, self.ignore_index, self.valid_margin)

    def split(self, number: int, batch: Batch, per_image: bool) -> list[MicroBatch]:
        """Return batch ``number`` of an epoch as it passes through the network: whole, or image by image."""
        images, masks, weights = batch
        first = shard_slice(self.batch_size, self.ranks.rank, self.ranks.size).start
        return micro_batches(number, *self.prepare(images, masks), weights, self.batch_size if per_image else 0, first)
