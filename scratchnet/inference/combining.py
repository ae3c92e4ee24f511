"""Combined predictions: over several scales, of two networks, and refined by a random field."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, Protocol, TypeAlias

import numpy as np

from scratchnet.arrays import Array, to_host
from scratchnet.data import resize_image
from scratchnet.inference.crf import DenseCrf
from scratchnet.inference.maps import resize_maps
from scratchnet.inference.segmentation import Segmenter
from scratchnet.ops.activation import softmax
from scratchnet.utils.errors import UserError
from scratchnet.utils.shape_checks import check_image, check_images

EnsembleRule: TypeAlias = Literal["mean", "product"]


class Predictor(Protocol):
    """An object that predicts the class of every pixel."""

    def probabilities(self, images: Array, names: Sequence[str] = ()) -> Array:
        """Return (n, h, w, classes) float32, on the host or a GPU, for images (n, h, w, 3) uint8 and their names."""

    def check(self, image: Array, name: str = "") -> None:
        """Raise a UserError if this image cannot be segmented, before any work is done."""


class Scorer(Predictor, Protocol):
    """A predictor whose probabilities are the softmax of scores."""

    def scores(self, images: Array, names: Sequence[str] = ()) -> Array:
        """Return (n, h, w, classes) float32."""


@dataclass(frozen=True)
class MultiScale:
    """The mean of a network's results on an image in several sizes, each resized to the image's size.

    Attributes
    ----------
    segmenter : Segmenter
    scales : tuple of float
        Factors on height and width of the image, or of the size to which the segmenter resizes every image.
    """

    segmenter: Segmenter
    scales: tuple[float, ...]

    def probabilities(self, images: Array, names: Sequence[str] = ()) -> Array:
        """Return the mean of the probabilities."""
        return self._mean(images, scores=False)

    def scores(self, images: Array, names: Sequence[str] = ()) -> Array:
        """Return the mean of the scores."""
        return self._mean(images, scores=True)

    def check(self, image: Array, name: str = "") -> None:
        """Raise a UserError if the image is too small at one of the scales."""
        check_image("MultiScale.check", image)
        for scale in self.scales:
            self._check_scale(scale, *image.shape[:2])

    @cached_property
    def _segmenters(self) -> tuple[Segmenter, ...]:
        """One segmenter for each scale."""
        preprocessing = self.segmenter.preprocessing
        if preprocessing.resize is None:
            return (self.segmenter,) * len(self.scales)
        h, w = preprocessing.resize
        return tuple(
            replace(self.segmenter, preprocessing=replace(preprocessing, resize=_scaled(h, w, scale)))
            for scale in self.scales
        )

    def _mean(self, images: Array, scores: bool) -> Array:
        check_images("MultiScale", images)
        h, w = images.shape[1:3]
        total: Array | None = None
        for scale, segmenter in zip(self.scales, self._segmenters, strict=True):
            self._check_scale(scale, h, w)
            scaled = images
            if segmenter.preprocessing.resize is None:
                scaled = np.stack([resize_image(image, _scaled(h, w, scale)) for image in images])
            maps = segmenter.scores(scaled) if scores else segmenter.probabilities(scaled)
            maps = resize_maps(to_host(maps), (h, w))
            total = maps if total is None else np.add(total, maps, out=total)
        assert total is not None
        total /= np.float32(len(self.scales))
        return total

    def _check_scale(self, scale: float, h: int, w: int) -> None:
        resize = self.segmenter.preprocessing.resize
        try:
            self.segmenter.check_network_size(*_scaled(*(resize or (h, w)), scale))
        except UserError as error:
            raise UserError(f"at scale {scale:g}, {error}") from error


def _scaled(h: int, w: int, scale: float) -> tuple[int, int]:
    return max(1, round(h * scale)), max(1, round(w * scale))


@dataclass(frozen=True)
class Ensemble:
    """Two networks together: DeconvNet's coarse-to-fine shapes and FCN's context (Noh et al. 2015, section 5.2).

    Attributes
    ----------
    first, second : Scorer
        Predictors of the same classes.
    rule : {"mean", "product"}
        ``mean`` averages the probabilities, as in the paper. ``product`` multiplies the first's scores by max(0, the
        second's scores) before the softmax, as in the paper's released code, where the second is FCN-8s.
    """

    first: Scorer
    second: Scorer
    rule: EnsembleRule = "mean"

    def probabilities(self, images: Array, names: Sequence[str] = ()) -> Array:
        """Return the combined probabilities."""
        if self.rule == "product":
            first, second = (to_host(one.scores(images, names)) for one in (self.first, self.second))
            return softmax(first * np.maximum(second, np.float32(0)))
        first, second = (to_host(one.probabilities(images, names)) for one in (self.first, self.second))
        return 0.5 * (first + second)

    def check(self, image: Array, name: str = "") -> None:
        """Raise a UserError if one of the two cannot segment the image."""
        self.first.check(image, name)
        self.second.check(image, name)


@dataclass(frozen=True)
class Refined:
    """A prediction refined by a fully connected random field.

    Attributes
    ----------
    predictor : Predictor
    field : DenseCrf
    """

    predictor: Predictor
    field: DenseCrf

    def probabilities(self, images: Array, names: Sequence[str] = ()) -> Array:
        """Return the field's probabilities."""
        found = to_host(self.predictor.probabilities(images, names))
        for i, image in enumerate(images):
            found[i] = self.field.refine(image, found[i])
        return found

    def check(self, image: Array, name: str = "") -> None:
        """Raise a UserError if the refined predictor cannot segment the image."""
        self.predictor.check(image, name)
