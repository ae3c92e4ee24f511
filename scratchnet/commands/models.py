"""``scratchnet models``: the list of models, or one model's table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from scratchnet.commands.parsing import image_size, parse, say
from scratchnet.config import ModelSettings
from scratchnet.errors import UserError
from scratchnet.models import MODELS, build
from scratchnet.summary import summarize


@dataclass(frozen=True)
class ModelsArguments:
    """List the models, or print one model's table: shapes, parameters, work and memory, without allocating it."""

    name: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")] = None
    """A model; leave it out for the list."""
    size: str | None = None
    """Size of the image, HxW or one number. Default: the size that the model was made for."""
    classes: int = 2
    """Number of classes."""
    batch_norm: bool | None = None
    """bloodcell: batch norm behind every convolution."""
    unpool: Literal["nearest", "switches"] | None = None
    """bloodcell: nearest or switches."""
    width: float | None = None
    """Filters of the first layer, or for bloodcell a factor on all of them."""


def main(words: Sequence[str]) -> int:
    """Run the command."""
    arguments = parse(ModelsArguments, words, "models", "scratchnet models bloodcell --size 128x128")
    if not 2 <= arguments.classes <= 256:
        raise UserError(f"--classes {arguments.classes}: expected 2 to 256, the background included")
    if arguments.name is None:
        for name, model in MODELS.items():
            count = build(name, arguments.classes).parameter_count()
            known = ", ".join(f"{key}={value}" for key, value in model.options().items())
            say(f"{name:<16} {count:>12,} parameters  {model.about}" + (f"; options {known}" if known else ""))
        return 0
    size = image_size(arguments.size) if arguments.size else None
    settings = ModelSettings(arguments.name, arguments.batch_norm, arguments.unpool, arguments.width)
    options = settings.options()
    if size is not None and arguments.name in MODELS and "size" in MODELS[arguments.name].options():
        if size[0] != size[1]:
            raise UserError(f"--size {arguments.size}: model '{arguments.name}' takes square images only")
        options["size"] = size[0]
    network = build(arguments.name, arguments.classes, **options)
    try:
        table = summarize(network, size or MODELS[arguments.name].size)
    except ValueError as error:
        raise UserError(f"model '{arguments.name}' cannot take this size: {error}") from error
    say(table.text())
    return 0
