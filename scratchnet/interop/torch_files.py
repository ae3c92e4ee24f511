"""Read PyTorch's ``.pth`` files without PyTorch.

Both formats hold a pickle that describes the tensors, followed by the tensors' values:

- the zip format (since 2020): ``NAME/data.pkl``, and ``NAME/data/KEY`` for every storage, not compressed;
- the legacy format, that of torchvision's ``vgg16-397923af.pth``: pickles of a magic number, of the protocol's version,
  of the system, of the tensors, of the list of storages, and then for each storage its count (8 bytes) and its values.
"""

import io
import pickle
import struct
import zipfile
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

from scratchnet.arrays import Array
from scratchnet.interop.pickled import Storage, Tensor, read_pickle
from scratchnet.interop.state_dicts import find_state_dict
from scratchnet.interop.tensors import as_array, byte_count
from scratchnet.utils.input_files import BoundedFile

MAGIC = 0x1950A86A20F9469CFC6C
"""The first pickle of a file in the legacy format."""


def read_zip_format(path: Path) -> dict[str, Array]:
    """Return the tensors of a file in the zip format by name.

    Raises
    ------
    ValueError
        If the file is damaged; zipfile and pickle then also raise errors of their own.
    """
    with zipfile.ZipFile(path) as archive:
        pickled = next(name for name in archive.namelist() if name.endswith("data.pkl"))
        folder = pickled.removesuffix("data.pkl")
        if f"{folder}byteorder" in archive.namelist() and _stored(archive, f"{folder}byteorder") != b"little":
            raise ValueError("written on a big-endian machine")
        content, storages = read_pickle(io.BytesIO(_stored(archive, pickled)), path)
        found = find_state_dict(content, path)
        needed = {value.storage.key for value in found.values() if isinstance(value, Tensor)}
        names = [f"{folder}data/{key}" for key in storages if key in needed]
        if sum(archive.getinfo(name).file_size for name in names) > path.stat().st_size:
            raise ValueError("its entries overlap")
        return _tensors(found, {key: _stored(archive, f"{folder}data/{key}") for key in storages if key in needed})


def _stored(archive: zipfile.ZipFile, name: str) -> bytes:
    """Read one entry, which must be uncompressed, as PyTorch writes it, so that it is no larger than the file."""
    if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{name} is compressed")
    return archive.read(name)


def read_legacy_format(path: Path) -> dict[str, Array]:
    """Return the tensors of a file in the legacy format by name; errors as in :func:`read_zip_format`."""
    with BoundedFile(path) as file:
        magic, _, system = (read_pickle(file, path)[0] for _ in range(3))
        if magic != MAGIC or not system["little_endian"]:
            raise pickle.UnpicklingError("not the magic number of PyTorch, or written on a big-endian machine")
        content, storages = read_pickle(file, path)
        keys, _ = read_pickle(file, path)
        found, limit = find_state_dict(content, path), path.stat().st_size
        return _tensors(found, {key: _storage_bytes(file, storages[key], limit) for key in keys})


def _storage_bytes(file: BinaryIO, storage: Storage, limit: int) -> bytes:
    """Read one storage: its number of elements, then the elements."""
    (count,) = struct.unpack("<q", file.read(8))
    size = byte_count(storage.kind, count)
    if not 0 <= size <= limit:
        raise ValueError(f"a storage of {count} elements")
    return file.read(size)


MAX_SHARING = 4
"""Maximum ratio of the tensors' total size to the data in the file; weights tied in pairs need 2."""


def _tensors(content: Mapping[Any, Any], data: Mapping[str, bytes]) -> dict[str, Array]:
    """Convert the tensors of a pickle to arrays; its other values are ignored."""
    arrays: dict[str, Array] = {}
    limit, count = MAX_SHARING * sum(map(len, data.values())), 0
    for name, tensor in content.items():
        if isinstance(tensor, Tensor):
            storage = tensor.storage
            if len(data[storage.key]) != byte_count(storage.kind, storage.length):
                raise ValueError(f"storage {storage.key} is not as long as its tensors need")
            count += byte_count(storage.kind, prod(tensor.shape))
            if count > limit:  # bfloat16 is copied, so a small file could fill the memory
                raise ValueError(f"{name} shares its values with too many others")
            arrays[str(name)] = as_array(data[storage.key], storage.kind, tensor.shape, tensor.offset, tensor.strides)
    return arrays
