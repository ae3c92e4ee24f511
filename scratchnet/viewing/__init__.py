"""Making results visible: overlays, plots and the report of a run."""

from scratchnet.viewing.activations import Activation, activations_figure, strongest_maps
from scratchnet.viewing.architecture import architecture_figure
from scratchnet.viewing.blocks import Block, Join, blocks_of
from scratchnet.viewing.fields import draw_field, effective_field, field_figure, pixel_over
from scratchnet.viewing.journey import journey_frames
from scratchnet.viewing.keeping import keep, save_animation
from scratchnet.viewing.linear import draw_operator, matrix_of, transpose_figure
from scratchnet.viewing.matrices import draw_matrix
from scratchnet.viewing.overlap import draw_stamps, overlap_counts, overlap_figure
from scratchnet.viewing.overlays import (
    OUTCOMES,
    colorize,
    colorize_switches,
    error_map,
    outcome_legend,
    overlay,
    switch_colours,
)
from scratchnet.viewing.plots import confusion_figure, curves_figure, examples_figure, switch_figure
from scratchnet.viewing.receptive_field import Rectangle, projective_fields, receptive_fields
from scratchnet.viewing.report import Example, Report, pick_examples, verdict, write_report
from scratchnet.viewing.sliding import convolution_frames, im2col_frames
from scratchnet.viewing.stamping import Stamp, stamps, transposed_frames
from scratchnet.viewing.style import ROLES, panels

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
