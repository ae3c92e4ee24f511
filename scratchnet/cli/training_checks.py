"""Checks of images and network before a training starts, so that errors show now and not after hours."""

from math import prod

import numpy as np

from scratchnet.config import TrainSettings
from scratchnet.data import Preprocessing, SampleSource, prefetch
from scratchnet.data.frequencies import ClassCounts
from scratchnet.engine.memory.system import available_memory
from scratchnet.inference import Segmenter
from scratchnet.network import Network
from scratchnet.network.checkpointing import choose_segments, peak_bytes
from scratchnet.utils.errors import UserError
from scratchnet.utils.progress import progress
from scratchnet.utils.wording import pixels


def check_images(
    settings: TrainSettings,
    network: Network,
    views: tuple[SampleSource, SampleSource],
    files: tuple[SampleSource, SampleSource],
) -> None:
    """Check that the network can take the images, and that every file can be read.

    Parameters
    ----------
    settings : TrainSettings
    network : Network
        Not yet allocated.
    views : (SampleSource, SampleSource)
        Training and validation images as the network receives them: resized, in tiles, or as boxes.
    files : (SampleSource, SampleSource)
        The same images as in the files.

    Raises
    ------
    UserError
        Naming the first image or mask that cannot be used.
    """
    train, val = views
    _check_training_sizes(settings, network, train)
    segmenter = Segmenter(network, Preprocessing(resize=settings.data.resize))
    for index, name in enumerate(val.names):
        try:
            segmenter.check_size(*val.size(index))
        except UserError as error:
            raise UserError(f"{name}: {error}") from error
    # Measuring the training images' mean reads them anyway.
    for source, what in ((files[0], "training"), (files[1], "validation"))[settings.normalization == "dataset" :]:
        for _ in prefetch(progress(range(len(source)), f"checking {what} images"), source.load):
            pass
    _check_labels(settings, files)


def memory_note(settings: TrainSettings, network: Network, train: SampleSource) -> str | None:
    """Return a warning if a training step needs more memory than is free, or None.

    The system would end the process without a message.
    """
    t, crop, free = settings.training, settings.augmentation.crop, available_memory()
    if t.device == "gpu" or free is None:
        return None
    h, w = crop or max((train.size(index) for index in range(len(train))), key=prod)
    size = tuple(-(-side // network.stride) * network.stride + 2 * network.valid_margin for side in (h, w))
    memory = network.step_memory(
        (size[0], size[1]),
        min(t.batch_size, t.samples_per_epoch or len(train)),
        recompute_inputs=not t.activation_checkpointing,
    )
    values = peak_bytes(memory, choose_segments(memory) if t.activation_checkpointing else (range(len(memory)),))
    stored = ({"sgd": 3}.get(t.optimizer, 4) + (t.ema is not None)) * 4 * network.parameter_count()
    if values + stored < free:
        return None
    return (
        f"a training step needs about {(values + stored) / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB "
        "are free; --activation-checkpointing, a smaller --batch-size (with --gradient-accumulation) or a smaller "
        "--width needs less"
    )


def _check_labels(settings: TrainSettings, files: tuple[SampleSource, SampleSource]) -> None:
    """Refuse training masks of a single class, and validation masks whose pixels are all ignored.

    Masks in the wrong format look like that: 0 and 1 with ``--mask-threshold 127``, for example. Reading stops as soon
    as the masks are known to be good, usually after the first one.
    """
    for source, what, enough in ((files[0], "training", 2), (files[1], "validation", 1)):
        counts = ClassCounts(len(source.classes), source.ignore_index)
        for index in range(len(source)):
            counts.add(source.load(index)[1])
            if np.count_nonzero(counts.images) >= enough:
                break
        else:
            raise UserError(f"{settings.data.data}, {what} images: {counts.why_untrainable(source.classes)}")


def _check_training_sizes(settings: TrainSettings, network: Network, train: SampleSource) -> None:
    """Refuse training images that the network cannot take, or that cannot share a batch."""
    t, crop = settings.training, settings.augmentation.crop
    batch = min(t.batch_size, t.samples_per_epoch or len(train))
    sizes = {"--crop": crop} if crop else {name: train.size(index) for index, name in enumerate(train.names)}
    first, (h, w) = next(iter(sizes.items()))
    for name, size in sizes.items():
        _check_size(settings.model.model, network, name, size)
        if size != (h, w) and batch > 1:
            raise UserError(
                f"{name} is {size[0]}×{size[1]} pixels but {first} is {h}×{w} (height × width), and "
                "a batch needs one size; use --crop, --tile, --resize or --batch-size 1"
            )
        _check_batch_norm(network, name, size, 1 if t.per_image_bn else batch)


def _check_size(model: str, network: Network, name: str, size: tuple[int, int]) -> None:
    (h, w), stride, fixed = size, network.stride, network.fixed_size
    if fixed is not None and size != fixed:
        raise UserError(
            f"{name} is {pixels(h, w)}, but model '{model}' takes {fixed[0]}×{fixed[1]}; set --size {h} if the images "
            f"are square and it is a multiple of {stride}, or use --crop, --tile or --resize"
        )
    if min(h, w) < stride:
        raise UserError(
            f"{name} is {pixels(h, w)}, but model '{model}' halves images down to 1/{stride}: it needs at least "
            f"{stride}×{stride} pixels"
        )


def _check_batch_norm(network: Network, name: str, size: tuple[int, int], batch: int) -> None:
    """Refuse batches that shrink to a single pixel, which has no variance."""
    if batch > 1:
        return
    h, w = (-(-side // network.stride) * network.stride + 2 * network.valid_margin for side in size)
    shapes = network.shapes((h, w))
    for step in network.batch_norms():
        if shapes[step][:3] == (1, 1, 1):
            raise UserError(
                f"{name}: in a batch of one image, batch norm ('{step}') sees a single pixel, which has no variance; "
                "use a --batch-size of 2 or more (and as many training images)"
            )
