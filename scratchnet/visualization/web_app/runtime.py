"""onnxruntime-web, the runtime that the segmentation page contains: where it is found and which files are used.

It is no part of this package: ``npm install onnxruntime-web`` puts it into ``node_modules``. Two of its files are used,
the script in one piece and the WebAssembly that runs on the CPU.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from scratchnet.utils.errors import UserError
from scratchnet.utils.options import option

SCRIPT, WASM = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"
"""Files in the package's folder ``dist``."""

OLDEST, NEWEST = (1, 24), (1, 30)
"""Versions that are accepted, as (major, minor): 1.24.3, 1.27.0 and 1.30.0 were tested; 1.23 needs a module."""

COMMAND = f"npm install onnxruntime-web@{NEWEST[0]}.{NEWEST[1]}"
"""Command that installs the runtime."""

MAX_BYTES = 1 << 26
"""Largest file that is read; the WebAssembly of version 1.30 has 14 MB."""

_BANNER = re.compile(r"ONNX Runtime Web v(\d+)\.(\d+)\.(\d+)")
_EXPORTS = re.compile(r"export\s*\{([^{}]*)\};?\s*(?://# sourceMappingURL=\S*)?\s*$")


@dataclass(frozen=True)
class Runtime:
    """The files of the runtime.

    Attributes
    ----------
    version : str
    script : str
        JavaScript that defines ``ort``, instead of exporting its contents.
    wasm : bytes
    """

    version: str
    script: str
    wasm: bytes


def find_runtime(folder: Path | str | None) -> Runtime:
    """Read the runtime.

    Parameters
    ----------
    folder : Path or str or None
        Folder of the package onnxruntime-web, its ``dist``, or a folder with ``node_modules``; None takes the current
        folder.

    Raises
    ------
    UserError
        If the files are not there, or are not of a version from 1.24 to 1.30.
    """
    start = Path() if folder is None else Path(folder)
    package = start / "node_modules" / "onnxruntime-web" / "dist"
    places = [package] if folder is None else [start, start / "dist", package]
    found = next((place for place in places if (place / SCRIPT).is_file() and (place / WASM).is_file()), None)
    if found is None:
        where = "node_modules/onnxruntime-web is not below this folder" if folder is None else _missing(start)
        raise UserError(f"{where}; run: {COMMAND}, or name its folder with {option('runtime')}")
    return Runtime(*_script(found / SCRIPT), _wasm(found / WASM))


def _missing(folder: Path) -> str:
    """Return what is wrong with a folder."""
    if not folder.is_dir():
        return f"{folder}: no such folder"
    return f"{folder}: has no {SCRIPT} and {WASM}, the files of onnxruntime-web"


def _script(path: Path) -> tuple[str, str]:
    """Return the version, and the script with a constant ``ort`` in place of its exports.

    Chromium refuses modules as workers of a page that was opened from a file, so the script must not be one.
    """
    text = _read(path).decode("utf-8", "replace")
    banner, exports = _BANNER.search(text[:1000]), _EXPORTS.search(text)
    if banner is None or exports is None:
        raise UserError(f"{path}: is not the script of onnxruntime-web; run: {COMMAND}")
    version = ".".join(banner.groups())
    if not OLDEST <= (int(banner[1]), int(banner[2])) <= NEWEST:
        known = f"{'.'.join(map(str, OLDEST))} to {'.'.join(map(str, NEWEST))}"
        raise UserError(f"{path}: is onnxruntime-web {version}, expected {known}; run: {COMMAND}")
    pairs = [re.split(r"\s+as\s+", name.strip()) for name in exports[1].split(",")]
    fields = ",".join(f'"{pair[-1]}":{pair[0]}' for pair in pairs)
    body = text[: exports.start()].replace("import.meta.url", "self.location.href")
    return version, f"{body}\nconst ort={{{fields}}};\n"


def _wasm(path: Path) -> bytes:
    content = _read(path)
    if not content.startswith(b"\0asm"):
        raise UserError(f"{path}: is not WebAssembly; run: {COMMAND}")
    return content


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UserError(f"{path}: has more than {MAX_BYTES >> 20} MiB, which no file of onnxruntime-web has")
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
