"""Matplotlib figures of a training run and of a segmentation.

Every function returns a new `matplotlib.figure.Figure`: save it with ``figure.savefig("curves.png")``, or display it in
a notebook. The functions do not use pyplot's global state, so they work in threads and on servers.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from scratchnet.arrays import Array
from scratchnet.utils.shape_checks import check_masks, check_pair
from scratchnet.visualization.overlays import colorize_switches, error_map, outcome_legend, overlay, switch_colours
from scratchnet.visualization.style import INK, MUTED

LINES = ("#3b8fd6", "#e08a00", "#1a9e77", "#b86fa0")  # readable on white and on near-black
LONGEST_NAME = 24
"""Maximum number of characters of class names beside a confusion matrix; longer names are truncated."""

LOSSES = {"train_loss": "training, as minimised", "val_loss": "validation, plain cross-entropy"}
SCORES = {"val_iou_foreground": "IoU of the foreground", "val_mean_iou": "mean IoU", "val_accuracy": "pixel accuracy"}


def curves_figure(
    rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str] = LOSSES, label: str = "loss"
) -> Figure:
    """Draw columns of a training log over the epochs.

    Parameters
    ----------
    rows : sequence of mappings
        The lines of ``log.csv``, as text or numbers; empty fields are gaps. ``epoch`` is the horizontal axis.
    columns : mapping
        Column → name in the legend, such as `LOSSES` and `SCORES`; columns without values are omitted.
    label : str
        Label of the vertical axis.
    """
    figure, axes = _axes(4.6, 3.1)
    epochs = _numbers(rows, "epoch")
    drawn = {column: values for column in columns if np.isfinite(values := _numbers(rows, column)).any()}
    for (column, values), colour in zip(drawn.items(), LINES, strict=False):
        given = np.isfinite(values)  # a line with gaps would hide single points between them
        marker = "o" if given.sum() == 1 else None
        axes.plot(epochs[given], values[given], color=colour, linewidth=1.8, label=columns[column], marker=marker)
    axes.set_xlabel("epoch")
    axes.set_ylabel(label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7, min_n_ticks=1))
    axes.grid(axis="y", color=MUTED, alpha=0.25, linewidth=0.7)
    if drawn:
        every = np.concatenate([values[np.isfinite(values)] for values in drawn.values()])
        low, high = min(0.0, every.min()), every.max()
        axes.set_ylim(low, high + 0.05 * ((high - low) or 1.0))
        handles, names = axes.get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper left", ncols=3, frameon=False, labelcolor=INK, fontsize=9)
    return figure


def confusion_figure(confusion: Array, class_names: Sequence[str]) -> Figure:
    """Draw a confusion matrix: the percentage of each true class's pixels (row) predicted as each class (column).

    Parameters
    ----------
    confusion : Array
        (K, K) counts, row = truth.
    class_names : sequence of str
        K names.
    """
    classes = len(class_names)
    if confusion.shape != (classes, classes):
        raise ValueError(f"confusion_figure: {classes} class names for a matrix of shape {confusion.shape}")
    totals = confusion.sum(axis=1, keepdims=True)
    share = confusion / np.maximum(totals, 1)
    names = [name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…" for name in class_names]
    longest = 0.078 * max(len(name) for name in names)  # inches
    side = max(1.7, 0.36 * classes)
    slanted = longest > side / classes
    figure, axes = _axes(side + 0.8 + longest, side + 0.7 + (0.7 * longest if slanted else 0.0))
    blue = LinearSegmentedColormap.from_list("share", [(0.231, 0.561, 0.839, 0.0), (0.231, 0.561, 0.839, 0.8)])
    # The square root makes an error of 4 % visible beside a diagonal of 90 %.
    axes.pcolormesh(np.sqrt(share), cmap=blue, vmin=0, vmax=1, edgecolors=(*_rgb(MUTED), 0.35), linewidth=0.5)
    _write_percentages(axes, share, totals)
    places = np.arange(classes) + 0.5
    slant: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if slanted else {}
    axes.set_xticks(places, names, parse_math=False, **slant)
    axes.set_yticks(places, names, parse_math=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.invert_yaxis()
    axes.set_aspect("equal")
    axes.set_xlabel("predicted, % of the true class")
    axes.set_ylabel("truth")
    return figure


def _write_percentages(axes: Axes, share: Array, totals: Array) -> None:
    """Write the shares (K, K) of the true classes as percentages into the cells of a confusion matrix."""
    decimals, size = (1, 9) if len(share) <= 4 else (0, 8)
    for row, column in np.ndindex(share.shape):
        text = f"{100 * share[row, column]:.{decimals}f}" if totals[row, 0] else "–"
        colour = MUTED if share[row, column] < 0.005 else INK
        axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=size, color=colour)


def examples_figure(
    examples: Iterable[tuple[str, Array, Array, Array]],
    ignore_index: int | None = 255,
    background: int | None = 0,
) -> Figure:
    """Draw one row per example (name, image, truth, prediction): image, truth, prediction and errors.

    See `scratchnet.visualization.overlays.error_map` for ``background``.

    Raises
    ------
    ValueError
        If there is no example.
    """
    rows = list(examples)
    if not rows:
        raise ValueError("examples_figure: no example given")
    for _, image, truth, prediction in rows:
        check_pair("examples_figure", image, truth)
        check_masks("examples_figure", truth, prediction)
    shapes = [image.shape for _, image, *_ in rows]
    heights = [2.2 * height / width + 0.25 for height, width, _ in shapes]  # inches, with a line for the name
    figure = Figure(figsize=(9.0, sum(heights) + 0.4), layout="constrained")
    grid = figure.subplots(len(rows), 4, squeeze=False, height_ratios=heights)
    outcomes: dict[str, tuple[int, int, int]] = {}
    for line, (name, image, truth, prediction) in zip(grid, rows, strict=True):
        errors = error_map(truth, prediction, ignore_index, background)
        outcomes |= outcome_legend(errors, background)
        pictures = (image, overlay(image, truth, ignore_index=ignore_index), overlay(image, prediction), errors)
        for axes, picture in zip(line, pictures, strict=True):
            axes.imshow(picture, interpolation="nearest")
            axes.set_axis_off()
        line[0].set_title(name, loc="left", fontsize=9, color=INK, parse_math=False)
    for axes, title in zip(grid[0, 1:], ("truth", "prediction", "errors"), strict=True):
        axes.set_title(title, loc="left", fontsize=9, color=INK)
    patches = [_patch(colour, name) for name, colour in outcomes.items()]
    figure.legend(handles=patches, loc="outside lower right", ncols=6, frameon=False, labelcolor=INK, fontsize=9)
    return figure


def switch_figure(switches: Array, kernel: int) -> Figure:
    """Draw one channel's switches: a pixel's colour shows the position of the maximum in its pooling window.

    Parameters
    ----------
    switches : Array
        (h, w) uint8, row·kernel + column within the window.
    kernel : int
        Side of the pooling window.
    """
    figure = Figure(figsize=(5.2, 4.0), layout="constrained")
    axes, window = figure.subplots(1, 2, width_ratios=(5, 1))
    axes.imshow(colorize_switches(switches, kernel), interpolation="nearest")
    axes.set_axis_off()
    # the legend is the window itself
    window.imshow(switch_colours(kernel).reshape(kernel, kernel, 3), interpolation="nearest")
    for switch, colour in enumerate(switch_colours(kernel)):
        row, column = divmod(switch, kernel)
        dark = colour @ (0.299, 0.587, 0.114) < 140
        window.text(column, row, str(switch), ha="center", va="center", fontsize=9, color="white" if dark else "black")
    window.set_title("window", fontsize=9, color=INK)
    window.set_axis_off()
    return figure


def _axes(width: float, height: float) -> tuple[Figure, Axes]:
    """Return an empty figure in inches with one plain axes."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED)
    axes.tick_params(color=MUTED, labelcolor=INK, labelsize=9)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    return figure, axes


def _numbers(rows: Sequence[Mapping[str, Any]], column: str) -> Array:
    """Return one column (rows,) float64 of a log, nan where a field is missing or empty."""
    return np.array([float("nan") if row.get(column) in (None, "") else float(row[column]) for row in rows])


def _rgb(colour: str) -> tuple[float, float, float]:
    """Return the three parts, 0 to 1, of "#rrggbb"."""
    red, green, blue = bytes.fromhex(colour[1:])
    return red / 255, green / 255, blue / 255


def _patch(colour: tuple[int, int, int], name: str) -> Patch:
    """Return a legend entry."""
    red, green, blue = colour
    return Patch(facecolor=(red / 255, green / 255, blue / 255), edgecolor=MUTED, linewidth=0.5, label=name)
