"""``scratchnet models``: the list of models, or one model's table."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from scratchnet.cli.flags import Positional
from scratchnet.cli.parsing import parse, say
from scratchnet.config import ModelSettings
from scratchnet.config.sizes import Size
from scratchnet.models import MODELS, build
from scratchnet.network import Network
from scratchnet.network.summary import summarize, training_memory
from scratchnet.network.switch_memory import switch_table
from scratchnet.ops.geometry import Pair
from scratchnet.training.checkpoints import load_network
from scratchnet.utils.errors import UserError
from scratchnet.utils.files import atomic_write, check_writable
from scratchnet.utils.signatures import signature

DRAWING = "drawing of a network"
"""Kind of the file."""

USUAL = (128, 128)
"""Size of images where a network has none of its own."""

OF_ALL = ("name", "size", "batch", "measure", "draw")
"""What can be asked of a checkpoint too."""

_NOTE = {".png": "Description", ".svg": "Description", ".pdf": "Subject"}
"""Where a format keeps a note."""

DRAWINGS = tuple(_NOTE)


@dataclass(frozen=True)
class ModelsArguments:
    """List the models, or print one model's table: shapes, parameters, work and memory, without allocating it."""

    name: Annotated[str | None, Positional("[NAME]")] = None
    """A model, or a checkpoint (.npz); leave it out for the list."""
    size: Size | None = None
    """Size of the image, HxW or one number. Default: the size that the model was made for."""
    batch: int = 1
    """Number of images."""
    classes: int = 2
    """Number of classes."""
    batch_norm: bool | None = None
    """bloodcell, unet, unet-same, fcn32s, fcn16s, fcn8s: batch norm behind every convolution."""
    unpool: Literal["switches", "nearest", "transposed"] | None = None
    """bloodcell, segnet, segnet-basic, deconvnet-small: put values back at the switches, repeat them, or (all but
    bloodcell) learn to spread them."""
    width: float | None = None
    """A factor on all numbers of filters; for deconvnet-small and squares the filters of the first layer."""
    depth: int | None = None
    """unet, unet-same: number of pools."""
    dropout: bool | None = None
    """unet, unet-same: dropout at the end of the way down."""
    padding: Literal["paper", "same"] | None = None
    """fcn32s, fcn16s, fcn8s: 100 at the first convolution, or as much as keeps every map over the image (cheaper)."""
    upsampling: Literal["fixed", "paper", "learned"] | None = None
    """fcn32s, fcn16s, fcn8s: which enlargements learn: none, all but the last, all."""
    at_once: bool | None = None
    """fcn8s: scale pool4 and pool3, to train it in one go."""
    form: Literal["image", "window"] | None = None
    """sliding-window: the classifier run over a whole image, or on one window."""
    measure: bool = False
    """Make the switches of every pooling and measure them, instead of only counting."""
    draw: str | None = None
    """Draw the model into this file (.png, .svg or .pdf): boxes, switches and skips."""


def main(words: Sequence[str]) -> int:
    """Run the command."""
    arguments = parse(ModelsArguments, words, "models", "scratchnet models bloodcell --size 128x128")
    if not 2 <= arguments.classes <= 256:
        raise UserError(f"--classes {arguments.classes}: expected 2 to 256, the background included")
    if not 1 <= arguments.batch <= 1_000_000:
        raise UserError(f"--batch {arguments.batch}: expected 1 to 1000000")
    if arguments.name is None:
        for field in fields(ModelsArguments):
            if field.name != "classes" and getattr(arguments, field.name) != field.default:
                flag = f"--{field.name.replace('_', '-')}"
                raise UserError(f"{flag}: is for one model; name it, as in `scratchnet models bloodcell {flag} …`")
        for name, model in MODELS.items():
            count = build(name, arguments.classes).parameter_count()
            known = ", ".join(f"{key}={value}" for key, value in model.options().items())
            say(f"{name:<16} {count:>12,} parameters  {model.about}" + (f"; options {known}" if known else ""))
        return 0
    if arguments.draw is not None and Path(arguments.draw).suffix.lower() not in DRAWINGS:
        raise UserError(f"--draw {arguments.draw}: end the name in {', '.join(DRAWINGS)}")
    if arguments.draw is not None:
        check_writable(arguments.draw, DRAWING)
    size = arguments.size
    network, usual = _network(arguments.name, arguments, size)
    wanted = size or network.fixed_size or usual
    try:
        table = summarize(network, wanted, arguments.batch)
    except ValueError as error:
        raise UserError(f"model '{arguments.name}' cannot take this size: {error}") from error
    say(table.text())
    say(training_memory(network, wanted, arguments.batch))
    if table.switch_bytes:
        say("\n" + switch_table(network, wanted, arguments.batch, arguments.measure))
    if arguments.draw is not None:
        from scratchnet.visualization.graph.architecture import architecture_figure

        path = Path(arguments.draw)
        with atomic_write(path, DRAWING) as file:
            figure = architecture_figure(network, wanted, f"{arguments.name}, {wanted[0]}×{wanted[1]}")
            figure.savefig(
                file, format=path.suffix[1:].lower(), dpi=120, metadata={_NOTE[path.suffix.lower()]: signature(DRAWING)}
            )
        say(f"\nwrote {path}")
    return 0


def _network(name: str, arguments: ModelsArguments, size: Pair | None) -> tuple[Network, Pair]:
    """Return a model, or the network of a checkpoint, and the usual size of its images."""
    if not name.endswith(".npz"):
        network = build(name, arguments.classes, **_options(arguments, size))
        return network, MODELS[name].size
    for field in fields(ModelsArguments):
        if field.name not in OF_ALL and getattr(arguments, field.name) != field.default:
            raise UserError(f"--{field.name.replace('_', '-')}: {name} is a checkpoint, whose network is built already")
    return load_network(name), USUAL


def _options(arguments: ModelsArguments, size: Pair | None) -> dict[str, Any]:
    """Return the options that are set; a model that is built for one size is built for this one."""
    known = MODELS[arguments.name].options() if arguments.name in MODELS else {}
    chosen = {f.name: getattr(arguments, f.name) for f in fields(ModelSettings) if f.name not in ("model", "size")}
    options = ModelSettings(**chosen).options()
    if arguments.form is not None:
        options["form"] = arguments.form
    if size is not None and "size" in known:
        if size[0] != size[1]:
            raise UserError(f"--size {size[0]}x{size[1]}: model '{arguments.name}' takes square images only")
        options["size"] = size[0]
    return options
