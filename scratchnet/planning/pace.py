"""Time that a training takes: a few steps of the chosen network are timed before it starts."""

import time
from dataclasses import dataclass
from math import prod
from statistics import median

import numpy as np

from scratchnet.arrays import to_device_of
from scratchnet.config import TrainSettings
from scratchnet.data import Augmentation, Preprocessing, SampleSource, epoch_batches
from scratchnet.engine.capture.captured_network import CapturedNetwork
from scratchnet.engine.cpu.threads import thread_count
from scratchnet.engine.device import array_module
from scratchnet.inference import Segmenter
from scratchnet.losses import PixelLoss
from scratchnet.models import build
from scratchnet.network import Network
from scratchnet.ops.geometry import Pair
from scratchnet.planning.length import usual_updates

MIN_STEPS, MAX_STEPS, SECONDS = 4, 16, 2.0
"""Steps that are timed, and the time after which they are enough."""
VALIDATED = 2
"""Validation images that are timed."""
SAFETY = 1.1
"""Factor on all times, for what is not timed: the report, the last evaluation, files."""
WIDTHS = (0.125, 0.1875, 0.25, 0.375, 0.5)


@dataclass(frozen=True)
class Pace:
    """Seconds that parts of a training take.

    Attributes
    ----------
    update : float
        One update, the loading of its images included.
    validation : float
        One validation.
    """

    update: float
    validation: float

    def seconds(self, updates: int, validations: int) -> float:
        """Return the time of a training."""
        return SAFETY * (updates * self.update + (validations + 1) * self.validation)


def measure_pace(settings: TrainSettings, train: SampleSource, val: SampleSource) -> Pace:
    """Time a few training steps on random images of the right size, and the validation of a few images.

    Parameters
    ----------
    settings : TrainSettings
    train, val : SampleSource
        Training and validation images as the network receives them.
    """
    t, crop = settings.training, settings.augmentation.crop
    h, w = crop or max((train.size(index) for index in range(len(train))), key=lambda size: size[0] * size[1])
    xp = array_module(t.device)
    network = build(settings.model.model, len(train.classes), **settings.model.options()).allocate(0).to(xp).train()
    stride, margin = network.stride, network.valid_margin
    size = (-(-h // stride) * stride + 2 * margin, -(-w // stride) * stride + 2 * margin)
    batch = min(t.batch_size, t.samples_per_epoch or len(train))
    loss = PixelLoss(len(train.classes), t.loss)
    step = _time_step(CapturedNetwork(network), loss, batch, size) * t.gradient_accumulation
    load = _time_loading(train, batch, settings.augmentation) * t.gradient_accumulation
    alone = 1.0 if thread_count() == 1 else 0.3  # with several cores, images are mostly loaded beside the steps
    return Pace(max(step + alone * load, load), _time_validation(network, settings, val))


def _time_step(captured: CapturedNetwork, loss: PixelLoss, batch: int, size: Pair) -> float:
    """Return the seconds of a step: the median of the later half, because the first ones prepare the others.

    Other programs slow the steps as they will slow the training.
    """
    rng, like = np.random.default_rng(0), captured.network.flat().values
    x = to_device_of(like, rng.standard_normal((batch, *size, 3), dtype=np.float32))
    masks = to_device_of(like, rng.integers(0, loss.classes, (batch, *size)).astype(np.uint8))
    seconds = list[float]()
    while len(seconds) < MIN_STEPS or (sum(seconds) < SECONDS and len(seconds) < MAX_STEPS):
        begin = time.perf_counter()
        value, gradient = loss(captured.forward(x, keep=True), masks)
        captured.backward(gradient, add=False)
        float(value)  # waits for a GPU
        seconds.append(time.perf_counter() - begin)
    return median(seconds[len(seconds) // 2 :])


def _time_loading(train: SampleSource, batch: int, augmentation: Augmentation) -> float:
    """Return the seconds in which a batch is loaded and augmented, when nothing else is: that of the faster of two."""
    seconds = []
    for epoch in range(2):
        begin = time.perf_counter()
        next(iter(epoch_batches(train, batch, 0, epoch, augmentation, samples=batch)))
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


def _time_validation(network: Network, settings: TrainSettings, val: SampleSource) -> float:
    """Return the seconds of a validation, estimated from a few images of middle size, pixel by pixel."""
    segmenter = Segmenter(network.eval(), Preprocessing(resize=settings.data.resize))
    areas = [prod(val.size(index)) for index in range(len(val))]
    middle = sorted(range(len(val)), key=lambda index: areas[index])[len(val) // 2 :][:VALIDATED]
    rates = []
    for index in middle:
        begin = time.perf_counter()
        segmenter.segment(val.load(index)[0])
        rates.append((time.perf_counter() - begin) / areas[index])
    share = min(1.0, (settings.training.val_samples or len(val)) / max(1, len(val)))
    return min(rates, default=0.0) * sum(areas) * share


def fit_width(pace: Pace, images: int, seconds: float, width: float) -> float:
    """Return the width of the network with which the time suffices for enough updates, and is used."""
    usual = usual_updates(images)
    possible = seconds / (SAFETY * pace.update)
    place = min(range(len(WIDTHS)), key=lambda index: abs(WIDTHS[index] - width))
    wider = int(possible > 3 * usual) + int(possible > 8 * usual)
    return WIDTHS[min(max(place + (wider or -int(possible < usual / 2)), 0), len(WIDTHS) - 1)]


def fit_updates(pace: Pace, seconds: float, validations: int) -> int:
    """Return the number of updates that a time suffices for, at least 1."""
    left = seconds / SAFETY - (validations + 1) * pace.validation
    return max(1, int(left / pace.update))
