"""Reading ``.npz`` files of unknown origin: nothing is read that the file does not hold, and nothing runs.

An ``.npz`` file is a zip archive with a ``.npy`` file for each array. Both formats say sizes before the data, and a few
bytes can promise gigabytes: by compression, by entries that overlap, by an array's own header. So sizes are compared
with each other and with the size of the file before memory is taken.
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
"""How many times its compressed size an entry may have; measured values compress by less than two."""

_SLACK = 1 << 16
"""Bytes that are allowed whatever the ratio: small arrays of zeros compress well."""


class NpzReader:
    """The arrays of an open file, read one by one.

    Raises
    ------
    ValueError, and what zipfile raises
        When the file is damaged, or holds anything but arrays of numbers.
    """

    def __init__(self, archive: zipfile.ZipFile, size: int) -> None:
        self._archive = archive
        names = [info.filename.removesuffix(".npy") for info in archive.infolist()]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"it holds '{twice[:100]}' twice")
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
            raise KeyError(f"it holds no '{name}'")
        entry = self._entries[name]
        if entry.file_size > MAX_RATIO * entry.compress_size + _SLACK:
            raise ValueError(f"'{name[:100]}' has {entry.file_size:,} bytes in {entry.compress_size:,} compressed ones")
        with self._archive.open(entry) as file:
            return _read_array(file, entry.file_size, name)


def _read_array(file: IO[bytes], size: int, name: str) -> Array:
    """Read one ``.npy`` file of ``size`` bytes."""
    shape, fortran, dtype = _read_header(file, name)
    if dtype.kind not in "biuf":
        raise ValueError(f"'{name[:100]}' is of type {dtype}, expected numbers")
    if file.tell() + prod(shape) * dtype.itemsize != size:
        raise ValueError(f"'{name[:100]}' has {size:,} bytes, which do not fit its shape {shape}")
    array: Array = np.empty(prod(shape), dtype)
    _fill(array.view(np.uint8).data, file)
    return array.reshape(shape, order="F" if fortran else "C")


def _read_header(file: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return shape, order and dtype; NumPy parses them as Python source, and damaged source has many errors."""
    readers: dict[tuple[int, int], Any] = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    version = np.lib.format.read_magic(file)
    if version not in readers:
        raise ValueError(f"'{name[:100]}' has a header of version {version}")
    try:
        with warnings.catch_warnings(action="ignore"):  # which damaged source has as well
            header: tuple[tuple[int, ...], bool, np.dtype[Any]] = readers[version](file)
    except (SyntaxError, tokenize.TokenError, TypeError, RecursionError) as error:
        raise ValueError(f"'{name[:100]}' has a damaged header") from error
    return header


def _fill(target: memoryview, file: IO[bytes]) -> None:
    """Read until the target is full; the checksum counts when nothing is left."""
    done = 0
    while done < len(target):
        piece = file.read(min(len(target) - done, 1 << 20))
        if not piece:
            raise EOFError("it ends too early")
        target[done : done + len(piece)] = piece
        done += len(piece)
    file.read(1)


@contextmanager
def open_npz(path: Path) -> Iterator[NpzReader]:
    """Open an ``.npz`` file."""
    with path.open("rb") as file, zipfile.ZipFile(file) as archive:
        yield NpzReader(archive, path.stat().st_size)


def read_npz(path: Path, names: Iterable[str] | None = None) -> dict[str, Array]:
    """Return the arrays of a file by name; all of them, or those that are named."""
    with open_npz(path) as stored:
        return {name: stored.read(name) for name in (stored.names if names is None else names)}
