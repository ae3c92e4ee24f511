"""Checkpoints as the commands name them: by file, or by the name of a network in the box."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated

from scratchnet.cli.flags import Metavar
from scratchnet.cli.parsing import say
from scratchnet.config import ModelSettings, TrainSettings
from scratchnet.data.image_folders import is_image_file
from scratchnet.networks import find_checkpoint, is_in_the_box, network_names, network_origin
from scratchnet.training.checkpoints import stored_settings
from scratchnet.utils.errors import UserError
from scratchnet.utils.options import option


@dataclass(frozen=True, kw_only=True)
class NetworkArguments:
    """The flag that names a network among other words."""

    model: Annotated[str | None, Metavar("CHECKPOINT")] = None
    """A network in the box (nuclei, see `scratchnet models nuclei`) or a checkpoint, instead of the first word."""

    def checkpoint_and_rest(self, words: Sequence[str]) -> tuple[str, tuple[str, ...]]:
        """Return the checkpoint and the other words.

        Raises
        ------
        UserError
            If two checkpoints are named, or an image comes first and no checkpoint is named.
        """
        if self.model is not None:
            if words and words[0].lower().endswith(".npz"):
                raise UserError(f"--model {self.model}: not with the checkpoint {words[0]}; leave one of the two out")
            return self.model, tuple(words)
        if is_image_file(Path(words[0])):
            raise UserError(
                f"{words[0]}: is an image, and no checkpoint is named; put one first, or add --model "
                f"(in the box: {', '.join(network_names())})"
            )
        return words[0], tuple(words[1:])


def say_origin(*words: str | None) -> None:
    """Print what networks in the box were trained on; nothing for files.

    Commands call it once their images and flags are checked, so that an error stands alone.
    """
    for word in words:
        if word is not None and is_in_the_box(word):
            say(f"{word}: {network_origin(word)}")


def adopt_network(settings: TrainSettings, given: frozenset[str]) -> tuple[TrainSettings, frozenset[str]]:
    """Return settings with the model of the network in the box that a training starts from, unless one is given.

    Parameters
    ----------
    settings : TrainSettings
    given : frozenset of str
        Names of the settings that the user has given.

    Returns
    -------
    tuple of TrainSettings and frozenset of str
        The settings, and ``given`` with the names of those that were adopted.
    """
    name = settings.training.start_from
    if name is None or not is_in_the_box(name) or "model" in given:
        return settings, given
    stored = stored_settings(find_checkpoint(name))
    known = {field.name for field in fields(ModelSettings)} - given
    model = {key: value for key, value in stored["model"].items() if key in known and value is not None}
    data = {"normalization": stored["data"]["normalization"]} if "normalization" not in given else {}
    flags = " ".join(option(key) if value is True else option(key, value) for key, value in {**model, **data}.items())
    say(f"the network is that of {name}: {flags}")
    settings = replace(settings, model=replace(settings.model, **model), data=replace(settings.data, **data))
    return settings, given | model.keys() | data.keys()
