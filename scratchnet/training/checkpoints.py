"""Networks on disk: one self-describing ``.npz`` file.

The file holds the flat parameter array, batch norm's statistics, the optimiser's arrays, and a JSON header with
everything needed to rebuild the network and to prepare new images like the training images: architecture and options,
class names, preprocessing, settings, versions, and a table of names and shapes. It contains no pickle, so opening a
file runs no code in it. It is written to a temporary file that is then renamed, so the old file survives a crash; the
checksums of the zip format reveal truncated and altered files.
"""

import json
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from scratchnet import __version__
from scratchnet.arrays import Array, to_host
from scratchnet.data import Preprocessing
from scratchnet.layers.base import Layer
from scratchnet.models import MODELS, build
from scratchnet.network import Network
from scratchnet.network.description import describe, rebuild
from scratchnet.networks import find_checkpoint, network_names
from scratchnet.training.contents import OWN_MODEL, Checkpoint, ModelSpec, check_data
from scratchnet.training.optimizers import WeightAverage, running_statistics
from scratchnet.utils.errors import UserError
from scratchnet.utils.files import atomic_write
from scratchnet.utils.npz import open_npz

FORMAT = 1
"""Version of the file format; incremented when the layout changes."""

T = TypeVar("T")

_DAMAGE = (
    zipfile.BadZipFile, zlib.error, ValueError, KeyError, EOFError, OSError, NotImplementedError, RuntimeError,
    TypeError, IndexError, SyntaxError, OverflowError, AttributeError, struct.error,
)  # fmt: skip
"""Exceptions of NumPy, zipfile and json on damaged files; a MemoryError is not one of them."""


def save_checkpoint(path: Path | str, checkpoint: Checkpoint, kind: str | None = None, half: bool = False) -> None:
    """Write a checkpoint atomically.

    Parameters
    ----------
    path : Path or str
    checkpoint : Checkpoint
    kind : str or None
        If given, only a file of this kind is replaced (see :mod:`scratchnet.utils.signatures`).
    half : bool
        Store the parameters as float16: half the size, with values rounded to 11 significant bits. They are float32
        again when the file is read. Batch norm's statistics are stored as they are.

    Raises
    ------
    ValueError
        When a parameter is too large for float16 (above 65504).
    UserError
        When the file cannot be written; an older file of that name is then unchanged.
    """
    spec = checkpoint.spec
    about = {
        "model": spec.model,
        "options": spec.options,
        "classes": spec.classes,
        "preprocessing": spec.preprocessing.to_dict(),
        "data": spec.data,
        "settings": spec.settings,
        "progress": checkpoint.progress,
        "network": _description(checkpoint),
    }
    _write(path, checkpoint.network, about, checkpoint.optimizer_state, kind, half)


def save_network(
    path: Path | str, network: Network, classes: Sequence[str] = (), preprocessing: Preprocessing | None = None
) -> None:
    """Write any network atomically; :func:`load_network` reads it.

    The file holds the description of the network (class names and arguments of the layers, names and inputs of the
    steps), its parameters and running statistics, and the names of frozen parameters.

    Parameters
    ----------
    path : Path or str
    network : Network
        Allocated; made of scratchnet's layers, or of other layers whose constructors take plain values.
    classes : sequence of str
        Names of the classes; with ``preprocessing``, `scratchnet segment` and other commands can use the file.
    preprocessing : Preprocessing or None
        Applied to images before they enter the network.

    Raises
    ------
    ValueError
        When a part of the network cannot be described in a file; the message names the step and the remedy.
    UserError
        When the file cannot be written.
    """
    if classes and preprocessing is not None:
        save_checkpoint(path, Checkpoint(ModelSpec(OWN_MODEL, {}, tuple(classes), preprocessing), network))
    else:
        _write(path, network, {"classes": list(classes), "preprocessing": None, "network": describe(network)}, {})


def _description(checkpoint: Checkpoint) -> dict[str, Any] | None:
    """Return the description of a network that its spec does not build, or None."""
    description = describe(checkpoint.network)
    if checkpoint.spec.model in MODELS:
        with suppress(UserError, TypeError):
            if describe(checkpoint.spec.build()) == description | {"activation_checkpointing": False}:
                return None
    return description


