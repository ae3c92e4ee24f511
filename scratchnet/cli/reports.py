"""Results of an evaluation: baselines, tables, metrics.json, confusion matrix and report.html."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scratchnet.arrays import Array, to_device_of, to_host
from scratchnet.data import SampleSource, prefetch
from scratchnet.evaluation import SIZE_BINS, Details, Metrics, baseline_metrics, fit_threshold_baseline
from scratchnet.evaluation.calibration import BINS
from scratchnet.evaluation.metrics import number
from scratchnet.inference import Evaluation, Segmenter
from scratchnet.training.run import TrainingRun
from scratchnet.utils.files import atomic_write
from scratchnet.utils.progress import progress
from scratchnet.utils.signatures import METRICS, signature

if TYPE_CHECKING:
    from scratchnet.visualization.report import Report


def baselines(train: SampleSource | None, val: SampleSource) -> dict[str, Metrics]:
    """Return the metrics of trivial methods on ``val``: all background, and the best threshold on ``train``.

    The threshold is left out without ``train``. The dict is empty for more than two classes.
    """
    if len(val.classes) != 2:
        return {}
    threshold = None
    if train is not None:
        threshold = fit_threshold_baseline(_pairs(train, "fitting the threshold baseline"), train.ignore_index)
    return baseline_metrics(_pairs(val, "measuring baselines"), threshold, val.ignore_index)


def _pairs(dataset: SampleSource, what: str) -> Iterator[tuple[Array, Array]]:
    return prefetch(progress(range(len(dataset)), what), dataset.load)


def results_text(found: Evaluation, rivals: Mapping[str, Metrics], classes: tuple[str, ...]) -> str:
    """Return the table of metrics by class, and one line per baseline."""
    text = found.metrics.table(classes, None if found.details is None else found.details.bf_per_class)
    if found.details is not None:
        text += f"\n\n{details_text(found.details)}"
    if found.calibration_error is not None:
        text += f"\n\nexpected calibration error {number(found.calibration_error)} ({BINS} bins of the confidence)"
    if rivals:
        width = max(map(len, (*rivals, "this network")))
        rows = {"this network": found.metrics, **rivals}
        text += f"\n\n{'':<{width}}  accuracy  IoU of {classes[1]}"
        for name, m in rows.items():
            text += f"\n{name:<{width}}  {m.accuracy:8.4f}  {m.iou[1]:.4f}"
    return text


def details_text(details: Details) -> str:
    """Return a line about boundaries and a table of objects by size."""
    lines = [
        f"boundary F1 {number(details.bf)}; beside the boundaries: mean IoU {number(details.band.mean_iou)}, "
        f"pixel accuracy {number(details.band.accuracy)}",
        "",
        f"objects   {''.join(f'{name:>8}' for name in SIZE_BINS)}",
        f"number    {''.join(f'{details.sizes[name].objects:>8}' for name in SIZE_BINS)}",
        f"mean IoU  {''.join(f'{number(details.sizes[name].iou):>8}' for name in SIZE_BINS)}",
    ]
    return "\n".join(lines)


def write_confusion(path: Path, found: Evaluation, classes: tuple[str, ...]) -> None:
    """Write the confusion matrix as a PNG."""
    from scratchnet.visualization.plots import confusion_figure

    note = {"Description": signature("confusion matrix")}
    with atomic_write(path, "confusion matrix") as file:
        figure = confusion_figure(found.confusion, classes)
        figure.savefig(file, format="png", dpi=150, bbox_inches="tight", metadata=note)


def counts_text(errors: Mapping[str, Mapping[str, float]]) -> str:
    """Return a table of the numbers of objects per image, see `ImageScores.count_errors`."""
    width = max(len("objects per image"), *(len(name) for name in errors))
    lines = [f"{'objects per image':<{width}}    true  predicted  mean error  mean absolute error"]
    for name, e in errors.items():
        lines.append(
            f"{name:<{width}}  {e['true']:>6.2f}  {e['predicted']:>9.2f}  {e['mean_error']:>+10.2f}  "
            f"{e['mean_absolute_error']:>19.2f}"
        )
    return "\n".join(lines)


def metrics_document(found: Evaluation, rivals: Mapping[str, Metrics], about: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of ``metrics.json``: all metrics, baselines, and a description of the measurement."""
    return {
        "file": signature(METRICS),
        **about,
        **found.to_dict(),
        "baselines": {name: m.to_dict() for name, m in rivals.items()},
    }


