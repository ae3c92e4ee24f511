"""``scratchnet export``: a trained network as an ONNX file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np

from scratchnet.arrays import generator
from scratchnet.cli.flags import Positional
from scratchnet.cli.parsing import parse, say
from scratchnet.config.sizes import Size
from scratchnet.interop.onnx_check import LIMIT, Comparison, compare, onnxruntime_version
from scratchnet.interop.onnx_export import Exported, export_onnx
from scratchnet.interop.onnx_graph import OPSET, check_that_onnx_is_installed
from scratchnet.network import Network
from scratchnet.training.checkpoints import load_checkpoint
from scratchnet.training.contents import ModelSpec
from scratchnet.utils.errors import UserError
from scratchnet.utils.files import atomic_write, check_writable

ONNX = "ONNX model"
"""Kind of the file."""

CHECKED = (150, 171)
"""Size of the random images to check a file that takes any size: not a multiple of any stride, to test rounding."""


@dataclass(frozen=True)
class ExportArguments:
    """Write a trained network as an ONNX file that maps images to class probabilities.

    Input `image`: (n, height, width, 3) uint8, RGB; it is normalised inside. Outputs `scores` and `probabilities`:
    (n, height, width, classes) float32. If onnxruntime is installed, the model is compared with the network before the
    file is written.
    """

    checkpoint: Annotated[str, Positional("CHECKPOINT")]
    """Written by `scratchnet train` as RUN/checkpoint.npz."""
    file: Annotated[str, Positional("FILE.onnx")]
    """File to write."""
    size: Size | None = None
    """Accept images of this size only, HxW or one number for both. Default: any size, if the network allows it."""
    bn_statistics: Literal["running", "batch"] = "running"
    """Statistics of batch norm: running averages, or those of each image (batch)."""


def main(words: Sequence[str]) -> int:
    """Run the command."""
    arguments = parse(ExportArguments, words, "export", "scratchnet export run/checkpoint.npz model.onnx")
    if Path(arguments.file).suffix.lower() != ".onnx":
        raise UserError(f"{arguments.file}: the name of the file to write must end in .onnx")
    check_that_onnx_is_installed()
    check_writable(arguments.file, ONNX)
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
        say(
            f"{arguments.file} was not written: it does not compute what the network computes (differences above "
            f"{LIMIT:g})"
        )
        return 1
    with atomic_write(arguments.file, ONNX) as file:
        file.write(exported.model.SerializeToString())
    for word, ports in (("input", exported.inputs), ("output", exported.outputs)):
        for port in ports:
            say(f"{word:<6}  {port.name:<13}  ({', '.join(map(str, port.shape))}) {np.dtype(port.dtype)}")
    say(f"\n{exported.model.doc_string}\nclasses: {', '.join(spec.classes)}\n")
    if found is None:
        say('not checked: onnxruntime is not installed (in scratchnet\'s clone: pip install -e ".[onnx]")')
    else:
        say(f"checked in onnxruntime {onnxruntime_version()} on {size[0]}×{size[1]} images: {_differences(found)}")
    say(f"wrote {arguments.file}, {Path(arguments.file).stat().st_size / 1e6:.1f} MB, opset {OPSET}")
    return 0


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
