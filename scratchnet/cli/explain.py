"""``scratchnet explain``: a web page for following a pixel through the network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from scratchnet.arrays import Array
from scratchnet.cli.checkpoints import say_origin
from scratchnet.cli.flags import Positional
from scratchnet.cli.output import OutputArguments
from scratchnet.cli.parsing import parse, say
from scratchnet.config.sizes import Size
from scratchnet.data import read_image
from scratchnet.inference import Segmenter
from scratchnet.training.checkpoints import load_checkpoint
from scratchnet.utils.errors import UserError
from scratchnet.utils.files import atomic_write, check_writable

PAGE = "explorer page"
"""Kind of the file."""

MAPS = 6
"""Maps per layer, unless the user chooses."""


@dataclass(frozen=True)
class ExplainArguments(OutputArguments):
    """Write a web page that shows a network's layers for one image: point at a pixel and see how it is computed.

    The page is a single file that works offline. The image is prepared as by `scratchnet segment`; if a side is longer
    than 256 pixels, the page shows a part of it. With `--live`, the network runs in the page: paint on the image, and
    every layer follows. With `--why`, the page explains the class of one pixel by four methods.
    """

    checkpoint: Annotated[str, Positional("CHECKPOINT")]
    """Written by `scratchnet train` as RUN/checkpoint.npz."""
    image: Annotated[str, Positional("IMAGE")]
    """Image file."""
    out: str
    """Name of the page, ending in .html."""
    maps: int | None = None
    """Number of maps shown per layer, the strongest ones. Default: 6."""
    live: bool = False
    """Write a page in which the network runs, in JavaScript. It contains the weights and has at most 8 MB."""
    why: bool = False
    """Write a page that answers why a pixel got its class: where the image speaks for and against it, by deconvnet
    projection, guided backpropagation, gradient and occlusion."""
    size: Size | None = None
    """Maximum size of the part of the image that is shown, HxW or one number for both. Default: 256, or the network's
    fixed size. With `--live`: 64 to 256, the largest for which a pass takes about a quarter of a second."""
    at: tuple[int, int] | None = None
    """Row and column of the centre of that part, and with `--why` of the pixel to explain. Default: the centre of the
    image."""
    class_: str | None = None
    """Open the page at the most confident pixel of this class; with `--why`, explain this class. Default: the most
    frequent class except the first, or with `--why` and `--at` the class of the pixel."""
    bn_statistics: Literal["running", "batch"] = "running"
    """Statistics of batch norm: running averages, or those of the shown part (batch)."""


def main(words: Sequence[str]) -> int:
    """Run the command."""
    example = "scratchnet explain run/checkpoint.npz photo.jpg --out page.html"
    arguments = parse(ExplainArguments, words, "explain", example)
    _check(arguments)
    with arguments.output():
        return _explain(arguments)


def _explain(arguments: ExplainArguments) -> int:
    checkpoint = load_checkpoint(arguments.checkpoint)
    spec = checkpoint.spec
    wanted = _class(arguments.class_, spec.classes)
    image = read_image(arguments.image, spec.preprocessing.range)
    segmenter = Segmenter(checkpoint.network.use_statistics(arguments.bn_statistics), spec.preprocessing)
    title = f"{Path(arguments.image).name} through {spec.model}"
    write = _live if arguments.live else _why if arguments.why else _explorer
    try:
        page = write(arguments, segmenter, image, title, spec.classes, wanted)
    except (UserError, ValueError) as error:
        raise UserError(f"{arguments.image}: {error}") from error
    say_origin(arguments.checkpoint)
    with atomic_write(arguments.out, PAGE) as file:
        file.write(page.text.encode("utf-8"))
    for note in page.notes:
        say(note)
    say(f"wrote {arguments.out}, {Path(arguments.out).stat().st_size / 1e6:.1f} MB: {page.content}")
    arguments.print_json({"checkpoint": arguments.checkpoint, "page": arguments.out, "notes": list(page.notes)})
    return 0


@dataclass(frozen=True)
class _Page:
    """HTML, the notes to print, and the content in a few words."""

    text: str
    notes: Sequence[str]
    content: str


def _check(arguments: ExplainArguments) -> None:
    """Raise a UserError for flags that cannot be followed."""
    if Path(arguments.out).suffix.lower() not in (".html", ".htm"):
        raise UserError(f"{arguments.out}: the name of the page must end in .html")
    if arguments.maps is not None and not 1 <= arguments.maps <= 64:
        raise UserError(f"--maps {arguments.maps}: expected 1 to 64")
    if arguments.why and arguments.live:
        raise UserError("--why and --live are different pages; leave out one of the two")
    if arguments.why and arguments.maps is not None:
        raise UserError(
            f"--maps {arguments.maps}: not with --why, whose page shows no layers; leave out one of the two"
        )
    if arguments.live and arguments.class_ is not None:
        raise UserError(
            f"--class {arguments.class_}: not with --live, whose page shows all pixels; leave out one of the two"
        )
    check_writable(arguments.out, PAGE)


def _explorer(
    arguments: ExplainArguments,
    segmenter: Segmenter,
    image: Array,
    title: str,
    classes: Sequence[str],
    wanted: int | None,
) -> _Page:
    """Return the page with stored maps."""
    from scratchnet.visualization.explorer import content, crop_image, explorer_page

    crop = crop_image(segmenter, image, arguments.size, arguments.at)
    found = content(segmenter.network, crop, classes, arguments.maps or MAPS, wanted)
    notes = crop.notes()
    return _Page(explorer_page(title, notes, found, PAGE), notes, _layers(found))


def _live(
    arguments: ExplainArguments,
    segmenter: Segmenter,
    image: Array,
    title: str,
    classes: Sequence[str],
    wanted: int | None,
) -> _Page:
    """Return the page in which the network runs."""
    from scratchnet.visualization.explorer import crop_image
    from scratchnet.visualization.live import check_layers, input_transform, live_content, live_page, live_size

    check_layers(segmenter.network)
    size = arguments.size or live_size(segmenter.network)
    crop = crop_image(segmenter, image, size, arguments.at)
    transform = input_transform(segmenter.preprocessing, image)
    found, parameters = live_content(segmenter, crop, transform, classes, arguments.maps or MAPS)
    page = live_page(title, crop.notes(), found, parameters, PAGE)
    return _Page(page.text, page.notes, _layers(found))


def _why(
    arguments: ExplainArguments,
    segmenter: Segmenter,
    image: Array,
    title: str,
    classes: Sequence[str],
    wanted: int | None,
) -> _Page:
    """Return the page that explains the class of a pixel."""
    from scratchnet.visualization.attribution import explain_pixel, why_page
    from scratchnet.visualization.attribution.words import summary, unknown_note
    from scratchnet.visualization.explorer import crop_image

    crop = crop_image(segmenter, image, arguments.size, arguments.at)
    corner = crop.part.top, crop.part.left
    pixel = None if arguments.at is None else (arguments.at[0] - corner[0], arguments.at[1] - corner[1])
    explanation = explain_pixel(segmenter.network, crop, pixel, wanted)
    notes = [*crop.notes(own_rows=False), *unknown_note(explanation)]
    text = why_page(title, notes, explanation, classes, corner, PAGE)
    return _Page(text, [*notes, *summary(explanation, classes, corner)], "four answers for one pixel")


def _layers(content: Mapping[str, Any]) -> str:
    return f"{len(content['layers'])} layers"


def _class(name: str | None, classes: Sequence[str]) -> int | None:
    """Return the index of a class, None for no name."""
    if name is not None and name not in classes:
        raise UserError(f"--class {name}: no such class; choose one of: {', '.join(classes)}")
    return None if name is None else list(classes).index(name)
