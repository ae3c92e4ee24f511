"""Files of named weights: PyTorch's ``.pth``, safetensors, NumPy's ``.npz``. Reading them executes no code."""

import json
import pickle
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np

from scratchnet.arrays import Array
from scratchnet.interop.state_dicts import own_names
from scratchnet.interop.tensors import as_array, byte_count
from scratchnet.interop.torch_files import read_legacy_format, read_zip_format
from scratchnet.utils.errors import UserError
from scratchnet.utils.input_files import check_regular_file
from scratchnet.utils.npz import read_npz

SAFETENSORS = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
}

_DAMAGE = (
    pickle.UnpicklingError, zipfile.BadZipFile, zlib.error, struct.error, ValueError, TypeError, KeyError, IndexError,
    AttributeError, EOFError, OSError, NotImplementedError, RuntimeError, OverflowError,
)  # fmt: skip
"""Errors that the readers raise for damaged files."""


def read_weights(path: Path | str) -> dict[str, Array]:
    """Read a file of named arrays; its first bytes identify the format.

    Parameters
    ----------
    path : Path or str
        A state dict in PyTorch's zip or legacy format, alone or inside a training script's checkpoint, a safetensors
        file or an ``.npz`` file.

    Returns
    -------
    dict of str to Array
        The arrays in the file's layout, which is PyTorch's if PyTorch wrote it. A wrapper's prefix of all names
        (``module.``, ``_orig_mod.``, see `own_names`) is removed.

    Raises
    ------
    UserError
        If the file is missing, truncated, altered, of another kind, or a pickle that calls other functions.
    """
    path = Path(path)
    check_regular_file(path, "a file of weights")
    return own_names(_read(path))


def _read(path: Path) -> dict[str, Array]:
    """Read a file in the format that its first bytes identify."""
    try:
        with path.open("rb") as file:
            start = file.read(9)
        if start.startswith(b"PK"):
            return _read_zip(path)
        if start.startswith(b"\x80"):
            return read_legacy_format(path)
        if start.endswith(b"{"):
            return _read_safetensors(path)
    except PermissionError as error:
        raise UserError(f"{path}: may not be read ({error.strerror})") from error
    except _DAMAGE as error:
        raise UserError(f"{path}: truncated, altered or no file of weights ({_words(error)}); get it again") from error
    raise UserError(f"{path}: no file of weights; expected PyTorch's .pth (a state dict), .safetensors or .npz")


def _words(error: BaseException) -> str:
    """Return a short description of an error."""
    return " ".join(str(error).split())[:100] or type(error).__name__


def _read_zip(path: Path) -> dict[str, Array]:
    """Read PyTorch's zip format or an ``.npz`` file."""
    with zipfile.ZipFile(path) as archive:
        torch = any(name.endswith("data.pkl") for name in archive.namelist())
    if torch:
        return read_zip_format(path)
    return read_npz(path)


def _read_safetensors(path: Path) -> dict[str, Array]:
    """Read a safetensors file: 8 bytes with the header's length, the header as JSON, the values."""
    size = path.stat().st_size
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > size - 8:
            raise ValueError(f"a header of {length} bytes in a file of {size}")
        header = json.loads(file.read(length))
        arrays, read = {}, 0
        for name, tensor in header.items():
            if name == "__metadata__":
                continue
            begin, end = tensor["data_offsets"]
            kind = SAFETENSORS[tensor["dtype"]]
            read += end - begin
            if not 0 <= begin <= end <= size - 8 - length:
                raise ValueError(f"{name} extends beyond the end of the file")
            file.seek(8 + length + begin)
            data = file.read(end - begin)
            if len(data) != byte_count(kind, int(np.prod(tensor["shape"], dtype=object))):
                raise ValueError(f"{name} has {len(data)} bytes for the shape {tensor['shape']}")
            if read > size - 8 - length:  # a small file could fill the memory many times
                raise ValueError(f"{name} shares its bytes with another tensor")
            arrays[name] = as_array(data, kind, tensor["shape"])
        return arrays