def _write(
    path: Path | str,
    network: Network,
    about: dict[str, Any],
    optimizer_state: Mapping[str, Array],
    kind: str | None = None,
    half: bool = False,
) -> None:
    values = to_host(network.flat().values)
    if half:
        largest = np.abs(values).max(initial=0)
        if largest > np.finfo(np.float16).max:
            raise ValueError(f"a parameter of {largest:g} does not fit into float16; save with half=False")
        values = values.astype(np.float16)
    header = {
        "format": FORMAT,
        "versions": {"scratchnet": __version__, "numpy": np.__version__},
        **about,
        "parameters": _table(network),
        "state": {name: list(buffer.value.shape) for name, buffer in network.state().items()},
        "optimizer_state": list(optimizer_state),
        "frozen": network.frozen(),
        "frozen_statistics": [name for name, norm in network.batch_norms().items() if norm.frozen],
    }
    arrays = {
        "header": np.frombuffer(json.dumps(header).encode(), np.uint8),
        "values": values,
        **{f"state/{name}": to_host(buffer.value) for name, buffer in network.state().items()},
        **{f"optimizer_state/{name}": to_host(array) for name, array in optimizer_state.items()},
    }
    with atomic_write(path, kind) as file:
        np.savez(file, allow_pickle=False, **arrays)


def load_checkpoint(path: Path | str, layers: Sequence[type[Layer]] = ()) -> Checkpoint:
    """Read a checkpoint and build its network.

    Parameters
    ----------
    path : Path or str
    layers : sequence of type
        Layer classes in the network that are not scratchnet's.

    Raises
    ------
    UserError
        When the file is missing, empty, truncated, altered, no checkpoint, or of another format version.
    """
    header, arrays = _read(find_checkpoint(path))
    if header.get("network") is not None and not (header.get("classes") and header.get("preprocessing")):
        raise UserError(
            f"{path}: holds a network without class names and preprocessing, which are needed here; save it with "
            "save_network(path, net, classes=…, preprocessing=…), or use it in Python with load_network"
        )
    return _checked(path, header, lambda: _rebuild(header, arrays, layers))


def load_network(path: Path | str, layers: Sequence[type[Layer]] = ()) -> Network:
    """Read the network from a file that :func:`save_network` or a training has written.

    No code of the file runs: layers are looked up by name among scratchnet's layers and ``layers``.

    Parameters
    ----------
    path : Path or str
    layers : sequence of type
        Layer classes in the network that are not scratchnet's.

    Returns
    -------
    Network
        Allocated, with the parameters of the file, in evaluation mode.

    Raises
    ------
    UserError
        As :func:`load_checkpoint`.
    """
    header, arrays = _read(find_checkpoint(path))
    return _checked(path, header, lambda: _network(header, arrays, layers))


