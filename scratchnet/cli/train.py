"""``scratchnet train``: train a network on a folder of images and masks."""

import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scratchnet.cli.checkpoints import adopt_network
from scratchnet.cli.datasets import open_splits, training_views
from scratchnet.cli.output import OutputArguments
from scratchnet.cli.parsing import find_value, given_names, parse, say, wants_help
from scratchnet.cli.planning import default_out, is_planned, plan_training
from scratchnet.cli.reports import (
    baselines,
    epoch_line,
    metrics_document,
    recalibration_note,
    results_text,
    write_json,
    write_run_report,
)
from scratchnet.cli.training_setup import prepare_run
from scratchnet.config import TrainSettings, check_settings, differences, read_settings, settings_from, write_settings
from scratchnet.data import Dataset, SampleSource
from scratchnet.engine.capture.worker_processes import WorkerDied
from scratchnet.engine.device import computing
from scratchnet.evaluation import Metrics
from scratchnet.inference import Evaluation, Segmenter
from scratchnet.training import tensorboard
from scratchnet.training.checkpoints import stored_settings
from scratchnet.training.commands import resume_command, start_from_command
from scratchnet.training.distributed.mpi import processes
from scratchnet.training.distributed.nccl import between_gpus
from scratchnet.training.distributed.process_group import ProcessGroup, SingleProcess
from scratchnet.training.run import TrainingRun
from scratchnet.training.run_folder import BEST, CHECKPOINT, LAST, LOG
from scratchnet.training.validation import validation_note
from scratchnet.utils.errors import UserError
from scratchnet.utils.files import atomic_write, check_writable
from scratchnet.utils.folder_lock import lock_folder
from scratchnet.utils.progress import EpochsBar
from scratchnet.utils.signals import stop_on_sigterm
from scratchnet.utils.signatures import METRICS, REPORT, is_overwriting, seal_is_intact, sealed
from scratchnet.utils.verbosity import warn, warnings_so_far

if TYPE_CHECKING:
    from scratchnet.cli.training_report import TrainingReport

EXAMPLE = "scratchnet train --data mydata"


CONFIG, SETTINGS = "config.toml", "settings"

FILES = {
    CONFIG: SETTINGS,
    BEST: CHECKPOINT,
    LAST: CHECKPOINT,
    LOG: "log",
    "metrics.json": METRICS,
    "report.html": REPORT,
}
"""Files of a run, and their kinds."""


@dataclass(frozen=True)
class TrainArguments(OutputArguments):
    """Train a network on a folder of images and masks."""

    settings: TrainSettings
    config: str | None = None
    """Settings from a .toml file or a built-in recipe; flags take precedence."""
    resume: bool = False
    """Continue the run in --out with its settings; flags take precedence."""
    plan: bool | None = None
    """Look at the data and choose the settings that are not given: network, crops, augmentation, class weights, length.
    Default: on if neither --config nor --model is given."""
    minutes: float | None = None
    """Plan a training that takes about this time on this machine."""
    tensorboard: bool | None = None
    """Write an event file for TensorBoard to --out: the columns of log.csv and the report's images. Default: if the
    package tensorboard is installed."""


def main(words: Sequence[str]) -> int:
    """Run the command, in all processes that ``mpiexec`` has started."""
    with processes() as ranks:
        return _main(words, ranks)


def _main(words: Sequence[str], ranks: ProcessGroup) -> int:
    defaults = _defaults(words)
    if any(word.partition("=")[0] == "--mask-format" for word in words):  # a flag wins over a config's other reading
        defaults = replace(defaults, data=replace(defaults.data, mask_threshold=None, mask_values=None))
    arguments = parse(TrainArguments, words, "train", EXAMPLE, TrainArguments(defaults))
    folder = _folder(arguments, ranks)
    settings = replace(arguments.settings, out=str(folder))
    if not arguments.resume and not is_overwriting():
        _refuse_a_run_in(folder)
    if arguments.resume and not (folder / LAST).exists() and not (folder / "config.toml").exists():
        raise UserError(f"{folder}: holds no run to resume; leave out --resume to start one")
    stored = folder / CONFIG
    if arguments.resume and not settings.data.data and not stored.exists():
        raise UserError(f"{stored}: is missing; give the run's settings again, as flags or with --config")
    try:
        with arguments.output(), stop_on_sigterm():
            settings = _planned(arguments, settings, words, ranks)
            events = _wants_events(arguments.tensorboard)
            summary = train(settings, arguments.resume, ranks=ranks, restart=is_overwriting(), tensorboard=events)
            arguments.print_json(summary)
    except KeyboardInterrupt as stop:
        raise type(stop)(f"{str(stop) or 'interrupted'}; {_how_to_continue(folder)}") from None
    except WorkerDied as error:
        raise UserError(f"{error}; {_how_to_continue(folder)}") from error
    return 0


