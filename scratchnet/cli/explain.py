"""``scratchnet explain``: a web page for following a pixel through the network."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from scratchnet.cli.flags import Positional
from scratchnet.cli.parsing import parse, say
from scratchnet.config.sizes import Size
from scratchnet.data import read_image
from scratchnet.inference import Segmenter
from scratchnet.training.checkpoints import load_checkpoint
from scratchnet.utils.errors import UserError
from scratchnet.utils.files import atomic_write, check_writable

PAGE = "explorer page"
"""Kind of the file."""


@dataclass(frozen=True)
class ExplainArguments:
    """Write a web page that shows a network's layers for one image: point at a pixel and see how it is computed.

    The page is a single file that works offline. The image is prepared as by `scratchnet segment`; if a side is longer
    than 256 pixels, the page shows a part of it.
    """

    checkpoint: Annotated[str, Positional("CHECKPOINT")]
    """Written by `scratchnet train` as RUN/checkpoint.npz."""
    image: Annotated[str, Positional("IMAGE")]
    """Image file."""
    out: str
    """Name of the page, ending in .html."""
    maps: int = 6
    """Number of maps shown per layer, the strongest ones."""
    size: Size | None = None
    """Maximum size of the part of the image that is shown, HxW or one number for both. Default: 256, or the network's
    fixed size."""
    at: tuple[int, int] | None = None
    """Row and column of the centre of that part. Default: the centre of the image."""
    class_: str | None = None
    """Open the page at the most confident pixel of this class. Default: the most frequent class except the first."""
    bn_statistics: Literal["running", "batch"] = "running"
    """Statistics of batch norm: running averages, or those of the shown part (batch)."""


def main(words: Sequence[str]) -> int:
    """Run the command."""
    example = "scratchnet explain run/checkpoint.npz photo.jpg --out page.html"
    arguments = parse(ExplainArguments, words, "explain", example)
    if Path(arguments.out).suffix.lower() not in (".html", ".htm"):
        raise UserError(f"{arguments.out}: the name of the page must end in .html")
    if not 1 <= arguments.maps <= 64:
        raise UserError(f"--maps {arguments.maps}: expected 1 to 64")
    check_writable(arguments.out, PAGE)
    size = arguments.size
    checkpoint = load_checkpoint(arguments.checkpoint)
    spec = checkpoint.spec
    wanted = _class(arguments.class_, spec.classes)
    image = read_image(arguments.image, spec.preprocessing.range)
    from scratchnet.visualization.explorer import content, crop_image, explorer_page

    segmenter = Segmenter(checkpoint.network.use_statistics(arguments.bn_statistics), spec.preprocessing)
    try:
        crop = crop_image(segmenter, image, size, arguments.at)
        found = content(segmenter.network, crop, spec.classes, arguments.maps, wanted)
    except (UserError, ValueError) as error:
        raise UserError(f"{arguments.image}: {error}") from error
    notes = crop.notes()
    title = f"{Path(arguments.image).name} through {spec.model}"
    with atomic_write(arguments.out, PAGE) as file:
        file.write(explorer_page(title, notes, found, PAGE).encode("utf-8"))
    for note in notes:
        say(note)
    say(f"wrote {arguments.out}, {Path(arguments.out).stat().st_size / 1e6:.1f} MB: {len(found['layers'])} layers")
    return 0


def _class(name: str | None, classes: Sequence[str]) -> int | None:
    """Return the index of a class, None for no name."""
    if name is not None and name not in classes:
        raise UserError(f"--class {name}: no such class; choose one of: {', '.join(classes)}")
    return None if name is None else list(classes).index(name)
