"""From a trained network and an image of any size to a mask of that size, and how good those masks are."""

from scratchnet.inference.combining import Ensemble, EnsembleRule, MultiScale, Predictor, Refined, Scorer
from scratchnet.inference.crf import DenseCrf
from scratchnet.inference.evaluating import Evaluation, evaluate
from scratchnet.inference.proposals import Aggregation, ProposalSegmenter
from scratchnet.inference.segmentation import Segmenter, to_mask

__all__ = [
    "Aggregation",
    "DenseCrf",
    "Ensemble",
    "EnsembleRule",
    "Evaluation",
    "MultiScale",
    "Predictor",
    "ProposalSegmenter",
    "Refined",
    "Scorer",
    "Segmenter",
    "evaluate",
    "to_mask",
]
