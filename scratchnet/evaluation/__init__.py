"""Metrics of segmentations, computed from class masks alone, independent of networks."""

from scratchnet.evaluation.baselines import (
    CHANNELS,
    Channel,
    ThresholdBaseline,
    all_background_baseline,
    baseline_metrics,
    fit_threshold_baseline,
)
from scratchnet.evaluation.boundaries import TOLERANCE, boundary_band, boundary_f1, mean_boundary_f1, within
from scratchnet.evaluation.calibration import Reliability, reliability
from scratchnet.evaluation.details import BAND_WIDTH, DetailCounter, Details
from scratchnet.evaluation.metrics import Metrics, confusion_matrix, dice, metrics
from scratchnet.evaluation.sizes import SIZE_BINS, SIZE_EDGES, ObjectScore, SizeBin, object_scores, regions, size_table

__all__ = [
    "BAND_WIDTH",
    "CHANNELS",
    "SIZE_BINS",
    "SIZE_EDGES",
    "TOLERANCE",
    "Channel",
    "DetailCounter",
    "Details",
    "Metrics",
    "ObjectScore",
    "Reliability",
    "SizeBin",
    "ThresholdBaseline",
    "all_background_baseline",
    "baseline_metrics",
    "boundary_band",
    "boundary_f1",
    "confusion_matrix",
    "dice",
    "fit_threshold_baseline",
    "mean_boundary_f1",
    "metrics",
    "object_scores",
    "regions",
    "reliability",
    "size_table",
    "within",
]
