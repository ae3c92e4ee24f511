"""``scratchnet models``: the list of models, or one model's table."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from scratchnet.cli.flags import Positional, flag_name
from scratchnet.cli.parsing import parse, say
from scratchnet.config import ModelOptions
from scratchnet.config.sizes import Size
from scratchnet.models import MODELS, build
from scratchnet.network import Network
from scratchnet.network.summary import summarize, training_memory
from scratchnet.network.switch_memory import switch_table
from scratchnet.networks import is_in_the_box, network_card, network_names, network_origin
from scratchnet.ops.geometry import Pair
from scratchnet.training.checkpoints import load_network
from scratchnet.utils.errors import UserError
from scratchnet.utils.files import atomic_write, check_writable
from scratchnet.utils.signatures import signature

DRAWING = "drawing of a network"
"""Kind of the file."""

DEFAULT_SIZE = (128, 128)
"""Size of the images of a checkpoint's network that takes any size."""

CHECKPOINT_FLAGS = ("name", "size", "batch", "measure", "draw")
"""Arguments that apply to checkpoints too."""

_NOTE_KEYS = {".png": "Description", ".svg": "Description", ".pdf": "Subject"}
"""Metadata key for a note, by file format."""

DRAWINGS = tuple(_NOTE_KEYS)


@dataclass(frozen=True)
class ModelsArguments(ModelOptions):
    """List the models, or print one model's table: shapes, parameters, operations and memory, without allocating it."""

    name: Annotated[str | None, Positional("[NAME]")] = None
    """A model, a checkpoint (.npz) or a network in the box, whose card is printed; leave it out for the list."""
    size: Size | None = None
    """Size of the image, HxW or one number for both. Default: the size that the model was made for."""
    batch: int = 1
    """Number of images."""
    classes: int = 2
    """Number of classes."""
    form: Literal["image", "window"] | None = None
    """sliding-window: run the classifier over a whole image, or on one window."""
    measure: bool = False
    """Allocate the switches of every pooling and measure them, instead of only counting."""
    draw: str | None = None
    """Draw the model into this file (.png, .svg or .pdf), with switches and skip connections."""


def main(words: Sequence[str]) -> int:
    """Run the command."""
    arguments = parse(ModelsArguments, words, "models", "scratchnet models bloodcell --size 128x128")
    if not 2 <= arguments.classes <= 256:
        raise UserError(f"--classes {arguments.classes}: expected 2 to 256, the background included")
    if not 1 <= arguments.batch <= 1_000_000:
        raise UserError(f"--batch {arguments.batch}: expected 1 to 1000000")
    if arguments.name is None:
        _list_models(arguments)
    else:
        _print_table(arguments, arguments.name)
    return 0


def _list_models(arguments: ModelsArguments) -> None:
    """Print a line for each model."""
    for field in fields(ModelsArguments):
        if field.name != "classes" and getattr(arguments, field.name) != field.default:
            flag = flag_name(field.name)
            raise UserError(f"{flag}: is for one model; name it, as in `scratchnet models bloodcell {flag} …`")
    for name, model in MODELS.items():
        count = build(name, arguments.classes).parameter_count()
        known = ", ".join(f"{key}={value}" for key, value in model.options().items())
        say(f"{name:<16} {count:>12,} parameters  {model.about}" + (f"; options {known}" if known else ""))
    say("\ntrained networks in the box, for commands that take a checkpoint:")
    for name in network_names():
        say(f"{name:<16} {network_origin(name)}")


def _print_table(arguments: ModelsArguments, name: str) -> None:
    """Print the table of one model, and draw it if a file is named."""
    draw = arguments.draw
    if draw is not None:
        if Path(draw).suffix.lower() not in DRAWINGS:
            raise UserError(f"--draw {draw}: end the name in {', '.join(DRAWINGS)}")
        check_writable(draw, DRAWING)
    network, default_size = _network(name, arguments)
    if is_in_the_box(name):
        say(network_card(name))
    size = arguments.size or network.fixed_size or default_size
    try:
        table = summarize(network, size, arguments.batch)
    except ValueError as error:
        raise UserError(f"model '{name}' cannot take this size: {error}") from error
    say(table.text())
    say(training_memory(network, size, arguments.batch))
    if table.switch_bytes:
        say("\n" + switch_table(network, size, arguments.batch, arguments.measure))
    if draw is not None:
        _draw(network, size, f"{name}, {size[0]}×{size[1]}", Path(draw))
        say(f"\nwrote {draw}")


def _draw(network: Network, size: Pair, title: str, path: Path) -> None:
    from scratchnet.visualization.graph.architecture import architecture_figure

    form, note = path.suffix[1:].lower(), {_NOTE_KEYS[path.suffix.lower()]: signature(DRAWING)}
    with atomic_write(path, DRAWING) as file:
        architecture_figure(network, size, title).savefig(file, format=form, dpi=120, metadata=note)


def _network(name: str, arguments: ModelsArguments) -> tuple[Network, Pair]:
    """Return a model, or the network of a checkpoint, and the default size of its images."""
    if not name.endswith(".npz") and not is_in_the_box(name):
        return build(name, arguments.classes, **_options(name, arguments)), MODELS[name].size
    for field in fields(ModelsArguments):
        if field.name not in CHECKPOINT_FLAGS and getattr(arguments, field.name) != field.default:
            raise UserError(f"{flag_name(field.name)}: {name} is a checkpoint, whose network is built already")
    return load_network(name), DEFAULT_SIZE


def _options(name: str, arguments: ModelsArguments) -> dict[str, Any]:
    """Return the options that are given; a model that takes images of one size is built for the given size."""
    options, size = arguments.options(), arguments.size
    if arguments.form is not None:
        options["form"] = arguments.form
    if size is not None and name in MODELS and "size" in MODELS[name].options():
        if size[0] != size[1]:
            raise UserError(f"--size {size[0]}x{size[1]}: model '{name}' takes square images only")
        options["size"] = size[0]
    return options
