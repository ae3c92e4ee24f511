"""Masks of images of any size, computed from top to bottom to bound the memory."""

from collections.abc import Iterator

from scratchnet.arrays import Array, to_host
from scratchnet.data.image_rows import ImageRows
from scratchnet.engine.memory.system import available_memory
from scratchnet.inference.combining import Predictor
from scratchnet.inference.prior import by_rows
from scratchnet.inference.segmentation import to_mask
from scratchnet.inference.uncertainty import SampledPredictor
from scratchnet.utils.errors import UserError
from scratchnet.utils.options import option


def mask_rows(predictor: Predictor, image: ImageRows, name: str = "") -> Iterator[Array]:
    """Yield the most probable class of every pixel, (rows, w) uint8, from top to bottom.

    A network that cuts the image into tiles needs the memory of one row of them; every other predictor needs the
    probabilities of the whole image.
    """
    if (rows := by_rows(predictor, image.height, image.width)) is not None:
        for maps in rows.probability_rows(image):
            yield to_host(to_mask(maps))
    else:
        yield to_host(to_mask(predictor.probabilities(image.read()[None], (name,))[0]))


def check_rows(predictor: Predictor, image: ImageRows, classes: int, name: str = "") -> None:
    """Raise a UserError if an image cannot be segmented, before any work is done.

    This includes a prediction that needs the whole image at once, but has too little memory for it.
    """
    h, w = image.height, image.width
    if (rows := by_rows(predictor, h, w)) is not None:
        rows.check_size(h, w)
        return
    per_class = 24 if isinstance(predictor, SampledPredictor) else 12
    need, free = h * w * (32 + per_class * classes), available_memory()
    if free is not None and need > free:
        raise UserError(
            f"{h}×{w} pixels need about {need / 2**30:.1f} GiB when all are predicted at once, and {free / 2**30:.1f} "
            f"GiB are free; leave out {', '.join(map(option, ('scales', 'crf', 'ensemble')))} and "
            f"{option('proposals')}, or cut the image into parts"
        )
    predictor.check(image.read(), name)
