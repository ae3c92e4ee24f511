"""Contents of a checkpoint: a network, how it is built and fed, and how far its training has come."""

from dataclasses import dataclass, field
from typing import Any

from scratchnet.arrays import Array
from scratchnet.data import Preprocessing
from scratchnet.models import build
from scratchnet.network import Network

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
    settings : dict
        Settings of the training; `scratchnet evaluate` reads masks according to ``settings["data"]``.
    """

    model: str
    options: dict[str, Any]
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    data: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)

    def build(self) -> Network:
        """Return the network, not yet allocated."""
        return build(self.model, len(self.classes), **self.options)


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