def _checked(path: Path | str, header: Mapping[str, Any], build: Callable[[], T]) -> T:
    """Return the result of ``build``; report inconsistent contents as a UserError."""
    try:
        return build()
    except (*_DAMAGE, UserError) as error:
        if header.get("network") is not None:
            raise UserError(f"{path}: the network cannot be rebuilt: {error}") from error
        raise UserError(f"{path}: the checkpoint does not fit together ({error}); train again") from error


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return the header and the arrays of a file."""
    if not path.is_file():
        is_word = not path.suffix and len(path.parts) == 1
        box = f"; the networks in the box are {', '.join(network_names())}" if is_word else ""
        raise UserError(f"{path}: no such checkpoint; a training writes one to RUN/checkpoint.npz{box}")
    if path.stat().st_size == 0:
        raise UserError(f"{path}: the checkpoint is empty (0 bytes); train again or use another one")
    try:
        with open_npz(path) as stored:
            header = json.loads(stored.read("header").tobytes())
            version, made_by = header["format"], header["versions"]["scratchnet"]
            if version == FORMAT:
                arrays = {name: stored.read(name) for name in _declared(path, header, stored.names)}
    except _DAMAGE as error:
        raise UserError(f"{path}: no readable checkpoint (truncated, altered, or another kind of file)") from error
    if version != FORMAT:
        raise UserError(
            f"{path}: checkpoint format {version}, made by scratchnet {made_by}; scratchnet {__version__} reads format "
            f"{FORMAT}: train again or install that version"
        )
    return header, arrays


def _declared(path: Path, header: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """Return the names of the arrays that a header declares; the file must hold these and no others."""
    declared = [
        "values",
        *(f"state/{name}" for name in header["state"]),
        *(f"optimizer_state/{m}" for m in header["optimizer_state"]),
    ]
    for problem, found in (
        ("does not hold '{}'", set(declared) - set(names)),
        ("holds '{}', which its header does not name", set(names) - {"header", *declared}),
    ):
        if found:
            what = problem.format(min(found)[:100])
            raise UserError(f"{path}: the checkpoint does not fit together (it {what}); train again")
    return declared


def stored_settings(path: Path) -> dict[str, Any]:
    """Return the training settings in a checkpoint, without reading its arrays.

    Raises
    ------
    UserError
        When the file is no readable checkpoint.
    """
    try:
        with open_npz(path) as stored:
            settings: dict[str, Any] = json.loads(stored.read("header").tobytes())["settings"]
    except _DAMAGE as error:
        raise UserError(f"{path}: no readable checkpoint (truncated, altered, or another kind of file)") from error
    return settings


def _rebuild(header: Mapping[str, Any], arrays: Mapping[str, Array], layers: Sequence[type[Layer]]) -> Checkpoint:
    """Return the checkpoint with the network that a header describes."""
    if not all(isinstance(header[name], dict) for name in ("options", "preprocessing", "data", "settings", "progress")):
        raise ValueError("its header has another form")
    held_out, read_as = header["data"].get("held_out", []), header["settings"].get("data", {})
    if not isinstance(held_out, list) or not isinstance(read_as, dict):
        raise ValueError("its data settings have another form")
    if not all(isinstance(name, str) for name in header["classes"]) or len(header["classes"]) < 2:
        raise ValueError(f"its classes are {header['classes']}")
    check_data(header["data"], len(header["classes"]))
    spec = ModelSpec(
        header["model"],
        header["options"],
        tuple(header["classes"]),
        Preprocessing.from_dict(header["preprocessing"]),
        header["data"],
        header["settings"],
    )
    network = _network(header, arrays, layers, spec)
    optimizer_state = {name: arrays[f"optimizer_state/{name}"] for name in header["optimizer_state"]}
    lengths = {WeightAverage.names[1]: running_statistics(network).shape}
    if any(a.shape != lengths.get(name, network.flat().values.shape) for name, a in optimizer_state.items()):
        raise ValueError("its optimiser state is not as long as its parameters")
    return Checkpoint(spec, network, header["progress"], optimizer_state)


def _network(
    header: Mapping[str, Any],
    arrays: Mapping[str, Array],
    layers: Sequence[type[Layer]],
    spec: ModelSpec | None = None,
) -> Network:
    """Return the network that a header describes, or else the model that it names, with the file's parameters."""
    if header.get("network") is not None:
        network, whose = rebuild(header["network"], layers), "the layers that it describes"
    else:
        whose = f"model '{header['model']}' in this version"
        network = spec.build() if spec else build(header["model"], len(header["classes"]), **header["options"])
    values = arrays["values"]
    if header["parameters"] != _table(network) or values.shape != (network.parameter_count(),):
        raise ValueError(f"its parameters are not those of {whose}")
    if values.dtype not in (np.float16, np.float32, np.float64):
        raise ValueError(f"its parameters are {values.dtype}, expected float32")
    network.allocate(dtype=np.result_type(values.dtype, np.float32))
    network.flat().values[...] = values
    for name, buffer in network.state().items():
        stored = arrays[f"state/{name}"]
        if stored.shape != buffer.value.shape:
            raise ValueError(f"{name} has shape {stored.shape}, expected {buffer.value.shape}")
        buffer.value[...] = stored
    for name, array in (("parameters", values), *((name, buffer.value) for name, buffer in network.state().items())):
        if array.size and not np.isfinite([array.min(), array.max()]).all():  # both are NaN if any element is
            raise ValueError(f"its {name} are not all finite")
    _freeze(network, header.get("frozen", []), header.get("frozen_statistics", []))
    return network.eval()


def _freeze(network: Network, names: list[str], statistics: list[str]) -> None:
    """Freeze the parameters and statistics that a header names."""
    if names:
        network.freeze(*names)
    norms = network.batch_norms()
    for name in statistics:
        norms[name].freeze_statistics()


def _table(network: Network) -> list[list[Any]]:
    """Return [name, shape] of every parameter in the order of the flat buffer."""
    return [[name, list(parameter.shape)] for name, parameter in network.parameters().items()]
