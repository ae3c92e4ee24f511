"""Models, one file per paper, and a registry by name."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args, get_type_hints

from scratchnet.models.bloodcell import bloodcell
from scratchnet.models.deconvnet import deconvnet, deconvnet_small
from scratchnet.models.dilated import dilated_fcn
from scratchnet.models.fcn import fcn8s, fcn16s, fcn32s
from scratchnet.models.mobile import mobile_unet
from scratchnet.models.segnet import segnet, segnet_basic
from scratchnet.models.sliding_window import sliding_window
from scratchnet.models.squares import squares
from scratchnet.models.unet import unet, unet_same
from scratchnet.network import Network
from scratchnet.ops.geometry import Pair
from scratchnet.utils.errors import UserError
from scratchnet.utils.spelling import closest_name

__all__ = [
    "MODELS",
    "Model",
    "bloodcell",
    "build",
    "deconvnet",
    "deconvnet_small",
    "dilated_fcn",
    "fcn8s",
    "fcn16s",
    "fcn32s",
    "mobile_unet",
    "segnet",
    "segnet_basic",
    "sliding_window",
    "squares",
    "unet",
    "unet_same",
]


@dataclass(frozen=True)
class Model:
    """A registered architecture: its builder, the image size it was designed for and a one-line description."""

    builder: Callable[..., Network]
    size: Pair
    about: str

    def options(self) -> dict[str, Any]:
        """Return the builder's options other than classes and channels, with their defaults."""
        parameters = inspect.signature(self.builder).parameters
        return {name: p.default for name, p in parameters.items() if name not in ("classes", "channels")}


MAX_OPTION = 4096
"""Largest value of any numeric model option."""

MODELS: dict[str, Model] = {
    "bloodcell": Model(bloodcell, (128, 128), "the blood-cell net, repeated values or switches (student report)"),
    "deconvnet": Model(deconvnet, (224, 224), "DeconvNet (Noh et al. 2015)"),
    "deconvnet-small": Model(deconvnet_small, (64, 64), "DeconvNet's structure for 64–128 px images (Noh et al. 2015)"),
    "segnet": Model(segnet, (360, 480), "SegNet (Badrinarayanan et al. 2015)"),
    "segnet-basic": Model(segnet_basic, (360, 480), "the small SegNet, 7×7 kernels (Badrinarayanan et al. 2015)"),
    "squares": Model(squares, (512, 512), "SegNet-Basic cut down to two blocks (student report)"),
    "fcn32s": Model(fcn32s, (500, 500), "FCN, enlarged in one step (Long et al. 2015)"),
    "fcn16s": Model(fcn16s, (500, 500), "FCN with one skip (Long et al. 2015)"),
    "fcn8s": Model(fcn8s, (500, 500), "FCN with two skips (Long et al. 2015)"),
    "unet": Model(unet, (572, 572), "U-Net, unpadded: output smaller than input (Ronneberger et al. 2015)"),
    "unet-same": Model(unet_same, (512, 512), "U-Net, padded (after Ronneberger et al. 2015)"),
    "dilated-fcn": Model(dilated_fcn, (500, 500), "FCN with dilation instead of two pools (Yu and Koltun 2016)"),
    "mobile-unet": Model(mobile_unet, (224, 224), "U-shaped, depthwise separable (after Howard et al. 2017)"),
    "sliding-window": Model(sliding_window, (316, 316), "pixel classifier on windows (after Ciresan et al. 2012)"),
}


def build(name: str, classes: int, channels: int = 3, **options: Any) -> Network:
    """Build a registered model without allocating its parameters.

    Raises
    ------
    UserError
        If the model or one of its options does not exist, or an option's value is invalid.
    """
    if name not in MODELS:
        raise UserError(
            f"model '{name}' does not exist{closest_name(name, MODELS)}; choose one of: {', '.join(MODELS)}"
        )
    known = MODELS[name].options()
    for option, value in options.items():
        if option not in known:
            has = f"its options are: {', '.join(known)}" if known else "it has no options"
            raise UserError(f"model '{name}' has no option '{option}'; {has}")
        _check_number(name, option, value, known[option])
        _check_choice(name, option, value)
    try:
        return MODELS[name].builder(classes, channels, **options)
    except ValueError as error:
        raise UserError(f"model '{name}': {error}") from error


def _check_number(model: str, option: str, value: Any, default: Any) -> None:
    """Raise if a number is not in (0, MAX_OPTION], or not an integer although the default is one."""
    if isinstance(default, bool) or not isinstance(default, int | float):
        return
    whole = isinstance(default, int)
    if not 0 < value <= MAX_OPTION or (whole and value != int(value)):
        kind = "whole number" if whole else "number"
        raise UserError(f"model '{model}': {option} is {value}; expected a {kind} from above 0 to {MAX_OPTION}")


def _check_choice(model: str, option: str, value: Any) -> None:
    """Raise if a value is not among the choices in the builder's annotation."""
    choices = get_args(get_type_hints(MODELS[model].builder)[option])
    if choices and value not in choices:
        raise UserError(f"model '{model}': {option} is '{value}'; expected one of: {', '.join(map(str, choices))}")
