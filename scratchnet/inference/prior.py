"""Correction of probabilities for the class weights of the training.

A loss that weights class c by w_c is, in expectation, the loss without weights on images in which class c is w_c times
as frequent. The network then estimates probabilities for such images, and dividing them by w_c and normalising gives
those for the images as they are (Saerens, Latinne, Decaestecker, "Adjusting the outputs of a classifier to new a
priori probabilities", Neural Computation 2002, eq. 2.4). A smaller exponent keeps some of the preference for rare
classes, which mean IoU rewards.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from scratchnet.arrays import Array, get_array_module
from scratchnet.data.image_rows import ImageRows
from scratchnet.inference.combining import Predictor, Scorer
from scratchnet.inference.segmentation import Segmenter


@dataclass(frozen=True)
class PriorCorrected:
    """A prediction whose probabilities are divided by weight^power, and normalised.

    Attributes
    ----------
    predictor : Scorer
    weights : tuple of float
        One per class, as in the loss of the training; the probability of a class with weight 0 is not divided.
    power : float
        0 changes nothing, 1 removes the effect of the weights.
    """

    predictor: Scorer
    weights: tuple[float, ...]
    power: float = 0.5

    def probabilities(self, images: Array, names: Sequence[str] = ()) -> Array:
        """Return the corrected probabilities."""
        return self._corrected(self.predictor.probabilities(images, names))

    def scores(self, images: Array, names: Sequence[str] = ()) -> Array:
        """Return the corrected scores: score − power · log(weight)."""
        scores = self.predictor.scores(images, names)
        corrected: Array = scores + get_array_module(scores).log(self._factors(scores))
        return corrected

    def check(self, image: Array, name: str = "") -> None:
        """Raise a UserError if the corrected predictor cannot segment the image."""
        self.predictor.check(image, name)

    def takes_rows(self, h: int, w: int) -> bool:
        """Return whether `probability_rows` can predict an image of ``h × w`` pixels."""
        return isinstance(self.predictor, Segmenter) and self.predictor.takes_rows(h, w)

    def probability_rows(self, image: ImageRows) -> Iterator[Array]:
        """Yield the result of `probabilities` (rows, w, classes) for an image that `takes_rows`, from top to bottom."""
        assert isinstance(self.predictor, Segmenter)
        return map(self._corrected, self.predictor.probability_rows(image))

    def check_size(self, h: int, w: int) -> None:
        """Raise a UserError if an image of ``h × w`` pixels that `takes_rows` is too small for the network."""
        assert isinstance(self.predictor, Segmenter)
        self.predictor.check_size(h, w)

    def _corrected(self, maps: Array) -> Array:
        corrected: Array = maps * self._factors(maps)
        corrected /= corrected.sum(axis=-1, keepdims=True)
        return corrected

    def _factors(self, like: Array) -> Array:
        """Return weight^−power, (classes,), with the dtype and on the device of an array."""
        factors = [weight**-self.power if weight > 0 else 1.0 for weight in self.weights]
        made: Array = get_array_module(like).asarray(factors, like.dtype)
        return made


RowPredictor: TypeAlias = Segmenter | PriorCorrected


def by_rows(predictor: Predictor, h: int, w: int) -> RowPredictor | None:
    """Return the predictor if it can predict an image of ``h × w`` pixels row by row, else None."""
    return predictor if isinstance(predictor, Segmenter | PriorCorrected) and predictor.takes_rows(h, w) else None