def write_json(path: Path, content: Mapping[str, Any], kind: str) -> None:
    """Write a document as a file of this kind."""
    with atomic_write(path, kind) as file:
        file.write((json.dumps(content, indent=2) + "\n").encode())


def write_run_report(
    path: Path,
    segmenter: Segmenter,
    val: SampleSource,
    found: Evaluation,
    rivals: Mapping[str, Metrics],
    begun: "Report",
    notes: Sequence[str] = (),
) -> None:
    """Write ``report.html`` with the worst, median and best images and the switches of one image.

    ``begun`` holds the rest: title, classes, log, settings, state and warnings. ``notes`` are
    more sentences below the result.
    """
    from scratchnet.visualization.report import Example, pick_examples, write_report

    examples = []
    for group, index in pick_examples(found.scores):
        image, mask = val.load(index)
        examples.append(Example(val.names[index], image, mask, segmenter.segment(image), found.scores[index], group))
    report = replace(
        begun,
        images=len(val),
        metrics=found.metrics.to_dict(),
        baselines={name: m.to_dict() for name, m in rivals.items()},
        confusion=found.confusion,
        examples=examples,
        switch_maps=switch_maps(segmenter, val.load(0)[0]),
        notes=(
            "The network was not trained on these images, but they selected the best epoch: expect slightly lower "
            "scores on others.",
            *notes,
        ),
    )
    write_report(path, report)


def epoch_line(row: Mapping[str, Any], epochs: int) -> str:
    """Return the line of output on an epoch, a row of the log."""
    names = {"val_loss": "val loss", "val_accuracy": "accuracy", "val_mean_iou": "mean IoU"}
    names["val_iou_foreground"] = "IoU"
    scores = "".join(f"{names[key]} {row[key]:.4f}  " for key in names if row.get(key) is not None)
    begin = f"epoch {row['epoch']:3d}/{epochs}  loss {row['train_loss']:.4f}  "
    return f"{begin}{scores or 'not validated  '}{row['seconds']:.1f} s"


def recalibration_note(run: TrainingRun, found: Evaluation) -> str:
    """Return what recalibrating batch norm has done to the best epoch in ``log.csv``, or "" if it was not tried."""
    if run.rejected_score is not None:
        return (
            f"Statistics of batch norm that were recomputed after the training (--recalibrate) gave the mean IoU "
            f"{run.rejected_score:.4f} instead of {run.score_before:.4f}; the running averages were kept."
        )
    if not run.recalibrated:
        return ""
    best, before = run.progress.best_epoch, run.score_before
    where = "" if run.settings.val_samples is not None else " in log.csv"
    batches = f"{run.recalibrated} training batch{'' if run.recalibrated == 1 else 'es'}"
    return (
        f"After the training, batch norm's running statistics were recomputed from {batches} (--recalibrate): the mean "
        f"IoU {before:.4f} of epoch {best}{where} became {found.metrics.mean_iou:.4f} in checkpoint.npz."
    )


def switch_maps(segmenter: Segmenter, image: Array) -> list[tuple[str, Array, int]]:
    """Return, for every pooling, the switches of the channel that varies most on (a corner of) one image."""
    network = segmenter.network
    x = segmenter.preprocessing.apply(image[None])
    h, w = (min(side, 256) // network.stride * network.stride for side in x.shape[1:3])
    if network.fixed_size is not None:
        if h < network.fixed_size[0] or w < network.fixed_size[1]:
            return []
        h, w = network.fixed_size
    x = to_device_of(network.flat().values, segmenter.framed(x[:, :h, :w]))
    pools, maps = network.pools(), []
    for name, value in network.walk(x, keep=True):
        layer = pools.get(name)
        if layer is not None and layer.switches is not None:
            channel = int(to_host(value[0]).std(axis=(0, 1)).argmax())
            index = to_host(layer.switches.index[0, :, :, channel])
            maps.append((f"{name}, channel {channel}", index, layer.kernel[1]))
    for step in network.steps:
        step.layer.release()
    return maps
