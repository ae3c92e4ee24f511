"""The flag `--uncertainty N`, shared by the commands that have it."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from scratchnet.cli.flags import flag_name
from scratchnet.cli.prediction_arguments import PredictionArguments
from scratchnet.data.images import png_text
from scratchnet.inference import Predictor, Segmenter
from scratchnet.inference.sampling import choose_sampling
from scratchnet.inference.uncertainty import MAX_SAMPLES, MIN_SAMPLES, SampledPredictor, UncertaintyMaps
from scratchnet.training.contents import Checkpoint
from scratchnet.utils.errors import UserError
from scratchnet.utils.files import atomic_write

UNCERTAINTY = "uncertainty"
"""Kind of the files."""

WHITE = 0.5
"""Standard deviation that is drawn white: the largest possible one of a probability."""


def check_uncertainty(arguments: PredictionArguments, samples: int | None) -> None:
    """Refuse a number of passes that is out of range, and arguments that do not fit.

    Raises
    ------
    UserError
    """
    if samples is None:
        return
    if not MIN_SAMPLES <= samples <= MAX_SAMPLES:
        raise UserError(f"--uncertainty {samples}: expected {MIN_SAMPLES} to {MAX_SAMPLES} passes")
    for name in ("crf", "ensemble", "prior_correction"):
        if getattr(arguments, name) not in (None, False):
            raise UserError(
                f"{flag_name(name)}: cannot be combined with --uncertainty, which measures a single network before "
                "any refinement; leave one out"
            )


def sampled_predictor(arguments: PredictionArguments, checkpoint: Checkpoint, samples: int) -> SampledPredictor:
    """Return a predictor that makes several passes.

    Raises
    ------
    UserError
        If the network has no dropout and the arguments vary or cut the image themselves.
    """
    network = checkpoint.network
    if not network.dropouts():
        for name in ("proposals", "scales", "flip"):
            if getattr(arguments, name) not in (None, (1.0,), False):
                raise UserError(
                    f"{flag_name(name)}: cannot be combined with --uncertainty for a network without dropout, whose "
                    "images are flipped, scaled and shifted instead; leave one out"
                )
    predictor: Predictor = arguments.predictor(checkpoint)
    segmenter = predictor if isinstance(predictor, Segmenter) else Segmenter(network, checkpoint.spec.preprocessing)
    return SampledPredictor(choose_sampling(predictor, segmenter), samples)


class Spread(NamedTuple):
    """Mean and largest standard deviation of the probability of the predicted class in an image."""

    mean: float
    largest: float

    def text(self) -> str:
        """Return the end of the line about an image."""
        return f"; standard deviation {self.mean:.4f} on average, {self.largest:.2f} at most"


def spread_of(maps: UncertaintyMaps) -> Spread:
    """Return the standard deviations of an image."""
    deviation = maps.deviation()
    return Spread(float(deviation.mean()), float(deviation.max()))


def spread_summary(spreads: Mapping[Path, Spread]) -> str:
    """Return a line about all images."""
    mean = sum(spread.mean for spread in spreads.values()) / len(spreads)
    worst = max(spreads, key=lambda path: spreads[path].mean)
    return f"mean standard deviation {mean:.4f}; highest in {worst}, {spreads[worst].mean:.4f}"


def write_uncertainty(path: Path, maps: UncertaintyMaps) -> None:
    """Write the standard deviation d of the predicted class as a grey PNG of 16 bits, 65535 · √(d / 0.5).

    The square root shows the small deviations of a network with little dropout as well.
    """
    grey = np.rint(np.sqrt(np.clip(maps.deviation() / WHITE, 0, 1)) * 65535).astype(np.uint16)
    with atomic_write(path, UNCERTAINTY) as file:
        Image.fromarray(grey).save(file, format="PNG", pnginfo=png_text(UNCERTAINTY))
