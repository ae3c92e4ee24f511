"""Warn of ``--bn-statistics batch`` on images much larger than those of the training."""

from collections.abc import Iterable
from math import prod

from scratchnet.training.contents import LARGEST_IMAGE, Checkpoint
from scratchnet.utils.verbosity import warn
from scratchnet.utils.wording import pixels

MUCH_LARGER = 4
"""Ratio of areas above which an image is much larger than the training images."""


def warn_of_large_images(checkpoint: Checkpoint, statistics: str, sizes: Iterable[tuple[int, int]]) -> None:
    """Print one line if images are normalised by their own statistics, but are much larger than in training.

    Batch norm was trained with the statistics of images in which objects take a certain share of the pixels; in a large
    photograph, and in each of its tiles, that share is another one.

    Parameters
    ----------
    checkpoint : Checkpoint
    statistics : str
        Value of ``--bn-statistics``.
    sizes : iterable of (int, int)
        Height and width of each image.
    """
    spec = checkpoint.spec
    trained = spec.data.get(LARGEST_IMAGE)
    resized = spec.preprocessing.resize is not None
    if statistics != "batch" or resized or not trained or not checkpoint.network.batch_norms():
        return
    largest = max(sizes, key=prod, default=(0, 0))
    if prod(largest) > MUCH_LARGER * prod(trained):
        warn(
            f"--bn-statistics batch: an image of {pixels(*largest)} is much larger than the training images, at most "
            f"{pixels(*trained)}, so its statistics are no help; leave the flag out"
        )