def _wants_events(flag: bool | None) -> bool:
    """Return whether to write event files for TensorBoard."""
    if flag and not tensorboard.is_installed():
        raise UserError('--tensorboard: needs the package tensorboard: pip install -e ".[tensorboard]" in the clone')
    return tensorboard.is_installed() if flag is None else flag


def _how_to_continue(folder: Path) -> str:
    """Return the end of the message about a training that stopped before its end."""
    if not (folder / CONFIG).exists():
        return "the training had not begun, and nothing was written"
    return f"`{resume_command(folder)}` continues after the last complete epoch"


def _folder(arguments: TrainArguments, ranks: ProcessGroup) -> Path:
    """Return the folder of the run: a new one if none is given."""
    settings = arguments.settings
    if settings.out:
        return Path(settings.out)
    if arguments.resume or ranks.size > 1:  # processes could choose different folders
        raise UserError("no folder given for the run; name one with --out")
    return default_out(settings.data.data)


def _planned(
    arguments: TrainArguments, settings: TrainSettings, words: Sequence[str], ranks: ProcessGroup
) -> TrainSettings:
    """Return the settings, those that are not given chosen by a plan unless the user has chosen another way."""
    chosen = arguments.config is not None or arguments.resume or settings.curriculum.stage is not None
    given = given_names(TrainArguments, words, "train")
    named = "model" in given
    if not chosen:
        settings, given = adopt_network(settings, given)
    if is_planned(arguments.plan, arguments.minutes, chosen, named, ranks.size):
        with computing(settings.training.device, settings.training.precision, ranks.local_rank):  # or refuse it at once
            settings = plan_training(settings, given, arguments.minutes)
    if not arguments.settings.out:
        say(f"the run is written to {settings.out} (--out names another folder)")
    return settings


def _defaults(words: Sequence[str]) -> TrainSettings:
    """Return the settings that flags override: those of a config, of the run to resume, or the defaults."""
    if wants_help(words):
        return TrainSettings()
    config, out = find_value(words, "--config"), find_value(words, "--out")
    if config is not None:
        return read_settings(config)
    if "--resume" in words and out is not None:
        return _settings_of_run(Path(out))
    return TrainSettings()


def _settings_of_run(folder: Path) -> TrainSettings:
    """Return the settings to resume with: those of ``config.toml``, or of ``last.npz`` if that is missing.

    Raises
    ------
    UserError
        When ``config.toml`` was changed or truncated and differs from the settings of the run.
    """
    stored, last = folder / CONFIG, folder / LAST
    if not stored.is_file():
        return _settings_in(last, folder) if last.is_file() else TrainSettings()
    settings = replace(read_settings(str(stored)), out=str(folder))
    if last.is_file() and not seal_is_intact(stored.read_bytes()):
        changed = differences(_settings_in(last, folder), settings)
        if changed:
            raise UserError(
                f"{stored}: was changed or cut; the run was made with other settings ({changed}); delete the file, and "
                "pass settings to change as flags with --resume"
            )
    return settings


def _settings_in(last: Path, folder: Path) -> TrainSettings:
    return replace(settings_from(stored_settings(last), last), out=str(folder))


def _refuse_a_run_in(folder: Path) -> None:
    if any((folder / name).exists() for name in (BEST, LAST)):
        raise UserError(
            f"{folder}: holds a run already; add --resume to go on with it or --overwrite to replace it, or choose "
            f"another --out; for more images: `{start_from_command(folder)}`"
        )


def train(
    settings: TrainSettings,
    resume: bool = False,
    title: str | None = None,
    ranks: ProcessGroup | None = None,
    restart: bool = False,
    tensorboard: bool = False,
) -> dict[str, Any]:
    """Train, write checkpoint, log, metrics and report to ``settings.out``, and return a summary, JSON-ready.

    If several processes train together (``ranks``), the first one writes the files.

    Raises
    ------
    UserError
        When the data or the settings cannot be used, or the folder holds a run and neither ``resume`` nor ``restart``
        is True; nothing has been written then.
    """
    check_settings(settings)
    ranks, chosen = ranks or SingleProcess(), settings.training
    with (
        computing(chosen.device, chosen.precision, ranks.local_rank),
        between_gpus(ranks) if chosen.device == "gpu" and chosen.allreduce == "nccl" else nullcontext(ranks) as ranks,
    ):
        first = ranks.rank == 0
        with lock_folder(Path(settings.out)) if first else nullcontext():
            if first and not (resume or restart):
                _refuse_a_run_in(Path(settings.out))
            return _train(settings, resume, title, ranks, tensorboard)


