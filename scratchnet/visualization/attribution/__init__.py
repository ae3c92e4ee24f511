"""Attribution: which parts of an image a value of a network comes from, by four methods."""

from scratchnet.visualization.attribution.explanation import ANSWERS, Explanation, explain_pixel
from scratchnet.visualization.attribution.figure import attribution_figure
from scratchnet.visualization.attribution.occlusion import OcclusionGrid, occlusion, occlusion_grid
from scratchnet.visualization.attribution.page import why_page
from scratchnet.visualization.attribution.projection import project, projections, unknown_steps
from scratchnet.visualization.attribution.relu_rules import METHODS, Method
from scratchnet.visualization.attribution.unit import Unit, class_score

__all__ = [
    "ANSWERS",
    "METHODS",
    "Explanation",
    "Method",
    "OcclusionGrid",
    "Unit",
    "attribution_figure",
    "class_score",
    "explain_pixel",
    "occlusion",
    "occlusion_grid",
    "project",
    "projections",
    "unknown_steps",
    "why_page",
]
