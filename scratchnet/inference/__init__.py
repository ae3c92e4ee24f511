"""Segmentation of images of any size with a trained network, and evaluation of the masks."""

from scratchnet.inference.combining import Ensemble, EnsembleRule, MultiScale, Predictor, Refined, Scorer
from scratchnet.inference.crf import DenseCrf
from scratchnet.inference.evaluating import Evaluation, evaluate
from scratchnet.inference.prior import PriorCorrected
from scratchnet.inference.proposals import Aggregation, ProposalSegmenter
from scratchnet.inference.sampling import DropoutSampling, TransformSampling, choose_sampling
from scratchnet.inference.segmentation import Segmenter, to_mask
from scratchnet.inference.uncertainty import SampledPredictor, Sampling, UncertaintyMaps, entropy

__all__ = [
    "Aggregation",
    "DenseCrf",
    "DropoutSampling",
    "Ensemble",
    "EnsembleRule",
    "Evaluation",
    "MultiScale",
    "Predictor",
    "PriorCorrected",
    "ProposalSegmenter",
    "Refined",
    "SampledPredictor",
    "Sampling",
    "Scorer",
    "Segmenter",
    "TransformSampling",
    "UncertaintyMaps",
    "choose_sampling",
    "entropy",
    "evaluate",
    "to_mask",
]