def _train(
    settings: TrainSettings, resume: bool, title: str | None, ranks: ProcessGroup, events: bool
) -> dict[str, Any]:
    train_set, val_set = open_splits(settings.data, settings.training.seed)
    views = training_views(settings, train_set, val_set)
    run = prepare_run(settings, views, (train_set, val_set), resume, ranks)
    if run.ranks.rank == 0:
        for name, kind in FILES.items():
            check_writable(Path(settings.out) / name, None if resume else kind)
    return _fit(settings, run, views, (train_set, val_set), resume, title, events)


def _write_config(settings: TrainSettings, path: Path, resume: bool) -> None:
    """Write the run's settings; on resuming, only if they have changed."""
    if resume and path.is_file() and not differences(settings, read_settings(str(path))):
        return
    with atomic_write(path, None if resume else SETTINGS) as file:
        file.write(sealed(write_settings(settings), SETTINGS).encode())


def _fit(
    settings: TrainSettings,
    run: TrainingRun,
    views: tuple[SampleSource, SampleSource],
    files: tuple[Dataset, Dataset],
    resume: bool,
    title: str | None,
    events: bool,
) -> dict[str, Any]:
    """Train with a line of output per epoch, evaluate, and write the results."""
    shown = "images" if settings.curriculum.stage is None else "boxes"
    if run.ranks.rank == 0:
        _write_config(settings, run.folder.path / CONFIG, resume)
    say(
        f"{settings.model.model}: {run.network.parameter_count():,} parameters; {len(views[0])} training and "
        f"{len(views[1])} validation {shown}; classes {', '.join(files[1].classes)}"
    )
    if resume and run.progress.epoch:
        say(f"resuming after epoch {run.progress.epoch}")
        if run.progress.done:
            say(f"the training is complete; for more images: `{start_from_command(run.folder.path)}`")
    from scratchnet.cli.training_report import TrainingReport  # draws with Matplotlib, which --help does not need

    title = title or f"{settings.model.model} on {Path(settings.data.data).resolve().name}"
    report = TrainingReport(settings, run, views[1], title, events)
    with report.watching() if run.ranks.rank == 0 else nullcontext():
        _run_epochs(run, report)
        found = run.finish()
        if run.ranks.rank == 0:
            fitted_on = files[0] if settings.curriculum.stage is None else views[0]
            _write_results(settings, run, found, baselines(fitted_on, views[1]), views[1], report)
    return _summary(run, found)


def _run_epochs(run: TrainingRun, report: "TrainingReport") -> None:
    """Train, with a line of output and a report per epoch, and a bar over all epochs on a terminal."""
    with EpochsBar(run.progress.total_epochs, run.progress.epoch) as bar:
        for row in run.fit(bar.batches):
            for line in run.warnings:
                warn(line)
            if run.ranks.rank == 0:
                report.epoch_done()
            say(epoch_line(row, run.progress.total_epochs))
            bar.epoch_done(row["epoch"])


def _write_results(
    settings: TrainSettings,
    run: TrainingRun,
    found: Evaluation,
    rivals: dict[str, Metrics],
    val: SampleSource,
    report: "TrainingReport",
) -> None:
    """Write ``metrics.json`` and ``report.html``, and print the table of results."""
    folder = run.folder.path
    best, metrics, page = folder / BEST, folder / "metrics.json", folder / "report.html"
    about = {"checkpoint": str(best), "data": settings.data.data}
    write_json(metrics, metrics_document(found, rivals, about), METRICS)
    segmenter = Segmenter(run.network, run.spec.preprocessing)
    notes = list(filter(None, (validation_note(run.settings, len(val)), recalibration_note(run, found))))
    write_run_report(page, segmenter, val, found, rivals, report.finished(), notes)
    shown = "images" if settings.curriculum.stage is None else "boxes"
    say(f"\nbest epoch {run.progress.best_epoch}, validation {shown}:\n")
    say(results_text(found, rivals, val.classes))
    for note in notes:
        say(f"\n{note}")
    say(f"\nwrote {best}, {metrics} and {page}")


def _summary(run: TrainingRun, found: Evaluation) -> dict[str, Any]:
    """Return what ``--json`` prints."""
    progress = run.progress
    return {
        "run": str(run.folder.path),
        "checkpoint": str(run.folder.path / BEST),
        "epochs": progress.epoch,
        "best_epoch": progress.best_epoch,
        "best_score": progress.best_score if math.isfinite(progress.best_score) else None,
        "seconds": round(sum(row["seconds"] for row in progress.rows), 3),
        "recalibrated_batches": run.recalibrated,
        "scores": found.to_dict(),
        "warnings": warnings_so_far(),
    }
