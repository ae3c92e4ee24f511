"""Checks of settings: values out of range are refused before any file is read or written."""

import math
from dataclasses import fields
from typing import Any, TypeAlias

from scratchnet.config.settings import DataSettings, TrainingSettings, TrainSettings
from scratchnet.data import Augmentation, Curriculum
from scratchnet.data.mask_values import parse_mask_values
from scratchnet.utils.errors import UserError
from scratchnet.utils.options import option

Rule: TypeAlias = tuple[str, Any, bool, str]
"""Name of a setting, its value, whether the value is valid, and the expected values in words."""

MAX_COUNT = 1_000_000_000
"""Largest count; a larger one is taken for a typing error."""

MAX_SIDE = 100_000
"""Largest side of an image in pixels."""


def check_settings(settings: TrainSettings) -> None:
    """Check the settings of a training.

    Raises
    ------
    UserError
        Naming the setting, its value and what is expected.
    """
    t, d = settings.training, settings.data
    check_data_settings(d)
    _refuse(
        *_counts(t), *_updates(t), *_loss(t), *_augmentation(settings.augmentation), *_boxes(settings.curriculum, d)
    )


def _counts(t: TrainingSettings) -> list[Rule]:
    required = ("batch_size", "gradient_accumulation", "lr_step_epochs", "val_every")
    names = (*required, "epochs", "iterations", "lr_step_updates", "patience", "samples_per_epoch", "val_samples")
    return [_count(t, name) for name in names if name in required or getattr(t, name) is not None]


def _count(settings: TrainingSettings | Curriculum, name: str, minimum: int = 1) -> Rule:
    value = getattr(settings, name)
    return name, value, minimum <= value <= MAX_COUNT, f"{minimum} to {MAX_COUNT:,}"


def _updates(t: TrainingSettings) -> tuple[Rule, ...]:
    nesterov = not t.nesterov or (t.optimizer == "sgd" and t.momentum > 0)
    return (
        ("learning_rate", t.learning_rate, 0 < t.learning_rate <= 1e30, "a number above 0 up to 1e30"),
        ("momentum", t.momentum, 0 <= t.momentum < 1, "a number from 0 to under 1"),
        ("nesterov", t.nesterov, nesterov, f"{option('optimizer', 'sgd')} with it"),
        ("weight_decay", t.weight_decay, 0 <= t.weight_decay <= 1e6, "0 to 1e6"),
        ("bias_lr_multiplier", t.bias_lr_multiplier, 0 <= t.bias_lr_multiplier <= 1e6, "0 to 1e6"),
        ("lr_decay", t.lr_decay, 0 < t.lr_decay <= 10, "a number above 0 up to 10, for example 0.1"),
        _count(t, "warmup_updates", 0),
        ("ema", t.ema, t.ema is None or 0 <= t.ema < 1, "a number from 0 to under 1, for example 0.999"),
        ("seed", t.seed, 0 <= t.seed < 1 << 63, "0 to 2⁶³ − 1"),
        ("start_from", t.start_from, not (t.start_from and t.init_weights), f"either this or {option('init_weights')}"),
    )


def _loss(t: TrainingSettings) -> tuple[Rule, ...]:
    smoothing, alpha, beta, cap = t.label_smoothing, t.tversky_alpha, t.tversky_beta, t.class_weights_cap
    smoothed = not smoothing or "cross-entropy" in t.loss
    return (
        ("label_smoothing", smoothing, 0 <= smoothing < 1, "a number from 0 to under 1"),
        ("label_smoothing", smoothing, smoothed, f"{option('loss', 'cross-entropy')} or cross-entropy+dice with it"),
        ("focal_gamma", t.focal_gamma, 0 <= t.focal_gamma <= 100, "0 to 100"),
        ("tversky_alpha", alpha, 0 <= alpha <= 1e6, "0 to 1e6"),
        ("tversky_beta", beta, 0 <= beta <= 1e6, "0 to 1e6"),
        ("tversky_beta", beta, alpha + beta > 0, f"above 0 if {option('tversky_alpha')} is 0"),
        ("class_weights", t.class_weights, _are_weights(t.class_weights), "numbers from 0 to 1e6, one at least 1e-6"),
        ("class_weights_power", t.class_weights_power, 0 <= t.class_weights_power <= 10, "0 to 10, for example 0.5"),
        ("class_weights_cap", cap, cap is None or 0.01 <= cap <= 1e6, "0.01 to 1e6, for example 10"),
        ("border_weight", t.border_weight, 0 <= t.border_weight <= 1e6, "0 to 1e6"),
        ("border_sigma", t.border_sigma, 0.01 <= t.border_sigma <= 1000, "0.01 to 1000 pixels"),
    )


