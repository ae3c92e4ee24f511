"""Report of a run: one HTML file with the result, the curves, the best and worst examples, and the settings.

The file is self-contained: it needs no network, script or other file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from scratchnet.arrays import Array
from scratchnet.data.palette import PALETTE
from scratchnet.utils.files import atomic_write
from scratchnet.utils.signatures import REPORT
from scratchnet.visualization.html import chip, figure_svg, hex_colour, legend, page, picture, table
from scratchnet.visualization.overlays import colorize_switches, error_map, outcome_legend, overlay, switch_colours
from scratchnet.visualization.plots import LOSSES, SCORES, confusion_figure, curves_figure
from scratchnet.visualization.run_status import RunStatus, status_html

MAX_SIDE = 360
"""Longer side of pictures in the report, in pixels; without this limit, nine photographs would exceed 3 MB."""


@dataclass(frozen=True)
class Example:
    """One segmented image.

    Attributes
    ----------
    name : str
        Name of the image.
    image : Array
        (h, w, 3) uint8.
    truth, prediction : Array
        (h, w) uint8 class indices.
    score : float
        Score of the prediction.
    group : str
        Heading under which it is shown, such as "worst"; see `pick_examples`.
    """

    name: str
    image: Array
    truth: Array
    prediction: Array
    score: float
    group: str = ""

    def shrunk(self) -> "Example":
        """Return the example as the report shows it, with sides of at most ``MAX_SIDE`` pixels."""
        truth, prediction = (_shrink(mask, Image.Resampling.NEAREST) for mask in (self.truth, self.prediction))
        return replace(self, image=_shrink(self.image, Image.Resampling.BOX), truth=truth, prediction=prediction)

    def views(self, ignore_index: int | None = 255, background: int | None = 0) -> dict[str, Array]:
        """Return image, truth, prediction and errors as pictures (h, w, 3) uint8, shrunk."""
        small = self.shrunk()
        return {
            "image": small.image,
            "truth": overlay(small.image, small.truth, ignore_index=ignore_index),
            "prediction": overlay(small.image, small.prediction, ignore_index=ignore_index),
            "errors": error_map(small.truth, small.prediction, ignore_index, background),
        }


@dataclass(frozen=True)
class Report:
    """Content of a report. Empty parts are omitted.

    Attributes
    ----------
    title : str
        Name of what was trained or evaluated.
    class_names : sequence of str
        One name per class. With two classes the second is the foreground.
    images : int
        Number of images that ``metrics`` covers.
    metrics : mapping
        Result of ``Metrics.to_dict()`` on images that were not trained on.
    baselines : mapping
        Name → the same metrics of a trivial method.
    confusion : Array or None
        (K, K) counts, row = truth.
    log : sequence of mappings
        Lines of ``log.csv``.
    examples : sequence of Example
        Pictures to show, at most a dozen.
    score_name : str
        Name of the measure in ``Example.score``.
    switch_maps : sequence of (str, Array, int)
        Name, switches (h, w) uint8 of one channel, side of the pooling window.
    notes : sequence of str
        Sentences shown below the result.
    configuration : mapping
        Settings of the run, possibly nested.
    ignore_index : int or None
        Value in ``truth`` of ignored pixels.
    status : RunStatus or None
        State of the training, if it is the report of one.
    warnings : sequence of str
        Warnings of the training.
    """

    title: str
    class_names: Sequence[str]
    images: int = 0
    metrics: Mapping[str, Any] = field(default_factory=dict)
    baselines: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    confusion: Array | None = None
    log: Sequence[Mapping[str, Any]] = ()
    examples: Sequence[Example] = ()
    score_name: str = "Dice"
    switch_maps: Sequence[tuple[str, Array, int]] = ()
    notes: Sequence[str] = ()
    configuration: Mapping[str, Any] = field(default_factory=dict)
    ignore_index: int | None = 255
    status: RunStatus | None = None
    warnings: Sequence[str] = ()


def pick_examples(scores: Sequence[float], each: int = 3) -> list[tuple[str, int]]:
    """Choose the images to show: (group, index) of the worst, median and best scores.

    No image is chosen twice and nan is skipped. Groups are sorted from worst to best, except "best", which starts with
    the best. Showing only the best images would be misleading.

    >>> pick_examples([0.9, 0.1, 0.5, 0.7, 0.3], each=1)
    [('worst', 1), ('median', 2), ('best', 0)]
    """
    values = np.asarray(scores, np.float64)
    order = np.argsort(values, kind="stable")[: int(np.isfinite(values).sum())].tolist()
    worst = order[:each]
    best = order[len(worst) :][::-1][:each]
    between = order[len(worst) : len(order) - len(best)]
    start = max(0, (len(between) - each) // 2)
    median = between[start : start + each]
    groups = {"worst": worst, "median": median, "best": best}
    return [(group, index) for group, indices in groups.items() for index in indices]


def verdict(report: Report) -> str:
    """Return a sentence with the score, the number of images and the best trivial baseline.

    The score is the foreground IoU for two classes, the mean IoU for more. Before there is one, the sentence says how
    far the training is.
    """
    if report.status is not None and report.status.written:
        return report.status.headline()
    score = _main_score(report, report.metrics)
    if score is None:
        return "Not evaluated on unseen images."
    if len(report.class_names) == 2:
        name = report.class_names[1]
        subject = f"IoU of {'the foreground' if name == 'foreground' else name}"
    else:
        subject = f"Mean IoU over {len(report.class_names)} classes"
    found = f"{subject} {score:.2f} on {report.images} unseen image{'' if report.images == 1 else 's'}"
    rivals = [value for m in report.baselines.values() if (value := _main_score(report, m)) is not None]
    if not rivals:
        return f"{found}."
    if score > max(rivals):
        return f"{found}; the best trivial baseline reaches {max(rivals):.2f}."
    return f"{found}: no better than the best trivial baseline, which reaches {max(rivals):.2f}."


def write_report(path: Path | str, report: Report) -> None:
    """Write ``report`` atomically as one HTML file.

    Raises
    ------
    UserError
        If the file cannot be written.
    """
    status = report.status
    parts = [
        f'<header><h1>{escape(report.title)}</h1><p class="verdict">{escape(verdict(report))}</p>',
        *(f'<p class="note">{escape(note)}</p>' for note in report.notes),
        "" if status is None else status_html(status, report.log, report.warnings),
        "</header>",
        _comparison(report),
        _curves(report),
        _classes(report),
        _examples(report),
        _switches(report),
        _configuration(report),
    ]
    text = page(report.title, "\n".join(filter(None, parts)), kind=REPORT, refresh=status.refresh if status else None)
    with atomic_write(path, REPORT) as file:
        file.write(text.encode("utf-8"))


def _main_score(report: Report, metrics: Mapping[str, Any]) -> float | None:
    """Return the main metric, or None if it is missing."""
    if len(report.class_names) == 2:
        return metrics["iou"][1] if "iou" in metrics else None
    return metrics.get("mean_iou")


def _comparison(report: Report) -> str:
    """Return the table of the network and the baselines, with the main metric as bars."""
    if not report.metrics:
        return ""
    binary = len(report.class_names) == 2
    if binary:
        head = ["", f"IoU of {escape(report.class_names[1])}", "Dice", "mean IoU", "pixel accuracy"]
    else:
        head = ["", "mean IoU", "weighted IoU", "mean accuracy", "pixel accuracy"]
    rows = []
    for name, values in {"this network": report.metrics, **report.baselines}.items():
        second = values["dice"][1] if binary else values["fw_iou"]
        third = values["mean_iou"] if binary else values["mean_accuracy"]
        score = _main_score(report, values)
        bar = f'<div class="score"><i style="--value:{score or 0:.4f}"></i><b>{_number(score)}</b></div>'
        rows.append([escape(name), bar, _number(second), _number(third), _number(values["accuracy"])])
    note = "1 is perfect, 0 is entirely wrong."
    if report.baselines:
        note += " The baselines ignore shape, so only the gain over them is due to the network."
    return f'<h2>Result</h2><p class="note">{note}</p>{table(head, rows, style="scored own")}'


def _curves(report: Report) -> str:
    """Return loss and scores over the epochs."""
    if not report.log:
        return ""
    plots = figure_svg(curves_figure(report.log, LOSSES, "loss"), "Loss over the epochs")
    if any(row.get(column) not in (None, "") for row in report.log for column in SCORES):
        scores = curves_figure(report.log, SCORES, "score on the validation images")
        scores.axes[0].set_ylim(0, 1.02)
        plots += figure_svg(scores, "Scores on the validation images over the epochs")
    return f'<h2>Training</h2><div class="plots">{plots}</div>'


def _classes(report: Report) -> str:
    """Return the metrics of every class, and the confusion matrix."""
    if not report.metrics:
        return ""
    measures = report.metrics
    total = sum(measures["pixels"]) or 1
    rows = [
        [
            chip(PALETTE[i], name),
            f"{100 * measures['pixels'][i] / total:.1f} %",
            *(_number(measures[key][i]) for key in ("class_accuracy", "iou", "dice")),
        ]
        for i, name in enumerate(report.class_names)
    ]
    body = table(["class", "pixels", "accuracy", "IoU", "Dice"], rows)
    if report.confusion is not None:
        svg = figure_svg(confusion_figure(report.confusion, report.class_names), "Confusion matrix")
        body = f'<div class="pair"><div>{body}</div>{svg}</div>'
    return f"<h2>Class by class</h2>{body}"


def _examples(report: Report) -> str:
    """Return the pictures, group by group, with a legend of the colours."""
    if not report.examples:
        return ""
    binary = len(report.class_names) == 2
    background = 0 if binary or report.class_names[0] == "background" else None
    groups: dict[str, list[str]] = {}
    outcomes: dict[str, tuple[int, int, int]] = {}
    for example in report.examples:
        html, seen = _example(report, example, background)
        groups.setdefault(example.group, []).append(html)
        outcomes |= seen
    classes = {name: PALETTE[i] for i, name in enumerate(report.class_names) if i > 0 or background is None}
    shown = "".join(
        (f"<h3>{escape(group.capitalize())}</h3>" if group else "") + "".join(items) for group, items in groups.items()
    )
    return f"<h2>Examples</h2>{legend('Classes', classes)}{legend('Errors', outcomes)}{shown}"


def _example(report: Report, example: Example, background: int | None) -> tuple[str, dict[str, tuple[int, int, int]]]:
    """Return one example as HTML, and the legend of its error map."""
    views = example.views(report.ignore_index, background)
    cells = "".join(
        f"<figure>{picture(view, f'{example.name}: {title}', photograph=title != 'errors')}"
        f"<figcaption>{title}</figcaption></figure>"
        for title, view in views.items()
    )
    score = f"{escape(report.score_name)} {_number(example.score)}"
    caption = f"<figcaption><b>{escape(example.name)}</b><span>{score}</span></figcaption>"
    seen = outcome_legend(views["errors"], background)
    return f'<figure class="example">{caption}<div class="views">{cells}</div></figure>', seen


def _switches(report: Report) -> str:
    """Return the switch maps, and a window as the legend of their colours."""
    if not report.switch_maps:
        return ""
    maps = "".join(
        f"<figure>{picture(colorize_switches(switches, kernel), name)}<figcaption>{escape(name)}</figcaption></figure>"
        for name, switches, kernel in report.switch_maps
    )
    windows = "".join(_window(kernel) for kernel in sorted({kernel for *_, kernel in report.switch_maps}))
    return (
        "<h2>Where the maxima were</h2>"
        "<p>Every pixel is one pooling window. Its colour shows the position of the maximum in the window, where "
        f'unpooling places the value.</p>{windows}<div class="maps">{maps}</div>'
    )


def _window(kernel: int) -> str:
    """Return a pooling window drawn in the colours of its switches."""
    cells = "".join(
        f'<b style="background:{hex_colour(colour)};color:{"#fff" if colour.mean() < 128 else "#111"}">{switch}</b>'
        for switch, colour in enumerate(switch_colours(kernel))
    )
    return f'<div class="window" style="--side:{kernel}">{cells}</div>'


def _configuration(report: Report) -> str:
    """Return the settings in a collapsed section."""
    if not report.configuration:
        return ""
    rows = [[escape(name), escape(value)] for name, value in _flat(report.configuration)]
    body = table(["setting", "value"], rows, style="settings")
    return f"<details><summary>Settings</summary>{body}</details>"


def _flat(settings: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return nested settings as lines "a.b" → value."""
    lines = []
    for name, value in settings.items():
        if isinstance(value, Mapping):
            lines += _flat(value, f"{prefix}{name}.")
        else:
            lines.append((f"{prefix}{name}", str(value)))
    return lines


def _shrink(array: Array, method: Image.Resampling) -> Array:
    """Return a picture or mask whose longer side has at most ``MAX_SIDE`` pixels."""
    height, width = array.shape[:2]
    factor = MAX_SIDE / max(height, width)
    if factor >= 1:
        return array
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(Image.fromarray(array).resize(size, method))


def _number(value: float | None) -> str:
    """Format with three decimals, undefined values as a dash."""
    return "–" if value is None or np.isnan(value) else f"{value:.3f}"
