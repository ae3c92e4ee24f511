"""From a trained network and an image of any size to a mask of that size, and how good those masks are."""

from scratchnet.inference.crf import DenseCrf
from scratchnet.inference.evaluating import Evaluation, evaluate
from scratchnet.inference.segmentation import Segmenter, to_mask

__all__ = ["DenseCrf", "Evaluation", "Segmenter", "evaluate", "to_mask"]