def _augmentation(a: Augmentation) -> tuple[Rule, ...]:
    ordered = 0.01 <= a.scale[0] <= a.scale[1] <= 16
    return (
        ("crop", a.crop, _is_size(a.crop), f"height and width of 1 to {MAX_SIDE:,}"),
        ("elastic", a.elastic, 0 <= a.elastic <= 1000, "0 to 1000 pixels"),
        ("scale", a.scale, ordered, "numbers from 0.01 to 16, the smaller one first"),
        *((name, getattr(a, name), 0 <= getattr(a, name) <= 1, "a number from 0 to 1") for name in _STRENGTHS),
    )


def _boxes(c: Curriculum, d: DataSettings) -> tuple[Rule, ...]:
    whole = c.stage is None or (d.tile is None and d.resize is None)
    return (
        ("stage", c.stage, whole, f"no {option('tile')} and no {option('resize')} with it"),
        ("box_size", c.box_size, 1 <= c.box_size <= MAX_SIDE, f"1 to {MAX_SIDE:,}"),
        ("box_context", c.box_context, 0.01 <= c.box_context <= 100, "0.01 to 100, for example 1.2"),
        ("min_iou", c.min_iou, 0 < c.min_iou <= 1, "a number above 0 up to 1, for example 0.5"),
        _count(c, "boxes_per_object", 0),
        _count(c, "min_object_size"),
    )


_STRENGTHS = tuple(f.name for f in fields(Augmentation) if f.type is float and f.name != "elastic")
"""Strengths and probabilities of the augmentation, all from 0 to 1."""


def check_data_settings(settings: DataSettings) -> None:
    """Check the settings of a data set; errors as in :func:`check_settings`."""
    d = settings
    threshold, side, size = d.mask_threshold, d.tile, d.resize
    classes = len(d.classes) if isinstance(d.classes, tuple) else d.classes
    _check_mask_values(d)
    _refuse(
        ("val_fraction", d.val_fraction, 0 < d.val_fraction < 1, "a number between 0 and 1, for example 0.2"),
        ("classes", d.classes, classes is None or 2 <= classes <= 256, "2 to 256, the background included"),
        ("mask_threshold", threshold, threshold is None or 0 <= threshold <= 254, "0 to 254"),
        ("ignore_index", d.ignore_index, 0 <= d.ignore_index <= 255, "0 to 255"),
        ("range", d.range, is_range(d.range), "two finite numbers, the smaller one first, for example 0 4095"),
        ("resize", size, _is_size(size), f"height and width of 1 to {MAX_SIDE:,}"),
        ("tile", side, side is None or 1 <= side <= MAX_SIDE, f"1 to {MAX_SIDE:,}"),
        ("tile_overlap", d.tile_overlap, 0 <= d.tile_overlap < (side or 1), f"at least 0 and under {option('tile')}"),
    )


def _check_mask_values(d: DataSettings) -> None:
    """Check the map of mask values."""
    if d.mask_values is None:
        return
    try:
        parse_mask_values(d.mask_values)
    except ValueError as error:
        raise UserError(f"{option('mask_values', d.mask_values)}: expected {error}") from error
    if d.mask_threshold is not None or d.mask_format in ("binary", "threshold"):
        other = "mask_format" if d.mask_threshold is None else "mask_threshold"
        raise UserError(
            f"{option('mask_values')}: cannot be combined with {option(other, getattr(d, other))}; leave one out"
        )


def is_range(values: tuple[float, float] | None) -> bool:
    """Return whether these are None or two numbers between which brightness can be scaled."""
    return values is None or (all(math.isfinite(v) for v in values) and values[0] < values[1])


def _is_size(size: tuple[int, int] | None) -> bool:
    return size is None or (min(size) >= 1 and max(size) <= MAX_SIDE)


def _are_weights(weights: str | tuple[float, ...] | None) -> bool:
    return (
        weights is None
        or isinstance(weights, str)
        or (all(0 <= w <= 1e6 for w in weights) and max(weights, default=0) >= 1e-6)
    )


def _refuse(*rules: Rule) -> None:
    """Raise a UserError for the first rule that is broken."""
    for name, value, valid, expected in rules:
        if not valid:
            raise UserError(f"{option(name, value)}: expected {expected}")
