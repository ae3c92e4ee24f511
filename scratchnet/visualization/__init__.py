"""Making results visible: overlays, plots and the report of a run."""

from scratchnet.visualization.activations import Activation, activations_figure, strongest_maps
from scratchnet.visualization.animation.conv_transpose import Stamp, stamps, transposed_frames
from scratchnet.visualization.animation.convolution import convolution_frames, im2col_frames
from scratchnet.visualization.animation.forward_pass import journey_frames
from scratchnet.visualization.graph.architecture import architecture_figure
from scratchnet.visualization.graph.blocks import Block, Join, blocks_of
from scratchnet.visualization.graph.fields import draw_field, effective_field, field_figure, pixel_over
from scratchnet.visualization.graph.linear import draw_operator, matrix_of, transpose_figure
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
from scratchnet.visualization.saving import keep, save_animation
from scratchnet.visualization.style import ROLES, panels

__all__ = [
    "OUTCOMES",
    "ROLES",
    "Activation",
    "Block",
    "Example",
    "Join",
    "Rectangle",
    "Report",
    "Stamp",
    "activations_figure",
    "architecture_figure",
    "blocks_of",
    "colorize",
    "colorize_switches",
    "confusion_figure",
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
    "im2col_frames",
    "journey_frames",
    "keep",
    "matrix_of",
    "outcome_legend",
    "overlap_counts",
    "overlap_figure",
    "overlay",
    "panels",
    "pick_examples",
    "pixel_over",
    "projective_fields",
    "receptive_fields",
    "save_animation",
    "stamps",
    "strongest_maps",
    "switch_colours",
    "switch_figure",
    "transpose_figure",
    "transposed_frames",
    "verdict",
    "write_report",
]
