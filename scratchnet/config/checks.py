"""Values that make no sense are refused before any file is read or written."""

import math
from dataclasses import fields
from typing import Any

from scratchnet.config.settings import DataSettings, TrainSettings
from scratchnet.data import Augmentation
from scratchnet.errors import UserError


def check_settings(settings: TrainSettings) -> None:
    """Refuse values that make no sense, before any file is read or written.

    Raises
    ------
    UserError
        Naming the flag (a key of a TOML file is spelt alike, with underscores), its value and what is expected.
    """
    t, a, c, d = settings.training, settings.augmentation, settings.curriculum, settings.data
    check_data_settings(d)
    as_it_is = d.tile is None and d.resize is None
    _refuse(
        ("epochs", t.epochs, t.epochs is None or t.epochs >= 1, "at least 1"),
        ("iterations", t.iterations, t.iterations is None or t.iterations >= 1, "at least 1"),
        ("batch_size", t.batch_size, t.batch_size >= 1, "at least 1"),
        ("accumulate", t.accumulate, t.accumulate >= 1, "at least 1"),
        ("learning_rate", t.learning_rate, 0 < t.learning_rate < math.inf, "a number above 0"),
        ("momentum", t.momentum, 0 <= t.momentum < 1, "a number from 0 to under 1"),
        (
            "nesterov",
            t.nesterov,
            not t.nesterov or (t.optimizer == "sgd" and t.momentum > 0),
            "--optimizer sgd with it",
        ),
        ("warmup_updates", t.warmup_updates, t.warmup_updates >= 0, "0 or more"),
        ("ema", t.ema, t.ema is None or 0 <= t.ema < 1, "a number from 0 to under 1, for example 0.999"),
        ("label_smoothing", t.label_smoothing, 0 <= t.label_smoothing < 1, "a number from 0 to under 1"),
        (
            "label_smoothing",
            t.label_smoothing,
            not t.label_smoothing or "cross-entropy" in t.loss,
            "--loss cross-entropy or cross-entropy+dice with it",
        ),
        ("focal_gamma", t.focal_gamma, 0 <= t.focal_gamma < math.inf, "0 or more"),
        ("tversky_alpha", t.tversky_alpha, 0 <= t.tversky_alpha < math.inf, "0 or more"),
        ("tversky_beta", t.tversky_beta, 0 <= t.tversky_beta < math.inf, "0 or more"),
        ("tversky_beta", t.tversky_beta, t.tversky_alpha + t.tversky_beta > 0, "above 0 where --tversky-alpha is 0"),
        ("weight_decay", t.weight_decay, 0 <= t.weight_decay < math.inf, "0 or more"),
        ("bias_rate", t.bias_rate, 0 <= t.bias_rate < math.inf, "0 or more"),
        ("factor", t.factor, 0 < t.factor < math.inf, "a number above 0, for example 0.1"),
        ("every", t.every, t.every >= 1, "at least 1"),
        ("every_updates", t.every_updates, t.every_updates is None or t.every_updates >= 1, "at least 1"),
        ("patience", t.patience, t.patience is None or t.patience >= 1, "at least 1"),
        ("seed", t.seed, t.seed >= 0, "0 or more"),
        ("class_weights", t.class_weights, _are_weights(t.class_weights), "numbers of 0 or more, not all of them 0"),
        ("border_weight", t.border_weight, 0 <= t.border_weight < math.inf, "0 or more"),
        ("border_sigma", t.border_sigma, 0 < t.border_sigma <= 1000, "a number above 0, in pixels"),
        ("crop", a.crop, a.crop is None or min(a.crop) >= 1, "height and width of at least 1"),
        ("elastic", a.elastic, 0 <= a.elastic < math.inf, "0 or more, in pixels"),
        ("scale", a.scale, 0 < a.scale[0] <= a.scale[1] <= 16, "two numbers above 0 up to 16, the smaller one first"),
        ("start_from", t.start_from, not (t.start_from and t.init_weights), "either this or --init-weights"),
        ("stage", c.stage, c.stage is None or as_it_is, "no --tile and no --resize with it"),
        ("box_size", c.box_size, c.box_size >= 1, "at least 1"),
        ("context", c.context, 0 < c.context < math.inf, "a number above 0, for example 1.2"),
        ("least_overlap", c.least_overlap, 0 < c.least_overlap <= 1, "a number above 0 up to 1, for example 0.5"),
        ("boxes_per_object", c.boxes_per_object, c.boxes_per_object >= 0, "0 or more"),
        ("least_object", c.least_object, c.least_object >= 1, "at least 1"),
        *((name, getattr(a, name), 0 <= getattr(a, name) <= 1, "a number from 0 to 1") for name in _SHARES),
    )


_SHARES = tuple(f.name for f in fields(Augmentation) if f.type is float and f.name != "elastic")
"""Strengths and probabilities of the augmentation."""


def check_data_settings(settings: DataSettings) -> None:
    """Refuse values that make no sense for any data set; errors as in :func:`check_settings`."""
    d = settings
    threshold, side, size = d.mask_threshold, d.tile, d.resize
    classes = len(d.classes) if isinstance(d.classes, tuple) else d.classes
    _refuse(
        ("validation", d.validation, 0 < d.validation < 1, "a number between 0 and 1, for example 0.2"),
        ("classes", d.classes, classes is None or 2 <= classes <= 256, "2 to 256, the background included"),
        ("mask_threshold", threshold, threshold is None or 0 <= threshold <= 254, "0 to 254"),
        ("ignore_index", d.ignore_index, 0 <= d.ignore_index <= 255, "0 to 255"),
        ("range", d.range, is_range(d.range), "two finite numbers, the smaller one first, for example 0 4095"),
        ("resize", size, size is None or min(size) >= 1, "height and width of at least 1"),
        ("tile", side, side is None or side >= 1, "at least 1"),
        ("tile_overlap", d.tile_overlap, 0 <= d.tile_overlap < (side or 1), "at least 0 and under --tile"),
    )


def is_range(values: tuple[float, float] | None) -> bool:
    """Return whether these are two numbers between which brightness can be scaled."""
    return values is None or (all(math.isfinite(v) for v in values) and values[0] < values[1])


def _are_weights(weights: str | tuple[float, ...] | None) -> bool:
    return weights is None or isinstance(weights, str) or (all(0 <= w < math.inf for w in weights) and any(weights))


def _refuse(*rules: tuple[str, Any, bool, str]) -> None:
    """Raise a UserError for the first rule (name, value, whether it is good, what is expected) that is broken."""
    for name, value, good, expected in rules:
        if not good:
            words = " ".join(map(str, value)) if isinstance(value, tuple) else value
            raise UserError(f"--{name.replace('_', '-')} {words}: expected {expected}")
