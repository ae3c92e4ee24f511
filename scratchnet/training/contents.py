"""What a checkpoint holds: a network, how it is built and fed, and where its training stood."""

from dataclasses import dataclass, field
from typing import Any

from scratchnet.arrays import Array
from scratchnet.data import Preprocessing
from scratchnet.models import build
from scratchnet.network import Network

OWN_MODEL = "network"
"""What a recipe calls a network of one's own."""


@dataclass(frozen=True)
class ModelSpec:
    """All that is needed to build a network and to feed it, besides its numbers.

    Attributes
    ----------
    model : str
        Name in the registry.
    options : dict
        Of the model.
    classes : tuple of str
    preprocessing : Preprocessing
    data : dict
        ``held_out``: names of the validation images, so that `scratchnet evaluate` never measures on training images
        of a folder without lists. ``colours``: of the classes, where the set's class file gives them.
    settings : dict
        Of the training; `scratchnet evaluate` reads masks as ``settings["data"]`` says.
    """

    model: str
    options: dict[str, Any]
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    data: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)

    def build(self) -> Network:
        """Build the network, without memory."""
        return build(self.model, len(self.classes), **self.options)


@dataclass
class Checkpoint:
    """What a file holds.

    Attributes
    ----------
    recipe : Recipe
    network : Network
        Allocated, with the file's numbers, in evaluation mode.
    progress : dict
        Where the training stood; JSON-ready.
    memory : dict of str to Array
        The optimiser's arrays; empty in a file that is only for use.
    """

    recipe: ModelSpec
    network: Network
    progress: dict[str, Any] = field(default_factory=dict)
    memory: dict[str, Array] = field(default_factory=dict)
