"""``scratchnet export``: a trained network as an ONNX file or a web page."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np

from scratchnet.arrays import generator
from scratchnet.cli.checkpoints import say_origin
from scratchnet.cli.flags import Metavar, Positional
from scratchnet.cli.output import OutputArguments
from scratchnet.cli.parsing import parse, say
from scratchnet.config.sizes import Size
from scratchnet.data.palette import palette_with
from scratchnet.interop.onnx_check import LIMIT, Comparison, compare, onnxruntime_version
from scratchnet.interop.onnx_export import Exported, export_onnx
from scratchnet.interop.onnx_graph import OPSET, check_that_onnx_is_installed
from scratchnet.network import Network
from scratchnet.training.checkpoints import load_checkpoint
from scratchnet.training.contents import ModelSpec
from scratchnet.utils.errors import UserError
from scratchnet.utils.files import atomic_write, check_writable
from scratchnet.visualization.web_app import Runtime, find_runtime, web_page, web_settings

ONNX, WEB = "ONNX model", "segmentation page"
"""Kinds of the files."""

CHECKED = (150, 171)
"""Size of the random images to check a file that takes any size: not a multiple of any stride, to test rounding."""


@dataclass(frozen=True)
class ExportArguments(OutputArguments):
    """Write a trained network as an ONNX file that maps images to class probabilities, or as a web page.

    Input `image`: (n, height, width, 3) uint8, RGB; it is normalised inside. Outputs `scores` and `probabilities`:
    (n, height, width, classes) float32. If onnxruntime is installed, the model is compared with the network before the
    file is written. With `--web`, a page that contains the network and onnxruntime-web segments images in a browser,
    without an internet connection.
    """

    checkpoint: Annotated[str, Positional("CHECKPOINT")]
    """Written by `scratchnet train` as RUN/checkpoint.npz."""
    file: Annotated[str | None, Positional("[FILE.onnx]")] = None
    """File to write; may be left out with `--web`."""
    web: Annotated[str | None, Metavar("FILE.html")] = None
    """Page to write."""
    runtime: Annotated[str | None, Metavar("DIR")] = None
    """Folder of onnxruntime-web for `--web`. Default: node_modules/onnxruntime-web, which `npm install onnxruntime-web`
    makes."""
    size: Size | None = None
    """Accept images of this size only, HxW or one number for both. Default: any size, if the network allows it."""
    bn_statistics: Literal["running", "batch"] = "running"
    """Statistics of batch norm: running averages, or those of each image (batch)."""


def main(words: Sequence[str]) -> int:
    """Run the command."""
    arguments = parse(ExportArguments, words, "export", "scratchnet export run/checkpoint.npz model.onnx")
    with arguments.output():
        return _export(arguments, _check(arguments))


def _export(arguments: ExportArguments, runtime: Runtime | None) -> int:
    checkpoint = load_checkpoint(arguments.checkpoint)
    network, spec = checkpoint.network, checkpoint.spec
    network.use_statistics(arguments.bn_statistics)
    wanted = arguments.size
    size = wanted or network.fixed_size or CHECKED
    try:
        exported = export_onnx(network, spec.preprocessing, spec.classes, spec.model, size, wanted is not None)
        found = _compare(exported, network, spec, size) if onnxruntime_version() else None
    except ValueError as error:
        raise UserError(f"model '{spec.model}', images of {size[0]}×{size[1]}: {error}") from error
    if found is not None and not found.agrees:
        say(_differences(found))
        print(
            f"{arguments.file or arguments.web} was not written: it does not compute what the network computes "
            f"(differences above {LIMIT:g})",
            file=sys.stderr if arguments.json or arguments.quiet else sys.stdout,
            flush=True,
        )
        return 1
    if found is None:
        say('not checked: onnxruntime is not installed (in scratchnet\'s clone: pip install -e ".[onnx]")')
    else:
        say(f"checked in onnxruntime {onnxruntime_version()} on {size[0]}×{size[1]} images: {_differences(found)}")
    say_origin(arguments.checkpoint)
    _write(arguments, exported, network, spec, runtime)
    arguments.print_json(
        {
            "checkpoint": arguments.checkpoint,
            "file": arguments.file,
            "web": arguments.web,
            "classes": list(spec.classes),
            "difference": None if found is None else {"scores": found.scores, "probabilities": found.probabilities},
        }
    )
    return 0


def _write(
    arguments: ExportArguments, exported: Exported, network: Network, spec: ModelSpec, runtime: Runtime | None
) -> None:
    """Write the files that are wanted."""
    content = exported.model.SerializeToString()
    page = None if runtime is None else _page(network, spec, content, runtime)
    if arguments.file is not None:
        with atomic_write(arguments.file, ONNX) as file:
            file.write(content)
        _describe(exported, spec)
        say(f"wrote {arguments.file}, {len(content) / 1e6:.1f} MB, opset {OPSET}")
    if page is not None and arguments.web is not None and runtime is not None:
        with atomic_write(arguments.web, WEB) as file:
            file.write(page.encode("utf-8"))
        megabytes = Path(arguments.web).stat().st_size / 1e6
        say(f"wrote {arguments.web}, {megabytes:.1f} MB, with onnxruntime-web {runtime.version}")


def _check(arguments: ExportArguments) -> Runtime | None:
    """Raise a UserError for arguments that cannot be followed; return the runtime if a page is wanted."""
    if arguments.file is None and arguments.web is None:
        raise UserError("nothing to write; name a file that ends in .onnx, a page with --web FILE.html, or both")
    if arguments.file is not None and Path(arguments.file).suffix.lower() != ".onnx":
        raise UserError(f"{arguments.file}: the name of the file to write must end in .onnx")
    check_that_onnx_is_installed()
    if arguments.file is not None:
        check_writable(arguments.file, ONNX)
    if arguments.web is None:
        if arguments.runtime is not None:
            raise UserError(f"--runtime {arguments.runtime}: only the page of --web contains it; add --web FILE.html")
        return None
    if Path(arguments.web).suffix.lower() not in (".html", ".htm"):
        raise UserError(f"--web {arguments.web}: the name of the page must end in .html")
    if arguments.size is not None:
        raise UserError(f"--size {arguments.size[0]}x{arguments.size[1]}: not with --web, whose page takes any size")
    check_writable(arguments.web, WEB)
    return find_runtime(arguments.runtime)


def _page(network: Network, spec: ModelSpec, model: bytes, runtime: Runtime) -> str:
    """Return the HTML of the page."""
    notes = []
    if spec.preprocessing.range is not None:
        notes.append(
            "The network was trained on images of more than 8 bits, which browsers reduce to 8: save such images with "
            f"the range {spec.preprocessing.range[0]:g} to {spec.preprocessing.range[1]:g} as 0 to 255."
        )
    settings = web_settings(network, spec.preprocessing, spec.classes)
    colours = palette_with(spec.data.get("colours")).tolist()
    classes = dict(zip(spec.classes, colours, strict=False))
    return web_page(spec.model, classes, settings, model, runtime, notes, WEB)


def _describe(exported: Exported, spec: ModelSpec) -> None:
    """Print the inputs, the outputs and the classes of a model."""
    for word, ports in (("input", exported.inputs), ("output", exported.outputs)):
        for port in ports:
            say(f"{word:<6}  {port.name:<13}  ({', '.join(map(str, port.shape))}) {np.dtype(port.dtype)}")
    say(f"\n{exported.model.doc_string}\nclasses: {', '.join(spec.classes)}\n")


def _compare(exported: Exported, network: Network, spec: ModelSpec, size: tuple[int, int]) -> Comparison:
    """Compare the file with the network on two random images."""
    images = generator(0, "export").integers(0, 256, (2, *size, 3), np.uint8)
    return compare(exported, network, spec.preprocessing, images)


def _differences(found: Comparison) -> str:
    text = f"scores differ by {found.scores:.1e} of the largest, their probabilities by {found.probabilities:.1e}"
    if found.differing:
        text += f"; {found.differing:,} of {found.windows:,} switches chose the other of two maxima that are "
        text += f"{found.gap:.1e} apart at most"
    elif found.windows:
        text += f"; all {found.windows:,} switches are the same"
    return text
