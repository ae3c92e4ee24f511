"""One file a paper, and a registry by name."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scratchnet.errors import UserError
from scratchnet.models.bloodcell import bloodcell
from scratchnet.models.deconvnet import deconvnet_small
from scratchnet.models.squares import squares
from scratchnet.network import Network
from scratchnet.ops.geometry import Pair

__all__ = ["MODELS", "Model", "bloodcell", "build", "deconvnet_small", "squares"]


@dataclass(frozen=True)
class Model:
    """A registered architecture: how to build it, the size it was made for, and a line about it."""

    builder: Callable[..., Network]
    size: Pair
    about: str

    def options(self) -> dict[str, Any]:
        """Return the options of the builder beside the classes and channels, with their defaults."""
        parameters = inspect.signature(self.builder).parameters
        return {name: p.default for name, p in parameters.items() if name not in ("classes", "channels")}


LARGEST = 4096
"""No option of a model is a number above this."""

MODELS: dict[str, Model] = {
    "bloodcell": Model(bloodcell, (128, 128), "the blood-cell net, repeated values or switches (student report)"),
    "deconvnet-small": Model(deconvnet_small, (64, 64), "DeconvNet's structure for 64–128 px images (Noh et al. 2015)"),
    "squares": Model(squares, (512, 512), "SegNet-Basic cut down to two blocks (student report)"),
}


def build(name: str, classes: int, channels: int = 3, **options: Any) -> Network:
    """Build a registered model; its memory is not allocated yet.

    Raises
    ------
    UserError
        When there is no such model, or it has no such option, or it cannot take the option's value.
    """
    if name not in MODELS:
        raise UserError(f"model '{name}' does not exist; choose one of: {', '.join(MODELS)}")
    known = MODELS[name].options()
    for option, value in options.items():
        if option not in known:
            has = f"its options are: {', '.join(known)}" if known else "it has no options"
            raise UserError(f"model '{name}' has no option '{option}'; {has}")
        _check_number(name, option, value, known[option])
    try:
        return MODELS[name].builder(classes, channels, **options)
    except ValueError as error:
        raise UserError(f"model '{name}': {error}") from error


def _check_number(model: str, option: str, value: Any, default: Any) -> None:
    """Refuse a width or size that is not above 0, or not whole where the default is."""
    if isinstance(default, bool) or not isinstance(default, int | float):
        return
    whole = isinstance(default, int)
    if not 0 < value <= LARGEST or (whole and value != int(value)):
        kind = "whole number" if whole else "number"
        raise UserError(f"model '{model}': {option} is {value}; expected a {kind} from above 0 to {LARGEST}")
