"""The plan of ``scratchnet train``: look at the data, choose the settings that are not given, and print them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from scratchnet.cli.datasets import open_splits, refuse_export, training_views
from scratchnet.cli.parsing import say
from scratchnet.config import DataSettings, TrainSettings, check_settings
from scratchnet.data import available_splits
from scratchnet.data.layouts import Sample, find_samples
from scratchnet.engine.device import computing
from scratchnet.planning import DataSummary, Plan, look, make_plan
from scratchnet.planning.draft import Budget, Decision
from scratchnet.planning.length import MAX_EPOCHS
from scratchnet.planning.mask_values import recognize_masks
from scratchnet.planning.pace import Pace, fit_updates, fit_width, measure_pace
from scratchnet.training.progress import Progress
from scratchnet.utils.errors import UserError
from scratchnet.utils.options import option
from scratchnet.utils.progress import progress

MAX_MINUTES = 100_000
RUNS = Path("runs")
"""Folder of the runs whose folder is not named."""


def plan_training(settings: TrainSettings, given: frozenset[str], minutes: float | None) -> TrainSettings:
    """Return the settings of a training whose user has chosen few or none, and print them with their reasons.

    Parameters
    ----------
    settings : TrainSettings
    given : frozenset of str
        Names of the settings that the user has given.
    minutes : float or None
        Available time.

    Raises
    ------
    UserError
        When the data cannot be used, or the masks can be read in more than one way.
    """
    _check_minutes(minutes, given)
    check_settings(settings)
    reading = recognize_masks(settings.data, given, _samples(settings.data))
    for remark in reading.remarks:
        say(remark)
    settings = replace(settings, data=reading.data)
    train, val = open_splits(settings.data, settings.training.seed)
    data = look(train, val, lambda indices: progress(indices, "looking at the data"))
    plan = make_plan(settings, given, data)
    with computing(settings.training.device, settings.training.precision, 0):
        if minutes is not None:
            plan = _fit(plan, settings, given, data, minutes)
        check_settings(plan.settings)
        pace, images = _pace(plan)
    _print(plan, data, pace, _progress(plan, images))
    return plan.settings


def is_planned(plan: bool | None, minutes: float | None, chosen: bool, names_model: bool, process_count: int) -> bool:
    """Return whether the settings that are not given are chosen by a plan.

    Parameters
    ----------
    plan : bool or None
        Whether the user wants a plan; None if neither flag is given.
    minutes : float or None
        Available time.
    chosen : bool
        Whether the settings come from a config, an earlier run or a stage of DeconvNet's training.
    names_model : bool
    process_count : int
        Number of processes that train together.

    Raises
    ------
    UserError
        When a plan or a time is asked for together with settings from elsewhere.
    """
    wanted = not (chosen or names_model) if plan is None else plan
    if wanted and chosen:
        raise UserError("--plan: chooses the settings itself; leave it out with --config, --resume or --stage")
    if minutes is not None and not wanted:
        raise UserError("--minutes: needs a plan; leave out --config, --resume, --stage and --no-plan, or add --plan")
    if minutes is not None and process_count > 1:
        raise UserError("--minutes: plans for one process; give --iterations")
    return wanted


def default_out(data: str) -> Path:
    """Return the first folder runs/NAME-1, runs/NAME-2, … that does not exist, for the data set NAME."""
    name = Path(data).resolve().name or "run"
    number = 1
    while (RUNS / f"{name}-{number}").exists():
        number += 1
    return RUNS / f"{name}-{number}"


def _check_minutes(minutes: float | None, given: frozenset[str]) -> None:
    if minutes is None:
        return
    if not 0 < minutes <= MAX_MINUTES:
        raise UserError(f"{option('minutes', minutes)}: expected a number above 0 up to {MAX_MINUTES:,}")
    for name in ("epochs", "iterations"):
        if name in given:
            raise UserError(
                f"{option('minutes', minutes)}: leave out {option(name)}; the time gives the number of updates"
            )


def _samples(data: DataSettings) -> list[Sample]:
    """Return all training and validation samples."""
    if not data.data:
        open_splits(data, 0)  # refuses it
    refuse_export(data)
    splits = available_splits(data.data, data.layout)
    names = (data.train_split, data.val_split) if splits else (None,)
    return [sample for name in names for sample in find_samples(Path(data.data), data.layout, name)[0]]


def _pace(plan: Plan) -> tuple[Pace, int]:
    """Return the pace of a training, and its number of images or tiles."""
    views = training_views(plan.settings, *open_splits(plan.settings.data, plan.settings.training.seed))
    return measure_pace(plan.settings, *views), len(views[0])


def _progress(plan: Plan, images: int) -> Progress:
    """Return the counters of a training before its first update."""
    training = plan.settings.training
    samples = training.samples_per_epoch or images
    return Progress(training, max(1, samples // min(training.batch_size, samples)))


def _fit(plan: Plan, settings: TrainSettings, given: frozenset[str], data: DataSummary, minutes: float) -> Plan:
    """Return a plan whose training takes ``minutes`` minutes."""
    seconds, width = 60 * minutes, None
    pace, images = _pace(plan)
    if not given & {"model", "width"}:
        usual = plan.settings.model.width or 1.0
        width = fit_width(pace, len(data.sizes), seconds, usual)
        if width != usual:
            plan = make_plan(settings, given, data, Budget(width=width))
            pace, images = _pace(plan)
    plan = make_plan(settings, given, data, Budget(fit_updates(pace, seconds, MAX_EPOCHS), width))
    epochs = _progress(plan, images).total_epochs  # fewer in a short training, which leaves time for more updates
    return make_plan(settings, given, data, Budget(fit_updates(pace, seconds, epochs), width))


def _print(plan: Plan, data: DataSummary, pace: Pace, course: Progress) -> None:
    """Print the decisions as a table, and how long the training takes."""
    shares = ", ".join(f"{name} {100 * share:.2g} %" for name, share in zip(data.classes, data.shares, strict=True))
    say(f"{len(data.sizes)} training images; share of the pixels: {shares}")
    rows = _rows(plan.decisions)
    width = max(len(flag) for flag, _ in rows)
    say("the plan (flags that you give win; --no-plan leaves all settings at their defaults):")
    for flag, reason in rows:
        say(f"  {flag:<{width}}  {reason}")
    seconds = pace.seconds(course.total_updates, -(-course.total_epochs // course.settings.val_every))
    shown = f"{seconds / 60:.0f} min" if seconds >= 60 else f"{max(1.0, seconds):.0f} s"
    say(f"about {shown} on this machine, {pace.update:.2f} s per update")


def _rows(decisions: Sequence[Decision]) -> list[tuple[str, str]]:
    """Return flags and reasons; neighbouring decisions with the same reason share a row."""
    rows: list[tuple[str, str]] = []
    for decision in decisions:
        flag = _flag(decision)
        if rows and rows[-1][1] == decision.reason and len(rows[-1][0]) + len(flag) < 52:
            rows[-1] = (f"{rows[-1][0]} {flag}", decision.reason)
        else:
            rows.append((flag, decision.reason))
    return rows


def _flag(decision: Decision) -> str:
    """Return a decision as it would be given on the command line."""
    if isinstance(decision.value, bool):
        name = option(decision.name)
        return name if decision.value else name.replace("--", "--no-", 1)
    return option(decision.name, decision.value)
