"""Random passes over an image: dropout that stays active, or flips, scales and shifts of the image.

A network with dropout is a different network in every pass, trained on the same images; its passes disagree where the
training images do not settle the matter (Monte Carlo dropout; Gal, Ghahramani 2016). Batch norm keeps its running
statistics. A network without dropout is always the same, so the image varies instead: where the prediction depends on
the position, the size or the side of an object, it is not to be relied on (test-time augmentation; Wang et al.,
"Aleatoric uncertainty estimation with test-time augmentation for medical image segmentation" 2019).

Pass number n draws the same random numbers for every image, so the result does not depend on the order of the images.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from scratchnet.arrays import Array, generator, to_host
from scratchnet.data import resize_image
from scratchnet.inference.combining import Predictor
from scratchnet.inference.maps import resize_maps
from scratchnet.inference.segmentation import Segmenter
from scratchnet.inference.uncertainty import Sampling
from scratchnet.network import Network

SCALES = 0.8, 1.25
"""Smallest and largest factor on an image's height and width."""

SHIFT = 16
"""Largest shift in pixels, downwards and to the right."""


def choose_sampling(predictor: Predictor, segmenter: Segmenter, seed: int = 0) -> Sampling:
    """Return dropout if the network has any, else flips, scales and shifts.

    Parameters
    ----------
    predictor : Predictor
        Predicts with the segmenter's network; it is what dropout varies.
    segmenter : Segmenter
    seed : int
    """
    if segmenter.network.dropouts():
        return DropoutSampling(predictor, segmenter.network, seed)
    return TransformSampling(segmenter, seed)


@dataclass(frozen=True)
class DropoutSampling:
    """Passes in which dropout drops elements, as in training.

    Attributes
    ----------
    predictor : Predictor
    network : Network
        The predictor's network, in evaluation mode; it has dropout.
    seed : int

    Raises
    ------
    ValueError
        If the network has no dropout, so that all passes would be equal.
    """

    predictor: Predictor
    network: Network
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.network.dropouts():
            raise ValueError("DropoutSampling: the network has no dropout; use TransformSampling")

    def sample(self, image: Array, number: int, name: str = "") -> Array:
        """Return the probabilities (h, w, classes) float32 of one pass."""
        self.network.reseed(self.seed, "uncertainty", number)
        self.network.use_dropout()
        try:
            found: Array = to_host(self.predictor.probabilities(image[None], (name,)))[0]
        finally:
            self.network.use_dropout(False)
        return found

    def check(self, image: Array, name: str = "") -> None:
        """Raise a UserError if the predictor cannot segment the image."""
        self.predictor.check(image, name)

    def words(self, samples: int) -> str:
        """Return which layers vary."""
        layers = list(self.network.dropouts())
        return f"{samples} passes with dropout active in {', '.join(layers)}"


class Transform(NamedTuple):
    """A change of an image: resized by ``scale``, then moved ``down`` and ``right`` by pixels, then mirrored."""

    scale: float
    down: int
    right: int
    mirrored: bool


@dataclass(frozen=True)
class TransformSampling:
    """Passes over the image flipped, scaled and shifted at random; pass 0 is over the image itself.

    Shifts are up to 16 pixels, which changes the positions in the windows of every pool; the border is filled by
    reflection. Scales are 0.8 to 1.25, if the preprocessing does not bring all images to one size anyway.

    Attributes
    ----------
    segmenter : Segmenter
    seed : int
    """

    segmenter: Segmenter
    seed: int = 0

    def transform(self, number: int, h: int, w: int) -> Transform:
        """Return the change of an image of ``h × w`` pixels in one pass."""
        if number == 0:
            return Transform(1.0, 0, 0, False)
        rng = generator(self.seed, "uncertainty", number)
        low, high = np.log(SCALES)
        scale = float(np.exp(rng.uniform(low, high)))
        down, right = (int(v) for v in rng.integers(0, SHIFT + 1, 2))
        smallest = self.segmenter.network.stride / min(h, w)
        scale = 1.0 if self.segmenter.preprocessing.resize is not None else max(scale, smallest)
        return Transform(scale, min(down, h), min(right, w), bool(rng.random() < 0.5))

    def sample(self, image: Array, number: int, name: str = "") -> Array:
        """Return the probabilities (h, w, classes) float32 of one pass, moved back to the image's pixels."""
        h, w = image.shape[:2]
        scale, down, right, mirrored = self.transform(number, h, w)
        size = max(1, round(h * scale)), max(1, round(w * scale))
        changed = image if size == (h, w) else resize_image(image, size)
        down, right = min(down, size[0]), min(right, size[1])
        changed = np.pad(changed, [(down, 0), (right, 0), (0, 0)], mode="symmetric")
        changed = changed[:, ::-1] if mirrored else changed
        found = to_host(self.segmenter.probabilities(np.ascontiguousarray(changed)[None]))
        found = found[:, :, ::-1] if mirrored else found
        back: Array = resize_maps(found[:, down:, right:], (h, w))[0]
        return back

    def check(self, image: Array, name: str = "") -> None:
        """Raise a UserError if the segmenter cannot segment the image."""
        self.segmenter.check(image, name)

    def words(self, samples: int) -> str:
        """Return what varies, and why it is not dropout."""
        resized = self.segmenter.preprocessing.resize is not None
        varied = "flips and shifts" if resized else "flips, scales and shifts"
        return f"{samples} random {varied} of the image, because the network has no dropout"
