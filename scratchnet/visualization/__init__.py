"""Visualization of data, networks and results: overlays, plots, animations and reports."""

from scratchnet.visualization.activations import Activation, activations_figure, strongest_maps
from scratchnet.visualization.animation.conv_transpose import Stamp, conv_transpose_frames, stamps
from scratchnet.visualization.animation.convolution import convolution_frames, im2col_frames
from scratchnet.visualization.animation.forward_pass import forward_pass_frames
from scratchnet.visualization.attribution import (
    OcclusionGrid,
    Unit,
    attribution_figure,
    class_score,
    occlusion,
    occlusion_grid,
    project,
    projections,
)
from scratchnet.visualization.graph.architecture import architecture_figure
from scratchnet.visualization.graph.fields import draw_field, effective_field, field_figure, nearest_pixel
from scratchnet.visualization.graph.linear import draw_operator, operator_matrix, transpose_figure
from scratchnet.visualization.graph.nodes import Edge, Node, network_graph
from scratchnet.visualization.graph.overlap import draw_stamps, overlap_counts, overlap_figure
from scratchnet.visualization.graph.receptive_field import Rectangle, projective_fields, receptive_fields
from scratchnet.visualization.matrices import draw_matrix
from scratchnet.visualization.overlays import (
    OUTCOMES,
    colorize,
    colorize_switches,
    error_map,
    outcome_legend,
    overlay,
    switch_colours,
)
from scratchnet.visualization.plots import confusion_figure, curves_figure, examples_figure, switch_figure
from scratchnet.visualization.report import Example, Report, pick_examples, verdict, write_report
from scratchnet.visualization.run_status import RunStatus
from scratchnet.visualization.saving import save_animation, save_figure
from scratchnet.visualization.style import ROLES, panels

__all__ = [
    "OUTCOMES",
    "ROLES",
    "Activation",
    "Edge",
    "Example",
    "Node",
    "OcclusionGrid",
    "Rectangle",
    "Report",
    "RunStatus",
    "Stamp",
    "Unit",
    "activations_figure",
    "architecture_figure",
    "attribution_figure",
    "class_score",
    "colorize",
    "colorize_switches",
    "confusion_figure",
    "conv_transpose_frames",
    "convolution_frames",
    "curves_figure",
    "draw_field",
    "draw_matrix",
    "draw_operator",
    "draw_stamps",
    "effective_field",
    "error_map",
    "examples_figure",
    "field_figure",
    "forward_pass_frames",
    "im2col_frames",
    "nearest_pixel",
    "network_graph",
    "occlusion",
    "occlusion_grid",
    "operator_matrix",
    "outcome_legend",
    "overlap_counts",
    "overlap_figure",
    "overlay",
    "panels",
    "pick_examples",
    "project",
    "projections",
    "projective_fields",
    "receptive_fields",
    "save_animation",
    "save_figure",
    "stamps",
    "strongest_maps",
    "switch_colours",
    "switch_figure",
    "transpose_figure",
    "verdict",
    "write_report",
]
