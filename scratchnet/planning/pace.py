"""Time that a training takes: a few steps of the chosen network are timed before it starts."""

import time
from dataclasses import dataclass

import numpy as np

from scratchnet.arrays import to_device_of
from scratchnet.config import TrainSettings
from scratchnet.data import SampleSource, epoch_batches
from scratchnet.engine.capture.captured_network import CapturedNetwork
from scratchnet.engine.device import array_module
from scratchnet.losses import PixelLoss
from scratchnet.models import build
from scratchnet.ops.geometry import Pair
from scratchnet.planning.length import usual_updates

STEPS = 4
"""Steps that are timed; the first ones, which prepare the others, take longer."""
FORWARD = 0.4
"""Time of a forward pass relative to a training step with the same pixels."""
SAFETY = 1.1
"""Factor on all times, for what is not timed: batch norm's recalibration, the report, files."""
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


def measure_pace(settings: TrainSettings, train: SampleSource, validation_pixels: int) -> Pace:
    """Time a few training steps on random images of the right size.

    Parameters
    ----------
    settings : TrainSettings
    train : SampleSource
        Training images as the network receives them.
    validation_pixels : int
    """
    t, crop = settings.training, settings.augmentation.crop
    h, w = crop or max((train.size(index) for index in range(len(train))), key=lambda size: size[0] * size[1])
    xp = array_module(t.device)
    network = build(settings.model.model, len(train.classes), **settings.model.options()).allocate(0).to(xp).train()
    stride, margin = network.stride, network.valid_margin
    size = (-(-h // stride) * stride + 2 * margin, -(-w // stride) * stride + 2 * margin)
    batch = min(t.batch_size, t.samples_per_epoch or len(train))
    step = _time_step(CapturedNetwork(network), PixelLoss(len(train.classes)), batch, size) * t.gradient_accumulation
    begin = time.perf_counter()
    next(iter(epoch_batches(train, batch, 0, 0, settings.augmentation)))
    load = (time.perf_counter() - begin) * t.gradient_accumulation
    validation = FORWARD * step * validation_pixels / (batch * size[0] * size[1] * t.gradient_accumulation)
    return Pace(max(step + 0.3 * load, load), validation)


def _time_step(captured: CapturedNetwork, loss: PixelLoss, batch: int, size: Pair) -> float:
    """Return the seconds of the fastest step."""
    rng, like = np.random.default_rng(0), captured.network.flat().values
    x = to_device_of(like, rng.standard_normal((batch, *size, 3), dtype=np.float32))
    masks = to_device_of(like, rng.integers(0, loss.classes, (batch, *size)).astype(np.uint8))
    seconds = []
    for _ in range(STEPS):
        begin = time.perf_counter()
        value, gradient = loss(captured.forward(x, keep=True), masks)
        captured.backward(gradient, add=False)
        float(value)  # waits for a GPU
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


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
