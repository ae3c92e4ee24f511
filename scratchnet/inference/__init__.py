"""Segmentation of images of any size with a trained network, and evaluation of the masks."""

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
