"""Contents of a checkpoint: a network, how it is built and fed, and how far its training has come."""

from dataclasses import dataclass, field
from typing import Any

from scratchnet.arrays import Array
from scratchnet.data import Preprocessing
from scratchnet.data.frequencies import softened_weights
from scratchnet.models import build
from scratchnet.network import Network
from scratchnet.utils.errors import UserError
from scratchnet.utils.options import option

CLASS_WEIGHTS = "class_weights"
"""Key of the class weights in `ModelSpec.data`."""

LARGEST_IMAGE = "largest_image"
"""Key of the height and width of the largest training image in `ModelSpec.data`."""

OWN_MODEL = "network"
"""Model name of a network that is not in the registry."""


@dataclass(frozen=True)
class ModelSpec:
    """Everything needed to build a network and to feed it, except its parameter values.

    Attributes
    ----------
    model : str
        Name in the registry.
    options : dict
        Options of the model.
    classes : tuple of str
    preprocessing : Preprocessing
    data : dict
        ``held_out``: names of the validation images, so that `scratchnet evaluate` never measures on training images
        of a folder without lists. ``colours``: colours of the classes, if the data set's class file gives them.
        ``class_weights``: one weight per class as in the loss, or None.
        ``largest_image``: height and width of the largest training image.
    settings : dict
        Settings of the training; `scratchnet evaluate` reads masks according to ``settings["data"]``.
    """

    model: str
    options: dict[str, Any]
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    data: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)

    def class_weights(self) -> tuple[float, ...] | None:
        """Return the weights of the classes in the loss of the training, (classes,); None if there were none.

        Raises
        ------
        UserError
            If the training weighted the classes, but an earlier version did not store how.
        """
        training = self.settings.get("training", {})
        chosen = training.get(CLASS_WEIGHTS)
        if CLASS_WEIGHTS not in self.data and isinstance(chosen, str):
            raise UserError(
                f"the network was trained with {option(CLASS_WEIGHTS, chosen)} by an earlier version, which did not "
                "store the weights; train again"
            )
        if CLASS_WEIGHTS not in self.data and chosen is not None:
            power, cap = training.get("class_weights_power", 1.0), training.get("class_weights_cap")
            return softened_weights(chosen, power, cap)
        stored = self.data.get(CLASS_WEIGHTS)
        return None if stored is None else tuple(map(float, stored))

    def build(self) -> Network:
        """Return the network, not yet allocated."""
        return build(self.model, len(self.classes), **self.options)


def check_data(data: dict[str, Any], classes: int) -> None:
    """Raise a ValueError if the entries of `ModelSpec.data` that a file holds have another form."""
    weights, largest = data.get(CLASS_WEIGHTS), data.get(LARGEST_IMAGE)
    for name, values, length in ((CLASS_WEIGHTS, weights, classes), (LARGEST_IMAGE, largest, 2)):
        if values is None:
            continue
        fits = isinstance(values, list | tuple) and len(values) == length
        if not fits or not all(isinstance(value, int | float) and 0 <= value < float("inf") for value in values):
            raise ValueError(f"its {name} is {values!r}, expected {length} numbers")


@dataclass
class Checkpoint:
    """Contents of a checkpoint file.

    Attributes
    ----------
    spec : ModelSpec
    network : Network
        Allocated, with the file's values, in evaluation mode.
    progress : dict
        Counters and log of the training; JSON-ready.
    optimizer_state : dict of str to Array
        Arrays of the optimiser; empty in a file that is not for resuming.
    """

    spec: ModelSpec
    network: Network
    progress: dict[str, Any] = field(default_factory=dict)
    optimizer_state: dict[str, Array] = field(default_factory=dict)
