"""Read ``.npz`` files of unknown origin safely: memory is bounded by the size of the file, and no code runs.

An ``.npz`` file is a zip archive with a ``.npy`` file for each array. Both formats store sizes before the data, and a
few bytes can claim gigabytes: by compression, by overlapping entries, or in the header of an array. Sizes are therefore
compared with each other and with the size of the file before memory is allocated.
"""

import tokenize
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np

from scratchnet.arrays import Array

MAX_RATIO = 50
"""Maximum ratio of an entry's size to its compressed size; measured values compress by less than two."""

_SLACK = 1 << 16
"""Bytes that are allowed for any ratio: small arrays of zeros compress well."""


class NpzReader:
    """The arrays of an open file, read one by one.

    Raises
    ------
    ValueError
        If the file is damaged, or contains anything but numerical arrays; zipfile then also raises errors of its own.
    """

    def __init__(self, archive: zipfile.ZipFile, size: int) -> None:
        self._archive = archive
        names = [info.filename.removesuffix(".npy") for info in archive.infolist()]
        if len(set(names)) < len(names):
            duplicate = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"it contains '{duplicate[:100]}' twice")
        if sum(info.compress_size for info in archive.infolist()) > size:
            raise ValueError("its entries overlap")
        self._entries = dict(zip(names, archive.infolist(), strict=True))

    @property
    def names(self) -> list[str]:
        """The names of the arrays, in the order of the file."""
        return list(self._entries)

    def read(self, name: str) -> Array:
        """Return one array."""
        if name not in self._entries:
            raise KeyError(f"it contains no '{name}'")
        entry = self._entries[name]
        if entry.file_size > MAX_RATIO * entry.compress_size + _SLACK:
            raise ValueError(f"'{name[:100]}' has {entry.file_size:,} bytes in {entry.compress_size:,} compressed ones")
        with self._archive.open(entry) as file:
            return _read_array(file, entry.file_size, name)


def _read_array(file: IO[bytes], size: int, name: str) -> Array:
    """Read one ``.npy`` file of ``size`` bytes."""
    shape, fortran, dtype = _read_header(file, name)
    if dtype.kind not in "biuf":
        raise ValueError(f"'{name[:100]}' is of type {dtype}, expected a numeric type")
    if file.tell() + prod(shape) * dtype.itemsize != size:
        raise ValueError(f"'{name[:100]}' has {size:,} bytes, which do not match its shape {shape}")
    array: Array = np.empty(prod(shape), dtype)
    _fill(array.view(np.uint8).data, file)
    return array.reshape(shape, order="F" if fortran else "C")


def _read_header(file: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return shape, order and dtype. NumPy parses them as Python source, so damage causes many kinds of errors."""
    readers: dict[tuple[int, int], Any] = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    version = np.lib.format.read_magic(file)
    if version not in readers:
        raise ValueError(f"'{name[:100]}' has a header of version {version}")
    try:
        with warnings.catch_warnings(action="ignore"):  # damaged source may also cause warnings
            header: tuple[tuple[int, ...], bool, np.dtype[Any]] = readers[version](file)
    except (SyntaxError, tokenize.TokenError, TypeError, RecursionError) as error:
        raise ValueError(f"'{name[:100]}' has a damaged header") from error
    return header


def _fill(target: memoryview, file: IO[bytes]) -> None:
    """Read until the target is full, and past the end, where zipfile verifies the checksum."""
    done = 0
    while done < len(target):
        chunk = file.read(min(len(target) - done, 1 << 20))
        if not chunk:
            raise EOFError("it ends too early")
        target[done : done + len(chunk)] = chunk
        done += len(chunk)
    file.read(1)


@contextmanager
def open_npz(path: Path) -> Iterator[NpzReader]:
    """Open an ``.npz`` file."""
    with path.open("rb") as file, zipfile.ZipFile(file) as archive:
        yield NpzReader(archive, path.stat().st_size)


def read_npz(path: Path, names: Iterable[str] | None = None) -> dict[str, Array]:
    """Return the arrays of a file by name: all of them, or only those in ``names``."""
    with open_npz(path) as stored:
        return {name: stored.read(name) for name in (stored.names if names is None else names)}
